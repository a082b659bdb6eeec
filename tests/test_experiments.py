"""Recorded experiments: cells that go on after a kill, the rule of tuning, and the records."""

from __future__ import annotations

import json

import pytest

from pha_lite import records
from pha_lite.errors import PHAError
from pha_lite.experiments import __main__ as command
from pha_lite.experiments import cells, runner
from pha_lite.suite import load_suite


def test_a_finished_cell_is_not_run_again(tmp_path):
    cell = {"cell": "bag_of_words", "task": "time/hotel"}
    (first,) = runner.run_cells("trial", [cell], 1, tmp_path).values()
    assert 0.5 < first["test"] < 1.0
    path = tmp_path / "trial.jsonl"
    key, found = json.loads(path.read_text())
    path.write_text(json.dumps([key, found | {"test": -1.0}]) + '\n["cut off by a ki')
    (again,) = runner.run_cells("trial", [cell], 1, tmp_path).values()
    assert again["test"] == -1.0, "the kept result, not a new one"


def test_tuning_takes_the_best_mean_of_validation():
    def cell(method, lr, seed, score):
        return {"method": method, "lr": lr, "seed": seed}, {"validation": {"all": score}}

    found = [
        cell("a", 1e-3, 0, 0.9),
        cell("a", 1e-3, 1, 0.5),
        cell("a", 1e-2, 0, 0.8),
        cell("a", 1e-2, 1, 0.8),
        cell("b", 1e-3, 0, 0.7),
        cell("b", 1e-2, 0, 0.6),
    ]
    assert runner.best_rate(found, "method") == {("a",): 1e-2, ("b",): 1e-3}


def test_halves_are_means_over_their_tasks():
    suite = load_suite()
    scores = {name: float(suite.cell(name).half == "related") for name in suite.train_tasks}
    assert cells.halves(suite, scores) == {"related": 1.0, "conflicting": 0.0, "all": 0.5}


def test_every_method_and_variant_has_a_configuration():
    names = [*cells.METHODS, *(f"variant: {v}" for v in cells.VARIANTS)]
    made = {name: cells.new_model(name, "tiny", ["a", "b"], 0).config for name in names}
    assert len({config.to_json() for config in made.values()}) >= len(names) - 1
    assert made["variant: released"].contrast_to_encoder and made["variant: released"].generates


def test_unknown_experiment_is_named(tmp_path, capsys):
    args = type("Args", (), {"name": "low_dat", "results": None, "workers": 1, "scratch": tmp_path})
    with pytest.raises(PHAError, match="low_data"):
        command.main(args)


@pytest.mark.parametrize("name", records.names())
def test_records_say_what_made_them(name):
    record = records.load(name)
    for key in ("command", "commit", "machine", "time", "versions"):
        assert record[key], key
    assert not str(record["commit"]).endswith("-dirty")
    assert record["command"] in records.source(record)


def test_a_missing_record_is_named_with_those_that_exist():
    with pytest.raises(PHAError, match="'low'"):
        records.load("low")


def test_run_time_reads_the_record(monkeypatch, tmp_path):
    monkeypatch.setattr(records, "data_dir", lambda: tmp_path)
    assert "No run time" in records.run_time("adapters")
    (tmp_path / "results").mkdir()
    record = {"seconds": {"adapters": 41.7}, "time": "2026-01-02T03:04:05", "machine": "2 cores"}
    (tmp_path / "results" / "chapters.json").write_text(json.dumps(record))
    assert "42 seconds" in records.run_time("adapters")
    assert "2026-01-02" in records.run_time("adapters")
    assert "No run time" in records.run_time("retriever")


SMALL = {"rules": ["acceptability", "time", "sentiment"], "steps": 4, "batch": 6}


def test_a_form_is_measured_on_both_halves_in_the_swap_test_and_in_transfer(monkeypatch):
    monkeypatch.setattr(cells, "VALID_ROWS", 4)
    monkeypatch.setattr(cells, "FEW_ROWS", 4)
    found = cells.form_cell("own vectors", 16, 1e-3, 0, False, 1, **SMALL)
    assert set(found["validation"]) == {"related", "conflicting", "all", "retrieved", "loss"}
    assert all(0 <= value <= 1 for value in found["validation"].values())
    assert -1 <= found["swap"] <= 1


def test_separate_models_share_the_rows_of_a_joint_run_out_evenly(monkeypatch):
    """Steps times rows, over all models, are those of the mixed run (up to rounding)."""
    from pha_lite import train as training

    seen = []
    real = training.train

    def note(model, tasks, settings, **options):
        seen.append((list(tasks), settings.steps * settings.batch_size))
        return real(
            model, tasks, training.TrainConfig(steps=1, eval_every=1, eval_limit=2), progress=False
        )

    monkeypatch.setattr(training, "train", note)
    size = {"rules": ["acceptability"], "steps": 96, "batch": 8}
    found = cells.separate_cell(8, 1e-3, 0, False, **size)
    assert [name for (name,), _ in seen] == list(found["tasks"])
    assert sum(rows for _, rows in seen) == 96 * 8


def test_every_form_is_another_configuration():
    made = {f: cells.new_model(f"form: {f}", "tiny", ["a", "b"], 0).config for f in cells.FORMS}
    assert len({config.to_json() for config in made.values()}) == len(cells.FORMS)
    assert made["paper's"] == made["own vectors"].from_dict(
        {**made["own vectors"].to_dict(), "own_dim": 0}
    )
