"""Shared fixtures: a random T5 and a tokenizer, both made here without a network."""

from __future__ import annotations

import importlib.util
import os
import sys

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # a test that reaches for the network must fail

import pytest
import torch

from pha_lite.config import PHAConfig
from pha_lite.model import PHAModel

# The tests' models are so small that a second thread costs more than it brings.
torch.set_num_threads(1)

WORDS = (
    "yes no good bad maybe the a film hotel book was is not very and of it dull bright slow warm "
    "cold sky rain team match goal vote law bread soup train river one two three four five six"
).split()


def load(name: str, path):
    """A script of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def make_tokenizer():
    """A lower-casing word tokenizer with T5's special tokens; unknown words become <unk>."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = ["<pad>", "</s>", "<unk>", *WORDS]
    tokenizer = Tokenizer(
        models.WordLevel({piece: i for i, piece in enumerate(pieces)}, unk_token="<unk>")
    )
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


def make_t5(seed: int = 0, vocab: int | None = None, **overrides):
    """A random T5 of 2 + 2 layers and width 32, with weights large enough to give sharp outputs."""
    from transformers import T5Config, T5ForConditionalGeneration

    sizes = dict(
        vocab_size=len(WORDS) + 3 if vocab is None else vocab,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_decoder_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return T5ForConditionalGeneration(T5Config(**{**sizes, **overrides})).eval()


def wake(model: PHAModel, scale: float = 0.3, seed: int = 0) -> PHAModel:
    """Moves every trained number away from its almost-zero start, so that adapters matter."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, parameter in model.adapter_parameters():
            parameter.add_(scale * torch.randn(parameter.shape, generator=draw))
    return model


SMALL = dict(
    adapter_dim=4,
    prototype_dim=6,
    layer_dim=5,
    hyper_hidden=7,
    hyper_out=8,
    retriever_hidden=9,
    dropout=0.0,
    max_source_length=12,
    max_target_length=4,
)
TASKS = ["mood", "topic", "season"]


@pytest.fixture(scope="session")
def tiny_t5():
    """A function that gives (t5, tokenizer), the T5 fresh and random."""
    tokenizer = make_tokenizer()
    return lambda seed=0, **overrides: (make_t5(seed, **overrides), tokenizer)


@pytest.fixture(scope="session")
def backbone(tiny_t5):
    """One (t5, tokenizer) for tests that leave it as it is."""
    return tiny_t5()


@pytest.fixture
def small_config():
    """A function that gives a small PHAConfig with three tasks."""
    return lambda **overrides: PHAConfig(**{"tasks": TASKS, **SMALL, **overrides})


@pytest.fixture
def build(backbone, small_config):
    """A function that gives a small model whose adapters do something."""

    def make(awake: bool = True, **overrides) -> PHAModel:
        model = PHAModel.from_backbone(backbone, small_config(**overrides))
        return wake(model) if awake else model

    return make
