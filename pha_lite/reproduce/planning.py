"""From an experiment to its cells, and running those that are not done yet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from itertools import product
from pathlib import Path

from pha_lite.checkpoint import check_writable
from pha_lite.config import PHAConfig
from pha_lite.errors import DataError, PHAError, unknown
from pha_lite.experiments.paper import Training, load
from pha_lite.experiments.runner import run_cells
from pha_lite.experiments.setting import Cell
from pha_lite.train import TrainConfig

from . import comparison
from .protocol import EXPERIMENTS, Experiment

METHODS = (
    "pha", "full", "shared_adapter", "adapter_drop", "bitfit", "lora", "prompt", "hyperformer",
    "instance", "task_embedding", "without_retriever", "adapter_per_task",
)  # fmt: skip
STARTS = ("retrieved", "mean", "random", "fresh", "fresh_adapter")


@dataclass
class Plan:
    """The cells of an experiment, by name, and how they depart from the paper's setting."""

    experiment: str
    cells: dict[str, Cell]
    departures: list[str]

    def tasks(self) -> list[str]:
        """Every benchmark that is read."""
        cells = self.cells.values()
        names = [name for cell in cells for name in cell["training"]["tasks"]]
        names += [cell["task"] for cell in cells if "task" in cell]
        return list(dict.fromkeys(names))


def plan(
    experiment: str,
    *,
    backbone: str = "google-t5/t5-base",
    data_dir: str | None = None,
    methods: Sequence[str] = ("pha",),
    seeds: int = 1,
    tasks: Sequence[str] = (),
    new: Sequence[str] = (),
    starts: Sequence[str] = STARTS,
    dtype: str = "float32",
    settings: dict | None = None,
    only: str = "*",
    limit: int | None = None,
) -> Plan:
    """The cells of one experiment.

    Args:
        experiment: a name of `EXPERIMENTS`.
        backbone: as for `load_backbone`; "tiny" takes the sizes and settings of the embedded one.
        data_dir: folder with the benchmarks' own files; None asks PHA_DATA_DIR, then the hub.
        methods: names of `METHODS`.
        seeds: 0 ... seeds - 1. How many the paper averages is not known here.
        tasks, new: in place of the experiment's own.
        starts: of a new task in "fewshot", for methods with prototypes.
        dtype: of the frozen backbone.
        settings: fields of `TrainConfig` and `PHAConfig`, which win.
        only: cells whose name fits this pattern, and the trainings these need.
        limit: test rows per task.

    Raises:
        PHAError: an unknown name, a setting out of range, no cell left.
    """
    if experiment not in EXPERIMENTS:
        raise PHAError(unknown("experiment", experiment, EXPERIMENTS))
    asked = EXPERIMENTS[experiment]
    chosen = replace(asked, tasks=tuple(tasks) or asked.tasks, new=tuple(new) or asked.new)
    for method in methods:
        if method not in METHODS:
            raise PHAError(unknown("method", method, METHODS))
    for start in starts:
        if start not in STARTS:
            raise PHAError(unknown("start", start, STARTS))
    if seeds < 1:
        raise PHAError(f"seeds={seeds}: at least 1")
    settings = settings or {}
    folder = data_dir or os.environ.get("PHA_DATA_DIR") or None
    common = {
        "backbone": backbone,
        "dtype": dtype,
        "data_dir": None if folder is None else str(Path(folder).absolute()),
    }
    cells: dict[str, Cell] = {}
    for method, size, seed in product(methods, chosen.sizes, range(seeds)):
        model, train = _fields(chosen, size, backbone == "tiny", settings)
        training: Training = {
            "tasks": list(chosen.tasks), "method": method, "size": size, "seed": seed,
            "model": model, "train": train, **common,
        }  # fmt: skip
        name = f"{experiment}/{method}/{size or 'all'}/seed{seed}"
        cells[name] = {"cell": "joint", "training": training, "limit": limit}
        for task, k, (start, tune) in product(chosen.new, chosen.k, _ways(method, starts)):
            how = {"task": task, "k": k, "start": start, "tune": tune, "steps": 20, "lr": None}
            cells[f"{name}/{task}/k{k}/{start}"] = {
                "cell": "new_task", "training": training, "seed": seed, "limit": limit, **how,
            }  # fmt: skip
    kept = {name for name in cells if fnmatch(name, only)}
    if not kept:
        raise PHAError(f"--only {only}: no cell fits; one is called {next(iter(cells))}")
    kept |= {other for other in cells for name in kept if name.startswith(f"{other}/")}
    cells = {name: cell for name, cell in cells.items() if name in kept}
    return Plan(experiment, cells, _departures(asked, chosen, backbone, settings, limit))


def _fields(chosen: Experiment, size: int | str | None, tiny: bool, given: dict) -> tuple:
    """Fields of the model and of its training: preset, then experiment, then what was given."""
    model = PHAConfig.tiny() if tiny else PHAConfig.from_dict(chosen.model)
    train = TrainConfig() if tiny else TrainConfig.paper(**{**chosen.train, **chosen.steps(size)})
    parts = []
    for preset in (model, train):
        own = preset.to_dict()
        changed = own | {name: value for name, value in given.items() if name in own}
        parts.append(type(preset).from_dict(changed).to_dict())  # checked
    known = {**parts[0], **parts[1]}
    for name in given:
        if name not in known:
            raise PHAError(unknown("field", name, known))
    for name in ("tasks", "seed"):  # a cell's own
        if name in given:
            raise PHAError(f"{name}: not a setting of the experiment; use --{name.rstrip('s')}s")
        for part in parts:
            part.pop(name, None)
    return tuple(parts)


def _ways(method: str, starts: Sequence[str]) -> list[tuple[str, str]]:
    """(start, what is tuned) of a new task. Without a row per task all that is trained is tuned."""
    if method in ("pha", "task_embedding", "without_retriever", "hyperformer"):
        known = starts if method == "pha" else [s for s in starts if s != "retrieved"]
        return [(start, "prototype") for start in known]
    return [("fresh", "all")]


def _departures(
    asked: Experiment, chosen: Experiment, backbone: str, settings: dict, limit: int | None
) -> list[str]:
    found = []
    if backbone.removeprefix("google-t5/") != "t5-base":
        found.append(f"backbone {Path(backbone).name} in place of T5-base")
    if set(chosen.tasks) != set(asked.tasks):
        found.append(f"trained on {', '.join(chosen.tasks)} alone")
    if set(chosen.new) != set(asked.new):
        found.append(f"new tasks {', '.join(chosen.new)}")
    found += [f"{name} = {value}" for name, value in settings.items()]
    if limit is not None:
        found.append(f"at most {limit} test rows per task")
    return found


def missing(made: Plan) -> dict[str, str]:
    """Tasks that cannot be read -> why. Reads every file, or asks the hub for it."""
    data_dir = next(iter(made.cells.values()))["training"]["data_dir"]
    found = {}
    for name in made.tasks():
        try:
            load(name, data_dir)
        except DataError as error:
            found[name] = str(error)
    return found


def check_data(made: Plan) -> None:
    """Raises DataError with every task that cannot be read, before hours of work."""
    if gone := missing(made):
        there = [name for name in made.tasks() if name not in gone]
        rest = f"; with the others: --tasks {','.join(there)}" if there else ""
        lines = "".join(f"\n  {reason}" for reason in gone.values())
        raise DataError(
            f"{made.experiment}: {len(gone)} of {len(gone) + len(there)} tasks cannot be read. "
            f"They come from --data-dir (or PHA_DATA_DIR), or without it from the hub{rest}{lines}"
        )


def run(made: Plan, output: Path) -> dict:
    """Runs the cells that `output` does not hold yet, and writes the tables after each.

    Returns:
        The comparison, as `comparison.write` puts it into `results.json`.
    """
    check_writable(output)
    check_data(made)
    results: dict[str, tuple[Cell, dict]] = {}
    for name, cell in made.cells.items():
        (found,) = run_cells("cells", [cell], 0, output).values()
        results[name] = cell, found
        table = comparison.write(output, made.experiment, results, made.departures, len(made.cells))
    return table
