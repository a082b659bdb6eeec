"""Saving and loading: the same model comes back, or a clear word why not."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
import torch
from conftest import TASKS, make_t5, make_tokenizer
from safetensors.torch import load_file, save_file

from pha_lite.errors import PHAError
from pha_lite.model import PHAModel

SOURCES, MIX = ["good film", "the hotel was cold", "rain"], ["mood", "season", "topic"]


@pytest.fixture
def saved(build, tmp_path):
    model = build()
    model.save_pretrained(tmp_path / "model")
    return model, tmp_path / "model"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"encoder": "per_task", "decoder": "per_task"},
        {"encoder": "generated", "placement": "sequential"},
        {"hyper_input": "instance", "encoder": "none"},
        {"hyper_input": "embedding", "instance_weight": 0.0, "tasks": ["z", "a", "m"]},
    ],
)
def test_the_same_model_comes_back(build, backbone, tmp_path, options):
    model = build(**options)
    model.add_task("later", like="mean")
    model.save_pretrained(tmp_path)
    loaded = PHAModel.from_pretrained(tmp_path, backbone=backbone)
    assert loaded.config == model.config and loaded.config.tasks[-1] == "later"
    want = model.trained.state_dict()
    assert list(loaded.trained.state_dict()) == list(want)
    assert all(torch.equal(v, want[k]) for k, v in loaded.trained.state_dict().items())
    tasks = model.config.tasks[:3]
    batch = model.batch(SOURCES, ["yes", "no", ""], tasks)
    assert torch.equal(model.eval()(batch).logits, loaded.eval()(batch).logits)
    assert loaded.generate(SOURCES, tasks) == model.generate(SOURCES, tasks)


def test_only_the_trained_part_is_written(saved):
    model, folder = saved
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert set(load_file(folder / "model.safetensors")) == {
        n for n, _ in model.adapter_parameters()
    }
    about = json.loads((folder / "config.json").read_text())
    assert about["config"]["tasks"] == TASKS and about["fingerprint"]


def test_the_backbone_is_found_by_its_noted_name(small_config, tmp_path):
    t5, tokenizer = make_t5(), make_tokenizer()
    t5.save_pretrained(tmp_path / "t5")
    tokenizer.save_pretrained(tmp_path / "t5")
    model = PHAModel.from_backbone(tmp_path / "t5", small_config())
    model.save_pretrained(tmp_path / "model")
    loaded = PHAModel.from_pretrained(tmp_path / "model")
    assert loaded.generate(SOURCES, MIX) == model.generate(SOURCES, MIX)
    assert loaded.backbone_name == str(tmp_path / "t5")


def test_an_unnamed_backbone_must_be_given(saved):
    with pytest.raises(PHAError, match="names no backbone"):
        PHAModel.from_pretrained(saved[1])


@pytest.mark.parametrize("other", ["weights", "vocabulary"])
def test_another_backbone_is_refused(saved, other):
    t5, tokenizer = make_t5(seed=9 if other == "weights" else 0), make_tokenizer()
    if other == "vocabulary":
        tokenizer.add_tokens(["zeppelin"])
    with pytest.raises(PHAError, match="another backbone"):
        PHAModel.from_pretrained(saved[1], backbone=(t5, tokenizer))


def test_a_backbone_of_other_sizes_is_refused(saved):
    with pytest.raises(PHAError, match="another backbone"):
        PHAModel.from_pretrained(saved[1], backbone=(make_t5(num_layers=3), make_tokenizer()))


@pytest.mark.parametrize("keep", [0, 5, 8, 200, -1, -400])
def test_a_file_that_is_cut_off_is_refused(saved, backbone, keep):
    path = saved[1] / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(PHAError, match="model.safetensors is cut off"):
        PHAModel.from_pretrained(saved[1], backbone=backbone)


def test_a_changed_number_is_refused(saved, backbone):
    path = saved[1] / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-10] ^= 1
    path.write_bytes(content)
    with pytest.raises(PHAError, match="changed after it was saved"):
        PHAModel.from_pretrained(saved[1], backbone=backbone)


def test_a_changed_description_in_the_weights_is_refused(saved, backbone):
    path = saved[1] / "model.safetensors"
    content = path.read_bytes()
    swapped = content.replace(b"mood", b"m00d")
    assert swapped != content
    path.write_bytes(swapped)
    with pytest.raises(PHAError, match="changed after it was saved"):
        PHAModel.from_pretrained(saved[1], backbone=backbone)


def test_an_edited_readable_copy_is_refused(saved, backbone):
    path = saved[1] / "config.json"
    path.write_text(path.read_text().replace('"mood"', '"gloom"'))
    with pytest.raises(PHAError, match="edited after it was saved"):
        PHAModel.from_pretrained(saved[1], backbone=backbone)
    path.write_text("{")
    with pytest.raises(PHAError, match="config.json is damaged"):
        PHAModel.from_pretrained(saved[1], backbone=backbone)
    path.unlink()
    assert PHAModel.from_pretrained(saved[1], backbone=backbone).config.tasks == TASKS


def test_foreign_and_missing_files_are_refused(tmp_path, backbone):
    with pytest.raises(PHAError, match="no such folder"):
        PHAModel.from_pretrained(tmp_path / "absent", backbone=backbone)
    with pytest.raises(PHAError, match="holds no model.safetensors"):
        PHAModel.from_pretrained(tmp_path, backbone=backbone)
    save_file({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(PHAError, match="not written by save_pretrained"):
        PHAModel.from_pretrained(tmp_path, backbone=backbone)
    torch.save({"w": torch.ones(2)}, tmp_path / "model.safetensors")
    with pytest.raises(PHAError, match="not written by save_pretrained"):
        PHAModel.from_pretrained(tmp_path, backbone=backbone)


def test_a_death_while_saving_leaves_the_old_model_or_the_new(saved, build, backbone, monkeypatch):
    old, folder = saved
    new = build(adapter_dim=3)
    real = os.replace
    for survived in (0, 1):  # the process dies before the first or before the second rename
        calls = []

        def dying(source, target, survived=survived, calls=calls):
            calls.append(target)
            if len(calls) > survived:
                raise KeyboardInterrupt
            real(source, target)

        monkeypatch.setattr(os, "replace", dying)
        with pytest.raises(KeyboardInterrupt):
            new.save_pretrained(folder)
        monkeypatch.setattr(os, "replace", real)
        loaded = PHAModel.from_pretrained(folder, backbone=backbone)
        want = (old, new)[survived]
        assert loaded.config == want.config
        assert loaded.generate(SOURCES, MIX) == want.generate(SOURCES, MIX)
    new.save_pretrained(folder)
    assert sorted(p.name for p in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_a_folder_that_cannot_be_made(build, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(PHAError, match="choose another folder"):
        build().save_pretrained(tmp_path / "file" / "model")


def test_pushing_uploads_what_saving_writes(build, backbone, monkeypatch, tmp_path):
    import huggingface_hub

    seen = {}

    class Hub:
        def __init__(self, token=None):
            seen["token"] = token

        def create_repo(self, repo_id, private=None, exist_ok=False):
            seen.update(private=private, exist_ok=exist_ok)
            return SimpleNamespace(repo_id=f"me/{repo_id}")

        def upload_folder(self, repo_id, folder_path, commit_message):
            for name in os.listdir(folder_path):
                with open(os.path.join(folder_path, name), "rb") as file:
                    (tmp_path / name).write_bytes(file.read())
            return f"{repo_id}: {commit_message}"

    monkeypatch.setattr(huggingface_hub, "HfApi", Hub)
    model = build()
    assert (
        model.push_to_hub("moods", private=True, token="t", commit_message="hi") == "me/moods: hi"
    )
    assert seen == {"token": "t", "private": True, "exist_ok": True}
    assert "- season" in (tmp_path / "README.md").read_text()
    loaded = PHAModel.from_pretrained(tmp_path, backbone=backbone)
    assert loaded.generate(SOURCES, MIX) == model.generate(SOURCES, MIX)


def test_a_name_on_the_hub_is_asked_for_there(saved, backbone, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda repo, name: saved[1] / name)
    assert PHAModel.from_pretrained("me/moods", backbone=backbone).config.tasks == TASKS

    def missing(repo, name):
        raise OSError("offline")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", missing)
    with pytest.raises(PHAError, match="neither a folder nor a model on the hub"):
        PHAModel.from_pretrained("me/moods", backbone=backbone)
