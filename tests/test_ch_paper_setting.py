"""The counts that the chapter on the paper's setting makes, held against the package."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite.config import PHAConfig
from pha_lite.estimate import T5Sizes, cost, forward, sizes_of
from pha_lite.reproduce import EXPERIMENTS

CHAPTER = lift("paper_setting")
sizes = st.integers(1, 64)


@given(S=sizes, d=sizes, heads=sizes, d_kv=sizes, f=sizes, layers=sizes)
def test_the_encoders_equation_is_the_packages_count(S, d, heads, d_kv, f, layers):
    t5 = T5Sizes(d, f, heads, d_kv, layers, layers, 10)
    (maps, attention), _ = forward(t5, S, 1)
    assert CHAPTER["encoder_forward"](S, d, t5.a, f, layers) == maps + attention


@pytest.mark.parametrize("method", CHAPTER["METHODS"])
def test_costs_are_those_of_t5_base_with_the_tasks_of_glue(method):
    tasks = list(EXPERIMENTS["glue"].tasks)
    page = lift("paper_setting") | {
        "t5": sizes_of("google-t5/t5-base"),
        "glue": tasks,
        "config": PHAConfig.paper(tasks=tasks),
    }
    page["costs_of"].__globals__.update(page)
    found = page["costs_of"](method, batch=16, width=2)
    form = {"shared_adapter": "shared_adapter"}.get(method, "pha")
    config = PHAConfig.baseline(form, PHAConfig.paper(), tasks=tasks)
    assert found == cost(sizes_of("t5-base"), config, method, 16, width=2)


def test_frozen_weights_save_a_third():
    """Linear maps: 2 forward, 2 for the input's gradient, 2 for the weights'; 4 of 6 are left."""
    t5 = sizes_of("t5-base")
    config = PHAConfig.paper(tasks=["a"])
    share = cost(t5, config, "pha", 1).step / cost(t5, config, "full", 1).step
    assert 0.6 < share < 0.7
