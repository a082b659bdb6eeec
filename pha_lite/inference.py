"""From texts to answers and embeddings: what PHAModel does outside training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from .checkpoint import digest
from .errors import PHAError
from .retriever import masked_mean

if TYPE_CHECKING:
    from .model import PHAModel


def check_texts(texts: Sequence[str], what: str, least: int = 0) -> list[str]:
    """The texts as a list, or a PHAError that names the first thing that is no text."""
    if isinstance(texts, str):
        raise PHAError(f"{what}: give a list of texts, not a single string.")
    texts = list(texts)
    if len(texts) < least:
        raise PHAError(f"{what}: give at least {least} text.")
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise PHAError(f"{what}[{row}] is {type(text).__name__}, not a text.")
    return texts


def check_count(value: int, what: str) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise PHAError(f"{what}={value!r}: give a whole number of at least 1.")


def generate(
    model: PHAModel,
    sources: Sequence[str],
    tasks: str | Sequence[str],
    num_beams: int = 1,
    max_new_tokens: int | None = None,
) -> list[str]:
    """`PHAModel.generate`: adapters are made once, before decoding starts."""
    max_new_tokens = model.config.max_target_length if max_new_tokens is None else max_new_tokens
    check_count(num_beams, "num_beams")
    check_count(max_new_tokens, "max_new_tokens")
    sources = check_texts(sources, "sources")
    if not sources:
        return []
    from transformers.modeling_outputs import BaseModelOutput

    with model.inference():
        batch = model.batch(sources, None, tasks)
        states, _ = model.start(batch, copies=num_beams, embed=False)
        # The encoder has run; generate() repeats its states per beam as the route repeats rows.
        ids = model.t5.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=batch["attention_mask"],
            num_beams=num_beams,
            max_new_tokens=max_new_tokens,
            do_sample=False,
        )
    texts = model.tokenizer.batch_decode(ids, skip_special_tokens=True)
    return [text.strip() for text in texts]


def predict(
    model: PHAModel,
    texts: Sequence[str],
    task,
    labels: Sequence[str] | None = None,
    method: str = "auto",
    batch_size: int = 64,
    progress: bool = False,
) -> list[str]:
    """`PHAModel.predict`: rows sorted by length, answered in batches, put back in order."""
    texts = check_texts(texts, "texts")
    check_count(batch_size, "batch_size")
    if hasattr(task, "labels"):
        labels = task.labels if labels is None else labels
        task = task.name
    names = [model.config.tasks[t] for t in model.task_ids(task, len(texts))]
    if method not in ("auto", "rank", "generate"):
        raise PHAError(f"method={method!r}: choose 'auto', 'rank' or 'generate'.")
    if method == "auto":
        method = "generate" if labels is None else "rank"
    if method == "rank":
        labels = check_texts(() if labels is None else labels, "labels", least=1)
        if len(set(labels)) < len(labels):
            raise PHAError(f"labels {labels}: a label word stands twice; give each class its own.")

    answers = [""] * len(texts)
    for rows in _batches(texts, batch_size, progress):
        sources, tasks = [texts[row] for row in rows], [names[row] for row in rows]
        if method == "rank":
            best = score_labels(model, sources, tasks, labels).argmax(dim=1).tolist()
            found = [labels[c] for c in best]
        else:
            found = generate(model, sources, tasks)
        for row, answer in zip(rows, found, strict=True):
            answers[row] = answer
    return answers


def score_labels(
    model: PHAModel, sources: Sequence[str], tasks: str | Sequence[str], labels: Sequence[str]
) -> Tensor:
    """(B, C) log-probability of every label word, summed over its tokens and the closing </s>.

    The encoder runs once per source; all candidates are decoded side by side, without a loop.
    """
    with model.inference():
        batch = model.batch(sources, None, tasks)
        tokens = model.tokenize(list(labels), None)
        ids, real = tokens["input_ids"], tokens["attention_mask"]
        count, rows = len(labels), len(batch["task_ids"])
        states, _ = model.start(batch, copies=count, embed=False)
        logits = model.decode(
            states.repeat_interleave(count, dim=0),
            batch["attention_mask"].repeat_interleave(count, dim=0),
            ids.masked_fill(real == 0, -100).repeat(rows, 1),
        )
        wanted = ids.repeat(rows, 1).unsqueeze(-1)
        logits = logits.float()
        log_p = logits.gather(-1, wanted).squeeze(-1) - logits.logsumexp(dim=-1)
        return (log_p * real.repeat(rows, 1)).sum(dim=1).view(rows, count)


def embed(model: PHAModel, texts: Sequence[str], batch_size: int = 64) -> Tensor:
    """`PHAModel.embed`: the encoder with its shared adapters, masked mean, retriever, length 1."""
    texts = check_texts(texts, "texts")
    check_count(batch_size, "batch_size")
    retriever = model.trained.retriever
    width = model.t5.config.d_model if retriever is None else model.config.prototype_dim
    result = torch.empty(len(texts), width)
    shared = model.trained.encoder.stacked() if model.config.encoder == "shared" else None
    with model.inference():
        model.encoder_plan.set(shared)
        for rows in _batches(texts, batch_size):
            batch = model.tokenize([texts[row] for row in rows], model.config.max_source_length)
            pooled = masked_mean(model.encode(batch), batch["attention_mask"])
            z = pooled if retriever is None else retriever(pooled)
            result[rows] = F.normalize(z.float(), dim=-1).cpu()
    return result


def embedder_digest(model: PHAModel) -> str:
    """Digest of all that `embed` reads of a model: embeddings of equal digests may be compared.

    The backbone, tensors of the T5 that are tuned, encoder adapters that all tasks share, the
    retriever, and the length at which texts are cut. Not what belongs to tasks: one may be added.
    """
    trained = model.trained
    parts = {"t5": trained.t5, "retriever": trained.retriever}
    if model.config.encoder == "shared":
        parts["encoder"] = trained.encoder
    tensors = {
        f"{name}.{key}": tensor.detach().cpu()
        for name, part in parts.items()
        if part is not None
        for key, tensor in part.state_dict().items()
    }
    return digest(tensors, f"{model.fingerprint()} {model.config.max_source_length}")


def _batches(texts: list[str], batch_size: int, progress: bool = False):
    """Row numbers in batches of similar length, so that little is padded."""
    order = sorted(range(len(texts)), key=lambda row: -len(texts[row]))
    starts = range(0, len(order), batch_size)
    if progress:
        from tqdm import tqdm

        starts = tqdm(starts, desc="predict", leave=False)
    for first in starts:
        yield order[first : first + batch_size]
