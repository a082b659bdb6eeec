"""Peak memory that some work adds to a process."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def added_peak(work: Callable[[], object]) -> float:
    """MiB by which resident memory rises, at its highest, while `work` runs once.

    On Linux the kernel's high-water mark of this very process is set back first. Elsewhere it is
    the growth of the highest mark since the process began: measure in a fresh process, as what it
    held before may hide what the work takes. Freed memory that Python kept counts as free.

    >>> added_peak(lambda: bytearray(2**26)) > 50
    True
    """
    gc.collect()
    with suppress(OSError):
        RESET.write_text("5")
    before = _mib("VmRSS")
    work()
    return round(_mib("VmHWM") - before, 1)


def _mib(field: str) -> float:
    """Not `ru_maxrss` where that can be helped: a child process inherits it from its parent."""
    try:
        lines = STATUS.read_text().splitlines()
    except OSError:
        unit = 2**20 if sys.platform == "darwin" else 2**10
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) / 1024
