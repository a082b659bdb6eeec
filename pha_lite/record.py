"""The run record: what one needs to know to repeat a run or to doubt it."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CODE = (".", ":(exclude)data/results")  # what a commit stands for, as git names files
PACKAGES = ("pha-lite", "torch", "transformers", "datasets", "accelerate", "numpy", "faiss-cpu")


def run_record(**facts) -> dict:
    """Versions, commit, time and machine, behind the caller's own `facts` (settings, scores).

    No path, no user and no host name goes in: a record can be published as it is.

    >>> sorted(run_record(seed=3))
    ['commit', 'machine', 'seed', 'time', 'versions']
    """
    return {
        **facts,
        "versions": versions(),
        "commit": commit(),
        "machine": machine(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def versions() -> dict[str, str]:
    """Installed versions of Python and of the packages a result may depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def commit(folder: Path | None = None) -> str | None:
    """Commit of the checkout the package runs from, with `-dirty` when tracked files have changed.

    Records of results are no such files: to write one is not to change what ran. None in an
    installed package, also when its environment lies inside another repository.
    """
    folder = folder or Path(__file__).resolve().parent.parent
    if not (folder / ".git").exists():
        return None
    git = ["git", "-C", str(folder)]
    options = {"capture_output": True, "text": True, "timeout": 10}
    try:
        head = subprocess.run([*git, "rev-parse", "HEAD"], **options)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno", "--", *CODE], **options)
    except (OSError, subprocess.TimeoutExpired):
        return None
    if head.returncode != 0:
        return None
    return head.stdout.strip() + ("-dirty" if changed.stdout.strip() else "")


def machine() -> str:
    """The machine in words, for example `2 cores of an AMD EPYC 7763, 8 GiB, NVIDIA T4`."""
    cores = _cores()
    words = f"{cores} {'core' if cores == 1 else 'cores'} of {_processor()}"
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        words += f", {memory / 2**30:.0f} GiB"
    try:
        import torch
    except ImportError:
        return words
    if torch.cuda.is_available():
        words += f", {torch.cuda.get_device_name()}"
    threads = torch.get_num_threads()
    return words + f", {threads} {'thread' if threads == 1 else 'threads'}"


def _cores() -> int:
    # the cores this process may use, which in a container are fewer than the machine has
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()
