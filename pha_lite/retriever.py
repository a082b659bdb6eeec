"""The instance-dense retriever, and looking for tasks in the space it makes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import PHAError
from .nearest import from_tensor, nearest_index, search, to_tensor

REDUCTIONS = ("mean", "vote", "softmax")
NEIGHBOURS = 16  # instances that may vote for a text's task; our choice


def masked_mean(states: Tensor, mask: Tensor) -> Tensor:
    """Mean over real positions.

    Args:
        states: (B, S, d).
        mask: (B, S), 1 for real tokens, 0 for padding.

    Returns:
        (B, d) in float32.
    """
    mask = mask.unsqueeze(-1).float()
    return (states.float() * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)


class Retriever(nn.Module):
    """z = MLP(pooled encoder state), d -> hidden -> ReLU -> e (paper); not normalised here.

    Args:
        d: width of the encoder.
        hidden: hidden width.
        dim: e, width of an instance embedding, that of a prototype.
    """

    def __init__(self, d: int, hidden: int = 128, dim: int = 64):
        super().__init__()
        self.first = nn.Linear(d, hidden)
        self.second = nn.Linear(hidden, dim)

    def forward(self, pooled: Tensor) -> Tensor:
        """(B, e) embeddings of (B, d) pooled states."""
        return self.second(F.relu(self.first(pooled.to(self.first.weight.dtype))))


class InstanceIndex:
    """Labelled instances to search in: which tasks do a new text's nearest neighbours have?

    Args:
        embeddings: (n, e), normalised here.
        tasks: n task names.
        kind: ``"flat"`` (exact), ``"ivf"`` or ``"hnsw"`` (nearly, and faster where there are many).
        options: of this kind, see `nearest.nearest_index`.

    Attributes:
        index: the faiss index; ``index.nprobe`` and ``index.hnsw.efSearch`` may be set at any time.
        names: the distinct task names, in the order of their first instance.
        tasks: (n,) the position of every instance's task in `names`.
        embedder: digest of what made the embeddings (`inference.embedder_digest`), if it is known.

    >>> index = InstanceIndex(torch.eye(2), ["mood", "topic"])
    >>> index.scores(torch.tensor([[1.0, 0.0]])).tolist()
    [1.0, 0.0]
    """

    def __init__(self, embeddings: Tensor, tasks: Sequence[str], kind: str = "flat", **options):
        if len(embeddings) != len(tasks) or not len(tasks):
            raise PHAError(
                f"{len(embeddings)} texts and {len(tasks)} task names: give one name per text, "
                "and at least one text."
            )
        self.names = list(dict.fromkeys(tasks))
        position = {name: t for t, name in enumerate(self.names)}
        self.tasks = torch.tensor([position[name] for name in tasks])
        embeddings = F.normalize(embeddings.float(), dim=-1).cpu()
        self.kind, self.embedder = kind, ""
        self.index = nearest_index(embeddings, kind, **options)
        means = torch.zeros(len(self.names), embeddings.shape[1])
        means.index_add_(0, self.tasks, embeddings)
        # Not normalised: the inner product with such a mean is the mean cosine with its members.
        self.means = means / self.tasks.bincount(minlength=len(self.names)).unsqueeze(1)

    def scores(self, z: Tensor, reduce: str = "mean", temperature: float = 0.1) -> Tensor:
        """One score per task in `names`, over the normalised embeddings z (n, e) of some texts.

        ``"mean"``: mean cosine between the texts and all indexed instances of the task; exact with
        every kind of index, as it needs the tasks' means only.
        ``"vote"``: its share among the texts' nearest neighbours.
        ``"softmax"``: the same share, a neighbour counting by softmax(cosine / temperature).
        """
        check_reduce(reduce)
        if reduce == "mean":
            return (z @ self.means.t()).mean(dim=0)
        cosines, rows = search(self.index, z, min(NEIGHBOURS, len(self.tasks)))
        found = rows >= 0  # an approximate search may meet fewer
        weights = found / found.sum(dim=1, keepdim=True).clamp(min=1)
        if reduce == "softmax":
            weights = (cosines / temperature).masked_fill(~found, -torch.inf).softmax(dim=1)
        shares = torch.zeros(len(self.names))
        shares.index_add_(0, self.tasks[rows[found]], weights[found])
        return shares / len(z)

    def state(self) -> tuple[dict[str, Tensor], dict]:
        """Tensors and a description in plain values: all that `restore` needs."""
        tensors = {"index": to_tensor(self.index), "tasks": self.tasks, "means": self.means}
        return tensors, {"kind": self.kind, "names": self.names, "embedder": self.embedder}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], about: dict) -> InstanceIndex:
        """The index whose `state` this is."""
        self = cls.__new__(cls)
        self.kind, self.names, self.embedder = about["kind"], about["names"], about["embedder"]
        self.tasks, self.means = tensors["tasks"], tensors["means"]
        self.index = from_tensor(tensors["index"])
        return self


def prototype_scores(
    z: Tensor, prototypes: Tensor, reduce: str = "mean", temperature: float = 0.1
) -> Tensor:
    """(T,) one score per prototype, over the normalised embeddings of some texts.

    ``"mean"``: mean cosine between the texts and the prototype (our choice for transfer).
    ``"vote"``: share of the texts whose nearest prototype it is.
    ``"softmax"``: mean over texts of softmax(cosine / temperature).

    Args:
        z: (n, e) normalised embeddings.
        prototypes: (T, e), normalised here.
    """
    check_reduce(reduce)
    prototypes = F.normalize(prototypes.float(), dim=-1).cpu()
    count = len(prototypes)
    cosines, found = search(nearest_index(prototypes), z, count)
    cosines = torch.empty_like(cosines).scatter(1, found, cosines)  # back into task order
    if reduce == "mean":
        return cosines.mean(dim=0)
    if reduce == "softmax":
        return (cosines / temperature).softmax(dim=1).mean(dim=0)
    return found[:, 0].bincount(minlength=count) / len(z)


def ranked(names: Sequence[str], scores: Tensor, k: int) -> list[tuple[str, float]]:
    """The k best (name, score); ties keep the order of the names."""
    if not isinstance(k, int) or k < 1:
        raise PHAError(f"k={k!r}: give a whole number of at least 1.")
    order = scores.argsort(descending=True, stable=True)[:k]
    return [(names[t], float(scores[t])) for t in order.tolist()]


def check_reduce(reduce: str) -> None:
    if reduce not in REDUCTIONS:
        raise PHAError(f"reduce={reduce!r}: choose one of {', '.join(map(repr, REDUCTIONS))}.")
