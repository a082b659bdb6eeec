"""Many processes that train one model: each takes its share of every batch.

`accelerate launch` starts the same program several times. Every process holds the whole model,
draws the same batches from the same sampler, and computes every n-th row of each. What must be
known to all goes round twice in a step: the instance embeddings, because the instance loss
contrasts every row with all others, and then the gradients, as one flat tensor. After that every
process takes the same optimiser step, and the weights stay equal without being sent.

There is no `DistributedDataParallel` here. It averages gradients, which is right only where all
shares weigh the same: ours differ in rows and in target tokens. And it is made for sending many
gigabytes while the backward pass still runs; what PHA trains is a few million numbers at most.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.distributed as dist
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor

from .errors import PHAError, TrainingError
from .losses import instance_loss

if TYPE_CHECKING:
    from .batching import Encoded
    from .core import PHACore, PHAOutput


def start() -> tuple[Accelerator, Team]:
    """The device of this process and the team it belongs to, as the launcher set them up.

    Raises:
        PHAError: the launcher asked for something that plain data parallelism is not.
    """
    launched = int(os.environ.get("WORLD_SIZE", 1))
    # Without a GPU accelerate must be told to connect processes, or each would believe itself alone
    # and write to the same folder.
    accelerator = Accelerator(cpu=launched > 1 and not torch.accelerator.is_available())
    count, kind = accelerator.num_processes, accelerator.distributed_type.name
    if count == 1 < launched:
        raise PHAError(
            f"{launched} processes were started, but accelerate cannot connect them on "
            f"{accelerator.device}; set ACCELERATE_USE_CPU=true to train on the CPU"
        )
    if kind != "NO" and not kind.startswith("MULTI_"):
        raise PHAError(f"accelerate is set to {kind}: launch without it, PHA needs no sharding")
    if accelerator.mixed_precision != "no" or accelerator.gradient_accumulation_steps != 1:
        raise PHAError(
            "accelerate is set to mixed precision or gradient accumulation: launch with "
            "--mixed_precision no and without accumulation (pha train --dtype bfloat16 sets the "
            "type of the frozen T5)"
        )
    if count > 1 and not dist.is_initialized():
        raise PHAError("an error before closed the connections: start all processes again")
    if launched == count == 1 and {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= os.environ.keys():
        warnings.warn(
            "`accelerate launch --cpu` starts one process, whatever --num_processes says, unless "
            "it has mpirun; use --multi_gpu in place of --cpu, also without a GPU",
            stacklevel=2,
        )
    return accelerator, Team(accelerator.process_index, count)


@dataclass(frozen=True)
class Team:
    """The processes that train one model. Every method is called by all of them, or by none.

    A team of one passes everything through, to the last bit.

    Args:
        rank: number of this process, from 0.
        size: number of processes.

    >>> Team(rank=1, size=3).share(["a", "b", "c", "d", "e"])
    ['b', 'e']
    """

    rank: int = 0
    size: int = 1

    @property
    def main(self) -> bool:
        """Whether this process reads and writes files and shows the bar: process 0."""
        return self.rank == 0

    def share(self, items: Sequence) -> list:
        """This process's part of a list that all of them hold; parts differ by one at most."""
        return list(items[self.rank :: self.size])

    def collect(self, mine: Sequence) -> list:
        """The reverse of `share`: the whole list, on all."""
        if self.size == 1:
            return list(mine)
        parts = self._gather(list(mine))
        whole: list = [None] * sum(map(len, parts))
        for rank, part in enumerate(parts):
            whole[rank :: self.size] = part
        return whole

    def from_main(self, action: Callable, *arguments) -> Any:
        """What the main process gets from an action that only it takes, handed to all.

        An error of the user's kind, or of the file system, is raised by all alike.
        """
        if self.size == 1:
            return action(*arguments)
        told: list = [None, None]
        if self.main:
            try:
                told[0] = action(*arguments)
            except (PHAError, OSError) as error:
                told[1] = error
        self._call(dist.broadcast_object_list, told)
        if told[1] is not None:
            raise told[1]
        return told[0]

    def agree(self, given: dict, weights: Iterable[Tensor]) -> None:
        """Take the main process's weights, once it is sure that all were given the same.

        Raises:
            PHAError: on all, if a process has other settings or data; the message names the part.
        """
        if self.size == 1:
            return
        for rank, theirs in enumerate(everyone := self._gather(given)):
            if odd := [part for part in given if theirs[part] != everyone[0][part]]:
                raise PHAError(
                    f"process {rank} was given another {odd[0]} than process 0: start all "
                    "processes with the same command and the same files"
                )
        for weight in weights:
            self._call(dist.broadcast, weight.data, 0)

    def reseed(self, seed: int, step: int) -> None:
        """Give the processes different dropout; the main one keeps the stream it has.

        A function of (seed, step, rank), called after every checkpoint: so a run that goes on from
        there draws the same, and the checkpoint needs to hold the main process's state only.
        """
        if not self.main:
            own = np.random.SeedSequence([seed, step, self.rank]).generate_state(1)
            set_seed(int(own[0]))

    # ---- loss and gradients ----------------------------------------------------------------

    def part_of_loss(
        self,
        model: PHACore,
        output: PHAOutput,
        examples: Encoded,
        tasks: Sequence[int],
        gather: bool = True,
    ) -> PHAOutput:
        """What this process's share adds to the loss of the whole batch.

        The gradients of all parts add up to the gradient of the loss that one process computes
        over the whole batch: the language-model term weighs by target tokens, the prototype term by
        rows. The instance term is computed over all rows by everyone, each of them differentiating
        it with respect to its own rows, wherever these occur: as anchors, as partners, and as
        negatives of other processes' rows.

        Args:
            output: of `model`, for ``share(examples)``.
            examples: the B rows of the whole batch.
            tasks: their B task ids.
            gather: False contrasts the rows of each process among themselves only, and takes the
                mean over processes: fewer negatives, and a result that depends on `size`.
        """
        if self.size == 1:
            return output
        mine, config = self.share(examples), model.config
        lm, ir, pro = output.lm_loss, output.ir_loss / self.size, output.pro_loss
        if config.lm_reduction == "mean":
            lm = lm * (_tokens(mine) / _tokens(examples))
        pro = pro * (len(mine) / len(examples))
        if gather and config.instance_weight > 0:
            z = self._whole(output.embeddings, len(examples))
            ir = instance_loss(z, torch.tensor(tasks, device=z.device), config.temperature)
            loss = model.total_loss(lm, ir, pro)
            ir = ir / self.size  # every process has all of it
        else:
            loss = model.total_loss(lm, ir, pro)
        return replace(output, loss=loss, lm_loss=lm, ir_loss=ir, pro_loss=pro)

    def add_up(self, model: PHACore, output: PHAOutput, weights: Iterable[Tensor]) -> PHAOutput:
        """Sum the gradients and the loss terms of all processes, in one go.

        Args:
            output: from `part_of_loss`, after its backward pass.
            weights: the trained tensors; their `grad` is replaced by the sum.

        Returns:
            The output with the losses of the whole batch.
        """
        if self.size == 1:
            return output
        weights = list(weights)
        terms = torch.stack([output.lm_loss, output.ir_loss, output.pro_loss]).detach().float()
        used = terms.new_tensor([weight.grad is not None for weight in weights])
        grads = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        flat = torch.cat([terms, used, *(grad.flatten() for grad in grads)])
        self._call(dist.all_reduce, flat)
        sizes = [len(terms), len(used), *(grad.numel() for grad in grads)]
        terms, used, *sums = flat.split(sizes)
        for weight, anywhere, grad in zip(weights, used.tolist(), sums, strict=True):
            # A weight without gradient anywhere keeps none: the optimiser passes over it.
            weight.grad = grad.view_as(weight).to(weight.dtype) if anywhere else None
        lm, ir, pro = terms
        loss = model.total_loss(lm, ir, pro)
        return replace(output, loss=loss, lm_loss=lm, ir_loss=ir, pro_loss=pro)

    def _whole(self, z: Tensor, rows: int) -> Tensor:
        """(B, e) embeddings of the whole batch; gradient flows to this process's rows."""
        whole = z.new_zeros(rows, z.shape[1])
        whole[self.rank :: self.size] = z.detach()
        self._call(dist.all_reduce, whole)
        own = torch.arange(self.rank, rows, self.size, device=z.device)
        return whole.index_copy(0, own, z)

    # ---- when something goes wrong ---------------------------------------------------------

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind, error, trace) -> None:
        """An error that only this process has must not leave the others waiting for it."""
        if kind is not None and not issubclass(kind, PHAError):
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connections: whoever waits for this process gets an error, and stops."""
        if self.size > 1 and dist.is_initialized():
            dist.destroy_process_group()

    def _gather(self, value: object) -> list:
        values: list = [None] * self.size
        self._call(dist.all_gather_object, values, value)
        return values

    def _call(self, exchange: Callable, *arguments) -> None:
        try:
            exchange(*arguments)
        except RuntimeError as error:  # gloo and NCCL have no narrower one in common
            self.hang_up()
            raise TrainingError(
                f"process {self.rank} of {self.size} stopped, because another one did; that one's "
                "message says why. The same command goes on from the last checkpoint"
            ) from error


ALONE = Team()


def _tokens(examples: Encoded) -> int:
    return sum(len(target) for _, target in examples)
