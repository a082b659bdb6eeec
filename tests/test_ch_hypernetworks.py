"""What the chapter on hypernetworks builds, against the package and against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite import load_suite
from pha_lite.adapter import bottleneck
from pha_lite.hypernet import HyperNetwork

L, D, B, E, EL, HID, OUT = 3, 10, 4, 6, 5, 7, 8


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("hypernetworks")


@pytest.fixture
def net(chapter):
    torch.manual_seed(0)
    net = chapter["Hyper"](L, D, B, E, EL, HID, OUT).double()
    for parameter in net.parameters():  # the layer norm's, too
        torch.nn.init.normal_(parameter)
    return net


def test_class_equals_the_package_with_the_same_weights(net):
    package = HyperNetwork(L, D, B, E, EL, HID, OUT).double()
    package.load_state_dict(net.state_dict())
    k = torch.randn(5, E, dtype=torch.double)
    for mine, theirs in zip(net(k), package(k), strict=True):
        assert torch.equal(mine, theirs)


def test_one_call_equals_the_naive_loop(chapter, net):
    k = torch.randn(4, E, dtype=torch.double)
    written = net(k)
    for layer in range(L):
        for t in range(len(k)):
            one = chapter["one_adapter"](net, k[t], layer)
            for got, want in zip(written, one, strict=True):
                torch.testing.assert_close(got[layer, t], want)


def test_adapters_span_one_direction_fewer_than_the_heads_read(net):
    # The scale and shift of the layer norm are drawn at random here: training changes nothing.
    written = net(torch.randn(60, E, dtype=torch.double))
    matrix = torch.cat([part[0].flatten(1) for part in written], dim=1).detach()
    values = torch.linalg.svdvals(matrix - matrix.mean(0))
    assert (values > 1e-9 * values[0]).sum() == OUT - 1


def test_per_task_equals_per_row_with_its_gradient(chapter, net):
    ids = torch.tensor([5, 2, 5, 0, 5, 2, 0])  # uneven, out of order, tasks missing
    h = torch.randn(len(ids), 3, D, dtype=torch.double)
    k = torch.randn(7, E, dtype=torch.double, requires_grad=True)
    found = {}
    for way in ("per_row", "per_task"):
        out, written = chapter[way](net, k, ids, h)
        (slope,) = torch.autograd.grad(out.sin().sum(), k)
        found[way] = out, slope
        rows = len(ids) if way == "per_row" else 3
        assert written.down.shape[1] == rows
        assert math.isclose(chapter["held"](written), 2 * chapter["mib"](rows, L, D, B))  # double
    for one, other in zip(*found.values(), strict=True):
        torch.testing.assert_close(one, other)
    layers = net(k)
    for layer in range(L):
        for row, task in enumerate(ids.tolist()):
            own = type(layers)(*(part[layer, task] for part in layers))
            torch.testing.assert_close(found["per_row"][0][layer, row], bottleneck(h[row], own))


@pytest.mark.parametrize("shape", [(L, D, B, E, EL, HID, OUT), (12, 768, 64, 64, 64, 128, 64)])
def test_counts_are_those_of_the_package(chapter, shape):
    counted = chapter["hyper_size"](*shape)
    assert sum(counted.values()) == sum(p.numel() for p in HyperNetwork(*shape).parameters())
    assert counted["heads"] == (shape[-1] + 1) * chapter["adapter_size"](*shape[1:3])


def test_start_gives_the_variances_of_the_text(chapter):
    torch.manual_seed(0)
    d, b, out = 96, 24, 48
    net = chapter["Hyper"](2, d, b, out=out)
    k = torch.randn(40, 64)
    for scale in (1.0, 1e-3):
        chapter["start"](net, scale)
        written = net(k)
        assert math.isclose(written.down.std().item(), scale * d**-0.5, rel_tol=0.05)
        assert math.isclose(written.up.std().item(), scale * b**-0.5, rel_tol=0.05)
        assert math.isclose(written.up_bias.std().item(), scale, rel_tol=0.2)
        assert not any(h.bias.any() for h in (net.up, net.down, net.up_bias, net.down_bias))
    released = HyperNetwork(2, d, b, out=out)
    for head in ("up", "down", "up_bias", "down_bias"):
        mine, theirs = (getattr(n, head).weight.abs().max().item() for n in (net, released))
        assert math.isclose(mine, theirs, rel_tol=0.1)
    chapter["start"](net, None)
    assert math.isclose(net(k).down.std().item(), 3**-0.5, rel_tol=0.05)


def test_reviews_are_read_as_the_suite_reads_them(chapter):
    past, order = chapter["past"], chapter["order"]
    for text, answers in {
        "review: We will enjoy the bed. It seemed poor to Ann.": ("no", "yes"),
        "review: Ann will enjoy the bed. The bed seemed poor to us.": ("yes", "no"),
    }.items():
        assert (past(text), order(text)) == answers
    for surface in ("hotel", "school"):
        task = load_suite(seed=1, sizes={"train": 200})[f"time/{surface}"]
        for row in task["train"]:
            assert past(row["source"]) == row["target"]
    other = chapter["asked"]("order/school", order, task)
    assert set(other.splits) == set(task.splits) and other.labels == task.labels
    same = [a == b for a, b in zip(other["train"]["target"], task["train"]["target"], strict=True)]
    assert 0.3 < sum(same) / len(same) < 0.7, "the two questions must be told apart"
