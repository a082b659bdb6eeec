"""What "Trade-offs" builds in front of the reader, held against pha_lite and by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_chapters import lift

from pha_lite import PHAConfig, load_backbone
from pha_lite.baselines import build


@pytest.fixture(scope="module")
def chapter():
    return lift("trade_offs")


def test_counts_are_the_models_own(chapter):
    t5, _ = backbone = load_backbone("tiny")
    layers = len(t5.encoder.block), len(t5.decoder.block)
    names = ["a", "b", "c"]
    shared, e = chapter["pha_numbers"](PHAConfig.tiny(tasks=["a"]), t5.config.d_model, layers)
    counts = build("pha", backbone, names).count_parameters()
    assert shared + len(names) * e == counts["total"]
    own = chapter["adapter_numbers"](sum(layers), t5.config.d_model, PHAConfig.tiny().adapter_dim)
    assert own * 3 == build("adapter_per_task", backbone, names).count_parameters()["total"]


def test_the_lines_cross_where_it_says(chapter):
    at = chapter["crossing"](1000, 60, 10)
    assert at == 20 and 1000 + at * 10 == at * 60


points = st.dictionaries(
    st.text(min_size=1, max_size=2),
    st.tuples(st.integers(0, 5), st.integers(0, 5)),
    min_size=1,
    max_size=8,
)


@given(points)
def test_front_is_what_nobody_dominates(points):
    kept = lift_front(points)
    for name, (cost, score) in points.items():
        cheaper = [s for c, s in points.values() if c < cost]
        better = [c for c, s in points.values() if s > score]
        dominated = any(s >= score for s in cheaper) or any(c <= cost for c in better)
        assert (name in kept) != dominated


def lift_front(points, found={}):  # noqa: B006  lifted once, not for every example
    if not found:
        found.update(lift("trade_offs"))
    return found["front"](points)


def test_rounds_visit_everybody_in_turn_and_drop_the_first(chapter):
    seen = []
    works = {"a": lambda: seen.append("a"), "b": lambda: seen.append("b")}
    taken = chapter["in_rounds"](works, 3, 1)
    assert "".join(seen) == "ababab"
    assert {name: len(values) for name, values in taken.items()} == {"a": 2, "b": 2}
