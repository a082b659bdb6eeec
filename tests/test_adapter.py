"""The bottleneck against plain arithmetic, row by row, in every way of grouping rows."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pha_lite.adapter import AdapterWeights, PerTaskAdapters, SharedAdapters, bottleneck
from pha_lite.errors import PHAError
from pha_lite.routing import Route

D, BOTTOM = 6, 3


def weights_of(count: int, seed: int = 0) -> AdapterWeights:
    draw = torch.Generator().manual_seed(seed)
    shapes = (count, D, BOTTOM), (count, BOTTOM), (count, BOTTOM, D), (count, D)
    return AdapterWeights(
        *(torch.randn(s, generator=draw, dtype=torch.double).requires_grad_() for s in shapes)
    )


def by_hand(x, w: AdapterWeights, k: int):
    """A(x) = ReLU(x W_down + b_down) W_up + b_up, one number at a time."""
    out = torch.zeros_like(x)
    for s in range(x.shape[0]):
        hidden = [
            max(0.0, sum(x[s, i] * w.down[k, i, j] for i in range(D)) + w.down_bias[k, j])
            for j in range(BOTTOM)
        ]
        for i in range(D):
            out[s, i] = sum(hidden[j] * w.up[k, j, i] for j in range(BOTTOM)) + w.up_bias[k, i]
    return out.detach()


# Lengths on both sides of the rule that copies either the rows or the weights.
@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize(
    "ids", [[4], [1, 1, 1], [0, 1, 2], [2, 0, 1], [2, 0, 2, 2, 1], [5] * 8 + [1]]
)
def test_every_row_meets_the_adapter_of_its_task(ids, length):
    route, w = Route.of(ids), weights_of(len(set(ids)))
    x = torch.randn(len(ids), length, D, dtype=torch.double)
    got = bottleneck(x, w, route)
    for row, k in enumerate(route.group.tolist()):
        torch.testing.assert_close(got[row], by_hand(x[row], w, k))


@pytest.mark.parametrize("length", [1, 7])
def test_gradients_of_a_mixed_batch_are_sums_over_its_rows(length):
    ids = [1, 0, 1, 2, 1]
    route, w = Route.of(ids), weights_of(3)
    x = torch.randn(5, length, D, dtype=torch.double, requires_grad=True)
    pull = torch.randn(5, length, D, dtype=torch.double)
    got = torch.autograd.grad((bottleneck(x, w, route) * pull).sum(), [x, *w])
    alone = sum(
        (bottleneck(x[i : i + 1], AdapterWeights(*(t[k] for t in w))) * pull[i]).sum()
        for i, k in enumerate(ids)
    )
    for g, want in zip(got, torch.autograd.grad(alone, [x, *w]), strict=True):
        torch.testing.assert_close(g, want)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.integers(1, 5))
def test_any_mix_of_tasks_equals_its_rows_alone(ids, length):
    torch.manual_seed(0)
    route, w = Route.of(ids), weights_of(len(set(ids)))
    x = torch.randn(len(ids), length, D, dtype=torch.double)
    alone = [
        bottleneck(x[i : i + 1], AdapterWeights(*(t[k] for t in w)))
        for i, k in enumerate(route.group.tolist())
    ]
    torch.testing.assert_close(bottleneck(x, w, route), torch.cat(alone))


def test_one_adapter_for_all_needs_no_route():
    w = weights_of(1)
    x = torch.randn(2, 3, D, dtype=torch.double)
    single = AdapterWeights(*(t[0] for t in w))
    torch.testing.assert_close(bottleneck(x, single), bottleneck(x, w, Route.of([9, 9])))
    torch.testing.assert_close(bottleneck(x, single)[1], by_hand(x[1], w, 0))


def test_the_type_of_the_input_comes_back_and_the_product_runs_in_that_of_the_weights():
    w = AdapterWeights(*(t.detach().float() for t in weights_of(2)))
    x = torch.randn(3, 2, D)
    route = Route.of([0, 1, 0])
    low = bottleneck(x.bfloat16(), w, route)
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low, bottleneck(x.bfloat16().float(), w, route).bfloat16())


@pytest.mark.parametrize("route", [None, Route.of([0, 1]), Route.of([0, 1, 1, 0])])
def test_a_route_of_another_batch_is_refused(route):
    with pytest.raises(PHAError, match="a batch of 3 rows"):
        bottleneck(torch.randn(3, 2, D, dtype=torch.double), weights_of(2), route)


@pytest.mark.parametrize("owned", [SharedAdapters(5, 40, 8), PerTaskAdapters(3, 5, 40, 8)])
def test_owned_adapters_start_xavier_with_gain_1e_4(owned):
    bound = 1e-4 * math.sqrt(6 / (40 + 8))
    for name in ("down", "up"):
        w = getattr(owned, name)
        assert w.abs().max() <= bound
        assert w.abs().max() > 0.95 * bound and w.min() < 0
        assert math.isclose(w.std().item(), bound / math.sqrt(3), rel_tol=0.05)
        assert not getattr(owned, name + "_bias").any()


def test_per_task_adapters_are_picked_by_task():
    owned = PerTaskAdapters(4, 2, D, BOTTOM)
    picked = owned(torch.tensor([3, 1]))
    assert picked.down.shape == (2, 2, D, BOTTOM) and picked.up_bias.shape == (2, 2, D)
    assert torch.equal(picked.down[1, 0], owned.down[3, 1])
    assert torch.equal(picked.up[0, 1], owned.up[1, 0])


def test_unbind_gives_one_entry_per_layer():
    layers = SharedAdapters(3, D, BOTTOM)().unbind()
    assert len(layers) == 3 and layers[0].down.shape == (D, BOTTOM)
