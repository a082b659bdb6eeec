"""All that is trained, in one small module tree beside the frozen T5."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .adapter import AdapterWeights, PerTaskAdapters, SharedAdapters
from .config import PHAConfig
from .errors import PHAError
from .hypernet import HyperNetwork, Prototypes
from .retriever import Retriever


class Trained(nn.Module):
    """Adapters, prototypes, hypernetwork and retriever; those that a configuration needs.

    Args:
        config: decides which parts exist and how large they are.
        d: width of the T5.
        layers: number of layers of its encoder and its decoder.

    Each of its parts is None where the configuration has no use for it.

    Attributes:
        encoder: `SharedAdapters` or `PerTaskAdapters`.
        decoder: the same, for the other stack.
        prototypes: `Prototypes`, one row per task (also the free embeddings of HyperFormer).
        own: `Prototypes`, a second vector per task without a loss on it (`PHAConfig.own_dim`).
        hypernet: `HyperNetwork` over all layers whose adapters are generated, encoder first.
        retriever: `Retriever`.
        t5: tensors of the T5 itself; only a baseline that tunes these has any.
    """

    def __init__(self, config: PHAConfig, d: int, layers: tuple[int, int]):
        super().__init__()
        self.owners = {"encoder": config.encoder, "decoder": config.decoder}
        self.layers = {
            stack: count - config.skip_lowest
            for stack, count in zip(self.owners, layers, strict=True)
        }
        for stack, owner in self.owners.items():
            if owner != "none" and self.layers[stack] < 1:
                raise PHAError(
                    f"skip_lowest={config.skip_lowest}: this T5's {stack} would be left without "
                    f"adapters; choose less, or {stack}='none'."
                )
        self.hyper_input = config.hyper_input
        tasks, b = len(config.tasks), config.adapter_dim
        # Own stream of random numbers: the seed alone decides, whatever was drawn before.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            for stack, owner in self.owners.items():
                part = None
                if owner == "shared":
                    part = SharedAdapters(self.layers[stack], d, b)
                elif owner == "per_task":
                    part = PerTaskAdapters(tasks, self.layers[stack], d, b)
                setattr(self, stack, part)
            self.prototypes = self.own = self.hypernet = self.retriever = self.t5 = None
            if config.has_table:
                self.prototypes = Prototypes(tasks, config.prototype_dim, config.prototype_std)
            if config.generates:
                generated = [s for s, owner in self.owners.items() if owner == "generated"]
                self.hypernet = HyperNetwork(
                    sum(self.layers[stack] for stack in generated),
                    d,
                    b,
                    config.hyper_width,
                    config.layer_dim,
                    config.hyper_hidden,
                    config.hyper_out,
                )
            if config.has_retriever:
                self.retriever = Retriever(d, config.retriever_hidden, config.prototype_dim)
            if config.own_width:
                self.own = Prototypes(tasks, config.own_width)

    def weights(
        self, tasks: Tensor, instances: Tensor | None = None
    ) -> dict[str, AdapterWeights | None]:
        """Adapter weights of both stacks for K distinct tasks, the hypernetwork called once.

        Args:
            tasks: (K,) task ids; of rows, which may repeat a task, beside instances.
            instances: (K, e) instance embeddings, for a hypernetwork that reads them in place of
                the tasks' vectors or beside them. They come from the encoder's last state, so only
                what is generated from them is still wanted.

        Returns:
            For ``"encoder"`` and ``"decoder"``: weights (L, ...) if shared, (L, K, ...) if owned
            by tasks or generated, None without adapters, or when instances are not known yet.
        """
        result: dict[str, AdapterWeights | None] = {}
        generated = None
        if self.hypernet is not None:
            vectors = self._vectors(tasks, instances)
            generated = None if vectors is None else self.hypernet(vectors)
        first = 0
        for stack, owner in self.owners.items():
            part = getattr(self, stack)
            result[stack] = None if part is None or instances is not None else part(tasks)
            if owner == "generated" and generated is not None:
                last = first + self.layers[stack]
                result[stack] = AdapterWeights(*(w[first:last] for w in generated))
                first = last
        return result

    def _vectors(self, tasks: Tensor, instances: Tensor | None) -> Tensor | None:
        """(K, `PHAConfig.hyper_width`) what the hypernetwork reads; None while that is unknown."""
        if self.hyper_input == "instance":
            return instances
        parts = [self.prototypes(tasks)]
        if self.own is not None:
            parts.append(self.own(tasks))
        if self.hyper_input == "both":
            if instances is None:
                return None
            parts.append(instances)
        return torch.cat(parts, dim=1)

    def task_tables(self) -> list[nn.Parameter]:
        """Every parameter whose first dimension runs over tasks."""
        return [table for part in self._task_parts() for table in part.parameters()]

    def _task_parts(self) -> list[nn.Module]:
        parts = [p for p in (self.encoder, self.decoder) if isinstance(p, PerTaskAdapters)]
        return [p for p in (self.prototypes, self.own) if p is not None] + parts

    def grow(self, other: Trained, mixture: Tensor | None) -> None:
        """Adds one task: a row at the end of every table; all that was there stays as it is.

        Args:
            other: a freshly initialised tree; its last row is the fresh start.
            mixture: (T,) shares of the present tasks in the new row; None for the fresh start.
        """
        for part, fresh in zip(self._task_parts(), other._task_parts(), strict=True):
            for name, table in list(part.named_parameters()):
                values = table.detach()
                if mixture is None:
                    row = getattr(fresh, name).detach()[-1:].to(values)
                elif mixture.max() == 1:  # a copy, to the last bit
                    row = values[mixture.argmax()].unsqueeze(0)
                else:
                    row = torch.tensordot(mixture.to(values), values, dims=1).unsqueeze(0)
                # A new parameter: graphs of earlier passes still know the old one's shape.
                grown = nn.Parameter(torch.cat([values, row]), table.requires_grad)
                setattr(part, name, grown)

    def count(self) -> dict[str, int]:
        """Trained numbers per part."""
        parts = {
            "encoder": self.encoder,
            "decoder": self.decoder,
            "prototypes": self.prototypes,
            "hypernetwork": self.hypernet,
            "retriever": self.retriever,
        }
        rare = {"own": self.own, "t5": self.t5}
        parts |= {name: part for name, part in rare.items() if part is not None}
        return {
            name: 0 if part is None else sum(p.numel() for p in part.parameters())
            for name, part in parts.items()
        }
