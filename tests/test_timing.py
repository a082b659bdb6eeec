"""Timing by rounds: order, warm-up, and ratios inside a round. No test measures time itself."""

from __future__ import annotations

import pytest

from pha_lite import timing
from pha_lite.errors import PHAError


def test_every_round_visits_everybody_and_warmup_is_thrown_away():
    seen = []
    works = {name: lambda name=name: seen.append(name) for name in "ab"}
    taken = timing.interleaved(works, rounds=2, times=2, warmup=1, progress=False)
    assert "".join(seen) == "aabb" * 3
    assert all(len(values) == 2 for found in taken.values() for values in found.values())


def test_ratios_are_taken_round_by_round():
    """The machine is twice as slow in the second round: the ratio does not notice."""
    taken = {
        "base": {"wall": [10.0, 20.0, 10.0], "cpu": [1.0, 1.0, 1.0]},
        "other": {"wall": [15.0, 30.0, 15.0], "cpu": [2.0, 2.0, 2.0]},
    }
    found = timing.summary(taken, "base")
    assert found["other"]["ratio"] == 1.5 and found["other"]["ratio_quartiles"] == [1.5, 1.5]
    assert found["other"]["median_ms"] == 15 and found["other"]["quartiles_ms"] == [15, 22.5]
    assert found["base"]["ratio"] == 1.0 and found["other"]["cpu_ms"] == 2


@pytest.mark.parametrize("given", [{"rounds": 1}, {"times": 0}, {"warmup": -1}])
def test_too_few_rounds_are_refused(given):
    with pytest.raises(PHAError, match="rounds="):
        timing.interleaved({"a": int}, **given)
