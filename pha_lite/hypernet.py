"""Prototypes, and the hypernetwork that turns them into adapters."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .adapter import AdapterWeights

HEAD_SCALE = 1e-3  # of the release: generated adapters start almost at zero


class Prototypes(nn.Module):
    """One learned vector per task, k_t: a table learned by gradient, not an average of instances.

    With ``hyper_input="embedding"`` the same table holds HyperFormer's free task embeddings.

    Args:
        tasks: T, number of tasks.
        dim: e, width of a vector.
        std: standard deviation of the initial normal values (1 in the release).
    """

    def __init__(self, tasks: int, dim: int, std: float = 1.0):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(tasks, dim) * std)

    def forward(self, tasks: Tensor) -> Tensor:
        """(K, e) vectors of the K given task ids."""
        return self.vectors.index_select(0, tasks)


class HyperNetwork(nn.Module):
    """Generates the adapters of K tasks for all L layers in one batched call.

    With k_t the task's vector and e_l the layer's embedding::

        x_{t,l} = LayerNorm( W2 ReLU( W1 [k_t ; e_l] + c1 ) + c2 )
        W_up = H_up x    W_down = H_down x    b_up = h_up x    b_down = h_down x

    each head with a bias that starts at zero. Head weights are uniform in +-bound with
    bound = 1e-3 sqrt(3 / (hyper_out * fan)), fan = b for W_up, d for W_down and 1 for the biases:
    hyper-fan-in initialisation (Chang et al. 2020), scaled down (released code).

    Args:
        layers: L, number of layers served.
        d, b: widths of the model and of the bottleneck.
        prototype_dim, layer_dim: widths of k_t and e_l.
        hidden, out: widths of the trunk.
    """

    def __init__(
        self,
        layers: int,
        d: int,
        b: int,
        prototype_dim: int = 64,
        layer_dim: int = 64,
        hidden: int = 128,
        out: int = 64,
    ):
        super().__init__()
        self.d, self.b = d, b
        # The release states no initialisation for these three: PyTorch's defaults, our choice.
        self.layers = nn.Parameter(torch.randn(layers, layer_dim))
        self.first = nn.Linear(prototype_dim + layer_dim, hidden)
        self.second = nn.Linear(hidden, out)
        self.norm = nn.LayerNorm(out, eps=1e-6)
        self.up = _head(out, b * d, fan=b)
        self.down = _head(out, d * b, fan=d)
        self.up_bias = _head(out, d, fan=1)
        self.down_bias = _head(out, b, fan=1)

    def forward(self, vectors: Tensor) -> AdapterWeights:
        """Generates.

        Args:
            vectors: (K, e) task vectors, or one instance embedding per row.

        Returns:
            Weights with leading dimensions (L, K).
        """
        layers, count = self.layers.shape[0], vectors.shape[0]
        pairs = torch.cat(
            [
                vectors.expand(layers, -1, -1),
                self.layers.unsqueeze(1).expand(-1, count, -1),
            ],
            dim=-1,
        )
        x = self.norm(self.second(F.relu(self.first(pairs))))
        return AdapterWeights(
            down=self.down(x).view(layers, count, self.d, self.b),
            down_bias=self.down_bias(x),
            up=self.up(x).view(layers, count, self.b, self.d),
            up_bias=self.up_bias(x),
        )


def _head(inputs: int, outputs: int, fan: int) -> nn.Linear:
    head = nn.Linear(inputs, outputs)
    bound = HEAD_SCALE * math.sqrt(3 / (inputs * fan))
    nn.init.uniform_(head.weight, -bound, bound)
    nn.init.zeros_(head.bias)
    return head
