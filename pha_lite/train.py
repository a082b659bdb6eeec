"""Training: one plain loop with validation, early stopping, and exact resuming.

Only the adapter parameters are optimised; T5 is frozen. A batch mixes tasks, one drawn per example
(see `sampling`). With an `output_dir` the loop leaves there::

    checkpoint.safetensors   all that resuming needs, replaced at every validation
    model.safetensors ...    the best weights, by `model.save_pretrained`, when training is over
    history.jsonl            losses, gradient norm, learning rate and scores, a line per step
    run.json                 settings, scores, versions, commit, machine

and without one it writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from accelerate.utils import set_seed
from tqdm import tqdm

from .batching import collate, digest, encode
from .config import PHAConfig
from .distributed import ALONE, Team, start
from .errors import PHAError, TrainingError, unknown
from .evaluate import score
from .run import Run, TrainResult
from .sampling import TaskSampler

if TYPE_CHECKING:
    from .model import PHAModel
    from .tasks import Task


@dataclass
class TrainConfig:
    """Settings of a run. The defaults suit the small backbone; `paper()` are the released settings.

    Args:
        steps: optimiser steps.
        batch_size: examples per step, of mixed tasks.
        lr: peak learning rate of AdamW.
        warmup: share of the steps in which the rate rises to `lr`; then it falls linearly to 0.
        weight_decay: on matrices only, never on biases and norms.
        grad_clip: largest norm of the gradient, 0 = no clipping.
        sampling_temperature: 1 = tasks in proportion to their size, infinity = equal shares.
        eval_every: steps between validations, 0 = no validation: the last weights are the result.
        eval_limit: validation rows per task, 0 = all.
        patience: stop after so many validations without a better mean, 0 = never.
        seed: of the sampler, of dropout and of anything else that is random.
        bucket: batches among which rows of one task change places so that rows of a batch are
            about as long, 1 = none; saves padding and leaves the tasks of every batch as drawn.
        checkpointing: run T5's blocks a second time in the backward pass, which saves memory and
            costs about another forward pass.
        gather_negatives: with several processes, contrast every row with the rows of all of them,
            as one process would; False leaves each process to its own (see `distributed`).

    Raises:
        PHAError: a value is out of range or of the wrong type.
    """

    steps: int = 1000
    batch_size: int = 48
    lr: float = 1e-3
    warmup: float = 0.05
    weight_decay: float = 0.0
    grad_clip: float = 1.0
    sampling_temperature: float = 10.0
    eval_every: int = 100
    eval_limit: int = 200
    patience: int = 10
    seed: int = 0
    bucket: int = 1
    checkpointing: bool = False
    gather_negatives: bool = True

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.type == "bool":
                if not isinstance(value, bool):
                    raise PHAError(f"{entry.name}={value!r}: must be true or false")
                continue
            kinds = (int,) if entry.type == "int" else (int, float)
            if not isinstance(value, kinds) or isinstance(value, bool) or math.isnan(value):
                wanted = "a whole number" if entry.type == "int" else "a number"
                raise PHAError(f"{entry.name}={value!r}: must be {wanted}")
        self._at_least(1, "steps", "batch_size", "bucket")
        self._at_least(0, "weight_decay", "grad_clip", "eval_every", "eval_limit")
        self._at_least(0, "patience", "seed")
        if not 0 < self.lr < math.inf:
            raise PHAError(f"lr={self.lr}: must be above 0 and finite, for example 1e-3")
        if not 0 <= self.warmup < 1:
            raise PHAError(f"warmup={self.warmup}: a share of the steps, 0 to below 1")
        if self.sampling_temperature <= 0:
            raise PHAError(f"sampling_temperature={self.sampling_temperature}: must be above 0")

    def _at_least(self, least: int, *names: str) -> None:
        for name in names:
            if getattr(self, name) < least:
                raise PHAError(f"{name}={getattr(self, name)}: must be at least {least}")

    @classmethod
    def paper(cls, **overrides) -> TrainConfig:
        """The released code's full-data run; its mixing is proportional to size in effect."""
        released = {"steps": 10_000, "batch_size": 128, "lr": 3e-4, "sampling_temperature": 1.0}
        return cls.from_dict({**released, "eval_every": 1000, "eval_limit": 0, **overrides})

    @classmethod
    def from_dict(cls, values: Mapping) -> TrainConfig:
        """Raises PHAError on a name that is no setting."""
        names = [entry.name for entry in fields(cls)]
        for name in values:
            if name not in names:
                raise PHAError(unknown("training setting", name, names))
        return cls(**values)

    def to_dict(self) -> dict:
        return asdict(self)

    def lr_at(self, step: int) -> float:
        """Learning rate of step 1 ... steps: linear warm-up, then linear decay towards 0.

        >>> config = TrainConfig(steps=10, lr=1.0, warmup=0.2)
        >>> [config.lr_at(step) for step in (1, 2, 6, 10)]
        [0.5, 1.0, 0.5555555555555556, 0.1111111111111111]
        """
        rising = round(self.warmup * self.steps)
        if step <= rising:
            return self.lr * step / rising
        return self.lr * (self.steps - step + 1) / (self.steps - rising + 1)


def train(
    model: PHAModel,
    tasks: Mapping[str, Task],
    config: TrainConfig | None = None,
    output_dir: str | Path | None = None,
    resume: bool = True,
    progress: bool = True,
    callback: Callable[[int, PHAModel], None] | None = None,
) -> TrainResult:
    """Train the adapters of `model`, and leave it with its best weights.

    Best is the highest mean validation score. Runs on the device that `accelerate` picks. A run
    that was cut off goes on from its last checkpoint when called again with the same arguments; on
    a CPU, with as many threads and processes, bit for bit as if nothing had happened. Seeds torch,
    numpy and Python with `config.seed`.

    Started by `accelerate launch` in several processes, it gives each its share of every batch and
    of the validation rows. Losses and weights are those of one process, up to rounding and to
    dropout, which draws other masks. Process 0 alone touches files and shows the bar. A run may go
    on with another number of processes.

    Args:
        model: trained in place.
        tasks: name -> task; every name is one of `model.config.tasks`.
        config: see `TrainConfig`.
        output_dir: where checkpoint, weights and record go; None writes nothing.
        resume: go on from a checkpoint found in `output_dir`; False starts again and replaces it.
        progress: show a bar with the three losses.
        callback: called as `callback(step, model)` before the first step (step 0) and after each
            one, in every process.

    Raises:
        PHAError: tasks do not fit the model, a split is missing, `output_dir` holds another run.
        TrainingError: the loss is no longer finite; the model holds its best weights again.
    """
    config = config or TrainConfig()
    accelerator, team = start()
    if config.batch_size < team.size:
        raise PHAError(f"batch_size={config.batch_size}: less than a row for {team.size} processes")
    device = accelerator.device
    check_tasks(model, tasks, ("train", "validation") if config.eval_every else ("train",))
    names = list(tasks)
    ids = [model.config.tasks.index(name) for name in names]
    rows = [encode(model, task["train"]) for task in tasks.values()]
    sizes = [len(encoded) for encoded in rows]
    lengths = [[len(source) for source, _ in encoded] for encoded in rows]
    mixing = config.batch_size, config.sampling_temperature, config.seed
    sampler = TaskSampler(sizes, *mixing, lengths, config.bucket)

    model.to(device)
    if config.checkpointing:
        model.gradient_checkpointing_enable()
    weights = dict(model.adapter_parameters())
    optimizer = accelerator.prepare(_adamw(weights, config))
    data = {name: digest(encoded) for name, encoded in zip(names, rows, strict=True)}
    identity = {"train": config.to_dict(), "model": model.config.to_dict(), "data": data}
    identity["backbone"] = {"fingerprint": model.fingerprint()}
    identity["method"] = {"name": model.method}
    defaults = {"train": TrainConfig().to_dict(), "model": PHAConfig().to_dict()}
    defaults["method"] = identity["method"]
    team.agree(identity, weights.values())
    folder = output_dir if team.main else None
    run = Run(folder, identity, weights, optimizer, sampler, defaults)
    set_seed(config.seed)
    found = team.from_main(run.read, resume)
    if found:
        run.take(*found)
    team.reseed(config.seed, run.step)
    if callback and not found:
        callback(0, model)

    model.train()  # whole, also a T5 that was handed over in evaluation mode
    hidden = not (progress and team.main)
    bar = tqdm(total=config.steps, initial=run.step, desc="training", disable=hidden)
    with team, bar:
        while run.step < config.steps and not run.stopped(config.patience):
            step = run.step + 1
            drawn = next(sampler)
            examples = [rows[task][row] for task, row in drawn]
            task_ids = [ids[task] for task, _ in drawn]
            batch = collate(model, team.share(examples), team.share(task_ids), device)
            for group in optimizer.param_groups:
                group["lr"] = config.lr_at(step)
            if not model.training:  # after a validation or a callback
                model.train()
            output = model(batch)
            output = team.part_of_loss(model, output, examples, task_ids, config.gather_negatives)
            accelerator.backward(output.loss)
            output = team.add_up(model, output, weights.values())
            norm = accelerator.clip_grad_norm_(weights.values(), config.grad_clip or math.inf)
            numbers = {"step": step, "lr": config.lr_at(step), **_numbers(output, norm)}
            if not all(map(math.isfinite, numbers.values())):  # the weights are still good
                run.restore()
                finite = team.collect(output.logits.isfinite().flatten(1).all(dim=1).tolist())
                asked = dict.fromkeys((names[task] for task, _ in drawn), True)
                for (task, _), good in zip(drawn, finite, strict=True):
                    asked[names[task]] &= good
                raise TrainingError(team.from_main(run.not_finite, numbers, asked))
            optimizer.step()
            optimizer.zero_grad()
            run.history.append(numbers)
            if callback:
                callback(step, model)
            last = step == config.steps
            validate = bool(config.eval_every) and (last or step % config.eval_every == 0)
            if validate:
                limit = config.eval_limit or None
                run.validated(evaluate_tasks(model, tasks, "validation", limit, team))
            bar.set_postfix_str(run.summary(), refresh=False)
            bar.update()
            if validate or last:
                team.from_main(run.save)
                team.reseed(config.seed, step)
    result = run.finish(model, tasks, team.size)
    team.from_main(run.write, model, result)
    return result


def evaluate_tasks(
    model: PHAModel,
    tasks: Mapping[str, Task],
    split: str = "test",
    limit: int | None = None,
    team: Team = ALONE,
) -> dict[str, float]:
    """Score of `model.predict` on one split of each task, in the task's own metric.

    Args:
        limit: at most so many rows per task (the same ones every time); None = all.
        team: processes that share out the rows; each gets all scores.
    """
    scores = {}
    for name, task in tasks.items():
        cut, predictions = predictions_of(model, task, split, limit, name, team)
        scores[name] = float(score(cut, predictions, split))
    return scores


def predictions_of(
    model: PHAModel,
    task: Task,
    split: str = "test",
    limit: int | None = None,
    name: str = "",
    team: Team = ALONE,
) -> tuple[Task, list[str]]:
    """The model's answers to one split, and the task with that split as it was asked.

    Args:
        name: of the model's task whose adapters answer; the task's own when not given.
        team: processes that share out the rows; each gets all answers.
    """
    if limit is not None and limit < len(task[split]):
        task = task.sample(limit, seed=0, split=split)
    sources = team.share(list(task[split]["source"]))
    return task, team.collect(model.predict(sources, name or task.name, task.labels))


def check_tasks(model: PHAModel, tasks: Mapping[str, Task], splits: tuple[str, ...]) -> None:
    """Raises PHAError when there is no task, or one is unknown to the model or lacks a split."""
    if not tasks:
        raise PHAError("no tasks given: pass at least one")
    for name, task in tasks.items():
        if name not in model.config.tasks:
            raise PHAError(unknown("task of this model", name, model.config.tasks))
        for split in splits:
            task[split]  # raises PHAError with the task's name and the splits it has


def _adamw(weights: Mapping[str, torch.Tensor], config: TrainConfig) -> torch.optim.Optimizer:
    groups = [
        {
            "params": [w for w in weights.values() if w.ndim > 1],
            "weight_decay": config.weight_decay,
        },
        {"params": [w for w in weights.values() if w.ndim <= 1], "weight_decay": 0.0},
    ]
    # fused: one call for many small tensors, several times faster than a Python loop over them
    groups = [group for group in groups if group["params"]]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def _numbers(output, norm: torch.Tensor) -> dict[str, float]:
    """Losses and gradient norm as floats, fetched from the device in one go."""
    names = ("loss", "lm_loss", "ir_loss", "pro_loss")
    values = [torch.as_tensor(getattr(output, name), device=norm.device) for name in names]
    numbers = torch.stack([value.detach().float() for value in (*values, norm)]).tolist()
    return dict(zip((*names, "grad_norm"), numbers, strict=True))
