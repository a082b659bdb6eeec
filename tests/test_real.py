"""The cell on real sentences: its rows, its controls, and what it says where the data are missing.

The sets are small files in the benchmarks' own layouts, written here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from layouts import jsonl, put, tsv

from pha_lite.errors import DataError
from pha_lite.experiments import cells, grids, real
from pha_lite.tasks import Task

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata"


def sentence(kind: str, i: int, part: str) -> str:
    return f"{kind} {part} speaks of number {i} {'well' if i % 2 else 'badly'}"


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """All six sets with 12 training and 4 held-out rows each."""
    root = tmp_path_factory.mktemp("sets")
    for part, train, size in (("train", True, 12), ("dev", False, 4)):
        numbers = range(size)
        cola = [["x", i % 2, "", sentence("cola", i, part)] for i in numbers]
        put(root / f"glue/CoLA/{part}.tsv", "".join("\t".join(map(str, r)) + "\n" for r in cola))
        sst = [{"sentence": sentence("sst", i, part), "label": i % 2} for i in numbers]
        put(root / f"glue/SST-2/{part}.tsv", tsv(sst))
        rte = [
            {
                "index": i,
                "sentence1": sentence("first", i, part),
                "sentence2": sentence("second", i, part),
                "label": ("entailment", "not_entailment")[i % 2],
            }
            for i in numbers
        ]
        put(root / f"glue/RTE/{part}.tsv", tsv(rte))
        name = "train_full.jsonl" if train else "test.jsonl"
        for task in ("subj", "mr", "trec"):
            rows = [{"sentence": sentence(task, i, part), "label": i % 2} for i in numbers]
            put(root / f"textcls/{task}/{name}", jsonl(rows))
    return root


def test_all_held_out_rows_are_test_rows(files):
    tasks = real.published(str(files))
    assert list(tasks) == list(real.TASKS)
    for name, task in tasks.items():
        assert set(task.splits) == {"train", "test"} and len(task["test"]) == 4, name
        assert task.metric == "accuracy"


def test_training_rows_that_stand_in_a_test_row_are_left_out():
    def task(name, train, test):
        def rows(texts):
            return {
                "source": [f"{name} sentence: {t}" for t in texts],
                "target": ["a"] * len(texts),
            }

        return Task.from_rows(name, {"train": rows(train), "test": rows(test)})

    long = "One day, the hero of the film goes home again."
    tasks = {
        "x": task("x", ["fine", "the hero of the film", "hero of the film runs home"], ["so dull"]),
        "y": task("y", ["So dull!", "the hero of", "y only", long.lower()], [long]),
    }
    kept = {
        name: [s.split(": ")[1] for s in t["train"]["source"]]
        for name, t in real.clean(tasks).items()
    }
    assert kept == {"x": ["fine", "hero of the film runs home"], "y": ["the hero of", "y only"]}
    assert all(real.clean(tasks)[name]["test"] == tasks[name]["test"] for name in tasks)


def test_rows_of_choice_are_neither_trained_on_nor_tested(files):
    tasks = real.published(str(files))
    first, second = (real.draw(tasks, 6, 3, 2, seed) for seed in (0, 1))
    for name, task in first.items():
        train, valid, test = ({*task[s]["source"]} for s in ("train", "validation", "test"))
        assert (len(train), len(valid), len(test)) == (6, 3, 2)
        assert not train & valid and not (train | valid) & test
        assert test == {*second[name]["test"]["source"]}, "every seed meets the same test rows"
    assert any({*first[n]["train"]["source"]} != {*second[n]["train"]["source"]} for n in first)
    with pytest.raises(DataError, match="glue/cola: 12 training rows, 20 are wanted"):
        real.draw(tasks, 15, 5, 2, 0)


def test_majority_is_that_of_the_training_rows():
    def rows(answers):
        return {"source": ["t"] * len(answers), "target": answers}

    task = Task.from_rows("a/b", {"train": rows(["n", "y", "y"]), "test": rows(list("nnny"))})
    assert real.majority(task) == 0.25


def test_the_cell_gives_figures_only(files):
    size = {"n": 6, "steps": 2, "batch": 4, "valid": 2, "rows": 4, "data_dir": str(files)}
    chosen = real.real_cell("shared_adapter", 1e-3, 0, False, **size)
    assert set(chosen["validation"]) == {"all", *real.TASKS}
    found = real.real_cell("shared_adapter", 1e-3, 0, True, **size)
    assert set(found) == {"test", "tasks", "majority", "bag_of_words", "step"}
    for part in ("tasks", "majority", "bag_of_words"):
        assert set(found[part]) == set(real.TASKS)
        assert all(0 <= score <= 1 for score in found[part].values())
    assert found["test"]["all"] == pytest.approx(sum(found["tasks"].values()) / 6)
    assert "real" in cells.CELLS


def test_missing_data_are_told_before_anything_runs(monkeypatch):
    monkeypatch.delenv("PHA_DATA_DIR", raising=False)
    with pytest.raises(DataError, match="PHA_DATA_DIR.*CoLA"):
        grids.real_data(None)


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/realdata beside this checkout")
def test_of_the_real_files_the_shared_rows_go(monkeypatch):
    tasks = real.published(str(REAL))
    kept = real.clean(tasks)
    lost = {n: len(tasks[n]["train"]) - len(kept[n]["train"]) for n in tasks}
    assert lost["textcls/mr"] > 500 and lost["textcls/subj"] > 500, "they are each other's rows"
    assert lost["glue/rte"] == 0
