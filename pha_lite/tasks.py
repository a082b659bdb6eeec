"""A task: text in, text out, with its splits, its label words and its metric.

Everything the package trains on has this one shape, whether it comes from the embedded suite, from
a benchmark's files or from a reader's own rows. A row is a `source` and a `target`, both plain
text, as in T5: the model never sees a class number. Optional columns serve the metrics::

    label    class index (int), or the exact gold value where the target is a rounded number (float)
    answers  every accepted answer (list of str), for question answering
    group    rows that are scored together (str), for MultiRC
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError, PHAError, unknown

if TYPE_CHECKING:
    from datasets import Dataset

REQUIRED = ("source", "target")


@dataclass
class Task:
    """One text-to-text task.

    Args:
        name: `"family/task"`, for example `"glue/rte"`.
        splits: `"train"`, `"validation"` and `"test"`, or some of them, each with the columns
            `source` and `target`.
        labels: label words in class order; None for a number or free text.
        metric: a key of `pha_lite.evaluate.METRICS`.
        prompt: the template of a source, shown to readers.
        card: how the task was made, where it is from, its licence, anything worth knowing.

    Raises:
        DataError: a split is empty, lacks a column, or holds a target that is no label word.

    >>> rows = {"source": ["good film", "bad film"], "target": ["yes", "no"]}
    >>> task = Task.from_rows("mine/liked", {"train": rows, "test": rows}, labels=("no", "yes"))
    >>> task
    Task('mine/liked', train 2, test 2, labels no | yes, metric accuracy)
    >>> task["train"][0]
    {'source': 'good film', 'target': 'yes'}
    """

    name: str
    splits: dict[str, Dataset]
    labels: tuple[str, ...] | None = None
    metric: str = "accuracy"
    prompt: str = ""
    card: dict = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = None if self.labels is None else tuple(self.labels)
        if self.labels is not None and len(set(self.labels)) < len(self.labels):
            raise PHAError(
                f"task {self.name!r}: label words {self.labels} repeat; each class needs its own"
            )
        for split, rows in self.splits.items():
            where = f"task {self.name!r}, split {split!r}"
            missing = [column for column in REQUIRED if column not in rows.column_names]
            if missing:
                raise DataError(f"{where}: no column {missing[0]!r} among {rows.column_names}")
            if len(rows) == 0:
                raise DataError(f"{where}: empty; leave the split out or give it rows")
            if strange := _strange_targets(rows, self.labels):
                raise DataError(
                    f"{where}: target {strange[0]!r} is none of the label words {self.labels}"
                )

    @classmethod
    def from_rows(cls, name: str, splits: Mapping[str, Mapping[str, Sequence]], **fields) -> Task:
        """A task from plain columns: `{"train": {"source": [...], "target": [...]}, ...}`."""
        from datasets import Dataset

        return cls(
            name, {split: Dataset.from_dict(dict(rows)) for split, rows in splits.items()}, **fields
        )

    def __getitem__(self, split: str) -> Dataset:
        if split not in self.splits:
            known = ", ".join(self.splits)
            raise PHAError(f"task {self.name!r} has no split {split!r}; it has {known}")
        return self.splits[split]

    def __contains__(self, split: str) -> bool:
        return split in self.splits

    @property
    def sizes(self) -> dict[str, int]:
        """Rows per split."""
        return {split: len(rows) for split, rows in self.splits.items()}

    def columns(self, split: str) -> dict[str, list]:
        """A split as plain lists, the form in which metrics and tokenizers read it."""
        return self[split].to_dict()

    def sample(self, n: int, seed: int = 0, split: str = "train", balanced: bool = False) -> Task:
        """The same task with one split cut to `n` rows; a split with fewer rows stays whole.

        Samples of one seed are nested: the 16 rows of `sample(16)` are among those of `sample(32)`,
        so that a learning curve adds rows and never exchanges them.

        Args:
            n: rows to keep.
            seed: which rows.
            split: the split to cut.
            balanced: take the classes in turn, so that their counts differ by at most one as long
                as every class still has rows. Off by default: low-data benchmarks draw rows as they
                come.
        """
        if n < 1:
            raise PHAError(f"sample(n={n}): n is a number of rows, at least 1")
        rows = self[split]
        order = shuffled(len(rows), seed)
        if balanced and self.labels:
            _, classes = np.unique(np.asarray(list(rows["target"])), return_inverse=True)
            order = order[np.argsort(_rank_in_class(classes[order]), kind="stable")]
        return replace(self, splits={**self.splits, split: rows.select(order[:n])})

    def __repr__(self) -> str:
        sizes = ", ".join(f"{split} {n}" for split, n in self.sizes.items())
        labels = f", labels {' | '.join(self.labels)}" if self.labels else ""
        return f"Task({self.name!r}, {sizes}{labels}, metric {self.metric})"


def shuffled(n: int, seed: int) -> np.ndarray:
    """The numbers 0 to n - 1 in an order that depends on the seed alone.

    numpy promises never to change RandomState's stream: the same rows everywhere, for good.
    """
    if not 0 <= seed < 2**32:
        raise PHAError(f"seed={seed}: a number from 0 to 2^32 - 1")
    return np.random.RandomState(seed).permutation(n)


def _strange_targets(rows: Dataset, labels: tuple[str, ...] | None) -> list[str]:
    """Targets that are no label word, in order.

    The table is asked first, at Arrow's speed. A selection shares the table of what it selects
    from, so only when that holds a strange value are the selection's own rows read.
    """
    if labels is None:
        return []
    strange = set(rows.data.column("target").unique().to_pylist()) - set(labels)
    return sorted(map(str, strange & set(rows["target"]))) if strange else []


def _rank_in_class(classes: np.ndarray) -> np.ndarray:
    """How many earlier positions hold the same class: `[a, b, a] -> [0, 0, 1]`."""
    ranks = np.empty(len(classes), dtype=np.int64)
    for value in np.unique(classes):
        ranks[classes == value] = np.arange((classes == value).sum())
    return ranks


def load_task(name: str, data_dir: str | None = None, seed: int = 0, **options) -> Task:
    """One task by name: a real benchmark (`"glue/rte"`) or one of the embedded suite.

    Args:
        name: `"family/task"`; `pha_lite.loaders.BENCHMARKS` holds the real ones.
        data_dir: folder with a benchmark's own files; without it the environment variable
            PHA_DATA_DIR, and without that the hub.
        seed: of the split protocol (real tasks) or of the generator (suite).
        **options: further arguments of `pha_lite.loaders.load_benchmark` or of
            `pha_lite.suite.load_suite`.

    Raises:
        PHAError: no such task, or its files cannot be used (then a `DataError`).
    """
    from .loaders import BENCHMARKS, load_benchmark

    if name in BENCHMARKS:
        return load_benchmark(name, data_dir=data_dir, seed=seed, **options)
    from .suite import load_suite

    suite = load_suite(seed=seed, **options)
    if name not in suite:
        raise PHAError(unknown("task", name, [*BENCHMARKS, *suite]))
    return suite[name]
