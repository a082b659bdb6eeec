"""What happens around a run: full disks, damaged files, other people's checkpoints, a silent hub.

After each of them there is one clear sentence, the last good checkpoint is whole, and the same call
goes on from it to the end that an undisturbed run has.
"""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import socket
import tomllib
from pathlib import Path

import pytest
import torch
from conftest import SMALL, TASKS, load, make_t5, make_tokenizer, wake
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from test_train import QUICK, same, toy_tasks, weights_of

from pha_lite import checkpoint, cli, hub
from pha_lite.backbone import load_backbone
from pha_lite.baselines import build as build_method
from pha_lite.checkpoint import load_checkpoint, save_checkpoint, write_atomic
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError, TrainingError, WriteError
from pha_lite.model import PHAModel
from pha_lite.train import TrainConfig, train

SHORT = {**QUICK, "steps": 4, "eval_every": 2, "eval_limit": 2}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
CHECKPOINT = "checkpoint.safetensors"
ROOT = Path(__file__).resolve().parent.parent


def run(build, out, **changes):
    model = build(dropout=0.2)
    train(model, toy_tasks(), TrainConfig(**{**SHORT, **changes}), out, progress=False)
    return model


@pytest.fixture(scope="module")
def whole(tmp_path_factory, backbone):
    """The folder of an undisturbed run."""
    out = tmp_path_factory.mktemp("whole") / "run"
    config = PHAConfig(tasks=TASKS, **{**SMALL, "dropout": 0.2})
    model = wake(PHAModel.from_backbone(backbone, config))
    train(model, toy_tasks(), TrainConfig(**SHORT), out, progress=False)
    return out


def ends_alike(one, two):
    for name in (CHECKPOINT, "model.safetensors"):
        assert same(load_file(one / name), load_file(two / name))
    assert (one / "history.jsonl").read_bytes() == (two / "history.jsonl").read_bytes()
    assert not list(two.glob("*.part"))


# -- a disk that is full --------------------------------------------------------------------------


class NoRoom:
    """A file that takes nothing."""

    def __init__(self, path, mode):
        self.file = open(path, mode)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, content):
        self.file.write(content[: len(content) // 2])
        raise FULL


WRITES = ("checkpoint 1", "checkpoint 2", "weights", "config", "history", "record")


@pytest.mark.parametrize("point", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("nth", range(len(WRITES)), ids=WRITES)
def test_a_disk_that_is_full_at_any_write(build, tmp_path, whole, monkeypatch, point, nth):
    real, calls = checkpoint._write, []

    def refuse(*_):
        raise FULL

    def fill_up(path, content):
        calls.append(path.name)
        with pytest.MonkeyPatch.context() as patch:
            if len(calls) == nth + 1:
                if point in ("open", "write"):
                    fake = refuse if point == "open" else NoRoom
                    patch.setattr(checkpoint, "open", fake, raising=False)
                else:
                    patch.setattr(os, point, refuse)
            real(path, content)

    monkeypatch.setattr(checkpoint, "_write", fill_up)
    out = tmp_path / "run"
    with pytest.raises(TrainingError) as caught:
        run(build, out)
    text = str(caught.value)
    assert "No space left on device" in text and calls[-1] in text and "same command" in text
    kept = [None, 2, 4, 4, 4, 4][nth]
    if kept is None:
        assert "there is no checkpoint yet" in text and not (out / CHECKPOINT).exists()
    else:
        assert f"{CHECKPOINT}, step {kept}" in text
        assert len(load_checkpoint(out / CHECKPOINT)[1]["history"]) == kept
    assert not list(out.glob("*.part"))  # half a file would only take more room
    monkeypatch.setattr(checkpoint, "_write", real)
    run(build, out)
    ends_alike(whole, out)


def test_a_limit_that_the_system_sets(build, tmp_path):
    """Not a stand-in: the kernel itself refuses to let a file grow."""
    resource = pytest.importorskip("resource")
    path, content = tmp_path / "file", b"x" * 100_000
    write_atomic(path, "old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, before[1]))
    try:
        with pytest.raises(WriteError, match="file: cannot be written .*too large.*still there"):
            write_atomic(path, content)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_text() == "old" and len(list(tmp_path.iterdir())) == 1
    write_atomic(path, content)
    assert path.read_bytes() == content


def test_a_folder_that_turns_read_only(build, tmp_path, whole, monkeypatch):
    out, real = tmp_path / "run", os.replace

    def denied(*_):
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    def later(step, model):
        if step == 3:
            monkeypatch.setattr(os, "replace", denied)

    settings = TrainConfig(**SHORT)
    with pytest.raises(TrainingError, match=rf"(?i)read-only.*{CHECKPOINT}, step 2"):
        train(build(dropout=0.2), toy_tasks(), settings, out, progress=False, callback=later)
    monkeypatch.setattr(os, "replace", real)
    run(build, out)
    ends_alike(whole, out)


def test_a_write_error_is_both_kinds_and_travels_between_processes():
    error = WriteError("run/file: cannot be written")
    assert isinstance(error, PHAError) and isinstance(error, OSError)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is WriteError and str(again) == str(error)


def test_the_command_line_tells_it_in_one_line(tmp_path, capfd, monkeypatch):
    def full(args):
        raise FULL

    monkeypatch.setattr("pha_lite.commands.info", full)
    assert cli.main(["info"]) == 2
    assert capfd.readouterr().err.startswith("error: input or output: No space left on device")


# -- damaged files --------------------------------------------------------------------------------


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", ["tensors", "history"])
def test_a_changed_checkpoint_is_refused_and_left_alone(build, tmp_path, place):
    run(build, tmp_path)
    path = tmp_path / CHECKPOINT
    content = path.read_bytes()
    flip(path, -10 if place == "tensors" else content.index(b"lm_loss") + 14)
    damaged = path.read_bytes()
    with pytest.raises(PHAError, match="changed after it was written"):
        run(build, tmp_path)
    assert path.read_bytes() == damaged
    path.write_bytes(content)  # a copy put back is good again
    run(build, tmp_path)


def test_a_checkpoint_from_before_digests_goes_on(build, tmp_path):
    run(build, tmp_path)
    path = tmp_path / CHECKPOINT
    with safe_open(path, framework="pt") as file:
        state = file.metadata()["state"]
    save_file(load_file(path), path, metadata={"state": state})
    run(build, tmp_path)


# -- a checkpoint of another run ------------------------------------------------------------------


def test_tasks_in_another_order_are_not_continued(build, tmp_path):
    """The sampler knows tasks by number: in another order it would go on with other rows."""
    settings, tasks = TrainConfig(**SHORT), toy_tasks()
    train(build(), tasks, settings, tmp_path, progress=False)
    before = (tmp_path / CHECKPOINT).read_bytes()
    turned = dict(reversed(tasks.items()))
    with pytest.raises(PHAError, match="another order .mood, topic, season, now season, topic"):
        train(build(), turned, settings, tmp_path, progress=False)
    with pytest.raises(PHAError, match="tasks was"):
        train(build(tasks=list(turned)), tasks, settings, tmp_path, progress=False)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_another_method_is_not_continued(backbone, tmp_path):
    """LoRA and BitFit share a configuration, and nothing else."""
    settings, tasks = TrainConfig(**SHORT), toy_tasks()

    def model(method):
        return build_method(method, backbone, list(tasks))

    train(model("lora"), tasks, settings, tmp_path, progress=False)
    with pytest.raises(PHAError, match="name was 'lora', now 'bitfit'"):
        train(model("bitfit"), tasks, settings, tmp_path, progress=False)
    train(model("lora"), tasks, settings, tmp_path, progress=False)


# -- losses that are no numbers -------------------------------------------------------------------


def test_the_task_whose_outputs_are_no_numbers_is_named(build, tmp_path):
    model = build()

    def spoil(step, model):
        if step == 3:
            with torch.no_grad():
                model.trained.prototypes.vectors[1] = torch.inf

    settings = TrainConfig(**SHORT)
    with pytest.raises(TrainingError) as caught:
        train(model, toy_tasks(), settings, tmp_path, progress=False, callback=spoil)
    text = str(caught.value)
    assert "step 4" in text and "tasks in the batch: mood, season, topic" in text
    assert "the outputs for topic being the ones that are not finite" in text
    assert f"{CHECKPOINT}, step 2" in text
    assert all(weight.isfinite().all() for weight in weights_of(model).values())


# -- a hub that does not answer -------------------------------------------------------------------


@pytest.fixture
def silent_hub(monkeypatch):
    """A hub on this machine that takes connections and never says a word."""
    from huggingface_hub import constants

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(hub.check_hub.__wrapped__, "__defaults__", (0.2,))
        hub.check_hub.cache_clear()
        yield address
        hub.check_hub.cache_clear()


def test_a_silent_hub_is_given_up(silent_hub, build):
    from pha_lite.tasks import load_task

    model = build()
    for ask in (
        lambda: load_backbone("google-t5/t5-small"),
        lambda: PHAModel.from_pretrained("me/moods"),
        lambda: model.push_to_hub("me/moods", token="t"),
        lambda: load_task("glue/rte"),
    ):
        with pytest.raises(PHAError, match=r"not answered for 0\.2 seconds.*HF_HUB_OFFLINE=1"):
            ask()


def test_a_folder_asks_no_hub(silent_hub, tmp_path):
    make_t5().save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    assert load_backbone(tmp_path)[0].config.d_model == 32
    assert load_backbone("tiny")[0].config.d_model > 0


def test_offline_and_refused_are_left_to_the_libraries(monkeypatch):
    from huggingface_hub import constants

    hub.check_hub.cache_clear()
    hub.check_hub()  # offline, as in all tests
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: a connection is refused at once
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        hub.check_hub.cache_clear()
        hub.check_hub(5.0)
    hub.check_hub.cache_clear()


class Unreachable(Exception):
    """As httpx has them: neither an OSError nor a ValueError."""


def test_errors_of_the_network_are_told_as_ours(build, monkeypatch):
    import huggingface_hub
    import transformers

    def fail(*_, **__):
        raise Unreachable("[Errno 101] Network is unreachable\nmore")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fail)
    monkeypatch.setattr(huggingface_hub.HfApi, "create_repo", fail)
    monkeypatch.setattr(transformers.AutoModelForSeq2SeqLM, "from_pretrained", fail)
    with pytest.raises(PHAError, match=r"neither a folder.*101\] Network is unreachable\)$"):
        PHAModel.from_pretrained("me/moods")
    with pytest.raises(PHAError, match="me/moods: could not be uploaded .*unreachable"):
        build().push_to_hub("me/moods", token="t")
    with pytest.raises(PHAError, match="'google-t5/t5-small' cannot be loaded.*unreachable"):
        load_backbone("google-t5/t5-small")


# -- the scripts that record it -------------------------------------------------------------------


@pytest.mark.parametrize("name", [CHECKPOINT, "model.safetensors", "history.jsonl", "left.part"])
def test_the_kill_test_sees_a_single_bit(whole, tmp_path, name):
    kill_test = load("kill_test", ROOT / "tools" / "kill_test.py")
    one, two = tmp_path / "one", tmp_path / "two"
    shutil.copytree(whole, one), shutil.copytree(whole, two)
    assert kill_test.differences(one, two) == []
    if name == CHECKPOINT:
        tensors, state = load_checkpoint(two / name)
        tensors["rng.cpu"][-1] ^= 1
        save_checkpoint(two / name, tensors, state)
    elif name == "left.part":
        (two / name).touch()
    else:
        flip(two / name, -10)
    (odd,) = kill_test.differences(one, two)
    assert odd == {CHECKPOINT: "rng.cpu"}.get(name, name)


def test_cells_of_the_matrix_ask_for_the_bounds_of_the_project():
    matrix = load("matrix", ROOT / "tools" / "matrix.py")
    bounds = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    oldest = matrix.requirements("oldest", ["torch==2.13.0", "peft"])
    assert oldest[0] == "torch==2.13.0" and oldest[-1] == "peft"
    assert [name.partition("==")[::2] for name in oldest[1:-1]] == [
        (name, version + ".*") for name, _, version in (b.partition(">=") for b in bounds[1:])
    ]
    assert matrix.requirements("newest", [])[0] == "torch"
    assert all((ROOT / "tests" / f"test_{name}.py").is_file() for name in matrix.TESTS)
