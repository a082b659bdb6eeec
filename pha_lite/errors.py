"""Errors a user can cause, and mend.

Every message names the input at fault and says what to do about it. The command line prints such
an error in one line and exits with status 2; anything else that escapes is a bug of ours.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class PHAError(ValueError):
    """A user's mistake: a bad value, an unknown name, a missing file."""


class DataError(PHAError):
    """Data that cannot be used: the message names the file and, where there is one, the row."""


class TrainingError(PHAError):
    """Training had to stop: the message names the step and the last good checkpoint."""


class WriteError(PHAError, OSError):
    """A file could not be written: a full disk, a lost permission. None is left half written."""


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """The sentence for a name that is not known, with the nearest one that is.

    >>> unknown("task", "glue/rta", ["glue/rte", "glue/cola"])
    "unknown task 'glue/rta': did you mean 'glue/rte'? Known: glue/rte, glue/cola"
    """
    known = list(known)
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f" did you mean {near[0]!r}?" if near else ""
    shown = ", ".join(known[:12]) + (f", ... ({len(known)} in all)" if len(known) > 12 else "")
    return f"unknown {kind} {name!r}:{hint} Known: {shown or 'none'}"
