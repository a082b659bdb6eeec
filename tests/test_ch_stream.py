"""The pieces that the chapter on streams builds, against `pha_lite` and by hand."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
from conftest import wake
from hypothesis import given
from hypothesis import strategies as st
from test_train import toy_task

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite import plots
from pha_lite.config import PHAConfig
from pha_lite.experiments import stream
from pha_lite.model import PHAModel
from pha_lite.stats import Paired

NEW = [toy_task("always", "yes", seed=5), toy_task("never", "no", seed=6), toy_task("good", seed=7)]
CHAPTER = lift("stream")


@pytest.fixture
def chapter() -> dict:
    return lift("stream")


@st.composite
def matrices(draw):
    size = draw(st.integers(1, 6))
    number = st.floats(0, 1)
    return [draw(st.lists(number, min_size=i + 1, max_size=i + 1)) for i in range(size)]


@given(matrices())
def test_measures_are_the_packages(R):
    assert CHAPTER["average_accuracy"](R) == pytest.approx(stream.average_accuracy(R))
    assert CHAPTER["forgetting"](R) == stream.forgetting(R)
    assert CHAPTER["backward_transfer"](R) == stream.backward_transfer(R)
    scratch = R[-1][::-1]
    assert CHAPTER["forward_transfer"](R, scratch) == stream.forward_transfer(R, scratch)


def test_forward_transfer_needs_a_score_for_every_task(chapter):
    with pytest.raises(ValueError):
        chapter["forward_transfer"]([[0.5], [0.5, 0.5]], [0.5])


@pytest.mark.parametrize(
    ("method", "tune", "start"),
    [("pha", "prototype", "retrieved"), ("pha", "prototype", "loss"),
     ("shared_adapter", "all", "fresh")],
)  # fmt: skip
def test_the_live_stream_is_the_packages(
    chapter, monkeypatch, backbone, small_config, method, tune, start
):
    chapter |= {"STEPS": 3, "ROWS": 8}
    monkeypatch.setattr(stream, "_lot", lambda seed, word: seed)  # the page has one seed for all
    config = PHAConfig.baseline(method, small_config())
    model = wake(PHAModel.from_backbone(backbone, config)).eval()
    R, models, sources = chapter["live"](model, NEW, tune, start, 0.05)
    theirs = stream.InTurn(model, tune, start, 3, 0.05, chapter["SEED"])
    assert R == stream.play(theirs, NEW, "test", 8)
    assert sources == theirs.sources
    assert [len(m.config.tasks) for m in models] == [3, 4, 5, 6]
    for ours, other in zip(models[-1].parameters(), theirs.model.parameters(), strict=True):
        assert torch.equal(ours, other)


def test_an_arrival_is_learnt_without_a_test_row(chapter, build):
    chapter["STEPS"] = 1
    task = toy_task("new")
    del task.splits["test"], task.splits["validation"]
    model, source = chapter["arrive"](build(), task, "prototype", "retrieved", 0.1)
    assert source in model.config.tasks and model.config.tasks[-1] == "new"


def test_the_optimiser_moves_rows_without_gradient(chapter):
    moved = chapter["row_of_another"]
    assert moved(0.0, False) == 0.0
    # ten steps of a rate of 0.1: each takes the share 0.1 * 0.01 away
    assert moved(0.01, False) == pytest.approx(1 - (1 - 0.001) ** 10, abs=1e-6)
    assert moved(0.0, True) > 0.1


def test_the_square_has_gaps_where_nobody_asked(chapter):
    table = chapter["square"]([[0.5], [0.25, 1.0]])
    assert np.array_equal(table, [[50.0, np.nan], [25.0, 100.0]], equal_nan=True)
    only_last = chapter["square"]([[0.25, 1.0]])
    assert np.array_equal(only_last, [[np.nan] * 2, [25.0, 100.0]], equal_nan=True)
    assert chapter["cells"](table) == [[50.0, None], [25.0, 100.0]]


RUN = {
    "R": [[0.5], [0.25, 1.0], [0.5, 0.5, 0.75]],
    "order": [
        {"task": "sentiment/museum", "new": "surface"},
        {"task": "time/hotel", "new": "rule"},
        {"task": "entailment/garden", "new": "surface"},
    ],
}


def test_shares_by_kind_and_moment(chapter):
    share = chapter["share"]
    assert share(RUN, "arrival", "surface") == 62.5 and share(RUN, "arrival", "rule") == 100
    assert share(RUN, "end", "surface") == 62.5 and share(RUN, "end", "rule") == 50
    assert share(RUN, "end") == pytest.approx(100 * 1.75 / 3)
    joint = {**RUN, "R": RUN["R"][-1:]}
    assert np.isnan(share(joint, "arrival", "rule")) and share(joint, "end", "rule") == 50


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1, 2, "better"), (-2, -1, "worse"), (-1, 1, "not told apart"), (0, 2, "not told apart"),
     (3, 3, "not told apart")],
)  # fmt: skip
def test_verdicts(chapter, low, high, word):
    assert chapter["verdict"](Paired((low + high) / 2, low, high, 1.0)) == word


@pytest.mark.parametrize(
    ("task", "source", "word"),
    [
        ("time/museum", "time/hotel", "same rule"),
        ("time/museum", "sentiment/museum", "a rival: same inputs"),
        ("other/hotel", "sentiment/hotel", "a rival: same inputs"),
        ("reading/hotel", "entailment/hotel", "neither"),
    ],
)
def test_relations(chapter, task, source, word):
    assert chapter["relation"](task, source) == word


def test_the_nearest_prototype_is_what_retrieval_finds(chapter, build):
    model = build()
    texts = ["the good film", "a bad hotel was not", "very bad"]
    assert chapter["nearest"](model, texts) == [model.retrieve([t], k=1)[0][0] for t in texts]


def test_buttons_exchange_what_the_figures_hold(chapter):
    values = [{"one": (60.0, 50.0, 70.0)}, {"one": (80.0, 75.0, 90.0)}]
    words = {"title": "A title", "alt": "What it shows"}
    figures = [plots.intervals({"x": series}, **words) for series in values]
    fig = chapter["choose"](dict(zip("ab", figures, strict=True)), ["x", "error_x"])
    new = fig.layout.updatemenus[0].buttons[1].args[0]
    changed = go.Figure(fig).update_traces(x=new["x"][0], error_x=new["error_x"][0])
    assert list(changed.data[0].x) == [80.0]
    assert list(changed.data[0].error_x.array) == [10.0]
    assert list(changed.data[0].error_x.arrayminus) == [5.0]
