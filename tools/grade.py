"""Grade one submission or a folder of them into a table.

    python tools/grade.py SUBMISSION [--assignment a1] [--out grades]

Writes grades/NAME.csv, a row for each submission, and grades/NAME.md, which says for each question
what was wrong and quotes the answers that a teacher has to read. A submission that does not parse,
does not end, prints without end or looks for the solution gets a score and a reason like any other,
and the next one is graded. Grading twice writes the same bytes.

The engine is ours, not `otter run`: that puts the hidden tests as files beside the notebook it
runs, and sets no limits of time, memory or output. The tests are the same. For Gradescope, use the
zip that `make assignments` writes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import multiprocessing
import os
import re
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import assignments
import grade_worker
from assignments import Assignment
from grade_worker import Limits, code_cells, read
from tqdm import tqdm

from pha_lite.check import Case, cases

PROMPT = re.compile(r"^_Type your answer here.*_$")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "HF_HUB_OFFLINE": "1"}
LONGEST = 1 << 20  # bytes of one message from a submission's process


@dataclass
class Grade:
    """What one submission got, and why.

    Attributes:
        name: of its file, within the folder that was graded.
        assignment: which one it is; empty if nobody can tell.
        points: question -> points by tests.
        messages: question -> what its failed tests say.
        notes: what went wrong outside of the tests.
        answers: question -> the text that a teacher has to read.
    """

    name: str
    assignment: str = ""
    points: dict[str, float] = field(default_factory=dict)
    messages: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)

    @property
    def score(self) -> float:
        return round(sum(self.points.values()), 2)

    @property
    def reason(self) -> str:
        failed = [f"{q}: {texts[0]}" for q, texts in self.messages.items() if texts]
        text = "; ".join([*self.notes, *failed]) or "all tests passed"
        text = " ".join(text.split())
        return text if len(text) <= 400 else f"{text[:397]}..."


# ---- what is graded ------------------------------------------------------------------------------


def submissions(path: Path) -> dict[str, Path]:
    """Name -> file: the notebook itself, or all of a folder, those that are no notebooks too."""
    if path.is_file():
        return {path.name: path}
    if not path.is_dir():
        raise SystemExit(f"{path}: there is no such file or folder")
    hidden = re.compile(r"(^|/)(\.|__MACOSX|__pycache__)")
    files = [p for p in sorted(path.rglob("*")) if p.is_file()]
    named = {p.relative_to(path).as_posix(): p for p in files}
    named = {name: p for name, p in named.items() if not hidden.search(name)}
    folders_with = {str(Path(n).parent) for n in named if n.endswith(".ipynb")}
    found = {
        name: p
        for name, p in named.items()
        if name.endswith(".ipynb") or str(Path(name).parent) not in folders_with - {"."}
    }
    if not found:
        raise SystemExit(f"{path}: no submissions in this folder")
    return found


def assignment_of(notebook: dict) -> str:
    """Which assignment a notebook belongs to, by its metadata or by what it says to its checker."""
    meta = notebook.get("metadata")
    mine = meta.get("pha") if isinstance(meta, dict) else None
    if isinstance(mine, dict) and isinstance(mine.get("assignment"), str):
        return mine["assignment"]
    found = re.search(r"Notebook\([\"'](\w+)[\"']", "\n".join(code_cells(notebook)))
    return found[1] if found else ""


def written_answer(notebook: dict, question: str) -> str:
    """The text between a manual question's marks, without the question."""
    texts = [
        "".join(cell.get("source", ""))
        for cell in notebook["cells"]
        if isinstance(cell, dict) and cell.get("cell_type") in ("markdown", "raw")
    ]
    begin = re.compile(rf"^## {question}\. ", re.MULTILINE)
    start = next((i for i, t in enumerate(texts) if begin.search(t)), None)
    if start is None:
        return "(its cell is gone: open the notebook)"
    answer = []
    for text in texts[start + 1 :]:
        if "<!-- END QUESTION -->" in text or text.lstrip().startswith("## "):
            break
        answer.append(text.strip())
    text = "\n\n".join(part for part in answer if part and not PROMPT.match(part))
    if not text:
        return "(no answer)"
    return text if len(text) <= 5000 else f"{text[:5000]} ... (cut)"


# ---- grading -------------------------------------------------------------------------------------


@contextmanager
def pool():
    """Where processes for submissions come from: a server that has loaded torch and no test."""
    before = {key: os.environ.get(key) for key in ENVIRONMENT}
    os.environ.update(ENVIRONMENT)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*grade_worker.PRELOAD, "grade_worker"])
    try:
        yield context
    finally:
        for key, value in before.items():
            os.environ.pop(key) if value is None else os.environ.update({key: value})


def points_of(tests: list[Case], total: float) -> list[float]:
    """Points of each test: hidden ones without points of their own share what is left."""
    open_ = [case for case in tests if case.hidden and not case.points]
    left = total - sum(case.points for case in tests)
    return [left / len(open_) if case in open_ else case.points for case in tests]


def grade(name: str, path: Path, asked: str | None, context, limits: Limits) -> Grade:
    """Grades one submission; whatever it does, a `Grade` comes back."""
    result = Grade(name)
    try:
        notebook = read(path)
    except ValueError as error:
        result.notes.append(str(error))
        result.assignment = asked or ""
        return result
    says = assignment_of(notebook)
    known = {p.stem for p in assignments.sources()}
    result.assignment = asked or (says if says in known else "")
    if not result.assignment:
        result.notes.append("does not say which assignment it is: name it with ASSIGNMENT=")
        return result
    if says and says != result.assignment:
        result.notes.append(f"says that it is {says}")
    kernel = (notebook.get("metadata") or {}).get("kernelspec")
    language = kernel.get("language") if isinstance(kernel, dict) else None
    if isinstance(language, str) and language.lower() != "python":
        result.notes.append(f"its kernel is for {language[:20]}; run as Python")
    one = assignments.build(assignments.find(result.assignment))
    for question in one.questions:
        if question.manual:
            result.answers[question.name] = written_answer(notebook, question.name)
    verdicts = run(result, code_cells(notebook), one.tests, context, limits)
    score(result, one, verdicts)
    return result


def score(result: Grade, one: Assignment, verdicts: dict[tuple[str, int], str | None]) -> None:
    """Points and messages from the verdicts; a test without a verdict has failed."""
    for question in one.questions:
        if question.manual:
            continue
        tests = cases(one.tests[question.name], question.name)
        got, failed = 0.0, []
        for i, points in enumerate(points_of(tests, question.points)):
            message = verdicts.get((question.name, i), "did not run")
            if message is None:
                got += points
            else:
                kind = "hidden" if tests[i].hidden else "public"
                failed.append(f"{ADDRESS.sub('0x...', message)[:300]} ({kind})")
        result.points[question.name] = round(got, 2)
        result.messages[question.name] = failed


def run(result: Grade, sources: list[str], tests: dict, context, limits: Limits) -> dict:
    """Runs the cells and the tests in a process of their own: (question, test) -> message."""
    verdicts: dict[tuple[str, int], str | None] = {}
    folder = tempfile.mkdtemp(prefix="submission-")
    ours, theirs = context.Pipe()
    process = context.Process(
        target=grade_worker.work, args=(theirs, sources, folder, limits), daemon=True
    )
    process.start()
    theirs.close()
    end, token = time.monotonic() + limits.total, secrets.token_hex(16)

    def hear() -> dict:
        if not ours.poll(max(0.0, end - time.monotonic())):
            raise TimeoutError
        heard = json.loads(ours.recv_bytes(LONGEST))
        return heard if isinstance(heard, dict) else {}

    try:
        first = hear()
        result.notes += [str(text) for text in first.get("errors", [])][:5]
        if first.get("refused"):
            result.notes.append("was refused: " + ", ".join(map(str, first["refused"])))
        if first.get("replaced"):
            names = ", ".join(map(str, first["replaced"][:3]))
            result.notes.append(f"replaced, and put back: {names}")
        if first.get("printed"):
            result.notes.append("printed too much: the rest was dropped")
        ours.send_bytes(json.dumps({"token": token, "tests": tests}).encode())
        while not (heard := hear()).get("end"):
            if heard.get("token") != token:
                result.notes.append("sent a verdict of its own: not counted")
                break
            verdicts[heard["question"], heard["case"]] = heard["message"]
    except TimeoutError:
        result.notes.append(f"stopped after {limits.total:g} seconds in all")
    except (EOFError, OSError, ValueError, KeyError, TypeError):
        result.notes.append("its process ended before its tests did")
    finally:
        stop(process)
        ours.close()
        shutil.rmtree(folder, ignore_errors=True)
    result.notes = [ADDRESS.sub("0x...", n).replace(folder, "its folder") for n in result.notes]
    return verdicts


def stop(process) -> None:
    """Ends the process and all that it may have started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        process.kill()
    process.join()


# ---- tables --------------------------------------------------------------------------------------


def cell(value) -> str:
    """A value that a spreadsheet shows and does not compute."""
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text


def as_csv(one: Assignment, grades: list[Grade]) -> str:
    by_tests = [q for q in one.questions if not q.manual]
    by_hand = [q for q in one.questions if q.manual]
    possible = float(sum(q.points for q in by_tests))
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    head = ["submission", "score", "of", *(q.name for q in by_tests)]
    table.writerow([*head, *(f"{q.name} (of {q.points:g}, by hand)" for q in by_hand), "reason"])
    for g in grades:
        each = [g.points.get(q.name, 0.0) for q in by_tests]
        row = [g.name, g.score, possible, *each, *("" for _ in by_hand), g.reason]
        table.writerow([cell(v) for v in row])
    return out.getvalue()


def as_text(one: Assignment, grades: list[Grade]) -> str:
    """The same for reading: what was lost where, and what is left to read."""
    by_tests = [q for q in one.questions if not q.manual]
    possible = sum(q.points for q in by_tests)
    lines = [f"# {one.title}", "", f"Variant {one.variant}, {len(grades)} submissions.", ""]
    lines += ["| question | points | full | none |", "|---|--:|--:|--:|"]
    for q in by_tests:
        got = [g.points.get(q.name, 0.0) for g in grades]
        full, none = sum(p == q.points for p in got), sum(p == 0 for p in got)
        lines.append(f"| {q.name} {q.title} | {q.points:g} | {full} | {none} |")
    for g in grades:
        lines += ["", f"## {g.name}: {g.score:g} of {possible:g} by tests", ""]
        lines += [f"- {note}" for note in g.notes]
        for q in by_tests:
            for message in dict.fromkeys(g.messages.get(q.name, [])):
                text = " ".join(message.split())
                lines.append(f"- {q.name} ({g.points[q.name]:g} of {q.points:g}): {text}")
        if lines[-1] == "":
            lines.append("All tests passed.")
        for q in one.questions:
            if q.manual and q.name in g.answers:
                lines += ["", f"**{q.name}, {q.points:g} points to give by hand:**", ""]
                lines += [f"> {line}".rstrip() for line in g.answers[q.name].split("\n")]
    return "\n".join(lines) + "\n"


def grade_all(path: Path, asked: str | None, limits: Limits, quiet: bool = False) -> list[Grade]:
    """Grades a file or a folder."""
    asked = assignments.find(asked).stem if asked else None
    found = submissions(path)
    with pool() as context:
        bar = tqdm(found.items(), desc="grading", unit="submission", disable=quiet)
        return [grade(name, file, asked, context, limits) for name, file in bar]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("submission", type=Path, help="a notebook, or a folder of them")
    parser.add_argument("--assignment", help="which one, if notebooks do not say: a1")
    parser.add_argument("--out", type=Path, default=Path("grades"), help="where the tables go")
    parser.add_argument("--cell", type=float, default=Limits.cell, help="seconds for one cell")
    parser.add_argument("--total", type=float, default=Limits.total, help="seconds for all")
    parser.add_argument("--memory", type=float, default=Limits.memory, help="GiB")
    args = parser.parse_args(arguments)
    limits = Limits(args.cell, args.total, args.memory)
    grades = grade_all(args.submission, args.assignment, limits)
    args.out.mkdir(parents=True, exist_ok=True)
    names = sorted({g.assignment for g in grades if g.assignment})
    if len(names) == 1:  # what cannot be read belongs to what the others are
        for g in grades:
            g.assignment = names[0]
    for name in names:
        one = assignments.build(assignments.find(name))
        mine = [g for g in grades if g.assignment == name]
        for end, text in ((".csv", as_csv(one, mine)), (".md", as_text(one, mine))):
            (args.out / f"{name}{end}").write_text(text, encoding="utf-8")
            print(f"wrote {args.out / name}{end}")
    for g in grades:
        print(f"{g.name}: {g.score:g}, {g.reason}"[:160])
    lost = [g for g in grades if not g.assignment]
    if lost:
        print(f"{len(lost)} of unknown assignment: in no table; name it with ASSIGNMENT=")
    return 0


if __name__ == "__main__":
    sys.exit(main())
