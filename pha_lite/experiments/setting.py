"""What the cells of all experiments share: sizes, suite, backbone, and the training itself."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

Cell = dict[str, object]

STEPS, BATCH, EVALS, VALID_ROWS, TEST_ROWS = 1000, 48, 4, 30, 100
GRID = (1e-3, 3e-3, 1e-2)
SEEDS, TUNING_SEEDS = (0, 1, 2, 3, 4), (100,)
SEPARATE_BATCH = 16  # of one T5 for each task
WIDE_RULES = ["acceptability", "paraphrase", "sentiment", "time"]  # of the grid of all methods
SOURCE_N = 100  # rows per task of the models that new tasks are brought to
FEW_K, FEW_STEPS, FEW_ROWS = (4, 16, 32), 20, 100
FEW_GRID = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1)  # adapters want its lower end, prototypes its upper
FEW_STARTS = ("retrieved", "loss", "oracle", "mean", "random", "wrong", "fresh", "fresh_adapter")
CEILING_ROWS, CEILING_STEPS, CEILING_LR = 3000, 500, 1e-3

# What of PHA's form is tried for `PHAConfig.tiny()`, by validation alone.
_PLAIN = {"label_smoothing": 0.0}
_APART = _PLAIN | {"contrast_to_encoder": False}
VARIANTS: dict[str, dict] = {
    "released": {},
    "no smoothing": _PLAIN,
    "no smoothing, weights 0.01": _PLAIN | {"instance_weight": 0.01, "prototype_weight": 0.01},
    "detached": _APART,
    "detached, std 0.1": _APART | {"prototype_std": 0.1},
    "detached, standard loss": _APART | {"prototype_loss": "standard"},
    "detached, both generated": _APART | {"encoder": "generated"},
}
# Sizes are those of tiny(); what a variant does not name is as in the release.
RELEASED_FORM = {
    "prototype_std": 1.0,
    "instance_weight": 0.1,
    "prototype_weight": 0.1,
    "prototype_loss": "released",
    "contrast_to_encoder": True,
    "label_smoothing": 0.1,
    "encoder": "shared",
    "decoder": "generated",
}
# Forms of PHA against the collapse of conflicting tasks, as departures from tiny(): can one of them
# be best or tied on the related half, on the conflicting half, and in transfer?
FORMS: dict[str, dict] = {
    "usual": {},
    "small start": {"prototype_std": 0.1},
    "weak losses": {"instance_weight": 0.01, "prototype_weight": 0.01},
    "standard loss": {"prototype_loss": "standard"},
    "both stacks": {"encoder": "generated"},
    "own vectors": {"own_dim": 32},
    "own vectors, small start": {"own_dim": 32, "prototype_std": 0.1},
    "own vectors, both stacks": {"own_dim": 32, "encoder": "generated"},
    # tried later, when the report on the eight above had been seen
    "answers only": {"contrast_to_prototypes": False},
    "text part": {"hyper_input": "both"},
}
METHODS = ("pha", "task_embedding", "adapter_per_task", "shared_adapter")


@cache
def suite_of(seed: int = 0, **knobs: float):
    """The suite of a seed, with its knobs as given."""
    from pha_lite.suite import load_suite

    return load_suite(seed=seed, **knobs)


@cache
def backbone_of(kind: str):
    """The embedded backbone ("tiny"), or the same T5 with random weights ("random")."""
    from pha_lite.backbone import load_backbone
    from pha_lite.pretrain import Recipe, new_backbone

    t5, tokenizer = load_backbone("tiny")
    if kind == "random":
        t5 = new_backbone(Recipe(seed=1), t5.config.vocab_size)
    return t5.eval(), tokenizer


def new_model(method: str, backbone: str, tasks: list[str], seed: int, **form):
    """A fresh model of a method of `baselines`, or of a form of PHA: "variant: X", "form: X".

    Args:
        form: departures from the method's own configuration.
    """
    from pha_lite.baselines import build

    if method.startswith("variant: "):
        form = {**RELEASED_FORM, **VARIANTS[method.removeprefix("variant: ")]}
        method = "pha"
    if method.startswith("form: "):
        method, form = "pha", FORMS[method.removeprefix("form: ")]
    return build(method, backbone_of(backbone), tasks, seed=seed, **form)


_models: Path | None = None  # where a worker keeps trained models: equal trainings share one


def keep_models(folder: Path) -> None:
    """Trained models are kept in a folder, and taken from there."""
    global _models
    _models = folder


def folder_of(key: list) -> Path | None:
    """Where the model with such a description is kept; None where none are kept."""
    return _models / re.sub(r"[^\w.-]+", "-", "_".join(map(str, key))) if _models else None


def trained(
    method: str,
    n: int,
    lr: float,
    seed: int,
    backbone: str = "tiny",
    suite_seed: int = 0,
    rules: Sequence[str] | None = None,
    steps: int = STEPS,
    batch: int = BATCH,
    change: Mapping[str, object] | None = None,
):
    """A model trained on n rows of every training task, and its validation scores.

    Args:
        rules: the training tasks of these rules; None for all.
        change: what departs from the usual setting, any of "model" (fields of the configuration),
            "training" (fields of `TrainConfig`), "suite" (its knobs), "surfaces" (only the tasks
            of so many of them) and "shares" (each surface has its share of n rows, in turn).
    """
    from pha_lite.train import evaluate_tasks, train

    change = change or {}
    suite = suite_of(suite_seed, **change.get("suite", {}))
    cells = {t: suite.cells[t] for t in suite.train_tasks}
    surfaces = list(dict.fromkeys(cell.surface for cell in cells.values()))
    asked = surfaces[: change.get("surfaces", len(surfaces))]
    names = [
        t
        for t, cell in cells.items()
        if (rules is None or cell.rule in rules) and cell.surface in asked
    ]
    shares = change.get("shares", [1])
    rows = {t: round(n * shares[surfaces.index(cells[t].surface) % len(shares)]) for t in names}
    tasks = {name: suite[name].sample(rows[name], seed=seed, balanced=True) for name in names}
    model = new_model(method, backbone, names, seed, **change.get("model", {}))
    if method == "nearest":
        model.remember(tasks)
        return model, suite, tasks, evaluate_tasks(model, tasks, "validation", VALID_ROWS)
    key = [method, n, lr, seed, backbone, suite_seed]
    usual = rules is None and (steps, batch) == (STEPS, BATCH)
    key += [] if usual else [*(rules or ["all rules"]), steps, batch]
    if change:
        key.append(hashlib.sha256(json.dumps(change, sort_keys=True).encode()).hexdigest()[:12])
    settings = train_settings(lr, seed, steps, batch, **change.get("training", {}))
    result = train(model, tasks, settings, folder_of(key), progress=False)
    return model, suite, tasks, result.best["scores"]


def train_settings(lr: float, seed: int, steps: int, batch: int, **change):
    """What every training of a cell has in common."""
    from pha_lite.train import TrainConfig

    common = {"steps": steps, "batch_size": batch, "lr": lr, "seed": seed}
    validation = {"eval_every": steps // EVALS, "eval_limit": VALID_ROWS}
    return TrainConfig(**{**common, **validation, **change})


def halves(suite, scores: dict[str, float]) -> dict[str, float]:
    """Mean score of each half of the grid that has any, and of all."""
    found = {"related": [], "conflicting": [], "all": list(scores.values())}
    for name, score in scores.items():
        found[suite.cells[name].half].append(score)
    return {half: sum(values) / len(values) for half, values in found.items() if values}
