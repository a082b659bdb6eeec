"""What the chapter on scale and speed counts by hand, and how it reads records: made-up ones."""

from __future__ import annotations

import json

import numpy as np
import plotly.graph_objects as go
import pytest
import torch

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite import records, timing
from pha_lite.bench import GROUPS

MADE = {"commit": "0123456789", "machine": "a machine", "time": "2026-01-02T03:04:05"}


@pytest.fixture
def chapter() -> dict:
    return lift("scale_and_speed")


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of records with none in it; call it with a name to put one there."""
    monkeypatch.setattr(records, "data_dir", lambda: tmp_path)
    (tmp_path / "results").mkdir()

    def put(name: str, record: dict) -> dict:
        (tmp_path / "results" / f"{name}.json").write_text(json.dumps(record))
        return record

    return put


def times(*names: str) -> dict:
    """What `timing.summary` gives: every contender twice as slow as the one before."""
    taken = {n: {"wall": [2.0**i] * 3, "cpu": [1.0] * 3} for i, n in enumerate(names)}
    return timing.summary(taken, names[0])


def bench(size: str, batch: int = 4, **groups) -> dict:
    settings = {"size": size, "batch": batch, "rows": 7}
    settings |= dict.fromkeys(("source", "target", "tasks", "rounds"), 4)
    return {"command": "pha bench", "settings": settings, "groups": groups, **MADE}


def scale() -> dict:
    held = {"parameters": 1000, "weights_bytes": 2**20, "config_bytes": 0}
    held |= {"peak_mib": 12.3, "adapter_per_task": 5000}
    step = {"ratio": 1.5, "ratio_quartiles": [1.4, 1.6]}
    tasks = [
        {"tasks": 8, "in_batch": 8, **step, **held},
        {"tasks": 64, "in_batch": 8, **step},
        {"tasks": 64, "in_batch": 32, **step, **held},
    ]
    row = {"recall_at_1": 0.5, "median_us": 10.0, "quartiles_us": [8.0, 13.0]}
    row |= {"build_s": 1.0, "load_s": 0.5, "file_bytes": 2**21}
    efforts = [("flat", {}), ("ivf", {"nprobe": 1}), ("ivf", {"nprobe": 4})]
    rows = [
        {"instances": n, "kind": kind, "effort": effort, **row}
        for n in (100, 1000)
        for kind, effort in efforts
    ]
    return {
        "command": "python tools/scale.py",
        "settings": {"size": "small", "batch": 32},
        "tasks": tasks,
        "instances": {"rows": rows},
        **MADE,
    }


# ---- records -------------------------------------------------------------------------------------


def test_a_missing_record_is_said_to_be_missing(chapter, shelf):
    assert chapter["recorded"]("scale") is None
    for name in ("bench", "scale", "negatives"):
        assert f"Not recorded yet:** `{name}`" in chapter["missing"](name).data
    for group in GROUPS:
        assert chapter["benches"](group) == []
        assert "Not recorded yet" in chapter["ratios"](group).data
        assert "Not recorded yet" in chapter["costs"](group).data


def test_benches_are_shown_side_by_side(chapter, shelf):
    shelf("bench_32", bench("small", batch=32, training=times("limit", "PHA")))
    shelf("bench_base", bench("base", training=times("limit", "PHA"), decoding=times("frozen")))
    shelf("bench_small", bench("small", training=times("limit", "PHA"), generating=times("ours")))
    shelf("benchmarks", {"something": "else"})
    fig = chapter["ratios"]("training")
    names = ["T5-small, 4 rows of 4", "T5-base, 4 rows of 4", "T5-small, 32 rows of 4"]
    assert [trace.name for trace in fig.data] == names
    assert list(fig.data[0].x) == [1, 2] and "limit" in fig.layout.title.text
    assert [trace.name for trace in chapter["ratios"]("decoding").data] == ["T5-base, 4 rows of 4"]
    assert [trace.name for trace in chapter["ratios"]("generating").data] == [
        "T5-small, 7 rows of 4"
    ]
    table = chapter["costs"]("training").data
    assert "| PHA | 2.000 | 2.0 | 1.0 | not taken |" in table
    assert table.count("Recorded by `pha bench`") == 3


def test_the_crowd_has_two_lines_that_meet_at_eight(chapter):
    fig = chapter["crowd_figure"](scale())
    lines = {t.name: list(t.x) for t in fig.data if t.mode == "lines+markers"}
    assert lines == {"8 tasks in the batch": [8, 64], "a task for each row": [8, 64]}
    table = chapter["crowd_table"](scale()).data
    assert table.count("| 1,000 | 1.00 | 12 | 5,000 |") == 2 and "T5-small, 32 rows" in table


def test_the_menu_shows_one_number_of_instances(chapter):
    fig = chapter["search_figure"](scale())
    assert isinstance(fig, go.Figure) and len(fig.data) == 4
    assert [trace.visible for trace in fig.data] == [True, True, False, False]
    buttons = fig.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["100 instances", "1,000 instances"]
    assert buttons[1].args[0]["visible"] == [False, False, True, True]
    ivf = fig.data[1]
    assert list(ivf.text) == ["nprobe 1", "nprobe 4"] and list(ivf.y) == [0.01, 0.01]
    assert ivf.error_y.array[0] == pytest.approx(0.003)
    assert ivf.error_y.arrayminus[0] == pytest.approx(0.002)
    table = chapter["search_table"](scale()).data
    assert table.count("ivf") == 2 and "| 1,000 | flat | 1.00 | 0.50 | 2.0 |" in table


def test_negatives_show_scores_beside_the_fresh_model(chapter):
    row = {"loss": 1.0, "cosine": 0.9, "length": 0.8, "lonely": 0.25}
    gradients = [{"processes": P, **row} for P in (1, 2)]
    runs = [
        {"processes": P, "seed": seed, "validation": score}
        for P, scores in {1: (0.5, 0.7), 2: (0.4, 0.4)}.items()
        for seed, score in enumerate(scores)
    ]
    record = {"command": "python tools/negatives.py", "runs": runs, **MADE}
    record["gradients"] = {"fresh": gradients, "trained": gradients}
    table = chapter["negatives_table"](record).data
    assert "| 1 | fresh | 1.00 | 0.90 | 0.80 | 25% | 60.0 % |" in table
    assert "| 2 | fresh | 1.00 | 0.90 | 0.80 | 25% | 40.0 % |" in table
    assert "| 1 | trained | 1.00 | 0.90 | 0.80 | 25% |  |" in table


# ---- by hand -------------------------------------------------------------------------------------


def test_alone_means_without_a_partner(chapter):
    alone, shares = chapter["alone"], chapter["shares"]
    assert alone(torch.tensor([3, 3, 5, 7])) == 0.5
    ids = torch.tensor([1, 1, 2, 2])  # dealt to two: 1 2 and 1 2
    assert alone(ids) == 0 and shares(ids, 1) == 0 and shares(ids, 2) == 1


def test_kept_states_are_counted_in_gib(chapter):
    held = torch.zeros(3, 5, 7, dtype=torch.bfloat16)
    assert chapter["gib"](3, 5, 7) * 2**30 == pytest.approx(held.numel() * held.element_size())


def test_operations_are_those_of_the_products(chapter):
    a, b = torch.ones(3, 4), torch.ones(4, 5)
    assert chapter["operations"](lambda: a @ b) == 2 * 3 * 4 * 5
    assert np.isclose(chapter["operations"](lambda: a + 1), 0)
