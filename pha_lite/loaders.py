"""Real benchmarks as `Task`s, from their own files or from the hub.

`load_benchmark("glue/rte", data_dir="glue_data")` reads GLUE's own `RTE/train.tsv` and `dev.tsv`;
without a folder the same name comes from the hub through `datasets`. Both ways meet in one place:
a raw row of either becomes the same source and target text. What each set looks like is the table
in `benchmarks`; here are the steps from rows to splits. Nothing is written to disk by this module
(the hub client keeps its own cache).
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from .benchmarks import BENCHMARKS, Benchmark
from .errors import DataError, PHAError, unknown
from .hub import hub_rows, reason
from .readers import Row, find, find_any, read_rows
from .tasks import Task, shuffled

# Training rows that serve as validation in the "carve" protocol; at most a tenth of them.
CARVED = 1000
FAMILY_FOLDERS = {
    "glue": ("glue", "glue_data"),
    "superglue": ("superglue", "super_glue", "combined"),
    "textcls": ("textcls",),
}
PARTS = {
    "halve": ("train", "held-out"),
    "carve": ("train", "held-out"),
    "given": ("train", "validation", "test"),
}
Examples = list[dict[str, Any]]


def load_benchmark(
    name: str, data_dir: str | os.PathLike | None = None, seed: int = 0, partial: bool = False
) -> Task:
    """One benchmark task under the protocol of the table.

    Args:
        name: a key of `BENCHMARKS`, such as `"glue/rte"`.
        data_dir: a folder with the benchmark's own files: the data set's folder, or one that holds
            it, directly or under its family (`glue/RTE`). Case and punctuation of names do not
            matter. Without it the environment variable PHA_DATA_DIR, without that the hub.
        seed: which rows go where when the protocol splits.
        partial: accept that files are missing and give the splits that can be made, for sets of
            which only the validation file is at hand. Local files only.

    Raises:
        PHAError: no such benchmark.
        DataError: a missing file or column, an unknown label, an empty split, a bad byte; the
            message names the file and the row.
    """
    if name not in BENCHMARKS:
        raise PHAError(unknown("benchmark", name, BENCHMARKS))
    bench = BENCHMARKS[name]
    data_dir = data_dir if data_dir is not None else os.environ.get("PHA_DATA_DIR") or None
    if data_dir is not None:
        parts = _local_parts(name, bench, Path(data_dir), partial)
        origin = "local files in the benchmark's own layout"
    else:
        parts = _hub_parts(name, bench)
        origin = f"hub {'/'.join(filter(None, bench.hub))}"
    try:
        splits = split(parts, bench.protocol, seed)
    except DataError as error:
        raise DataError(f"{name}: {error}") from None
    card = {
        "source": origin,
        "protocol": bench.protocol,
        "seed": seed,
        "metrics": [bench.metric, *bench.metrics],
        "licence": bench.licence,
        "hub": bench.hub[0],
    }
    if bench.labels:
        card["chance"] = 1 / len(bench.labels)
    return Task.from_rows(
        name,
        {
            part: {key: [row[key] for row in rows] for key in rows[0]}
            for part, rows in splits.items()
        },
        labels=bench.labels,
        metric=bench.metric,
        prompt=bench.prompt,
        card=card,
    )


# -- where rows come from -------------------------------------------------------------------------


def _local_parts(name: str, bench: Benchmark, root: Path, partial: bool) -> dict[str, Examples]:
    if not root.is_dir():
        raise DataError(f"{name}: data folder {root} does not exist or is not a folder")
    folder = _folder(name, bench, root)
    parts = {}
    for part, names in zip(PARTS[bench.protocol], bench.files, strict=True):
        path = find_any(folder, names)
        if path is not None:
            rows = read_rows(path, bench.header, bench.skip_broken)
            parts[part] = _examples(bench, rows, bench.spellings, str(path))
        elif not partial:
            raise DataError(
                f"{name}: {folder} has no {part} file (looked for {' or '.join(names)}); "
                "partial=True loads the splits that can be made without it"
            )
    return parts


def _folder(name: str, bench: Benchmark, root: Path) -> Path:
    """The first folder, of the places where this set may lie, that has one of its files."""
    family = FAMILY_FOLDERS.get(name.split("/")[0], ())
    bases = [root, *(base for base in (find(root, f) for f in family) if base)]
    places = [find(base, folder) for base in bases for folder in bench.folders]
    if any(
        find(root.resolve().parent, folder) == root.resolve() for folder in bench.folders if folder
    ):
        places.insert(0, root)
    there = [place for place in places if place is not None and place.is_dir()]
    for place in there:
        if any(find_any(place, names) for names in bench.files):
            return place
    wanted = " or ".join(n for names in bench.files for n in names[:1])
    if there and there[0] != root:
        raise DataError(f"{name}: {there[0]} has none of its files ({wanted})")
    raise DataError(
        f"{name}: no folder {' or '.join(filter(None, bench.folders))} under {root}; give the "
        f"folder that holds it as data_dir, with {wanted} inside"
    )


def _hub_parts(name: str, bench: Benchmark) -> dict[str, Examples]:
    parts = {}
    repository = "/".join(filter(None, bench.hub))
    for part, hub_split in zip(PARTS[bench.protocol], bench.hub_splits, strict=True):
        where = f"hub {repository}, {hub_split}"
        try:
            rows = list(hub_rows(*bench.hub, hub_split, bench.where))
        except Exception as error:  # network, hub and parquet fail in their own many ways
            raise DataError(
                f"{name}: {where} could not be loaded ({type(error).__name__}: {reason(error)}). "
                "Without the hub, give the benchmark's own files: data_dir=... or PHA_DATA_DIR"
            ) from error
        parts[part] = _examples(bench, rows, bench.hub_spellings or bench.spellings, where)
    return parts


# -- a row becomes text ---------------------------------------------------------------------------


def _examples(
    bench: Benchmark, rows: Iterable[Row], spellings: tuple | None, origin: str
) -> Examples:
    """Every row of one file or hub split, in its order.

    Raises:
        DataError: naming file and row; also for a file without rows.
    """
    classes = _classes(bench, spellings)
    examples: Examples = []
    for where, raw in rows:
        for old, new in bench.rename.items():
            if old in raw:
                raw[new] = raw.pop(old)
        try:
            examples.extend(_example(bench, row, classes) for row in bench.prepare(raw))
        except KeyError as error:
            raise DataError(
                f"{where}: no column {error.args[0]!r}; there are {', '.join(map(str, raw))}"
            ) from None
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        except (AttributeError, IndexError, TypeError, ValueError) as error:
            raise DataError(
                f"{where}: not laid out as this benchmark's rows are ({error})"
            ) from None
    if not examples:
        raise DataError(f"{origin}: no rows")
    return examples


def _classes(bench: Benchmark, spellings: tuple | None) -> dict[str, int] | None:
    """How a file may spell a label -> class index."""
    if bench.labels is None:
        return None
    if spellings is None:
        spellings = tuple((word.lower(), str(c)) for c, word in enumerate(bench.labels))
    return {spelling: c for c, names in enumerate(spellings) for spelling in names}


def _example(bench: Benchmark, row: dict, classes: dict[str, int] | None) -> dict[str, Any]:
    fields = {name: _text(row, name) for name in _fields(bench.prompt)}
    source = bench.prompt.format_map(fields)
    if classes is not None:
        spelling = str(row["label"]).strip().lower()
        if spelling not in classes:
            raise DataError(f"unknown label {row['label']!r}; known are {', '.join(classes)}")
        example = {"source": source, "target": bench.labels[classes[spelling]]}
        example["label"] = classes[spelling]
    elif "answers" in row:
        example = {"source": source, "target": _text(row, "target"), "answers": row["answers"]}
    else:
        value = _score(row["label"])
        # T5 writes STS-B scores in steps of 0.2; the metric reads the exact value
        example = {"source": source, "target": f"{round(value * 5) / 5:.1f}", "label": value}
    if "group" in row:
        example["group"] = row["group"]
    return example


@cache
def _fields(prompt: str) -> tuple[str, ...]:
    return tuple(name for _, name, _, _ in string.Formatter().parse(prompt) if name)


def _text(row: dict, name: str) -> str:
    """A field as text on one line, white space collapsed."""
    value = row[name]
    if not isinstance(value, str):
        raise DataError(f"column {name!r} holds {value!r}, expected text")
    return " ".join(value.split())


def _score(value: Any) -> float:
    try:
        score = float(value)
    except (TypeError, ValueError):
        raise DataError(f"score {value!r} is not a number") from None
    if not 0 <= score <= 5:
        raise DataError(f"score {value} is outside 0 to 5")
    return score


# -- splits ---------------------------------------------------------------------------------------


def split(parts: dict[str, Examples], protocol: str, seed: int) -> dict[str, Examples]:
    """Train, validation and test out of the public parts; see `benchmarks` for the protocols.

    Rows keep their order within a split; rows of one `group` (the answers to a MultiRC question)
    stay together, or the metrics over groups would be computed on halves of groups.
    """
    if protocol == "given":
        return dict(parts)
    splits = {"train": parts["train"]} if "train" in parts else {}
    if protocol == "halve" and "held-out" in parts:
        splits["validation"], splits["test"] = _divide(parts["held-out"], 0.5, seed)
    if protocol == "carve":
        if "train" in parts:
            share = min(CARVED / len(parts["train"]), 0.1)
            splits["validation"], splits["train"] = _divide(parts["train"], share, seed)
        if "held-out" in parts:
            splits["test"] = parts["held-out"]
    return {name: splits[name] for name in ("train", "validation", "test") if name in splits}


def _divide(rows: Examples, share: float, seed: int) -> tuple[Examples, Examples]:
    """Two parts, the first with `share` of the groups (of the rows, where there are no groups)."""
    units = [row.get("group", number) for number, row in enumerate(rows)]
    distinct = list(dict.fromkeys(units))
    if len(distinct) < 2:
        raise DataError(f"{len(distinct)} row to divide into two splits: at least 2 are needed")
    order = shuffled(len(distinct), seed)
    first = {distinct[i] for i in order[: max(1, round(share * len(distinct)))]}
    return (
        [row for row, unit in zip(rows, units, strict=True) if unit in first],
        [row for row, unit in zip(rows, units, strict=True) if unit not in first],
    )
