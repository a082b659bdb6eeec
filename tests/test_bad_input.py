"""Mistakes a user can make: each ends in one clear sentence, and nothing is written.

The files of benchmarks have bad inputs of their own in test_bad_data.py.
"""

from __future__ import annotations

import json
import math

import pytest
from conftest import SMALL, make_t5, make_tokenizer
from test_train import QUICK, toy_task, toy_tasks

from pha_lite import cli
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError, unknown
from pha_lite.fewshot import adapt, episode, swap_test
from pha_lite.model import PHAModel
from pha_lite.tasks import Task
from pha_lite.train import TrainConfig, evaluate_tasks, train

# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"steps": 0}, "steps=0: must be at least 1"),
        ({"steps": -5}, "steps=-5"),
        ({"steps": 2.5}, "steps=2.5: must be a whole number"),
        ({"steps": "many"}, "steps='many'"),
        ({"steps": True}, "steps=True"),
        ({"steps": None}, "steps=None"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"lr": 0}, "lr=0: must be above 0"),
        ({"lr": -1e-3}, "lr=-0.001"),
        ({"lr": math.inf}, "lr=inf"),
        ({"lr": math.nan}, "lr=nan"),
        ({"lr": "1e-3"}, "lr='1e-3': must be a number"),
        ({"warmup": 1.0}, "warmup=1.0: a share of the steps"),
        ({"warmup": 500}, "warmup=500: a share of the steps"),
        ({"warmup": -0.1}, "warmup=-0.1"),
        ({"weight_decay": -1}, "weight_decay=-1"),
        ({"grad_clip": -1}, "grad_clip=-1"),
        ({"sampling_temperature": 0}, "sampling_temperature=0"),
        ({"eval_every": -1}, "eval_every=-1"),
        ({"eval_limit": -1}, "eval_limit=-1"),
        ({"patience": -1}, "patience=-1"),
        ({"seed": -1}, "seed=-1"),
        ({"learning_rate": 1e-3}, "unknown training setting 'learning_rate'"),
        ({"step": 5}, "did you mean 'steps'"),
    ],
)
def test_bad_training_settings(setting, message):
    with pytest.raises(PHAError) as caught:
        TrainConfig.from_dict(setting)
    assert message in str(caught.value)


def test_unknown_names_are_told_with_the_nearest_known_one():
    assert "did you mean 'glue/rte'" in unknown("task", "glue/rt", ["glue/rte", "glue/cola"])
    assert "did you mean" not in unknown("task", "xyz", ["glue/rte"])
    assert "30 in all" in unknown("task", "xyz", [f"task{i}" for i in range(30)])
    assert "Known: none" in unknown("task", "xyz", [])


# -- training -------------------------------------------------------------------------------------


def without(split: str) -> Task:
    task = toy_task("mood")
    return Task("mood", {name: task[name] for name in task.splits if name != split}, task.labels)


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({}, "no tasks given"),
        ({"weather": toy_task("weather")}, "unknown task of this model 'weather'"),
        ({"moood": toy_task("moood")}, "did you mean 'mood'"),
        ({"mood": without("train")}, "task 'mood' has no split 'train'"),
        ({"mood": without("validation")}, "task 'mood' has no split 'validation'"),
    ],
)
def test_bad_tasks(build, tmp_path, tasks, message):
    with pytest.raises(PHAError) as caught:
        train(build(), tasks, TrainConfig(steps=2, **QUICK), tmp_path / "run", progress=False)
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_task_without_validation_needs_none_when_nothing_is_validated(build):
    config = TrainConfig(**{**QUICK, "steps": 1, "eval_every": 0})
    train(build(), {"mood": without("validation")}, config, progress=False)


def test_evaluating_an_unknown_split_or_task(build):
    with pytest.raises(PHAError, match="no split 'dev'; it has train, validation, test"):
        evaluate_tasks(build(), toy_tasks(), "dev")
    with pytest.raises(PHAError, match="unknown task of this model 'weather'"):
        evaluate_tasks(build(), {"weather": toy_task("weather")})
    with pytest.raises(PHAError, match="n=0"):
        evaluate_tasks(build(), toy_tasks(), limit=0)


def test_output_that_is_a_file_is_named(build, tmp_path):
    (tmp_path / "file").write_text("precious")
    for out in (tmp_path / "file", tmp_path / "file" / "deep" / "run"):
        with pytest.raises(PHAError, match="file is a file, not a folder"):
            train(build(), toy_tasks(), TrainConfig(steps=1, **QUICK), out, progress=False)
    assert (tmp_path / "file").read_text() == "precious"


def test_a_folder_without_permission_is_named_before_training(build, tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    config = TrainConfig(steps=1, **QUICK)
    with pytest.raises(PHAError, match="no permission to write"):
        train(build(), toy_tasks(), config, tmp_path / "run", progress=False)


# -- few shots ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"k": 0}, "k=0: a number of examples"),
        ({"k": -4}, "k=-4"),
        ({"k": 2.5}, "k=2.5"),
        ({"k": 1000}, "k=1000: task 'novel' has only 24 training rows"),
        ({"start": "retreived"}, "unknown start 'retreived': did you mean 'retrieved'"),
        ({"tune": "everything"}, "unknown tune 'everything'"),
        ({"start": "oracle"}, "start='oracle' needs a trained task: pass oracle=NAME"),
        ({"start": "wrong"}, "pass wrong=NAME"),
        ({"start": "oracle", "oracle": "weather"}, "unknown task for oracle= 'weather'"),
        ({"start": "wrong", "wrong": "mod"}, "did you mean 'mood'"),
        ({"start": "loss", "candidates": 0}, "candidates=0"),
        ({"steps": -1}, "steps=-1"),
        ({"steps": 1.5}, "steps=1.5"),
        ({"lr": 0.0}, "lr=0.0"),
        ({"lr": math.nan}, "lr=nan"),
        ({"limit": 0}, "n=0"),
    ],
)
def test_bad_adaptation(build, changes, message):
    arguments = {"k": 4, **changes}
    with pytest.raises(PHAError) as caught:
        adapt(build(), toy_task("novel"), **arguments)
    assert message in str(caught.value)


def test_a_model_that_cannot_retrieve_says_so(build):
    model = build(hyper_input="embedding", instance_weight=0.0, prototype_weight=0.0)
    with pytest.raises(PHAError, match="prototypes"):
        adapt(model, toy_task("novel"), 4, "retrieved")
    assert adapt(model, toy_task("novel"), 4, "loss", "none").source in model.config.tasks


def test_a_model_without_prototypes_has_none_to_tune(build):
    model = build(decoder="shared", instance_weight=0.0, prototype_weight=0.0)
    with pytest.raises(PHAError, match="nothing of that kind; choose tune='all'"):
        adapt(model, toy_task("novel"), 4, "fresh", "prototype")


def test_swap_test_with_unknown_names(build):
    with pytest.raises(PHAError, match="unknown task of this model 'weather'"):
        swap_test(build(), toy_tasks(), [("mood", "weather")])
    with pytest.raises(PHAError, match="unknown task 'topic'"):
        swap_test(build(), {"mood": toy_task("mood")}, [("topic", "mood")])


def test_an_episode_of_a_task_without_training_rows():
    with pytest.raises(PHAError, match="no split 'train'"):
        episode(without("train"), 4)


# -- the command line -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """A backbone, a model trained on nothing, and files with faults, by name."""
    root = tmp_path_factory.mktemp("bad")
    t5 = root / "t5"
    make_t5().save_pretrained(t5)
    make_tokenizer().save_pretrained(t5)
    names = ["sentiment/hotel", "time/hotel"]
    model = PHAModel.from_backbone(str(t5), PHAConfig(tasks=names, **SMALL))
    model.save_pretrained(root / "model")
    (root / "cut").mkdir()
    whole = (root / "model" / "model.safetensors").read_bytes()
    (root / "cut" / "model.safetensors").write_bytes(whole[:100])
    (root / "full").mkdir()
    (root / "full" / "thesis.txt").write_text("precious")
    (root / "file").write_text("precious")
    (root / "empty").mkdir()
    (root / "list.json").write_text("[1, 2]")
    (root / "broken.json").write_text('{"lr": ')
    (root / "strange.json").write_text('{"learning": 1}')
    (root / "wrong.json").write_text('{"lr": "fast"}')
    (root / "latin.json").write_bytes('{"größe": 1}'.encode("latin-1"))
    (root / "latin.txt").write_bytes("größe".encode("latin-1"))
    (root / "blank.txt").write_text("\n\n")
    return root


TRAIN = (
    "train --tasks sentiment/hotel --backbone {root}/t5 --output {root}/new --quiet --n 4 --steps 2"
)
BAD = [
    # the command itself
    ("", "COMMAND"),
    ("tarin", "invalid choice: 'tarin'"),
    ("train", "--output"),
    ("train --tasks suite", "--output"),
    ("evaluate", "DIR"),
    ("fewshot {root}/model", "--task"),
    (TRAIN + " --steps many", "--steps: invalid int value: 'many'"),
    (TRAIN + " --fast", "--fast"),
    (TRAIN + " --method magic", "invalid choice: 'magic'"),
    (TRAIN + " --dtype int8", "invalid choice: 'int8'"),
    # tasks and data
    ("train --output {root}/new", "--tasks: name at least one"),
    ("train --tasks , --output {root}/new", "--tasks: name at least one"),
    (TRAIN + " --tasks sentiment/hotle", "'sentiment/hotle'"),
    (TRAIN + " --tasks glue/rta", "'glue/rta'"),
    (TRAIN + " --tasks nonsense", "'nonsense'"),
    (TRAIN + " --tasks glue/rte --data-dir {root}/nowhere", "nowhere"),
    (TRAIN + " --tasks glue/rte --data-dir {root}/empty", "empty"),
    (TRAIN + " --tasks glue/rte --data-dir {root}/file", "file"),
    (TRAIN + " --n 0", "n=0"),
    (TRAIN + " --n -3", "n=-3"),
    (TRAIN + " --data-seed -1", "--data-seed -1"),
    (TRAIN + " --limit 0", "--limit 0"),
    # settings
    (TRAIN + " --steps 0", "steps=0"),
    (TRAIN + " --lr -1", "lr=-1"),
    (TRAIN + " --lr nan", "lr=nan"),
    (TRAIN + " --seed -1", "seed=-1"),
    (TRAIN + " --set lr", "--set lr: write it as FIELD=VALUE"),
    (TRAIN + " --set lrr=1", "--set unknown field 'lrr'"),
    (TRAIN + " --set adapter_dim=wide", "adapter_dim='wide'"),
    (TRAIN + " --set adapter_dim=-4", "adapter_dim=-4"),
    (TRAIN + " --set placement=diagonal", "placement='diagonal'"),
    (TRAIN + " --set temperature=0", "temperature=0"),
    (TRAIN + " --config {root}/nothing.json", "nothing.json: no such file"),
    (TRAIN + " --config {root}/broken.json", "broken.json: not valid JSON"),
    (TRAIN + " --config {root}/list.json", "list.json: must hold a JSON object"),
    (TRAIN + " --config {root}/strange.json", "strange.json: unknown field 'learning'"),
    (TRAIN + " --config {root}/wrong.json", "lr='fast'"),
    (TRAIN + " --config {root}/latin.json", "latin.json: cannot be read"),
    (TRAIN + " --config {root}/empty", "empty"),
    # backbone and output
    (TRAIN + " --backbone {root}/empty", "cannot be loaded"),
    (TRAIN + " --backbone {root}/nowhere", "cannot be loaded"),
    (TRAIN + " --output {root}/full", "holds other files and no run"),
    (TRAIN + " --output {root}/file", "file is a file, not a folder"),
    (TRAIN + " --output {root}/file/new", "file is a file, not a folder"),
    # a saved model
    ("evaluate {root}/nowhere", "no such folder"),
    ("evaluate {root}/empty", "holds no model.safetensors"),
    ("evaluate {root}/file", "file"),
    ("evaluate {root}/cut", "cut off"),
    ("evaluate {root}/model --split dev", "no split 'dev'"),
    ("evaluate {root}/model --tasks sentiment/museum", "unknown task of this model"),
    ("evaluate {root}/model --limit 0", "--limit 0"),
    ("evaluate {root}/model --backbone {root}/empty", "cannot be loaded"),
    ("evaluate {root}/model --limit 1 --predictions {root}/nowhere/out.jsonl", "no such folder"),
    ("evaluate {root}/model --limit 1 --predictions {root}/file/out.jsonl", "no such folder"),
    # few shots
    ("fewshot {root}/model --task sentiment/musem", "'sentiment/musem'"),
    ("fewshot {root}/model --task sentiment/museum --k 0", "k=0"),
    ("fewshot {root}/model --task sentiment/museum --k 100000", "k=100000"),
    ("fewshot {root}/model --task sentiment/museum --start warm", "unknown start 'warm'"),
    ("fewshot {root}/model --task sentiment/museum --start fresh,", "unknown start ''"),
    ("fewshot {root}/model --task sentiment/museum --tune some", "invalid choice: 'some'"),
    ("fewshot {root}/model --task sentiment/museum --seeds 0", "--seeds 0"),
    ("fewshot {root}/model --task sentiment/museum --lr 0", "lr=0"),
    ("fewshot {root}/model --task reading/museum --start oracle", "pass oracle=NAME"),
    ("fewshot {root}/model --task time/museum --start oracle --oracle x", "'x'"),
    ("fewshot {root}/model --task time/museum --seeds 2 --output {root}/new", "saves one model"),
    ("fewshot {root}/model --task time/museum --output {root}/full", "holds other files"),
    # retrieval and the rest
    ("retrieve {root}/model", "nothing to look up"),
    ("retrieve {root}/model --text=", "non-empty"),
    ("retrieve {root}/model --text=\udcff", "readable"),
    ("retrieve {root}/model --file {root}/nothing.txt", "nothing.txt"),
    ("retrieve {root}/model --file {root}/latin.txt", "latin.txt: not UTF-8"),
    ("retrieve {root}/model --file {root}/blank.txt", "nothing to look up"),
    ("retrieve {root}/model --text good --k 0", "k=0"),
    ("retrieve {root}/model --text good --reduce max", "invalid choice: 'max'"),
    ("retrieve {root}/model --text good --by instances", "call index_instances(texts, tasks)"),
    ("info {root}/nowhere", "no such folder"),
    ("pretrain", "--output"),
    ("pretrain --output {root}/new --corpus {root}/empty", "empty"),
]


@pytest.mark.parametrize(("command", "message"), BAD, ids=[" ".join(c[0].split()) for c in BAD])
def test_bad_commands(folders, capfd, command, message):
    before = tree(folders)
    assert cli.main([word.format(root=folders) for word in command.split()]) == 2
    out, err = capfd.readouterr()
    last = err.strip().splitlines()[-1]
    assert message in last and "error: " in last, err
    assert out == "" and "Traceback" not in err
    assert tree(folders) == before  # nothing written, nothing lost


def tree(folder) -> dict:
    return {path: path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_changed_setting_does_not_continue_the_run(folders, tmp_path, capfd):
    command = TRAIN.format(root=folders).split() + ["--output", str(tmp_path / "run")]
    command += ["--steps", "2", "--eval-every", "1", "--set", "eval_limit=2", "--limit", "2"]
    assert cli.main(command) == 0
    before = tree(tmp_path)
    assert cli.main([*command, "--lr", "0.5"]) == 2
    err = capfd.readouterr().err
    assert "lr was 0.0003, now 0.5" in err and "--no-resume" in err
    assert tree(tmp_path) == before
    assert cli.main([*command, "--lr", "0.5", "--no-resume"]) == 0
    assert json.loads((tmp_path / "run" / "run.json").read_text())["config"]["lr"] == 0.5


def test_a_run_that_explodes_says_so(folders, tmp_path, capfd):
    command = TRAIN.format(root=folders).split() + ["--output", str(tmp_path / "run")]
    assert cli.main([*command, "--lr", "1e30"]) == 2
    err = capfd.readouterr().err
    assert "not finite at step 2" in err and "sentiment/hotel" in err and "smaller lr" in err
    assert not (tmp_path / "run").exists()
