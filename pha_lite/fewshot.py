"""A new task from k examples: where its prototype starts, what is tuned, what that is worth.

The paper starts a new task from the prototype its retriever finds and has the hypernetwork make the
adapters from it; its released code holds nothing of this. So the procedure here is **our choice**:
the mean cosine of the k inputs with every prototype decides. The other starts are controls, without
which no gain can be put down to retrieval, and `"loss"` is an extension of ours that reads the k
answers too: inputs alone cannot tell two questions about the same text apart.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
import torch

from .batching import Encoded, collate, encode
from .config import PHAConfig
from .errors import PHAError, unknown
from .evaluate import score
from .model import PHAModel
from .sampling import TaskSampler
from .tasks import Task

STARTS = ("retrieved", "loss", "fresh", "random", "mean", "wrong", "oracle", "fresh_adapter")
TUNES = ("none", "prototype", "hypernetwork", "all")
# Rates where none is given. Validation data chose those of the prototype and of a fresh adapter
# (`data/results/few_shot.json`); for what other tasks share, small steps are our choice.
RATES = {"prototype": 1e-1, "hypernetwork": 1e-3, "all": 1e-3, "fresh_adapter": 3e-3}
BATCH = 32  # rows of a tuning step: all of them for k up to 32


@dataclass
class FewShotResult:
    """What k examples were worth.

    Args:
        task, k, start, tune, steps, lr, seed: as asked.
        source: the trained task whose prototype it started from, None where it was no task's.
        before: score on the query rows from the start alone, untuned.
        after: the same after tuning.
        seconds: time of choosing and tuning, without scoring.
        ranking: (task, score) as far as the start ranked tasks, best first: cosines for
            "retrieved", negative losses for "loss".
        model: the adapted model; it shares the frozen T5 with the one it came from.
    """

    task: str
    k: int
    start: str
    tune: str
    steps: int
    lr: float
    seed: int
    source: str | None
    before: float
    after: float
    seconds: float
    ranking: list[tuple[str, float]] = field(repr=False)
    model: PHAModel = field(repr=False, compare=False)

    def to_dict(self) -> dict:
        """All but the model, fit for JSON."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "model"}


def episode(task: Task, k: int, seed: int = 0, limit: int | None = None) -> Task:
    """The task with k labelled rows as its `train` split and its query rows as `test`.

    Args:
        k: rows in all, not per class; the classes' counts differ by at most one where that can be.
        seed: which rows; the k rows of a smaller k are among those of a larger one.
        limit: at most so many query rows, the same for every seed; None = the whole test split.
    """
    if not isinstance(k, int) or k < 1:
        raise PHAError(f"k={k!r}: a number of examples, at least 1")
    have = len(task["train"])
    if k > have:
        raise PHAError(f"k={k}: task {task.name!r} has only {have} training rows")
    drawn = task.sample(k, seed=seed, balanced=True)
    if limit is not None:
        drawn = drawn.sample(limit, seed=0, split="test")
    return drawn


def adapt(
    model: PHAModel,
    task: Task,
    k: int,
    start: str = "retrieved",
    tune: str = "prototype",
    steps: int = 20,
    lr: float | None = None,
    seed: int = 0,
    *,
    oracle: str | None = None,
    wrong: str | None = None,
    candidates: int | None = None,
    limit: int | None = None,
) -> FewShotResult:
    """Give a copy of the model one more task, tune it on k examples, score it before and after.

    The model itself does not change by one bit. Starts of the new task's prototype::

        retrieved      the one with the highest mean cosine to the k inputs (ours)
        loss           the one with the lowest loss on the k examples
        fresh          newly initialised, as before training
        random         that of a random trained task
        mean           the mean of all prototypes
        oracle, wrong  that of the trained task which the argument of that name gives
        fresh_adapter  none at all: a new ordinary adapter in the bare T5, tuned whole

    Args:
        model: trained.
        task: new to the model, or one it knows (which is then learnt again beside the old one).
        k: labelled examples, see `episode`.
        start: one of the above.
        tune: "none"; "prototype" (the task's own row); "hypernetwork" (both); "all" (the encoder's
            adapters too). With `start="fresh_adapter"` the adapter is tuned unless "none".
        steps: AdamW steps of a constant rate, all k rows in each (32 where k is larger).
        lr: that rate; None takes the one of `RATES`.
        seed: of the examples, of the tuning, and of whatever the start draws.
        oracle, wrong: names of trained tasks for these two starts.
        candidates: for "loss", how many of the nearest prototypes to try; None tries all of them.
        limit: at most so many query rows.

    Raises:
        PHAError: unknown start, tune or task name, too few rows, nothing to tune.
    """
    _one_of("start", start, STARTS)
    _one_of("tune", tune, TUNES)
    if not isinstance(steps, int) or steps < 0:
        raise PHAError(f"steps={steps!r}: a whole number, at least 0")
    if lr is None:
        lr = RATES.get(start) or RATES.get(tune, RATES["prototype"])
    if not 0 < lr < float("inf"):
        raise PHAError(f"lr={lr!r}: above 0 and finite")
    drawn = episode(task, k, seed, limit)
    began = time.monotonic()
    with torch.random.fork_rng():  # our draws leave the caller's generators where they were
        torch.manual_seed(seed)
        if start == "fresh_adapter":
            learner, name, source, ranking = *_bare(model, task.name, seed), None, []
            tune = tune if tune == "none" else "all"
        else:
            learner = model.clone().eval()
            named = {"oracle": oracle, "wrong": wrong}
            source, ranking = _source(model, drawn, start, seed, named, candidates)
            name = task.name if task.name not in model.config.tasks else f"{task.name}@{k}"
            like = "mean" if start == "mean" else source
            learner.add_task(name, like=like, seed=seed)
        chosen = time.monotonic() - began
        before = after = _score(learner, drawn, name)
        began = time.monotonic()
        if tune != "none" and steps:
            _tune(learner, drawn, name, tune, steps, lr, seed)
        tuned = time.monotonic() - began
        if tune != "none" and steps:
            after = _score(learner, drawn, name)
    seconds = round(chosen + tuned, 3)
    return FewShotResult(
        task.name, k, start, tune, steps, lr, seed, source, before, after, seconds, ranking, learner
    )


def swap_test(
    model: PHAModel,
    tasks: Mapping[str, Task],
    pairs: Sequence[tuple[str, str]],
    split: str = "test",
    limit: int | None = None,
) -> dict[tuple[str, str], float]:
    """How much the adapters depend on the prototype: score with its own minus with a wrong one.

    Near 0 the hypernetwork has collapsed into one shared adapter, and no choice of a prototype can
    matter; every figure on transfer should stand beside this one (our choice).

    Args:
        tasks: name -> task.
        pairs: (task, the task whose prototype takes its place).
        limit: at most so many rows per task.

    Returns:
        pair -> difference of the two scores, in the first task's metric.
    """
    scores: dict[tuple[str, str], float] = {}
    cut = {}
    for own, other in pairs:
        for name in (own, other):
            if name not in model.config.tasks:
                raise PHAError(unknown("task of this model", name, model.config.tasks))
        if own not in tasks:
            raise PHAError(unknown("task", own, tasks))
        cut[own] = tasks[own] if limit is None else tasks[own].sample(limit, split=split)
        for name in (own, other):
            if (own, name) not in scores:
                scores[own, name] = _score(model, cut[own], name, split)
    return {(own, other): scores[own, own] - scores[own, other] for own, other in pairs}


def _one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise PHAError(unknown(what, value, known))


def _source(
    model: PHAModel, drawn: Task, start: str, seed: int, named: dict, candidates: int | None
) -> tuple[str | None, list[tuple[str, float]]]:
    """The trained task to start from, and the ranking that led to it."""
    trained = model.config.tasks
    if start in named:
        if named[start] is None:
            raise PHAError(f"start={start!r} needs a trained task: pass {start}=NAME")
        _one_of(f"task for {start}=", named[start], trained)
        return named[start], []
    if start == "random":
        lot = np.random.default_rng([seed, *drawn.name.encode()])  # each task draws for itself
        return trained[lot.integers(len(trained))], []
    if start == "retrieved":
        ranking = model.retrieve(list(drawn["train"]["source"]), k=len(trained))
        return ranking[0][0], ranking
    if start == "loss":
        near = trained
        if candidates is not None:
            if candidates < 1:
                raise PHAError(f"candidates={candidates}: at least 1, or None for all")
            texts = list(drawn["train"]["source"])
            near = [name for name, _ in model.retrieve(texts, k=candidates)]
        ranking = [(name, -_loss(model, encode(model, drawn["train"]), name)) for name in near]
        ranking.sort(key=lambda pair: -pair[1])
        return ranking[0][0], ranking
    return None, []


def _loss(model: PHAModel, rows: Encoded, name: str) -> float:
    """Language-model loss of the rows when they are answered as the task `name`."""
    ids = [model.config.tasks.index(name)] * len(rows)
    with model.inference():
        return float(model(collate(model, rows, ids, model.device)).lm_loss)


def _bare(model: PHAModel, name: str, seed: int) -> tuple[PHAModel, str]:
    """A model of one task with an adapter of its own in every layer, sizes as in `model`."""
    sizes = {"tasks": [name], "seed": seed}
    config = PHAConfig.baseline("adapter_per_task", base=model.config, **sizes)
    return PHAModel.from_backbone((model.t5, model.tokenizer), config).eval(), name


def _tune(
    model: PHAModel, drawn: Task, name: str, tune: str, steps: int, lr: float, seed: int
) -> None:
    weights = _tuned(model, tune)
    rows = encode(model, drawn["train"])
    sampler = TaskSampler([len(rows)], min(len(rows), BATCH), seed=seed)
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=0.0, fused=True)
    task_id, device = model.config.tasks.index(name), weights[0].device
    frozen = [w for w in model.parameters() if w.requires_grad and not any(w is t for t in weights)]
    model.train()
    for weight in frozen:
        weight.requires_grad_(False)
    for _ in range(steps):
        batch = [rows[row] for _, row in next(sampler)]
        # one task alone has nothing to be contrasted with: only the language-model loss counts
        loss = model(collate(model, batch, [task_id] * len(batch), device)).lm_loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    for weight in frozen:
        weight.requires_grad_(True)
    model.eval()


def _tuned(model: PHAModel, tune: str) -> list[torch.nn.Parameter]:
    """The tensors to tune. Rows of other tasks lie in the same tables, but get no gradient."""
    if tune == "all":
        return [weight for _, weight in model.adapter_parameters()]
    weights = list(model.trained.task_tables())
    if tune == "hypernetwork" and model.trained.hypernet is not None:
        weights += model.trained.hypernet.parameters()
    if not weights:
        raise PHAError(f"tune={tune!r}: this model has nothing of that kind; choose tune='all'")
    return weights


def _score(model: PHAModel, task: Task, name: str, split: str = "test") -> float:
    """Score of a task's rows when they are answered with the prototype of the task `name`."""
    texts = list(task[split]["source"])
    return float(score(task, model.predict(texts, name, labels=task.labels), split))
