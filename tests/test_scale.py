"""The tool that records what many tasks and instances cost, at a tiny size. Nothing is timed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import load

from pha_lite import records
from pha_lite.nearest import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "tools" / "scale.py"
scale = load("scale", TOOL)
SMALL = "--size tiny --tasks 3,2 --instances 300 --batch 4 --source 4 --rounds 2 --queries 5"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scale")
    options = [*SMALL.split(), "--scratch", folder / "parts", "--output", folder / "scale.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, TOOL, *options]
    subprocess.run(command, check=True, env=environment, cwd=folder, capture_output=True)
    return options, json.loads((folder / "scale.json").read_text())


def test_the_record_has_its_shape(recorded):
    record = recorded[1]
    assert [(row["tasks"], row["in_batch"]) for row in record["tasks"]] == [(2, 2), (3, 3)]
    two, three = record["tasks"]
    assert two["ratio"] == 1 and two["peak_mib"] > 0
    assert three["parameters"] - two["parameters"] == two["per_additional_task"]
    assert three["adapter_per_task"] * 2 == two["adapter_per_task"] * 3
    assert two["weights_bytes"] > 4 * two["parameters"]
    rows = record["instances"]["rows"]
    assert {row["kind"] for row in rows} == set(OPTIONS)
    assert all(row["instances"] == 300 and row["median_us"] > 0 for row in rows)
    assert rows[0]["recall_at_1"] == 1 and rows[0]["ratio"] == 1
    assert {row["effort"]["nprobe"] for row in rows if row["kind"] == "ivf"} == {1, 4}  # of 8 cells
    assert "synthetic" in record["instances"]["data"] and record["threads"] == 1
    assert "tools/scale.py" in records.source(record)


def test_what_is_done_is_not_measured_again(recorded, monkeypatch):
    options, record = recorded
    for name in ("steps", "sizes", "peak_alone", "search_part"):
        monkeypatch.setattr(scale, name, lambda *_: pytest.fail("measured again"))
    threads = torch.get_num_threads()
    monkeypatch.setattr(sys, "argv", ["scale.py", *map(str, options)])
    try:
        assert scale.main() == 0
    finally:
        torch.set_num_threads(threads)
    again = json.loads(options[-1].read_text())
    assert {**again, "time": ""} == {**record, "time": "", "machine": again["machine"]}


def test_clouds_are_unit_vectors_around_the_same_centres():
    one, two = scale.clouds(3000, 32, 1), scale.clouds(200, 32, 2)
    torch.testing.assert_close(one.norm(dim=1), torch.ones(3000))
    nearest = (two @ one.t()).max(dim=1).values
    draw = torch.Generator().manual_seed(99)  # not that of the centres
    elsewhere = torch.nn.functional.normalize(torch.randn(200, 32, generator=draw), dim=1)
    assert nearest.mean() > 0.7 > (elsewhere @ one.t()).max(dim=1).values.mean()


def test_overlap_counts_true_neighbours_wherever_they_stand():
    truth = torch.tensor([[1, 2], [3, 4]])
    assert scale.overlap(torch.tensor([[2, 1], [3, 9]]), truth) == 0.75
    assert scale.overlap(torch.tensor([[-1, -1], [-1, 4]]), truth) == 0.25


def test_one_step_moves_the_tables_of_tasks_in_the_batch():
    bench = scale.Bench(scale.Setting("tiny", 4, 4, 2))
    model = scale.new_model(bench, 5)
    before = model.trained.prototypes.vectors.detach().clone()
    scale.step_of(bench, model, 2)()
    assert (model.trained.prototypes.vectors != before).any(dim=1)[:2].all()
    assert scale.mixtures(4096, 32) == [8, 32] and scale.mixtures(8, 32) == [8]


@pytest.mark.parametrize("text", ["0,8", "a", "8,,9"])
def test_bad_lists_are_refused(text):
    with pytest.raises(ValueError):
        scale.numbers(text)
    assert scale.numbers("1e4,8") == [8, 10000]
