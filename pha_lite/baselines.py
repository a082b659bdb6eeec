"""What PHA is compared with, behind PHA's own interface.

Most baselines are configurations of `PHAModel` (see `PHAConfig.baseline`). Here are those that tune
the T5 itself or its input, and a control that trains nothing; `build` makes any of them by name.
They train with `train`, answer with `predict`, are counted, saved and loaded as a `PHAModel` is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import backbone as bb
from .config import BASELINES, PHAConfig
from .errors import PHAError, unknown
from .hypernet import Prototypes
from .inference import check_texts
from .model import PHAModel
from .trained import Trained

if TYPE_CHECKING:
    from .tasks import Task

_BARE = {"encoder": "none", "decoder": "none", "instance_weight": 0.0, "prototype_weight": 0.0}


class TunedT5(PHAModel):
    """Base of the methods that tune tensors of the T5 itself, shared by all tasks.

    A subclass marks what is trained in `release`. The model works on tensors of its own where it
    changes them, so the T5 it was given stays as it was.
    """

    def __init__(self, t5: nn.Module, tokenizer, config: PHAConfig, backbone_name: str = ""):
        super().__init__(t5, tokenizer, replace(config, **_BARE), backbone_name)
        self._source = bb.fingerprint(t5, tokenizer)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.release()
        # Owned here too, under names without dots, so that they are optimised and saved.
        self.trained.t5 = nn.ParameterDict(
            {
                name.replace(".", "/"): weight
                for name, weight in self.t5.named_parameters()
                if weight.requires_grad
            }
        )

    def release(self) -> None:
        """Marks (or adds) the tensors of ``self.t5`` that are trained."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """That of the T5 before it was tuned."""
        return self._source


class FullFineTuning(TunedT5):
    """Every weight of one T5 for all tasks.

    >>> model = FullFineTuning.from_backbone("tiny", PHAConfig.tiny(tasks=["mood"]))
    >>> model.count_parameters()["backbone"]
    0
    """

    method = "full"

    def release(self) -> None:
        for weight in self.t5.parameters():
            weight.data = weight.data.clone()
            weight.requires_grad_(True)


class BitFit(TunedT5):
    """A trained bias on every linear map (Ben Zaken et al. 2022), zero at the start.

    A T5 has no biases, so they are added: our choice. The head, a table of words, gets none.
    """

    method = "bitfit"

    def release(self) -> None:
        for stack in (self.t5.encoder, self.t5.decoder):
            for module in stack.modules():
                if isinstance(module, nn.Linear):
                    bias = module.weight.new_zeros(module.out_features)
                    module.bias = nn.Parameter(bias)


class LoRA(TunedT5):
    """Low-rank changes of all queries and values (Hu et al. 2022), by peft."""

    method, rank = "lora", 8

    def release(self) -> None:
        try:
            from peft import LoraConfig, inject_adapter_in_model
        except ImportError as error:
            raise PHAError("LoRA needs the library peft: pip install peft") from error
        change = LoraConfig(r=self.rank, lora_alpha=2 * self.rank, target_modules=["q", "v"])
        inject_adapter_in_model(change, self.t5)


class PromptTuning(PHAModel):
    """Trained vectors before every input, a set for each task (Lester et al. 2021).

    They start as the embeddings of pieces drawn from the vocabulary. One row of the table
    ``trained.prototypes`` is the prompt of a task, laid flat.
    """

    method, length = "prompt", 20

    def __init__(self, t5: nn.Module, tokenizer, config: PHAConfig, backbone_name: str = ""):
        super().__init__(t5, tokenizer, replace(config, **_BARE), backbone_name)
        self.t5.decoder.register_forward_pre_hook(_see_prompt, with_kwargs=True)

    def new_trained(self, config: PHAConfig) -> Trained:
        trained = super().new_trained(config)
        words = self.t5.get_input_embeddings().weight
        generator = torch.Generator().manual_seed(config.seed)
        drawn = torch.randint(len(words), (len(config.tasks), self.length), generator=generator)
        trained.prototypes = Prototypes(len(config.tasks), self.length * words.shape[1])
        trained.prototypes.vectors.data = words.detach()[drawn].flatten(1).float()
        return trained

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(B, length + S, d): the states of the prompt stand before those of the text."""
        if "task_ids" not in batch:  # an embedding that no task has a part in
            return super().encode(batch)
        words = self.t5.get_input_embeddings()(batch["input_ids"])
        prompts = self.trained.prototypes(batch["task_ids"]).view(len(words), -1, words.shape[-1])
        states = self.t5.encoder(
            inputs_embeds=torch.cat([prompts.to(words.dtype), words], dim=1),
            attention_mask=F.pad(batch["attention_mask"], (self.length, 0), value=1),
        )
        return states.last_hidden_state


def _see_prompt(decoder: nn.Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """The mask of a batch covers its text only: the decoder sees what stands before it, too."""
    states, mask = kwargs["encoder_hidden_states"], kwargs["encoder_attention_mask"]
    missing = states.shape[1] - mask.shape[1]
    return args, {**kwargs, "encoder_attention_mask": F.pad(mask, (missing, 0), value=1)}


class NearestNeighbour(PHAModel):
    """Trains nothing: a text gets the answer of the most similar training row of its task.

    Similar is a large cosine between the frozen encoder's pooled states. Call `remember` first.
    """

    method = "nearest"

    def __init__(self, t5: nn.Module, tokenizer, config: PHAConfig, backbone_name: str = ""):
        super().__init__(t5, tokenizer, replace(config, **_BARE), backbone_name)
        self.memory: dict[str, tuple[Tensor, list[str]]] = {}

    def remember(self, tasks: Mapping[str, Task]) -> NearestNeighbour:
        """Keeps the embedded training rows of every task, name -> task; returns the model."""
        for name, task in tasks.items():
            rows = task["train"]
            self.memory[name] = self.embed(list(rows["source"])), list(rows["target"])
        return self

    def predict(
        self,
        texts: Sequence[str],
        task: str | Task,
        labels: Sequence[str] | None = None,
        method: str = "auto",
        batch_size: int = 64,
        progress: bool = False,
    ) -> list[str]:
        """The answer of the nearest remembered row, for every text of one task.

        Args:
            texts, task, batch_size: as in `PHAModel.predict`.
            labels, method, progress: taken for the interface's sake, without effect.
        """
        texts = check_texts(texts, "texts")
        name = getattr(task, "name", task)
        if name not in self.memory:
            raise PHAError(unknown("remembered task (call remember first)", name, self.memory))
        points, answers = self.memory[name]
        nearest = (self.embed(texts, batch_size) @ points.T).argmax(dim=1)
        return [answers[row] for row in nearest]


CLASSES: dict[str, type[PHAModel]] = {
    kind.method: kind for kind in (FullFineTuning, BitFit, LoRA, PromptTuning, NearestNeighbour)
}
METHODS = (*BASELINES, *CLASSES)


def build(
    method: str,
    backbone: str | Path | bb.Backbone,
    tasks: Sequence[str],
    base: PHAConfig | None = None,
    **overrides,
) -> PHAModel:
    """A fresh model of a method.

    Args:
        method: ``"full"`` (fine-tuning of one T5 for all tasks), ``"bitfit"``, ``"lora"``,
            ``"prompt"``, ``"nearest"``, or a name of `PHAConfig.baseline`.
        backbone: as in `PHAModel.from_backbone`.
        tasks: names of the tasks.
        base: configuration whose sizes and lengths are kept; `PHAConfig.tiny()` when not given.
        overrides: fields of the configuration, such as ``seed``.

    >>> build("bitfit", "tiny", ["mood", "topic"]).count_parameters()["per_additional_task"]
    0
    """
    if method not in METHODS:
        raise PHAError(unknown("method", method, METHODS))
    name = method if method in BASELINES else "pha"
    config = PHAConfig.baseline(name, base, tasks=list(tasks), **overrides)
    return CLASSES.get(method, PHAModel).from_backbone(backbone, config)
