"""A baked adapter: one task's adapters as ordinary weights, for a T5 without a hypernetwork."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save as to_bytes
from torch import nn

from . import backbone as bb
from .adapter import AdapterWeights
from .checkpoint import read_tensors, write_atomic
from .errors import PHAError

FORMAT = "pha_lite.baked.1"


@dataclass
class BakedAdapter:
    """Adapters of one task.

    Args:
        encoder, decoder: weights (L, ...) of each stack, None where it has none.
        placement: as in `PHAConfig`.
        task: its name, for the reader.
        skipped: layers without adapters at the bottom of each stack.

    >>> handles = model.bake("sentiment").attach(t5)        # doctest: +SKIP
    >>> t5.generate(...)                                    # doctest: +SKIP
    >>> for handle in handles: handle.remove()              # doctest: +SKIP
    """

    encoder: AdapterWeights | None
    decoder: AdapterWeights | None
    placement: str
    task: str
    skipped: int = 0

    @classmethod
    def of(cls, weights: dict, placement: str, task: str, skipped: int = 0) -> BakedAdapter:
        """From the weights of one task: (L, ...) if shared, (L, 1, ...) if the task's own."""
        flat = {}
        for stack, part in weights.items():
            if part is not None and part.down.dim() == 4:
                part = AdapterWeights(*(w.squeeze(1) for w in part))
            flat[stack] = part and AdapterWeights(*(w.detach().clone() for w in part))
        return cls(placement=placement, task=task, skipped=skipped, **flat)

    def attach(self, t5: nn.Module) -> list:
        """Hangs the adapters on a stock T5; ``handle.remove()`` on each result takes them off."""
        bb.check_t5(t5)
        handles = []
        for stack, weights in (("encoder", self.encoder), ("decoder", self.decoder)):
            if weights is None:
                continue
            blocks = len(getattr(t5, stack).block)
            if (blocks - self.skipped, t5.config.d_model) != weights.down.shape[:2]:
                raise PHAError(
                    f"the adapter's {stack} has {weights.down.shape[0] + self.skipped} layers of "
                    f"width {weights.down.shape[1]}, this T5 {blocks} of {t5.config.d_model}; "
                    "attach it to the backbone it was made on."
                )
            plan = bb.Plan()
            plan.set(AdapterWeights(*(w.to(t5.device) for w in weights)))
            handles += bb.attach(getattr(t5, stack), plan, self.placement)
        return handles

    def num_parameters(self) -> int:
        return sum(w.numel() for part in (self.encoder, self.decoder) if part for w in part)

    def save(self, path: str | Path) -> None:
        """Writes one safetensors file, atomically."""
        tensors = {
            f"{stack}.{name}": tensor.cpu().contiguous()
            for stack, part in (("encoder", self.encoder), ("decoder", self.decoder))
            if part is not None
            for name, tensor in part._asdict().items()
        }
        about = {"format": FORMAT, "placement": self.placement, "task": self.task}
        about["skipped"] = self.skipped
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_atomic(Path(path), to_bytes(tensors, metadata={"about": json.dumps(about)}))

    @classmethod
    def load(cls, path: str | Path) -> BakedAdapter:
        """Reads what `save` wrote; PHAError if it is no such file."""
        try:
            tensors, about = read_tensors(path, FORMAT)
            parts = {
                stack: AdapterWeights(*(tensors[f"{stack}.{n}"] for n in AdapterWeights._fields))
                if f"{stack}.down" in tensors
                else None
                for stack in ("encoder", "decoder")
            }
            skipped = about.get("skipped", 0)  # files from before there was such a thing lack it
            return cls(placement=about["placement"], task=about["task"], skipped=skipped, **parts)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
            raise PHAError(f"{path} is not a baked adapter, or is damaged ({error}).") from error
