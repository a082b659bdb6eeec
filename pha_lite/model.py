"""PHAModel: everything one does with a frozen T5 and its trained part."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import backbone as bb
from . import inference, saving, transfer
from .bake import BakedAdapter
from .config import PHAConfig
from .core import PHACore, PHAOutput
from .errors import PHAError

if TYPE_CHECKING:
    from .tasks import Task

__all__ = ["PHAModel", "PHAOutput"]


class PHAModel(PHACore):
    """Prototype-based HyperAdapter on a frozen T5. Build one with `from_backbone`.

    Attributes:
        t5: the frozen T5; its feed-forward hooks apply the adapters of the current batch.
        trained: `Trained`, all that is optimised, saved and loaded.
        tokenizer: the T5's tokenizer.
        config: the `PHAConfig`, task order included.
        method: "pha" for all that a `PHAConfig` describes; `baselines` has others.

    >>> model = PHAModel.from_backbone("tiny", PHAConfig.tiny(tasks=["mood", "topic"]))
    >>> batch = model.batch(["a dull film", "a match report"], ["bad", "sport"], ["mood", "topic"])
    >>> model(batch).loss.backward()
    """

    method = "pha"

    @classmethod
    def from_backbone(
        cls,
        backbone: str | Path | bb.Backbone,
        config: PHAConfig,
        tasks: Sequence[str] | None = None,
    ) -> PHAModel:
        """A fresh model.

        Args:
            backbone: anything `load_backbone` takes, or a (t5, tokenizer) pair, which stays
                untouched and may serve many models.
            config: the configuration.
            tasks: task names that replace those of `config`.
        """
        if tasks is not None:
            config = replace(config, tasks=list(tasks))
        if isinstance(backbone, str | Path):
            return cls(*bb.load_backbone(backbone), config, str(backbone))
        try:
            t5, tokenizer = backbone
        except (TypeError, ValueError):
            raise PHAError("backbone: give a name, a folder or a (t5, tokenizer) pair.") from None
        return cls(t5, tokenizer, config, getattr(t5.config, "_name_or_path", "") or "")

    # ---- use -------------------------------------------------------------------------------

    def generate(
        self,
        sources: Sequence[str],
        tasks: str | Sequence[str],
        num_beams: int = 1,
        max_new_tokens: int | None = None,
    ) -> list[str]:
        """Writes an output for every source; rows of different tasks may stand side by side.

        Args:
            sources: B inputs, decoded as one batch.
            tasks: one name for all rows or B names.
            num_beams: 1 is greedy.
            max_new_tokens: ``config.max_target_length`` when not given.
        """
        return inference.generate(self, sources, tasks, num_beams, max_new_tokens)

    def predict(
        self,
        texts: Sequence[str],
        task: str | Task | Sequence[str],
        labels: Sequence[str] | None = None,
        method: str = "auto",
        batch_size: int = 64,
        progress: bool = False,
    ) -> list[str]:
        """The answer for every text.

        Args:
            texts: n inputs.
            task: a task, its name, or n names.
            labels: label words to choose from; a `Task` brings its own.
            method: ``"rank"`` takes the label word with the largest log-probability, summed over
                its tokens and the closing </s>; ``"generate"`` decodes greedily; ``"auto"`` ranks
                when label words are known.
            batch_size: rows per step; texts of similar length go together.
            progress: show a bar.
        """
        return inference.predict(self, texts, task, labels, method, batch_size, progress)

    def embed(self, texts: Sequence[str], batch_size: int = 64) -> Tensor:
        """(n, e) normalised instance embeddings on the CPU, independent of any task.

        A model without a retriever gives its pooled encoder states instead, (n, d) normalised.
        """
        return inference.embed(self, texts, batch_size)

    def index_instances(
        self,
        texts: Sequence[str],
        tasks: str | Sequence[str],
        kind: str = "flat",
        **options,
    ) -> None:
        """Remembers labelled instances for ``retrieve(by="instances")``.

        The index holds embeddings of the moment: fill it again after further training. It is saved
        with the model (`save_pretrained`).

        Args:
            texts: n inputs.
            tasks: one name for all of them or n names. Any will do, also such that the model does
                not know.
            kind: ``"flat"`` searches exactly; ``"ivf"`` and ``"hnsw"`` search nearly as well and
                much faster where there are very many texts.
            options: of ``"ivf"`` (nlist, nprobe) or ``"hnsw"`` (M, ef_construction, ef_search), see
                `nearest.nearest_index`.
        """
        transfer.index_instances(self, texts, tasks, kind, **options)

    def retrieve(
        self, texts: Sequence[str], k: int = 3, by: str = "prototypes", reduce: str = "mean"
    ) -> list[tuple[str, float]]:
        """The tasks that some texts resemble most, best first.

        The release has no code for this step of the paper; scores and reductions are our choice.

        Args:
            texts: inputs of one, perhaps new, task.
            k: how many tasks to return at most.
            by: ``"prototypes"``, or ``"instances"`` given to `index_instances` before.
            reduce: how the texts' cosines become one score per task: ``"mean"``, ``"vote"`` or
                ``"softmax"`` (see `prototype_scores` and `InstanceIndex.scores`).

        Returns:
            [(task, score), ...]
        """
        return transfer.retrieve(self, texts, k, by, reduce)

    def add_task(
        self,
        name: str,
        like: str | Sequence[str] | Mapping[str, float] | None = None,
        seed: int = 0,
    ) -> int:
        """Makes room for one more task; all others keep their values to the last bit.

        Args:
            name: of the new task.
            like: where its row of every table starts. None: fresh, as at the start of training;
                a task's name: a copy; ``"mean"``: the mean of all tasks; ``"random"``: a copy of
                a task drawn by `seed`; texts: a copy of the task that `retrieve` finds for them;
                {task: share}: a mixture.
            seed: of the fresh start, which also depends on the name, and of the draw.

        Returns:
            The new task's id.

        Parameters change their size: make a new optimiser afterwards.
        """
        return transfer.add_task(self, name, like, seed)

    def bake(self, task: str) -> BakedAdapter:
        """One task's adapters as ordinary weights that need neither prototype nor hypernetwork."""
        if self.config.reads_instance:
            raise PHAError(
                f"hyper_input={self.config.hyper_input!r} makes adapters per row: nothing to bake."
            )
        task_id = torch.tensor(self.task_ids(task, 1), device=self.device)
        with torch.no_grad():
            weights = self.trained.weights(task_id)
        return BakedAdapter.of(weights, self.config.placement, task, self.config.skip_lowest)

    # ---- parameters, copies, files -----------------------------------------------------------

    def adapter_parameters(self) -> Iterator[tuple[str, nn.Parameter]]:
        """(name, parameter) of all that is trained."""
        return self.trained.named_parameters()

    def count_parameters(self) -> dict[str, float]:
        """Trained numbers per part; ``total``; ``per_task``, the total shared out over the tasks;
        ``per_additional_task``, what one more task adds; ``backbone``, the frozen ones."""
        counts: dict[str, float] = dict(self.trained.count())
        tables = self.trained.task_tables()
        counts["total"] = sum(counts.values())
        counts["per_task"] = counts["total"] / len(self.config.tasks)
        counts["per_additional_task"] = sum(table[0].numel() for table in tables)
        counts["backbone"] = sum(p.numel() for p in self.t5.parameters() if not p.requires_grad)
        return counts

    def clone(self) -> PHAModel:
        """A model with its own copy of the trained part, over the same frozen T5."""
        memo = {id(p): p for p in self.t5.parameters() if not p.requires_grad}
        memo |= {id(kept): kept for kept in (self.tokenizer, self.instances) if kept is not None}
        return copy.deepcopy(self, memo)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``model.safetensors`` (the trained part only) and ``config.json``, atomically.

        With an index (`index_instances`) it writes ``instances.safetensors``, too.
        """
        saving.save(self, folder)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, backbone: str | Path | bb.Backbone | None = None
    ) -> PHAModel:
        """What `save_pretrained` or `push_to_hub` wrote.

        Args:
            folder: a folder, or ``"owner/name"`` on the hub.
            backbone: as in `from_backbone`; by default the one noted in the files.

        An index of instances comes along from a folder, unless another encoder or retriever made
        it: then a warning says so, and the model has none.

        Raises:
            PHAError: files are missing, cut off or changed, or made on another backbone.
        """
        return saving.load(cls, folder, backbone)

    def push_to_hub(
        self, repo_id: str, private: bool | None = None, token: str | None = None, **commit
    ) -> str:
        """Uploads what `save_pretrained` writes; returns the commit's address.

        An index of instances stays at home: it tells of the texts that it was made of.
        """
        return saving.push(self, repo_id, private, token, **commit)
