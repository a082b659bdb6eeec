"""The frozen T5: loading it, and hanging adapters on it. Only this file knows its attribute names.

T5, mT5 and Flan-T5 share them: ``t5.encoder.block[i].layer[-1]`` is the feed-forward sub-layer,
which computes ``h + dropout(DenseReluDense(layer_norm(h)))``.
"""

from __future__ import annotations

import copy
import hashlib
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from .adapter import AdapterWeights, bottleneck
from .errors import PHAError
from .hub import check_hub, reason
from .routing import Route

Backbone = tuple[nn.Module, "object"]  # a T5ForConditionalGeneration and its tokenizer


def load_backbone(name: str | Path = "tiny", dtype: torch.dtype = torch.float32) -> Backbone:
    """Loads a T5 and its tokenizer.

    Args:
        name: ``"tiny"`` for the embedded backbone (no network), a model name on the hub such as
            ``"google-t5/t5-base"``, or a folder.
        dtype: type of the frozen weights; adapters stay in float32 whatever it is.

    Returns:
        (t5, tokenizer), the T5 in evaluation mode.

    Raises:
        PHAError: nothing by that name, or not a T5.
    """
    from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

    source = str(name)
    if source == "tiny":
        from .paths import data_dir

        source = str(data_dir() / "backbone" / "tiny")
        if not Path(source).is_dir():
            raise PHAError(f"the embedded backbone is missing at {source}; reinstall pha_lite.")
    if not Path(source).is_dir():
        check_hub()
    try:
        with _quiet():
            t5 = AutoModelForSeq2SeqLM.from_pretrained(source, dtype=dtype)
            tokenizer = AutoTokenizer.from_pretrained(source)
    except Exception as error:  # network, hub and files fail in their own many ways
        raise PHAError(
            f"backbone {str(name)!r} cannot be loaded; give 'tiny', a folder with a T5, or its "
            f"name on the hub ({reason(error)})"
        ) from error
    check_t5(t5)
    t5.config._name_or_path = str(name)  # "tiny" on any machine, not where it lies on this one
    return t5.eval(), tokenizer


@contextmanager
def _quiet():
    """No bar, and no warning: transformers 5 warns of every T5 with a head of its own (T5 1.1)."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class Plan:
    """What the hooks of one stack apply right now; set once per forward or generate.

    Weights of fewer layers than the stack has belong to its uppermost ones.

    It stays until the next call, because gradient checkpointing runs the blocks a second time in
    the backward pass. ``weights=None`` leaves the stack as it is.
    """

    def __init__(self):
        self.weights: list[AdapterWeights] | None = None
        self.route: Route | None = None

    def set(self, weights: AdapterWeights | None, route: Route | None = None) -> None:
        """Takes the weights of all layers, (L, ...) or (L, K, ...)."""
        self.weights = None if weights is None else weights.unbind()
        self.route = route

    def __deepcopy__(self, memo) -> Plan:
        return Plan()  # what a copy of the model applies is set by its own next call


class _Site:
    """The hooks of one feed-forward sub-layer.

    Args:
        plan: what to apply.
        depth: 1 for the uppermost layer of the stack, counted downwards.
    """

    def __init__(self, plan: Plan, depth: int):
        self.plan, self.depth, self.normed = plan, depth, None

    def adapted(self, output: Tensor, x: Tensor) -> Tensor:
        """The output plus what this layer's adapter makes of x, if it has one."""
        if self.plan.weights is None or self.depth > len(self.plan.weights):
            return output
        return output + bottleneck(x, self.plan.weights[-self.depth], self.plan.route)

    def keep(self, module: nn.Module, args: tuple, output: Tensor) -> None:
        """On layer_norm: remembers LN h, which the parallel adapter reads too."""
        self.normed = output

    def parallel(self, module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        """On the sub-layer: h' = h + Dropout(FFN(LN h)) + A(LN h)."""
        normed, self.normed = self.normed, None
        return self.adapted(output, normed)

    def sequential(self, module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        """On DenseReluDense: h' = h + Dropout(y + A(y)), y = FFN(LN h)."""
        return self.adapted(output, output)


def attach(stack: nn.Module, plan: Plan, placement: str = "parallel") -> list:
    """Hangs adapters on every feed-forward sub-layer of one stack.

    Args:
        stack: ``t5.encoder`` or ``t5.decoder``.
        plan: read by the hooks at every call.
        placement: ``"parallel"`` or ``"sequential"``.

    Returns:
        The hooks' handles; ``handle.remove()`` on each restores the stack.
    """
    handles = []
    for layer, block in enumerate(stack.block):
        sub_layer, site = block.layer[-1], _Site(plan, len(stack.block) - layer)
        if placement == "parallel":
            handles.append(sub_layer.layer_norm.register_forward_hook(site.keep))
            handles.append(sub_layer.register_forward_hook(site.parallel))
        else:
            handles.append(sub_layer.DenseReluDense.register_forward_hook(site.sequential))
    return handles


def frozen_view(t5: nn.Module) -> nn.Module:
    """A second module tree over the same weights, frozen, without our hooks.

    So a model can hang adapters on its own view while the T5 it was given stays as it was, and
    many models share one T5 at no cost in memory. T5's "new" GELU, which transformers spells out
    in eight elementwise operations, becomes PyTorch's fused form of the same function.
    """
    memo = {id(p): nn.Parameter(p.detach(), requires_grad=False) for p in t5.parameters()}
    memo.update({id(b): b for b in t5.buffers()})
    view = copy.deepcopy(t5, memo)
    for module in view.modules():
        for key, hook in list(module._forward_hooks.items()):
            if isinstance(getattr(hook, "__self__", None), _Site):
                del module._forward_hooks[key]
        if type(getattr(module, "act", None)).__name__ == "NewGELUActivation":
            module.act = nn.GELU(approximate="tanh")
    return view


def sizes(t5: nn.Module) -> tuple[int, int, int]:
    """(d, encoder layers, decoder layers)."""
    return t5.config.d_model, len(t5.encoder.block), len(t5.decoder.block)


def set_dropout(t5: nn.Module, rate: float) -> None:
    """Sets every dropout of the T5, also those that attention applies to its weights."""
    for module in t5.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
        elif isinstance(getattr(module, "dropout", None), float):
            module.dropout = rate


def check_t5(t5) -> None:
    """Raises PHAError unless the module has the parts that this file relies on."""
    try:
        for stack in (t5.encoder, t5.decoder):
            sub_layer = stack.block[0].layer[-1]
            _ = sub_layer.layer_norm, sub_layer.DenseReluDense
        _ = t5.lm_head, t5.config.decoder_start_token_id
    except (AttributeError, IndexError, TypeError) as error:
        raise PHAError(
            f"{type(t5).__name__} is not a T5: PHA needs an encoder-decoder of that family "
            "(T5, mT5, Flan-T5)."
        ) from error


def check_tokenizer(tokenizer) -> None:
    """Raises PHAError unless texts end in </s> and can be padded."""
    if tokenizer.pad_token_id is None or tokenizer.eos_token_id is None:
        raise PHAError("the tokenizer needs a padding token and an end token </s>.")
    if tokenizer("a")["input_ids"][-1:] != [tokenizer.eos_token_id]:
        raise PHAError("the tokenizer must close every text with </s>, as T5's does.")


def fingerprint(t5: nn.Module, tokenizer) -> str:
    """A short digest of weights and vocabulary, to tell one backbone from another.

    Values are rounded to bfloat16 first, so the same backbone loaded in either precision agrees,
    and at most 4096 evenly spaced values of each tensor are read, so a large T5 takes a moment.
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(t5.state_dict().items()):
        flat = tensor.detach().flatten()
        sample = flat[:: max(1, flat.numel() // 4096)].to(torch.bfloat16).cpu()
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(sample.view(torch.int16).numpy().tobytes())
    for piece, number in sorted(tokenizer.get_vocab().items()):
        digest.update(f"{piece}\t{number}\n".encode())
    return digest.hexdigest()[:32]
