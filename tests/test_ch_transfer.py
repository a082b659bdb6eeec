"""The pieces that the chapter "Transfer, measured" builds, held against second ways."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.stats import mannwhitneyu

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite.retriever import prototype_scores
from pha_lite.stats import Paired

CHAPTER = lift("transfer")
shares = arrays.arrays(float, st.integers(1, 40), elements=st.floats(0, 1))


@given(shares, st.randoms())
def test_calibration_error_is_the_weighted_gap_of_the_bins(claim, dice):
    right = np.array([dice.random() < 0.5 for _ in claim])
    # the same sum, written by bins' edges; the last bin holds 1
    edges, total = np.arange(11) / 10, 0.0
    place = np.digitize(claim * 10, edges[1:-1] * 10)
    for b in range(10):
        mine = place == b
        if mine.any():
            total += abs(claim[mine].sum() - right[mine].sum())
    assert CHAPTER["calibration_error"](claim, right) == pytest.approx(total / len(claim))


def test_a_calibrated_claim_has_no_error():
    claim, right = [0.75] * 4 + [0.5] * 2, [1, 1, 1, 0, 1, 0]
    assert CHAPTER["calibration_error"](claim, right) == 0
    assert CHAPTER["calibration_error"]([1.0], [False]) == 1


@given(shares, shares)
def test_auc_is_mann_whitney(known, unknown):
    theirs = mannwhitneyu(known, unknown).statistic / (len(known) * len(unknown))
    assert CHAPTER["auc"](known, unknown) == pytest.approx(theirs)


def test_share_has_the_order_of_the_cosines_and_sums_to_one():
    z, points = torch.randn(1, 6), torch.randn(5, 6)
    got = CHAPTER["share"](z, points, 0.3)
    assert got.sum().item() == pytest.approx(1)
    assert torch.equal(got.argsort(), prototype_scores(z, points).argsort())
    many = CHAPTER["share"](torch.cat([z, -z]), points, 0.3)
    assert torch.allclose(many, (got + CHAPTER["share"](-z, points, 0.3)) / 2)


def test_scores_average_the_tasks_of_a_seed_first():
    rows = [
        {"k": 4, "start": "loss", "seed": s, "before": b, "after": b + 0.1}
        for s, b in [(1, 0.5), (0, 0.2), (0, 0.4), (1, 0.7), (0, 0.3)]
    ] + [{"k": 16, "start": "loss", "seed": 0, "before": 0.9, "after": 0.9}]
    before, after = CHAPTER["scores"](rows, k=4, start="loss")
    assert before == pytest.approx([30, 60]) and after == pytest.approx([40, 70])


def test_difference_is_paired_over_models():
    rows = [
        {"start": start, "seed": seed, "before": score, "after": 0.5}
        for start, values in {"a": (0.9, 0.5, 0.3), "b": (0.8, 0.4, 0.2)}.items()
        for seed, score in enumerate(values)
    ]
    found = CHAPTER["compare"](rows, "a", "b", 0, 0.95)
    assert found.difference == pytest.approx(10) and found.low == pytest.approx(10, abs=1e-6)


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.1, 2, "better"), (-2, -0.1, "worse"), (-1, 1, "not told apart"), (0, 2, "not told apart"),
     (3, 3, "not told apart")],
)  # fmt: skip
def test_verdict(low, high, word):
    assert CHAPTER["verdict"](Paired(1, low, high, 1)) == word
