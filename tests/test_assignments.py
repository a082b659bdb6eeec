"""Assignments: what students get, what is kept from them, and which answers score full points."""

from __future__ import annotations

import ast
import json
import re
import zipfile
from io import BytesIO

import pytest
from assigned import (
    ROOT,
    SOURCES,
    WRONG,
    assignments,
    built,
    cells,
    grade,
    run,
    solved,
    wrong_answers,
)

from pha_lite import check

NAMES = [path.stem for path in SOURCES]
each = pytest.mark.parametrize("name", NAMES)


def verdicts(name: str, space: dict, question: str | None = None) -> dict[str, float]:
    """Points that each question gets in a namespace."""
    one, got = built(name), {}
    for asked in one.questions:
        if asked.manual or question not in (None, asked.name):
            continue
        tests = check.cases(one.tests[asked.name])
        worth = grade.points_of(tests, asked.points)
        found = [case.run(space) is None for case in tests]
        got[asked.name] = sum(p for p, right in zip(worth, found, strict=True) if right)
    return got


# --- generated files ------------------------------------------------------------------------------


def test_committed_files_match_their_sources():
    assert assignments.problems() == [], "run make sync"


def test_an_edit_and_a_stray_file_are_found(monkeypatch, tmp_path):
    monkeypatch.setattr(assignments, "ROOT", tmp_path)
    monkeypatch.setattr(assignments, "SOURCES", tmp_path / "book")
    monkeypatch.setattr(assignments, "CARDS", tmp_path / "data")
    monkeypatch.setattr(assignments, "PAGE", tmp_path / "none.md")
    monkeypatch.setattr(assignments, "sources", lambda: SOURCES[:1])
    assert assignments.main(["check"]) == 1, "nothing is generated yet"
    assert assignments.main(["sync"]) == 0 and assignments.main(["check"]) == 0
    notebook = tmp_path / "book" / NAMES[0] / f"{NAMES[0]}.ipynb"
    notebook.write_text(notebook.read_text().replace("seed", "sead", 1))
    (tmp_path / "book" / NAMES[0] / "tests" / "q99.py").write_text("")
    found = assignments.problems()
    assert [line.split(" ", 1)[1] for line in found] == ["differs from its source", "has no source"]


@each
def test_the_same_source_gives_the_same_bytes(name):
    assignments.build.cache_clear()
    again = assignments.build(assignments.find(name))
    for part in ("student", "solution", "zip", "tests", "card"):
        assert getattr(again, part) == getattr(built(name), part), part


# --- what students get ----------------------------------------------------------------------------


SECRET = re.compile(
    r"^ *# BEGIN SOLUTION\n.*?# END SOLUTION"  # lines of a code cell
    r"|^[^\n]*# SOLUTION$"
    r"|^# # BEGIN SOLUTION\n\n# %% \[markdown\]\n.*?# %% \[raw\]"  # a text to be read
    r"|^# Hidden\b[^\n]*\n.*?(?=^# %%)",
    re.MULTILINE | re.DOTALL,
)


def squeezed(text: str) -> str:
    """Without space, quotes, brackets and commas: what is left when otter writes code anew."""
    return re.sub(r"[\s'\"\\#(),]", "", text.replace("\\n", "\n"))


def secrets(name: str) -> set[str]:
    """Lines that only the teacher may see, read from the source without otter's help."""
    text = assignments.find(name).read_text()
    open_ = squeezed(SECRET.sub("", text))
    hidden = {squeezed(line) for part in SECRET.findall(text) for line in part.split("\n")}
    return {line for line in hidden if len(line) > 15 and line not in open_}


@each
def test_no_solution_and_no_hidden_test_reaches_a_student(name):
    one, hidden = built(name), secrets(name)
    folder = ROOT / "book" / "assignments" / name
    files = [p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    files.append(ROOT / "data" / "assignments" / f"{name}.json")
    shown = squeezed("\n".join(p.read_text() for p in files))
    assert [line for line in hidden if line in shown] == []
    kept = squeezed("\n".join([*one.tests.values(), *cells(one.solution), one.solution]))
    found = [line for line in hidden if line in kept]
    assert len(found) > 60 and len(found) > 0.8 * len(hidden), "the search finds what is there"
    for word in ("hidden=True", "BEGIN SOLUTION", "# SOLUTION", "BEGIN TEST CONFIG"):
        assert not any(word in p.read_text() for p in files), word
    for question, text in one.public.items():
        tests = check.cases(text)
        # The public package has to check a notebook of any variant.
        assert "VARIANT" not in text.split("name =")[1], question
        assert tests and not any(case.hidden or case.points for case in tests), question


@each
def test_nothing_of_the_teachers_side_is_committed(name):
    ignored = (ROOT / ".gitignore").read_text().split("\n")
    assert "build/" in ignored and "grades/" in ignored
    assert assignments.BUILD.relative_to(ROOT).parts[0] == "build"


@each
def test_student_notebook(name):
    one, home = built(name), assignments.home()
    notebook = json.loads(one.student)
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    assert [cell["id"] for cell in notebook["cells"]] == [
        f"cell-{i:03d}" for i in range(len(notebook["cells"]))
    ]
    code = cells(one.student)
    assert f'"git+{home.url}@{home.tag}"' in code[0] and "--no-deps" in code[0]
    assert "ipywidgets" not in one.student and "otter" not in "".join(code)
    for asked in one.questions:
        heading = rf"^## {asked.name}\. .+ \({asked.points:g} points?\b"
        text = "\n".join(cells(one.student, "markdown"))
        assert len(re.findall(heading, text, re.M)) == 1, asked.name
        assert (f'grader.check("{asked.name}")' in "\n".join(code)) == (not asked.manual)
    for source in code:
        ast.parse(source)
        assert max(map(len, source.split("\n"))) <= 80


@each
def test_an_empty_notebook_runs_and_scores_nothing(name):
    space: dict = {"__name__": "__main__"}
    for source in cells(built(name).student):
        try:
            exec(compile(source, "cell", "exec"), space)
        except Exception as error:
            raise AssertionError(f"{source[:60]!r} fails without answers: {error}") from error
    assert set(verdicts(name, space).values()) == {0.0}
    for result in space["grader"].check_all():
        assert result.messages, f"{result.question} passes without an answer"
        for message in result.messages:
            assert len(message) > 15 and "is not true" not in message


@each
def test_the_page_lists_it(name):
    one, text = built(name), (ROOT / "book" / "assignments.md").read_text()
    assert f"## {one.title}" in text
    assert f"/book/assignments/{name}/{name}.ipynb)" in text
    for chapter in one.meta["chapters"]:
        assert (ROOT / "book" / "chapters" / f"{chapter}.py").is_file()


# --- which answers are right ----------------------------------------------------------------------


@each
def test_the_solution_scores_full(name):
    got = verdicts(name, solved(name))
    full = {q.name: q.points for q in built(name).questions if not q.manual}
    assert got == pytest.approx(full)  # thirds of a point do not add up exactly
    assert all(result.passed for result in solved(name)["grader"].check_all())


@each
def test_three_wrong_answers_for_every_question(name):
    asked = [question for question, _, _ in wrong_answers(name)]
    for question in built(name).questions:
        assert question.manual or asked.count(question.name) >= 3, question.name
    assert (WRONG / f"{name}.py").is_file()


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # a wrong answer may divide by zero
@pytest.mark.parametrize(
    ("name", "question", "what", "code"),
    [(n, *wrong) for n in NAMES for wrong in wrong_answers(n)],
    ids=[f"{n[:2]}-{q}-{what.replace(' ', '_')}" for n in NAMES for q, what, _ in wrong_answers(n)],
)
def test_a_wrong_answer_does_not_score_full(name, question, what, code):
    space = dict(solved(name))
    exec(compile(code, what, "exec"), space)
    space.pop("grader")
    points = next(q.points for q in built(name).questions if q.name == question)
    got = verdicts(name, space, question)[question]
    assert got < points
    if most := re.search(r"\(at most ([\d.]+)\)", what):  # it misses the point of the question
        assert got <= float(most[1]) + 1e-9


# --- variants -------------------------------------------------------------------------------------


@each
def test_another_variant_has_other_answers_and_the_same_solution(name):
    path = assignments.find(name)
    other = assignments.build(path, variant=5)
    assert other.variant == 5 and built(name).variant != 5
    changed = other.student.replace("VARIANT = 5", f"VARIANT = {built(name).variant}")
    changed = changed.replace('"variant": 5', f'"variant": {built(name).variant}')
    assert changed == built(name).student, "one number is all that differs"
    theirs, mine = run(other.solution), solved(name)
    drawn = [q for q in other.tests if "VARIANT" in other.tests[q].split("name =")[1]]
    assert drawn, "no question depends on the variant"
    for question in drawn:
        tests = check.cases(other.tests[question])
        assert [case.run(theirs) for case in tests] == [None] * len(tests)
        stale = dict(mine, VARIANT=5)
        assert any(case.run(stale) for case in tests), "the answer of another variant passes"


# --- otter-grader ---------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@each
def test_otter_says_the_same(name):
    from otter.test_files import create_test_file
    from otter.test_files.exception_test import ExceptionTestFile

    assert create_test_file
    digits = re.compile(r"\d[\d.e-]*")  # a wrong answer may draw at random
    spaces = [solved(name)]
    for question, _, code in wrong_answers(name)[::6]:
        space = dict(solved(name), asked=question)
        exec(code, space)
        spaces.append(space)
    for space in spaces:
        for question, text in built(name).tests.items():
            if space.get("asked", question) != question:
                continue
            theirs = ExceptionTestFile.from_string(text, path=f"{question}.py")
            theirs.run(space)
            ours = [case.run(space) for case in check.cases(text)]
            for mine, result in zip(ours, theirs.test_case_results, strict=True):
                assert (mine is None) == result.passed
                if mine is not None and "AssertionError" in result.message:
                    assert digits.sub("0", result.message).endswith(
                        digits.sub("0", mine.strip("'"))
                    )
            if space is spaces[0]:
                points = next(q.points for q in built(name).questions if q.name == question)
                assert theirs.score == theirs.possible == points


@each
def test_gradescope_gets_the_same_tests(name):
    one = built(name)
    with zipfile.ZipFile(BytesIO(one.zip)) as archive:
        for question, text in one.tests.items():
            assert archive.read(f"tests/{question}.py").decode() == text
        assert assignments.home().install in archive.read("environment.yml").decode()
        assert {info.date_time for info in archive.infolist()} == {assignments.THEN}
