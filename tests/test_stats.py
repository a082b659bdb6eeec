"""Intervals over two drawn things, and corrected p-values, each computed a second way."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pha_lite.errors import PHAError
from pha_lite.stats import crossed, holm, interval

GRID = np.random.default_rng(0).normal(0.7, 0.1, size=(6, 9))


def test_crossed_is_the_percentile_bootstrap_where_only_one_thing_varies():
    values = GRID[0]
    ours = crossed([values] * 3, draws=40_000)  # rows are equal: only the columns count
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=40_000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert ours[1:] == pytest.approx((theirs.low, theirs.high), abs=2e-3)
    turned = crossed(np.array([values] * 3).T, draws=40_000)
    assert turned[1:] == pytest.approx(ours[1:], abs=2e-3)


def test_crossed_draws_every_pair_of_rows_and_columns_evenly():
    """Two rows, two columns: all 16 resamples written out."""
    grid = np.array([[0.0, 1.0], [3.0, 10.0]])
    draws = list(product((0, 1), repeat=2))
    means = [grid[np.ix_(rows, columns)].mean() for rows in draws for columns in draws]
    # 0.27 and 0.73 lie inside a step of the 16 equally likely values, so noise does not matter
    low, high = np.quantile(means, [0.27, 0.73], method="inverted_cdf")
    found = crossed(grid, level=0.46, draws=200_000)
    assert found.mean == grid.mean()
    assert found[1:] == pytest.approx((low, high), abs=1e-9)


def test_crossed_is_wider_than_over_the_seeds_alone():
    tasks = np.linspace(0.5, 1.0, 9)
    values = tasks + 0.01 * GRID  # seeds agree, tasks differ
    over_seeds = interval(values.mean(axis=1).tolist())
    both = crossed(values)
    assert both.high - both.low > 5 * (over_seeds.high - over_seeds.low)


@pytest.mark.parametrize(
    "values", [[], [[]], [[0.1, 0.2], [0.3]], [[0.1, float("nan")]], [0.5, 0.6]]
)
def test_crossed_refuses_what_is_no_table(values):
    with pytest.raises(PHAError, match="rows"):
        crossed(values)


def test_holm_by_hand():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6]) == [1.0, 1.0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_holm_lies_between_no_correction_and_bonferronis(ps):
    found = holm(ps)
    for p, corrected in zip(ps, found, strict=True):
        assert p <= corrected <= min(1.0, len(ps) * p) + 1e-12
    by_p = [corrected for _, corrected in sorted(zip(ps, found, strict=True))]
    assert by_p == sorted(by_p)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6), st.floats(0.01, 0.2))
@settings(max_examples=60, deadline=None)
def test_holm_rejects_what_the_step_down_rule_rejects(ps, alpha):
    """The rule as Holm states it: go on from the smallest p while p_i <= alpha / (m - i)."""
    order = sorted(range(len(ps)), key=lambda i: ps[i])
    rejected = set()
    for step, i in enumerate(order):
        if ps[i] * (len(ps) - step) > alpha:
            break
        rejected.add(i)
    assert {i for i, p in enumerate(holm(ps)) if p <= alpha} == rejected
