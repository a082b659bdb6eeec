"""The tasks changed under three methods: where does PHA's gain begin, and where does it end?

A lead can only be seen where there is room for one. So the four rules are such as, by the learning
curves of the tuning seed, a training of this length can learn with 100 rows of each task and does
not exhaust: two of the related half and two rivals. PHA and the two methods between which it stands
try the same three learning rates on the usual tasks, and keep them where the tasks are changed.
"""

from __future__ import annotations

from pathlib import Path

from .runner import Runner, best_rate, common_settings, tuning_curve
from .setting import GRID, TUNING_SEEDS

N, RULES = 100, ["entailment", "paraphrase", "sentiment", "time"]
SIZE = {"rules": RULES, "steps": 1200, "batch": 24}
METHODS = ("pha", "shared_adapter", "adapter_per_task")
LEVELS = {"relatedness": (0.8, 0.6), "conflict": (0.6, 0.0)}  # both knobs stand at 1 elsewhere
SURFACES = (1, 2)  # of three


def _cell(method: str, lr: float, test: bool, change: dict | None = None, **size) -> dict:
    cell = {"cell": "ablation", "method": method, "n": N, "lr": lr, "seed": 0, "test": test}
    return cell | ({"change": change} if change else {}) | SIZE | size


def _grid(rates: dict[tuple, float]) -> list[tuple[str, float, str, dict]]:
    """(what was changed, its value, method, cell of seed 0) of every run."""
    jobs = []
    for method in METHODS:
        lr = rates[method,]
        jobs.append(("usual", 1, method, _cell(method, lr, True)))
        for knob, values in LEVELS.items():
            for value in values:
                change = {"suite": {knob: value}}
                jobs.append((knob, value, method, _cell(method, lr, True, change)))
        if method == "adapter_per_task":  # its tasks don't touch each other
            continue
        for count in SURFACES:  # as many rows of each task per step as ever: two
            cell = _cell(method, lr, True, {"surfaces": count}, batch=8 * count)
            jobs.append(("source tasks", 4 * count, method, cell))
        jobs.append(("source tasks", 24, method, _cell(method, lr, True, rules=None, batch=48)))
    return jobs


def other_tasks(run: Runner) -> Path:
    """Rivals told apart, answers turned around, fewer and more source tasks."""
    (seed,) = TUNING_SEEDS
    tuned = run([_cell(m, lr, False) | {"seed": seed} for m in METHODS for lr in GRID])
    rows = []
    grid = _grid(best_rate(tuned, "method"))
    for at, seed in enumerate(run.seeds(), 1):
        done = run([cell | {"seed": seed} for *_, cell in grid])
        rows += [
            {"changed": what, "value": value, "method": method, "lr": cell["lr"], "seed": seed}
            | got
            for (what, value, method, _), (cell, got) in zip(grid, done, strict=True)
        ]
        settings = common_settings() | {"n": N, "rules": RULES, "steps": SIZE["steps"]}
        settings |= {"batch_size": SIZE["batch"], "seeds": run.seeds()[:at]}
        path = run.write(settings=settings, curve=tuning_curve(tuned, "method"), rows=rows)
    return path
