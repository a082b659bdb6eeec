"""The command line, end to end on a random T5 in a folder."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import SMALL, make_t5, make_tokenizer

from pha_lite import cli
from pha_lite.model import PHAModel
from pha_lite.tasks import load_task
from pha_lite.train import evaluate_tasks

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "realdata"
TWO = "sentiment/hotel,entailment/hotel"
SIZES = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]


@pytest.fixture(scope="module")
def t5_folder(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("backbone") / "t5"
    make_t5().save_pretrained(folder)
    make_tokenizer().save_pretrained(folder)
    return str(folder)


def options(t5_folder: str, out: Path, tasks: str = TWO) -> list[str]:
    quick = ["--n", "8", "--steps", "4", "--eval-every", "2", "--batch-size", "4", "--quiet"]
    quick += ["--set", "eval_limit=4", "--limit", "6", "--preset", "tiny", *SIZES]
    return ["train", "--tasks", tasks, "--backbone", t5_folder, "--output", str(out), *quick]


@pytest.fixture(scope="module")
def run_folder(t5_folder, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "pha"
    assert cli.main(options(t5_folder, out)) == 0
    return out


def pha(capfd, *arguments: object) -> str:
    """What a command that must succeed prints."""
    assert cli.main([str(argument) for argument in arguments]) == 0, capfd.readouterr().err
    return capfd.readouterr().out


# -- train ----------------------------------------------------------------------------------------


def test_train_saves_and_reports(t5_folder, tmp_path, capfd):
    out = tmp_path / "run"
    text = pha(capfd, *options(t5_folder, out))
    assert re.search(r"sentiment/hotel +accuracy +8 +[\d.]+ +[\d.]+", text) and "mean" in text
    record = json.loads((out / "run.json").read_text())
    assert record["tasks"]["sentiment/hotel"]["train"] == 8
    assert set(record["test"]) == set(TWO.split(","))
    assert (record["config"]["steps"], record["model"]["adapter_dim"]) == (4, 4)
    model = PHAModel.from_pretrained(out)
    tasks = {name: load_task(name) for name in TWO.split(",")}
    assert evaluate_tasks(model, tasks, "test", limit=6) == record["test"]


def test_same_command_again_takes_no_step(t5_folder, run_folder, capfd, monkeypatch):
    before = (run_folder / "model.safetensors").read_bytes()
    monkeypatch.setattr(torch.optim.AdamW, "step", None)  # a step would fail
    text = pha(capfd, *options(t5_folder, run_folder))
    assert "saved in" in text and (run_folder / "model.safetensors").read_bytes() == before


def test_interrupted_run_goes_on(t5_folder, tmp_path, capfd, monkeypatch):
    from pha_lite.run import Run

    real, done = Run.save, []

    def save_and_interrupt(run):
        real(run)
        if not done:
            done.append(run.step)
            raise KeyboardInterrupt

    monkeypatch.setattr(Run, "save", save_and_interrupt)
    assert cli.main(options(t5_folder, tmp_path / "run")) == 130
    assert "same command" in capfd.readouterr().err and done == [2]
    assert not (tmp_path / "run" / "run.json").exists()
    pha(capfd, *options(t5_folder, tmp_path / "run"))
    assert len((tmp_path / "run" / "history.jsonl").read_text().splitlines()) == 4


def test_config_file_options_and_set_win_in_this_order(t5_folder, tmp_path, capfd):
    file = tmp_path / "settings.json"
    file.write_text(
        json.dumps({"lr": 0.5, "steps": 9, "temperature": 0.2, "tasks": TWO.split(",")})
    )
    command = ["train", "--backbone", t5_folder, "--output", tmp_path / "run", "--config", file]
    command += ["--steps", 2, "--set", "lr=0.25", "--set", "placement=sequential", "--n", 4]
    command += ["--set", "patience=0", "--set", "batch_size=2", "--limit", 2, *SIZES, "--json"]
    record = json.loads(pha(capfd, *command, "--set", "eval_limit=2"))
    train, model = record["config"], record["model"]
    assert (train["steps"], train["lr"], train["patience"]) == (2, 0.25, 0)
    assert (model["temperature"], model["placement"]) == (0.2, "sequential")
    assert list(record["tasks"]) == TWO.split(",")


@pytest.mark.parametrize("method", cli.METHODS)
def test_every_method_trains(t5_folder, tmp_path, capfd, method):
    command = [*options(t5_folder, tmp_path / "run", "sentiment/hotel,time/hotel"), "--json"]
    record = json.loads(pha(capfd, *command, "--method", method, "--steps", 1))
    model = PHAModel.from_pretrained(tmp_path / "run")
    has = {
        "adapter_per_task": record["model"]["decoder"] == "per_task",
        "shared_adapter": model.trained.hypernet is None,
        "task_embedding": record["model"]["hyper_input"] == "embedding",
    }
    assert has.get(method, True)


def test_presets_and_bfloat16(t5_folder, tmp_path, capfd):
    command = [*options(t5_folder, tmp_path / "run", "sentiment/hotel"), "--json"]
    command += ["--steps", 1, "--dtype", "bfloat16"]
    record = json.loads(pha(capfd, *command))
    assert record["config"]["batch_size"] == 4 and record["config"]["lr"] == 1e-3
    command = [
        "train",
        "--tasks",
        "sentiment/hotel",
        "--backbone",
        t5_folder,
        "--n",
        2,
        "--limit",
        2,
    ]
    command += ["--steps", 1, "--batch-size", 2, "--eval-every", 0, "--json", "--output"]
    record = json.loads(pha(capfd, *command, tmp_path / "paper"))  # another backbone: the paper's
    assert (record["config"]["lr"], record["model"]["adapter_dim"]) == (3e-4, 64)


@pytest.mark.skipif(not REAL.is_dir(), reason="no ../shared/realdata beside the repository")
def test_the_real_benchmarks_train_evaluate_and_save(t5_folder, tmp_path, capfd):
    names = "glue/rte,superglue/cb"
    command = [*options(t5_folder, tmp_path / "run", names), "--data-dir", REAL, "--json"]
    record = json.loads(pha(capfd, *command))
    assert list(record["test"]) == names.split(",")
    again = pha(capfd, "evaluate", tmp_path / "run", "--data-dir", REAL, "--limit", 6, "--json")
    assert json.loads(again)["scores"] == record["test"]


# -- the other commands ---------------------------------------------------------------------------


def test_evaluate_repeats_the_scores_of_training(run_folder, capfd):
    wanted = json.loads((run_folder / "run.json").read_text())["test"]
    found = json.loads(pha(capfd, "evaluate", run_folder, "--limit", 6, "--json"))
    assert found["scores"] == wanted and found["mean"] == sum(wanted.values()) / 2
    text = pha(capfd, "evaluate", run_folder, "--limit", 6, "--tasks", "entailment/hotel")
    assert "entailment/hotel" in text and "sentiment" not in text


def test_evaluate_writes_its_answers(run_folder, tmp_path, capfd):
    file = tmp_path / "answers.jsonl"
    command = ["evaluate", run_folder, "--limit", 5, "--split", "validation", "--predictions", file]
    scores = json.loads(pha(capfd, *command, "--json"))["scores"]
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert len(rows) == 10 and {"task", "source", "target", "prediction"} <= rows[0].keys()
    for name, score in scores.items():
        hits = [row["prediction"] == row["target"] for row in rows if row["task"] == name]
        assert score == pytest.approx(sum(hits) / 5)


def test_fewshot_compares_starts(run_folder, capfd):
    command = ["fewshot", run_folder, "--task", "sentiment/museum", "--k", 4, "--steps", 1]
    command += ["--limit", 4, "--seeds", 2, "--start", "retrieved,fresh,oracle"]
    results = json.loads(pha(capfd, *command, "--json"))
    assert [(r["start"], r["seed"]) for r in results] == [
        (start, seed) for start in ("retrieved", "fresh", "oracle") for seed in (0, 1)
    ]
    assert {r["source"] for r in results if r["start"] == "oracle"} == {"sentiment/hotel"}
    text = pha(capfd, *command)
    assert len(re.findall(r"^mean ", text, flags=re.M)) == 3 and "k = 4" in text


def test_fewshot_saves_the_adapted_model(run_folder, tmp_path, capfd):
    command = ["fewshot", run_folder, "--task", "sentiment/museum", "--k", 2, "--limit", 2]
    pha(capfd, *command, "--steps", 1, "--output", tmp_path / "new")
    model = PHAModel.from_pretrained(tmp_path / "new")
    assert model.config.tasks == [*TWO.split(","), "sentiment/museum"]


def test_retrieve_ranks_texts_alone_and_together(run_folder, tmp_path, capfd):
    file = tmp_path / "lines.txt"
    file.write_text("the good film\n\na slow train\n")
    alone = json.loads(pha(capfd, "retrieve", run_folder, "--file", file, "--k", 2, "--json"))
    assert [entry["text"] for entry in alone] == ["the good film", "a slow train"]
    assert all({name for name, _ in entry["tasks"]} == set(TWO.split(",")) for entry in alone)
    together = pha(capfd, "retrieve", run_folder, "--file", file, "--text", "a", "--reduce", "vote")
    assert "3 texts together" in together


def test_retrieve_compares_with_the_saved_instances(run_folder, tmp_path, capfd):
    model = PHAModel.from_pretrained(run_folder)
    model.index_instances(["the good film", "a slow train"], ["film", "train"], "hnsw")
    model.save_pretrained(tmp_path / "indexed")
    command = ["retrieve", tmp_path / "indexed", "--text", "a slow train", "--json"]
    (found,) = json.loads(pha(capfd, *command, "--by", "instances"))
    assert found["tasks"][0] == ["train", pytest.approx(1, abs=1e-5)]
    assert {name for name, _ in found["tasks"]} == {"film", "train"}


def test_info_says_what_there_is(run_folder, capfd):
    facts = json.loads(pha(capfd, "info", run_folder, "--json"))
    model = PHAModel.from_pretrained(run_folder)
    assert facts["parameters"] == model.count_parameters()
    assert facts["model"] == model.config.to_dict()
    text = pha(capfd, "info", run_folder)
    assert f"{model.count_parameters()['total']:,}" in text and "torch" in text
    names = json.loads(pha(capfd, "info", "--tasks", "--json"))
    assert "glue/rte" in names["benchmarks"] and len(names["suite"]) == 24
    assert "sentiment/museum" in pha(capfd, "info", "--tasks")


# -- help, exit codes, pipes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", ["train", "evaluate", "fewshot", "retrieve", "info", "pretrain"]
)
def test_help_shows_examples(command, capfd):
    text = pha(capfd, command, "--help")
    assert f"  pha {command}" in text and "example" in text


def test_examples_in_the_help_are_commands_that_parse(capfd):
    """Every example names options that exist."""
    for command in ("train", "evaluate", "fewshot", "retrieve", "info", "pretrain"):
        text = pha(capfd, command, "--help").replace("\\\n", " ")
        examples = re.findall(r"^  pha (.+)$", text, flags=re.M)
        assert examples
        for example in examples:
            words = re.findall(r'"[^"]*"|\S+', example)
            cli.parser().parse_args([word.strip('"') for word in words])


def test_help_needs_no_torch():
    script = (
        "import sys; from pha_lite.cli import main; main(['--help']); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "False", done.stderr


def test_a_mistake_ends_with_one_line_and_two(tmp_path):
    """In a process of its own: exit code, standard error, no traceback."""
    command = [sys.executable, "-m", "pha_lite", "evaluate", str(tmp_path / "nothing")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(os.name != "posix", reason="closes a pipe the POSIX way")
def test_a_closed_pipe_is_no_traceback():
    command = f"{sys.executable} -m pha_lite info --tasks | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=ROOT)
    assert "Traceback" not in done.stderr


def test_starts_and_tunes_of_the_help_are_those_of_the_module():
    from pha_lite import fewshot
    from pha_lite.baselines import METHODS

    assert cli.STARTS == fewshot.STARTS and cli.TUNES == fewshot.TUNES
    assert {*cli.METHODS, "nearest"} == set(METHODS)  # which has nothing to train
