"""What a training run will cost, counted before it starts: an estimate, with how it was counted.

Matrix products are counted one by one, 2 operations for each multiplication; all else (norms, the
optimiser) is small beside them and left out. Every row counts at its full length, though real
batches are padded only to their longest row. So counted, operations and kept bytes agree with
PyTorch's own counters to a tenth or two. Time follows from operations and a speed, and no device
reaches its full speed in training: read it as a lower bound.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import torch

from .config import PHAConfig
from .errors import PHAError

# Raffel et al. 2020: width, feed-forward width, heads, layers of each stack; a head has width 64
PUBLISHED = {
    "t5-small": (512, 2048, 8, 6),
    "t5-base": (768, 3072, 12, 12),
    "t5-large": (1024, 4096, 16, 24),
}
HOW = (
    "operations: 2 per multiplication in every matrix product, all rows at full length; backward: "
    "as many again for frozen weights, twice as many for trained ones and for attention. memory: "
    "weights, gradients, AdamW's two moments and the best weights, and what PyTorch keeps for the "
    "backward pass; buffers that come and go are not counted. time: operations / speed, which is a "
    "lower bound: training reaches a part of a device's speed"
)
STATES = 5  # float32 copies of every trained number: value, gradient, two moments, best value
RANK, PROMPT = 8, 20  # of the baselines LoRA and prompt tuning


@dataclass(frozen=True)
class T5Sizes:
    """Sizes of a T5: width d, feed-forward width, heads of width d_kv, layers, vocabulary."""

    d: int
    ff: int
    heads: int
    d_kv: int
    encoder: int
    decoder: int
    vocab: int
    gated: bool = False
    tied: bool = True

    @property
    def a(self) -> int:
        """Width of all heads together."""
        return self.heads * self.d_kv

    @property
    def ff_weights(self) -> int:
        """Weights of one feed-forward sub-layer."""
        return (3 if self.gated else 2) * self.d * self.ff

    @property
    def numbers(self) -> int:
        """Weights of products and embeddings; norms and position biases are left out."""
        layers = self.encoder * (4 * self.d * self.a + self.ff_weights)
        layers += self.decoder * (8 * self.d * self.a + self.ff_weights)
        return layers + (1 if self.tied else 2) * self.vocab * self.d


def sizes_of(backbone: str | Path) -> T5Sizes:
    """Sizes of a backbone from its configuration alone, without its weights.

    Args:
        backbone: as for `load_backbone`. The sizes of the three published T5s of the paper's kind
            are known here, so for them nothing is asked of the hub.

    Raises:
        PHAError: there is no configuration to be had.
    """
    name = str(backbone)
    if (known := PUBLISHED.get(name.removeprefix("google-t5/"))) and not Path(name).exists():
        d, ff, heads, layers = known
        return T5Sizes(d, ff, heads, 64, layers, layers, 32128)
    from transformers import AutoConfig

    from .paths import data_dir

    source = data_dir() / "backbone" / "tiny" if name == "tiny" else name
    try:
        t5 = AutoConfig.from_pretrained(source)
        return T5Sizes(
            t5.d_model,
            t5.d_ff,
            t5.num_heads,
            t5.d_kv,
            t5.num_layers,
            t5.num_decoder_layers,
            t5.vocab_size,
            t5.is_gated_act,
            t5.tie_word_embeddings,
        )
    except (OSError, ValueError, AttributeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise PHAError(f"backbone {name!r}: no T5 configuration to be had ({reason})") from error


def trained_numbers(t5: T5Sizes, config: PHAConfig, method: str) -> int:
    """How many numbers a method trains."""
    if method == "full":
        return t5.numbers
    if method == "lora":  # on the queries and values of 1 attention per encoder layer, 2 per other
        return 2 * (t5.encoder + 2 * t5.decoder) * RANK * (t5.d + t5.a)
    if method == "prompt":
        return len(config.tasks) * PROMPT * t5.d
    if method == "bitfit":  # a bias on every output of a linear map
        ff = (2 if t5.gated else 1) * t5.ff + t5.d
        attention = 3 * t5.a + t5.d
        return t5.encoder * (attention + ff) + t5.decoder * (2 * attention + ff)
    from .trained import Trained

    with torch.device("meta"):  # shapes without numbers
        trained = Trained(config, t5.d, (t5.encoder, t5.decoder))
    return sum(weight.numel() for weight in trained.parameters())


@dataclass(frozen=True)
class Cost:
    """Of one training run.

    Args:
        step: operations of a training step.
        answer: operations of ranking two label words for one row.
        trained: numbers that are trained.
        memory: bytes at a training step.
        disk: bytes of the checkpoint and the saved weights.
    """

    step: float
    answer: float
    trained: int
    memory: float
    disk: float


def cost(
    t5: T5Sizes, config: PHAConfig, method: str, batch: int, target: int = 8, width: int = 4
) -> Cost:
    """What a method costs.

    Args:
        t5: sizes of the backbone.
        config: of the model, with its tasks.
        method: a name of `baselines.METHODS`, but for "nearest", which trains nothing.
        batch: rows of a step.
        target: tokens of a target; label words have few.
        width: bytes of a frozen weight, 2 in bfloat16.
    """
    source = config.max_source_length + (PROMPT if method == "prompt" else 0)
    full, added = method == "full", method in ("full", "lora", "bitfit", "prompt")
    encoder = added or config.encoder != "none"  # does the backward pass enter it?
    decoder = added or config.decoder != "none"
    (linear_e, attention_e), (linear_d, attention_d) = forward(t5, source, target)
    row = linear_e + attention_e + linear_d + attention_d
    answer = row + linear_d + attention_d
    weight = 2 if full else 1  # a trained weight needs a gradient of its own
    row += weight * linear_d + 2 * attention_d
    entered = (t5.encoder - (not added)) / t5.encoder * encoder  # not below the lowest adapter
    row += (weight * linear_e + 2 * attention_e) * entered
    if not added:
        adapted = source * t5.encoder * encoder + target * t5.decoder * decoder
        row += 3 * 4 * adapted * t5.d * config.adapter_dim
    trained = trained_numbers(t5, config, method)
    states = 4 * STATES * trained + (0 if full else width * t5.numbers)
    memory = states + batch * kept(t5, config, source, target, full, encoder, not added)
    return Cost(batch * row, answer, trained, memory, 4 * STATES * trained)


def forward(t5: T5Sizes, source: int, target: int) -> tuple[tuple[float, float], ...]:
    """Operations of one row: (linear maps, attention) of the encoder, then of the decoder.

    The decoder's part holds the keys and values it makes of the source, and the head.
    """
    pair = 4 * t5.a  # one query on one key: a product for the score, one for the value
    linear_e = 2 * source * t5.encoder * (4 * t5.d * t5.a + t5.ff_weights)
    attention_e = t5.encoder * pair * source**2
    linear_d = 2 * target * t5.decoder * (6 * t5.d * t5.a + t5.ff_weights)
    linear_d += 2 * source * t5.decoder * 2 * t5.d * t5.a + 2 * target * t5.d * t5.vocab
    attention_d = t5.decoder * pair * (target**2 + target * source)
    return (linear_e, attention_e), (linear_d, attention_d)


def kept(
    t5: T5Sizes,
    config: PHAConfig,
    source: int,
    target: int,
    full: bool,
    encoder: bool,
    adapters: bool,
    mask: int = 1,
) -> float:
    """Bytes that PyTorch keeps of one row for the backward pass, in float32.

    Of a frozen linear map nothing is kept, of a trained one its input. Attention is counted
    spelled out; the fused kernels of a GPU keep less of it.

    Args:
        mask: bytes that a dropout keeps of each number: 1 on a GPU, 4 on a CPU.
    """
    bottom = config.adapter_dim if adapters else 0
    read = adapters or full  # whether the normed input of a feed-forward sub-layer is kept

    def attention(queries: int, keys: int) -> float:
        numbers = queries * (t5.d + t5.a) + 2 * keys * t5.a + 2 * t5.heads * queries * keys
        numbers += full * queries * (t5.d + t5.a)  # inputs of the four maps
        return 4 * numbers + mask * (queries * t5.d + t5.heads * queries * keys)

    def feed_forward(tokens: int) -> float:
        hidden = (3 if t5.gated else 1) * t5.ff + full * t5.ff
        numbers = (1 + read) * t5.d + hidden + bottom
        return tokens * (4 * numbers + mask * (t5.d + t5.ff))

    entered = (t5.encoder - adapters) * encoder  # nothing below the lowest adapter is trained
    below = entered * (attention(source, source) + feed_forward(source))
    above = attention(target, target) + attention(target, source) + feed_forward(target)
    return below + t5.decoder * above + 4 * 2 * target * t5.vocab


def speed_here(size: int = 1536, seconds: float = 0.5) -> float:
    """Operations per second of a float32 matrix product on this machine, measured now."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a = torch.rand(size, size, device=device)
    done, began, passed = 0, 0.0, 0.0
    while passed < seconds or done < 2:
        if done == 1:  # the first one warms up
            began = time.perf_counter()
        a @ a
        if device == "cuda":
            torch.cuda.synchronize()
        done += 1
        passed = time.perf_counter() - began if done > 1 else 0.0
    return 2 * size**3 * (done - 1) / passed
