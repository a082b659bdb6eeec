"""What the chapter on adapters builds by hand, against pha_lite and plain arithmetic."""

from __future__ import annotations

import pytest
import torch
from test_chapters import lift

from pha_lite.adapter import AdapterWeights, SharedAdapters, bottleneck
from pha_lite.backbone import Plan, attach
from pha_lite.tasks import Task


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("adapters")


def awake(chapter, d: int, b: int, seed: int = 0):
    """An adapter of which every number matters, biases included."""
    made = chapter["Adapter"](d, b)
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in made.parameters():
            weight.copy_(torch.randn(weight.shape, generator=draw))
    return made


@pytest.mark.parametrize(("d", "b"), [(6, 3), (5, 1), (3, 8)])
def test_the_bottleneck_is_that_of_the_package(chapter, d, b):
    mine, x = awake(chapter, d, b), torch.randn(2, 4, d)
    torch.testing.assert_close(mine(x), bottleneck(x, AdapterWeights(*mine.parameters())))


@pytest.mark.parametrize("gain", [1e-4, 1.0])
def test_the_start_has_the_spread_of_the_package(chapter, gain):
    torch.manual_seed(0)
    mine, theirs = chapter["Adapter"](64, 32, gain), SharedAdapters(1, 64, 32)
    for part in ("down", "up"):
        ours, package = (getattr(a, part).std() for a in (mine, theirs))
        torch.testing.assert_close(ours / gain, package / 1e-4, rtol=0.1, atol=0.0)
    assert not mine.down_bias.any() and not mine.up_bias.any()


@pytest.mark.parametrize("placement", ["parallel", "sequential"])
def test_both_placements_are_those_of_attach(chapter, tiny_t5, placement):
    t5, _ = tiny_t5(seed=1)
    adapters = [awake(chapter, 32, 5, seed) for seed in range(2)]
    h = torch.randn(3, 4, 32)
    plan = Plan()
    attach(t5.decoder, plan, placement)
    for layer, adapter in enumerate(adapters):
        sub = t5.decoder.block[layer].layer[-1]
        plan.set(None)
        expected = chapter[placement](sub, h, adapter)
        plan.set(chapter["stacked"](adapters))
        torch.testing.assert_close(sub(h), expected, rtol=1e-4, atol=1e-4)


def test_own_hooks_equal_attach_and_leave_nothing_behind(chapter, tiny_t5):
    t5, tokenizer = tiny_t5(seed=2)
    adapters = [awake(chapter, 32, 5, seed) for seed in range(2)]
    subs = [block.layer[-1] for block in t5.encoder.block]
    ids = tokenizer(["the film was dull"], return_tensors="pt")["input_ids"]
    before = t5.encoder(ids).last_hidden_state
    with pytest.raises(ZeroDivisionError), chapter["hung"](adapters, subs):
        mine = t5.encoder(ids).last_hidden_state
        _ = 1 / 0
    assert torch.equal(t5.encoder(ids).last_hidden_state, before)
    assert not any(module._forward_hooks for module in t5.modules())
    plan = Plan()
    attach(t5.encoder, plan)
    plan.set(chapter["stacked"](adapters))
    torch.testing.assert_close(t5.encoder(ids).last_hidden_state, mine, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(mine, before, atol=1e-2)


@pytest.mark.parametrize(("layers", "d", "b"), [(1, 4, 2), (24, 16, 3)])
def test_the_formula_counts_what_is_there(chapter, layers, d, b):
    made = SharedAdapters(layers, d, b)
    assert chapter["numbers"](layers, d, b) == sum(p.numel() for p in made.parameters())


def test_accuracy_and_batches_are_those_of_the_package(chapter, build):
    model = build(encoder="none", decoder="none", instance_weight=0.0, prototype_weight=0.0)
    chapter["tokenizer"] = model.tokenizer  # which the cells read as a global
    words = ["a dull film", "the slow hotel was very cold", "good", "bright river sky and sun"]
    labels = ("no", "yes", "maybe the")
    found = model.predict(words, "mood", labels, method="rank")
    gold = [labels.index(word) for word in found]
    gold[1] = (gold[1] + 1) % 3  # one of four is wrong
    rows = {"source": words, "target": [labels[i] for i in gold], "label": gold}
    task = Task.from_rows("mood", {"train": rows, "test": rows}, labels=labels)
    made = chapter["batch_of"](chapter["encode"](task, "test"))
    for name, tensor in made.items():
        assert torch.equal(tensor, model.batch(words, rows["target"], "mood")[name]), name
    assert chapter["accuracy"](model.t5, task) == 75


def test_the_mended_check_takes_any_batch(chapter):
    with pytest.raises(IndexError):
        chapter["same_task"](["a"])
    assert chapter["same_task"](["a", "a", "b", "a"]), "what the released check lets through"
    assert chapter["same_task_mended"](["a"])
    assert not chapter["same_task_mended"](["a", "a", "b", "a"])
