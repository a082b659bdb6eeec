"""Recorded results: what the pages show without running it, always with where it comes from."""

from __future__ import annotations

import json

from .errors import PHAError, unknown
from .paths import data_dir


def names() -> list[str]:
    """The records that ship with the package, in alphabetical order."""
    return sorted(path.stem for path in (data_dir() / "results").glob("*.json"))


def load(name: str) -> dict:
    """A recorded experiment: its settings, the values of every seed, and what made them.

    Args:
        name: of the experiment, for example `"low_data"`, as in `data/results/low_data.json`.

    Raises:
        PHAError: there is no such record; the message lists those that exist.
    """
    if name not in names():
        raise PHAError(unknown("record", name, names()))
    return json.loads((data_dir() / "results" / f"{name}.json").read_text(encoding="utf-8"))


def source(record: dict) -> str:
    """One sentence of Markdown that says what made a record: command, commit, machine and day."""
    commit = (record.get("commit") or "an unknown commit")[:7]
    return (
        f"Recorded by `{record['command']}` at {commit} on {record['machine']}, "
        f"{record['time'][:10]}."
    )


def run_time(chapter: str) -> str:
    """How long a chapter's code took when the book was last recorded, as a sentence of Markdown.

    Written by `tools/runtimes.py` after a build from nothing.

    >>> run_time("no such chapter")
    'No run time of this page has been recorded yet.'
    """
    times = load("chapters")["seconds"] if "chapters" in names() else {}
    if chapter not in times:
        return "No run time of this page has been recorded yet."
    record = load("chapters")
    return (
        f"**Run time:** {times[chapter]:.0f} seconds when it was last recorded "
        f"({record['time'][:10]}), on {record['machine']}. No GPU is needed."
    )
