"""Where the files that ship with the package lie: in a wheel and in a checkout."""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent


def data_dir() -> Path:
    """The folder with the embedded backbone, the suite's cards and the recorded results.

    A wheel carries it as ``pha_lite/data``; in a checkout it is the top-level ``data/``.

    >>> data_dir().name
    'data'
    """
    inside = PACKAGE / "data"
    return inside if inside.is_dir() else PACKAGE.parent / "data"
