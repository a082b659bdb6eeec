"""Training: what it optimises, when it stops, and that a killed run goes on as if unharmed."""

from __future__ import annotations

import json
import math
import os
import random
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import SMALL
from safetensors.torch import load_file

from pha_lite.batching import collate, digest, encode
from pha_lite.checkpoint import (
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
    write_atomic,
)
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError, TrainingError
from pha_lite.model import PHAModel
from pha_lite.record import commit, run_record
from pha_lite.routing import Route
from pha_lite.tasks import Task
from pha_lite.train import TrainConfig, evaluate_tasks, train

QUICK = {"batch_size": 8, "lr": 1e-2, "eval_every": 4, "eval_limit": 8}


def toy_task(name: str, answer: str | None = None, rows: int = 24, seed: int = 0) -> Task:
    """Random sentences, answered by `answer` always, or by whether "good" stands in them."""
    draw = random.Random(seed)
    words = "the a film hotel book was is not very and".split()

    def split(count):
        sources = [" ".join(draw.choices(words, k=5)) for _ in range(count)]
        sources = [s + (" good" if i % 2 else " bad") for i, s in enumerate(sources)]
        targets = [answer or ("yes" if s.endswith("good") else "no") for s in sources]
        return {"source": sources, "target": targets}

    splits = {"train": split(rows), "validation": split(12), "test": split(12)}
    return Task.from_rows(name, splits, labels=("no", "yes"))


def toy_tasks() -> dict[str, Task]:
    tasks = [toy_task("mood"), toy_task("topic", "yes", seed=1), toy_task("season", "no", seed=2)]
    return {task.name: task for task in tasks}


def weights_of(model: PHAModel) -> dict[str, torch.Tensor]:
    return {name: weight.detach().clone() for name, weight in model.adapter_parameters()}


def same(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# -- settings -------------------------------------------------------------------------------------


def test_rate_rises_to_its_peak_and_falls_to_almost_nothing():
    config = TrainConfig(steps=100, lr=0.5, warmup=0.1)
    rates = [config.lr_at(step) for step in range(1, 101)]
    assert np.argmax(rates) == 9 and rates[9] == 0.5
    assert all(rate > 0 for rate in rates)
    assert np.allclose(np.diff(rates[:10]), 0.05) and np.allclose(np.diff(rates[9:]), -0.5 / 91)


def test_without_warmup_the_rate_only_falls():
    rates = [TrainConfig(steps=5, lr=1.0, warmup=0.0).lr_at(step) for step in range(1, 6)]
    assert rates == sorted(rates, reverse=True) and rates[0] < 1.0


def test_paper_settings_are_those_of_the_release():
    config = TrainConfig.paper()
    assert (config.steps, config.batch_size, config.lr) == (10_000, 128, 3e-4)
    assert config.lr_at(500) == config.lr and config.lr_at(499) < config.lr
    assert TrainConfig.paper(steps=5000).steps == 5000


def test_settings_survive_json():
    config = TrainConfig(lr=1 / 3, sampling_temperature=math.inf)
    assert TrainConfig.from_dict(json.loads(json.dumps(config.to_dict()))) == config


# -- batches --------------------------------------------------------------------------------------


def test_encoded_batch_is_the_batch_the_model_makes(build):
    model, tasks = build(), toy_tasks()
    rows = encode(model, tasks["mood"]["train"])
    long = tasks["mood"]["train"][0]["source"] + " the" * 30  # cut off in both
    source, target = [long, *tasks["mood"]["train"]["source"][:3]], ["yes", "no", "yes no", "no"]
    other = Task.from_rows("mood", {"train": {"source": source, "target": target}})
    made = collate(model, encode(model, other["train"]), [0, 2, 1, 0])
    wanted = model.batch(source, target, ["mood", "season", "topic", "mood"])
    route = made.pop("route")
    assert torch.equal(route.group, Route.of(wanted["task_ids"]).group)
    assert made.keys() == wanted.keys()
    assert all(torch.equal(made[key], wanted[key]) for key in wanted)
    assert len(rows) == 24 and digest(rows) != digest(rows[:-1])


# -- what training does ---------------------------------------------------------------------------


def test_tasks_that_differ_only_by_name_are_told_apart(build):
    model, tasks = build(awake=False), toy_tasks()
    del tasks["mood"]
    before = evaluate_tasks(model, tasks)
    settings = {**QUICK, "steps": 60, "lr": 2e-2, "eval_every": 20}
    result = train(model, tasks, TrainConfig(**settings), progress=False)
    assert sum(before.values()) < 2 and evaluate_tasks(model, tasks) == {
        "topic": 1.0,
        "season": 1.0,
    }
    assert result.best["mean"] == 1.0
    losses = [row["lm_loss"] for row in result.history]
    assert np.mean(losses[-5:]) < 0.5 * np.mean(losses[:5])


def test_only_the_trained_part_moves(build):
    model = build(awake=False)
    frozen = {name: value.clone() for name, value in model.t5.state_dict().items()}
    before = weights_of(model)
    train(model, toy_tasks(), TrainConfig(steps=3, **QUICK), progress=False)
    assert same(frozen, model.t5.state_dict())
    after = weights_of(model)
    assert all(not torch.equal(before[name], after[name]) for name in before if "bias" not in name)
    assert not model.training


def test_first_step_is_adamw_by_hand(build):
    """With one step and no clipping the update is that of torch's own AdamW on the same batch."""
    config = TrainConfig(steps=1, batch_size=6, lr=3e-2, warmup=0.0, grad_clip=0, eval_every=0)
    model, twin, tasks = build(), build(), toy_tasks()
    result = train(model, tasks, config, progress=False)

    from pha_lite.sampling import TaskSampler

    names = list(tasks)
    drawn = next(TaskSampler([24, 24, 24], 6, config.sampling_temperature, config.seed))
    sources = [tasks[names[t]]["train"][r]["source"] for t, r in drawn]
    targets = [tasks[names[t]]["train"][r]["target"] for t, r in drawn]
    optimizer = torch.optim.AdamW(twin.trained.parameters(), lr=config.lr_at(1), weight_decay=0.0)
    output = twin.train()(twin.batch(sources, targets, [names[t] for t, _ in drawn]))
    output.loss.backward()
    optimizer.step()
    wanted = weights_of(twin)
    for name, value in weights_of(model).items():
        torch.testing.assert_close(value, wanted[name], rtol=1e-5, atol=1e-6)
    assert result.history[0]["ir_loss"] == pytest.approx(output.ir_loss.item(), rel=1e-5)


def test_clipping_and_decay_reach_the_update(build):
    def moved(**settings):
        model = build()
        before = weights_of(model)
        base = {"steps": 1, "batch_size": 6, "warmup": 0.0, "eval_every": 0, "lr": 1e-2}
        train(model, toy_tasks(), TrainConfig(**{**base, **settings}), progress=False)
        return before, weights_of(model)

    before, plain = moved()
    _, decayed = moved(weight_decay=0.5)
    rate = TrainConfig(steps=1, warmup=0.0, lr=1e-2).lr_at(1)
    shrunk = plain["prototypes.vectors"] - rate * 0.5 * before["prototypes.vectors"]
    torch.testing.assert_close(decayed["prototypes.vectors"], shrunk)
    biases = [name for name, value in plain.items() if value.ndim == 1]
    assert biases and all(torch.equal(plain[name], decayed[name]) for name in biases)


def test_same_seed_same_weights_and_another_seed_others(build):
    def trained(seed):
        model = build(awake=False, dropout=0.2)
        train(model, toy_tasks(), TrainConfig(steps=3, **QUICK, seed=seed), progress=False)
        return weights_of(model)

    assert same(trained(1), trained(1)) and not same(trained(1), trained(2))


def test_dropout_is_on_from_the_first_step_on(build):
    def first_losses(rate):
        config = TrainConfig(steps=2, **QUICK)
        return train(build(dropout=rate), toy_tasks(), config, progress=False).history

    for with_dropout, without in zip(first_losses(0.5), first_losses(0.0), strict=True):
        assert with_dropout["loss"] != without["loss"]


def test_a_subset_of_the_models_tasks_leaves_the_other_rows_alone(build):
    model = build(prototype_weight=0.0)
    before = weights_of(model)["prototypes.vectors"]
    tasks = {name: task for name, task in toy_tasks().items() if name != "topic"}
    train(model, tasks, TrainConfig(steps=2, **QUICK), progress=False)
    after = weights_of(model)["prototypes.vectors"]
    assert [torch.equal(a, b) for a, b in zip(before, after, strict=True)] == [False, True, False]


def test_callback_sees_every_step_and_may_use_the_model(build):
    model, plain, seen = build(), build(), []

    def look(step, model):
        seen.append(step)
        model.eval()
        model.embed(["the film"])

    config = TrainConfig(steps=3, **QUICK)
    train(model, toy_tasks(), config, progress=False, callback=look)
    train(plain, toy_tasks(), config, progress=False)
    assert seen == [0, 1, 2, 3] and same(weights_of(model), weights_of(plain))


def test_bar_shows_the_three_losses(build, capfd):
    train(build(), toy_tasks(), TrainConfig(steps=2, **QUICK))
    shown = capfd.readouterr().err
    assert "lm " in shown and "ir " in shown and "pro " in shown and "2/2" in shown
    train(build(), toy_tasks(), TrainConfig(steps=1, **QUICK), progress=False)
    assert capfd.readouterr().err == ""


def test_models_without_contrastive_losses_or_encoder_adapters_train(build):
    for parts in (
        {"instance_weight": 0.0, "prototype_weight": 0.0},
        {"encoder": "none"},
        {"encoder": "per_task", "decoder": "per_task", "instance_weight": 0, "prototype_weight": 0},
        {"hyper_input": "instance"},
    ):
        model = build(**parts)
        before = weights_of(model)
        result = train(model, toy_tasks(), TrainConfig(steps=2, **QUICK), progress=False)
        assert not same(before, weights_of(model))
        assert all(math.isfinite(value) for row in result.history for value in row_numbers(row))


def row_numbers(row: dict) -> list[float]:
    return [value for value in row.values() if not isinstance(value, dict)]


def test_bf16_backbone_with_float32_adapters(tiny_t5, small_config):
    t5, tokenizer = tiny_t5()
    model = PHAModel.from_backbone((t5.to(torch.bfloat16), tokenizer), small_config())
    result = train(model, toy_tasks(), TrainConfig(steps=3, **QUICK), progress=False)
    assert {w.dtype for w in weights_of(model).values()} == {torch.float32}
    assert all(math.isfinite(row["loss"]) for row in result.history)


# -- validation -----------------------------------------------------------------------------------


def scripted(monkeypatch, means):
    """Validation scores as given, whatever the model says."""
    script = iter(means)
    monkeypatch.setattr("pha_lite.train.evaluate_tasks", lambda *_: {"mood": next(script)})


def test_stops_after_patience_and_restores_the_best_weights(build, monkeypatch):
    model, kept = build(), {}
    scripted(monkeypatch, [0.1, 0.5, 0.5, 0.4, 0.3, 0.9])
    config = TrainConfig(**{**QUICK, "steps": 60, "eval_every": 2, "patience": 3})
    result = train(
        model,
        toy_tasks(),
        config,
        progress=False,
        callback=lambda step, model: kept.update({step: weights_of(model)}),
    )
    assert [row["mean"] for row in result.history if "mean" in row] == [0.1, 0.5, 0.5, 0.4, 0.3]
    assert result.best["step"] == 4 and len(result.history) == 10  # the first of equals is the best
    assert same(weights_of(model), kept[4]) and not same(kept[4], kept[10])


def test_patience_zero_never_stops(build, monkeypatch):
    scripted(monkeypatch, [0.9, *[0.1] * 9])
    config = TrainConfig(**{**QUICK, "steps": 10, "eval_every": 1, "patience": 0})
    assert len(train(build(), toy_tasks(), config, progress=False).history) == 10


def test_last_step_is_always_validated(build):
    config = TrainConfig(**{**QUICK, "steps": 5, "eval_every": 3})
    result = train(build(), toy_tasks(), config, progress=False)
    assert [row["step"] for row in result.history if "scores" in row] == [3, 5]
    assert set(result.history[2]["scores"]) == {"mood", "topic", "season"}


def test_without_validation_the_last_weights_are_the_result(build):
    model, kept = build(), {}
    tasks = {
        name: Task(name, {"train": task["train"]}, task.labels)
        for name, task in toy_tasks().items()
    }
    config = TrainConfig(**{**QUICK, "steps": 3, "eval_every": 0})
    result = train(
        model, tasks, config, progress=False, callback=lambda s, m: kept.update({s: weights_of(m)})
    )
    assert result.best == {"step": 3, "mean": None, "scores": {}}
    assert same(weights_of(model), kept[3])


def test_evaluate_tasks_limits_rows_and_uses_each_metric(build):
    model, tasks = build(), toy_tasks()
    tasks["mood"] = Task("mood", tasks["mood"].splits, tasks["mood"].labels, metric="matthews")
    scores = evaluate_tasks(model, tasks, "test")
    predictions = model.predict(list(tasks["topic"]["test"]["source"]), "topic", ("no", "yes"))
    assert scores["topic"] == pytest.approx(np.mean([p == "yes" for p in predictions]))
    assert -1 <= scores["mood"] <= 1
    few = evaluate_tasks(model, tasks, "test", limit=3)["topic"]
    assert few in (0, pytest.approx(1 / 3), pytest.approx(2 / 3), 1)


# -- files ----------------------------------------------------------------------------------------


def test_nothing_is_written_without_a_folder(build, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    train(build(), toy_tasks(), TrainConfig(steps=2, **QUICK), progress=False)
    assert list(tmp_path.iterdir()) == []


def test_folder_holds_model_record_and_history(build, tmp_path, backbone):
    model, out = build(), tmp_path / "deep" / "run"
    result = train(model, toy_tasks(), TrainConfig(steps=5, **QUICK), out, progress=False)
    names = {"checkpoint.safetensors", "config.json", "history.jsonl", "model.safetensors"}
    assert {path.name for path in out.iterdir()} == names | {"run.json"}
    again = PHAModel.from_pretrained(out, backbone=backbone)
    assert same(weights_of(again), weights_of(model))
    assert [json.loads(line) for line in (out / "history.jsonl").open()] == result.history
    record = json.loads((out / "run.json").read_text())
    assert record == json.loads(json.dumps(result.record))
    assert record["config"]["steps"] == 5 and record["model"]["tasks"] == list(toy_tasks())
    assert record["tasks"]["mood"] == {"train": 24, "validation": 12, "test": 12}
    assert torch.__version__.startswith(record["versions"]["torch"].split("+")[0])
    assert record["seed"] == 0 and record["steps"] == 5 and record["seconds"] > 0


def test_record_names_no_path_user_or_host():
    text = json.dumps(run_record(seed=1))
    for secret in (str(Path.home()), str(Path.cwd()), os.uname().nodename, sys.prefix):
        assert secret not in text
    assert "core" in run_record()["machine"] and "python" in run_record()["versions"]


def test_commit_is_that_of_our_own_checkout_only(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    subprocess.run([*git, "init", "-q"], check=True)
    assert commit(tmp_path) is None  # a repository without a commit
    (tmp_path / "data" / "results").mkdir(parents=True)
    for name in ("file", "data/results/record.json"):
        (tmp_path / name).write_text("1")
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "x"], check=True)
    assert len(commit(tmp_path)) == 40
    (tmp_path / "data" / "results" / "record.json").write_text("2")
    assert len(commit(tmp_path)) == 40, "a record is no part of what ran"
    (tmp_path / "file").write_text("2")
    assert commit(tmp_path).endswith("-dirty")
    (tmp_path / "site-packages").mkdir()  # installed inside somebody's repository
    assert commit(tmp_path / "site-packages") is None


def test_write_atomic_leaves_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_atomic(path, "new")
    assert path.read_text() == "old"


def test_random_state_round_trip_through_a_file(tmp_path):
    from pha_lite.checkpoint import save_checkpoint

    def draw():
        return torch.rand(3).tolist(), np.random.rand(3).tolist(), random.gauss(0, 1)

    draw(), np.random.randn()  # leaves a cached second normal in numpy
    tensors, state = random_state()
    save_checkpoint(tmp_path / "file", tensors, {"random": state})
    wanted = draw()
    tensors, state = load_checkpoint(tmp_path / "file")
    set_random_state(tensors, state["random"])
    assert draw() == wanted


# -- resuming -------------------------------------------------------------------------------------


class Stop(Exception):
    pass


def stop_at(step):
    def callback(now, model):
        if now == step:
            raise Stop

    return callback


@pytest.mark.parametrize("saving", [{}, {"bucket": 5, "checkpointing": True}])
@pytest.mark.parametrize("cut", [5, 9, 12])
def test_resumed_run_equals_an_uninterrupted_one(build, tmp_path, cut, saving):
    config = TrainConfig(steps=12, weight_decay=0.1, **QUICK, **saving)
    parts = {"awake": False, "dropout": 0.3}  # dropout draws from torch's generator in every step
    whole = build(**parts)
    wanted = train(whole, toy_tasks(), config, tmp_path / "whole", progress=False)
    with pytest.raises(Stop):
        train(
            build(**parts),
            toy_tasks(),
            config,
            tmp_path / "cut",
            progress=False,
            callback=stop_at(cut),
        )
    torch.rand(7), np.random.rand(7), random.random()  # whatever happens in between
    model = build(**{**parts, "awake": True})  # other initial values must not matter either
    steps = []
    result = train(
        model,
        toy_tasks(),
        config,
        tmp_path / "cut",
        progress=False,
        callback=lambda step, _: steps.append(step),
    )
    assert steps[:1] == [cut // 4 * 4 + 1] or (cut == 12 and steps == [9, 10, 11, 12])
    assert result.history == wanted.history and result.best == wanted.best
    assert same(weights_of(model), weights_of(whole))
    one, two = (load_file(tmp_path / run / "checkpoint.safetensors") for run in ("whole", "cut"))
    assert same(one, two)


def test_finished_run_is_given_back_without_another_step(build, tmp_path):
    config = TrainConfig(steps=4, **QUICK)
    model = build()
    first = train(model, toy_tasks(), config, tmp_path, progress=False)
    again = build(awake=False)
    second = train(again, toy_tasks(), config, tmp_path, progress=False, callback=stop_at(1))
    assert second.history == first.history and same(weights_of(again), weights_of(model))


def test_early_stopped_run_stays_stopped(build, tmp_path, monkeypatch):
    scripted(monkeypatch, [0.5, 0.4, 0.3])
    config = TrainConfig(**{**QUICK, "steps": 40, "eval_every": 2, "patience": 2})
    train(build(), toy_tasks(), config, tmp_path, progress=False)
    result = train(build(), toy_tasks(), config, tmp_path, progress=False)
    assert len(result.history) == 6 and result.best["step"] == 2


def test_no_resume_starts_again(build, tmp_path):
    config = TrainConfig(steps=4, **QUICK)
    train(build(), toy_tasks(), config, tmp_path, progress=False)
    steps = []
    train(
        build(),
        toy_tasks(),
        config,
        tmp_path,
        resume=False,
        progress=False,
        callback=lambda step, _: steps.append(step),
    )
    assert steps == [0, 1, 2, 3, 4]


def test_a_run_with_other_settings_is_not_continued(build, tmp_path):
    config = TrainConfig(steps=4, **QUICK)
    train(build(), toy_tasks(), config, tmp_path, progress=False)
    with pytest.raises(PHAError, match=r"steps was 4, now 5.*another folder"):
        train(build(), toy_tasks(), TrainConfig(steps=5, **QUICK), tmp_path, progress=False)
    with pytest.raises(PHAError, match="temperature was 0.1, now 0.2"):
        train(build(temperature=0.2), toy_tasks(), config, tmp_path, progress=False)
    tasks = toy_tasks() | {"mood": toy_task("mood", seed=9)}
    with pytest.raises(PHAError, match="data: mood was"):
        train(build(), tasks, config, tmp_path, progress=False)


def test_a_checkpoint_of_another_backbone_is_not_continued(build, tiny_t5, small_config, tmp_path):
    config = TrainConfig(steps=4, **QUICK)
    train(build(), toy_tasks(), config, tmp_path, progress=False)
    other = PHAModel.from_backbone(tiny_t5(seed=5), small_config())
    with pytest.raises(PHAError, match="fingerprint was"):
        train(other, toy_tasks(), config, tmp_path, progress=False)


@pytest.mark.parametrize("damage", ["empty", "half", "text", "foreign"])
def test_damaged_checkpoint_is_named(build, tmp_path, damage):
    config, path = TrainConfig(steps=4, **QUICK), tmp_path / "checkpoint.safetensors"
    train(build(), toy_tasks(), config, tmp_path, progress=False)
    content = {"empty": b"", "half": path.read_bytes()[: path.stat().st_size // 2]}
    content |= {"text": b"hello", "foreign": (tmp_path / "model.safetensors").read_bytes()}
    path.write_bytes(content[damage])
    with pytest.raises(PHAError, match=r"checkpoint\.safetensors: not a readable checkpoint"):
        train(build(), toy_tasks(), config, tmp_path, progress=False)


KILLED = """
import os, random, signal, sys, time
import torch
torch.set_num_threads(1)
sys.path[:0] = {path!r}
from test_train import killed_run
import pha_lite.checkpoint as checkpoint

out, draw = sys.argv[1], random.Random(7)

def deadly(name, real, countdown):
    def call(*args, **options):
        countdown[name] = countdown.get(name, -1) - 1
        if countdown[name] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **options)
    return call

def attempt(folder, seconds=None, place=None, nth=0):
    child = os.fork()  # imports cost seconds: every attempt starts from here
    if child == 0:
        if place:
            countdown = {{place: nth}}
            checkpoint.save = deadly("write", checkpoint.save, countdown)
            os.fsync = deadly("fsync", os.fsync, countdown)
            os.replace = deadly("replace", os.replace, countdown)
        killed_run(folder)
        os._exit(0)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    code = os.waitpid(child, 0)[1]
    assert code == 0 or os.WTERMSIG(code) == signal.SIGKILL, code
    return code != 0

killed_run(out + "/whole")
kills = [0, 0]
while kills[0] < 25 and attempt(out + "/random", seconds=draw.uniform(0.0, 0.3)):
    kills[0] += 1
attempt(out + "/random")
for nth in (1, 2, 3):
    for place in ("write", "fsync", "replace"):
        kills[1] += attempt(out + "/write", place=place, nth=nth)
attempt(out + "/write")
print(*kills)
"""


def killed_run(out: str) -> None:
    """The run that is killed: a function of nothing but the folder."""
    from conftest import make_t5, make_tokenizer

    config = PHAConfig(tasks=["mood", "topic", "season"], **{**SMALL, "dropout": 0.2})
    model = PHAModel.from_backbone((make_t5(), make_tokenizer()), config)
    settings = {**QUICK, "steps": 40, "eval_every": 2, "patience": 0}
    train(model, toy_tasks(), TrainConfig(**settings), out, progress=False)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked processes: POSIX only")
def test_killed_runs_go_on_bit_for_bit(tmp_path):
    """kill -9 at random moments and in the middle of writing, then the same call again."""
    here = Path(__file__).resolve().parent
    script = textwrap.dedent(KILLED).format(path=[str(here), str(here.parent)])
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    assert done.returncode == 0, done.stderr
    at_random, in_writing = map(int, done.stdout.split())
    assert at_random >= 2 and in_writing == 9
    for run in ("random", "write"):
        for name in ("checkpoint.safetensors", "model.safetensors"):
            one, two = (load_file(tmp_path / out / name) for out in ("whole", run))
            assert same(one, two), (run, name)
        lines = [(tmp_path / out / "history.jsonl").read_text() for out in ("whole", run)]
        assert lines[0] == lines[1]
        assert not list((tmp_path / run).glob("*.part"))


# -- losses that are no numbers -------------------------------------------------------------------


def poison(model, step, where="trained.prototypes.vectors"):
    def callback(now, model):
        if now == step:
            with torch.no_grad():
                dict(model.named_parameters())[where].fill_(math.nan)

    return callback


def test_nan_stops_and_names_step_tasks_and_checkpoint(build, tmp_path):
    model, config = build(), TrainConfig(steps=12, **QUICK)
    with pytest.raises(TrainingError) as caught:
        train(model, toy_tasks(), config, tmp_path, progress=False, callback=poison(model, 6))
    text = str(caught.value)
    assert "step 7" in text and "loss nan" in text and "smaller lr" in text
    assert "tasks in the batch: mood, season, topic" in text
    assert "checkpoint.safetensors, step 4" in text
    tensors, _ = load_checkpoint(tmp_path / "checkpoint.safetensors")
    assert all(torch.isfinite(value).all() for value in weights_of(model).values())
    best = {name: tensors[f"best.{name}"] for name in weights_of(model)}
    assert same(best, weights_of(model))


def test_infinite_gradient_never_reaches_the_weights(build, monkeypatch):
    model = build()
    before = weights_of(model)

    def explode(self, loss):
        loss.backward()
        next(iter(model.trained.parameters())).grad.fill_(math.inf)

    monkeypatch.setattr("accelerate.Accelerator.backward", explode)
    with pytest.raises(TrainingError, match=r"step 1,.*grad_norm inf.*weights of step 0"):
        train(model, toy_tasks(), TrainConfig(steps=3, **QUICK), progress=False)
    assert same(before, weights_of(model))


def test_a_checkpoint_from_before_a_setting_existed_goes_on(build, tmp_path):
    settings = TrainConfig(steps=4, **QUICK)
    train(build(), toy_tasks(), settings, tmp_path, progress=False)
    tensors, state = load_checkpoint(tmp_path / "checkpoint.safetensors")
    del state["identity"]["model"]["skip_lowest"]
    save_checkpoint(tmp_path / "checkpoint.safetensors", tensors, state)
    train(build(), toy_tasks(), settings, tmp_path, progress=False)
    with pytest.raises(PHAError, match="skip_lowest was 0, now 1"):
        train(build(skip_lowest=1), toy_tasks(), settings, tmp_path, progress=False)
