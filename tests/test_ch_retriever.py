"""The pieces that the chapter on the retriever builds, against `pha_lite`, scikit-learn, faiss."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_chapters import lift

from pha_lite.losses import instance_loss
from pha_lite.retriever import Retriever, masked_mean


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("retriever")


def points(n: int, e: int = 5, seed: int = 0) -> torch.Tensor:
    draw = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(n, e, generator=draw), dim=1)


def test_the_mean_leaves_padding_out(chapter):
    states = torch.randn(3, 7, 4, generator=torch.Generator().manual_seed(0))
    mask = torch.tensor([[1] * 7, [1] * 3 + [0] * 4, [1] + [0] * 6])
    torch.testing.assert_close(chapter["pool"](states, mask), masked_mean(states, mask))


def test_the_network_is_the_packages_with_length_one(chapter):
    torch.manual_seed(0)
    theirs = Retriever(6, 5, 4)
    ours = chapter["TinyRetriever"](6, 5, 4)
    ours.load_state_dict(theirs.state_dict())
    pooled = torch.randn(9, 6)
    torch.testing.assert_close(ours(pooled), F.normalize(theirs(pooled), dim=1))


@pytest.mark.parametrize("form", ["instance_loss_loop", "instance_loss_fast"])
@pytest.mark.parametrize(
    "tasks",
    [[0, 0, 1, 1, 0], [0, 1, 2, 2, 3], [4, 4, 4], [0, 1, 2], [7]],
    ids=["two tasks", "rows without a partner", "one task", "no partners", "one row"],
)
def test_both_forms_of_the_loss_and_their_gradients(chapter, form, tasks):
    tasks = torch.tensor(tasks)
    for tau in (0.1, 0.7):
        found = []
        for loss in (chapter[form], instance_loss):
            free = torch.randn(len(tasks), 4, generator=torch.Generator().manual_seed(1))
            free.requires_grad_()
            value = loss(F.normalize(free, dim=1), tasks, tau)
            value.backward()
            found.append((value.detach(), free.grad))
        torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)


def test_the_floor_is_reached_by_one_point_per_group_and_by_nothing_below(chapter):
    tasks = torch.tensor([0, 0, 0, 1, 1, 2, 3, 3, 3, 3])
    corners = torch.eye(4)[tasks]
    floor = float(chapter["ideal"](tasks, tasks))
    assert floor == pytest.approx((3 * np.log(2) + 2 * 0 + 4 * np.log(3)) / 9)
    assert float(instance_loss(corners, tasks, 0.01)) == pytest.approx(floor, abs=1e-4)
    for seed in range(20):
        assert float(instance_loss(points(10, seed=seed), tasks)) >= floor
    # Tasks 1 and 2 at one point: task 2's only row is still no anchor, but takes its share.
    groups = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    together = float(chapter["ideal"](tasks, groups))
    assert float(instance_loss(torch.eye(4)[groups], tasks, 0.01)) == pytest.approx(
        together, abs=1e-4
    )
    assert together > floor


def test_purity_and_silhouette(chapter):
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import KNeighborsClassifier

    z = points(60, seed=3).double().numpy()
    groups = np.array(["a", "b", "c"])[np.arange(60) % 3]
    z[groups == "b"] += 0.8
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    kept = z.copy()
    want = silhouette_score(z, groups, metric="cosine")
    assert chapter["silhouette"](z, groups) == pytest.approx(want)
    hits = []
    for i in range(60):
        rest = np.arange(60) != i
        near = KNeighborsClassifier(1, metric="cosine").fit(z[rest], groups[rest])
        hits.append(near.predict(z[i : i + 1])[0] == groups[i])
    assert chapter["purity"](z, groups) == pytest.approx(np.mean(hits))
    assert np.array_equal(z, kept), "a measure changes what it measures"


def test_recall_counts_true_neighbours_in_any_order(chapter):
    truth = np.array([[1, 2, 3, 4], [5, 6, 7, 8]])
    found = np.array([[4, 3, 2, 1], [5, -1, 9, 6]])
    assert chapter["recall"](truth, truth) == 100
    assert chapter["recall"](found, truth) == pytest.approx(75)


def test_search_is_timed_and_gives_what_faiss_gives(chapter):
    import faiss

    stored, queries = points(50).numpy(), points(6, seed=1).numpy()
    index = faiss.IndexFlatIP(5)
    index.add(stored)
    found, speed = chapter["timed"](index, queries, k=3)
    assert speed > 0
    assert np.array_equal(found, np.argsort(-queries @ stored.T, axis=1)[:, :3])
