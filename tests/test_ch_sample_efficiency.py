"""What "Sample efficiency" builds in front of the reader, held against pha_lite and by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
from test_chapters import lift

from pha_lite import stats


@pytest.fixture(scope="module")
def chapter():
    return lift("sample_efficiency")


def test_two_way_bootstrap_agrees_with_the_package(chapter):
    table = np.random.default_rng(0).normal(70, 5, size=(6, 8))
    low, high = np.quantile(chapter["two_way"](table, 20_000), [0.025, 0.975])
    theirs = stats.crossed(table, draws=20_000)
    assert (low, high) == pytest.approx((theirs.low, theirs.high), abs=0.15)


def test_two_way_bootstrap_of_one_cell_never_moves(chapter):
    assert set(chapter["two_way"]([[3.0]], 10)) == {3.0}


def test_rows_needed_goes_straight_on_the_logarithmic_axis(chapter):
    points = {8: 50.0, 32: 70.0, 128: 65.0, 512: 90.0}
    assert chapter["rows_needed"](points, 60) == pytest.approx(16)  # half way from 8 to 32
    assert chapter["rows_needed"](points, 40) == 8
    assert chapter["rows_needed"](points, 70) == pytest.approx(32), "the first crossing"
    assert chapter["rows_needed"](points, 95) is None


def test_a_verdict_needs_interval_and_p(chapter):
    verdict, interval = chapter["verdict"], stats.Interval
    assert verdict(interval(3, 1, 5), 0.01) == "ahead"
    assert verdict(interval(-3, -5, -1), 0.01) == "behind"
    assert verdict(interval(3, 1, 5), 0.2) == "open"
    assert verdict(interval(3, -1, 5), 0.01) == "open"


def test_every_method_of_the_grid_has_a_name_and_a_word(chapter):
    from pha_lite.experiments.grids import WIDE_METHODS

    assert set(chapter["NAMES"]) == set(chapter["WHAT"]) == set(WIDE_METHODS)


def test_the_trend_is_points_per_doubling(chapter):
    leads = {8: [9.0, 7.0], 16: [7.0, 6.0], 32: [5.0, 5.0]}  # slopes -2 and -1
    chapter["table_of"] = lambda method, n: (
        np.array([[v, v] for v in leads[n]]) if method == "pha" else np.zeros((2, 2))
    )
    found, p = chapter["trend"]("full", [8, 16, 32])
    assert found.mean == pytest.approx(-1.5)
    assert found.low < -2 and found.high > -1
    assert p == pytest.approx(2 * scipy.stats.t.sf(3, 1))  # 1.5 in units of .5


def test_what_a_comparison_needs_is_what_students_t_asks(chapter):
    gaps = np.array([1.0, 2.0, 3.0, 4.0, 5.0])
    scaled = gaps - gaps.mean() + chapter["needed"](5, 11) * gaps.std(ddof=1)
    assert scipy.stats.ttest_1samp(scaled, 0).pvalue == pytest.approx(0.05 / 11)


def test_rows_in_words(chapter):
    chapter["sizes_done"] = [8, 16]
    assert [chapter["in_words"](x) for x in (None, 8, 11.6)] == ["not reached", "≤ 8", "12"]


def test_a_change_is_students_over_the_seeds(chapter):
    gaps = np.random.default_rng(1).normal(2, 3, size=(5, 12))
    words, p = chapter["change"](gaps)
    theirs = scipy.stats.ttest_1samp(gaps.mean(axis=1), 0)
    low, high = theirs.confidence_interval()
    assert words == f"{gaps.mean():+.1f} [{low:+.1f}, {high:+.1f}]"
    assert p == pytest.approx(theirs.pvalue)
    assert chapter["change"](np.zeros((3, 2)))[1] == 1.0
