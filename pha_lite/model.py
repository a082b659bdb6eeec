"""PHAModel: a frozen T5, the trained part beside it, and everything one does with the two."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import backbone as bb
from . import inference, saving
from .bake import BakedAdapter
from .config import PHAConfig
from .errors import PHAError, unknown
from .losses import instance_loss, lm_loss, prototype_loss
from .retriever import InstanceIndex, masked_mean, prototype_scores, ranked
from .routing import Route
from .trained import Trained

if TYPE_CHECKING:
    from .tasks import Task


@dataclass
class PHAOutput:
    """What one forward pass gives.

    Attributes:
        loss: lm_loss + instance_weight * ir_loss + prototype_weight * pro_loss; None, like
            lm_loss and logits, for a batch without labels.
        lm_loss, ir_loss, pro_loss: the terms, unweighted; a contrastive term that is off is 0.
        logits: (B, N, V).
        embeddings: (B, e) normalised instance embeddings; None without a retriever.
    """

    loss: Tensor | None
    lm_loss: Tensor | None
    ir_loss: Tensor
    pro_loss: Tensor
    logits: Tensor | None
    embeddings: Tensor | None


class PHAModel(nn.Module):
    """Prototype-based HyperAdapter on a frozen T5. Build one with `from_backbone`.

    Attributes:
        t5: the frozen T5; its feed-forward hooks apply the adapters of the current batch.
        trained: `Trained`, all that is optimised, saved and loaded.
        tokenizer, config: the T5's tokenizer and the `PHAConfig`, task order included.

    >>> model = PHAModel.from_backbone("tiny", PHAConfig.tiny(tasks=["mood", "topic"]))
    >>> batch = model.batch(["a dull film", "a match report"], ["bad", "sport"], ["mood", "topic"])
    >>> model(batch).loss.backward()
    """

    def __init__(self, t5: nn.Module, tokenizer, config: PHAConfig, backbone_name: str = ""):
        super().__init__()
        bb.check_t5(t5)
        bb.check_tokenizer(tokenizer)
        if not config.tasks:
            raise PHAError(
                "a model needs at least one task: PHAConfig(tasks=[...]) or tasks=[...]."
            )
        self.config, self.tokenizer, self.backbone_name = config, tokenizer, backbone_name
        self.t5 = bb.frozen_view(t5)
        bb.set_dropout(self.t5, config.dropout)
        d, *layers = bb.sizes(t5)
        self.trained = Trained(config, d, tuple(layers)).to(next(t5.parameters()).device)
        self.encoder_plan, self.decoder_plan = bb.Plan(), bb.Plan()
        for stack, plan in (("encoder", self.encoder_plan), ("decoder", self.decoder_plan)):
            if getattr(config, stack) != "none":
                bb.attach(getattr(self.t5, stack), plan, config.placement)
        self.instances: InstanceIndex | None = None

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

    @property
    def device(self) -> torch.device:
        return self.t5.lm_head.weight.device

    # ---- batches ---------------------------------------------------------------------------

    def batch(
        self,
        sources: Sequence[str],
        targets: Sequence[str] | None,
        tasks: str | Sequence[str],
    ) -> dict[str, Tensor]:
        """Text to tensors, padded to the longest row.

        Args:
            sources: B inputs.
            targets: B outputs, or None.
            tasks: one name for all rows or B names.

        Returns:
            input_ids and attention_mask (B, S), task_ids (B,) and, with targets, labels (B, N)
            with -100 where there is no token.
        """
        sources = inference.check_texts(sources, "sources", least=1)
        batch = self._tokenize(sources, self.config.max_source_length)
        batch["task_ids"] = torch.tensor(self.task_ids(tasks, len(sources)), device=self.device)
        if targets is not None:
            targets = inference.check_texts(targets, "targets")
            if len(targets) != len(sources):
                raise PHAError(f"{len(sources)} sources and {len(targets)} targets: give as many.")
            target = self._tokenize(targets, self.config.max_target_length)
            batch["labels"] = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
        return batch

    def _tokenize(self, texts: list[str], length: int | None) -> dict[str, Tensor]:
        tokens = self.tokenizer(
            texts,
            padding=True,
            truncation=length is not None,
            max_length=length,
            return_tensors="pt",
        )
        return {key: tokens[key].to(self.device) for key in ("input_ids", "attention_mask")}

    def task_ids(self, tasks: str | Sequence[str], rows: int) -> list[int]:
        """Row numbers in the task tables: one name for all rows, or one per row."""
        names = [tasks] * rows if isinstance(tasks, str) else list(tasks)
        if len(names) != rows:
            raise PHAError(f"{rows} texts and {len(names)} task names: give one name, or one each.")
        position = {name: t for t, name in enumerate(self.config.tasks)}
        for name in names:
            if name not in position:
                raise PHAError(unknown("task of this model", name, self.config.tasks))
        return [position[name] for name in names]

    # ---- forward ---------------------------------------------------------------------------

    def forward(self, batch: Mapping[str, Tensor]) -> PHAOutput:
        """Loss terms and logits of a batch, which may mix tasks.

        Args:
            batch: as `batch` makes it. With ``encoder="none"`` it may carry ``encoder_states``
                (B, S, d), the encoder's output computed before, and the encoder does not run.
        """
        config, tasks, mask = self.config, batch["task_ids"], batch["attention_mask"]
        states, z = self.start(batch)
        ir = pro = torch.zeros((), device=mask.device)
        if config.instance_weight > 0:
            ir = instance_loss(z, tasks, config.temperature)
        if config.uses_prototype_loss:
            vectors = self.trained.prototypes.vectors
            pro = prototype_loss(z, vectors, tasks, config.temperature, config.prototype_loss)
        loss = lm = logits = None
        labels = batch.get("labels")
        if labels is not None:
            logits = self.decode(states, mask, labels)
            lm = lm_loss(logits, labels, config.label_smoothing, config.lm_reduction)
            loss = lm + config.instance_weight * ir + config.prototype_weight * pro
        z = None if z is None else F.normalize(z, dim=-1)
        return PHAOutput(loss, lm, ir, pro, logits, z)

    def start(
        self, batch: Mapping[str, Tensor], copies: int = 1, embed: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Sets the route and runs the encoder: all that happens once per forward or generate.

        Args:
            batch: as `batch` makes it.
            copies: times that each row will be repeated before the decoder (beams, candidates).
            embed: also compute the instance embedding where only the losses need it.

        Returns:
            Encoder states (B, S, d) and the embeddings z (B, e), not normalised, or None.
        """
        mask, reads_instance = batch["attention_mask"], self.config.hyper_input == "instance"
        wanted = self.trained.retriever is not None and (embed or reads_instance)
        pooled = None
        if wanted and self.config.encoder in ("generated", "per_task"):
            # The embedding must not depend on the task, or a new task could not be looked up.
            with torch.no_grad():
                self.encoder_plan.set(None)
                pooled = masked_mean(self._encode(batch), mask)
        route = Route.of(batch["task_ids"])
        weights = self.trained.weights(route.tasks)
        self.encoder_plan.set(weights["encoder"], route)
        states = self._encode(batch)
        z = None
        if wanted:
            pooled = masked_mean(states, mask) if pooled is None else pooled
            if reads_instance:
                # The language-model loss trains the encoder through z even where the contrastive
                # terms may not; those get an embedding of the detached state.
                z = self.trained.retriever(pooled)
                rows = Route.of_rows(len(route), mask.device)
                weights = self.trained.weights(route.tasks, z)
                if weights["decoder"] is not None and self.config.decoder == "generated":
                    route = rows
            if z is None or not self.config.contrast_to_encoder:
                held = pooled if self.config.contrast_to_encoder else pooled.detach()
                z = self.trained.retriever(held)
        self.decoder_plan.set(weights["decoder"], route.expand(copies))
        return states, z

    def _encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        if "encoder_states" in batch:
            if self.config.encoder != "none":
                raise PHAError("encoder_states in a batch: only with encoder='none'.")
            return batch["encoder_states"]
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.config.encoder != "none"):
            inputs = {key: batch[key] for key in ("input_ids", "attention_mask")}
            return self.t5.encoder(**inputs).last_hidden_state

    def decode(self, states: Tensor, mask: Tensor, labels: Tensor) -> Tensor:
        """(B, N, V) logits for given target tokens."""
        return self.t5(
            encoder_outputs=(states,),
            attention_mask=mask,
            decoder_input_ids=self.t5.prepare_decoder_input_ids_from_labels(labels),
            use_cache=False,
        ).logits

    @contextmanager
    def inference(self):
        """Evaluation mode without gradient; the former mode returns afterwards."""
        was_training = self.training
        if was_training:
            self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            if was_training:
                self.train()

    def gradient_checkpointing_enable(self) -> None:
        """Saves memory: T5's blocks run a second time in the backward pass."""
        # The second name is that of transformers before 5.20 or so.
        for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable"):
            if hasattr(self.t5, name):
                return getattr(self.t5, name)({"use_reentrant": False})

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

    def index_instances(self, texts: Sequence[str], tasks: str | Sequence[str]) -> None:
        """Remembers labelled instances for ``retrieve(by="instances")``.

        The index holds embeddings of the moment: fill it again after further training. It is not
        saved. Task names may be any, also such that the model does not know.
        """
        texts = inference.check_texts(texts, "texts")
        names = [tasks] * len(texts) if isinstance(tasks, str) else list(tasks)
        self.instances = InstanceIndex(self.embed(texts), names)

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
        texts = inference.check_texts(texts, "texts", least=1)
        if by == "prototypes":
            if not self.config.uses_prototype_loss:
                raise PHAError(
                    "by='prototypes': this model's prototypes were not trained to lie near "
                    "instances (no prototype loss); use by='instances'."
                )
            vectors = self.trained.prototypes.vectors.detach()
            names, find = (
                self.config.tasks,
                lambda z: prototype_scores(z, vectors, reduce, self.config.temperature),
            )
        elif by == "instances":
            if self.instances is None:
                raise PHAError("by='instances': call index_instances(texts, tasks) first.")
            names, find = (
                self.instances.names,
                lambda z: self.instances.scores(z, reduce, self.config.temperature),
            )
        else:
            raise PHAError(f"by={by!r}: choose 'prototypes' or 'instances'.")
        return ranked(names, find(self.embed(texts)), k)

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
            seed: of the fresh start and of the draw.

        Returns:
            The new task's id.

        Parameters change their size: make a new optimiser afterwards.
        """
        config = replace(self.config, tasks=[*self.config.tasks, name])
        mixture = self._mixture(like, seed)
        # Of a tree with one task more than needed the last row is as fresh as any.
        fresh = replace(config, tasks=[name], seed=seed)
        d, *layers = bb.sizes(self.t5)
        self.trained.grow(Trained(fresh, d, tuple(layers)), mixture)
        self.config = config
        return len(config.tasks) - 1

    def _mixture(self, like, seed: int) -> Tensor | None:
        if like is None:
            return None
        names = self.config.tasks
        if isinstance(like, Mapping):
            shares = dict(like)
        elif not isinstance(like, str):
            shares = {self.retrieve(list(like), k=1)[0][0]: 1.0}
        elif like == "mean":
            shares = dict.fromkeys(names, 1 / len(names))
        elif like == "random":
            draw = torch.Generator().manual_seed(seed)
            shares = {names[int(torch.randint(len(names), (1,), generator=draw))]: 1.0}
        else:
            shares = {like: 1.0}
        mixture = torch.zeros(len(names))
        for name, t in zip(shares, self.task_ids(list(shares), len(shares)), strict=True):
            mixture[t] = shares[name]
        return mixture

    def bake(self, task: str) -> BakedAdapter:
        """One task's adapters as ordinary weights that need neither prototype nor hypernetwork."""
        if self.config.generates and self.config.hyper_input == "instance":
            raise PHAError("hyper_input='instance' makes adapters per row: nothing to bake.")
        task_id = torch.tensor(self.task_ids(task, 1), device=self.device)
        with torch.no_grad():
            weights = self.trained.weights(task_id)
        return BakedAdapter.of(weights, self.config.placement, task)

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
        counts["backbone"] = sum(p.numel() for p in self.t5.parameters())
        return counts

    def clone(self) -> PHAModel:
        """A model with its own copy of the trained part, over the same frozen T5."""
        memo = {id(p): p for p in self.t5.parameters()}
        memo |= {id(kept): kept for kept in (self.tokenizer, self.instances) if kept is not None}
        return copy.deepcopy(self, memo)

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes ``model.safetensors`` (the trained part only) and ``config.json``, atomically."""
        saving.save(self, folder)

    @classmethod
    def from_pretrained(
        cls, folder: str | Path, backbone: str | Path | bb.Backbone | None = None
    ) -> PHAModel:
        """What `save_pretrained` or `push_to_hub` wrote.

        Args:
            folder: a folder, or ``"owner/name"`` on the hub.
            backbone: as in `from_backbone`; by default the one noted in the files.

        Raises:
            PHAError: files are missing, cut off or changed, or made on another backbone.
        """
        return saving.load(cls, folder, backbone)

    def push_to_hub(
        self, repo_id: str, private: bool | None = None, token: str | None = None, **commit
    ) -> str:
        """Uploads what `save_pretrained` writes; returns the commit's address."""
        return saving.push(self, repo_id, private, token, **commit)
