"""The bottleneck adapter as a pure function, and the two ways of owning its weights directly."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .errors import PHAError
from .routing import Route

XAVIER_GAIN = 1e-4  # of the release: a trained adapter starts almost at zero


class AdapterWeights(NamedTuple):
    """Weights of bottleneck adapters, with any leading dimensions (layers, tasks).

    down (..., d, b), down_bias (..., b), up (..., b, d), up_bias (..., d).
    """

    down: Tensor
    down_bias: Tensor
    up: Tensor
    up_bias: Tensor

    def unbind(self) -> list[AdapterWeights]:
        """Splits along the first dimension: one entry per layer (or per task)."""
        return [AdapterWeights(*parts) for parts in zip(*(w.unbind(0) for w in self), strict=True)]


def bottleneck(x: Tensor, weights: AdapterWeights, route: Route | None = None) -> Tensor:
    """A(x) = ReLU(x W_down + b_down) W_up + b_up, no residual inside (paper).

    Args:
        x: (B, S, d), any floating type; the product runs in the type of the weights.
        weights: one adapter for all rows (no leading dimension), or K of them (K first).
        route: needed with K adapters: row i uses adapter ``route.group[i]``.

    Returns:
        (B, S, d) in the type of `x`.
    """
    kind = x.dtype
    x = x.to(weights.down.dtype)
    if weights.down.dim() == 3:
        if route is None or len(route) != x.shape[0]:
            have = "no route" if route is None else f"a route of {len(route)} rows"
            raise PHAError(
                f"a batch of {x.shape[0]} rows met {have}: call the PHAModel (forward, generate, "
                "predict), not its t5, so that every row finds its task."
            )
        if weights.down.shape[0] == 1:
            weights = AdapterWeights(*(w[0] for w in weights))
        else:
            return _grouped(x, weights, route).to(kind)
    hidden = F.relu(F.linear(x, weights.down.t(), weights.down_bias))
    return F.linear(hidden, weights.up.t(), weights.up_bias).to(kind)


def _grouped(x: Tensor, weights: AdapterWeights, route: Route) -> Tensor:
    """Batched products over K adapters, copying whichever is smaller: rows or weights."""
    tasks, width, bottom = weights.down.shape
    rows, length, _ = x.shape
    slots = route.slots.shape[0]
    by_task = not route.in_order and slots * length <= rows * bottom
    if by_task:
        x = x.index_select(0, route.slots).view(tasks, -1, width)
    elif not route.in_order:
        weights = AdapterWeights(*(w.index_select(0, route.group) for w in weights))
    hidden = F.relu(torch.baddbmm(weights.down_bias.unsqueeze(1), x, weights.down))
    out = torch.baddbmm(weights.up_bias.unsqueeze(1), hidden, weights.up)
    return out.view(slots, length, width).index_select(0, route.back) if by_task else out


class _OwnedAdapters(nn.Module):
    """Ordinary adapters with trained weights, Xavier-initialised with gain 1e-4, zero biases."""

    def __init__(self, *lead: int, d: int, b: int):
        super().__init__()
        self.down = nn.Parameter(torch.empty(*lead, d, b))
        self.down_bias = nn.Parameter(torch.zeros(*lead, b))
        self.up = nn.Parameter(torch.empty(*lead, b, d))
        self.up_bias = nn.Parameter(torch.zeros(*lead, d))
        bound = XAVIER_GAIN * math.sqrt(6 / (d + b))  # the same for d x b and b x d
        nn.init.uniform_(self.down, -bound, bound)
        nn.init.uniform_(self.up, -bound, bound)

    def stacked(self) -> AdapterWeights:
        return AdapterWeights(self.down, self.down_bias, self.up, self.up_bias)


class SharedAdapters(_OwnedAdapters):
    """One adapter per layer, used by all tasks (the encoder side of the paper).

    Args:
        layers: L, number of layers.
        d: width of the model.
        b: width of the bottleneck.
    """

    def __init__(self, layers: int, d: int, b: int):
        super().__init__(layers, d=d, b=b)

    def forward(self, tasks: Tensor | None = None) -> AdapterWeights:
        """The weights of all layers, (L, ...); the tasks make no difference."""
        return self.stacked()


class PerTaskAdapters(_OwnedAdapters):
    """One adapter per task and layer: the baseline that shares nothing.

    Args:
        tasks: T, number of tasks.
        layers, d, b: as in `SharedAdapters`.
    """

    def __init__(self, tasks: int, layers: int, d: int, b: int):
        super().__init__(tasks, layers, d=d, b=b)

    def forward(self, tasks: Tensor) -> AdapterWeights:
        """The weights of K tasks, (L, K, ...).

        Args:
            tasks: (K,) task ids.
        """
        return AdapterWeights(*(w.index_select(0, tasks).transpose(0, 1) for w in self.stacked()))
