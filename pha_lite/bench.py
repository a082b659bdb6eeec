"""`pha bench`: what PHA costs beside its rivals, at the size of real T5s with random weights.

Random weights take as long as trained ones. All contenders get the same batch. In training each
does a whole step (forward, loss, backward, AdamW), and two marks say what the frozen T5 alone
takes: "forward only", and "limit", forward with the backward pass through the activations that
anything trained in the first layer needs. Two contenders do as the released code does, written here
for the comparison: adapters generated for every *row*, and again at every step of decoding.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import torch
import torch.nn.functional as F
from torch import nn

from . import timing
from .adapter import bottleneck
from .baselines import build
from .config import PHAConfig
from .errors import PHAError, unknown
from .memory import added_peak
from .model import PHAModel
from .routing import Route

SIZES: dict[str, dict[str, int]] = {  # of T5 1.0
    "tiny": {"d_model": 64, "d_ff": 128, "num_layers": 2, "num_heads": 2},
    "small": {"d_model": 512, "d_ff": 2048, "num_layers": 6, "num_heads": 8},
    "base": {"d_model": 768, "d_ff": 3072, "num_layers": 12, "num_heads": 12},
}
VOCABULARY = 32128
Work = Callable[[], object]


@dataclass(frozen=True)
class Setting:
    """What is measured.

    Args:
        size: a name of `SIZES`.
        batch, source, target: rows, and tokens of each side; nothing is padding.
        tasks: tasks in the model, mixed evenly in the batch.
        new_tokens: decoded greedily, always so many.
        rows: for the generator alone, with `target` tokens each.
        device: torch's name of it.
    """

    size: str = "small"
    batch: int = 8
    source: int = 64
    target: int = 8
    tasks: int = 8
    new_tokens: int = 16
    rows: int = 128
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.size not in SIZES:
            raise PHAError(unknown("size", self.size, SIZES))
        for name in ("batch", "source", "target", "tasks", "new_tokens", "rows"):
            if getattr(self, name) < 1:
                raise PHAError(f"{name}={getattr(self, name)}: must be at least 1")


def random_t5(size: str) -> nn.Module:
    """A stock T5 with random weights, frozen, in training mode without dropout."""
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCABULARY,
        d_kv=64,
        dropout_rate=0.0,
        decoder_start_token_id=0,
        **SIZES[size],
    )
    torch.manual_seed(0)
    return T5ForConditionalGeneration(config).requires_grad_(False)


class Bench:
    """One T5, one batch, and every contender by name.

    Args:
        setting: see `Setting`.
    """

    def __init__(self, setting: Setting):
        from .backbone import load_backbone

        self.setting = setting
        self.names = [f"task {i}" for i in range(setting.tasks)]
        self.t5 = random_t5(setting.size).to(setting.device)
        self.tokenizer = load_backbone("tiny")[1]  # never asked: the batch is made of numbers
        draw = torch.Generator().manual_seed(0)
        ids = {"generator": draw, "dtype": torch.long}
        shape = (setting.batch, setting.source)
        self.batch = {
            "input_ids": torch.randint(2, VOCABULARY, shape, **ids),
            "attention_mask": torch.ones(shape, dtype=torch.long),
            "labels": torch.randint(2, VOCABULARY, (setting.batch, setting.target), **ids),
            "task_ids": torch.arange(setting.batch) % setting.tasks,
        }
        self.batch = {name: tensor.to(setting.device) for name, tensor in self.batch.items()}

    def model(self, method: str = "pha", **overrides) -> PHAModel:
        """A method's model with the widths of the release, in training mode."""
        base = PHAConfig.paper(tasks=self.names, dropout=0.0)
        return build(method, (self.t5, self.tokenizer), self.names, base, **overrides).train()

    # ---- training ------------------------------------------------------------------------------

    def training(self) -> dict[str, Callable[[], Work]]:
        """Name -> what makes the work; "limit" is what the others are compared with."""
        return {
            "forward only": self._forward,
            "limit": self._limit,
            "full fine-tuning": lambda: self._step(self.model("full")),
            "LoRA (peft, r = 8)": lambda: self._step(self.model("lora")),
            "shared adapters": lambda: self._step(self.model("shared_adapter")),
            "PHA as released": lambda: self._released_step(),
            "PHA": lambda: self._step(self.model()),
            "PHA, bare encoder": lambda: self._step(self.model(encoder="none")),
            "PHA, cached encoder": self._cached,
        }

    def _forward(self) -> Work:
        given = {k: v for k, v in self.batch.items() if k != "task_ids"}

        def forward() -> None:
            with torch.no_grad():
                self.t5(**given)

        return forward

    def _limit(self) -> Work:
        """A leaf on the output of the first feed-forward sub-layer: the least that must go back."""
        given = {k: v for k, v in self.batch.items() if k != "task_ids"}
        leaf = torch.zeros(self.t5.config.d_model, device=self.setting.device, requires_grad=True)
        first = self.t5.encoder.block[0].layer[-1]

        def there_and_back() -> None:
            handle = first.register_forward_hook(lambda module, args, out: out + leaf)
            try:
                self.t5(**given).loss.backward()
            finally:
                handle.remove()
            leaf.grad = None

        return there_and_back

    def _step(self, model: PHAModel, batch: dict | None = None) -> Work:
        batch = self.batch if batch is None else batch
        weights = [weight for _, weight in model.adapter_parameters()]
        optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=True)

        def step() -> None:
            model(batch).loss.backward()
            optimizer.step()
            optimizer.zero_grad()

        return step

    def _cached(self) -> Work:
        model = self.model(encoder="none")
        with torch.no_grad():
            states = model.encode(self.batch)
        return self._step(model, {**self.batch, "encoder_states": states})

    def _released_step(self) -> Work:
        model = self.model()
        step = self._step(model)

        def released() -> None:
            with per_row(model, self.batch["task_ids"]):
                step()

        return released

    # ---- decoding ------------------------------------------------------------------------------

    def decoding(self) -> dict[str, Callable[[], Work]]:
        """Name -> what makes the work; "frozen" is what the others are compared with."""
        one = torch.zeros_like(self.batch["task_ids"])
        return {
            "frozen": lambda: self._decode(self.t5),
            "PHA as released": self._decode_released,
            "PHA, one task": lambda: self._decode_model(self.model().eval(), one),
            "PHA, mixed tasks": lambda: self._decode_model(
                self.model().eval(), self.batch["task_ids"]
            ),
            "baked adapter": self._decode_baked,
        }

    def _decode(self, t5: nn.Module, **more) -> Work:
        length = {"min_new_tokens": self.setting.new_tokens}
        length["max_new_tokens"] = self.setting.new_tokens
        given = {"attention_mask": self.batch["attention_mask"], "do_sample": False, **length}

        def decode():
            t5.eval()
            with torch.no_grad():
                given_states = more.get("states")
                source = (
                    {"input_ids": self.batch["input_ids"]}
                    if given_states is None
                    else {"encoder_outputs": given_states()}
                )
                return t5.generate(**source, **given)

        return decode

    def _decode_model(self, model: PHAModel, task_ids) -> Work:
        from transformers.modeling_outputs import BaseModelOutput

        batch = {**self.batch, "task_ids": task_ids}

        def states():
            return BaseModelOutput(last_hidden_state=model.start(batch, embed=False)[0])

        return self._decode(model.t5, states=states)

    def _decode_released(self) -> Work:
        model = self.model().eval()
        decode = self._decode_model(model, self.batch["task_ids"])

        def released():
            with per_row(model, self.batch["task_ids"]):
                return decode()

        return released

    def _decode_baked(self) -> Work:
        import copy

        t5 = copy.deepcopy(self.t5)
        self.model().bake(self.names[0]).attach(t5)
        return self._decode(t5)

    # ---- generation and adapters alone ---------------------------------------------------------

    def generating(self) -> dict[str, Callable[[], Work]]:
        """Adapters of the decoder, made and applied to `rows` rows, forward and backward."""
        setting = self.setting
        model = self.model()
        net, vectors = model.trained.hypernet, model.trained.prototypes
        ids = torch.arange(setting.rows, device=setting.device) % setting.tasks
        x = torch.randn(setting.rows, setting.target, self.t5.config.d_model, device=setting.device)

        def ours() -> None:
            route = Route.of(ids)
            made = net(vectors(route.tasks)).unbind()
            sum(bottleneck(x, weights, route).sum() for weights in made).backward()
            net.zero_grad()

        def released() -> None:
            total = 0.0
            for layer in range(len(net.layers)):
                total = total + rows_of_adapters(net, vectors(ids), layer, x).sum()
            total.backward()
            net.zero_grad()

        return {"per row, as released": lambda: released, "per distinct task": lambda: ours}


def rows_of_adapters(net: nn.Module, vectors: torch.Tensor, layer: int, x: torch.Tensor):
    """A(x) as the released code goes about it: a set of weights for every row, in one layer.

    Args:
        net: our `HyperNetwork`, whose weights are used.
        vectors: (B, e), a vector for each row.
        x: (B, S, d).
    """
    pairs = torch.cat([vectors, net.layers[layer].expand(len(vectors), -1)], dim=-1)
    made = net.norm(net.second(F.relu(net.first(pairs))))
    down = net.down(made).view(-1, net.d, net.b)
    up = net.up(made).view(-1, net.b, net.d)
    hidden = F.relu(torch.bmm(x, down) + net.down_bias(made).unsqueeze(1))
    return torch.bmm(hidden, up) + net.up_bias(made).unsqueeze(1)


@contextmanager
def per_row(model: PHAModel, task_ids: torch.Tensor):
    """Inside, the decoder's adapters are generated per row and in every call of a layer."""
    net, vectors, handles = model.trained.hypernet, model.trained.prototypes, []
    model.trained.hypernet = None  # our way rests meanwhile
    normed: dict[int, torch.Tensor] = {}

    def keep(layer):
        return lambda module, args, out: normed.__setitem__(layer, out)

    def add(layer):
        def hook(module, args, out):
            states, *rest = out if isinstance(out, tuple) else (out,)
            x = normed.pop(layer)
            states = states + rows_of_adapters(net, vectors(task_ids), layer, x)
            return (states, *rest) if rest else states

        return hook

    for layer, block in enumerate(model.t5.decoder.block):
        sub_layer = block.layer[-1]
        handles.append(sub_layer.layer_norm.register_forward_hook(keep(layer)))
        handles.append(sub_layer.register_forward_hook(add(layer)))
    try:
        yield
    finally:
        model.trained.hypernet = net
        for handle in handles:
            handle.remove()


GROUPS = {"training": "limit", "decoding": "frozen", "generating": "per distinct task"}


def run(
    setting: Setting, groups: list[str], rounds: int, times: int, progress: bool, memory: bool
) -> dict:
    """Measure the contenders of some groups.

    Args:
        groups: names of `GROUPS`.
        rounds, times: as in `timing.interleaved`.
        memory: also run every contender in a process of its own and note its peak.

    Returns:
        group -> contender -> what `timing.summary` says, and "peak_mib" with `memory`.
    """
    bench, found = Bench(setting), {}
    for group in groups:
        if group not in GROUPS:
            raise PHAError(unknown("group", group, GROUPS))
        works = {name: make() for name, make in getattr(bench, group)().items()}
        taken = timing.interleaved(works, rounds, times, progress=progress)
        found[group] = timing.summary(taken, GROUPS[group])
        del works
    if memory:
        with get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            for group, rows in found.items():
                for name, row in rows.items():
                    row["peak_mib"] = pool.apply(peak, (setting, group, name))
    return found


def peak(setting: Setting, group: str, name: str) -> float:
    """Peak memory in MiB that one contender adds to T5 and batch, in a process of its own."""
    torch.set_num_threads(1)
    bench = Bench(setting)
    if torch.device(setting.device).type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        base = torch.cuda.memory_allocated()
        getattr(bench, group)()[name]()()
        return round((torch.cuda.max_memory_allocated() - base) / 2**20, 1)
    return added_peak(lambda: getattr(bench, group)()[name]()())
