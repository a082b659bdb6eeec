"""PHACore: a frozen T5 and the trained part beside it; batches, forward, losses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import backbone as bb
from . import inference
from .config import PHAConfig
from .errors import PHAError, unknown
from .losses import instance_loss, lm_loss, prototype_loss
from .retriever import InstanceIndex, masked_mean
from .routing import Route
from .trained import Trained


@dataclass
class PHAOutput:
    """What one forward pass gives.

    Attributes:
        loss: lm_loss + instance_weight * ir_loss + prototype_weight * pro_loss; None, like
            lm_loss and logits, for a batch without labels.
        lm_loss: the language-model term.
        ir_loss: the instance term, unweighted; 0 where it is off.
        pro_loss: the prototype term, unweighted; 0 where it is off.
        logits: (B, N, V).
        embeddings: (B, e) normalised instance embeddings; None without a retriever.
    """

    loss: Tensor | None
    lm_loss: Tensor | None
    ir_loss: Tensor
    pro_loss: Tensor
    logits: Tensor | None
    embeddings: Tensor | None


class PHACore(nn.Module):
    """The part of `PHAModel` that training needs: text to tensors, tensors to losses.

    Args:
        t5: a T5; it stays untouched, the model works on a frozen view of it.
        tokenizer: the T5's tokenizer.
        config: with at least one task.
        backbone_name: by which `load_backbone` finds the T5 again, if there is one.
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
        self.trained = self.new_trained(config).to(next(t5.parameters()).device)
        self.encoder_plan, self.decoder_plan = bb.Plan(), bb.Plan()
        for stack, plan in (("encoder", self.encoder_plan), ("decoder", self.decoder_plan)):
            if getattr(config, stack) != "none":
                bb.attach(getattr(self.t5, stack), plan, config.placement)
        self.instances: InstanceIndex | None = None

    def new_trained(self, config: PHAConfig) -> Trained:
        """A fresh trained part of a configuration, for this T5."""
        d, *layers = bb.sizes(self.t5)
        return Trained(config, d, tuple(layers))

    def fingerprint(self) -> str:
        """Digest of the backbone that the trained part belongs to."""
        return bb.fingerprint(self.t5, self.tokenizer)

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
        batch = self.tokenize(sources, self.config.max_source_length)
        batch["task_ids"] = torch.tensor(self.task_ids(tasks, len(sources)), device=self.device)
        if targets is not None:
            targets = inference.check_texts(targets, "targets")
            if len(targets) != len(sources):
                raise PHAError(f"{len(sources)} sources and {len(targets)} targets: give as many.")
            target = self.tokenize(targets, self.config.max_target_length)
            batch["labels"] = target["input_ids"].masked_fill(target["attention_mask"] == 0, -100)
        return batch

    def tokenize(self, texts: list[str], length: int | None) -> dict[str, Tensor]:
        """input_ids and attention_mask of some texts, cut to a length unless it is None."""
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
                (B, S, d), the encoder's output computed before, and the encoder does not run. It
                may carry the ``route`` of its task_ids, which spares a wait for the device, and
                without which `torch.compile` breaks the graph there.
        """
        config, tasks, mask = self.config, batch["task_ids"], batch["attention_mask"]
        states, z = self.start(batch)
        ir = pro = torch.zeros((), device=mask.device)
        if config.instance_weight > 0:
            ir = instance_loss(z, tasks, config.temperature)
        if config.uses_prototype_loss:
            vectors = self.trained.prototypes.vectors
            if not config.contrast_to_prototypes:
                vectors = vectors.detach()
            pro = prototype_loss(z, vectors, tasks, config.temperature, config.prototype_loss)
        loss = lm = logits = None
        labels = batch.get("labels")
        if labels is not None:
            logits = self.decode(states, mask, labels)
            lm = lm_loss(logits, labels, config.label_smoothing, config.lm_reduction)
            loss = self.total_loss(lm, ir, pro)
        z = None if z is None else F.normalize(z, dim=-1)
        return PHAOutput(loss, lm, ir, pro, logits, z)

    def total_loss(self, lm: Tensor, ir: Tensor, pro: Tensor) -> Tensor:
        """The three terms in their weights."""
        return lm + self.config.instance_weight * ir + self.config.prototype_weight * pro

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
        config, mask = self.config, batch["attention_mask"]
        wanted = self.trained.retriever is not None and (embed or config.reads_instance)
        pooled = None
        if wanted and config.encoder in ("generated", "per_task"):
            # The embedding must not depend on the task, or a new task could not be looked up.
            with torch.no_grad():
                self.encoder_plan.set(None)
                pooled = masked_mean(self.encode(batch), mask)
        route = batch.get("route") or Route.of(batch["task_ids"])
        weights = self.trained.weights(route.tasks)
        self.encoder_plan.set(weights["encoder"], route)
        states = self.encode(batch)
        z = None
        if wanted:
            pooled = masked_mean(states, mask) if pooled is None else pooled
            if config.reads_instance:
                # The language-model loss trains the encoder through z even where the contrastive
                # terms may not; those get an embedding of the detached state.
                z = self.trained.retriever(pooled)
                weights = self.trained.weights(batch["task_ids"], z)
                route = Route.of_rows(len(route), mask.device)
            if z is None or not config.contrast_to_encoder:
                z = self.trained.retriever(
                    pooled if config.contrast_to_encoder else pooled.detach()
                )
        self.decoder_plan.set(weights["decoder"], route.expand(copies))
        return states, z

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, S, d) encoder states, under the adapters of the current route.

        Without adapters nothing in the encoder is trained, so autograd keeps nothing of it.
        """
        if "encoder_states" in batch:
            if self.config.encoder != "none":
                raise PHAError("encoder_states in a batch: only with encoder='none'.")
            return batch["encoder_states"]
        return self.t5.encoder(batch["input_ids"], batch["attention_mask"]).last_hidden_state

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
        # The same method under its newer and its older name in transformers.
        for name in ("activation_checkpointing_enable", "gradient_checkpointing_enable"):
            if hasattr(self.t5, name):
                return getattr(self.t5, name)({"use_reentrant": False})
