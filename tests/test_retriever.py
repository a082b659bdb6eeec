"""Pooling, and the search for tasks, against loops over all cosines."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from pha_lite.errors import PHAError
from pha_lite.retriever import (
    InstanceIndex,
    Retriever,
    masked_mean,
    prototype_scores,
    ranked,
)


def cosine(a, b):
    return float(a @ b) / math.sqrt(float(a @ a) * float(b @ b))


def test_padding_does_not_count_in_the_mean():
    states = torch.randn(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 1]])
    got = masked_mean(states, mask)
    torch.testing.assert_close(got[0], (states[0, 0] + states[0, 1]) / 2)
    torch.testing.assert_close(got[1], states[1].mean(dim=0))
    states[0, 2:] = 1e6
    torch.testing.assert_close(masked_mean(states, mask)[0], got[0])
    assert masked_mean(states.bfloat16(), mask).dtype == torch.float32


def test_the_retriever_is_two_layers_with_relu():
    net = Retriever(5, 4, 3)
    x = torch.randn(2, 5)
    hidden = (x @ net.first.weight.t() + net.first.bias).clamp(min=0)
    torch.testing.assert_close(net(x), hidden @ net.second.weight.t() + net.second.bias)


@pytest.fixture
def space():
    torch.manual_seed(0)
    return F.normalize(torch.randn(6, 4), dim=-1), 5 * torch.randn(3, 4)


def test_prototype_scores(space):
    z, prototypes = space
    cosines = [[cosine(v, k) for k in prototypes] for v in z]
    mean = [sum(row[t] for row in cosines) / 6 for t in range(3)]
    vote = [sum(max(row) == row[t] for row in cosines) / 6 for t in range(3)]
    soft = [0.0] * 3
    for row in cosines:
        total = sum(math.exp(c / 0.2) for c in row)
        for t in range(3):
            soft[t] += math.exp(row[t] / 0.2) / total / 6
    for reduce, want in (("mean", mean), ("vote", vote), ("softmax", soft)):
        got = prototype_scores(z, prototypes, reduce, temperature=0.2)
        assert got.tolist() == pytest.approx(want, abs=1e-5), reduce


def test_instance_scores(space):
    z, _ = space
    torch.manual_seed(2)
    known = torch.randn(40, 4)
    names = ["b" if i % 3 else "a" for i in range(40)]
    index = InstanceIndex(known, names)
    assert index.names == ["a", "b"]
    unit = F.normalize(known, dim=-1)
    cosines = z @ unit.t()
    own = {t: [i for i, n in enumerate(names) if n == t] for t in index.names}
    mean = [cosines[:, own[t]].mean().item() for t in index.names]
    assert index.scores(z).tolist() == pytest.approx(mean, abs=1e-5)
    vote, soft = [0.0, 0.0], [0.0, 0.0]
    for row in cosines:
        near = row.argsort(descending=True)[:16].tolist()
        total = sum(math.exp(float(row[i]) / 0.1) for i in near)
        for i in near:
            t = index.names.index(names[i])
            vote[t] += 1 / 16 / 6
            soft[t] += math.exp(float(row[i]) / 0.1) / total / 6
    assert index.scores(z, "vote").tolist() == pytest.approx(vote, abs=1e-5)
    assert index.scores(z, "softmax").tolist() == pytest.approx(soft, abs=1e-4)


def test_fewer_instances_than_neighbours():
    index = InstanceIndex(torch.eye(2), ["x", "y"])
    assert index.scores(torch.eye(2)[:1], "vote").tolist() == [0.5, 0.5]
    assert index.scores(torch.eye(2)[:1], "softmax")[0] > 0.99


def test_ranking_keeps_the_order_of_equals():
    assert ranked(["a", "b", "c"], torch.tensor([0.5, 0.9, 0.5]), 5) == [
        ("b", pytest.approx(0.9)),
        ("a", 0.5),
        ("c", 0.5),
    ]
    assert len(ranked(["a", "b", "c"], torch.zeros(3), 2)) == 2


@pytest.mark.parametrize("k", [0, -1, 1.5, "3"])
def test_bad_k(k):
    with pytest.raises(PHAError, match="k="):
        ranked(["a"], torch.zeros(1), k)


def test_bad_requests_are_named(space):
    with pytest.raises(PHAError, match="reduce='max'.*'mean', 'vote', 'softmax'"):
        prototype_scores(*space, reduce="max")
    with pytest.raises(PHAError, match="2 texts and 1 task names"):
        InstanceIndex(torch.eye(2), ["a"])
    with pytest.raises(PHAError, match="at least one text"):
        InstanceIndex(torch.zeros(0, 2), [])
