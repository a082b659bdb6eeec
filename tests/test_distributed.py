"""Several processes train as one does: losses, weights, files, and every way to stop.

One process imports everything once and forks the others, which find each other over gloo, just as
if a launcher had started them; the last test uses the launcher itself.
"""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate.state import AcceleratorState
from conftest import SMALL, make_t5, make_tokenizer, wake
from safetensors.torch import load_file, save_file
from test_train import Stop, stop_at, toy_task

from pha_lite import distributed
from pha_lite.config import PHAConfig
from pha_lite.distributed import Team
from pha_lite.errors import PHAError, TrainingError
from pha_lite.losses import instance_loss
from pha_lite.model import PHAModel
from pha_lite.tasks import Task
from pha_lite.train import TrainConfig, train

HERE = Path(__file__).resolve().parent
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks processes: POSIX only")

# What the processes do. A play is a function of the folder and of the process's rank, which trains
# and gives back (model, result); `STAGED` says how many processes play it.

ANSWERS = {"mood": None, "topic": "no good maybe", "season": "no"}


def tasks_for(seed: int = 0) -> dict[str, Task]:
    """Targets of unlike lengths, so that a mean over tokens is no mean over rows."""
    tasks = {}
    for number, (name, answer) in enumerate(ANSWERS.items()):
        task = toy_task(name, seed=seed + number)
        splits = {split: task.columns(split) for split in task.splits}
        for rows in splits.values():
            rows["target"] = [answer or target for target in rows["target"]]
        tasks[name] = Task.from_rows(name, splits)
    return tasks


def trained(out=None, parts=None, callback=None, tasks=None, progress=False, **settings):
    config = PHAConfig(tasks=list(ANSWERS), **{**SMALL, **(parts or {})})
    model = wake(PHAModel.from_backbone((make_t5(), make_tokenizer()), config))
    plan = {"steps": 6, "batch_size": 7, "lr": 2e-3, "eval_every": 3, "eval_limit": 5, **settings}
    tasks = tasks or tasks_for()
    return model, train(
        model, tasks, TrainConfig(**plan), out, progress=progress, callback=callback
    )


def plain(out, rank):
    """Process 0 is given the folder; another one must leave its own alone."""
    return trained(out / f"run{rank}", progress=True)


def sums(out, rank):
    parts = {"lm_reduction": "sum", "prototype_loss": "standard", "encoder": "generated"}
    return trained(parts={**parts, "own_dim": 3})


def per_row(out, rank):
    return trained(parts={"hyper_input": "instance", "prototype_weight": 0.0})


def without_contrast(out, rank):
    return trained(parts={"instance_weight": 0.0, "prototype_weight": 0.0}, weight_decay=0.1)


def apart(out, rank):
    return trained(gather_negatives=False)


def dropping(out, rank):
    return trained(parts={"dropout": 0.3})


def first_half(out, rank):
    return trained(out / "run", callback=stop_at(5))


def second_half(out, rank):
    return trained(out / "run")


def first_half_dropping(out, rank):
    return trained(out / "run", {"dropout": 0.3}, stop_at(5))


def second_half_dropping(out, rank):
    torch.rand(rank + 1), np.random.rand(rank)  # whatever happens in between
    return trained(out / "run", {"dropout": 0.3})


def impatient(out, rank):
    return trained(steps=60, eval_every=1, patience=2, lr=1e-6)


def poisoned(out, rank):
    """Only process 1 holds a weight that is no number."""

    def spoil(step, model):
        if step == 4 and rank == 1:
            with torch.no_grad():
                model.trained.retriever.second.bias.fill_(math.nan)

    return trained(out / "run", callback=spoil)


def alone(out, rank):
    return trained(out / "run", callback=stop_at(4) if rank == 1 else None)


def alone_but_alive(out, rank):
    """Process 1 fails, and its program goes on without training."""
    try:
        return alone(out, rank)
    except Stop:
        while not (out / "0.json").exists():  # until process 0 has ended, too
            time.sleep(0.05)
        raise


def killed(out, rank):
    def die(step, model):
        if step == 4 and rank == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return trained(out / "run", callback=die)


def unwritable(out, rank):
    def forbid(step, model):
        if step == 4 and rank == 0:
            (out / "run").rename(out / "kept")
            (out / "run").write_text("a file where the folder was")

    return trained(out / "run", callback=forbid)


def other_data(out, rank):
    return trained(out / "run", tasks=tasks_for(seed=rank))


def other_weights(out, rank):
    """Built with other initial values: those of process 0 count."""
    config = PHAConfig(tasks=list(ANSWERS), **SMALL)
    model = wake(PHAModel.from_backbone((make_t5(), make_tokenizer()), config), seed=rank)
    plan = TrainConfig(steps=2, batch_size=7, eval_every=0)
    return model, train(model, tasks_for(), plan, progress=False)


def too_many(out, rank):
    return trained(batch_size=1)


STAGED = {
    "plain": (1, 2, 3),
    "sums": (1, 2),
    "per_row": (1, 2),
    "without_contrast": (1, 2),
    "apart": (2,),
    "dropping": (2,),
    "impatient": (2,),
    "poisoned": (2,),
    "alone": (2,),
    "alone_but_alive": (2,),
    "killed": (2,),
    "unwritable": (2,),
    "other_data": (2,),
    "other_weights": (2,),
    "too_many": (2,),
}
RESUMED = {
    "two_then_one": ((first_half, 2), (second_half, 1)),
    "one_then_two": ((first_half, 1), (second_half, 2)),
    "two_then_two": ((first_half_dropping, 2), (second_half_dropping, 2)),
}
PATIENCE = 45  # seconds until a process counts as hanging; idle, the longest play takes one


def stage(home: Path) -> None:
    """Play everything; runs in a process of its own."""
    torch.set_num_threads(1)
    trained(steps=1)  # whatever is imported late, is imported before the forks
    AcceleratorState._reset_state(reset_partial_state=True)
    for name, sizes in STAGED.items():
        for size in sizes:
            perform(globals()[name], home / f"{name}{size}", size)
    for name, halves in RESUMED.items():
        for play, size in halves:
            perform(play, home / name, size)


def perform(play, out: Path, size: int) -> None:
    out.mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    children = {}
    for rank in range(size):
        if (child := os.fork()) == 0:
            where = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
            where |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "ACCELERATE_USE_CPU": "true"}
            if size > 1:
                os.environ.update({name: str(value) for name, value in where.items()})
            os.dup2(os.open(out / f"{rank}.err", os.O_CREAT | os.O_WRONLY | os.O_TRUNC), 2)
            act(play, out, rank)
            os._exit(0)
        children[child] = rank
    ended = time.monotonic() + PATIENCE
    while children and time.monotonic() < ended:
        child, status = os.waitpid(-1, os.WNOHANG)
        if child:
            (out / f"{children.pop(child)}.status").write_text(str(status))
        time.sleep(0.01)
    for child in children:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def act(play, out: Path, rank: int) -> None:
    told = {"error": None}
    try:
        model, result = play(out, rank)
        save_file({n: w.detach() for n, w in model.adapter_parameters()}, out / f"{rank}.weights")
        told |= {"history": result.history, "best": result.best, "record": result.record}
    except BaseException as error:
        told["error"] = f"{type(error).__name__}: {error}"
    (out / f"{rank}.json").write_text(json.dumps(told))


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """The folder with what all plays left."""
    home = tmp_path_factory.mktemp("staged")
    script = """
    import os, sys
    sys.path[:0] = {path!r}
    import test_distributed
    test_distributed.stage(test_distributed.Path(sys.argv[1]))
    """
    script = textwrap.dedent(script).format(path=[str(HERE), str(HERE.parent)])
    quiet = {
        "OMP_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }
    done = subprocess.run(
        [sys.executable, "-c", script, str(home)],
        capture_output=True,
        text=True,
        env={**os.environ, **quiet},
    )
    assert done.returncode == 0, done.stderr
    return home


def told(folder: Path, rank: int = 0) -> dict:
    return json.loads((folder / f"{rank}.json").read_text())


def weights(folder: Path, rank: int = 0) -> dict[str, torch.Tensor]:
    assert told(folder, rank)["error"] is None, told(folder, rank)["error"]
    return load_file(folder / f"{rank}.weights")


def close(one: Path, two: Path) -> None:
    """Losses and weights of two runs are equal up to rounding."""
    for a, b in zip(told(one)["history"], told(two)["history"], strict=True):
        assert a == {name: pytest.approx(value, rel=1e-4, abs=1e-6) for name, value in b.items()}
    first, second = weights(one), weights(two)
    for name, value in first.items():
        torch.testing.assert_close(value, second[name], rtol=1e-4, atol=2e-5)


def equal(one: dict, two: dict) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


# -- one result, however many compute it ----------------------------------------------------------


@pytest.mark.parametrize("play", ["plain", "sums", "per_row", "without_contrast"])
def test_two_processes_give_what_one_gives(staged, play):
    close(staged / f"{play}2", staged / f"{play}1")
    assert told(staged / f"{play}1")["best"]["mean"] is not None


def test_three_processes_with_uneven_shares_do_too(staged):
    close(staged / "plain3", staged / "plain1")


@pytest.mark.parametrize("name", ["plain2", "plain3", "sums2", "per_row2", "dropping2", "apart2"])
def test_all_processes_end_with_the_same_bits(staged, name):
    for rank in range(1, int(name[-1])):
        assert equal(weights(staged / name), weights(staged / name, rank))
        assert told(staged / name)["history"] == told(staged / name, rank)["history"]


def test_the_losses_take_part(staged):
    """What is compared above is no comparison of zeros, and token counts do differ."""
    row = told(staged / "plain2")["history"][0]
    assert row["lm_loss"] > 0 and row["ir_loss"] > 0 and row["pro_loss"] != 0
    assert row["grad_norm"] > 0 and told(staged / "plain2")["record"]["processes"] == 2


def test_processes_draw_different_dropout(staged):
    assert told(staged / "dropping2")["error"] is None
    streams = []
    for rank, step in ((0, 0), (1, 0), (2, 0), (1, 3), (1, 0)):
        torch.manual_seed(5)
        Team(rank, 3).reseed(5, step)
        streams.append(tuple(torch.rand(4).tolist()))
    assert len(set(streams)) == 4 and streams[1] == streams[4]
    torch.manual_seed(5)
    assert streams[0] == tuple(torch.rand(4).tolist())  # the main one's is left alone


def test_initial_weights_are_those_of_process_0(staged):
    assert equal(weights(staged / "other_weights2"), weights(staged / "other_weights2", 1))


def test_without_gathering_each_process_contrasts_its_own_rows(staged):
    """The first step has the weights of the start, so its instance loss can be computed here."""
    from pha_lite.batching import collate, encode
    from pha_lite.sampling import TaskSampler

    config = PHAConfig(tasks=list(ANSWERS), **SMALL)
    model = wake(PHAModel.from_backbone((make_t5(), make_tokenizer()), config))
    rows = [encode(model, task["train"]) for task in tasks_for().values()]
    drawn = next(TaskSampler([24, 24, 24], 7))
    with torch.no_grad():
        batch = collate(model, [rows[t][r] for t, r in drawn], [t for t, _ in drawn])
        z = model(batch).embeddings
    tasks = batch["task_ids"]
    halves = [instance_loss(z[rank::2], tasks[rank::2]) for rank in (0, 1)]
    whole = told(staged / "plain2")["history"][0]["ir_loss"]
    split = told(staged / "apart2")["history"][0]["ir_loss"]
    assert split == pytest.approx(float(sum(halves)) / 2, rel=1e-4)
    assert whole == pytest.approx(float(instance_loss(z, tasks)), rel=1e-4)
    assert abs(whole - split) > 0.01


# -- files and resuming ---------------------------------------------------------------------------


def test_process_0_alone_writes_and_shows_the_bar(staged):
    files = {"checkpoint.safetensors", "config.json", "history.jsonl", "model.safetensors"}
    for name in ("plain1", "plain2", "plain3"):
        assert {path.name for path in (staged / name / "run0").iterdir()} == files | {"run.json"}
        assert not list((staged / name).glob("run[12]"))
        assert "6/6" in (staged / name / "0.err").read_text()
    assert "6/6" not in (staged / "plain2" / "1.err").read_text()


@pytest.mark.parametrize("name", ["two_then_one", "one_then_two"])
def test_a_run_goes_on_with_another_number_of_processes(staged, name):
    close(staged / name, staged / "plain1")
    if name == "one_then_two":
        assert equal(weights(staged / name), weights(staged / name, 1))


def test_with_as_many_processes_it_goes_on_bit_for_bit(staged):
    """Dropout included: every process finds its stream of random numbers again."""
    for rank in (0, 1):
        cut, whole = staged / "two_then_two", staged / "dropping2"
        assert equal(weights(cut, rank), weights(whole, rank))
        assert told(cut, rank)["history"] == told(whole, rank)["history"]


# -- stopping -------------------------------------------------------------------------------------


def test_early_stopping_is_decided_by_all_alike(staged):
    first, second = (told(staged / "impatient2", rank) for rank in (0, 1))
    assert first["error"] is None and first["history"] == second["history"]
    assert first["best"] == second["best"] and len(first["history"]) < 60


def test_a_loss_that_is_no_number_stops_all_with_one_message(staged):
    messages = [told(staged / "poisoned2", rank)["error"] for rank in (0, 1)]
    assert messages[0] == messages[1]
    assert messages[0].startswith("TrainingError: not finite at step 5")
    assert "checkpoint.safetensors, step 3" in messages[0] and "mood" in messages[0]


@pytest.mark.parametrize("name", ["alone2", "alone_but_alive2", "killed2"])
def test_when_one_process_stops_the_others_do(staged, name):
    message = told(staged / name)["error"]
    assert message.startswith("TrainingError: process 0 of 2 stopped, because another one did")
    assert (staged / name / "run" / "checkpoint.safetensors").exists()
    if name == "alone2":
        assert told(staged / name, 1)["error"].startswith("Stop")


def test_what_keeps_the_main_process_from_writing_is_told_to_all(staged):
    messages = [told(staged / "unwritable2", rank)["error"] for rank in (0, 1)]
    assert messages[0] == messages[1] and "run" in messages[0] and "Error" in messages[0]
    assert (staged / "unwritable2" / "kept" / "checkpoint.safetensors").exists()


def test_processes_with_other_data_are_refused_by_all(staged):
    for rank in (0, 1):
        message = told(staged / "other_data2", rank)["error"]
        assert message.startswith("PHAError: process 1 was given another data than process 0")
    assert not (staged / "other_data2" / "run").exists()


def test_a_batch_with_less_than_a_row_each_is_refused(staged):
    assert "batch_size=1: less than a row for 2 processes" in told(staged / "too_many2")["error"]


# -- the team by itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_make_up_the_whole_and_differ_by_one_at_most(size):
    shares = [Team(rank, size).share(range(11)) for rank in range(size)]
    assert sorted(sum(shares, [])) == list(range(11))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_gradients_of_the_parts_add_up_to_that_of_the_whole(build, monkeypatch):
    """Without any process: the exchange of embeddings is done by hand, in double precision."""
    model, tasks = build().double(), tasks_for()
    from pha_lite.batching import collate, encode

    examples = [encode(model, task["train"])[row] for task in tasks.values() for row in (0, 5, 7)]
    ids = [0, 0, 0, 1, 1, 1, 2, 2, 2]

    def gradient(loss):
        grads = torch.autograd.grad(loss, list(model.trained.parameters()), allow_unused=True)
        return [torch.zeros(()) if grad is None else grad for grad in grads]

    whole = model(collate(model, examples, ids))
    wanted, z = gradient(whole.loss), whole.embeddings.detach()
    found = []
    for rank in (0, 1):
        team = Team(rank, 2)
        batch = collate(model, team.share(examples), team.share(ids))
        monkeypatch.setattr(distributed.dist, "all_reduce", lambda held: held.copy_(z))
        found.append(gradient(team.part_of_loss(model, model(batch), examples, ids).loss))
    for want, *parts in zip(wanted, *found, strict=True):
        torch.testing.assert_close(sum(parts), want, rtol=1e-5, atol=1e-7, check_dtype=False)


def test_a_team_of_one_changes_nothing(build):
    model, team = build(), Team()
    batch = model.batch(["good film", "rain"], ["yes", "no"], ["mood", "topic"])
    output = model(batch)
    assert team.part_of_loss(model, output, [], []) is output
    assert team.add_up(model, output, []) is output
    assert team.collect([3, 1]) == [3, 1] and team.from_main(max, 2, 5) == 5


def test_lost_connections_are_no_riddle(monkeypatch):
    def broken(*_):
        raise RuntimeError("Connection closed by peer")

    monkeypatch.setattr(distributed.dist, "all_gather_object", broken)
    with pytest.raises(TrainingError, match="another one did; that one's message says why"):
        Team(1, 2).collect([1])


# -- launchers ------------------------------------------------------------------------------------


class Launched:
    """What accelerate finds; a test changes one thing."""

    num_processes, process_index, device = 1, 0, "mps"
    mixed_precision, gradient_accumulation_steps = "no", 1

    def __init__(self, kind: str = "NO", **changes):
        self.distributed_type = type("Kind", (), {"name": kind})
        self.__dict__ |= changes


@pytest.mark.parametrize(
    ("found", "world", "message"),
    [
        (Launched(), "2", "2 processes were started, but accelerate cannot connect them on mps"),
        (Launched("DEEPSPEED", num_processes=2), "2", "set to DEEPSPEED"),
        (Launched(mixed_precision="fp16"), "1", "--mixed_precision no"),
        (Launched(gradient_accumulation_steps=4), "1", "without accumulation"),
    ],
)
def test_what_a_launcher_cannot_ask_for(monkeypatch, found, world, message):
    monkeypatch.setattr(distributed, "Accelerator", lambda **_: found)
    monkeypatch.setenv("WORLD_SIZE", world)
    with pytest.raises(PHAError, match=message):
        distributed.start()


def test_a_launch_that_starts_one_process_only_is_noticed(monkeypatch):
    """`accelerate launch --cpu --num_processes 2` does, without mpirun."""
    monkeypatch.setattr(distributed, "Accelerator", lambda **_: Launched())
    for name, value in {"ACCELERATE_USE_CPU": "True", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.warns(UserWarning, match="--multi_gpu in place of --cpu"):
        _, team = distributed.start()
    assert team == Team()


def test_accelerate_launch_trains_from_the_command_line(tmp_path):
    from pha_lite import cli

    make_t5().save_pretrained(tmp_path / "t5")
    make_tokenizer().save_pretrained(tmp_path / "t5")
    command = "train --tasks sentiment/hotel,entailment/hotel --preset tiny --n 8 --steps 3"
    command += " --batch-size 5 --eval-every 2 --set eval_limit=4 --limit 5 --quiet"
    command = [*command.split(), "--backbone", str(tmp_path / "t5")]
    command += [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    launch = "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += f" --mixed_precision no --dynamo_backend no --main_process_port {port} -m pha_lite"
    done = subprocess.run(
        [sys.executable, *launch.split(), *command, "--output", str(tmp_path / "two")],
        capture_output=True,
        text=True,
        cwd=HERE.parent,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("saved in") == 1  # one table, not two
    assert cli.main([*command, "--output", str(tmp_path / "one")]) == 0
    one, two = (json.loads((tmp_path / n / "run.json").read_text()) for n in ("one", "two"))
    assert (one["processes"], two["processes"]) == (1, 2)
    assert one["test"] == two["test"] and one["best"]["step"] == two["best"]["step"]
    rows = [(tmp_path / n / "history.jsonl").read_text().splitlines() for n in ("one", "two")]
    for a, b in zip(*rows, strict=True):
        assert json.loads(a)["loss"] == pytest.approx(json.loads(b)["loss"], rel=1e-4)
