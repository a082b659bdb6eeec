"""The one description of a model: sizes, placement, ordered task list and loss weights."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .errors import PHAError, unknown

# Words that `add_task(like=...)` understands, so no task may be called by them.
RESERVED_TASK_NAMES = ("mean", "random")

_CHOICES = {
    "encoder": ("shared", "generated", "per_task", "none"),
    "decoder": ("generated", "shared", "per_task", "none"),
    "placement": ("parallel", "sequential"),
    "hyper_input": ("prototype", "embedding", "instance", "both"),
    "prototype_loss": ("released", "standard"),
    "lm_reduction": ("mean", "sum"),
}
_SIZES = {
    "adapter_dim": 1,
    "prototype_dim": 1,
    "layer_dim": 1,
    "hyper_hidden": 1,
    "hyper_out": 1,
    "retriever_hidden": 1,
    "own_dim": 0,
    "skip_lowest": 0,
    "max_source_length": 2,  # at least one piece and the closing </s>
    "max_target_length": 2,
    "seed": 0,
}
# name: upper end of the allowed interval [0, end)
_REALS = {
    "prototype_std": math.inf,
    "temperature": math.inf,
    "instance_weight": math.inf,
    "prototype_weight": math.inf,
    "label_smoothing": 1.0,
    "dropout": 1.0,
}

_NO_CONTRAST = {"instance_weight": 0.0, "prototype_weight": 0.0}
BASELINES: dict[str, dict[str, Any]] = {
    "pha": {},
    "without_retriever": dict(_NO_CONTRAST),
    "shared_adapter": {"encoder": "shared", "decoder": "shared", **_NO_CONTRAST},
    "adapter_per_task": {"encoder": "per_task", "decoder": "per_task", **_NO_CONTRAST},
    "task_embedding": {"hyper_input": "embedding", **_NO_CONTRAST},
    "hyperformer": {"encoder": "generated", "hyper_input": "embedding", **_NO_CONTRAST},
    "instance": {"hyper_input": "instance", **_NO_CONTRAST},
    "adapter_drop": {"encoder": "shared", "decoder": "shared", "skip_lowest": 1, **_NO_CONTRAST},
}


@dataclass(frozen=True)
class PHAConfig:
    """Everything that decides how a model is built and what it minimises.

    The defaults are the sizes and weights of the released code. A configuration is checked when
    it is made and does not change afterwards; ``dataclasses.replace(config, dropout=0.1)`` gives
    a changed copy.

    Args:
        tasks: task names. The order matters: row t of every table belongs to ``tasks[t]``, and it
            is saved with the weights.
        adapter_dim: b, width of every adapter's bottleneck.
        prototype_dim: e, width of a prototype and of an instance embedding.
        own_dim: width of a second vector per task, which the hypernetwork reads beside the
            prototype and no contrastive loss touches, so that tasks with equal inputs can differ
            however near their prototypes come (our extension; 0 is the paper's form).
        layer_dim: width of a layer embedding.
        hyper_hidden, hyper_out: hidden and output width of the hypernetwork's trunk.
        retriever_hidden: hidden width of the retriever.
        encoder, decoder: who owns the adapters of each stack. ``"shared"``: one set for all
            tasks; ``"generated"``: the hypernetwork makes a set per task; ``"per_task"``: an
            ordinary trained set per task; ``"none"``: no adapters (an encoder without adapters
            runs without gradient, which makes steps much cheaper).
        skip_lowest: layers without adapters at the bottom of each stack (AdapterDrop).
        placement: ``"parallel"`` to the feed-forward sub-layer, reading its layer-normed input
            (paper), or ``"sequential"``, on its output with an inner residual (HyperFormer).
        hyper_input: what the hypernetwork reads: a task's ``"prototype"`` (paper), a free task
            ``"embedding"`` without any loss on it (HyperFormer), the ``"instance"`` embedding of
            each row (Hyperdecoder), or ``"both"``, prototype and instance side by side (ours).
        prototype_std: standard deviation of the prototypes' initial values.
        temperature: tau of both contrastive losses.
        instance_weight, prototype_weight: their weights; 0 switches a loss off.
        prototype_loss: ``"released"`` leaves the positive pair out of the denominator (the value
            can be negative), ``"standard"`` keeps it in.
        contrast_to_encoder: whether the contrastive gradient reaches the encoder's adapters. Where
            these belong to tasks (generated, per task) it never does: the retriever then reads the
            bare encoder, or its embedding would give the task away and none could be looked up.
        contrast_to_prototypes: whether the prototype loss moves the prototypes. Where it does not
            (our extension), answers alone shape them, and the retriever learns to find them there.
        label_smoothing: mass moved from the right token to all tokens evenly.
        lm_reduction: language-model loss as the ``"mean"`` over real target tokens or their
            ``"sum"`` (the release uses the mean with full data, the sum with little data).
        dropout: rate of every dropout inside the frozen T5 while training; the adapters
            themselves have none.
        max_source_length, max_target_length: in tokens, the closing ``</s>`` counted.
        seed: decides the initial values.

    Raises:
        PHAError: a value is out of its range or contradicts another one; the message names it.

    >>> PHAConfig(tasks=["sentiment", "entailment"]).adapter_dim
    64
    """

    tasks: list[str] = field(default_factory=list)
    adapter_dim: int = 64
    prototype_dim: int = 64
    own_dim: int = 0
    layer_dim: int = 64
    hyper_hidden: int = 128
    hyper_out: int = 64
    retriever_hidden: int = 128
    encoder: str = "shared"
    decoder: str = "generated"
    skip_lowest: int = 0
    placement: str = "parallel"
    hyper_input: str = "prototype"
    prototype_std: float = 1.0
    temperature: float = 0.1
    instance_weight: float = 0.1
    prototype_weight: float = 0.1
    prototype_loss: str = "released"
    contrast_to_encoder: bool = True
    contrast_to_prototypes: bool = True
    label_smoothing: float = 0.1
    lm_reduction: str = "mean"
    dropout: float = 0.1
    max_source_length: int = 128
    max_target_length: int = 16
    seed: int = 0

    def __post_init__(self):
        _check_tasks(self.tasks)
        object.__setattr__(self, "tasks", list(self.tasks))
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise PHAError(f"{name}={getattr(self, name)!r}: choose one of {_words(allowed)}.")
        for name, least in _SIZES.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise PHAError(f"{name}={value!r}: give a whole number of at least {least}.")
        for name, end in _REALS.items():
            value = getattr(self, name)
            if (
                not isinstance(value, int | float)
                or isinstance(value, bool)
                or not 0 <= value < end
            ):
                raise PHAError(f"{name}={value!r}: give a number from 0 to below {end}.")
        if self.temperature == 0:
            raise PHAError("temperature=0: the losses divide by it; give a number above 0.")
        for name in ("contrast_to_encoder", "contrast_to_prototypes"):
            if not isinstance(getattr(self, name), bool):
                raise PHAError(f"{name}={getattr(self, name)!r}: give true or false.")
        if self.hyper_input in ("instance", "both") and self.encoder == "generated":
            raise PHAError(
                f"encoder='generated' with hyper_input={self.hyper_input!r}: the instance "
                "embedding is read from the encoder, so it cannot generate the encoder's adapters; "
                "choose encoder='shared', 'per_task' or 'none'."
            )

    @property
    def generates(self) -> bool:
        """Whether any adapter comes from the hypernetwork."""
        return "generated" in (self.encoder, self.decoder)

    @property
    def reads_instance(self) -> bool:
        """Whether the hypernetwork reads each row's embedding, so that it writes per row."""
        return self.generates and self.hyper_input in ("instance", "both")

    @property
    def has_table(self) -> bool:
        """Whether there is one vector per task: a prototype or a free embedding."""
        if self.hyper_input == "instance":
            return False
        return self.generates or self.uses_prototype_loss

    @property
    def own_width(self) -> int:
        """Width of the tasks' own vectors; 0 where no hypernetwork reads a vector per task."""
        return self.own_dim if self.generates and self.hyper_input != "instance" else 0

    @property
    def uses_prototype_loss(self) -> bool:
        """The prototype loss exists only where the task vectors are prototypes."""
        return self.hyper_input in ("prototype", "both") and self.prototype_weight > 0

    @property
    def has_retriever(self) -> bool:
        """Whether the retriever's MLP is trained at all."""
        return self.instance_weight > 0 or self.uses_prototype_loss or self.reads_instance

    @property
    def hyper_width(self) -> int:
        """Width of what the hypernetwork reads of a task, an instance, or both."""
        both = self.prototype_dim if self.hyper_input == "both" else 0
        return self.prototype_dim + self.own_width + both

    @classmethod
    def paper(cls, **overrides) -> PHAConfig:
        """The released configuration (sizes, weights, losses) for T5-base."""
        return cls.from_dict(overrides)

    @classmethod
    def tiny(cls, **overrides) -> PHAConfig:
        """Our choice for the embedded backbone: small and quick.

        Sizes are a choice. The departures from the release follow the recorded comparison
        `data/results/variants.json` (validation data of a suite that no figure uses): without
        smoothing and with the contrastive gradient kept out of the encoder it did best among the
        forms with the released loss. The margins are small and it has one seed.
        """
        sizes = dict(
            adapter_dim=16,
            prototype_dim=32,
            layer_dim=32,
            hyper_hidden=64,
            hyper_out=32,
            retriever_hidden=64,
            dropout=0.0,
            label_smoothing=0.0,
            contrast_to_encoder=False,
            max_source_length=96,
            max_target_length=8,
        )
        return cls.from_dict({**sizes, **overrides})

    @classmethod
    def baseline(cls, name: str, base: PHAConfig | None = None, **overrides) -> PHAConfig:
        """The configuration of a method that PHA is compared with.

        Args:
            name: ``"shared_adapter"`` (one adapter for all tasks), ``"adapter_per_task"``,
                ``"task_embedding"`` (PHA with a free task vector and no retriever),
                ``"hyperformer"`` (the same, encoder adapters generated too), ``"instance"``
                (Hyperdecoder: adapters from each row's embedding), ``"adapter_drop"`` (one shared
                adapter, none in the lowest layer of each stack), ``"without_retriever"`` (PHA
                without the two contrastive losses) or ``"pha"``.
            base: configuration whose sizes are kept; `PHAConfig.tiny()` when not given.
            overrides: fields set last.

        >>> PHAConfig.baseline("shared_adapter").decoder
        'shared'
        """
        if name not in BASELINES:
            raise PHAError(unknown("baseline", name, BASELINES))
        base = cls.tiny() if base is None else base
        return cls.from_dict({**base.to_dict(), **BASELINES[name], **overrides})

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> PHAConfig:
        """The reverse of `to_dict`; missing fields take their defaults, unknown ones raise."""
        if not isinstance(values, dict):
            raise PHAError(f"a configuration is a table of fields, not {type(values).__name__}.")
        known = [f.name for f in dataclasses.fields(cls)]
        for name in values:
            if name not in known:
                raise PHAError(unknown("configuration field", name, known))
        return cls(**values)

    def to_json(self) -> str:
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | Path) -> PHAConfig:
        """Reads JSON text, or the file when given a `Path`."""
        where = "the configuration"
        if isinstance(text, Path):
            where = str(text)
            try:
                text = text.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise PHAError(f"{where}: cannot be read ({error}).") from error
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise PHAError(f"{where} is not valid JSON: {error}.") from error
        return cls.from_dict(values)


def _check_tasks(tasks) -> None:
    if isinstance(tasks, str) or not isinstance(tasks, list | tuple):
        raise PHAError(f"tasks={tasks!r}: give a list of task names.")
    seen = set()
    for name in tasks:
        if not isinstance(name, str) or not name.strip():
            raise PHAError(f"tasks: {name!r} is not a task name; use a non-empty string.")
        if name in RESERVED_TASK_NAMES:
            raise PHAError(f"tasks: {name!r} has a meaning in add_task(like=...); rename the task.")
        if name in seen:
            raise PHAError(f"tasks: {name!r} is listed twice; every task has one row in a table.")
        seen.add(name)


def _words(names) -> str:
    return ", ".join(repr(name) for name in names)
