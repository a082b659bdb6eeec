"""Rows of a data set on the Hugging Face hub, quietly, in the form in which files are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .readers import Row


def hub_rows(
    repository: str,
    configuration: str | None,
    split: str,
    only: tuple[str, str] | None = None,
) -> Iterator[Row]:
    """The rows of one split. Errors of the network, the hub and the files come through as they are.

    Args:
        repository: `"nyu-mll/glue"`.
        configuration: `"rte"`; None where there is one only.
        split: `"train"`.
        only: a column and the value its rows must have, for parquet sets that mix several sources.
    """
    import datasets

    options: dict[str, Any] = {"split": split}
    if only:
        options["filters"] = [(only[0], "==", only[1])]
    with _quiet():
        try:
            rows = datasets.load_dataset(repository, configuration, **options)
        except RuntimeError as error:
            if "scripts are no longer supported" not in str(error):
                raise
            # the hub keeps a parquet copy of most script repositories under this name
            options["revision"] = "refs/convert/parquet"
            rows = datasets.load_dataset(repository, configuration, **options)
    where = f"hub {'/'.join(filter(None, (repository, configuration)))}, {split}"
    number = 0
    for batch in rows.iter(batch_size=1000):
        for values in zip(*batch.values(), strict=True):
            number += 1
            yield f"{where}, row {number}", dict(zip(batch, values, strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """No progress bars from the hub's libraries; afterwards they are as before."""
    import datasets
    import huggingface_hub.utils as hub

    before = datasets.are_progress_bars_disabled(), hub.are_progress_bars_disabled()
    datasets.disable_progress_bars()
    hub.disable_progress_bars()
    try:
        yield
    finally:
        if not before[0]:
            datasets.enable_progress_bars()
        if not before[1]:
            hub.enable_progress_bars()
