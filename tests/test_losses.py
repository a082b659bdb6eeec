"""The three loss terms against loops over rows, tokens and words."""

from __future__ import annotations

import math

import pytest
import torch

from pha_lite.errors import PHAError
from pha_lite.losses import instance_loss, lm_loss, prototype_loss


def unit(v):
    return v / math.sqrt(sum(float(x) ** 2 for x in v))


def naive_instance(z, tasks, tau):
    z, n = [unit(v) for v in z], len(z)
    terms = []
    for i in range(n):
        partners = [p for p in range(n) if p != i and tasks[p] == tasks[i]]
        if not partners:
            continue
        below = sum(math.exp(float(z[i] @ z[a]) / tau) for a in range(n) if a != i)
        pulls = [float(z[i] @ z[p]) / tau - math.log(below) for p in partners]
        terms.append(-sum(pulls) / len(partners))
    return sum(terms) / len(terms) if terms else 0.0


def naive_prototype(z, prototypes, tasks, tau, form):
    z, prototypes = [unit(v) for v in z], [unit(v) for v in prototypes]
    terms = []
    for i, own in enumerate(tasks):
        others = [t for t in range(len(prototypes)) if t != own or form == "standard"]
        below = sum(math.exp(float(z[i] @ prototypes[t]) / tau) for t in others)
        terms.append(-(float(z[i] @ prototypes[own]) / tau - math.log(below)))
    return sum(terms) / len(terms)


def naive_lm(logits, labels, smoothing, reduction):
    terms = []
    for row, wanted in zip(logits.double(), labels, strict=True):
        for scores, y in zip(row, wanted.tolist(), strict=True):
            if y == -100:
                continue
            total = math.log(sum(math.exp(s) for s in scores.tolist()))
            log_p = [s - total for s in scores.tolist()]
            terms.append(-(1 - smoothing) * log_p[y] - smoothing / len(log_p) * sum(log_p))
    return sum(terms) / (len(terms) if reduction == "mean" else 1)


MIXES = [[0, 0, 1, 1, 2], [0, 0, 0], [0, 1, 2], [3], [1, 0, 1, 1, 1, 0, 2]]


@pytest.mark.parametrize("tasks", MIXES)
@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_instance_loss(tasks, tau):
    torch.manual_seed(len(tasks))
    z = (3 * torch.randn(len(tasks), 5)).requires_grad_()
    got = instance_loss(z, torch.tensor(tasks), tau)
    assert got.item() == pytest.approx(naive_instance(z.detach(), tasks, tau), rel=1e-4, abs=1e-6)
    got.backward()
    assert torch.isfinite(z.grad).all()


def test_instance_loss_counts_only_anchors_with_a_partner():
    z = torch.randn(3, 4)
    with_a_single = instance_loss(z, torch.tensor([0, 0, 1]))
    anchors = [naive_instance(z, [0, 0, 1], 0.1)]
    assert with_a_single.item() == pytest.approx(anchors[0], rel=1e-4)
    assert instance_loss(z, torch.tensor([0, 1, 2])).item() == 0


def test_instance_loss_falls_as_a_task_draws_together():
    far = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
    near = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
    tasks = torch.tensor([0, 0, 1, 1])
    # Far: partner and one stranger at cosine 0, the other stranger at -1, so the partner's share
    # is one half. Near: the partner has it all.
    assert instance_loss(far, tasks).item() == pytest.approx(math.log(2), abs=1e-3)
    assert instance_loss(near, tasks).item() == pytest.approx(0, abs=1e-3)


@pytest.mark.parametrize("form", ["released", "standard"])
@pytest.mark.parametrize("tau", [0.1, 1.0])
def test_prototype_loss(form, tau):
    torch.manual_seed(1)
    z, prototypes, tasks = 2 * torch.randn(7, 5), 3 * torch.randn(4, 5), [0, 3, 3, 1, 0, 2, 0]
    got = prototype_loss(z, prototypes, torch.tensor(tasks), tau, form)
    want = naive_prototype(z, prototypes, tasks, tau, form)
    assert got.item() == pytest.approx(want, rel=1e-4)


def test_only_the_released_form_can_be_negative():
    prototypes = torch.eye(3)
    tasks = torch.tensor([0, 1, 2])
    assert prototype_loss(prototypes, prototypes, tasks, form="released") < -5
    assert prototype_loss(prototypes, prototypes, tasks, form="standard") > 0


def test_gradients_reach_embeddings_and_all_prototypes():
    torch.manual_seed(0)
    z, prototypes = torch.randn(2, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    prototype_loss(z, prototypes, torch.tensor([0, 0]), 1.0).backward()
    assert z.grad.abs().sum() > 0
    assert (prototypes.grad.abs().sum(dim=1) > 0).all()  # the wrong ones are pushed away


def test_a_single_prototype_has_nothing_to_be_told_from():
    z, prototypes = torch.randn(2, 4, requires_grad=True), torch.randn(1, 4, requires_grad=True)
    for form in ("released", "standard"):
        loss = prototype_loss(z, prototypes, torch.tensor([0, 0]), form=form)
        loss.backward()
        assert loss.item() == 0 and not z.grad.any()


def test_lengths_do_not_matter():
    z, prototypes, tasks = torch.randn(4, 5), torch.randn(3, 5), torch.tensor([0, 0, 1, 2])
    torch.testing.assert_close(instance_loss(z, tasks), instance_loss(9 * z, tasks))
    torch.testing.assert_close(
        prototype_loss(z, prototypes, tasks), prototype_loss(5 * z, 0.1 * prototypes, tasks)
    )


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_lm_loss(smoothing, reduction):
    torch.manual_seed(0)
    logits = torch.randn(3, 4, 6)
    labels = torch.tensor([[1, 2, -100, -100], [5, 0, 3, 1], [4, -100, -100, -100]])
    got = lm_loss(logits, labels, smoothing, reduction)
    assert got.item() == pytest.approx(naive_lm(logits, labels, smoothing, reduction), rel=1e-5)


def test_lm_loss_averages_tokens_not_rows():
    logits = torch.randn(2, 3, 5)
    labels = torch.tensor([[1, 2, 3], [4, -100, -100]])
    mean, total = (lm_loss(logits, labels, 0.1, r) for r in ("mean", "sum"))
    torch.testing.assert_close(total, 4 * mean)


def test_an_unknown_form_is_named():
    with pytest.raises(PHAError, match="form='paper'"):
        prototype_loss(torch.ones(1, 2), torch.ones(2, 2), torch.tensor([0]), form="paper")
