"""What the chapter on prototypes builds does what the package does."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_chapters import lift

from pha_lite import Task, losses
from pha_lite.fewshot import swap_test

FORMS = ("released", "standard")


@pytest.fixture(scope="module")
def chapter():
    return lift("prototypes")


def draw(rows=7, tasks=5, width=6, seed=0):
    """z, prototypes and task ids, all of them random."""
    source = torch.Generator().manual_seed(seed)
    z = torch.randn(rows, width, generator=source)
    k = torch.randn(tasks, width, generator=source)
    return z, k, torch.randint(tasks, (rows,), generator=source)


@pytest.fixture
def mixed(build):
    """A small awake model and a batch of its three tasks."""

    def make(**overrides):
        model = build(**overrides).eval()
        names = model.config.tasks * 2
        sources = ["a dull film", "the match", "warm rain", "a bright book", "the goal", "cold sky"]
        return model, model.batch(sources, ["bad", "team", "one", "good", "vote", "two"], names)

    return make


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("tasks", "tau"), [(2, 0.1), (5, 0.5)])
def test_prototype_loss_and_its_gradient(chapter, form, tasks, tau):
    grads = []
    for loss in (chapter["proto_loss"], losses.prototype_loss):
        z, k, owner = draw(tasks=tasks)
        z.requires_grad_()
        k.requires_grad_()
        value = loss(z, k, owner, tau, form)
        grads.append((value.detach(), *torch.autograd.grad(value, (z, k))))
    for mine, theirs in zip(*grads, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_standard_form_is_the_softplus_of_the_released_one(chapter):
    """The equation of the chapter, row by row, and its factor between the gradients."""
    z, k, owner = draw()
    k.requires_grad_()
    for row in range(len(z)):
        one = (z[row : row + 1], k, owner[row : row + 1])
        released, standard = (chapter["proto_loss"](*one, form=form) for form in FORMS)
        assert torch.allclose(standard, F.softplus(released), atol=1e-5)
        of_released, of_standard = (torch.autograd.grad(x, k)[0] for x in (released, standard))
        assert torch.allclose(of_standard, released.sigmoid() * of_released, atol=1e-5)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"prototype_loss": "standard", "label_smoothing": 0.0},
        {"contrast_to_encoder": False, "instance_weight": 0.5, "prototype_weight": 2.0},
        {"lm_reduction": "sum", "temperature": 0.5},
    ],
    ids=str,
)
def test_objective_is_the_models_loss(chapter, mixed, overrides):
    model, batch = mixed(**overrides)
    output, terms = model(batch), chapter["objective"](model, batch)
    assert torch.allclose(sum(terms.values()), output.loss, atol=1e-5)
    assert torch.allclose(terms["LM"], output.lm_loss, atol=1e-5)


@pytest.mark.parametrize("encoder", [True, False])
def test_each_loss_reaches_the_parts_that_the_chapter_names(chapter, mixed, encoder):
    model, batch = mixed(contrast_to_encoder=encoder)
    found = chapter["reach"](model, batch)
    assert {part: [n > 0 for n in norms.values()] for part, norms in found.items()} == {
        "prototypes": [True, False, True],
        "hypernetwork": [True, False, False],
        "retriever's MLP": [False, True, True],
        "encoder's adapters": [True, encoder, encoder],
    }
    assert all(p.grad is None for p in model.parameters())


def test_swap_is_the_packages_swap_test(chapter, build):
    model = build().eval()
    texts = [f"the {a} was {b}" for a in ("film", "hotel", "book") for b in ("dull", "slow", "bad")]
    rows = {"source": texts, "target": ["yes", "no", "no"] * 3}
    task = Task.from_rows("mood", {"test": rows}, labels=("no", "yes"))
    pairs = [("mood", other) for other in ("topic", "season", "mood")]
    theirs = swap_test(model, {"mood": task}, pairs, limit=6)
    mine = {pair: chapter["swap"](model, task, pair[1], limit=6) for pair in pairs}
    assert mine == pytest.approx(theirs)
    assert mine["mood", "mood"] == 0 and any(theirs.values()), "some swap changes answers"


def test_opposite_turns_every_answer_and_leaves_every_input(chapter):
    rows = {"source": ["a film", "a book"], "target": ["yes", "no"]}
    task = Task.from_rows("time/inn", {"train": rows, "test": rows}, labels=("no", "yes"))
    turned = chapter["opposite"](task, "future/inn")
    assert turned.labels == task.labels and turned.name == "future/inn"
    for split in ("train", "test"):
        assert list(turned[split]["source"]) == rows["source"]
        assert list(turned[split]["target"]) == ["no", "yes"]
    assert turned.columns("train") == chapter["opposite"](task, "x").columns("train")


def test_cosines_by_relation(chapter):
    names = ["time/hotel", "time/school", "future/hotel", "acceptability/hotel"]
    vectors = torch.tensor([[2.0, 0.0], [0.0, 3.0], [-1.0, 0.0], [0.0, 1.0]])
    found = chapter["cosines"](vectors, names)
    assert found == pytest.approx(
        {"relatives": 0.0, "rivals": -1.0, "rivals elsewhere": 0.0, "strangers": 1 / 3}
    )


def test_rivals_meet_from_a_small_start_only(chapter):
    """Two tasks with the same points: a short prototype is turned onto its rival's."""
    points = torch.randn(40, 12, generator=torch.Generator().manual_seed(1))
    pooled = torch.cat([points[:20], points[:20], points[20:]])
    owner = torch.arange(3).repeat_interleave(20)
    names = ["time/hotel", "future/hotel", "acceptability/hotel"]
    small, large = (
        np.mean(
            [
                chapter["cosines"](chapter["settle"](pooled, owner, std, seed, 100), names)[
                    "rivals"
                ]
                for seed in range(3)
            ]
        )
        for std in (0.03, 3.0)
    )
    assert small > 0.8 > 0.5 > abs(large)


def test_recorded_results_are_read_as_the_experiments_write_them(chapter):
    halves = [{"related": 0.6, "conflicting": 0.7, "all": 0.65}] * 2
    rows = [{"n": 16, "method": "pha", "test": h, "swap": 0.1} for h in halves]
    rows += [{"n": 16, "method": "shared_adapter", "test": h} for h in halves]
    lines = chapter["methods_table"](rows).split("\n")
    assert lines[2] == "| 16 | pha | 60 (60 to 60) | 70 (70 to 70) | 10 (10 to 10) |"
    assert lines[3].endswith("| 70 (70 to 70) | – |")
    assert len({line.count("|") for line in lines}) == 1


def test_each_form_is_shown_at_its_best_rate(chapter):
    curve = [
        {"method": f"variant: {form}", "lr": lr, "related": s, "conflicting": s, "all": s}
        for form, lr, s in [("b", 0.001, 0.5), ("b", 0.01, 0.75), ("a", 0.001, 0.6)]
    ]
    lines = chapter["forms_table"](curve).split("\n")
    assert lines[2:] == ["| b | 0.01 | 75 | 75 |", "| a | 0.001 | 60 | 60 |"]
