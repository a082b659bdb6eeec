"""Check your own answers to an assignment, with nothing but this package.

>>> from pha_lite.check import Notebook
>>> grader = Notebook("a1_adapters")
>>> list(grader.questions)[:2]
['q1', 'q2']

`grader.check("q1")` runs the public tests of a question on what your cells have defined. They are
the test files of otter-grader, and otter-grader's own `Notebook` says the same; here they need no
package but this one. Hidden tests are not part of the package: they run when a submission is
graded. All of it is our own (no source).
"""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from .errors import PHAError, unknown
from .paths import data_dir

IMPORT = "from otter.test_files import test_case\n"  # the first line of otter's test files


# ---- tests ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """One test: a function of what a notebook has defined, which raises where that is wrong.

    Its parameters are names of the notebook; one called ``env`` gets all of them in a dictionary.
    """

    function: Callable
    points: float = 0.0
    hidden: bool = False

    @property
    def name(self) -> str:
        return self.function.__name__

    def run(self, space: Mapping[str, Any]) -> str | None:
        """What is wrong with the answer, in words; None if the test passes.

        Args:
            space: what the cells have defined, such as ``globals()``.
        """
        wanted = [name for name in inspect.signature(self.function).parameters if name != "env"]
        for name in wanted:
            if name not in space:
                return f"{name} is not defined yet: run the cell with your answer, then this one."
        given = {name: space[name] for name in wanted}
        if "env" in inspect.signature(self.function).parameters:
            given["env"] = space
        try:
            self.function(**given)
        except AssertionError as error:
            return str(error) or f"{self.name} failed without a message"
        except (Exception, SystemExit) as error:
            return f"{type(error).__name__}: {error}{place(error, wanted)}"
        return None


def place(error: BaseException, names: list[str]) -> str:
    """Where in a student's function an error arose, if it did: ``" (bottleneck, line 3)"``."""
    found, step = "", error.__traceback__
    while step is not None:
        name = step.tb_frame.f_code.co_name
        if name in names:
            found = f" ({name}, line {step.tb_lineno} of its cell)"
        step = step.tb_next
    return found


def cases(text: str, name: str = "tests") -> list[Case]:
    """The tests of one question, from the text of an exception-based test file of otter-grader."""

    def mark(points=None, hidden=False, **_):
        return partial(Case, points=points or 0.0, hidden=hidden)

    space: dict = {"test_case": mark, "__name__": name}
    exec(compile(text.replace(IMPORT, "", 1), f"<{name}>", "exec"), space)
    return [thing for thing in space.values() if isinstance(thing, Case)]


# ---- assignments ----------------------------------------------------------------------------


def names() -> list[str]:
    """The assignments that come with the package."""
    return sorted(path.stem for path in (data_dir() / "assignments").glob("*.json"))


def find(name: str) -> str:
    """The full name of an assignment from its beginning: ``"a1"`` is enough.

    Raises:
        PHAError: none begins like this.
    """
    known = names()
    found = [full for full in known if full == name or full.startswith(f"{name}_")]
    if len(found) != 1:
        raise PHAError(unknown("assignment", name, known))
    return found[0]


@dataclass(frozen=True)
class Result:
    """What the public tests of one question say.

    Attributes:
        question: its name.
        tests: how many tests ran.
        messages: one for each test that failed.
    """

    question: str
    tests: int
    messages: tuple[str, ...]

    @property
    def passed(self) -> bool:
        return not self.messages

    def __repr__(self) -> str:
        tests = "1 public test" if self.tests == 1 else f"{self.tests} public tests"
        if self.passed:
            return f"{self.question}: passed, {tests}. Hidden tests give the points."
        lines = [f"{self.question}: {len(self.messages)} of {tests} failed."]
        for message in self.messages:
            lines += [f"  - {message}".replace("\n", "\n    ")]
        return "\n".join(lines)


class Results(list[Result]):
    """Results of several questions, shown one below the other."""

    def __repr__(self) -> str:
        return "\n".join(map(repr, self))


class Notebook:
    """The checker of one assignment, with the methods of otter-grader's class of this name.

    Args:
        assignment: its name, or how it begins: ``"a1"``.
        space: where the answers are; the globals of the caller, a notebook's cell, if not given.

    Raises:
        PHAError: there is no such assignment.
    """

    def __init__(self, assignment: str, space: Mapping[str, Any] | None = None):
        self.assignment = find(assignment)
        path = data_dir() / "assignments" / f"{self.assignment}.json"
        self.questions: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))["tests"]
        self.space = sys._getframe(1).f_globals if space is None else space

    def check(self, question: str) -> Result:
        """Runs the public tests of one question.

        Raises:
            PHAError: the assignment has no question of this name with tests.
        """
        if question not in self.questions:
            raise PHAError(unknown("question", question, self.questions))
        tests = cases(self.questions[question], question)
        found = [case.run(self.space) for case in tests]
        return Result(question, len(tests), tuple(m for m in found if m is not None))

    def check_all(self) -> Results:
        """`check` for every question, in order."""
        return Results(self.check(question) for question in self.questions)


def check(assignment: str, question: str, space: Mapping[str, Any] | None = None) -> Result:
    """Runs the public tests of one question: ``check("a1", "q1", globals())``."""
    space = sys._getframe(1).f_globals if space is None else space
    return Notebook(assignment, space).check(question)


# ---- what tests say -------------------------------------------------------------------------


def same(got: Any, want: Any, what: str, hint: str = "", atol: float = 1e-5) -> None:
    """Raises AssertionError in words unless a number or tensor is what it should be.

    Args:
        got: a student's result.
        want: a tensor, or a number.
        what: what `got` is, such as ``"bottleneck(x)"``; the message begins with it.
        hint: what to think of, at the end of the message.
        atol: tolerance; relative to the largest number of `want` where that is above 1.

    >>> same(torch.ones(2, 3), torch.ones(3, 2), "y")
    Traceback (most recent call last):
    AssertionError: y must have the shape (3, 2), got (2, 3).
    """
    end = f" {hint}" if hint else ""
    if not isinstance(want, torch.Tensor):
        if isinstance(got, torch.Tensor) and got.numel() == 1:
            got = got.item()
        if isinstance(got, bool) or not isinstance(got, int | float):
            raise AssertionError(f"{what} must be a number, got {short(got)}.{end}")
        if isinstance(want, int) and int(got) != got:
            raise AssertionError(f"{what} must be a whole number, got {short(got)}.{end}")
        if not abs(got - want) <= (0 if isinstance(want, int) else atol * max(1.0, abs(want))):
            raise AssertionError(f"{what} must be {short(want)}, got {short(got)}.{end}")
        return
    shaped(got, tuple(want.shape), what, hint)
    got, want = got.detach().double(), want.detach().double()
    if not torch.isfinite(got).all():
        raise AssertionError(f"{what} must be finite, but holds infinity or nan.{end}")
    far = (got - want).abs()
    if far.numel() and far.max() > atol * max(1.0, want.abs().max().item()):
        place = tuple(i.item() for i in torch.unravel_index(far.argmax(), far.shape))
        where = f" at {list(place)}" if place else ""
        raise AssertionError(
            f"{what}{where} must be {want[place].item():.4g}, got {got[place].item():.4g}.{end}"
        )


def shaped(got: Any, shape: tuple[int, ...], what: str, hint: str = "") -> None:
    """Raises AssertionError unless `got` is a tensor of this shape."""
    end = f" {hint}" if hint else ""
    if not isinstance(got, torch.Tensor):
        raise AssertionError(f"{what} must be a tensor, got {short(got)}.{end}")
    if tuple(got.shape) != tuple(shape):
        raise AssertionError(
            f"{what} must have the shape {tuple(shape)}, got {tuple(got.shape)}.{end}"
        )


def choice(got: Any, letters: str, what: str) -> None:
    """Raises AssertionError unless `got` is one of the letters."""
    allowed = ", ".join(f'"{letter}"' for letter in letters)
    if not isinstance(got, str) or got not in set(letters):
        raise AssertionError(f"{what} must be one of {allowed}, got {short(got)}.")


def short(value: Any) -> str:
    """A value in at most one line."""
    if value is None:
        return "None (does it return its result?)"
    if value is ...:
        return "... (no answer yet)"
    if isinstance(value, torch.Tensor):
        return f"a tensor of shape {tuple(value.shape)}"
    if isinstance(value, float):
        return f"{value:.6g}"
    try:
        text = " ".join(repr(value).split())
    except Exception:
        text = f"a {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:57]}..."
