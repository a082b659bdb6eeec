"""Estimates against PyTorch's own counters: operations, kept bytes, trained numbers."""

from __future__ import annotations

import pytest
import torch
from conftest import make_t5, make_tokenizer
from torch.utils.flop_counter import FlopCounterMode

from pha_lite import estimate
from pha_lite.baselines import build
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError

ROWS, SOURCE, TARGET, LAYERS = 4, 48, 6, 6
SHAPE = dict(num_layers=LAYERS, num_decoder_layers=LAYERS, d_ff=64, vocab=64)
CONFIG = PHAConfig(tasks=["a", "b"], adapter_dim=8, max_source_length=SOURCE)


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gated"])
def t5(request):
    form = "gated-gelu" if request.param else "relu"
    found = make_t5(**SHAPE, feed_forward_proj=form, tie_word_embeddings=True)
    found.set_attn_implementation("eager")  # fused attention is not in PyTorch's counter
    return found


def sizes(t5) -> estimate.T5Sizes:
    c = t5.config
    return estimate.T5Sizes(
        c.d_model, c.d_ff, c.num_heads, c.d_kv, LAYERS, LAYERS, c.vocab_size, c.is_gated_act,
        c.tie_word_embeddings,
    )  # fmt: skip


def a_batch() -> dict:
    full = torch.ones(ROWS, SOURCE, dtype=torch.long)
    labels = torch.full((ROWS, TARGET), 5)
    return {
        "input_ids": 4 * full,
        "attention_mask": full,
        "labels": labels,
        "task_ids": torch.tensor([0, 1] * (ROWS // 2)),
    }


def model_of(method: str, t5):
    return build(method, (t5, make_tokenizer()), CONFIG.tasks, CONFIG).train()


def test_a_bare_forward_pass_is_counted_exactly(t5):
    full = torch.ones(1, SOURCE, dtype=torch.long)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        t5(input_ids=full, attention_mask=full, labels=torch.full((1, TARGET), 5))
    found = estimate.forward(sizes(t5), SOURCE, TARGET)
    assert sum(map(sum, found)) == counter.get_total_flops()


@pytest.mark.parametrize("method", ["pha", "shared_adapter", "full", "lora", "without_encoder"])
def test_a_training_step_agrees_with_pytorchs_counter(method, t5):
    if method == "without_encoder":
        config = PHAConfig.from_dict({**CONFIG.to_dict(), "encoder": "none"})
        model, method = build("pha", (t5, make_tokenizer()), config.tasks, config).train(), "pha"
    else:
        model = model_of(method, t5)
        config = model.config if method not in ("full", "lora") else CONFIG
    with FlopCounterMode(display=False) as counter:
        model(a_batch()).loss.backward()
    found = estimate.cost(sizes(t5), config, method, ROWS, TARGET)
    # not counted: the hypernetwork, LoRA's own products
    assert found.step == pytest.approx(counter.get_total_flops(), rel=0.12)


@pytest.mark.parametrize("method", ["pha", "full", "bitfit"])
def test_kept_bytes_agree_with_what_autograd_saves(method, t5):
    model = model_of(method, t5)
    owned = {w.untyped_storage().data_ptr() for w in [*model.parameters(), *model.buffers()]}
    seen: dict[int, torch.Tensor] = {}

    def note(tensor):
        if tensor.untyped_storage().data_ptr() not in owned:
            seen[tensor.untyped_storage().data_ptr()] = tensor  # kept alive: no address twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        output = model(a_batch())
    saved = sum(tensor.untyped_storage().nbytes() for tensor in seen.values())
    assert output.loss.requires_grad
    full, adapters = method == "full", method == "pha"
    row = estimate.kept(sizes(t5), CONFIG, SOURCE, TARGET, full, True, adapters, mask=4)
    assert ROWS * row == pytest.approx(saved, rel=0.15)


@pytest.mark.parametrize("method", ["pha", "hyperformer", "adapter_per_task", "prompt", "bitfit"])
def test_trained_numbers_are_those_of_a_model(method, t5):
    model = model_of(method, t5)
    wanted = model.count_parameters()["total"]
    config = CONFIG if method in ("prompt", "bitfit") else model.config
    assert estimate.trained_numbers(sizes(t5), config, method) == wanted


def test_numbers_of_the_t5_itself(t5):
    other = sum(w.numel() for n, w in t5.named_parameters() if "norm" in n or "bias" in n)
    everything = sum(w.numel() for w in t5.parameters())
    assert sizes(t5).numbers == everything - other
    found = estimate.trained_numbers(sizes(t5), CONFIG, "full")
    assert found == pytest.approx(model_of("full", t5).count_parameters()["total"], rel=0.02)


def test_sizes_are_read_from_a_folder_or_known(tmp_path, t5):
    t5.config.save_pretrained(tmp_path)
    assert estimate.sizes_of(tmp_path) == sizes(t5)
    assert estimate.sizes_of("tiny").d == 128
    assert estimate.sizes_of("google-t5/t5-base") == estimate.sizes_of("t5-base")
    with pytest.raises(PHAError, match="no T5 configuration"):
        estimate.sizes_of(tmp_path / "nothing")


def test_lora_counts_as_peft_does(t5):
    pytest.importorskip("peft")
    wanted = model_of("lora", t5).count_parameters()["total"]
    assert estimate.trained_numbers(sizes(t5), CONFIG, "lora") == wanted


def test_a_larger_batch_costs_more_work_and_memory_but_no_disk():
    small, large = (estimate.cost(estimate.sizes_of("t5-base"), CONFIG, "pha", n) for n in (8, 16))
    assert large.step == 2 * small.step and large.memory > small.memory
    assert large.disk == small.disk and large.trained == small.trained


def test_the_speed_of_this_machine_is_a_number():
    assert estimate.speed_here(size=64, seconds=0.01) > 0
