"""PHAConfig: presets, JSON both ways, and a clear word for every bad value."""

from __future__ import annotations

import dataclasses
import json

import pytest

from pha_lite.config import BASELINES, PHAConfig
from pha_lite.errors import PHAError


def test_the_defaults_are_the_released_sizes_and_weights():
    config = PHAConfig.paper()
    assert config == PHAConfig()
    assert (config.adapter_dim, config.prototype_dim, config.layer_dim) == (64, 64, 64)
    assert (config.hyper_hidden, config.hyper_out, config.retriever_hidden) == (128, 64, 128)
    assert (config.encoder, config.decoder, config.placement) == ("shared", "generated", "parallel")
    assert (config.temperature, config.instance_weight, config.prototype_weight) == (0.1, 0.1, 0.1)
    assert (config.label_smoothing, config.prototype_loss) == (0.1, "released")
    assert (config.prototype_std, config.max_source_length) == (1.0, 128)


def test_json_gives_the_same_configuration_back(tmp_path):
    config = PHAConfig.tiny(
        tasks=["b", "a", "ümlaut"], encoder="per_task", contrast_to_encoder=False
    )
    assert PHAConfig.from_json(config.to_json()) == config
    assert PHAConfig.from_json(config.to_json()).tasks == ["b", "a", "ümlaut"]
    path = tmp_path / "config.json"
    path.write_text(config.to_json(), encoding="utf-8")
    assert PHAConfig.from_json(path) == config
    assert set(json.loads(config.to_json())) == {f.name for f in dataclasses.fields(PHAConfig)}


def test_a_configuration_does_not_change_and_shares_no_list():
    names = ["a", "b"]
    config = PHAConfig(tasks=names)
    names.append("c")
    assert config.tasks == ["a", "b"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.adapter_dim = 3
    assert dataclasses.replace(config, adapter_dim=3).adapter_dim == 3
    with pytest.raises(PHAError, match="adapter_dim=0"):
        dataclasses.replace(config, adapter_dim=0)


@pytest.mark.parametrize("name", BASELINES)
def test_baselines_keep_the_base_and_take_overrides(name):
    base = PHAConfig.tiny(tasks=["a", "b"], adapter_dim=5)
    config = PHAConfig.baseline(name, base, seed=7)
    assert (config.adapter_dim, config.tasks, config.seed) == (5, ["a", "b"], 7)
    if name != "pha":
        assert not config.uses_prototype_loss and config.instance_weight == 0


def test_what_each_baseline_is():
    owners = {n: (PHAConfig.baseline(n).encoder, PHAConfig.baseline(n).decoder) for n in BASELINES}
    assert owners["shared_adapter"] == ("shared", "shared")
    assert owners["adapter_per_task"] == ("per_task", "per_task")
    assert owners["hyperformer"] == ("generated", "generated")
    assert owners["task_embedding"] == owners["pha"] == ("shared", "generated")
    assert PHAConfig.baseline("task_embedding").hyper_input == "embedding"
    assert PHAConfig.baseline("instance").hyper_input == "instance"
    assert not PHAConfig.baseline("adapter_per_task").has_table
    assert not PHAConfig.baseline("task_embedding").has_retriever
    assert PHAConfig.baseline("instance").has_retriever


@pytest.mark.parametrize(
    "bad, says",
    [
        ({"adapter_dim": 0}, "adapter_dim=0"),
        ({"adapter_dim": 8.0}, "adapter_dim=8.0"),
        ({"adapter_dim": True}, "adapter_dim=True"),
        ({"hyper_out": "64"}, "hyper_out='64'"),
        ({"max_source_length": 1}, "max_source_length=1"),
        ({"max_target_length": 1}, "max_target_length=1"),
        ({"seed": -1}, "seed=-1"),
        ({"encoder": "common"}, "encoder='common'.*'shared', 'generated'"),
        ({"decoder": None}, "decoder=None"),
        ({"placement": "both"}, "placement='both'"),
        ({"hyper_input": "task"}, "hyper_input='task'"),
        ({"prototype_loss": "paper"}, "prototype_loss='paper'"),
        ({"lm_reduction": "max"}, "lm_reduction='max'"),
        ({"temperature": 0}, "temperature=0.*above 0"),
        ({"temperature": -0.1}, "temperature=-0.1"),
        ({"temperature": float("nan")}, "temperature=nan"),
        ({"instance_weight": -1}, "instance_weight=-1"),
        ({"prototype_weight": float("inf")}, "prototype_weight=inf"),
        ({"label_smoothing": 1.0}, "label_smoothing=1.0"),
        ({"dropout": 1}, "dropout=1"),
        ({"dropout": "0"}, "dropout='0'"),
        ({"contrast_to_encoder": 1}, "contrast_to_encoder=1"),
        ({"contrast_to_prototypes": "no"}, "contrast_to_prototypes='no'"),
        ({"tasks": "a"}, "tasks='a'.*list"),
        ({"tasks": ["a", "a"]}, "'a' is listed twice"),
        ({"tasks": [""]}, "''"),
        ({"tasks": [3]}, "3 is not a task name"),
        ({"tasks": ["mean"]}, "'mean' has a meaning"),
        ({"encoder": "generated", "hyper_input": "instance"}, "instance embedding is read"),
        ({"adapter_dmi": 8}, "adapter_dmi.*did you mean 'adapter_dim'"),
    ],
)
def test_bad_values_are_named(bad, says):
    with pytest.raises(PHAError, match=says):
        PHAConfig.from_dict(bad)


@pytest.mark.parametrize("text", ["{", "[1]", '{"tasks": }', "null"])
def test_bad_json_is_a_clear_error(text):
    with pytest.raises(PHAError, match="JSON|table of fields"):
        PHAConfig.from_json(text)


def test_unreadable_files_are_named(tmp_path):
    with pytest.raises(PHAError, match="absent.json"):
        PHAConfig.from_json(tmp_path / "absent.json")
    (tmp_path / "latin.json").write_bytes(b'{"tasks": ["\xe9"]}')
    with pytest.raises(PHAError, match="latin.json"):
        PHAConfig.from_json(tmp_path / "latin.json")


def test_an_unknown_baseline_is_named():
    with pytest.raises(PHAError, match="did you mean 'shared_adapter'"):
        PHAConfig.baseline("shared_adaptor")
