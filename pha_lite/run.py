"""The state of a run: what changes while it goes on, in memory and in its folder."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from .checkpoint import (
    check_writable,
    load_checkpoint,
    random_state,
    save_checkpoint,
    set_random_state,
    write_atomic,
    write_json,
)
from .errors import PHAError, TrainingError
from .record import run_record

if TYPE_CHECKING:
    from .model import PHAModel
    from .sampling import TaskSampler
    from .tasks import Task

CHECKPOINT = "checkpoint.safetensors"
RECORD = "run.json"
HISTORY = "history.jsonl"


@dataclass
class TrainResult:
    """What `train` hands back; the model itself holds the best weights.

    Args:
        history: one dict per step: step, lr, grad_norm, loss, lm_loss, ir_loss, pro_loss (the two
            contrastive terms unweighted); at a validation also `scores` (task -> score) and `mean`.
        best: step, mean and scores of the best validation; without validation mean is None.
        record: settings, versions, commit, machine, time (see `record.run_record`).
    """

    history: list[dict] = field(repr=False)
    best: dict
    record: dict = field(repr=False)


class Run:
    """Weights, optimiser, sampler, history and best result of one run.

    Args:
        folder: where it keeps its checkpoint; None keeps it in memory.
        identity: settings and data; a checkpoint with another identity is not continued.
        weights: the trained tensors by name.
        optimizer, sampler: whose state belongs to the run.
        defaults: of settings that a checkpoint of an older version may lack, shaped as `identity`.
    """

    def __init__(
        self,
        folder: str | Path | None,
        identity: dict,
        weights: Mapping[str, torch.Tensor],
        optimizer: torch.optim.Optimizer,
        sampler: TaskSampler,
        defaults: dict | None = None,
    ):
        self.folder = None if folder is None else Path(folder)
        self.identity = json.loads(json.dumps(identity))  # as a file gives it back
        self.defaults = defaults or {}
        self.weights, self.optimizer, self.sampler = weights, optimizer, sampler
        self.history: list[dict] = []
        self.best: dict = {"step": 0, "mean": None, "scores": {}}
        self.best_weights = self._copy()
        self.saved: int | None = None  # step of the checkpoint in the folder
        self.seconds, self._since = 0.0, time.monotonic()

    @property
    def step(self) -> int:
        return len(self.history)

    @property
    def checkpoint(self) -> Path:
        return self.folder / CHECKPOINT

    def _copy(self) -> dict[str, torch.Tensor]:
        return {name: w.detach().clone() for name, w in self.weights.items()}

    def _put(self, values: Mapping[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self.weights.items():
                weight.copy_(values[name])

    def summary(self) -> str:
        """The text behind the progress bar."""
        now = self.history[-1]
        text = f"lm {now['lm_loss']:.3f} ir {now['ir_loss']:.3f} pro {now['pro_loss']:.3f}"
        return text if self.best["mean"] is None else text + f" best {self.best['mean']:.3f}"

    def validated(self, scores: dict[str, float]) -> None:
        """Note a validation, and keep the weights if its mean is the best so far."""
        mean = sum(scores.values()) / len(scores)
        self.history[-1] |= {"scores": scores, "mean": mean}
        if self.best["mean"] is None or mean > self.best["mean"]:
            self.best = {"step": self.step, "mean": mean, "scores": scores}
            self.best_weights = self._copy()

    def stopped(self, patience: int) -> bool:
        """Whether the last `patience` validations brought nothing better."""
        later = [row for row in self.history[self.best["step"] :] if "mean" in row]
        return 0 < patience <= len(later)

    def save(self) -> None:
        """Replace the checkpoint. The folder is made here, with the first thing worth keeping.

        Raises:
            TrainingError: it cannot be written; the one before is still there.
        """
        if self.folder is None:
            return
        tensors, generators = random_state()
        tensors |= {f"weights.{name}": w for name, w in self.weights.items()}
        tensors |= {f"best.{name}": w for name, w in self.best_weights.items()}
        for name, w in self.weights.items():
            moments = self.optimizer.state[w]
            tensors |= {f"optimizer.{name}.{key}": value for key, value in moments.items()}
        state = {"history": self.history, "best": self.best, "sampler": self.sampler.state_dict()}
        state |= {"random": generators, "identity": self.identity, "seconds": self._elapsed()}
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            save_checkpoint(self.checkpoint, tensors, state)
        self.saved = self.step

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kept = "there is no checkpoint yet" if self.saved is None else self.kept
            raise TrainingError(
                f"step {self.step}: {error}; {kept}; with room to write in, the same command goes "
                "on from there"
            ) from error

    def read(self, resume: bool = True) -> tuple[dict[str, torch.Tensor], dict] | None:
        """The folder's checkpoint, of this very run; None when there is none, or it is unwanted.

        Raises:
            PHAError: the folder cannot be written to, or holds another run or a damaged one.
        """
        if self.folder is None:
            return None
        check_writable(self.folder)
        if not (resume and self.checkpoint.exists()):
            return None
        tensors, state = load_checkpoint(self.checkpoint)
        self._same_run(state["identity"])
        return tensors, state

    def take(self, tensors: dict[str, torch.Tensor], state: dict) -> None:
        """Go on from what `read` found."""
        self._put({name: tensors[f"weights.{name}"] for name in self.weights})
        for name, w in self.weights.items():
            self.best_weights[name] = tensors[f"best.{name}"].to(w.device)
            prefix = f"optimizer.{name}."
            keys = [key for key in tensors if key.startswith(prefix)]
            moments = {key.removeprefix(prefix): tensors[key].to(w.device) for key in keys}
            self.optimizer.state[w] = moments
        self.history, self.best, self.seconds = state["history"], state["best"], state["seconds"]
        self.sampler.load_state_dict(state["sampler"])
        set_random_state(tensors, state["random"])
        self.saved = self.step

    def _same_run(self, identity: dict) -> None:
        for part, own in self.identity.items():
            theirs = {**self.defaults.get(part, {}), **identity.get(part, {})}
            for key in [*own, *(key for key in theirs if key not in own)]:
                was, now = theirs.get(key), own.get(key)
                if was != now:
                    raise PHAError(
                        f"{self.folder} holds a run with other settings ({part}: {key} was "
                        f"{was!r}, now {now!r}): use another folder, or resume=False "
                        "(--no-resume) to replace it"
                    )
        was, now = list(identity["data"]), list(self.identity["data"])
        if was != now:  # the sampler knows tasks by number
            raise PHAError(
                f"{self.folder} holds a run with the tasks in another order ({', '.join(was)}, "
                f"now {', '.join(now)}): give them in that order, or use another folder"
            )

    def restore(self) -> None:
        """Put the best weights back."""
        self._put(self.best_weights)

    def not_finite(self, numbers: dict, tasks: Mapping[str, bool]) -> str:
        """What to tell when a loss or a gradient is no number any more.

        Args:
            numbers: of the step.
            tasks: those in its batch, and whether the model's outputs for them are finite.
        """
        values = ", ".join(f"{name} {value:.4g}" for name, value in numbers.items())
        where = f"tasks in the batch: {', '.join(sorted(tasks))}"
        odd = sorted(name for name, finite in tasks.items() if not finite)
        if 0 < len(odd) < len(tasks):
            where += f", the outputs for {', '.join(odd)} being the ones that are not finite"
        return f"not finite at {values}; {where}; {self.kept}; a smaller lr is the usual mend"

    @property
    def kept(self) -> str:
        """Where the last good state of the run is, in words."""
        if self.saved is None:
            return f"the model holds its weights of step {self.best['step']} again"
        return f"last good checkpoint: {self.checkpoint}, step {self.saved}"

    def _elapsed(self) -> float:
        return self.seconds + time.monotonic() - self._since

    def finish(self, model: PHAModel, tasks: Mapping[str, Task], processes: int) -> TrainResult:
        """Best weights into the model, and the run's record."""
        if self.best["mean"] is None:
            self.best["step"] = self.step
        else:
            self.restore()
        model.eval()
        record = run_record(
            config=self.identity["train"],
            model=self.identity["model"],
            tasks={name: task.sizes for name, task in tasks.items()},
            data=self.identity["data"],
            backbone=self.identity["backbone"],
            method=self.identity["method"]["name"],
            seed=self.identity["train"]["seed"],
            processes=processes,
            steps=self.step,
            best=self.best,
            seconds=round(self._elapsed(), 1),
        )
        return TrainResult(self.history, self.best, record)

    def write(self, model: PHAModel, result: TrainResult) -> None:
        """Model, history and record into the folder."""
        if self.folder is None:
            return
        with self._writing():
            self.folder.mkdir(parents=True, exist_ok=True)
            model.save_pretrained(self.folder)
            lines = (json.dumps(row) + "\n" for row in result.history)
            write_atomic(self.folder / HISTORY, "".join(lines))
            write_json(self.folder / RECORD, result.record)
