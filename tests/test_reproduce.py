"""`pha reproduce`: plans, known figures, dry runs, and runs that are killed and go on."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from layouts import LAYOUTS
from safetensors.torch import load_file

from pha_lite import cli, reproduce
from pha_lite import train as training
from pha_lite.errors import DataError, PHAError
from pha_lite.experiments import runner
from pha_lite.fewshot import BATCH
from pha_lite.reproduce import known, planning
from pha_lite.reproduce.protocol import GLUE

SHARED = Path(__file__).resolve().parents[2] / "shared"
REAL = SHARED / "realdata"
TWO = ["glue/cola", "glue/rte"]
QUICK = {"steps": 4, "batch_size": 4, "eval_every": 2, "eval_limit": 2}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> str:
    """CoLA, RTE and CB, ten training rows each, in the layouts of their own files."""
    root = tmp_path_factory.mktemp("benchmarks")
    for name in (*TWO, "superglue/cb"):
        LAYOUTS[name][0](root)
    return str(root)


def small(experiment: str, files: str, **options) -> reproduce.Plan:
    options = {"backbone": "tiny", "data_dir": files, "tasks": TWO, "settings": QUICK} | options
    return reproduce.plan(experiment, **options)


# -- the protocol ---------------------------------------------------------------------------------


def test_the_papers_setting_is_that_of_the_released_configurations():
    (cell,) = reproduce.plan("glue").cells.values()
    train, model = cell["training"]["train"], cell["training"]["model"]
    assert cell["training"]["backbone"] == "google-t5/t5-base" and len(GLUE) == 8
    assert (train["steps"], train["batch_size"], train["lr"]) == (10_000, 128, 3e-4)
    assert round(train["warmup"] * train["steps"]) == 500 and model["label_smoothing"] == 0.1
    assert (model["adapter_dim"], model["max_source_length"], model["lm_reduction"]) == (
        64, 128, "mean",
    )  # fmt: skip
    assert reproduce.plan("glue").departures == []


def test_low_data_has_its_sizes_steps_and_loss():
    cells = [cell["training"] for cell in reproduce.plan("lowdata").cells.values()]
    steps = {cell["size"]: cell["train"]["steps"] for cell in cells}
    assert list(steps) == [100, 500, 1000, 2000, 4000, "1%", "3%", "5%"]
    assert [size for size, count in steps.items() if count == 5000] == [100, 500]
    assert {cell["model"]["lm_reduction"] for cell in cells} == {"sum"}


def test_new_tasks_follow_the_training_they_need():
    made = reproduce.plan("fewshot", methods=("pha", "lora"), only="*/lora/*/scitail/k16/*")
    assert list(made.cells) == [
        "fewshot/lora/all/seed0",
        "fewshot/lora/all/seed0/scitail/k16/fresh",
    ]
    source, new = made.cells.values()
    assert new["training"] == source["training"] and (new["k"], new["tune"]) == (16, "all")
    every = reproduce.plan("fewshot").cells.values()
    assert {(c["task"], c["k"]) for c in every if "k" in c} == {
        (task, k) for task in ("superglue/boolq", "superglue/cb", "scitail") for k in (4, 16, 32)
    }


def test_the_command_line_offers_what_there_is():
    assert tuple(reproduce.EXPERIMENTS) == cli.EXPERIMENTS
    assert set(reproduce.METHODS) == set(cli.METHODS)


def test_departures_are_named(files):
    made = small("glue", files, limit=3)
    text = "; ".join(made.departures)
    for part in ("backbone tiny", "glue/cola, glue/rte alone", "steps = 4", "3 test rows"):
        assert part in text


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"methods": ["phaa"]}, "unknown method 'phaa': did you mean 'pha'"),
        ({"starts": ["retrived"]}, "unknown start"),
        ({"settings": {"stepz": 3}}, "unknown field 'stepz': did you mean 'steps'"),
        ({"settings": {"seed": 3}}, "use --seeds"),
        ({"settings": {"steps": 0}}, "steps=0"),
        ({"seeds": 0}, "seeds=0"),
        ({"only": "*/nothing/*"}, "no cell fits; one is called glue/pha/all/seed0"),
    ],
)
def test_a_mistake_is_named(wrong, message):
    with pytest.raises(PHAError, match=re.escape(message)):
        reproduce.plan("glue", **wrong)
    with pytest.raises(PHAError, match="did you mean 'glue'"):
        reproduce.plan("gleu")


# -- known figures --------------------------------------------------------------------------------


@pytest.mark.skipif(
    not (SHARED / "design" / "method.md").is_file(), reason="no ../shared/design/method.md"
)
def test_known_figures_are_those_of_the_reference_and_no_others():
    text = (SHARED / "design" / "method.md").read_text(encoding="utf-8")
    text = text.split("## 2.")[1].split("## 3.")[0].replace("\n", " ")
    wanted = {}
    for name, glue, superglue in re.findall(
        r"([A-Z][A-Za-z]+(?: multi-task)?|fine-tuning) (\d+\.\d) / (\d+\.\d)", text
    ):
        wanted |= {("glue", name): float(glue), ("superglue", name): float(superglue)}
    ours = {(row.experiment, row.what): row.value for row in known.KNOWN}
    neighbours = {
        (row.experiment, row.what): row.value
        for row in known.KNOWN
        if row.origin == known.NEIGHBOURS
    }
    assert len(wanted) == 24 and neighbours == wanted
    paper = {key: value for key, value in ours.items() if key not in neighbours}
    assert paper == {
        ("glue", "PHA"): 85.5,
        ("glue", "PHA without prototypes and retriever"): 84.0,
        ("lowdata", "PHA minus Adapter, 100 samples per task"): 8.0,
    }
    for cell in ("| 85.5 |", "| 84.0 |", "| +8.0 |", "| 616K |", "about 971K", "table 3"):
        assert cell in text
    assert known.PARAMETERS["paper"][0] == 616_000


def test_every_known_figure_says_where_it_is_from():
    assert all(row.source and row.experiment in reproduce.EXPERIMENTS for row in known.KNOWN)
    assert not known.beside("mrqa") and not known.beside("fewshot")


# -- data and dry run -----------------------------------------------------------------------------


def test_missing_data_are_listed_before_anything_runs(files, tmp_path):
    made = small("glue", files, tasks=())
    with pytest.raises(DataError) as caught:
        reproduce.run(made, tmp_path / "out")
    message = str(caught.value)
    assert "6 of 8 tasks cannot be read" in message and "--tasks glue/rte,glue/cola" in message
    assert "no folder MRPC" in message and "train.tsv" in message
    assert not (tmp_path / "out").exists()


def test_without_a_folder_the_hub_is_named(monkeypatch, tmp_path):
    monkeypatch.delenv("PHA_DATA_DIR", raising=False)
    made = reproduce.plan("others", backbone="tiny", tasks=["paws"])
    with pytest.raises(DataError, match="(?s)from the hub.*google-research-datasets/paws"):
        reproduce.run(made, tmp_path)


def test_dry_run_counts_what_a_run_would_do(files, tmp_path):
    made = small("fewshot", files, new=["superglue/cb"], seeds=2, starts=["random"], limit=1)
    found = reproduce.dry_run(made, tflops=0.5)
    source = found["cells"]["fewshot/pha/all/seed0"]
    lines = [
        len((Path(files) / f).read_text().splitlines()) for f in ("CoLA/train.tsv", "RTE/train.tsv")
    ]
    assert source["rows"]["train"] == lines[0] + lines[1] - 1  # CoLA has no header line
    assert source["rows"]["validation"] == 2 * QUICK["eval_limit"]
    assert source["rows"]["test"] == 2
    assert (source["steps"], source["batch"], source["validations"]) == (4, 4, 2)
    assert source["epochs"] == 4 * 4 / (lines[0] + lines[1] - 1)
    new = found["cells"]["fewshot/pha/all/seed0/superglue/cb/k32/random"]
    assert (new["rows"]["train"], new["batch"], new["steps"]) == (32, min(32, BATCH), 20)
    total = sum(cell["operations"] for cell in found["cells"].values())
    assert found["hours"] == pytest.approx(total / 0.5e12 / 3600)
    assert found["speed"] == {"tflops": 0.5, "from": "given"} and "lower bound" in found["estimate"]
    assert not list(tmp_path.iterdir())


def test_shares_of_a_task_are_rounded_and_never_empty(files):
    made = small("lowdata", files)
    rows = {n: c["rows"]["train"] for n, c in reproduce.dry_run(made, 1.0)["cells"].items()}
    assert rows["lowdata/pha/1%/seed0"] == 2 and rows["lowdata/pha/100/seed0"] == 20


def test_a_dry_run_asks_nothing_of_the_hub(monkeypatch, capsys):
    monkeypatch.delenv("PHA_DATA_DIR", raising=False)
    monkeypatch.setattr(planning, "load", lambda *_: pytest.fail("data were read"))
    assert cli.main(["reproduce", "glue", "--dry-run", "--tflops", "100"]) == 0
    text = capsys.readouterr().out
    assert "ESTIMATES, nothing was run" in text and "the hub; not looked up" in text
    assert re.search(r"glue/pha/all/seed0 +- +- +- +10,000 +128", text)


# -- runs -----------------------------------------------------------------------------------------


def test_a_run_writes_ours_beside_the_papers(files, tmp_path, capsys):
    words = [
        "reproduce",
        "glue",
        "--backbone",
        "tiny",
        "--data-dir",
        files,
        "--tasks",
        ",".join(TWO),
    ]
    words += ["--steps", "2", "--set", "eval_limit=2", "--set", "batch_size=4", "--limit", "2"]
    words += ["--methods", "pha,shared_adapter", "--output", str(tmp_path / "out")]
    assert cli.main(words) == 0, capsys.readouterr().err
    page = capsys.readouterr().out
    assert "Not the paper's setting" in page and "backbone tiny" in page
    assert re.search(r"\| pha \| all \| 1 \|.*\| 85\.5 \|", page)
    assert re.search(r"\| shared_adapter \| all \| 1 \|.*\| not known here \|", page)
    record = json.loads((tmp_path / "out" / "results.json").read_text())
    ours = [row for row in record["rows"] if row["origin"] == "ours"]
    assert {(r["method"], r["task"]) for r in ours} == {
        (m, t) for m in ("pha", "shared_adapter") for t in (*TWO, "average")
    }
    for method in ("pha", "shared_adapter"):
        of = {r["task"]: r["score"] for r in ours if r["method"] == method}
        assert of["average"] == pytest.approx((of["glue/cola"] + of["glue/rte"]) / 2)
    assert all(r["source"] for r in record["rows"] if r["origin"] != "ours")
    with open(tmp_path / "out" / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(record["rows"])
    assert [r["score"] for r in rows if r["method"] == "PHA"] == ["85.5"]


def killed(monkeypatch, at: int):
    """From now on the validation number `at` is cut off as by Ctrl-C."""
    real, count = training.evaluate_tasks, iter(range(1, 100))

    def evaluate(*arguments, **options):
        if next(count) == at:
            raise KeyboardInterrupt
        return real(*arguments, **options)

    monkeypatch.setattr(training, "evaluate_tasks", evaluate)


def test_a_grid_that_was_cut_off_goes_on_to_the_same_end(files, tmp_path, monkeypatch):
    made = small("lowdata", files, only="*/[15]00/*")
    whole = reproduce.run(made, tmp_path / "whole")
    with monkeypatch.context() as patch:
        killed(patch, at=5)  # 2 validations and a test a cell: inside the second cell's training
        with pytest.raises(KeyboardInterrupt):
            reproduce.run(made, tmp_path / "cut")
    half = json.loads((tmp_path / "cut" / "results.json").read_text())
    assert half["cells"] == "1 of 2"
    seen = []
    work = runner._work
    monkeypatch.setattr(runner, "_work", lambda cell: seen.append(cell) or work(cell))
    again = reproduce.run(made, tmp_path / "cut")
    assert [cell["training"]["size"] for cell in seen] == [500], (
        "the finished cell is not run again"
    )
    assert again["rows"] == whole["rows"]
    files_of = [
        sorted((tmp_path / f / "models").glob("*/model.safetensors")) for f in ("whole", "cut")
    ]
    assert len(files_of[0]) == 2
    for one, other in zip(*files_of, strict=True):
        a, b = load_file(one), load_file(other)
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_a_new_task_meets_the_trained_model(files, tmp_path, monkeypatch):
    made = small(
        "fewshot", files, new=["superglue/cb"], starts=["retrieved", "random"], only="*/k4/*",
        methods=("pha", "shared_adapter"), settings=QUICK | {"steps": 2}, limit=2,
    )  # fmt: skip
    assert len(made.cells) == 5  # two trainings, two starts of PHA, one of the adapter
    record = reproduce.run(made, tmp_path)
    few = [row for row in record["rows"] if row.get("k")]
    assert {row["start"] for row in few if row["method"] == "pha"} == {
        f"{start}, {when}" for start in ("retrieved", "random") for when in ("tuned", "untuned")
    }
    page = (tmp_path / "results.md").read_text()
    assert "| superglue/cb | 4 | pha | random, tuned | 1 |" in page and "not known here" in page


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/realdata beside this checkout")
def test_a_random_t5_small_with_the_real_tokenizer_on_real_files(tmp_path):
    from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

    source = REAL / "tokenizers" / "t5-small-tokenizer"
    config = T5Config.from_pretrained(source)
    T5ForConditionalGeneration(config).to(torch.bfloat16).save_pretrained(tmp_path / "t5-small")
    AutoTokenizer.from_pretrained(source).save_pretrained(tmp_path / "t5-small")
    made = reproduce.plan(
        "lowdata", backbone=str(tmp_path / "t5-small"), data_dir=str(REAL), tasks=TWO,
        only="*/100/*", limit=4, settings=QUICK | {"steps": 2, "lm_reduction": "sum"},
    )  # fmt: skip
    found = reproduce.dry_run(made, 1.0)
    assert found["cells"]["lowdata/pha/100/seed0"]["rows"]["train"] == 200
    record = reproduce.run(made, tmp_path / "out")
    assert record["cells"] == "1 of 1" and "t5-small" in record["departures"][0]
    (cell,) = (tmp_path / "out" / "models").iterdir()
    assert (cell / "model.safetensors").stat().st_size < 100e6, "the trained part alone"
    shutil.rmtree(tmp_path)
