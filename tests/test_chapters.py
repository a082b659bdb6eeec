"""Every chapter and every solution of an exercise runs, with the chapter's own quick settings.

A chapter's header may name them: ``pha: {quick: {STEPS: 4}}`` replaces ``STEPS = 800`` where the
cells set it. Nothing else of the chapter is changed, so its own asserts count here, too.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

jupytext = pytest.importorskip("jupytext", reason="the book's tools are not installed")
ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book" / "chapters").glob("*.py"))
SOLUTION = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read(path: Path):
    return jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")


def quickened(source: str, quick: dict) -> tuple[str, set[str]]:
    """A cell with its constants replaced, and the names that were."""
    tree, done = ast.parse(source), set()
    for node in tree.body:
        names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
        if isinstance(node, ast.Assign) and len(names) == 1 and names[0] in quick:
            node.value = ast.parse(repr(quick[names[0]]), mode="eval").body
            done.add(names[0])
    return ast.unparse(ast.fix_missing_locations(tree)), done


def pieces(path: Path):
    """(what it is, code) in reading order: cells, and the code of solutions."""
    for number, cell in enumerate(read(path).cells):
        if cell.cell_type == "code":
            yield f"{path.stem}, cell {number}", cell.source
        else:
            for code in SOLUTION.findall(cell.source):
                yield f"{path.stem}, code in cell {number}", code


def lift(stem: str) -> dict:
    """A chapter's imports, constants and definitions, without running anything else of it."""
    space: dict = {"__name__": stem}
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
    for cell in read(ROOT / "book" / "chapters" / f"{stem}.py").cells:
        if cell.cell_type != "code":
            continue
        for node in ast.parse(cell.source).body:
            names = [t.id for t in getattr(node, "targets", []) if isinstance(t, ast.Name)]
            constant = bool(names) and all(name.isupper() for name in names)
            if isinstance(node, kept) or constant:
                exec(compile(ast.Module([node], []), stem, "exec"), space)
    return space


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
def test_chapter_and_its_solutions_run(path, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # what a chapter writes goes nowhere
    quick = read(path).metadata.get("pha", {}).get("quick", {})
    space: dict = {"__name__": "__main__"}
    replaced: set[str] = set()
    for what, code in pieces(path):
        source, done = quickened(code, quick)
        replaced |= done
        exec(compile(source, what, "exec"), space)
    assert replaced == set(quick), "the header names constants that no cell sets"


@pytest.mark.parametrize(
    ("source", "wanted", "done"),
    [
        ("STEPS = 800\nx = STEPS", "STEPS = 4\nx = STEPS", {"STEPS"}),
        ("STEPS, N = 800, 2", "STEPS, N = (800, 2)", set()),
        ("N = 3", "N = 3", set()),
    ],
)
def test_only_named_constants_are_replaced(source, wanted, done):
    assert quickened(source, {"STEPS": 4}) == (wanted, done)
