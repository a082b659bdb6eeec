# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     goal: write an adapter, hang it on a T5 and start it quietly
#     chapters: [frozen_model, adapters]
#     minutes: 90
# ---

# %% [markdown]
# # Assignment 1: Adapters
#
# A frozen T5 answers no question of yours until something small in it
# is trained. Here you write that something: a bottleneck adapter. You
# count it, compute it, put it beside and behind a feed-forward layer,
# start it, hang it on a real T5 by hooks, and look at what it reads
# from real texts.

# %%
# IGNORE: what the tests import
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

# %%
import torch
import torch.nn.functional as F
from pha_lite import load_backbone, load_suite
from pha_lite.check import Notebook
from torch import nn

VARIANT = 1  # your teacher may have set another one: leave it
SEED = 0
torch.manual_seed(SEED)
grader = Notebook("a1_adapters")
print(f"torch {torch.__version__}, CPU, variant {VARIANT}, seed {SEED}")

# %% [markdown]
# An adapter takes one token's hidden state, a row $x$ of $d$ numbers:
#
# $$A(x) = \mathrm{ReLU}(x\,W_{\mathrm{down}} + b_{\mathrm{down}})\,
# W_{\mathrm{up}} + b_{\mathrm{up}}$$
#
# with $W_{\mathrm{down}}$ of shape $d \times b$ and $W_{\mathrm{up}}$
# of shape $b \times d$. The shapes of the biases follow.

# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 2

# %% [markdown]
# ## q1. What does it cost? (2 points)
#
# Write `adapter_size(d, b)`: how many numbers one adapter has. Return
# a whole number.

# %% [raw]
# # BEGIN SOLUTION


# %%
def adapter_size(d, b):
    """How many numbers an adapter of widths d and b has."""
    return 2 * d * b + b + d  # SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_counted_by_hand(adapter_size):
    same(
        adapter_size(3, 2),
        17,
        "adapter_size(3, 2)",
        "Draw the four parts and count their entries.",
    )


# %%
# Hidden: one matrix, both biases of one width, no biases
def test_other_sizes(adapter_size):
    for d, b in [(1, 1), (128, 16), (768, 64), (5, 40)]:
        same(
            adapter_size(d, b),
            2 * d * b + b + d,
            f"adapter_size({d}, {b})",
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 4

# %% [markdown]
# ## q2. The bottleneck (4 points)
#
# Write `bottleneck(x, down, down_bias, up, up_bias)`: $A(x)$ for a
# batch of texts, `x` of shape (B, S, d). The result has the same
# shape. Only what will be *added* is asked for: no residual inside.

# %% [raw]
# # BEGIN SOLUTION


# %%
def bottleneck(x, down, down_bias, up, up_bias):
    """A(x). x: (B, S, d), down: (d, b), up: (b, d)."""
    # BEGIN SOLUTION
    hidden = F.relu(x @ down + down_bias)
    return hidden @ up + up_bias
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_shape(bottleneck):
    parts = [torch.ones(*s) for s in ((6, 3), (3,), (3, 6), (6,))]
    got = bottleneck(torch.ones(2, 5, 6), *parts)
    shaped(got, (2, 5, 6), "bottleneck(x) for x of (2, 5, 6)")


# %%
def test_by_hand(bottleneck):
    x = torch.tensor([[[2.0, -1.0]]])
    down, down_bias = torch.tensor([[1.0], [1.0]]), torch.tensor([0.5])
    up, up_bias = torch.tensor([[2.0, -2.0]]), torch.tensor([0.25, 0.5])
    same(
        bottleneck(x, down, down_bias, up, up_bias),
        torch.tensor([[[3.25, -2.5]]]),
        "bottleneck of the row (2, -1)",
        "Its hidden number is ReLU(2 - 1 + 0.5) = 1.5.",
    )


# %%
# Hidden: no ReLU, the bias behind the ReLU, a ReLU at the end
def test_equals_the_package(bottleneck):
    from pha_lite.adapter import AdapterWeights
    from pha_lite.adapter import bottleneck as package

    torch.manual_seed(1)
    x = torch.randn(3, 4, 7)
    w = AdapterWeights(
        torch.randn(7, 5),
        torch.randn(5),
        torch.randn(5, 7),
        torch.randn(7),
    )
    same(bottleneck(x, *w), package(x, w), "bottleneck(x)")


# %%
# Hidden: transposed matrices, which a square adapter lets through
def test_square(bottleneck):
    torch.manual_seed(2)
    x, down, up = torch.randn(2, 3, 4), torch.randn(4, 4), torch.eye(4)
    zero = torch.zeros(4)
    want = (x @ down).clamp(min=0)
    got = bottleneck(x, down, zero, up, zero)
    same(got, want, "bottleneck(x) with b = d", "W_down or its mirror?")
    got = bottleneck(x, torch.eye(4), zero, down, zero)
    want = x.clamp(min=0) @ down
    same(got, want, "bottleneck(x) with b = d", "W_up or its mirror?")


# %%
# Hidden: a residual inside
def test_no_residual(bottleneck):
    x = torch.arange(12.0).view(1, 3, 4)
    zero = [torch.zeros(*s) for s in ((4, 2), (2,), (2, 4), (4,))]
    same(
        bottleneck(x, *zero),
        torch.zeros(1, 3, 4),
        "bottleneck(x) with all weights zero",
        "x is added outside, not here.",
    )


# %%
# Hidden: detached weights, and an x that is changed in place
def test_can_be_trained(bottleneck):
    torch.manual_seed(3)
    x = torch.randn(2, 3, 4)
    before = x.clone()
    shapes = (4, 8), (8,), (8, 4), (4,)
    parts = [torch.randn(*s, requires_grad=True) for s in shapes]
    bottleneck(x, *parts).square().sum().backward()
    same(x, before, "x after the call", "It was changed in place.")
    for name, part in zip(
        ("down", "down_bias", "up", "up_bias"), parts, strict=True
    ):
        assert part.grad is not None, f"{name} gets no gradient"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 4

# %% [markdown]
# ## q3. Beside or behind (4 points)
#
# A feed-forward sub-layer of T5 computes
# $h' = h + \mathrm{FFN}(\mathrm{LN}\,h)$. Write it with an adapter in
# both places:
#
# - `parallel`: the adapter reads what the FFN reads, and its result
#   joins the sum;
# - `sequential`: the adapter reads what the FFN gives, and is added
#   to that before $h$ is.
#
# `norm`, `ffn` and `adapter` are functions of a tensor.

# %% [raw]
# # BEGIN SOLUTION


# %%
def parallel(h, norm, ffn, adapter):
    """h' with the adapter beside the FFN."""
    # BEGIN SOLUTION
    x = norm(h)
    return h + ffn(x) + adapter(x)
    # END SOLUTION


def sequential(h, norm, ffn, adapter):
    """h' with the adapter behind the FFN."""
    # BEGIN SOLUTION
    y = ffn(norm(h))
    return h + y + adapter(y)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_a_silent_adapter_changes_nothing(parallel, sequential):
    h = torch.tensor([[1.0, 2.0]])
    for name, place in (
        ("parallel", parallel),
        ("sequential", sequential),
    ):
        same(
            place(
                h, lambda t: t / 2, lambda t: 10 * t, torch.zeros_like
            ),
            torch.tensor([[6.0, 12.0]]),
            f"{name} with an adapter that adds nothing",
            "h + FFN(LN h) must be left: both terms, once each.",
        )


# %%
# Hidden: reads h, norm twice, no h, no FFN
def test_parallel(parallel):
    h = torch.tensor([[3.0, -1.0]])
    got = parallel(h, lambda t: t + 1, lambda t: 10 * t, lambda t: t**2)
    same(got, h + 10 * (h + 1) + (h + 1) ** 2, "parallel")


# %%
# Hidden: reads LN h or h, no inner residual, no h
def test_sequential(sequential):
    h = torch.tensor([[3.0, -1.0]])
    y = 10 * (h + 1)
    got = sequential(
        h, lambda t: t + 1, lambda t: 10 * t, lambda t: t**2
    )
    same(got, h + y + y**2, "sequential")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# ## q4. A quiet start (4 points)
#
# PHA's released code draws both matrices by Xavier's rule with a
# *gain* $g$ and sets both biases to zero:
#
# $$W_{ij} \sim \mathcal{U}(-g u,\; g u), \qquad u = \sqrt{6/(d+b)}$$
#
# Write `start(d, b, gain)`: the four parts `(down, down_bias, up,
# up_bias)` of a new adapter.

# %% [raw]
# # BEGIN SOLUTION


# %%
def start(d, b, gain=1e-4):
    """(down, down_bias, up, up_bias) of a new adapter."""
    # BEGIN SOLUTION
    bound = gain * (6 / (d + b)) ** 0.5
    down = torch.empty(d, b).uniform_(-bound, bound)
    up = torch.empty(b, d).uniform_(-bound, bound)
    return down, torch.zeros(b), up, torch.zeros(d)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_parts(start):
    got = start(6, 2, 1.0)
    assert isinstance(got, tuple | list) and len(got) == 4, (
        "start must return four parts: down, down_bias, up, up_bias"
    )
    shapes = (6, 2), (2,), (2, 6), (6,)
    names = "down", "down_bias", "up", "up_bias"
    for name, part, shape in zip(names, got, shapes, strict=True):
        shaped(part, shape, name)


# %%
def test_inside_the_bound(start):
    down, _, up, _ = start(6, 2, 0.1)
    bound = 0.1 * (6 / 8) ** 0.5
    for name, part in (("down", down), ("up", up)):
        top = part.abs().max().item()
        assert top <= bound * 1.0001, (
            f"{name} must stay within {bound:.3f} for gain 0.1, d = 6 "
            f"and b = 2, got {top:.3f}"
        )


# %%
# Hidden: a start at zero, one matrix at zero, the same draw for both
def test_not_zero(start):
    torch.manual_seed(4)
    down, _, up, _ = start(30, 30, 1e-4)
    for name, part in (("down", down), ("up", up)):
        assert part.abs().max() > 0, f"{name} is zero everywhere"
        assert len(part.unique()) > 800, f"{name} repeats its numbers"
    assert not torch.equal(down, up), "down and up are the same draw"
    assert not torch.equal(down, up.T), "up is down, transposed"
    again = start(30, 30, 1e-4)[0]
    assert not torch.equal(down, again), "each call gives the same draw"


# %%
# Hidden: random or constant biases
def test_biases(start):
    _, down_bias, _, up_bias = start(40, 20, 1.0)
    same(down_bias, torch.zeros(20), "down_bias")
    same(up_bias, torch.zeros(40), "up_bias")


# %%
# Hidden: another bound, normal numbers, only positive ones
def test_uniform(start):
    torch.manual_seed(5)
    for d, b, gain in ((300, 100, 1.0), (100, 300, 1e-2)):
        bound = gain * (6 / (d + b)) ** 0.5
        down, _, up, _ = start(d, b, gain)
        for name, part in (("down", down), ("up", up)):
            ratio = part.abs().max().item() / bound
            assert 0.99 < ratio < 1.0001, (
                f"{name} must reach up to {bound:.4g}, got {ratio:.2f} "
                "times that"
            )
            spread = part.std().item() / bound
            assert abs(spread - 3**-0.5) < 0.02, (
                f"{name} is not uniform between the bounds"
            )
            middle = part.mean().abs().item() / bound
            assert middle < 0.02, f"{name} must have the mean zero"


# %%
# Hidden: the gain squared, or of the wrong part
def test_gain_once(start):
    torch.manual_seed(6)
    for gain in (1e-4, 1e-2):
        down, _, up, _ = start(300, 100, gain)
        for name, part in (("down", down), ("up", up)):
            top = part.abs().max().item() / (6 / 400) ** 0.5
            assert 0.95 < top / gain < 1.01, (
                f"{name}: with gain {gain:g} the largest number must be "
                f"{gain:g} times u, got {top:.2g} times u"
            )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 4

# %% [markdown]
# ## q5. On a T5, by hooks (4 points)
#
# `sub` below is a feed-forward sub-layer of a T5. It has a
# `layer_norm` and a `DenseReluDense`, which is the FFN. Write
# `hang(sub, adapter)`: it registers forward hooks so that a call of
# `sub` gives the *parallel* form of q3, and returns a list of all
# handles. After `handle.remove()` on each of them the T5 must be as
# it was.

# %%
t5, tokenizer = load_backbone("tiny")
t5.requires_grad_(False)
sub = t5.encoder.block[-1].layer[-1]
print(sub)

# %% [raw]
# # BEGIN SOLUTION


# %%
def hang(sub, adapter):
    """A parallel adapter on a sub-layer; the handles of its hooks."""
    # BEGIN SOLUTION
    kept = {}

    def keep(module, args, output):
        kept["x"] = output  # LN h

    def add(module, args, output):
        return output + adapter(kept.pop("x"))

    return [
        sub.layer_norm.register_forward_hook(keep),
        sub.register_forward_hook(add),
    ]
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_adds_and_leaves(hang):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5LayerFF

    torch.manual_seed(7)
    sub = T5LayerFF(T5Config(d_model=8, d_ff=16)).eval()
    h = torch.randn(2, 3, 8)
    plain = sub(h)
    handles = hang(sub, torch.ones_like)
    assert isinstance(handles, list | tuple) and handles, (
        f"hang must return a list of handles, got {handles!r}"
    )
    same(
        sub(h),
        plain + 1,
        "the sub-layer's output with an adapter that gives ones",
        "It is the output without adapter, plus one.",
    )
    for handle in handles:
        handle.remove()
    same(sub(h), plain, "the output after handle.remove()")


# %%
# Hidden: the adapter reads h, or what the FFN gives
def test_reads_what_the_ffn_reads(hang):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5LayerFF

    torch.manual_seed(8)
    sub = T5LayerFF(T5Config(d_model=8, d_ff=16)).eval()
    sub.layer_norm.weight.data.uniform_(0.5, 2.0)
    plain = sub(h := torch.randn(2, 3, 8))
    hang(sub, lambda x: x**2)
    same(sub(h), plain + sub.layer_norm(h) ** 2, "the sub-layer")


# %%
# Hidden: what was kept of the first text answers for the second
def test_a_second_text(hang):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5LayerFF

    torch.manual_seed(9)
    sub = T5LayerFF(T5Config(d_model=8, d_ff=16)).eval()
    first, second = torch.randn(1, 3, 8), torch.randn(2, 5, 8)
    plain = sub(second)
    hang(sub, lambda x: 3 * x)
    sub(first)
    want = plain + 3 * sub.layer_norm(second)
    same(sub(second), want, "the sub-layer at its second call")


# %%
# Hidden: a hook that is not among the handles
def test_leaves_no_hook(hang):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5LayerFF

    sub = T5LayerFF(T5Config(d_model=8, d_ff=16)).eval()
    for handle in hang(sub, torch.zeros_like):
        handle.remove()
    for name, module in sub.named_modules():
        left = [*module._forward_hooks, *module._forward_pre_hooks]
        assert not left, f"a hook stays on {name or 'the sub-layer'}"


# %%
# Hidden: against pha_lite.backbone.attach, on all layers of a T5
def test_equals_attach(hang):
    from pha_lite.adapter import AdapterWeights, bottleneck
    from pha_lite.backbone import Plan, attach
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Stack

    torch.manual_seed(10)
    config = T5Config(
        d_model=8,
        d_ff=16,
        d_kv=4,
        num_heads=2,
        num_layers=2,
        vocab_size=9,
    )
    config.is_decoder = config.use_cache = False
    stack = T5Stack(config).eval()
    stack.embed_tokens = nn.Embedding(9, 8)
    shapes = (2, 8, 4), (2, 4), (2, 4, 8), (2, 8)
    weights = AdapterWeights(*(torch.randn(*s) for s in shapes))
    ids = torch.tensor([[1, 2, 3, 4]])
    with torch.no_grad():
        plan = Plan()
        handles = attach(stack, plan)
        plan.set(weights)
        want = stack(input_ids=ids).last_hidden_state
        for handle in handles:
            handle.remove()
        for block, w in zip(stack.block, weights.unbind(), strict=True):
            hang(block.layer[-1], lambda x, w=w: bottleneck(x, w))
        got = stack(input_ids=ids).last_hidden_state
    same(got, want, "the encoder with hang on both layers", atol=1e-4)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6
# points: 5

# %% [markdown]
# ## q6. Dead units (5 points)
#
# A hidden number of an adapter that is zero at *every* token of *all*
# texts is dead on these texts: no gradient reaches its column of
# $W_{\mathrm{down}}$. Here are reviews of your variant, as the last
# encoder layer's adapter would read them, and a down matrix with
# biases below zero.

# %%
suite = load_suite(seed=VARIANT)
rows = suite["sentiment/hotel"].sample(48, seed=VARIANT)["train"]
batch = tokenizer(
    list(rows["source"]), padding=True, return_tensors="pt"
)
mask = batch["attention_mask"]  # (B, S), 0 where there is padding
seen = []
hook = sub.layer_norm.register_forward_hook(
    lambda module, args, output: seen.append(output)
)
with torch.no_grad():
    t5.encoder(**batch)
hook.remove()
x = seen[0]  # LN h: (B, S, d)
draw = torch.Generator().manual_seed(VARIANT)
down = torch.randn(x.shape[-1], 64, generator=draw)
down_bias = -2.25 * down.norm(dim=0) * x.square().mean().sqrt()
print(x.shape, "of which real tokens:", mask.sum().item())

# %% [markdown]
# Write `dead(x, mask, down, down_bias)`: how many hidden numbers are
# dead. Texts differ in length, and what stands at their padding is no
# text. Then call it: `answer_6` is the number for your variant.

# %% [raw]
# # BEGIN SOLUTION


# %%
def dead(x, mask, down, down_bias):
    """Hidden numbers that are zero at every real token."""
    # BEGIN SOLUTION
    hidden = F.relu(x @ down + down_bias)  # (B, S, b)
    alive = (hidden > 0) & mask.bool().unsqueeze(-1)
    return int((~alive.any(dim=1).any(dim=0)).sum())
    # END SOLUTION


answer_6 = dead(x, mask, down, down_bias)  # SOLUTION
print(answer_6)

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(dead):
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    down = torch.tensor([[1.0, -1.0, -1.0], [1.0, -1.0, 2.0]])
    same(
        dead(x, torch.ones(1, 2), down, torch.zeros(3)),
        1,
        "dead for a text whose three hidden numbers are (1, 0, 0) at "
        "its first token and (1, 0, 2) at its second",
    )


# %%
def test_answer(answer_6):
    fits = isinstance(answer_6, int) and 0 <= answer_6 <= 64
    assert fits, (
        f"answer_6 must be a whole number up to 64, got {answer_6!r}"
    )


# %%
# Hidden: padding is counted
def test_padding(dead):
    x = torch.tensor([[[1.0], [1.0], [-5.0]], [[2.0], [-9.0], [-9.0]]])
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    down, bias = torch.tensor([[1.0, -1.0]]), torch.zeros(2)
    same(dead(x, mask, down, bias), 1, "dead for two texts of one sign")
    x, mask = torch.tensor([[[-1.0], [0.0]]]), torch.tensor([[1, 0]])
    bias = torch.tensor([0.5, -0.5])
    same(dead(x, mask, down, bias), 1, "dead for a text of one token")


# %%
# Hidden: dead in one text is not dead
def test_all_texts(dead):
    x = torch.tensor([[[1.0], [1.0]], [[-1.0], [-1.0]]])
    mask, bias = torch.ones(2, 2), torch.tensor([0.0, 0.0, -3.0])
    down = torch.tensor([[1.0, -1.0, 1.0]])
    same(dead(x, mask, down, bias), 1, "dead for texts of two signs")


# %%
# Hidden: the bias
def test_bias(dead):
    x, mask = torch.zeros(1, 2, 3), torch.ones(1, 2)
    bias = torch.tensor([1.0, -1.0, 0.0, 2.0])
    same(dead(x, mask, torch.ones(3, 4), bias), 2, "dead for x = 0")


# %%
# Hidden (2 points): the number itself
def test_number_of_the_variant(answer_6, env):
    assert env.get("VARIANT") == VARIANT, (
        f"the variant is {VARIANT}, not {env.get('VARIANT')}"
    )
    from pha_lite import load_backbone, load_suite

    t5, tokenizer = load_backbone("tiny")
    suite = load_suite(seed=VARIANT)
    rows = suite["sentiment/hotel"].sample(48, seed=VARIANT)["train"]
    batch = tokenizer(
        list(rows["source"]), padding=True, return_tensors="pt"
    )
    sub, seen = t5.encoder.block[-1].layer[-1], []
    sub.layer_norm.register_forward_hook(
        lambda module, args, output: seen.append(output)
    )
    with torch.no_grad():
        t5.encoder(**batch)
    (x,) = seen
    draw = torch.Generator().manual_seed(VARIANT)
    down = torch.randn(x.shape[-1], 64, generator=draw)
    bias = -2.25 * down.norm(dim=0) * x.square().mean().sqrt()
    tokens = x[batch["attention_mask"].bool()]
    want = int(((tokens @ down + bias).amax(0) <= 0).sum())
    same(answer_6, want, "answer_6")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7
# points: 1

# %% [markdown]
# ## q7. Start at zero (1 point)
#
# Both matrices and both biases of a parallel adapter are exactly zero.
# Which parts get a gradient that is not zero in the first step?
#
# - a: all four
# - b: only $b_{\mathrm{up}}$
# - c: both matrices
# - d: $W_{\mathrm{up}}$ and $b_{\mathrm{up}}$

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_7 = "b"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letter(answer_7):
    choice(answer_7, "abcd", "answer_7")


# %%
# Hidden
def test_right(answer_7):
    assert answer_7 == "b", (
        "each matrix learns through the other, and both are zero"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q8
# points: 1

# %% [markdown]
# ## q8. A ceiling (1 point)
#
# Two tasks with the answers *yes* and *no* read the same texts, and
# nothing in a text says which task is asked. Their right answers
# differ on half of the texts. What is the best mean accuracy that one
# adapter shared by both can reach?
#
# - a: 50 %
# - b: 66 %
# - c: 75 %
# - d: 100 %, if it is wide enough

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_8 = "c"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letter(answer_8):
    choice(answer_8, "abcd", "answer_8")


# %%
# Hidden
def test_right(answer_8):
    assert answer_8 == "c", (
        "right for both where they agree, for one where they differ"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q9
# points: 1

# %% [markdown]
# ## q9. Merging (1 point)
#
# LoRA's update can be added to a frozen matrix after training. Why
# can a parallel adapter not be merged into its layer like that?
#
# - a: its ReLU makes it nonlinear, and beside it stands a whole FFN
# - b: it has two matrices, and LoRA only one
# - c: it has biases, which a matrix cannot hold
# - d: its weights are too small after a quiet start

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_9 = "a"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letter(answer_9):
    choice(answer_9, "abcd", "answer_9")


# %%
# Hidden
def test_right(answer_9):
    assert answer_9 == "a", "no single matrix does what a ReLU does"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q10
# points: 3
# manual: true

# %% [markdown]
# ## q10. A bug report (3 points, read by your teacher)
#
# A colleague trains parallel adapters. The loss falls in the first
# steps and then stays where it is, and accuracy stays at chance. Name
# two different mistakes in the code that would look like this, and
# for each a test of one or two lines that tells it from the other.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# For example (one point for each mistake that fits, one for tests
# that tell them apart):
#
# - Both matrices start at zero: only a bias learns, which is enough to
#   learn what words are answers. Test: are the gradients of `down` and
#   `up` zero after a backward pass?
# - The hook is registered on a copy, or removed, or the optimiser got
#   other weights: nothing but what was trained before changes. Test:
#   does the output change if `up_bias` is set to 1?
# - Right code that shares one adapter between tasks that conflict is
#   no mistake in the code, and earns a point only if the text says so.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run the notebook from the top once more, save it, and hand in this
# file, `a1_adapters.ipynb`.

# %%
grader.check_all()
