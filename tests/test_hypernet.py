"""The hypernetwork against a loop over tasks and layers, and its start."""

from __future__ import annotations

import math

import pytest
import torch

from pha_lite.hypernet import HyperNetwork, Prototypes

L, D, B, E, EL, HID, OUT = 3, 10, 4, 6, 5, 7, 8


@pytest.fixture
def net():
    torch.manual_seed(0)
    net = HyperNetwork(L, D, B, E, EL, HID, OUT).double()
    for parameter in net.parameters():  # away from the almost-zero start
        torch.nn.init.normal_(parameter)
    return net


def one_adapter(net: HyperNetwork, k: torch.Tensor, layer: int):
    """The equations of the paper for one task and one layer, layer norm written out."""
    v = torch.cat([k, net.layers[layer]])
    hidden = (net.first.weight @ v + net.first.bias).clamp(min=0)
    x = net.second.weight @ hidden + net.second.bias
    x = (x - x.mean()) / torch.sqrt(((x - x.mean()) ** 2).mean() + 1e-6)
    x = x * net.norm.weight + net.norm.bias
    up = net.up.weight @ x + net.up.bias
    down = net.down.weight @ x + net.down.bias
    up_matrix = torch.stack([up[j * D : (j + 1) * D] for j in range(B)])  # (b, d)
    down_matrix = torch.stack([down[i * B : (i + 1) * B] for i in range(D)])  # (d, b)
    return (
        down_matrix,
        net.down_bias.weight @ x + net.down_bias.bias,
        up_matrix,
        net.up_bias.weight @ x + net.up_bias.bias,
    )


def test_one_batched_call_equals_a_loop(net):
    vectors = torch.randn(5, E, dtype=torch.double)
    made = net(vectors)
    assert made.down.shape == (L, 5, D, B) and made.down_bias.shape == (L, 5, B)
    assert made.up.shape == (L, 5, B, D) and made.up_bias.shape == (L, 5, D)
    for layer in range(L):
        for t in range(5):
            want = one_adapter(net, vectors[t], layer)
            for got, exact in zip(made, want, strict=True):
                torch.testing.assert_close(got[layer, t], exact)


def test_layers_and_tasks_get_adapters_of_their_own(net):
    made = net(torch.randn(2, E, dtype=torch.double))
    assert not torch.allclose(made.up[0, 0], made.up[1, 0])
    assert not torch.allclose(made.up[0, 0], made.up[0, 1])


def test_heads_start_within_the_released_bounds():
    d, b, out = 48, 16, 32
    net = HyperNetwork(2, d, b, out=out)
    for head, fan in ((net.up, b), (net.down, d), (net.up_bias, 1), (net.down_bias, 1)):
        bound = 1e-3 * math.sqrt(3 / (out * fan))
        assert head.weight.abs().max() <= bound
        assert head.weight.abs().max() > 0.95 * bound
        assert not head.bias.any()
    assert net.norm.eps == 1e-6


def test_generated_adapters_start_almost_at_zero():
    torch.manual_seed(0)
    made = HyperNetwork(4, 128, 16)(torch.randn(6, 64))
    assert all(0 < part.abs().max() < 5e-3 for part in made)


def test_prototypes_start_normal_and_are_picked_by_task():
    torch.manual_seed(0)
    table = Prototypes(400, 50, std=0.1)
    assert math.isclose(table.vectors.std().item(), 0.1, rel_tol=0.03)
    assert torch.equal(table(torch.tensor([7, 0])), table.vectors[[7, 0]])


def test_the_gradient_of_a_task_reaches_only_its_own_prototype():
    table, net = Prototypes(4, 64), HyperNetwork(2, 8, 3)
    sum(part.sum() for part in net(table(torch.tensor([2])))).backward()
    assert table.vectors.grad[2].abs().sum() > 0
    assert not table.vectors.grad[[0, 1, 3]].any()
