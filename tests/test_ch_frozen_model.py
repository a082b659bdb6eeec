"""The chapter "A frozen model and too little data": what it builds by hand, against the package."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from test_chapters import lift
from transformers.models.t5.modeling_t5 import T5Attention

from pha_lite.config import PHAConfig
from pha_lite.inference import score_labels
from pha_lite.losses import lm_loss
from pha_lite.model import PHAModel
from pha_lite.retriever import masked_mean
from pha_lite.tasks import Task

TEXTS = ["good film", "the hotel was cold and dull", "one two", "rain", "a warm and slow river"]
WORDS = ("yes", "no no", "maybe")  # of different lengths


@pytest.fixture(scope="module")
def chapter():
    return lift("frozen_model")


@pytest.fixture
def network(tiny_t5):
    """A random T5 whose norms have gains of their own, frozen, and its tokenizer."""
    t5, tokenizer = tiny_t5(seed=3)
    draw = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, weight in t5.named_parameters():
            if "layer_norm" in name:
                weight.add_(0.3 * torch.randn(weight.shape, generator=draw))
    return t5.requires_grad_(False), tokenizer


def test_loss_of_an_answer(chapter, network):
    t5, tokenizer = network
    targets = ["yes", "no no", "maybe the film", "", "a"]
    batch = chapter["batch_of"](tokenizer, TEXTS, targets)
    assert (batch["labels"] == -100).any()
    given = chapter["shift_right"](batch["labels"])
    assert torch.equal(given, t5._shift_right(batch["labels"]))
    out = t5(**batch)
    mine = chapter["answer_loss"](out.logits, batch["labels"])
    torch.testing.assert_close(mine, lm_loss(out.logits, batch["labels"], smoothing=0.0))
    torch.testing.assert_close(mine, out.loss)


def test_ranking(chapter, network):
    t5, tokenizer = network
    options = dict(encoder="none", decoder="none", instance_weight=0, prototype_weight=0)
    bare = PHAModel.from_backbone((t5, tokenizer), PHAConfig.tiny(tasks=["a"], **options))
    mine = chapter["rank"](t5, tokenizer, TEXTS, WORDS)
    torch.testing.assert_close(mine, score_labels(bare, TEXTS, "a", WORDS), atol=1e-4, rtol=1e-4)
    answers = [WORDS[c] for c in mine.argmax(dim=1).tolist()]
    rows = {"source": TEXTS, "target": [*answers[:3], "none", "none"]}
    assert chapter["accuracy"](t5, tokenizer, rows, WORDS) == pytest.approx(0.6)


@pytest.mark.parametrize("both", [True, False])
@pytest.mark.parametrize(("buckets", "far"), [(32, 128), (16, 40)])
def test_buckets(chapter, both, buckets, far):
    distance = torch.arange(-3 * far, 3 * far)
    theirs = T5Attention._relative_position_bucket(distance, both, buckets, far)
    assert torch.equal(chapter["bucket"](distance, both, buckets, far), theirs)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_position_bias(chapter, network, stack):
    attention = getattr(network[0], stack).block[0].layer[0].SelfAttention
    table = attention.relative_attention_bias.weight
    mine = chapter["position_bias"](table, 11, 11, both=stack == "encoder")
    torch.testing.assert_close(mine, attention.compute_bias(11, 11)[0])


def test_encoder_by_hand(chapter, network):
    t5, _ = network
    ids = torch.randint(3, 40, (17,), generator=torch.Generator().manual_seed(0))
    mine = chapter["encode_by_hand"](t5.encoder, ids)
    theirs = t5.encoder(ids.unsqueeze(0)).last_hidden_state[0]
    torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-4)


def test_one_head_reads_another_text(chapter):
    """Cross-attention: the same function, held against torch's own."""
    x, s, *w = (torch.randn(n, 12) for n in (3, 5, 4, 4, 4))
    bias = torch.randn(3, 5)
    mixed, weights = chapter["one_head"](x, s, *w, bias)
    q, k, v = x @ w[0].T, s @ w[1].T, s @ w[2].T
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=bias, scale=1.0)
    torch.testing.assert_close(mixed, theirs)
    torch.testing.assert_close(weights.sum(dim=1), torch.ones(3))


def test_pooled_states_leave_padding_out(chapter, network):
    t5, tokenizer = network
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    states = t5.encoder(**batch).last_hidden_state
    mine = torch.tensor(chapter["pooled"](t5, tokenizer, TEXTS))
    torch.testing.assert_close(mine, masked_mean(states, batch["attention_mask"]))
    alone = torch.tensor(chapter["pooled"](t5, tokenizer, TEXTS[:1]))
    torch.testing.assert_close(mine[:1], alone, atol=1e-5, rtol=1e-4)


def test_draws_are_nested_and_batches_are_complete(chapter):
    rows = {"source": [str(i) for i in range(60)], "target": ["yes", "no"] * 30}
    task = Task.from_rows("t", {"train": rows}, labels=("no", "yes"))
    small, large = (chapter["draw"](task, n, 1) for n in (8, 20))
    assert small["target"].count("yes") == 4
    assert large["source"][:8] == small["source"]
    stream = chapter["batches"](small, 3, seed=0)
    for _ in range(2):  # two rounds over the rows
        seen = [source for _ in range(3) for source in next(stream)[0]]
        assert sorted(seen) == sorted(small["source"])


def test_fine_tuning_trains_a_copy_and_keeps_the_best(chapter, network):
    t5, tokenizer = network
    before = {name: weight.clone() for name, weight in t5.state_dict().items()}
    rows = {"source": TEXTS[:4], "target": ["yes", "no no", "no no", "yes"]}
    chapter.update(tokenizer=tokenizer, STEPS=12, EVERY=3)
    options = dict(rate=1e-2, seed=0, part="decoder")
    tuned, best = chapter["fine_tune"](t5, rows, rows, WORDS[:2], **options)
    assert best == chapter["accuracy"](tuned, tokenizer, rows, WORDS[:2])
    moved = {n for n, w in tuned.state_dict().items() if not torch.equal(w, before[n])}
    assert moved and all(name.startswith("decoder.") for name in moved)
    assert "decoder.embed_tokens.weight" not in moved, "the shared table is no part of it"
    assert all(torch.equal(w, before[n]) for n, w in t5.state_dict().items())


def test_luck_of_the_best(chapter):
    """One row and two coins: the better one is right in three of four games."""
    assert chapter["winner"](2, 1, 40_000, 0).mean() == pytest.approx(0.75, abs=0.01)
    scores = chapter["winner"](1, 100, 40_000, 0)
    inside = np.abs(scores - 0.5) <= chapter["half_width"](0.5, 100)
    assert inside.mean() == pytest.approx(0.943, abs=0.01)  # counts 41 to 59
    assert chapter["half_width"](0.8, 100) == pytest.approx(1.96 * math.sqrt(0.16) / 10)
