"""Pretrain the small T5 that every live experiment stands on.

The recipe is our own choice: a stock `transformers` T5 with gated GELU and unscaled output, span
corruption on documents of the small world (and, if a folder of plain text is given, on English),
mixed half and half with reading exercises, Muon on the blocks' matrices and AdamW on the rest.
Step i draws its batch from (seed, i) alone, so a killed run goes on exactly where it was.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from tqdm import tqdm

from pha_lite.errors import PHAError
from pha_lite.world import lexicon
from pha_lite.world.documents import EXTRA_WORDS, LABEL_WORDS, document, echo, exercise
from pha_lite.world.rng import Rng

SENTINELS = 32
SPECIALS = ["<pad>", "</s>", "<unk>", *(f"<extra_id_{i}>" for i in range(SENTINELS))]
FUNCTION_WORDS = (
    "the a an to in on at of and by was were is are be that it did not . , : ? with for as"
).split()


@dataclass
class Recipe:
    """All numbers of a pretraining run.

    Attributes:
        documents, exercises, english: rows of each kind in one step.
        window: tokens of one English row.
        source_width, target_width: every batch is padded (in rare cases cut) to these, so that a
            compiled step meets one shape only.
        echoes: so many of the documents say everything twice (`world.documents.echo`).
        noise: share of a document's tokens that is masked.
        exercise_loss: weight of the exercises' mean token loss; the documents' is 1.
        muon_lr, adam_lr: peak learning rates; both warm up, then fall linearly to `floor` x peak.
    """

    steps: int = 9_000
    documents: int = 22
    exercises: int = 54
    english: int = 4
    window: int = 40
    source_width: int = 48
    target_width: int = 22
    echoes: int = 6
    noise: float = 0.22
    exercise_loss: float = 1.0
    muon_lr: float = 0.006
    adam_lr: float = 2e-3
    weight_decay: float = 0.1
    warmup: int = 200
    floor: float = 0.02
    clip: float = 1.0
    seed: int = 0
    d_model: int = 128
    d_ff: int = 384
    heads: int = 4
    encoder_layers: int = 4
    decoder_layers: int = 3
    pieces: int = 3300  # English pieces beside the world's words


# --- tokenizer -----------------------------------------------------------------------------------


def build_tokenizer(texts: Iterable[str], pieces: int = 3300):
    """A lower-casing unigram tokenizer: whole words of the world, pieces of English, raw bytes.

    Args:
        texts: plain text from which the English pieces are learnt.
        pieces: how many of them at most.

    Returns:
        A `PreTrainedTokenizerFast` that can write any text (unknown characters as bytes).
    """
    from tokenizers import (
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
        processors,
        trainers,
    )
    from transformers import PreTrainedTokenizerFast

    normal = normalizers.Sequence(
        [normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\s+"), " ")]
    )
    split = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation(), pre_tokenizers.Digits(True)]
    )
    learner = Tokenizer(models.Unigram())
    learner.normalizer, learner.pre_tokenizer = normal, split
    learner.train_from_iterator(
        texts, trainers.UnigramTrainer(vocab_size=pieces, unk_token="<unk>", show_progress=False)
    )
    scores = dict(json.loads(learner.to_str())["model"]["vocab"])
    scores.pop("<unk>", None)
    whole = dict.fromkeys([*lexicon.words(), *EXTRA_WORDS, *LABEL_WORDS])
    scores |= {f"▁{w}": max(scores.get(f"▁{w}", -9.0), -9.0) for w in whole}
    scores |= {mark: scores.get(mark, -6.0) for mark in (*".,:;?!'\"-()/", *"0123456789", "▁")}
    scores |= {f"<0x{i:02X}>": -20.0 for i in range(256)}
    vocab = [(token, 0.0) for token in SPECIALS] + list(scores.items())
    tok = Tokenizer(models.Unigram(vocab, unk_id=2, byte_fallback=True))
    tok.normalizer, tok.pre_tokenizer = normal, split
    tok.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Metaspace()])
    tok.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tok,
        pad_token="<pad>",
        eos_token="</s>",
        unk_token="<unk>",
        additional_special_tokens=SPECIALS[3:],
        model_max_length=512,
    )


def read_corpus(folder: str | os.PathLike, limit: int | None = None) -> list[str]:
    """Paragraphs of all .txt and .md files below a folder, in the order of the files' names."""
    files = sorted(p for p in Path(folder).rglob("*") if p.suffix in (".txt", ".md"))
    if not files:
        raise PHAError(f"no .txt or .md file below {folder}; give a folder of plain text")
    found, size = [], 0
    for path in files:
        for paragraph in path.read_text(encoding="utf-8", errors="replace").split("\n\n"):
            text = " ".join(paragraph.split())
            if len(text) > 60:
                found.append(text)
                size += len(text)
        if limit and size > limit:
            break
    return found


# --- batches -------------------------------------------------------------------------------------


def corrupt(
    ids: list[int], rng: np.random.Generator, noise: float, weight: np.ndarray
) -> tuple[list[int], list[int]]:
    """T5's span corruption: masked spans become sentinels, the target names what they hid.

    Args:
        ids: tokens of one document (no end mark).
        rng: source of the choice.
        noise: share of tokens to mask.
        weight: (vocabulary,) how likely a token is to start a span; function words are less.

    Returns:
        Source and target token lists, both ended by `</s>` (id 1).
    """
    n = len(ids)
    goal = max(1, round(n * noise))
    start = rng.random(n) ** (1.0 / weight[ids])  # weighted order without replacement
    masked = np.zeros(n, dtype=bool)
    for i in np.argsort(-start):
        if masked.sum() >= goal:
            break
        masked[i : i + rng.choice((1, 2, 3), p=(0.65, 0.25, 0.1))] = True
    source, target, sentinel = [], [], -1
    for i, token in enumerate(ids):
        if not masked[i]:
            source.append(token)
            continue
        if i == 0 or not masked[i - 1]:
            sentinel += 1
            mark = 3 + min(sentinel, SENTINELS - 1)
            source.append(mark)
            target.append(mark)
        target.append(token)
    return [*source, 1], [*target, 1]


def _pad(rows: list[list[int]], value: int, width: int) -> torch.Tensor:
    return torch.tensor([row[:width] + [value] * (width - len(row)) for row in rows])


class Batches:
    """Step i's batch, drawn from (seed, i) alone."""

    def __init__(self, recipe: Recipe, tokenizer, english: np.ndarray | None) -> None:
        self.recipe, self.tokenizer, self.english = recipe, tokenizer, english
        self.weight = np.ones(len(tokenizer))
        for word in FUNCTION_WORDS:
            self.weight[tokenizer.encode(word, add_special_tokens=False)] = 0.3

    def _encode(self, texts: list[str]) -> list[list[int]]:
        return self.tokenizer(texts, add_special_tokens=False)["input_ids"]

    def __call__(self, step: int, stream: str = "train") -> dict[str, torch.Tensor]:
        """Tensors input_ids (B, S), labels (B, T; -100 pads) and exercise (B, bool)."""
        rc, r = self.recipe, Rng(self.recipe.seed, stream, step)
        rng = np.random.default_rng([rc.seed, step, len(stream)])
        texts = [document(r) for _ in range(rc.documents - rc.echoes)]
        documents = self._encode(texts + [echo(r) for _ in range(rc.echoes)])
        if self.english is not None:
            for _ in range(rc.english):
                at = rng.integers(len(self.english) - rc.window)
                documents.append(self.english[at : at + rc.window].tolist())
        pairs = [corrupt(ids, rng, rc.noise, self.weight) for ids in documents]
        asked = [exercise(r) for _ in range(rc.exercises)]
        sources = self._encode([a for a, _ in asked])
        targets = self._encode([b for _, b in asked])
        pairs += [([*s, 1], [*t, 1]) for s, t in zip(sources, targets, strict=True)]
        kind = torch.arange(len(pairs)) >= len(documents)
        return {
            "input_ids": _pad([s for s, _ in pairs], 0, rc.source_width),
            "labels": _pad([t for _, t in pairs], -100, rc.target_width),
            "exercise": kind,
        }


# --- model and optimisers ------------------------------------------------------------------------


def new_backbone(recipe: Recipe, vocab_size: int):
    """A randomly initialised stock T5 of the recipe's size, also the control of comparisons."""
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(recipe.seed)
    model = T5ForConditionalGeneration(
        T5Config(
            vocab_size=vocab_size,
            d_model=recipe.d_model,
            d_kv=recipe.d_model // recipe.heads,
            d_ff=recipe.d_ff,
            num_layers=recipe.encoder_layers,
            num_decoder_layers=recipe.decoder_layers,
            num_heads=recipe.heads,
            feed_forward_proj="gated-gelu",
            tie_word_embeddings=False,  # in transformers 5: output not scaled, yet tied
            dropout_rate=0.0,
            decoder_start_token_id=0,
            pad_token_id=0,
            eos_token_id=1,
        )
    )
    # transformers 5 ties head and embedding whatever one asks for, and here does not scale the
    # output. The stock std of 1 would mean first logits of size sqrt(d) and a long plateau.
    torch.nn.init.normal_(model.lm_head.weight, std=recipe.d_model**-0.5)
    return model


def optimisers(model, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the blocks' matrices, AdamW for embeddings, head, norms and position biases."""
    matrices, rest = [], []
    for name, p in model.named_parameters():
        inside = "block" in name and p.ndim == 2 and "relative_attention_bias" not in name
        (matrices if inside else rest).append(p)
    return [
        torch.optim.Muon(
            matrices, lr=recipe.muon_lr, momentum=0.95, weight_decay=recipe.weight_decay
        ),
        torch.optim.AdamW(rest, lr=recipe.adam_lr, betas=(0.9, 0.95), weight_decay=0.0),
    ]


def rate(step: int, recipe: Recipe) -> float:
    """The factor on both learning rates at a step: linear warm-up, then linear decay."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    left = (recipe.steps - step) / max(1, recipe.steps - recipe.warmup)
    return recipe.floor + (1 - recipe.floor) * left


def inputs(model, batch: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What the T5 itself reads of a batch."""
    return {
        "input_ids": batch["input_ids"],
        "attention_mask": (batch["input_ids"] != 0).long(),
        "decoder_input_ids": model._shift_right(batch["labels"]),
    }


def losses(
    logits: torch.Tensor, batch: dict[str, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean token loss of the documents and of the exercises, from logits (B, T, vocabulary)."""
    labels = batch["labels"]
    token = F.cross_entropy(
        logits.float().flatten(0, 1), labels.flatten(), reduction="none"
    ).view_as(labels)
    real, asked = labels != -100, batch["exercise"][:, None]
    # Sums over masks, not selections: one static shape for a compiled step.
    told, asked = real & ~asked, real & asked
    return (token * told).sum() / told.sum(), (token * asked).sum() / asked.sum()


@torch.no_grad()
def examine(model, batches: Batches, n: int = 4) -> dict[str, float]:
    """Held-out losses, share of tokens restored, of exercises solved, and the state's size."""
    got = {"document_loss": [], "exercise_loss": [], "masked_right": [], "exercise_right": []}
    rms = []
    for i in range(n):
        batch = batches(i, "held out")
        out = model(**inputs(model, batch), output_hidden_states=True)
        doc, ex = losses(out.logits, batch)
        real = batch["labels"] >= 3 + SENTINELS
        hit = out.logits.argmax(-1) == batch["labels"]
        rows = batch["exercise"]
        got["document_loss"].append(doc.item())
        got["exercise_loss"].append(ex.item())
        got["masked_right"].append(hit[~rows][real[~rows]].float().mean().item())
        whole = (hit | ~real).all(1)
        got["exercise_right"].append(whole[rows].float().mean().item())
        rms.append(out.encoder_hidden_states[-2].float().pow(2).mean().sqrt().item())
    bias = max(
        p.abs().max().item() for k, p in model.named_parameters() if "relative_attention" in k
    )
    return {k: float(np.mean(v)) for k, v in got.items()} | {
        "residual_rms": float(np.mean(rms)),
        "largest_position_bias": bias,
    }


# --- the run -------------------------------------------------------------------------------------


def _save(path: Path, state: dict) -> None:
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    with open(beside, "rb+") as f:
        os.fsync(f.fileno())
    beside.replace(path)


def export(model, tokenizer, folder: str | os.PathLike) -> None:
    """Write the backbone (bf16 safetensors, configuration, tokenizer) to a folder."""
    import copy

    plain = copy.deepcopy(model).to(torch.bfloat16)
    plain.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pretrain(
    output: str | os.PathLike,
    recipe: Recipe | None = None,
    corpus: str | os.PathLike | None = None,
    tokenizer: str | os.PathLike | None = None,
    examine_every: int = 500,
    compiled: bool = False,
    progress: bool = True,
) -> Path:
    """Run or go on with a pretraining run.

    Args:
        output: folder of the run: `state.pt` (to go on from), `log.jsonl`, `recipe.json`, and at
            the end `backbone/`.
        recipe: numbers of the run; a run that goes on must have the recipe it began with.
        corpus: folder of plain-text English; without it only the small world is read.
        tokenizer: folder of a tokenizer to use; without it one is built.
        examine_every: steps between two rows of the log, each with a saved state.
        compiled: run steps through `torch.compile` (a quarter faster here; needs a C++ compiler).

    Returns:
        The folder with the finished backbone.

    Raises:
        PHAError: the folder holds a run with another recipe, or there is no text to read.
    """
    from transformers import PreTrainedTokenizerFast

    recipe, output = recipe or Recipe(), Path(output)
    paragraphs = read_corpus(corpus) if corpus else []
    output.mkdir(parents=True, exist_ok=True)
    kept = output / "recipe.json"
    if kept.exists() and json.loads(kept.read_text()) != asdict(recipe):
        raise PHAError(f"{output} holds a run with another recipe; give another output folder")
    kept.write_text(json.dumps(asdict(recipe), indent=1))

    home = output / "backbone"
    if tokenizer is None and not (home / "tokenizer.json").exists():
        r = Rng(recipe.seed, "tokenizer")
        sample = r.picks(paragraphs, min(len(paragraphs), 20_000)) if paragraphs else []
        texts = sample or [document(r) for _ in range(20_000)]
        build_tokenizer(texts, recipe.pieces).save_pretrained(home)
    tok = PreTrainedTokenizerFast.from_pretrained(tokenizer or home)
    english = None
    if paragraphs:
        ids = tok(paragraphs, add_special_tokens=False)["input_ids"]
        english = np.concatenate([np.asarray(row, dtype=np.int32) for row in ids])

    batches = Batches(recipe, tok, english)
    model = new_backbone(recipe, len(tok))
    opts = optimisers(model, recipe)
    peaks = [[g["lr"] for g in o.param_groups] for o in opts]
    state, first, seconds, tokens = output / "state.pt", 0, 0.0, 0
    if state.exists():
        found = torch.load(state, weights_only=True)
        model.load_state_dict(found["model"])
        for o, s in zip(opts, found["optimisers"], strict=True):
            o.load_state_dict(s)
        first, seconds, tokens = found["step"], found["seconds"], found["tokens"]

    forward = torch.compile(model, dynamic=False) if compiled else model
    bar = tqdm(range(first, recipe.steps), initial=first, total=recipe.steps, disable=not progress)
    began = time.perf_counter()
    for step in bar:
        batch = batches(step)
        for o, peak in zip(opts, peaks, strict=True):
            for group, lr in zip(o.param_groups, peak, strict=True):
                group["lr"] = lr * rate(step, recipe)
        with torch.autocast("cpu", torch.bfloat16):
            doc, ex = losses(forward(**inputs(model, batch)).logits, batch)
        loss = doc + recipe.exercise_loss * ex
        if not math.isfinite(loss.item()):
            raise PHAError(f"loss is {loss.item()} at step {step}; lower the learning rates")
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for o in opts:
            o.step()
            o.zero_grad(set_to_none=True)
        tokens += int((batch["input_ids"] != 0).sum()) + int((batch["labels"] != -100).sum())
        bar.set_postfix(doc=f"{doc.item():.2f}", ex=f"{ex.item():.2f}", refresh=False)
        done = step + 1
        if done % examine_every == 0 or done == recipe.steps:
            took = seconds + time.perf_counter() - began
            row = {"step": done, "seconds": round(took, 1), "tokens": tokens}
            row |= {k: round(v, 4) for k, v in examine(model, batches).items()}
            with open(output / "log.jsonl", "a") as log:
                log.write(json.dumps(row) + "\n")
            _save(
                state,
                {
                    "model": model.state_dict(),
                    "optimisers": [o.state_dict() for o in opts],
                    "step": done,
                    "seconds": took,
                    "tokens": tokens,
                },
            )
    export(model, tok, home)
    return home


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `pha pretrain`."""
    parser.add_argument("--output", required=True, help="folder of the run (goes on if it exists)")
    parser.add_argument("--corpus", help="folder of plain English text (.txt, .md), optional")
    parser.add_argument("--tokenizer", help="folder of a tokenizer to use instead of a new one")
    parser.add_argument("--steps", type=int, default=Recipe.steps, help="optimiser steps")
    parser.add_argument("--seed", type=int, default=0, help="seed of weights and text")
    parser.add_argument("--compile", action="store_true", help="use torch.compile")


def main(args: argparse.Namespace) -> None:
    """Entry of `pha pretrain`."""
    home = pretrain(
        args.output,
        Recipe(steps=args.steps, seed=args.seed),
        corpus=args.corpus,
        tokenizer=args.tokenizer,
        compiled=args.compile,
    )
    print(f"backbone written to {home}")
