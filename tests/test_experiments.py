"""Recorded experiments: cells that go on after a kill, the rule of tuning, and the records."""

from __future__ import annotations

import json

import pytest

from pha_lite import records
from pha_lite.errors import PHAError
from pha_lite.experiments import __main__ as command
from pha_lite.experiments import ablations, cells, costs, other_tasks, runner, setting, transfer
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
    assert setting.halves(suite, scores) == {"related": 1.0, "conflicting": 0.0, "all": 0.5}


def test_every_method_and_variant_has_a_configuration():
    names = [*setting.METHODS, *(f"variant: {v}" for v in setting.VARIANTS)]
    made = {name: setting.new_model(name, "tiny", ["a", "b"], 0).config for name in names}
    assert len({config.to_json() for config in made.values()}) >= len(names) - 1
    assert made["variant: released"].contrast_to_encoder and made["variant: released"].generates


def test_unknown_experiment_is_named(tmp_path, capsys):
    args = {"name": "low_dat", "results": None, "workers": 1, "scratch": tmp_path, "seeds": None}
    args = type("Args", (), args)
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
    assert -1 <= found["swap"] <= 1 and "tasks" not in found
    tested = cells.form_cell("own vectors", 16, 1e-3, 0, True, 1, **SMALL)
    assert set(tested) >= {"test", "tasks", "swap", "same_input", "same_rule", "right_rule"}
    names = [name for name in tested["tasks"] if not name.startswith("acceptability")]
    mean = sum(tested["tasks"][name] for name in names) / len(names)
    assert tested["test"]["conflicting"] == pytest.approx(mean)


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
    made = {f: setting.new_model(f"form: {f}", "tiny", ["a", "b"], 0).config for f in setting.FORMS}
    assert len({config.to_json() for config in made.values()}) == len(setting.FORMS)
    assert made["usual"] == made["own vectors"].from_dict(
        {**made["own vectors"].to_dict(), "own_dim": 0}
    )


def test_a_change_reaches_the_model_the_tasks_and_the_training(monkeypatch):
    from pha_lite import train as training

    seen = {}

    def note(model, tasks, config, *rest, **options):
        seen.update(model=model.config, rows={n: len(t["train"]) for n, t in tasks.items()})
        seen["training"] = config
        return type("Result", (), {"best": {"scores": dict.fromkeys(tasks, 0.5)}})

    monkeypatch.setattr(training, "train", note)
    change = {"model": {"temperature": 0.3}, "training": {"sampling_temperature": 1.0}}
    change |= {"shares": [4, 1, 0.25], "suite": {"conflict": 0.0}}
    _, suite, tasks, _ = setting.trained("pha", 16, 1e-3, 0, change=change, **SMALL)
    assert seen["model"].temperature == 0.3 and seen["training"].sampling_temperature == 1.0
    by_surface = {suite.cells[name].surface: rows for name, rows in seen["rows"].items()}
    assert sorted(by_surface.values()) == [4, 16, 64]
    assert tasks["sentiment/hotel"].prompt != tasks["time/hotel"].prompt, "told apart"
    *_, tasks, _ = setting.trained("pha", 16, 1e-3, 0, change={"surfaces": 1}, **SMALL)
    assert {name.split("/")[1] for name in tasks} == {"restaurant"}


def test_every_ablation_is_another_setting():
    made = {name: json.dumps(change, sort_keys=True) for name, change in ablations.CHANGES.items()}
    assert len(set(made.values())) == len(made)
    for change in ablations.CHANGES.values():
        setting.new_model("pha", "tiny", ["a", "b"], 0, **change.get("model", {}))


def test_ablation_cell_measures_scores_dependence_and_the_space(monkeypatch):
    for name in ("VALID_ROWS", "TEST_ROWS"):
        monkeypatch.setattr(ablations, name, 4)
    found = ablations.ablation_cell("pha", 8, 1e-3, 0, True, **SMALL)
    space = {"same_rule", "same_input", "right_rule", "right_kind"}
    assert set(found) == {"test", "tasks", "swap"} | space
    assert found["right_rule"] <= found["right_kind"] <= 1
    off = {"model": {"instance_weight": 0.0, "prototype_weight": 0.0}}
    found = ablations.ablation_cell("pha", 8, 1e-3, 0, True, change=off, **SMALL)
    assert not space & set(found), "nothing to retrieve with"
    one = {"surfaces": 1}
    found = ablations.ablation_cell("shared_adapter", 8, 1e-3, 0, True, change=one, **SMALL)
    assert set(found) == {"test", "tasks"} and len(found["tasks"]) == 3


def test_transfer_cell_has_every_start_and_every_part(monkeypatch):
    from pha_lite.fewshot import adapt

    made = setting.trained("pha", 8, 1e-3, 0, **SMALL)
    monkeypatch.setattr(transfer, "trained", lambda *a, **k: made)
    monkeypatch.setattr(transfer, "FEW_STEPS", 1)
    monkeypatch.setattr(transfer, "FEW_ROWS", 4)
    monkeypatch.setattr(transfer, "FEW_K", (4,))
    monkeypatch.setattr(transfer, "DRAWS", 1)
    asked = []

    def note(*args, **options):
        asked.append(args[3:5])
        return adapt(*args, **options)

    monkeypatch.setattr("pha_lite.fewshot.adapt", note)
    starts, tunes = {s: [1e-2] for s in transfer.STARTS}, {"prototype": [1e-2], "all": [1e-3]}
    found = transfer.transfer_cell(0, 1e-3, starts, tunes, True)
    assert {row["task"].split("/")[1] for row in found["rows"]} == {"garden"}
    new = [row for row in found["rows"] if row["new"] == "new rule"]
    assert {row["start"] for row in new} == set(transfer.STARTS)
    assert len(new) == 2 * (len(transfer.STARTS) + 1), "the loss start is tuned in two ways"
    assert {row["tune"] for row in found["rows"] if row["new"] == "new surface"} == set(tunes)
    for row in found["retrieval"]:
        assert 0 < row["sure"] <= row["sure_of_kind"] + 1 - row["kind"] and row["margin"] >= 0
        assert row["rule"] <= row["kind"]


def test_costs_count_what_is_stored_and_trained(monkeypatch):
    monkeypatch.setattr(costs, "METHODS", ("pha", "shared_adapter", "adapter_per_task"))
    monkeypatch.setattr(costs, "ANSWERS", 4)
    found = costs.costs_cell(rounds=3, steps=1)["methods"]
    for method, cost in found.items():
        assert cost["stored_bytes"] > 4 * cost["trained"], "float32, and the configuration"
        extra = cost["stored_bytes_per_additional_task"] - 4 * cost["per_additional_task"]
        assert 0 <= extra < 4000, f"{method}: one more row, and its name in the configuration"
        low, high = cost["step"]["quartiles_ms"]
        assert 0 < low <= high
    assert found["shared_adapter"]["step"]["ratio"] == 1.0
    assert found["shared_adapter"]["per_additional_task"] == 0


def test_transfer_chooses_a_rate_for_every_start_and_part(monkeypatch, tmp_path):
    """The grid on made-up scores: the rate with the best mean, one for each start and part."""
    from pha_lite.experiments import runner as running

    def cell(seed, source_lr, starts, tunes, test):
        jobs = [("new rule", s, "prototype", lr) for s in starts for lr in starts[s]]
        jobs += [(w, "loss", t, lr) for w in ("new rule", "new surface") for t in tunes
                 for lr in tunes[t]]  # fmt: skip
        rows = [
            {"new": new, "start": s, "tune": t, "lr": lr, "k": 16, "task": "x", "source": None,
             "before": 0.5, "after": 1 - abs(lr - 3e-2 if t == "prototype" else lr - 3e-3)}
            for new, s, t, lr in dict.fromkeys(jobs)
        ]  # fmt: skip
        return {"rows": rows, "retrieval": []}

    def run_cells(name, asked, workers, scratch):
        found = {}
        for c in asked:
            got = {"validation": {"all": c.get("lr", 0)}, "seconds": 0.0}
            if c["cell"] == "transfer":
                given = {k: v for k, v in c.items() if k != "cell"}
                got = cell(**given) | {"seconds": 0.0}
            found[running._key(c)] = got
        return found

    monkeypatch.setattr(running, "run_cells", run_cells)
    path = transfer.transfer(running.Runner("transfer", 1, tmp_path, tmp_path))
    chosen = json.loads(path.read_text())["settings"]["chosen"]
    assert chosen["starts"] == {start: [3e-2] for start in transfer.STARTS}
    assert chosen["tunes"] == {"prototype": [3e-2], "hypernetwork": [3e-3], "all": [3e-3]}


def test_more_steps_try_the_next_rate_and_keep_the_better_on_validation(monkeypatch, tmp_path):
    from pha_lite.experiments import grids

    short = {m: grids.WIDE_GRID[at % 6] for at, m in enumerate(grids.MORE_METHODS)}
    known = [
        {"method": m, "n": n, "lr": lr if n != 64 else 1e-2}
        for m, lr in {**short, "prompt": 0.5}.items()
        for n in (8, 64, 1000)
    ]
    monkeypatch.setattr(grids.records, "load", lambda name: {"rows": known})
    asked = []

    def run_cells(name, wanted, workers, scratch):
        asked.extend(wanted)
        got = {"seconds": 0.0}  # the smallest rate is best on validation, the largest on test
        return {
            runner._key(c): got
            | ({"test": {"all": c["lr"]}} if c["test"] else {"validation": {"all": -c["lr"]}})
            for c in wanted
        }

    monkeypatch.setattr(runner, "run_cells", run_cells)
    record = json.loads(grids.more_steps(runner.Runner("more", 1, tmp_path, tmp_path)).read_text())
    for cell in asked:
        usual = grids._wide(cell["method"], cell["n"], cell["lr"], cell["seed"], cell["test"])
        assert cell == usual | {"steps": grids.MORE_STEPS[cell["n"]]}
        seeds = grids.MORE_SEEDS_OF[cell["n"]] if cell["test"] else setting.TUNING_SEEDS
        assert cell["seed"] in seeds
    for m, rate in short.items():
        tried = [c["lr"] for c in asked if (c["method"], c["n"], c["test"]) == (m, 1000, False)]
        assert tried == pytest.approx([rate, rate / 3], rel=0.12)
        chosen = {r["lr"] for r in record["rows"] if (r["method"], r["n"]) == (m, 1000)}
        assert chosen == {tried[1]}
    assert {(r["method"], r["n"]) for r in record["rows"]} == {
        (m, n) for m in grids.MORE_METHODS for n in (64, 1000)
    }
    for n, steps in grids.MORE_STEPS.items():
        assert steps == 4 * grids._size(n)["steps"]
        assert record["settings"]["seeds"][str(n)] == list(grids.MORE_SEEDS_OF[n])
    assert len(record["curve"]) == 2 * 2 * len(grids.MORE_METHODS)


def made_up_forms(monkeypatch, tmp_path, best, most=None):
    """`forms` on scores by form: its record, and the cells that it asked for."""
    from pha_lite.experiments import grids

    asked = []

    def run_cells(name, wanted, workers, scratch):
        asked.extend(wanted)
        parts = ("related", "conflicting", "retrieved", "loss")
        return {
            runner._key(c): {
                "seconds": 0.0,
                "test" if c["test"] else "validation": dict.fromkeys(
                    (*parts, "all"), best.get(c["form"], 0.5) + (c["lr"] == 3e-3) / 10
                ),
                "swap": 0.0,
            }
            for c in wanted
        }

    monkeypatch.setattr(runner, "run_cells", run_cells)
    run = runner.Runner("forms", 1, tmp_path, tmp_path, most)
    return json.loads(grids.forms(run).read_text()), asked


def test_the_second_round_of_forms_is_reported_on_seeds_of_its_own(monkeypatch, tmp_path):
    best = {"usual": 0.9, "own vectors": 0.6, "text part": 0.7}
    record, asked = made_up_forms(monkeypatch, tmp_path, best)
    first, second = (record["settings"]["rounds"][name] for name in ("first", "second"))
    assert (first["chosen"], second["chosen"]) == ("own vectors", "text part")
    assert record["settings"]["chosen"] == "text part"
    assert "text part" not in first["forms"] and set(first["forms"]) < set(second["forms"])
    assert second["forms"] == list(record["forms"])
    assert not set(first["seeds"]) & set(second["seeds"])
    for found in (first, second):
        assert len(found["seeds"]) == 5
        seeds = {row["seed"] for row in record["rows"] if row["form"] == found["chosen"]}
        assert seeds == set(found["seeds"])
    assert {row["lr"] for row in record["rows"]} == {3e-3}, "the rate that validation chose"
    for cell in asked:
        assert cell["test"] == (cell["suite_seed"] == 0), "chosen on other suites than reported"


def test_the_chosen_form_is_given_time_beside_the_usual_one(monkeypatch, tmp_path):
    from pha_lite import records
    from pha_lite.experiments import grids

    asked = []

    def run_cells(name, wanted, workers, scratch):
        asked.extend(wanted)
        best = {"usual": 1e-3, "own vectors": 3e-3}
        score = {runner._key(c): 0.5 + 0.1 * (c["lr"] == best[c["form"]]) for c in wanted}
        parts = ("related", "conflicting", "retrieved", "loss", "all")
        return {
            key: {"seconds": 0.0, "test": {}, "validation": dict.fromkeys(parts, at), "swap": 0.0}
            for key, at in score.items()
        }

    monkeypatch.setattr(runner, "run_cells", run_cells)
    monkeypatch.setattr(records, "load", lambda name: {"settings": {"chosen": "own vectors"}})
    record = json.loads(grids.long_forms(runner.Runner("x", 1, tmp_path, tmp_path, 3)).read_text())
    assert {(r["form"], r["lr"]) for r in record["rows"]} == {
        ("usual", 1e-3),
        ("own vectors", 3e-3),
    }
    assert [r["seed"] for r in record["rows"]] == [10, 10, 11, 11, 12, 12]
    assert record["settings"]["seeds"] == [10, 11, 12]
    for cell in asked:
        assert (cell["n"], cell["steps"]) == (1000, grids.MORE_STEPS[1000])
        assert cell["test"] == (cell["suite_seed"] == 0), "rates are chosen on other suites"
    tuned = [c for c in asked if not c["test"]]
    assert len(tuned) == 2 * 2 * 2 and {c["seed"] for c in tuned} == {101, 102}


def test_fewer_seeds_leave_the_tuning_whole(monkeypatch, tmp_path):
    whole, every = made_up_forms(monkeypatch, tmp_path, {})
    short, few = made_up_forms(monkeypatch, tmp_path, {}, most=2)
    tuned = [[c for c in cells if not c["test"]] for cells in (every, few)]
    assert tuned[0] == tuned[1]
    for name, found in whole["settings"]["rounds"].items():
        assert short["settings"]["rounds"][name]["seeds"] == found["seeds"][:2]
    assert {row["seed"] for row in short["rows"]} == set(short["settings"]["seeds"])
    assert short["command"].endswith("experiments forms --seeds 2")


def test_all_runs_every_experiment_and_asks_for_real_data_first(monkeypatch, tmp_path):
    ran = []
    made = {name: lambda run: ran.append((run.name, run.most)) for name in ("one", "two")}
    monkeypatch.setattr(command, "EXPERIMENTS", made)
    args = {"name": "all", "results": None, "workers": 1, "scratch": tmp_path, "seeds": 3}
    monkeypatch.delenv("PHA_DATA_DIR", raising=False)
    with pytest.raises(PHAError, match="PHA_DATA_DIR"):
        command.main(type("Args", (), args))
    assert not ran
    monkeypatch.setenv("PHA_DATA_DIR", str(tmp_path))
    command.main(type("Args", (), args))
    assert ran == [("one", 3), ("two", 3)]
    with pytest.raises(PHAError, match="--seeds 0"):
        command.main(type("Args", (), args | {"seeds": 0}))


def test_changed_tasks_keep_the_rate_that_the_usual_ones_chose(monkeypatch, tmp_path):
    best = dict(zip(other_tasks.METHODS, setting.GRID, strict=True))
    asked = []

    def run_cells(name, wanted, workers, scratch):
        asked.extend(wanted)
        return {
            runner._key(c): {"seconds": 0.0}
            | (
                {"tasks": {}}
                if c["test"]
                else {"validation": {"all": c["lr"] == best[c["method"]]}}
            )
            for c in wanted
        }

    monkeypatch.setattr(runner, "run_cells", run_cells)
    path = other_tasks.other_tasks(runner.Runner("other", 1, tmp_path, tmp_path))
    record = json.loads(path.read_text())
    tuned = [c for c in asked if not c["test"]]
    assert not any("change" in c for c in tuned) and {c["seed"] for c in tuned} == {100}
    assert {r["method"]: r["lr"] for r in record["rows"]} == best
    finals = [c for c in asked if c["test"]]
    assert {c["seed"] for c in finals} == set(setting.SEEDS)
    assert len({runner._key(c) for c in finals}) == len(finals) == len(record["rows"])
    rows_of_a_task = {
        c["batch"] / (len(c["rules"] or range(8)) * c.get("change", {}).get("surfaces", 3))
        for c in finals
    }
    assert rows_of_a_task == {2}, "a task has as many rows of a step, whatever its company"


def test_a_record_names_commit_and_machine_of_every_cell(monkeypatch, tmp_path):
    cell = {"cell": "bag_of_words", "task": "time/hotel"}
    monkeypatch.setattr(runner, "commit", lambda: "first")
    monkeypatch.setattr(runner, "machine", lambda: "one core")
    runner.Runner("trial", 0, tmp_path, tmp_path)([cell])
    monkeypatch.setattr(runner, "commit", lambda: "second")
    monkeypatch.setattr(runner, "machine", lambda: "two cores")
    run = runner.Runner("trial", 0, tmp_path, tmp_path)
    ((_, got), _) = run([cell, cell | {"task": "time/school"}])
    assert not {"commit", "machine"} & set(got)
    record = json.loads(run.write().read_text())
    assert (record["commit"], record["cells_at"]) == ("second", ["first", "second"])
    assert record["machine"] == "one core and two cores"
