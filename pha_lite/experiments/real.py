"""Real sentences on the embedded backbone: six tasks of English as people write it.

The figures come from the benchmarks' own files, which lie in a folder of the reader's and are no
part of this project; a record holds figures only. A backbone of two million weights that has seen
only sentences from a generator cannot be good at them. So two controls on the very same rows stand
beside every score: the most frequent answer of the training rows, and logistic regression on word
counts.

The six sets share text: hundreds of training sentences of MR and subj are test sentences of SST-2
and of each other, and SST-2 trains on phrases of them. Who trains on all six would meet test rows
with their answers. Such rows are left out (`clean`), for every method and both controls.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from pha_lite.errors import DataError

if TYPE_CHECKING:
    from pha_lite.tasks import Task

TASKS = (
    "glue/cola", "glue/sst2", "glue/rte", "textcls/subj", "textcls/mr", "textcls/trec",
)  # fmt: skip
LENGTH = 128  # pieces of a source; of the six only RTE has longer ones
PART = 5  # words that make a training row part of a test row; shorter phrases are anybody's


def folder(data_dir: str | None = None) -> str:
    """The folder with the sets' own files: the argument, or the environment's PHA_DATA_DIR.

    Raises:
        DataError: neither is given. The hub is not asked: a record needs files that stay.
    """
    found = data_dir or os.environ.get("PHA_DATA_DIR")
    if not found:
        raise DataError(
            "real data: set PHA_DATA_DIR to a folder with GLUE's CoLA, SST-2 and RTE (train.tsv, "
            "dev.tsv) and LM-BFF's subj, mr and trec (train_full.jsonl, test.jsonl)"
        )
    return found


def published(data_dir: str) -> dict[str, Task]:
    """The six sets: all rows of their public held-out file are test rows; scored by accuracy.

    Raises:
        DataError: a file is missing or cannot be read; the message names it.
    """
    from datasets import concatenate_datasets

    from pha_lite.loaders import load_benchmark

    found = {}
    for name in TASKS:
        task = load_benchmark(name, data_dir)
        test = task["test"]
        if task.card["protocol"] == "halve":  # of the held-out rows; here both halves are test
            test = concatenate_datasets([task["validation"], test])
        splits = {"train": task["train"], "test": test}
        found[name] = replace(task, splits=splits, metric="accuracy")
    return found


def clean(tasks: Mapping[str, Task]) -> dict[str, Task]:
    """The tasks without training rows that stand in a test row of any of them.

    A row stands in another if their words are the same, or if it has at least `PART` words and
    they follow each other there. Case and punctuation do not count.
    """
    rows = [_words(text) for task in tasks.values() for text in task["test"]["source"]]
    whole, runs = {tuple(row) for row in rows}, set()
    for row in rows:
        runs |= {tuple(row[i : i + PART]) for i in range(len(row) - PART + 1)}
    joined = " | ".join(f" {' '.join(row)} " for row in rows)

    def fresh(text: str) -> bool:
        row = _words(text)
        if tuple(row[:PART]) in runs:  # seldom: only then the text itself is searched
            return f" {' '.join(row)} " not in joined
        return tuple(row) not in whole

    kept = {}
    for name, task in tasks.items():
        train = task["train"]
        numbers = [i for i, text in enumerate(train["source"]) if fresh(text)]
        kept[name] = replace(task, splits={**task.splits, "train": train.select(numbers)})
    return kept


def _words(source: str) -> list[str]:
    """A source without the task's name and the first field's, as lower-case words."""
    return re.findall(r"\w+", source.split(": ", 1)[1].lower())


def draw(tasks: Mapping[str, Task], n: int, valid: int, rows: int, seed: int) -> dict[str, Task]:
    """n training and `valid` other rows per task, both drawn from training rows; `rows` to test.

    The test rows are the same for every seed.
    """
    drawn = {}
    for name, task in tasks.items():
        train = task.sample(n + valid, seed)["train"]
        if len(train) < n + valid:
            raise DataError(f"{name}: {len(train)} training rows, {n + valid} are wanted")
        splits = {
            "train": train.select(range(n)),
            "validation": train.select(range(n, n + valid)),
            "test": task.sample(rows, 0, "test")["test"],
        }
        drawn[name] = replace(task, splits=splits)
    return drawn


def majority(task: Task) -> float:
    """Share of test rows whose answer is the most frequent one of the training rows."""
    answers = list(task["train"]["target"])
    most = max(sorted(set(answers)), key=answers.count)
    return list(task["test"]["target"]).count(most) / len(task["test"])


@cache
def _at(data_dir: str) -> dict[str, Task]:
    return clean(published(data_dir))


def real_cell(
    method: str,
    lr: float,
    seed: int,
    test: bool,
    n: int = 300,
    steps: int = 500,
    batch: int = 24,
    valid: int = 100,
    rows: int = 500,
    data_dir: str | None = None,
) -> dict:
    """A method trained jointly on n rows of each of the six tasks.

    Args:
        method: a name of `baselines.METHODS`.
        lr: peak learning rate.
        seed: of the training and validation rows, the initial values and the batches.
        test: score test rows, with the controls; else the best validation scores.
        n, valid, rows: training, validation and test rows per task, see `draw`.
        steps, batch: of the training.
        data_dir: see `folder`; left out of a cell's description, it comes from the environment.

    Returns:
        Accuracies only, no text.
    """
    from pha_lite.baselines import build
    from pha_lite.train import TrainConfig, evaluate_tasks, train

    from .cells import bag_of_words
    from .setting import EVALS, backbone_of

    tasks = draw(_at(folder(data_dir)), n, valid, rows, seed)
    backbone = backbone_of("tiny")
    model = build(method, backbone, list(tasks), seed=seed, max_source_length=LENGTH)
    settings = {"steps": steps, "batch_size": batch, "lr": lr, "seed": seed}
    settings |= {"eval_every": max(1, steps // EVALS), "eval_limit": 0}
    result = train(model, tasks, TrainConfig(**settings), progress=False)
    if not test:
        scores = result.best["scores"]
        return {"validation": {"all": _mean(scores), **scores}, "step": result.best["step"]}
    scores = evaluate_tasks(model, tasks, "test")
    controls = {
        "majority": {name: majority(task) for name, task in tasks.items()},
        "bag_of_words": {name: bag_of_words(task) for name, task in tasks.items()},
    }
    means = {"all": _mean(scores)} | {name: _mean(found) for name, found in controls.items()}
    return {"test": means, "tasks": scores, **controls, "step": result.best["step"]}


def _mean(scores: Mapping[str, float]) -> float:
    return sum(scores.values()) / len(scores)
