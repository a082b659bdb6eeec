"""Adapters on a T5: against a block written by hand, and without a trace on the T5 itself."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from conftest import make_t5, make_tokenizer, wake
from torch import nn

from pha_lite import backbone as bb
from pha_lite.adapter import SharedAdapters
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError
from pha_lite.model import PHAModel


def awake_adapters(layers: int, d: int = 32, b: int = 4) -> SharedAdapters:
    torch.manual_seed(3)
    adapters = SharedAdapters(layers, d, b)
    for parameter in adapters.parameters():
        nn.init.normal_(parameter, std=0.3)
    return adapters


def norm_by_hand(layer_norm, h):
    return h / torch.sqrt((h**2).mean(dim=-1, keepdim=True) + 1e-6) * layer_norm.weight


def adapter_by_hand(a: SharedAdapters, layer: int, x):
    hidden = (x @ a.down[layer] + a.down_bias[layer]).clamp(min=0)
    return hidden @ a.up[layer] + a.up_bias[layer]


def gelu_by_hand(x):
    return 0.5 * x * (1 + torch.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def encoder_by_hand(t5, ids, mask, adapters, placement):
    """T5's encoder from its published equations, one head at a time, with an adapter per block."""
    stack, heads, width = t5.encoder, t5.config.num_heads, t5.config.d_kv
    h = t5.shared.weight[ids]
    length = ids.shape[1]
    distance = torch.arange(length)[None] - torch.arange(length)[:, None]
    # Below 8 steps every distance has a bucket of its own: 0..7 backwards, 16..23 forwards.
    assert length <= 8
    bucket = distance.abs() + 16 * (distance > 0)
    bias = stack.block[0].layer[0].SelfAttention.relative_attention_bias.weight[bucket]
    closed = (mask == 0)[:, None, :]
    for layer, block in enumerate(stack.block):
        attend, feed = block.layer[0], block.layer[1]
        x, parts = norm_by_hand(attend.layer_norm, h), []
        projections = [getattr(attend.SelfAttention, n).weight for n in "qkv"]
        for head in range(heads):
            rows = slice(head * width, (head + 1) * width)
            q, k, v = (x @ w[rows].t() for w in projections)
            scores = (q @ k.transpose(1, 2) + bias[..., head]).masked_fill(closed, -1e9)
            parts.append(scores.softmax(dim=-1) @ v)
        h = h + torch.cat(parts, dim=-1) @ attend.SelfAttention.o.weight.t()
        x, dense = norm_by_hand(feed.layer_norm, h), feed.DenseReluDense
        y = gelu_by_hand(x @ dense.wi_0.weight.t()) * (x @ dense.wi_1.weight.t())
        y = y @ dense.wo.weight.t()
        if placement == "parallel":
            h = h + y + adapter_by_hand(adapters, layer, x)
        else:
            h = h + y + adapter_by_hand(adapters, layer, y)
    return norm_by_hand(stack.final_layer_norm, h)


@pytest.mark.parametrize("placement", ["parallel", "sequential"])
def test_an_encoder_with_adapters_equals_one_written_by_hand(placement):
    t5, adapters, plan = make_t5(), awake_adapters(2), bb.Plan()
    ids = torch.randint(3, 30, (2, 6))
    mask = torch.tensor([[1] * 6, [1, 1, 1, 1, 0, 0]])
    plain = t5.encoder(ids, mask).last_hidden_state
    bb.attach(t5.encoder, plan, placement)
    plan.set(adapters())
    got = t5.encoder(ids, mask).last_hidden_state
    want = encoder_by_hand(t5, ids, mask, adapters, placement)
    real = mask.bool()
    torch.testing.assert_close(got[real], want[real], atol=2e-5, rtol=1e-4)
    assert (got - plain)[real].abs().max() > 0.1


@pytest.mark.parametrize("placement", ["parallel", "sequential"])
def test_removing_the_handles_restores_the_stack(placement):
    t5, plan = make_t5(), bb.Plan()
    keys, ids = list(t5.state_dict()), torch.randint(3, 30, (2, 6))
    plain = t5.encoder(ids).last_hidden_state
    handles = bb.attach(t5.encoder, plan, placement)
    plan.set(awake_adapters(2)())
    assert not torch.equal(t5.encoder(ids).last_hidden_state, plain)
    plan.set(None)
    assert torch.equal(t5.encoder(ids).last_hidden_state, plain)
    plan.set(awake_adapters(2)())
    for handle in handles:
        handle.remove()
    assert torch.equal(t5.encoder(ids).last_hidden_state, plain)
    assert list(t5.state_dict()) == keys


def test_dropout_falls_on_the_feed_forward_part_alone():
    t5, adapters, plan = make_t5(), awake_adapters(2), bb.Plan()
    bb.attach(t5.encoder, plan, "parallel")
    plan.set(adapters())
    feed = t5.encoder.block[1].layer[-1].train()
    bb.set_dropout(t5, 0.0)
    feed.dropout.p = 1.0  # h' = h + Dropout(FFN(LN h)) + A(LN h): only the middle term goes
    h = torch.randn(2, 5, 32)
    normed = norm_by_hand(feed.layer_norm, h)
    torch.testing.assert_close(feed(h), h + adapter_by_hand(adapters, 1, normed))

    sequential, plan = make_t5(), bb.Plan()
    bb.attach(sequential.encoder, plan, "sequential")
    plan.set(adapters())
    feed = sequential.encoder.block[1].layer[-1].train()
    feed.DenseReluDense.dropout.p, feed.dropout.p = 0.0, 1.0  # here all of it goes
    torch.testing.assert_close(feed(h), h)


def test_set_dropout_reaches_attention_too():
    t5 = make_t5(dropout_rate=0.1)
    bb.set_dropout(t5, 0.3)
    attention = t5.decoder.block[0].layer[1].EncDecAttention
    assert attention.dropout == 0.3
    assert {m.p for m in t5.modules() if isinstance(m, nn.Dropout)} == {0.3}


def test_the_view_shares_memory_and_leaves_the_t5_as_it_was():
    t5 = make_t5()
    before = {n: p.clone() for n, p in t5.named_parameters()}
    view = bb.frozen_view(t5)
    for (name, own), seen in zip(t5.named_parameters(), view.parameters(), strict=True):
        assert own.requires_grad and not seen.requires_grad, name
        assert own.data_ptr() == seen.data_ptr(), name
    model = PHAModel(t5, make_tokenizer(), PHAConfig.tiny(tasks=["a"]))
    batch = model.batch(["good film"], ["yes"], "a")
    model(batch).loss.backward()
    assert all(torch.equal(before[n], p) and p.grad is None for n, p in t5.named_parameters())
    assert not any(m._forward_hooks for m in t5.modules())


def test_tied_embeddings_stay_tied_in_the_view():
    t5 = make_t5(tie_word_embeddings=True)
    view = bb.frozen_view(t5)
    assert view.lm_head.weight is view.shared.weight


def test_the_fused_gelu_is_the_same_function():
    t5 = make_t5()
    ids, labels = torch.randint(3, 30, (2, 6)), torch.randint(3, 30, (2, 3))
    view = bb.frozen_view(t5)
    assert isinstance(view.encoder.block[0].layer[-1].DenseReluDense.act, nn.GELU)
    assert not isinstance(t5.encoder.block[0].layer[-1].DenseReluDense.act, nn.GELU)
    want, got = t5(ids, labels=labels).logits, view(ids, labels=labels).logits
    torch.testing.assert_close(got, want, atol=1e-4, rtol=1e-4)


def test_a_view_of_a_models_t5_drops_our_hooks_only():
    t5 = make_t5()
    calls = []
    t5.encoder.register_forward_hook(lambda *_: calls.append(1))
    plan = bb.Plan()
    bb.attach(t5.encoder, plan)
    view = bb.frozen_view(t5)
    assert not any(m._forward_hooks for block in view.encoder.block for m in block.modules())
    view(torch.tensor([[4]]), decoder_input_ids=torch.tensor([[0]]))
    assert calls == [1]


def test_a_copy_of_a_plan_starts_empty():
    plan = bb.Plan()
    plan.set(awake_adapters(2)())
    assert copy.deepcopy(plan).weights is None


def test_fingerprints_tell_backbones_apart_but_not_precisions():
    tokenizer, t5 = make_tokenizer(), make_t5()
    same = bb.fingerprint(t5, tokenizer)
    assert bb.fingerprint(bb.frozen_view(t5), tokenizer) == same
    assert bb.fingerprint(copy.deepcopy(t5).bfloat16(), tokenizer) == same
    assert bb.fingerprint(make_t5(seed=1), tokenizer) != same
    other = make_tokenizer()
    other.add_tokens(["new"])
    assert bb.fingerprint(t5, other) != same


def test_loading_by_folder(tmp_path):
    t5, tokenizer = make_t5(), make_tokenizer()
    t5.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, words = bb.load_backbone(tmp_path)
    assert bb.fingerprint(loaded, words) == bb.fingerprint(t5, tokenizer)
    assert not loaded.training
    low, _ = bb.load_backbone(tmp_path, dtype=torch.bfloat16)
    assert low.shared.weight.dtype == torch.bfloat16


def test_what_cannot_be_loaded_is_named(tmp_path):
    with pytest.raises(PHAError, match="nowhere"):
        bb.load_backbone(tmp_path / "nowhere")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(PHAError, match="cannot be loaded"):
        bb.load_backbone(tmp_path)


def test_another_architecture_is_refused():
    with pytest.raises(PHAError, match="Linear is not a T5"):
        bb.check_t5(nn.Linear(2, 2))


def test_a_tokenizer_without_end_is_refused():
    tokenizer = make_tokenizer()
    tokenizer.backend_tokenizer.post_processor = None
    with pytest.raises(PHAError, match="</s>"):
        bb.check_tokenizer(tokenizer)


@pytest.mark.parametrize("family", ["T5 1.0", "mT5"])
def test_other_members_of_the_family(family, small_config):
    from transformers import MT5Config, MT5ForConditionalGeneration

    tokenizer = make_tokenizer()
    if family == "T5 1.0":  # one ReLU layer, tied embeddings, scaled output
        t5 = make_t5(feed_forward_proj="relu", tie_word_embeddings=True)
    else:
        torch.manual_seed(0)
        sizes = {n: getattr(make_t5().config, n) for n in ("d_model", "d_kv", "d_ff", "num_heads")}
        words = dict(vocab_size=len(tokenizer), decoder_start_token_id=0, pad_token_id=0)
        t5 = MT5ForConditionalGeneration(MT5Config(num_layers=2, eos_token_id=1, **sizes, **words))
    model = wake(PHAModel(t5.eval(), tokenizer, small_config()))
    batch = model.batch(["good film", "rain"], ["yes", "no"], ["mood", "topic"])
    out = model(batch)
    out.loss.backward()
    assert all(p.grad is not None and p.grad.any() for _, p in model.adapter_parameters())
    plain = t5(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}).logits
    assert (out.logits - plain).abs().max() > 0.01
    handles = model.bake("topic").attach(t5)
    written = t5.generate(model.batch(["rain"], None, "topic")["input_ids"], max_new_tokens=4)
    assert tokenizer.batch_decode(written, skip_special_tokens=True) == model.generate(
        ["rain"], "topic"
    )
    for handle in handles:
        handle.remove()


def test_a_model_on_the_embedded_backbone_names_it_on_any_machine(tmp_path):
    from pha_lite.config import PHAConfig
    from pha_lite.model import PHAModel

    pair = bb.load_backbone("tiny")
    model = PHAModel.from_backbone(pair, PHAConfig.tiny(tasks=["a", "b"]))
    assert model.backbone_name == "tiny"
    model.save_pretrained(tmp_path)
    assert PHAModel.from_pretrained(tmp_path).backbone_name == "tiny"
