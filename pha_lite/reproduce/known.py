"""Figures of the paper and of its neighbours that are known here, each with how it is known.

Not one of them was measured by us, and none is filled in where we do not know it: the paper's
per-task rows and its tables for SuperGLUE, MRQA and few examples are not known here.
"""

from __future__ import annotations

from typing import NamedTuple

NOT_KNOWN = "not known here"
PAPER, NEIGHBOURS = "paper", "neighbour"
NOTE = "a reading note that cites the paper's table 3"
COLLECTED = "as collected in the DePT and ULPT papers"


class Known(NamedTuple):
    """One figure.

    Args:
        experiment: the `pha reproduce` experiment it stands beside.
        what: the method, in the words of its source.
        value: in per cent, or in per cent points where `what` is a difference.
        source: where it is from.
        origin: `PAPER` or `NEIGHBOURS`.
        method: the method of this package that is meant by it, "" where none is.
        remark: what one must know to read it.
    """

    experiment: str
    what: str
    value: float
    source: str
    origin: str = NEIGHBOURS
    method: str = ""
    remark: str = ""


# name: GLUE average, SuperGLUE average, our method if it is the same one (trained on many tasks)
_COLLECTED: dict[str, tuple[float, float, str]] = {
    "fine-tuning": (84.9, 73.9, ""),
    "Adapter": (84.5, 75.7, ""),
    "AdapterDrop": (84.4, 75.3, ""),
    "BitFit": (83.3, 72.5, ""),
    "LoRA": (85.3, 76.5, ""),
    "SPoT": (82.3, 62.9, ""),
    "ATTEMPT": (83.4, 70.5, ""),
    "MPT": (85.6, 74.1, ""),
    "MPT multi-task": (85.8, 76.1, ""),
    "DePT": (85.9, 76.5, ""),
    "HyperFormer multi-task": (84.8, 75.4, "hyperformer"),
    "HyperDecoder multi-task": (83.7, 72.0, "instance"),
}
_REMARKS = {
    "HyperFormer multi-task": "its row circulates with shifted columns: realigned it averages "
    "85.2 on GLUE; HyperFormer++'s own 86.48 averages 11 metrics",
}

KNOWN: tuple[Known, ...] = (
    Known("glue", "PHA", 85.5, NOTE, PAPER, "pha"),
    Known("glue", "PHA without prototypes and retriever", 84.0, "the same note", PAPER),
    Known(
        "lowdata",
        "PHA minus Adapter, 100 samples per task",
        8.0,
        "the same note",
        PAPER,
        remark="whether absolute or relative is not stated",
    ),
    *(
        Known(experiment, name, row[place], COLLECTED, method=row[2], remark=_REMARKS.get(name, ""))
        for place, experiment in enumerate(("glue", "superglue"))
        for name, row in _COLLECTED.items()
    ),
)
# Trained parameters per task, with 8 tasks on T5-base.
PARAMETERS = {
    "paper": (616_000, "secondary; a total divided by the 8 tasks"),
    "released configuration": (971_000, "about; counted in the released code"),
}


def beside(experiment: str) -> list[Known]:
    """The known figures of one experiment, the paper's first."""
    return [known for known in KNOWN if known.experiment == experiment]
