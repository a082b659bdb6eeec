"""The pieces that the chapter on few-shot transfer builds, against `pha_lite` and scikit-learn."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import TASKS
from test_chapters import lift
from test_train import toy_task

from pha_lite import records
from pha_lite.evaluate import score
from pha_lite.fewshot import adapt, episode
from pha_lite.retriever import prototype_scores
from pha_lite.suite import load_suite
from pha_lite.tasks import Task

WAYS = ("mean", "vote", "softmax")


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("few_shot")


@pytest.fixture
def model(build):
    return build(label_smoothing=0.0).eval()


def numbered(task: Task) -> Task:
    """The task with its classes as numbers, as the suite has them."""
    splits = {}
    for split, rows in task.splits.items():
        label = [task.labels.index(word) for word in rows["target"]]
        splits[split] = {**rows.to_dict(), "label": label}
    return Task.from_rows(task.name, splits, labels=task.labels)


NEW = numbered(toy_task("novel", seed=5))


def prototypes_of(model) -> torch.Tensor:
    return model.trained.prototypes.vectors.detach()


@pytest.mark.parametrize(("k", "seed", "limit"), [(1, 0, 3), (4, 1, 12), (5, 7, 2), (24, 2, 99)])
def test_an_episode_is_the_packages(chapter, k, seed, limit):
    few, query = chapter["draw_episode"](NEW, k, seed, limit)
    theirs = episode(NEW, k, seed, min(limit, 12))
    assert few.to_dict() == theirs["train"].to_dict()
    if limit < 12:
        assert query.to_dict() == theirs["test"].to_dict()
    else:  # the package leaves a whole split in its own order
        assert sorted(query["source"]) == sorted(theirs["test"]["source"])


@pytest.mark.parametrize("how", WAYS)
def test_scores_are_those_of_the_retriever(chapter, how):
    draw = torch.Generator().manual_seed(0)
    z = torch.nn.functional.normalize(torch.randn(9, 6, generator=draw), dim=1)
    table = torch.randn(5, 6, generator=draw)
    ours = chapter["reduced"](chapter["cosines"](z, table), how)
    torch.testing.assert_close(ours, prototype_scores(z, table, how))


def test_rows_are_read_as_the_model_reads_them(chapter, model):
    texts = list(NEW["test"]["source"])
    rows = chapter["read"](model, NEW["test"])
    torch.testing.assert_close(rows.z, model.embed(texts))
    assert rows.labels.tolist() == NEW["test"]["label"]


@pytest.mark.parametrize("t", range(len(TASKS)))
def test_loss_and_accuracy_of_a_prototype_are_the_models(chapter, model, t):
    rows, task = chapter["read"](model, NEW["test"]), NEW["test"]
    with torch.no_grad():
        losses = chapter["loss_of"](model, prototypes_of(model), rows)
        batch = model.batch(list(task["source"]), list(task["target"]), TASKS[t])
        torch.testing.assert_close(losses[t], model(batch).lm_loss)
    right = chapter["percent_right"](model, prototypes_of(model), rows, NEW.labels)
    said = model.predict(list(task["source"]), TASKS[t], NEW.labels)
    assert right[t].item() == pytest.approx(100 * score(NEW, said), abs=1e-3)


def test_prototypes_tuned_side_by_side_end_where_adapt_takes_each(chapter, model):
    few = chapter["read"](model, chapter["draw_episode"](NEW, 4, 1, 1)[0])
    jobs = [(0, 0.03), (2, 0.01), (0, 0.1)]
    path = chapter["tune"](model, jobs, prototypes_of(model), few, [0, 3])
    assert torch.equal(path[0], prototypes_of(model)[[0, 2, 0]])
    for end, (row, rate) in zip(path[1], jobs, strict=True):
        options = {"steps": 3, "lr": rate, "seed": 1, "limit": 1}
        theirs = adapt(model, NEW, 4, "oracle", oracle=TASKS[row], **options)
        torch.testing.assert_close(end, prototypes_of(theirs.model)[-1], atol=1e-4, rtol=1e-4)
        assert (end - prototypes_of(model)[row]).abs().max() > rate


@pytest.mark.parametrize("seed", range(3))
def test_starts_are_the_packages(chapter, model, seed):
    suite = SimpleNamespace(relatives=lambda name: ["topic"], rivals=lambda name: ["season"])
    few = chapter["read"](model, chapter["draw_episode"](NEW, 4, seed, 1)[0])
    vectors = prototypes_of(model)
    pool = torch.cat([vectors, vectors.mean(dim=0)[None], torch.randn(3, vectors.shape[1])])
    rows = chapter["begin"](model, suite, "novel", few, pool, seed)
    for start in ("retrieved", "loss", "random"):
        theirs = adapt(model, NEW, 4, start, "none", seed=seed, limit=1)
        assert TASKS[rows[start]] == theirs.source
    assert rows["oracle"] == TASKS.index("topic") and rows["wrong"] == TASKS.index("season")
    assert rows["mean"] == 3 and rows["fresh"] == 4 + seed


def test_every_task_of_the_suite_is_a_case(chapter):
    suite = load_suite(sizes={"train": 2, "validation": 2, "test": 2})
    found = [chapter["case"](suite, name) for name in suite]
    assert found.count("trained task") == 24
    assert found.count("known rule, new surface") == 16
    assert found.count("other, known surface") == found.count("reading, known surface") == 3
    assert found.count("other, new surface") == found.count("reading, new surface") == 2
    halves = chapter["halves"](suite)
    assert {half: len(names) for half, names in halves.items()} == {
        "related": 8,
        "conflicting": 8,
    }


def test_told_apart_is_the_area_under_the_curve(chapter):
    from sklearn.metrics import roc_auc_score

    draw = np.random.default_rng(0)
    low, high = draw.integers(0, 6, 20), draw.integers(2, 9, 30)  # with ties
    area = roc_auc_score([0] * 20 + [1] * 30, [*low, *high])
    assert chapter["told_apart"](low, high) == pytest.approx(100 * area)


def test_without_the_prototypes_loss_nothing_ties_points_to_prototypes(chapter):
    """Three heaps of states, three prototypes: only a loss that reads both unites them."""
    draw = torch.Generator().manual_seed(0)
    centres, vectors = torch.eye(3, 8) * 4, torch.randn(3, 6, generator=draw)
    owner = torch.arange(3).repeat_interleave(16)
    pooled = centres[owner] + 0.1 * torch.randn(48, 8, generator=draw)
    gaps = {}
    for weight in (0.0, 1.0):
        net = chapter["new_retriever"](pooled, owner, vectors, weight, 0, 200)
        with torch.no_grad():
            z = torch.nn.functional.normalize(net(pooled), dim=1)
        own = chapter["cosines"](z, vectors)[torch.arange(48), owner]
        gaps[weight] = own.mean().item()
    assert gaps[1.0] > 0.7 > gaps[0.0] + 0.3


def test_the_order_of_a_set_depends_on_the_process(chapter):
    names = load_suite(sizes={"train": 2, "validation": 2, "test": 2}).train_tasks
    one, again, two = (chapter["order_in_process"](names, seed) for seed in (1, 1, 2))
    assert one == again and one != two and sorted(one) == sorted(two) == sorted(names)


def test_recorded_figure_has_means_over_models(chapter, monkeypatch):
    rows = [
        {"seed": seed, "k": k, "start": "mean", "before": before, "after": 0.9}
        for seed, k, before in ((0, 4, 0.5), (0, 4, 0.7), (1, 4, 0.8), (1, 16, 0.1))
    ]
    monkeypatch.setattr(records, "names", lambda: ["few_shot"])
    monkeypatch.setattr(records, "load", lambda name: {"rows": rows})
    fig = chapter["recorded"]("few_shot")
    assert math.isclose(fig.data[0].x[0], 70) and math.isclose(fig.data[1].x[0], 90)
    assert fig.layout.meta["alt"]
    assert "No record" in chapter["recorded"]("nothing").data
