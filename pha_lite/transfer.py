"""Meeting a new task: which known tasks it resembles, and where its own row starts.

The release has no code for this step of the paper; all of it is our choice.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .errors import PHAError
from .inference import check_texts, embedder_digest
from .retriever import InstanceIndex, prototype_scores, ranked

if TYPE_CHECKING:
    from .model import PHAModel


def index_instances(
    model: PHAModel,
    texts: Sequence[str],
    tasks: str | Sequence[str],
    kind: str = "flat",
    **options,
) -> None:
    """`PHAModel.index_instances`."""
    texts = check_texts(texts, "texts", least=1)
    names = [tasks] * len(texts) if isinstance(tasks, str) else list(tasks)
    index = InstanceIndex(model.embed(texts), names, kind, **options)
    index.embedder = embedder_digest(model)
    model.instances = index


def retrieve(
    model: PHAModel, texts: Sequence[str], k: int = 3, by: str = "prototypes", reduce: str = "mean"
) -> list[tuple[str, float]]:
    """`PHAModel.retrieve`."""
    texts = check_texts(texts, "texts", least=1)
    temperature = model.config.temperature
    if by == "prototypes":
        if not model.config.uses_prototype_loss:
            raise PHAError(
                "by='prototypes': this model's prototypes were not trained to lie near instances "
                "(no prototype loss); use by='instances'."
            )
        vectors = model.trained.prototypes.vectors.detach()
        scores = prototype_scores(model.embed(texts), vectors, reduce, temperature)
        return ranked(model.config.tasks, scores, k)
    if by == "instances":
        if model.instances is None:
            raise PHAError("by='instances': call index_instances(texts, tasks) first.")
        scores = model.instances.scores(model.embed(texts), reduce, temperature)
        return ranked(model.instances.names, scores, k)
    raise PHAError(f"by={by!r}: choose 'prototypes' or 'instances'.")


def add_task(
    model: PHAModel,
    name: str,
    like: str | Sequence[str] | Mapping[str, float] | None = None,
    seed: int = 0,
) -> int:
    """`PHAModel.add_task`."""
    config = replace(model.config, tasks=[*model.config.tasks, name])
    shares = mixture(model, like, seed)
    # The name takes part in the draw: with the model's own seed alone, a fresh row would be, to the
    # last bit, that from which the model's first task set out, and two new tasks would be twins.
    draw = zlib.crc32(f"{seed} {name}".encode())
    model.trained.grow(model.new_trained(replace(config, tasks=[name], seed=draw)), shares)
    model.config = config
    return len(config.tasks) - 1


def mixture(model: PHAModel, like, seed: int = 0) -> Tensor | None:
    """(T,) shares of the known tasks in a new one; None for a fresh start."""
    if like is None:
        return None
    names = model.config.tasks
    if isinstance(like, Mapping):
        shares = dict(like)
    elif not isinstance(like, str):
        shares = {retrieve(model, like, k=1)[0][0]: 1.0}
    elif like == "mean":
        shares = dict.fromkeys(names, 1 / len(names))
    elif like == "random":
        draw = torch.Generator().manual_seed(seed)
        shares = {names[int(torch.randint(len(names), (1,), generator=draw))]: 1.0}
    else:
        shares = {like: 1.0}
    if not shares:
        raise PHAError("like={}: name at least one task and its share.")
    result = torch.zeros(len(names))
    values = torch.tensor(list(shares.values()), dtype=result.dtype)  # whole numbers, too
    result[model.task_ids(list(shares), len(shares))] = values
    return result
