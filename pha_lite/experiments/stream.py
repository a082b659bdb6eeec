"""A stream of tasks: what is learnt, kept and stored as tasks arrive one after another.

A model is first trained jointly on base tasks; then tasks new to it arrive, each with n examples
and as many AdamW steps whatever the strategy. After every arrival all tasks so far are asked:
R[i][j] is the accuracy on arrival j after arrival i, for j <= i (rows of growing length). The
protocol is our choice; the measures name their sources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import TYPE_CHECKING

from pha_lite.errors import PHAError, unknown

if TYPE_CHECKING:
    from pha_lite.model import PHAModel
    from pha_lite.suite import Suite
    from pha_lite.tasks import Task

Matrix = Sequence[Sequence[float]]

# Left out: a rule with inputs of its own, and one that reads another rule's inputs.
BASE_RULES = (
    "acceptability", "entailment", "paraphrase", "sentiment", "first-witness", "last-witness",
)  # fmt: skip
STRATEGIES: dict[str, tuple[str, str]] = {  # method of the model, what of it an arrival tunes
    "prototype": ("pha", "prototype"),
    "sequential": ("shared_adapter", "all"),
    "adapter_per_task": ("adapter_per_task", "prototype"),  # its own row of every table: an adapter
    "sequential_full": ("full", "all"),
    "untouched": ("shared_adapter", "none"),  # control: the base model answers, nothing is learnt
    "joint": ("pha", "all"),  # upper mark, see `Joint`
    "joint_shared": ("shared_adapter", "all"),
}


# --- measures -------------------------------------------------------------------------------------


def average_accuracy(R: Matrix) -> list[float]:
    """Mean accuracy on all tasks so far, after each arrival (Lopez-Paz & Ranzato 2017)."""
    return [fmean(row) for row in R]


def forgetting(R: Matrix) -> list[float]:
    """For every task but the last: its best accuracy before the last arrival minus the final one.

    From -1 to 1, negative where later tasks helped (Chaudhry et al. 2018, who report the mean).

    >>> forgetting([[0.75], [1.0, 0.5], [0.5, 0.75, 0.5]])
    [0.5, -0.25]
    """
    return [max(row[j] for row in R[j:-1]) - R[-1][j] for j in range(len(R) - 1)]


def backward_transfer(R: Matrix) -> list[float]:
    """For every task but the last: final accuracy minus that right after its arrival.

    Lopez-Paz & Ranzato (2017), who report the mean.
    """
    return [R[-1][j] - R[j][j] for j in range(len(R) - 1)]


def forward_transfer(R: Matrix, scratch: Sequence[float]) -> list[float]:
    """For every task: accuracy right after its arrival minus that of learning it from scratch.

    Our choice: Lopez-Paz & Ranzato (2017) ask *before* the arrival, when a model with a row per
    task has no row to answer with yet.

    Args:
        scratch: accuracy of the same method, trained from nothing on each task alone.
    """
    return [row[-1] - alone for row, alone in zip(R, scratch, strict=True)]


def stored(counts: Mapping[str, float], arrivals: int) -> dict[str, list[int]]:
    """Trained numbers kept before the stream and after each arrival, and their bytes in float32.

    Args:
        counts: `PHAModel.count_parameters()` of the base model.
    """
    each = counts["per_additional_task"]
    numbers = [int(counts["total"] + i * each) for i in range(arrivals + 1)]
    return {"numbers": numbers, "bytes": [4 * number for number in numbers]}


# --- strategies: learn(task) -> None, predict(texts, name of a task so far, labels) -> answers ----


class InTurn:
    """Tunes a model, or a part of it, on each task as it arrives, by `fewshot.adapt`.

    Attributes:
        model: after the last arrival; the one handed over stays as it was.
        sources: for every arrival the task whose prototype it started from, None without one.
    """

    def __init__(self, model: PHAModel, tune: str, start: str, steps: int, lr: float, seed: int):
        self.model, self.seed, self.sources = model, seed, []
        self.how = {"tune": tune, "start": start, "steps": steps, "lr": lr}

    def learn(self, task: Task) -> None:
        from pha_lite.fewshot import adapt

        if task.name in self.model.config.tasks:
            raise PHAError(f"{task.name!r} is known already: a task arrives once")
        rows, seed = task["train"], _lot(self.seed, task.name)
        # adapt() also scores: a training row stands in, so that no test row is read while learning
        task = replace(task, splits={"train": rows, "test": rows})
        found = adapt(self.model, task, len(rows), seed=seed, limit=1, **self.how)
        self.model = found.model
        self.sources.append(found.source)

    def predict(self, texts: Sequence[str], task: str, labels: Sequence[str] | None) -> list[str]:
        return self.model.predict(texts, task, labels)


class Joint:
    """Upper mark: keeps all examples, and trains a new model on all of them when it is asked.

    Args:
        tasks: the base tasks by name.
        settings: of `TrainConfig`.
    """

    def __init__(self, fresh: Callable, tasks: Mapping[str, Task], settings: dict):
        self.fresh, self.tasks, self.settings, self.model = fresh, dict(tasks), settings, None

    def learn(self, task: Task) -> None:
        self.tasks[task.name], self.model = task, None

    def predict(self, texts: Sequence[str], task: str, labels: Sequence[str] | None) -> list[str]:
        from pha_lite.train import TrainConfig, train

        if self.model is None:
            self.model = self.fresh(list(self.tasks))
            train(self.model, self.tasks, TrainConfig(**self.settings), progress=False)
        return self.model.predict(texts, task, labels)


# --- the stream -----------------------------------------------------------------------------------


def arrivals(suite: Suite, rules: Collection[str], count: int, seed: int) -> list[tuple[str, str]]:
    """Tasks in the order of their arrival, with what is new: ("sentiment/museum", "surface").

    One half asks a rule of the base on a new surface, the other a new rule on a surface of the
    base; both halves and the order are drawn by the seed.
    """
    from pha_lite.tasks import shuffled

    grid = suite.cells.items()
    halves = {
        "surface": [n for n, c in grid if c.rule in rules and c.new_surface],
        "rule": [n for n, c in grid if c.rule not in rules and not c.new_surface],
    }
    most = 2 * min(map(len, halves.values()))
    if count not in range(2, most + 1, 2):
        raise PHAError(f"arrivals={count}: an even number from 2 to {most}")
    drawn = []
    for what, names in halves.items():
        order = shuffled(len(names), _lot(seed, what))
        drawn += [(names[i], what) for i in order[: count // 2]]
    return [drawn[i] for i in shuffled(count, _lot(seed, "order"))]


def play(learner, tasks: Sequence[Task], split: str, rows: int, last_only: bool = False) -> Matrix:
    """Lets the tasks arrive; R, or its last row alone, on so many rows of a split per task."""
    from pha_lite.train import evaluate_tasks

    R, seen = [], {}
    for task in tasks:
        learner.learn(replace(task, splits={"train": task["train"]}))
        seen[task.name] = task
        if not last_only or len(seen) == len(tasks):
            R.append(list(evaluate_tasks(learner, seen, split, rows).values()))
    return R


def _lot(seed: int, word: str) -> int:
    """A seed of its own for every task, and other than the model's.

    With the model's seed a fresh prototype would be, to the last bit, the initial one of the
    model's first task.
    """
    import numpy as np

    return int(np.random.default_rng([seed, *word.encode()]).integers(2**31))


def stream_cell(
    strategy: str,
    n: int,
    lr: float,
    seed: int,
    test: bool,
    base: Mapping,
    rules: Sequence[str] | None = BASE_RULES,
    count: int = 12,
    steps: int = 100,
    rows: int = 60,
    start: str = "retrieved",
    alone: bool = False,
) -> dict:
    """One stream under one strategy.

    Args:
        strategy: a name of `STRATEGIES`.
        n: examples per arrival.
        lr: constant learning rate of an arrival; for "joint...", the peak rate of its training.
        seed: of the base phase, the order and the examples.
        test: score test rows and report everything; else the means on validation rows.
        base: n and lr of the base phase, further arguments of `setting.trained` if need be.
        rules: of the base tasks; None for all rules of the training tasks.
        count, steps: number of arrivals, AdamW steps in each ("joint...": after those of the base).
        rows: scored rows per task.
        start: of a new prototype, see `fewshot.adapt`; other strategies have no use for it.
        alone: learn each task from scratch instead, by a new model tuned whole: the `scratch` of
            `forward_transfer`.

    Returns:
        With `test`: R (its last row for "joint..." and `alone`) and the order of arrivals; then
        what the measures give, the prototypes' sources, mean accuracy on the base tasks before and
        after the stream, numbers tuned by an arrival, and how many rows "joint..." keeps.
    """
    from pha_lite.fewshot import episode
    from pha_lite.train import evaluate_tasks

    from . import setting

    if strategy not in STRATEGIES:
        raise PHAError(unknown("strategy", strategy, STRATEGIES))
    method, tune = STRATEGIES[strategy]
    joint, split = strategy.startswith("joint"), "test" if test else "validation"
    model, suite, known, _ = setting.trained(method, seed=seed, rules=rules, **base)
    order = arrivals(suite, {suite.cells[name].rule for name in known}, count, seed)
    tasks = [episode(suite[name], n, _lot(seed, name)) for name, _ in order]

    def fresh(names: list[str]) -> PHAModel:
        return setting.new_model(method, base.get("backbone", "tiny"), names, seed)

    found = {"order": [{"task": name, "new": what} for name, what in order]}
    if alone:  # a model has at least one task: the one it is made with is never trained
        how = ("all", "fresh", steps, lr, seed)
        R = [[play(InTurn(fresh(["nothing"]), *how), [t], split, rows)[0][0] for t in tasks]]
    elif joint:
        total = base.get("steps", setting.STEPS) + count * steps
        settings = {"steps": total, "batch_size": base.get("batch", setting.BATCH), "lr": lr}
        learner = Joint(fresh, known, settings | {"seed": seed, "eval_every": 0})
        R = play(learner, tasks, split, rows, last_only=True)
        found["kept_rows"] = sum(len(task["train"]) for task in learner.tasks.values())
    else:
        learner = InTurn(model, tune, start if method == "pha" else "fresh", steps, lr, seed)
        R = play(learner, tasks, split, rows)
        found |= {"average": average_accuracy(R), "sources": learner.sources}
        found |= {"forgetting": forgetting(R), "backward": backward_transfer(R)}
    if not test:
        means = {name: fmean(found[name]) for name in ("forgetting", "backward") if name in found}
        return {"validation": {"all": fmean(R[-1]), **means}}
    found["R"] = R
    if alone:
        return found
    before, after = (evaluate_tasks(m, known, split, rows).values() for m in (model, learner))
    found["base"] = {"before": fmean(before), "after": fmean(after)}
    counts = model.count_parameters()
    tuned = {"all": counts["total"], "prototype": counts["per_additional_task"], "none": 0}[tune]
    return found | stored(counts, count) | {"tuned": int(tuned)}
