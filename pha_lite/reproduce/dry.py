"""What a plan will read and cost, told before anything runs."""

from __future__ import annotations

from pha_lite.config import BASELINES, PHAConfig
from pha_lite.estimate import HOW, T5Sizes, cost, sizes_of, speed_here
from pha_lite.experiments.paper import load, sampled
from pha_lite.experiments.setting import Cell
from pha_lite.fewshot import BATCH

from .planning import Plan, missing
from .protocol import EXPERIMENTS


def dry_run(made: Plan, tflops: float | None = None) -> dict:
    """Data, steps, memory and time of a plan: estimates, with how they were computed.

    Without a data folder rows are not counted, as that would download them; then the work of
    validation and test is left out, too.

    Args:
        made: the plan.
        tflops: speed of the device in 10^12 operations per second; None measures this machine.
    """
    training = next(iter(made.cells.values()))["training"]
    local = training["data_dir"] is not None
    gone = missing(made) if local else {}
    speed = speed_here() if tflops is None else tflops * 1e12
    t5 = sizes_of(training["backbone"])
    cells = {name: _cost(cell, t5, gone, local) for name, cell in made.cells.items()}
    operations = sum(found["operations"] for found in cells.values())
    for found in cells.values():
        found["hours"] = found["operations"] / speed / 3600
    measured = (
        "measured on this machine just now, one matrix product" if tflops is None else "given"
    )
    return {
        "experiment": made.experiment,
        "about": EXPERIMENTS[made.experiment].about,
        "departures": made.departures,
        "data": "local files" if local else "the hub; not looked up, so rows are not known",
        "missing": gone,
        "cells": cells,
        "hours": operations / speed / 3600,
        "memory_gib": max(found["memory_gib"] for found in cells.values()),
        "disk_gib": sum(found["disk_gib"] for found in cells.values()),
        "speed": {"tflops": speed / 1e12, "from": measured},
        "estimate": HOW,
    }


def _cost(cell: Cell, t5: T5Sizes, gone: dict, local: bool) -> dict:
    """Rows, steps and estimates of one cell."""
    training, joint = cell["training"], cell["cell"] == "joint"
    names = training["tasks"] if joint else [cell["task"]]
    counted = local and not gone.keys() & set(names)
    rows = _rows(cell, names) if counted else {}
    if joint:
        train = training["train"]
        steps, batch, every = train["steps"], train["batch_size"], train["eval_every"]
        checks = -(-steps // every) if every else 0
        scored = checks * rows.get("validation", 0) + rows.get("test", 0)
    else:
        steps, batch = cell["steps"], min(cell["k"], BATCH)
        checks, scored = 0, 2 * rows.get("test", 0)
    method = training["method"]
    base = PHAConfig.from_dict(training["model"])
    form = method if method in BASELINES else "pha"
    config = PHAConfig.baseline(form, base, tasks=training["tasks"])
    width = 4 if training["dtype"] == "float32" else 2
    one = cost(t5, config, method, batch, width=width)
    return {
        "rows": rows if counted else "not known",
        "steps": steps,
        "batch": batch,
        "epochs": steps * batch / rows["train"] if counted else None,
        "validations": checks,
        "trained": one.trained,
        "operations": steps * one.step + scored * one.answer,
        "memory_gib": one.memory / 2**30,
        "disk_gib": one.disk / 2**30 if joint else 0.0,
    }


def _rows(cell: Cell, names: list[str]) -> dict[str, int]:
    """Rows that a cell trains on, validates on and tests on, over all its tasks."""
    training, most = cell["training"], cell["limit"] or float("inf")
    tasks = [load(name, training["data_dir"]) for name in names]
    test = sum(min(len(task["test"]), most) for task in tasks)
    if cell["cell"] == "new_task":
        return {"train": cell["k"], "validation": 0, "test": test}
    tasks = [sampled(task, training["size"], training["seed"]) for task in tasks]
    valid = training["train"]["eval_limit"] or float("inf")
    return {
        "train": sum(len(task["train"]) for task in tasks),
        "validation": sum(min(len(task["validation"]), valid) for task in tasks),
        "test": test,
    }
