"""From a task's rows to padded tensors, with all tokenizing done beforehand.

`PHAModel.batch` makes the same tensors from text. A training run sees each row many times, so here
the text becomes token ids once, and a step only pads: with a small model, tokenizing in every step
would cost a noticeable part of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from .routing import Route

if TYPE_CHECKING:
    from datasets import Dataset

    from .model import PHAModel

Encoded = list[tuple[list[int], list[int]]]  # per row: token ids of source and target


def encode(model: PHAModel, rows: Dataset) -> Encoded:
    """Token ids of every row's source and target, cut to the lengths of `model.config`."""
    sides = {"source": model.config.max_source_length, "target": model.config.max_target_length}
    ids = (
        model.tokenizer(list(rows[column]), truncation=True, max_length=length)["input_ids"]
        for column, length in sides.items()
    )
    return list(zip(*ids, strict=True))


def collate(
    model: PHAModel, rows: Sequence, task_ids: Sequence[int], device: torch.device | str = "cpu"
) -> dict[str, torch.Tensor | Route]:
    """One batch, each side padded to its longest row.

    Args:
        rows: B entries of `encode`'s list.
        task_ids: B positions in `model.config.tasks`.

    Returns:
        input_ids (B, S), attention_mask (B, S), labels (B, N) with -100 in the padding, which
        cross entropy ignores, task_ids (B,), and their `Route`: made here, before anything is on a
        GPU, it costs no wait for that.
    """
    sources, targets = zip(*rows, strict=True)
    batch = {
        "input_ids": _padded(sources, model.tokenizer.pad_token_id),
        "attention_mask": _padded([[1] * len(row) for row in sources], 0),
        "labels": _padded(targets, -100),
        "task_ids": torch.tensor(list(task_ids)),
    }
    batch = {name: tensor.to(device) for name, tensor in batch.items()}
    return {**batch, "route": Route.of(task_ids, device)}


def _padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [value] * (width - len(row)) for row in rows])


def digest(rows: Encoded) -> str:
    """A fingerprint of encoded rows, to tell a run from one on other data.

    >>> digest([([1, 2], [3])]) == digest([([1], [2, 3])])
    False
    """
    flat = [number for source, target in rows for number in (len(source), *source, *target)]
    return hashlib.sha256(np.asarray(flat, dtype=np.int64).tobytes()).hexdigest()[:16]
