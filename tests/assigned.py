"""What the tests of the assignments share: tools/, notebooks as they run, wrong answers."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
for module in ("jupytext", "otter", "yaml"):
    pytest.importorskip(module, reason="the classroom is not installed: pip install .[classroom]")
sys.path.append(str(ROOT / "tools"))  # also for the grader's processes, which import by name

import assignments  # noqa: E402
import grade  # noqa: E402, F401
import grade_worker  # noqa: E402, F401

SOURCES = assignments.sources()
WRONG = ROOT / "tests" / "wrong_answers"
CELL = re.compile(r"^# %% (?P<question>\w+): (?P<what>.+)\n", re.MULTILINE)


@cache
def built(name: str) -> assignments.Assignment:
    return assignments.build(assignments.find(name))


def cells(notebook: str, kind: str = "code") -> list[str]:
    made = json.loads(notebook)["cells"]
    return ["".join(cell["source"]) for cell in made if cell["cell_type"] == kind]


def run(notebook: str) -> dict:
    """What a notebook's cells define; an error in one is an error."""
    space: dict = {"__name__": "__main__"}
    with contextlib.redirect_stdout(io.StringIO()):
        for number, source in enumerate(cells(notebook)):
            exec(compile(source, f"cell {number}", "exec"), space)
    return space


@cache
def solved(name: str) -> dict:
    """What the instructor's notebook defines."""
    return run(built(name).solution)


def wrong_answers(name: str) -> list[tuple[str, str, str]]:
    """(question, what is wrong, code) from the table of an assignment."""
    text = (WRONG / f"{name}.py").read_text(encoding="utf-8")
    parts = list(CELL.finditer(text))
    ends = [part.start() for part in parts[1:]] + [len(text)]
    return [
        (part["question"], part["what"], text[part.end() : end])
        for part, end in zip(parts, ends, strict=True)
    ]
