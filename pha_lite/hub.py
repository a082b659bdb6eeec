"""The Hugging Face hub: whether it answers, and rows of a data set as files give them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any
from urllib.request import Request, urlopen

from .errors import PHAError
from .readers import Row

PATIENCE = 30.0  # seconds


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

    check_hub()
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


@cache  # an answer is enough for a while; an error is not remembered
def check_hub(seconds: float = PATIENCE) -> None:
    """Raises PHAError when the hub takes a connection and then says nothing for so long.

    The libraries wait for some of its answers without a limit. Whatever else may be wrong they find
    out themselves, and better: a refused connection, a missing certificate, an unknown name.
    """
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        return
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=seconds).close()
    except Exception as error:
        cause = getattr(error, "reason", error)  # connecting fails inside of a URLError
        if isinstance(cause, TimeoutError):
            raise PHAError(
                f"the hub at {constants.ENDPOINT} has not answered for {seconds:g} seconds: try "
                "again later, or set HF_HUB_OFFLINE=1 to use what was downloaded before"
            ) from error


def reason(error: Exception) -> str:
    """The first line of what a library says, or at least the kind of its error."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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
