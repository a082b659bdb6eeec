"""Grading: whatever a submission does, it gets a score and a reason, and the next one is graded."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from assigned import assignments, built, cells, grade, grade_worker

NAME = "a1_adapters"
LIMITS = grade_worker.Limits(cell=5.0, total=90.0)


def submission(replace: dict[str, str] | None = None, extra: str = "", **metadata) -> dict:
    """The solved notebook without its checks, some cells replaced by what a student wrote.

    Args:
        replace: how the cell begins -> its new source; None deletes it.
        extra: a cell at the end.
    """
    notebook = json.loads(built(NAME).solution)
    checks = [c for c in notebook["cells"] if "".join(c["source"]).startswith("grader.check")]
    notebook["cells"] = [cell for cell in notebook["cells"] if cell not in checks]
    for start, source in (replace or {}).items():
        (cell,) = [c for c in notebook["cells"] if "".join(c["source"]).startswith(start)]
        cell["source"] = source
        if source is None:
            notebook["cells"].remove(cell)
    if extra:
        notebook["cells"].append({"cell_type": "code", "source": extra, "metadata": {}})
    notebook["metadata"].update(metadata)
    return notebook


LOOK = """
import glob, pathlib, pha_lite
for place in ("book/assignments/a1_adapters.py", "build/assignments", "tests/wrong_answers"):
    top = pathlib.Path(pha_lite.__file__).parents[1] / place
    for path in [top, *glob.glob(str(top / "**"), recursive=True)]:
        try:
            found = open(path).read()
            raise SystemExit("read " + str(path))
        except OSError:
            pass
assert not list(pathlib.Path(".").iterdir()), "the folder is not empty"
"""
CHEAT = """
import sys, torch, pha_lite.adapter, pha_lite.check

def adapter_size(d, b):
    return 0

def yes(*args, **kwargs):
    return None

class Fake:
    bottleneck = staticmethod(bottleneck)
    AdapterWeights = pha_lite.adapter.AdapterWeights

pha_lite.check.same = yes
pha_lite.check.Case.run = yes
pha_lite.check.isinstance = lambda *args: True
torch.Tensor.__gt__ = lambda *args: False
torch.allclose = torch.equal = lambda *args, **kwargs: True
sys.modules["pha_lite.adapter"] = Fake
"""
RUN = """
import os, socket, subprocess
tried = 0
for act in (
    lambda: subprocess.run(["ls"]),
    lambda: os.system("ls"),
    lambda: socket.create_connection(("127.0.0.1", 9)),
    lambda: os.kill(os.getppid(), 9),
    lambda: open(os.path.expanduser("~/../../../etc/made-by-a-student"), "w"),
    lambda: os.remove(pha_lite.__file__),
):
    try:
        act()
    except PermissionError:
        tried += 1
assert tried == 6, tried
"""
# what it is -> (notebook or text of the file, score, part of the reason)
BROKEN = {
    "right": (submission(), 26, "all tests passed"),
    "syntax": (
        submission({"def bottleneck": "def bottleneck(x, down:\n    return x"}),
        22,
        r"code cell \d+: SyntaxError: .*q2: bottleneck is not defined",
    ),
    "endless": (
        submission(
            {"def adapter_size": "while True:\n    try:\n        1\n    except Exception: 2"}
        ),
        24,
        r"code cell \d+: stopped after 5 seconds; q1: adapter_size is not defined",
    ),
    "endless answer": (
        submission({"def adapter_size": "def adapter_size(d, b):\n    while True: pass"}),
        24,
        "q1: stopped after 5 seconds",
    ),
    "missing": (submission({"def hang": None}), 22, "q5: hang is not defined yet"),
    "renamed": (
        submission({"def start": "def begin(d, b, gain): ..."}),
        22,
        "q4: start is not defined yet",
    ),
    "kernel": (
        submission(kernelspec={"name": "ir", "language": "R"}),
        26,
        "its kernel is for R; run as Python",
    ),
    "loud": (
        submission(extra="while_ = 'x' * 10**6\nfor i in range(300): print(while_)"),
        26,
        "printed too much",
    ),
    "hungry": (submission(extra="torch.zeros(10**11)"), 26, r"code cell \d+: RuntimeError"),
    "exit": (submission(extra="import os\nos._exit(0)"), 0, "its process ended"),
    "quits": (submission(extra="raise SystemExit(1)"), 26, r"code cell \d+: SystemExit"),
    "magic": (
        submission(extra="%matplotlib inline\n!pip list\ntorch.zeros?\nx = get_ipython()"),
        26,
        "all tests passed",
    ),
    "looks": (submission(extra=LOOK), 26, r"was refused: reading .*a1_adapters\.py"),
    "cheats": (submission(extra=CHEAT), 24, r"replaced, and put back: .*q1: adapter_size\(3, 2\)"),
    "runs": (submission(extra=f"import pha_lite\n{RUN}"), 26, "was refused: another program"),
    "not json": ("{ not json", 0, "not a notebook"),
    "no cells": ({"metadata": {}}, 0, "not a notebook: it has no cells"),
    "other": (
        {"cells": [{"cell_type": "code", "source": ["answer_7 = ", '"b"'], "outputs": 3}, 7]},
        1,
        "q1: adapter_size is not defined",
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    top = tmp_path_factory.mktemp("handed-in")
    for name, (content, _, _) in BROKEN.items():
        text = content if isinstance(content, str) else json.dumps(content)
        (top / f"{name}.ipynb").write_text(text)
    return top


@pytest.fixture(scope="module")
def graded(folder):
    grades = grade.grade_all(folder, "a1", LIMITS, quiet=True)
    return {g.name.removesuffix(".ipynb"): g for g in grades}


@pytest.mark.parametrize("name", BROKEN)
def test_every_submission_gets_a_score_and_a_reason(graded, name):
    _, score, reason = BROKEN[name]
    assert re.search(reason, graded[name].reason), graded[name].reason
    assert graded[name].score == score, graded[name].reason
    assert set(graded) == set(BROKEN)


def test_right_answers_score_full_behind_the_fence(tmp_path):
    """For each assignment, as it grades what students hand in: with other libraries, and limits."""
    for path in assignments.sources():
        (tmp_path / f"{path.stem}.ipynb").write_text(built(path.stem).solution)
    for g in grade.grade_all(tmp_path, None, grade_worker.Limits(), quiet=True):
        possible = sum(q.points for q in built(g.assignment).questions if not q.manual)
        assert (g.score, g.reason) == (possible, "all tests passed"), g.name


def test_grading_twice_gives_the_same_table(graded, folder, tmp_path):
    again = tmp_path / "again"
    again.mkdir()
    for name in ("right", "syntax", "looks", "cheats", "other"):
        (again / f"{name}.ipynb").write_text((folder / f"{name}.ipynb").read_text())
    second = grade.grade_all(again, "a1", LIMITS, quiet=True)
    first = [graded[g.name.removesuffix(".ipynb")] for g in second]
    one = built(NAME)
    assert grade.as_csv(one, first) == grade.as_csv(one, second)
    assert grade.as_text(one, first) == grade.as_text(one, second)


def test_tables(graded):
    one = built(NAME)
    rows = list(csv.DictReader(io.StringIO(grade.as_csv(one, list(graded.values())))))
    assert len(rows) == len(BROKEN)
    for row in rows:
        each = [float(row[q.name]) for q in one.questions if not q.manual]
        assert float(row["score"]) == pytest.approx(sum(each), abs=0.01)
        assert row["reason"] and row["of"] == "26"
        assert row["q10 (of 3, by hand)"] == ""
    text = grade.as_text(one, list(graded.values()))
    for name in BROKEN:
        assert f"## {name}.ipynb: " in text
    assert "> - Both matrices start at zero" in text, "the answer that a teacher reads"
    assert "(hidden)" in text


def test_command(folder, tmp_path, capsys):
    one = tmp_path / "right.ipynb"
    one.write_text((folder / "right.ipynb").read_text())
    assert grade.main([str(one), "--out", str(tmp_path / "grades")]) == 0
    assert "right.ipynb: 26, all tests passed" in capsys.readouterr().out
    assert sorted(p.name for p in (tmp_path / "grades").iterdir()) == [f"{NAME}.csv", f"{NAME}.md"]
    with pytest.raises(SystemExit, match="no such file"):
        grade.main([str(tmp_path / "nobody")])
    with pytest.raises(SystemExit, match="no assignment 'a9'"):
        grade.main([str(one), "--assignment", "a9"])


def test_what_cannot_be_read_stands_in_the_table_of_the_others(folder, tmp_path, capsys):
    for name in ("right", "not json"):
        (tmp_path / f"{name}.ipynb").write_text((folder / f"{name}.ipynb").read_text())
    grade.main([str(tmp_path), "--out", str(tmp_path / "grades")])
    rows = list(csv.DictReader((tmp_path / "grades" / f"{NAME}.csv").open()))
    assert [row["submission"] for row in rows] == ["not json.ipynb", "right.ipynb"]
    assert rows[0]["score"] == "0" and "not a notebook" in rows[0]["reason"]
    grade.main([str(tmp_path / "not json.ipynb"), "--out", str(tmp_path / "none")])
    assert "1 of unknown assignment" in capsys.readouterr().out


def test_which_files_are_submissions(tmp_path):
    with pytest.raises(SystemExit, match="no submissions"):
        grade.submissions(tmp_path)
    for name in ("ann.ipynb", "notes.txt", "bo/a1.ipynb", "bo/plot.png", "cy/answers.pdf"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("{}")
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "ann.ipynb").write_text("{}")
    found = list(grade.submissions(tmp_path))
    assert found == ["ann.ipynb", "bo/a1.ipynb", "cy/answers.pdf", "notes.txt"]


def test_the_assignment_is_found_without_its_metadata():
    notebook = submission()
    assert grade.assignment_of(notebook) == NAME
    del notebook["metadata"]["pha"]
    assert grade.assignment_of(notebook) == NAME, "from what it says to its checker"
    assert grade.assignment_of({"metadata": [], "cells": []}) == ""


def test_an_answer_to_read_survives_other_ids_and_split_cells():
    notebook = json.loads(built(NAME).student)
    for cell in notebook["cells"]:
        cell.pop("id")
    (place,) = [
        i for i, c in enumerate(notebook["cells"]) if "Type your answer" in "".join(c["source"])
    ]
    assert grade.written_answer(notebook, "q10") == "(no answer)"
    parts = [{"cell_type": "markdown", "source": [text]} for text in ("First.", "Second.")]
    notebook["cells"][place : place + 1] = parts
    assert grade.written_answer(notebook, "q10") == "First.\n\nSecond."
    del notebook["cells"][place - 1]
    assert "cell is gone" in grade.written_answer(notebook, "q10")


def test_points_of_hidden_tests():
    from pha_lite.check import Case

    tests = [Case(len), Case(len, 0, True), Case(min, 2, True), Case(max, 0, True)]
    assert grade.points_of(tests, 5) == [0, 1.5, 2, 1.5]


def test_a_spreadsheet_computes_nothing():
    assert grade.cell("=1+1") == "'=1+1" and grade.cell(1.5) == "1.5" and grade.cell("") == ""


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("x = 1 % 2", "x = 1 % 2"),
        ("%time\nx = 1", "pass\nx = 1"),
        ("%%time\nx = 1", "x = 1"),
        ("if x:\n    !ls -l\nlen?", "if x:\n    pass\npass"),
        ('y = """\n%d\n"""', 'y = """\n%d\n"""'),
    ],
)
def test_magic_is_left_out(source, wanted):
    assert grade_worker.plain(source) == wanted


def test_the_guard_puts_back_what_was_replaced():
    import pha_lite.adapter as module

    guard, kept = grade_worker.Guard(), module.bottleneck
    code = kept.__code__
    assert guard.restore() == []
    module.bottleneck = None
    module.len = None
    kept.__code__ = (lambda x, weights, route=None: x).__code__
    found = guard.restore()
    assert module.bottleneck is kept and kept.__code__ is code and not hasattr(module, "len")
    assert {"pha_lite.adapter.bottleneck", "pha_lite.adapter.len"} <= set(found)


def test_cells_of_any_shape_are_read():
    odd = {"cells": [{"cell_type": "code", "source": ["a\n", "b"]}, {"cell_type": "code"}, 3, None]}
    assert grade.code_cells(odd) == ["a\nb", ""]
    assert [len(cells(built(NAME).solution)), bool(assignments.sources())] == [
        len(grade.code_cells(json.loads(built(NAME).solution))),
        True,
    ]
