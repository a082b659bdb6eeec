"""The rules by which the scorecard judges, held against cases made by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite.stats import Interval


@pytest.fixture
def page() -> dict:
    return lift("scorecard")


@pytest.mark.parametrize(
    ("gap", "p", "wanted", "word"),
    [
        ((4, 1, 7), 0.01, "better", "held"),
        ((4, 1, 7), 0.06, "better", "not shown"),  # its own interval is not enough
        ((-4, -7, -1), 0.01, "better", "refuted"),
        ((0, -1, 1), 1.0, "better", "not shown"),
        ((0, -2.9, 2.9), 0.9, "as good", "held"),
        ((0, -3.1, 2), 0.9, "as good", "not shown"),
        ((2, 1.5, 2.5), 0.001, "as good", "held"),  # better, and by little
        ((-5, -6, -4), 0.001, "as good", "refuted"),
        ((-5, -12, 2), 0.2, "as good", "not shown"),
        ((5, 4, 6), 0.001, "as good", "not shown"),  # better is another claim
        ((1, 1, 1), 1.0, "as good", "not shown"),  # one seed shows no spread
    ],
)
def test_a_verdict_follows_the_rule(page, gap, p, wanted, word):
    assert page["judge"](Interval(*map(float, gap)), p, wanted) == word


def test_seeds_are_averaged_and_paired(page):
    rows = [
        {"method": m, "seed": s, "test": {"all": v}}
        for m, s, v in [("a", 0, 0.5), ("a", 0, 0.7), ("a", 1, 0.8), ("b", 1, 0.6), ("b", 2, 0.1)]
    ]
    one, two = (page["per_seed"](rows, page["whole"], method=m) for m in "ab")
    assert one == pytest.approx({0: 60, 1: 80})
    assert page["gaps"](one, two) == pytest.approx([20])


def test_p_value_is_students(page):
    values = np.array([1.0, 2.0, 4.0])
    t = values.mean() / (values.std(ddof=1) / 3**0.5)
    assert page["p_value"](values) == pytest.approx(2 * stats.t.sf(t, 2))
    assert page["p_value"](np.array([3.0, 3.0])) == 1


def test_arrivals_are_read_off_the_diagonal(page):
    row = {
        "R": [[0.5], [0.9, 0.6], [0.9, 0.9, 0.8]],
        "order": [{"new": "rule"}, {"new": "surface"}, {"new": "rule"}],
    }
    assert page["arrivals"]("rule")(row) == pytest.approx(0.65)
    assert page["arrivals"]("surface")(row) == pytest.approx(0.6)


def test_a_missing_record_is_no_verdict(page):
    page["claim"]("g", "t", "better", "page", "no such record", {}, {}, page["whole"])
    assert page["COMPARED"] == [("g", "t", "better", None, "page")]


def test_speed_says_in_how_many_benches_a_claim_held(page, monkeypatch):
    def bench(rows, ratio):
        times = {"PHA": {"ratio": ratio}, "limit": {"ratio": 1.0}}
        settings = {"size": "base", "batch": rows, "source": 64}
        return {"settings": settings, "groups": {"training": times}}

    for ratios, word in (
        ((1.02, 1.03), "held"),
        ((1.02, 1.2), "held in 1 of 2"),
        ((1.1, 1.2), "refuted"),
    ):
        benches = [bench(8 * at, ratio) for at, ratio in enumerate(ratios, 1)]
        monkeypatch.setitem(page, "benches", benches)
        found, told = page["speed"]("PHA", "limit", 1.03)
        assert told == word
        assert found.startswith(f"{ratios[0]:.2f} (T5-base, 8 rows of 64); ")


def test_a_slope_is_points_per_halving_of_the_rows(page):
    rows = [
        {"method": m, "n": n, "seed": seed, "test": {"all": v}}
        for n, lead in ((8, 0.09), (16, 0.06), (32, 0.03), (64, 0.0), (128, 0.5))
        for seed in (0, 1)
        for m, v in (("pha", 0.5 + lead * (seed + 1)), ("lora", 0.5))
    ]
    assert page["slopes"](rows, "lora") == pytest.approx([3, 6]), "128 rows take no part"


def test_a_count_never_refutes(page):
    assert page["counted"]([], range(5)) == "held for 0 of 5"
    assert page["counted"]([1, 2], range(5)) == "held for 2 of 5"
    assert page["counted"](list(range(5)), range(5)) == "held"


def test_fewer_seeds_cost_their_share_and_the_whole_tuning(page):
    record = {"experiment": "x", "cpu_seconds": 1200.0, "settings": {}, "curve": [{}] * 4}
    record["rows"] = [{"seed": seed} for seed in range(5) for _ in range(2)] + [{"seed": 0}] * 2
    assert page["minutes"](record) == pytest.approx(10), "two processes"
    assert page["minutes"](record, 2) == pytest.approx(10 * (4 + 6) / 16)
    assert page["minutes"](record, 9) == pytest.approx(10)
    rounds = {"first": {"seeds": [0, 1, 2]}, "second": {"seeds": [3, 4]}}
    twice = record | {"experiment": "forms", "settings": {"rounds": rounds}}
    assert page["minutes"](twice, 1) == page["minutes"](record, 2), "one seed of each round"
    models = record | {"experiment": "transfer", "settings": {"tuning_seeds": [100, 101]}}
    assert page["minutes"](models, 1) == pytest.approx(10 * (2 + 1) / (2 + 5))
    assert page["minutes"](record | {"rows": []}, 2) == pytest.approx(10), "tuning alone"


def test_comparisons_of_the_second_family_have_groups_of_that_name(page):
    text = (Path(__file__).parent.parent / "book/chapters/scorecard.py").read_text()
    for group in page["LATER"]:
        assert text.count(f'"{group}"') == 2, "once in LATER, once where its lines are added"
