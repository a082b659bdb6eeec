"""Pretraining: nothing is lost in span corruption, and a killed run goes on bit for bit."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pha_lite.errors import PHAError
from pha_lite.pretrain import (
    FUNCTION_WORDS,
    SENTINELS,
    Batches,
    Recipe,
    build_tokenizer,
    corrupt,
    losses,
    new_backbone,
    pretrain,
    rate,
    read_corpus,
)
from pha_lite.world.documents import document
from pha_lite.world.lexicon import words
from pha_lite.world.rng import Rng

SMALL = dict(
    steps=4, documents=3, exercises=3, english=1, window=12, d_model=16, d_ff=24, heads=2,
    encoder_layers=1, decoder_layers=1, pieces=300, warmup=2,
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    r = Rng(0, "test tokenizer")
    return build_tokenizer([document(r) for _ in range(300)], 300)


def test_words_of_the_world_are_one_piece_each(tokenizer):
    split = [w for w in words() if len(tokenizer.tokenize(w)) != 1]
    assert set(split) <= set(FUNCTION_WORDS)  # so common that their pieces may score higher


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Z")), min_size=1, max_size=30))
def test_any_text_can_be_written_without_unknowns(tokenizer, text):
    assert tokenizer.unk_token_id not in tokenizer(text).input_ids


def test_text_comes_back_in_lower_case(tokenizer):
    ids = tokenizer("Tom's café: 12 cups, ok?").input_ids
    assert tokenizer.decode(ids, skip_special_tokens=True) == "tom's café: 12 cups, ok?"


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 60), st.integers(0, 10**6), st.floats(0.05, 0.6))
def test_corruption_can_be_undone(n, seed, noise):
    rng = np.random.default_rng(seed)
    ids = rng.integers(40, 90, size=n).tolist()
    source, target = corrupt(ids, rng, noise, np.ones(100))
    assert source[-1] == target[-1] == 1
    spans, mark = {}, None
    for token in target[:-1]:
        if 3 <= token < 3 + SENTINELS:
            mark = token
            spans[mark] = []
        else:
            spans[mark].append(token)
    whole = []
    for token in source[:-1]:
        whole += spans.pop(token) if token in spans else [token]
    assert whole == ids and not spans
    hidden = n - sum(t >= 40 for t in source)
    assert max(1, round(n * noise)) <= hidden <= max(1, round(n * noise)) + 2


def test_salient_words_are_masked_more_often(tokenizer):
    rng = np.random.default_rng(0)
    weight = np.ones(100)
    weight[50:] = 0.3
    ids = [40, 60] * 10
    hidden = [0, 0]
    for _ in range(300):
        source, _ = corrupt(ids, rng, 0.2, weight)
        hidden[0] += 10 - source.count(40)
        hidden[1] += 10 - source.count(60)
    assert hidden[0] > 1.4 * hidden[1]


def test_losses_are_token_means_of_each_kind(tokenizer):
    recipe = Recipe(**SMALL)
    batch = Batches(recipe, tokenizer, None)(0)
    logits = torch.randn(*batch["labels"].shape, len(tokenizer))
    doc, ex = losses(logits, batch)
    for value, rows in ((doc, ~batch["exercise"]), (ex, batch["exercise"])):
        log = logits[rows].log_softmax(-1)
        labels = batch["labels"][rows]
        terms = [
            -log[i, j, labels[i, j]]
            for i in range(labels.shape[0])
            for j in range(labels.shape[1])
            if labels[i, j] != -100
        ]
        assert torch.allclose(value, torch.stack(terms).mean(), atol=1e-5)


def test_rate_warms_up_and_falls_to_its_floor():
    recipe = Recipe(steps=100, warmup=10, floor=0.1)
    assert rate(0, recipe) == pytest.approx(0.1)
    assert rate(10, recipe) == pytest.approx(1.0)
    assert rate(100, recipe) == pytest.approx(0.1)
    assert all(rate(i, recipe) >= rate(i + 1, recipe) for i in range(10, 100))


def test_batches_depend_on_seed_and_step_alone(tokenizer):
    english = np.arange(40, 140, dtype=np.int32)
    one, two = (Batches(Recipe(**SMALL), tokenizer, english) for _ in "ab")
    two(0)
    for key, value in one(3).items():
        assert torch.equal(value, two(3)[key])
    assert not torch.equal(one(3)["input_ids"], one(4)["input_ids"])


def test_new_backbone_starts_with_small_logits():
    model = new_backbone(Recipe(), 500)
    ids = torch.randint(3, 500, (4, 12))
    with torch.no_grad():
        logits = model(input_ids=ids, decoder_input_ids=ids).logits
    assert 0.3 < logits.std() < 3


def test_a_killed_run_goes_on_bit_for_bit(tmp_path, monkeypatch):
    corpus = tmp_path / "text"
    corpus.mkdir()
    r = Rng(0, "corpus")
    (corpus / "a.md").write_text("\n\n".join(document(r) for _ in range(200)))
    recipe = Recipe(**SMALL)
    arguments = dict(corpus=corpus, examine_every=2, progress=False)
    whole = pretrain(tmp_path / "whole", recipe, **arguments)

    import pha_lite.pretrain as module

    real = module.Batches.__call__

    def dies(self, step, stream="train"):
        if step == 3 and stream == "train":
            raise KeyboardInterrupt
        return real(self, step, stream)

    monkeypatch.setattr(module.Batches, "__call__", dies)
    with pytest.raises(KeyboardInterrupt):
        pretrain(tmp_path / "cut", recipe, **arguments)
    monkeypatch.undo()
    cut = pretrain(tmp_path / "cut", recipe, **arguments)
    assert (cut / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()
    log = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in log] == [2, 4]


def test_another_recipe_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / "recipe.json").write_text(json.dumps({"steps": 1}))
    with pytest.raises(PHAError, match="another recipe"):
        pretrain(tmp_path, Recipe(**SMALL), progress=False)


def test_a_corpus_without_text_is_named(tmp_path):
    with pytest.raises(PHAError, match="plain text"):
        read_corpus(tmp_path)
