"""The paper's experiments as configurations; every entry says what in it rests on what."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Experiment:
    """One of the paper's experiments.

    Args:
        about: what it is, and what rests on what.
        tasks: trained together.
        sizes: training rows per task, see `experiments.paper.Training`.
        train, model: fields of `TrainConfig` and `PHAConfig` that differ from the paper's presets.
        few: sizes up to which `few_steps` are trained.
        new, k: tasks that the trained model meets afterwards, and with how many examples.
    """

    about: str
    tasks: tuple[str, ...]
    sizes: tuple[int | str | None, ...] = (None,)
    train: dict = field(default_factory=dict)
    model: dict = field(default_factory=dict)
    few: int = 0
    few_steps: int = 5000
    new: tuple[str, ...] = ()
    k: tuple[int, ...] = ()

    def steps(self, size: int | str | None) -> dict:
        """The number of steps, where this size has its own."""
        return {"steps": self.few_steps} if isinstance(size, int) and size <= self.few else {}


GLUE = tuple(f"glue/{t}" for t in ("rte", "sst2", "mrpc", "stsb", "qqp", "mnli", "qnli", "cola"))
_FULL = "Settings are those of the released full-data configuration"
EXPERIMENTS: dict[str, Experiment] = {
    "glue": Experiment(
        f"Eight GLUE tasks on all their data. {_FULL}; targets of at most 16 tokens (there 128) "
        "are our choice, as label words are short.",
        GLUE,
        train={"eval_every": 500},
    ),
    "superglue": Experiment(
        "The SuperGLUE tasks that the loaders know; which of them the paper averages is not known "
        f"here. {_FULL} for GLUE; sources of 256 tokens are our choice.",
        tuple(f"superglue/{t}" for t in ("boolq", "cb", "copa", "multirc", "wic", "wsc")),
        model={"max_source_length": 256},
    ),
    "mrqa": Experiment(
        f"The six sets of MRQA 2019. {_FULL} for GLUE; lengths of 512 and 32 tokens are "
        "our choice.",
        tuple(
            f"mrqa/{t}"
            for t in ("squad", "newsqa", "triviaqa", "searchqa", "hotpotqa", "naturalquestions")
        ),
        model={"max_source_length": 512, "max_target_length": 32},
    ),
    "others": Experiment(
        f"SciTail, PAWS, Yelp and WinoGrande together. {_FULL} for GLUE; the choice of the four is "
        "ours.",
        ("scitail", "paws", "yelp_polarity", "winogrande"),
    ),
    "lowdata": Experiment(
        "GLUE with few rows per task. Sizes, steps and the loss, a sum over target tokens, are "
        "those of the released configurations (5,000 steps up to 500 rows); two of these ask for "
        "another number of rows than their names say, and here the names count.",
        GLUE,
        sizes=(100, 500, 1000, 2000, 4000, "1%", "3%", "5%"),
        model={"lm_reduction": "sum"},
        few=500,
    ),
    "fewshot": Experiment(
        "A model trained on GLUE meets BoolQ, CB and SciTail with k examples. Tasks and k are the "
        "paper's; the release has no code for it, so starts and tuning are our choice.",
        GLUE,
        train={"eval_every": 500},
        new=("superglue/boolq", "superglue/cb", "scitail"),
        k=(4, 16, 32),
    ),
}
