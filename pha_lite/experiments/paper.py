"""Cells of `pha reproduce`: one training on real benchmarks, and one new task met by its model.

A training keeps its checkpoint and its model in a folder of its own: a cell that was cut off goes
on from its last validation, and a model that meets many new tasks is trained once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from .setting import folder_of

if TYPE_CHECKING:
    from pha_lite.model import PHAModel
    from pha_lite.tasks import Task


class Training(TypedDict):
    """All that decides a trained model.

    Args:
        tasks: names of benchmarks, trained together.
        method: a name of `baselines.METHODS`.
        size: training rows per task: a number, a share such as "1%", or None for all.
        seed: of the rows, the initial values and the batches.
        backbone, dtype: as for `load_backbone`.
        model, train: fields of `PHAConfig` and of `TrainConfig`.
        data_dir: folder with the benchmarks' own files; None for the hub.
    """

    tasks: list[str]
    method: str
    size: int | str | None
    seed: int
    backbone: str
    dtype: str
    model: dict
    train: dict
    data_dir: str | None


def joint_cell(training: Training, limit: int | None = None) -> dict:
    """A model trained on all tasks together, scored on their test rows with its best weights.

    Args:
        training: the description.
        limit: test rows per task; None for all.
    """
    from pha_lite.baselines import build
    from pha_lite.config import PHAConfig
    from pha_lite.train import TrainConfig, evaluate_tasks, train

    seed, base = training["seed"], PHAConfig.from_dict(training["model"])
    tasks = {
        name: sampled(load(name, training["data_dir"]), training["size"], seed)
        for name in training["tasks"]
    }
    backbone = _backbone(training["backbone"], training["dtype"])
    model = build(training["method"], backbone, list(tasks), base, seed=seed)
    settings = TrainConfig.from_dict({**training["train"], "seed": seed})
    result = train(model, tasks, settings, _folder(training))
    counts = model.count_parameters()
    return {
        "test": evaluate_tasks(model, tasks, "test", limit),
        "metrics": {name: task.metric for name, task in tasks.items()},
        "validation": result.best["scores"],
        "step": result.best["step"],
        "rows": {name: task.sizes for name, task in tasks.items()},
        "trained": counts["total"],
    }


def new_task_cell(
    training: Training,
    task: str,
    k: int,
    start: str,
    tune: str,
    steps: int,
    lr: float | None,
    seed: int,
    limit: int | None = None,
) -> dict:
    """A new task with k examples, given to a model that `joint_cell` has trained.

    Args:
        training: of that model.
        task, k, start, tune, steps, lr, seed, limit: as for `fewshot.adapt`.
    """
    from pha_lite.fewshot import adapt

    model = _trained(_folder(training), training["backbone"], training["dtype"])
    new = load(task, training["data_dir"])
    found = adapt(model, new, k, start, tune, steps, lr, seed, limit=limit)
    kept = ("before", "after", "source", "lr")
    return {"metric": new.metric} | {key: getattr(found, key) for key in kept}


@lru_cache(maxsize=32)
def load(name: str, data_dir: str | None) -> Task:
    """A benchmark, read once per process."""
    from pha_lite.tasks import load_task

    return load_task(name, data_dir)


def sampled(task: Task, size: int | str | None, seed: int) -> Task:
    """The task with so many training rows, see `Training`; drawn as they come, not by class."""
    if size is None:
        return task
    if isinstance(size, str):
        size = max(1, round(len(task["train"]) * float(size.rstrip("%")) / 100))
    return task.sample(size, seed=seed)


@lru_cache(maxsize=1)
def _backbone(name: str, dtype: str):
    import torch

    from pha_lite.backbone import load_backbone

    return load_backbone(name, getattr(torch, dtype))


@lru_cache(maxsize=1)
def _trained(folder: Path, backbone: str, dtype: str) -> PHAModel:
    import torch

    from pha_lite.model import PHAModel

    model = PHAModel.from_pretrained(folder, _backbone(backbone, dtype))
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _folder(training: Mapping) -> Path | None:
    """Where a training is kept: readable in front, and another place for every description."""
    digest = hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()[:12]
    return folder_of([training["method"], training["size"], training["seed"], digest])
