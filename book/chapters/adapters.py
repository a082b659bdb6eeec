# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: []
#     quick: {STEPS: 2, PAIR_STEPS: 2, ROWS: 6, SEEDS: [0], WATCH: [0, 2]}
# ---

# %% [markdown]
# # Adapters
#
# A frozen model is cheap to share and useless for a question it was
# never asked. This page opens it at a few places and puts a small
# trained network into each. **How can some thirty thousand trained
# numbers change what a frozen model of two million does, and when
# should two tasks own them together?**
#
# **After this page you can**
#
# - write a bottleneck adapter, with the shape of every matrix, and
#   hang it on a T5 by a hook of your own;
# - tell parallel from sequential adapters, in a formula and in code;
# - say why an adapter starts close to zero, and why not at zero;
# - count an adapter's numbers before you build it;
# - test whether two tasks should share an adapter;
# - say what LoRA and prompt tuning do differently.
#
# **You need** PyTorch modules and gradients, and the parts of a T5
# from [the page before](frozen_model.ipynb).

# %%
import copy
import time

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from pha_lite import (
    PHAConfig,
    PHAModel,
    load_backbone,
    load_suite,
    plots,
)
from pha_lite.adapter import AdapterWeights, bottleneck
from pha_lite.backbone import Plan, attach, frozen_view
from pha_lite.evaluate import interval, paired
from pha_lite.records import run_time
from pha_lite.train import TrainConfig, evaluate_tasks, train
from torch import nn

SEED = 0
torch.manual_seed(SEED)
began = time.perf_counter()
print(f"torch {torch.__version__}, on the CPU, seed {SEED}")

# %%
Markdown(run_time("adapters"))

# %% [markdown]
# ## The bottleneck
#
# An {term}`adapter` {cite}`houlsby2019adapters` takes one token's
# hidden state, $d$ numbers, squeezes it into $b \ll d$ numbers, cuts
# off the negative ones, and opens it again to $d$:
#
# ```{math}
# :label: eq-adapters-bottleneck
# A(x) = \mathrm{ReLU}(x\,W_{\mathrm{down}} + b_{\mathrm{down}})\,
#        W_{\mathrm{up}} + b_{\mathrm{up}}
# ```
#
# with $W_{\mathrm{down}}$ of shape $d \times b$ and $W_{\mathrm{up}}$
# of shape $b \times d$; the biases $b_{\mathrm{down}}$ and
# $b_{\mathrm{up}}$ have $b$ and $d$ numbers. The narrow middle, the
# {term}`bottleneck`, is what makes it small: two thin matrices in
# place of one of $d \times d$.

# %%
loaded, tokenizer = load_backbone("tiny")
t5 = frozen_view(loaded)  # the same weights, none of them trained

d = t5.config.d_model
WIDTH = 16  # b, the width of the bottleneck


class Adapter(nn.Module):
    """A(x): d numbers in, b in the middle, d out."""

    def __init__(self, d, b, gain=1e-4):
        super().__init__()
        self.down = nn.Parameter(torch.empty(d, b))
        self.down_bias = nn.Parameter(torch.zeros(b))
        self.up = nn.Parameter(torch.empty(b, d))
        self.up_bias = nn.Parameter(torch.zeros(d))
        for matrix in (self.down, self.up):
            nn.init.xavier_uniform_(matrix, gain)

    def forward(self, x):  # (B, S, d)
        hidden = F.relu(x @ self.down + self.down_bias)  # (B, S, b)
        return hidden @ self.up + self.up_bias  # (B, S, d)


# %% [markdown]
# Nothing in it looks at a neighbouring token, and there is no
# residual inside: $A(x)$ is only what will be *added*. The package
# has the same function with the weights handed in from outside,
# because later a hypernetwork will write them. Same weights, same
# result. (The default `gain=1e-4` makes the start tiny. For a test
# that could fail we take `gain=1`; the reason follows below.)

# %%
mine = Adapter(d, WIDTH, gain=1.0)
x = torch.randn(2, 7, d)  # B = 2 rows, S = 7 tokens

weights = AdapterWeights(*mine.parameters())
assert torch.allclose(mine(x), bottleneck(x, weights), atol=1e-5)
print(
    [f"{name} {tuple(w.shape)}" for name, w in mine.named_parameters()]
)

# %% [markdown]
# ## Parallel or sequential
#
# PHA puts its adapters at the feed-forward sub-layer, the last part
# of every block. T5 computes there, with a dropout that is off in
# evaluation,
#
# ```{math}
# :label: eq-adapters-plain
# h' = h + \mathrm{FFN}(\mathrm{LN}\,h) .
# ```
#
# The **parallel** adapter reads what the FFN reads. This is the form
# in PHA's released code:
#
# ```{math}
# :label: eq-adapters-parallel
# h' = h + \mathrm{FFN}(\mathrm{LN}\,h) + A(\mathrm{LN}\,h) .
# ```
#
# The **sequential** adapter reads what the FFN has written, with a
# residual of its own. {cite:t}`houlsby2019adapters` and, after them,
# HyperFormer {cite}`mahabadi2021hyperformer` have this form, with a
# second adapter behind the attention:
#
# ```{math}
# :label: eq-adapters-sequential
# h' = h + y + A(y), \qquad y = \mathrm{FFN}(\mathrm{LN}\,h) .
# ```
#
# ```{figure} ../figures/adapters_placement.svg
# :alt: Two flow charts of a feed-forward sub-layer. Parallel: the adapter A branches off between the layer norm and the feed-forward part, and its output joins the sum at the end. Sequential: A branches off behind the feed-forward part and is added to its output y; the sum of both is then added to h.
# :name: fig-adapters-placement
# :width: 100%
#
# Grey is frozen, blue is trained. Look at where the adapter's input
# comes from.
# ```
#
# Which is better is a question for experiments.
# {cite:t}`he2022unified` compare such forms side by side and find
# the parallel one ahead. Here is a real sub-layer, and both forms
# written out. (In the T5 its $h$ has passed the block's attention
# first. For a test of the formulas any states will do.)


# %%
def parallel(sub, h, adapter):
    x = sub.layer_norm(h)  # LN h: (B, S, d)
    return h + sub.DenseReluDense(x) + adapter(x)


def sequential(sub, h, adapter):
    y = sub.DenseReluDense(sub.layer_norm(h))  # (B, S, d)
    return h + y + adapter(y)


sub = t5.encoder.block[1].layer[-1]  # a T5LayerFF
text = "The rooms were clean, and the staff was kind."
ids = tokenizer([text], return_tensors="pt")["input_ids"]
with torch.no_grad():
    deep = t5.encoder(ids, output_hidden_states=True)
    h = deep.hidden_states[1]  # what block 1 receives: (1, S, d)
    plain = sub(h)
    ours = {f.__name__: f(sub, h, mine) for f in (parallel, sequential)}

for name, result in ours.items():
    far = (result - plain).norm() / (plain - h).norm()
    print(f"{name}: adds {far:.2f} times the length of FFN(LN h)")

# %% [markdown]
# The same adapter, and two different amounts: $\mathrm{LN}\,h$ and
# $y$ live on different scales. A reason to choose learning rates
# anew for each form.
#
# The attribute `DenseReluDense` is a historical name; in our T5 the
# FFN is a gated GELU. Does `pha_lite` compute the same two things
# inside the T5? Its function `attach` hangs adapters on a whole
# stack. A `Plan` holds the weights they use, for all layers stacked
# into one tensor each. We use it, call the very same sub-layer, and
# take it off again.


# %%
def stacked(adapters):
    """Adapters of L layers as one set of weights, (L, ...)."""
    each = zip(*(a.parameters() for a in adapters), strict=True)
    return AdapterWeights(*map(torch.stack, each))


layers = len(t5.encoder.block)
for placement, expected in ours.items():
    plan = Plan()
    handles = attach(t5.encoder, plan, placement)
    plan.set(stacked([mine] * layers))
    with torch.no_grad():
        assert torch.allclose(sub(h), expected, atol=1e-4)
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        assert torch.equal(sub(h), plain)  # as if nothing had been

# %% [markdown]
# ## How it gets in there: hooks
#
# Nobody has rewritten T5 for this. A **forward {term}`hook`** is a
# function that PyTorch calls each time a module has computed its
# output. It sees the module, the inputs and the output, and what it
# returns takes the output's place; `None` leaves it alone. A hook
# stays until its handle is removed.


# %%
def tell(module, args, output):
    print(f"{type(module).__name__} gave {tuple(output.shape)}")


with torch.no_grad():
    handle = sub.layer_norm.register_forward_hook(tell)
    sub(h)
    handle.remove()
    sub(h)  # silent again

# %% [markdown]
# The parallel adapter {eq}`eq-adapters-parallel` needs two of them.
# One on the layer norm keeps $\mathrm{LN}\,h$; one on the whole
# sub-layer adds $A(\mathrm{LN}\,h)$ to its output.


# %%
def hang(sub, adapter):
    """A parallel adapter on one sub-layer; returns the handles."""
    kept = {}

    def keep(module, args, output):
        kept["x"] = output  # LN h, for the other hook

    def add(module, args, output):
        return output + adapter(kept.pop("x"))

    return [
        sub.layer_norm.register_forward_hook(keep),
        sub.register_forward_hook(add),
    ]


# %% [markdown]
# The adapters of several sub-layers at once, for as long as a `with`
# block runs. The `finally` takes the hooks off even if an error
# ended the block.

# %%
from contextlib import contextmanager


@contextmanager
def hung(adapters, subs):
    """Adapters at their sub-layers while the block runs."""
    pairs = zip(subs, adapters, strict=True)
    handles = [handle for pair in pairs for handle in hang(*pair)]
    try:
        yield adapters
    finally:
        for handle in handles:
            handle.remove()


# %% [markdown]
# With one adapter for each encoder layer, the whole encoder must now
# agree with `attach`. The call `t5.encoder(...)` itself is the
# ordinary one; it does not know that it is being adapted.

# %%
torch.manual_seed(SEED)
sites = {
    "encoder": [block.layer[-1] for block in t5.encoder.block],
    "decoder": [block.layer[-1] for block in t5.decoder.block],
}
sites["both"] = sites["encoder"] + sites["decoder"]
adapters = [Adapter(d, WIDTH, gain=1.0) for _ in sites["encoder"]]

with torch.no_grad():
    before = t5.encoder(ids).last_hidden_state
    with hung(adapters, sites["encoder"]):
        by_hand = t5.encoder(ids).last_hidden_state
    plan = Plan()
    handles = attach(t5.encoder, plan)
    plan.set(stacked(adapters))
    theirs = t5.encoder(ids).last_hidden_state
    for handle in handles:
        handle.remove()
    after = t5.encoder(ids).last_hidden_state

assert torch.allclose(by_hand, theirs, atol=1e-4)
assert not torch.allclose(by_hand, before, atol=1e-2)
assert torch.equal(before, after)

# %% [markdown]
# Our `hung` puts hooks on and takes them off around every use.
# A `PHAModel` does it differently: its hooks are **permanent**. They
# are registered once, when the model is built, on a view of the T5
# that shares the weights but not the hooks. What changes from call
# to call is only what they read, the `Plan`. So there is no way to
# forget a hook or to hang it twice; `generate` works without a word
# about adapters; and gradient checkpointing, which runs a block a
# second time in the backward pass, meets the same adapter again.

# %% [markdown]
# ## A start close to zero
#
# The frozen model is the best start we have. A new adapter should
# not spoil it before the first step. PHA's release draws both
# matrices by Xavier's rule with a *gain* of $g = 10^{-4}$ and sets
# the biases to zero:
#
# ```{math}
# :label: eq-adapters-xavier
# W_{ij} \sim \mathcal{U}(-g u,\; g u),
# \qquad u = \sqrt{6 / (d + b)} .
# ```
#
# Two matrices each bring a factor $g$, and ReLU lets a positive
# factor through. So the output shrinks with the square of the gain.


# %%
def fresh(count, gain):
    """Adapters that differ in nothing but the gain."""
    torch.manual_seed(SEED)
    return nn.ModuleList(Adapter(d, WIDTH, gain) for _ in range(count))


with torch.no_grad():
    (one,), (tenth,) = fresh(1, 1.0), fresh(1, 0.1)
    assert torch.allclose(tenth(x), 0.1**2 * one(x), atol=1e-5)

# %% [markdown]
# What does the start do to the model's answers? We need a task and
# its rows as padded tensors. `acceptability` asks whether a sentence
# about a hotel is grammatical. (`time` has its turn further down.)

# %%
N = 200  # training rows of the task
BATCH = 16
ROWS = 200  # rows of a split that we score

suite = load_suite(seed=SEED)
tasks = {
    rule: suite[f"{rule}/hotel"].sample(N, seed=SEED, balanced=True)
    for rule in ("acceptability", "time")
}
task = tasks["acceptability"]


# %% [markdown]
# Rows become token ids, and a list of rows becomes what a T5 takes:
# inputs and a mask of shape $(B, S)$, labels of shape $(B, L)$.


# %%
def encode(task, split):
    """Per row: token ids of the input and of its answer."""
    sides = (list(task[split][side]) for side in ("source", "target"))
    ids = (tokenizer(texts)["input_ids"] for texts in sides)
    return list(zip(*ids, strict=True))


def padded(rows, filler):
    rows = [torch.tensor(row) for row in rows]
    return nn.utils.rnn.pad_sequence(rows, True, filler)


def batch_of(rows):
    """Input ids, their mask and the labels of some rows."""
    sources, answers = zip(*rows, strict=True)
    ids = padded(sources, tokenizer.pad_token_id)
    mask = (ids != tokenizer.pad_token_id).long()
    labels = padded(answers, -100)  # the loss skips -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# The adapters have not been trained at all. What share of the
# probability over the vocabulary will they move from one piece to
# another (half the sum of all absolute changes), at the gains
# $10^{-4}$, $10^{-2}$ and 1?
# ```

# %%
batch = batch_of(encode(task, "validation")[:ROWS])


@torch.no_grad()
def first_word(model):
    """Probabilities of the answer's first piece, and the loss."""
    out = model(**batch)
    return out.logits[:, 0].softmax(-1), out.loss.item()  # (B, V)


untouched, loss = first_word(t5)
lines = ["| start | moved probability | loss before training |"]
lines += ["|---|---|---|", f"| frozen T5 alone | 0 % | {loss:.2f} |"]
for gain in (1e-4, 1e-2, 1.0):
    with hung(fresh(len(sites["both"]), gain), sites["both"]):
        now, loss = first_word(t5)
    moved = 50 * (now - untouched).abs().sum(-1).mean()
    lines.append(f"| gain {gain:g} | {moved:.2g} % | {loss:.2f} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* with the small gain the model *is* the frozen model,
# as far as anybody can tell. (By the square of the gain its share
# should be ten thousand times smaller than that of $10^{-2}$; what
# you read there is mostly the rounding of 32-bit floats.) At gain 1
# the untrained adapters have rewritten the first word before they
# have learnt anything. The frozen model's loss is large, too: nobody
# has told it which words are answers.
#
# So why not start at exactly zero? Look at the gradient. By the
# chain rule, $W_{\mathrm{up}}$ learns through the hidden numbers and
# $W_{\mathrm{down}}$ learns through $W_{\mathrm{up}}$. If both are
# zero, each waits for the other.


# %%
def first_pull(gain):
    """Gradient norm of each part at the start, over all sites."""
    adapters = fresh(len(sites["both"]), gain)
    with hung(adapters, sites["both"]):
        t5(**batch_of(encode(task, "train")[:BATCH])).loss.backward()
    pull = {}
    for name, w in adapters.named_parameters():
        part = name.split(".")[-1]
        pull[part] = pull.get(part, 0.0) + w.grad.norm().item() ** 2
    return {part: total**0.5 for part, total in pull.items()}


parts = ("down", "down_bias", "up", "up_bias")
lines = ["| gain | " + " | ".join(f"`{p}`" for p in parts) + " |"]
lines.append("|---|---|---|---|---|")
for gain in (0.0, 1e-4, 1.0):
    pull = first_pull(gain)
    row = [f"{pull[part]:.1e}" for part in parts]
    lines.append(f"| {gain:g} | " + " | ".join(row) + " |")
assert first_pull(0.0)["up"] == first_pull(0.0)["down"] == 0
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* at gain 0 only `up_bias` gets a gradient, and both
# matrices get none. It stays so, however long you train: zero is a
# saddle point (no slope, and yet no minimum) that they never leave.
# At $10^{-4}$ the gradients are small but there. That is enough for
# Adam, which divides each gradient by its own running size: its
# first step moves a number by about the learning rate. Ours, below,
# are a hundred times $g u$ or more, and $g u$ is the largest entry
# of the start. The start is silent, and forgotten within a step.
#
# ### Does it matter for learning?
#
# A plain training loop, for anything that hangs on a frozen model.
# Only the weights handed to it are trained; `look`, if given, is
# called before each step and after the last, to watch.

# %%
STEPS = 40  # optimiser steps on one task


def fit(model, weights, rows, lr, seed, look=None):
    """AdamW on `weights`; the rate falls linearly to zero."""
    weights = list(weights)
    optimizer = torch.optim.AdamW(weights, lr=lr, weight_decay=0.0)
    draw = torch.Generator().manual_seed(seed)
    for step in range(STEPS):
        if look is not None:
            look(step)
        optimizer.param_groups[0]["lr"] = lr * (1 - step / STEPS)
        picked = torch.randint(len(rows), (BATCH,), generator=draw)
        model(**batch_of([rows[i] for i in picked])).loss.backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()
    if look is not None:
        look(STEPS)


# %% [markdown]
# An answer is right when its word is the likelier one of the task's
# two label words: log probabilities, summed over the word's pieces.


# %%
@torch.no_grad()
def accuracy(model, task, split="test", rows=None):
    """Percent of rows whose answer is the likelier label word."""
    rows = ROWS if rows is None else rows
    sources = [source for source, _ in encode(task, split)[:rows]]
    scores = []
    for word in task.labels:
        answer = tokenizer(word)["input_ids"]
        batch = batch_of([(source, answer) for source in sources])
        log_p = model(**batch).logits.log_softmax(-1)  # (B, L, V)
        picked = log_p.gather(-1, batch["labels"].unsqueeze(-1))
        scores.append(picked.sum((1, 2)))  # (B,)
    guess = torch.stack(scores).argmax(0)
    right = guess == torch.tensor(task[split]["label"][:rows])
    return 100 * right.float().mean().item()


# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# Gain $10^{-4}$ against gain 1, adapters in all layers, the same
# rows in the same order. Which one is ahead, and can a larger
# learning rate make up for the other's start?
# ```

# %%
from functools import cache

SEEDS = [0, 1, 2]
RATES = [3e-3, 1e-2]
WATCH = [0, 10, 20, STEPS]


@cache  # so that no run is paid for twice
def adapt(rule, where, gain, lr, seed, width=WIDTH):
    """Train fresh adapters at some sites of the T5.

    Gives them, their validation accuracy by step, and that on test.
    """
    torch.manual_seed(seed)
    task, curve = tasks[rule], {}
    made = nn.ModuleList(Adapter(d, width, gain) for _ in sites[where])

    def look(step):
        if step in WATCH:
            curve[step] = accuracy(t5, task, "validation", ROWS // 4)

    with hung(made, sites[where]):
        rows = encode(task, "train")
        fit(t5, made.parameters(), rows, lr, seed, look)
        return made, curve, accuracy(t5, task)


# %%
def band(values):
    """Mean and 95 % interval, inside what an accuracy can be."""
    return tuple(np.clip(interval(values), 0, 100))


curves = {}
for gain in (1e-4, 1.0):
    for lr in RATES:
        runs = [
            adapt("acceptability", "both", gain, lr, seed)[1]
            for seed in SEEDS
        ]
        curves[f"gain {gain:g}, rate {lr:g}"] = {
            step: band([run[step] for run in runs]) for step in WATCH
        }
plots.lines(
    curves,
    title="A silent start and a loud one",
    alt="Four learning curves of validation accuracy over training "
    "steps: a small and a large start at two learning rates each. "
    "All begin near the line of chance at 50 percent.",
    xtitle="training step",
    chance=50,
)


# %%
told = [
    f"{name}: **{c[STEPS][0]:.0f} %**" for name, c in curves.items()
]
Markdown("At the last step: " + "; ".join(told) + ".")

# %% [markdown]
# *What to see:* all four curves begin near chance, because nobody
# knows the answers yet. (A point near chance without a band: as a
# rule every row gets the same word, whatever the seed.) Follow the
# two lines of each gain. If those of gain 1 stay below at both
# rates, the larger one has not made up for the start. The likely
# reason is what they have to undo: random functions in seven layers
# change what every later frozen layer reads. They have a longer way;
# try `STEPS = 160` to see them move. The bands are 95 % intervals
# over three seeds, so do not read much into a gap that they cover.

# %% [markdown]
# ## Where to put them
#
# Encoder adapters change how the text is *read*, decoder adapters
# how the answer is *written*. PHA trains ordinary ones in the
# encoder and generates those of the decoder. Would one side do?
# `time` asks whether the writer of a review speaks of the past. One
# learning rate serves all here; exercise 2 varies it.
#
# ```{admonition} Predict first
# :class: tip
# Adapters in the encoder only, in the decoder only, or in both.
# Order them, once for `acceptability` and once for `time`.
# ```

# %%
where_score = {rule: {} for rule in tasks}
for rule in tasks:
    for where in sites:
        runs = [adapt(rule, where, 1e-4, 1e-2, s) for s in SEEDS]
        where_score[rule][where] = interval([r[2] for r in runs])
plots.intervals(
    where_score,
    title="Adapters in the encoder, the decoder or both",
    alt="Three rows, encoder, decoder and both, each with a dot and "
    "an interval for the test accuracy of acceptability and one for "
    "that of time, and the line of chance at 50 percent.",
    chance=50,
)

# %% [markdown]
# *What to see:* compare the two colours within a row. If their order
# turns round between the row of the encoder and that of the decoder,
# then no side is the better one for every task, in so few steps: a
# decoder adapter can use only what the frozen encoder already shows,
# and an encoder adapter can only prepare what the frozen decoder
# already looks for. That need not be a limit. With `STEPS = 160` a
# side that stood at chance may learn the task after all. Mind the
# intervals, too: three seeds can lie far apart. If the last row lies
# near the better side for both colours, it is the safe choice for
# tasks you do not know yet.

# %% [markdown]
# ## What it costs
#
# Two matrices and two biases per layer, so $L$ layers have
#
# ```{math}
# :label: eq-adapters-count
# P = L\,(2db + b + d)
# ```
#
# numbers. The package counts the same.


# %%
def numbers(layers, d, b):
    """What adapters in so many layers cost."""
    return layers * (2 * d * b + b + d)


config = PHAConfig.baseline("shared_adapter", tasks=["one"])
model = PHAModel.from_backbone((t5, tokenizer), config)
count = model.count_parameters()
assert config.adapter_dim == WIDTH
assert count["encoder"] == numbers(4, d, WIDTH)
assert count["total"] == numbers(4 + 3, d, WIDTH)

total, frozen = count["total"], count["backbone"]
Markdown(
    f"Seven adapters: **{total:,}** numbers beside {frozen:,} frozen "
    f"ones, {100 * total / frozen:.1f} %. A copy of the whole model "
    f"for a task would cost {frozen / total:.0f} times as much."
)

# %% [markdown]
# ## One adapter for all, or one each?
#
# With two tasks you can train one set of adapters for both, or one
# set each. The first learns from twice the rows; the second is free
# to answer differently. We ask on two pairs:
#
# - **related**: `acceptability` on hotels and on schools. Other
#   sentences, the same grammar.
# - **conflicting**: `sentiment` and `time` on hotels. Both show a
#   review, both are answered yes or no, and nothing in the text
#   tells which is asked.
#
# For the second pair the most that sharing can reach is known
# beforehand. One set of adapters gives one answer to a review. The
# two right answers are drawn independently, so they differ in half
# of the reviews, and there one task must lose. Over both tasks that
# is at most 75 % on average: a ceiling, not a forecast.
#
# Only 32 rows per task, as sharing should pay where rows are few.
# The rule for the learning rate is the same for everyone: train at
# each rate with the first seed, keep the rate with the best mean
# accuracy on *validation*, then run all seeds at that rate and look
# at test.

# %%
FEW = 32
PAIR_STEPS = 80
PAIRS = {
    "related": ["acceptability/hotel", "acceptability/school"],
    "conflicting": ["sentiment/hotel", "time/hotel"],
}
OWNERS = {
    "one for both": "shared_adapter",
    "one each": "adapter_per_task",
}

# %% [markdown]
# `PHAModel` knows both kinds of owners as baselines, and the loop of
# `pha_lite.train` draws a task for each row of a batch.


# %%
def together(names, owner, lr, seed):
    """A model that was trained on a pair of tasks."""
    config = PHAConfig.baseline(OWNERS[owner], tasks=names, seed=seed)
    model = PHAModel.from_backbone((t5, tokenizer), config)
    few = {
        n: suite[n].sample(FEW, seed=seed, balanced=True) for n in names
    }
    settings = TrainConfig(
        steps=PAIR_STEPS,
        batch_size=BATCH,
        lr=lr,
        eval_every=0,
        seed=seed,
    )
    train(model, few, settings, progress=False)
    return model


def score(model, names, split, rows):
    asked = {name: suite[name] for name in names}
    found = evaluate_tasks(model, asked, split, limit=rows)
    return {name: 100 * value for name, value in found.items()}


# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# Four numbers: the mean test accuracy of each pair, shared and not.
# Which of the four tasks will nobody learn from 32 rows?
# ```

# %%
DRAWS = [*SEEDS, len(SEEDS)]  # one seed more: differences are noisy
tests, chosen = {}, {}
for pair, names in PAIRS.items():
    for owner in OWNERS:
        tried, marks = {}, {}
        for lr in RATES:
            tried[lr] = together(names, owner, lr, DRAWS[0])
            valid = score(tried[lr], names, "validation", ROWS // 2)
            marks[lr] = np.mean([*valid.values()])
        lr = chosen[pair, owner] = max(marks, key=marks.get)
        models = [tried[lr]]
        models += [together(names, owner, lr, s) for s in DRAWS[1:]]
        tests[pair, owner] = [
            score(m, names, "test", ROWS) for m in models
        ]

# %%
plots.intervals(
    {
        owner: {
            name: interval([test[name] for test in tests[pair, owner]])
            for pair, names in PAIRS.items()
            for name in names
        }
        for owner in OWNERS
    },
    title=f"Two pairs of tasks, {FEW} rows each",
    alt="Four rows, one per task: two related tasks above, two "
    "conflicting ones below. Each has a dot and an interval for one "
    "shared adapter and for one adapter each, and the line of chance.",
    chance=50,
)

# %%
lines = ["| pair | one for both | one each | difference | 95 % |"]
lines.append("|---|---|---|---|---|")
for pair in PAIRS:
    both, each = (
        [np.mean([*test.values()]) for test in tests[pair, owner]]
        for owner in OWNERS
    )
    gap = paired(both, each)
    lines.append(
        f"| {pair} | {np.mean(both):.0f} | {np.mean(each):.0f} "
        f"| {gap.difference:+.0f} | {gap.low:+.0f} to {gap.high:+.0f} |"
    )
rates = ", ".join(f"{p}, {o}: {lr:g}" for (p, o), lr in chosen.items())
Markdown("\n".join(lines) + f"\n\nRates chosen: {rates}.")

# %% [markdown]
# *What to see:* read the table's sign. Plus means that sharing won;
# an interval that contains or touches zero leaves the question open.
# On the related pair the second task's rows can stand in for more
# rows of the first. On the conflicting pair look at `time` in the
# figure: what its own adapter can learn, the shared one has to trade
# against the answers to another question. `sentiment` stays near
# chance for both owners if 32 rows are too few for anybody: then
# sharing costs it nothing, because there was nothing to lose.
# (The shared adapter also learns from every row of a batch, one of
# two from half of them. Set `PAIR_STEPS = 160` to see which gaps are
# more than a matter of time.)
#
# Neither owner can be right for every pair: one for both has a ceiling
# where tasks conflict, and one each never sees the other's rows where
# they agree. That is the gap that the next pages fill: *how much* two
# tasks share should itself be learnt.

# %% [markdown]
# ```{admonition} Trap: a batch of one row, and results in globals
# :class: warning
# The released decoder checks in evaluation that a batch holds one
# task, and does it by comparing the first, second and last task
# name. A test set of 17 rows in batches of 16 ends with a batch of
# one: there is no second name, and evaluation dies right there. And
# what the losses need travels in *module-level globals*, which the
# decoder writes and the model around it reads. So of the decoder's
# modes (generated or ordinary adapters) only the one that writes
# them all can run, and with two models in one process the last one
# to speak overwrites the other's.
# ```
#
# Both in a few lines of our own. The check also passes a mixed batch
# that it should refuse:


# %%
def same_task(tasks):
    """The released check: first, second and last name."""
    return tasks[0] == tasks[1] and tasks[1] == tasks[-1]


def same_task_mended(tasks):
    return len(set(tasks)) == 1


print("a a b a:", same_task(["a", "a", "b", "a"]), "by the check,")
print("         ", same_task_mended(["a", "a", "b", "a"]), "in truth")
try:
    same_task(["a"])
except IndexError as error:
    print("one row: IndexError,", error)
assert same_task_mended(["a"])

# %% [markdown]
# And the global: two models, one variable.

# %%
latest = None


def speak(x):
    global latest
    latest = x.mean().item()


speak(torch.zeros(2))  # one model answers,
speak(torch.ones(2))  # another one answers,
print("the first model's result:", latest)  # and the first is gone

# %% [markdown]
# In `pha_lite` a batch may mix tasks, so there is nothing to check,
# and results are return values. A last batch of one row is answered
# like any other:

# %%
names = PAIRS["conflicting"]
few = suite[names[0]].sample(17, seed=SEED, split="test")["test"]
ask = {"labels": suite[names[0]].labels, "task": names[0]}
rows = list(few["source"])
model = models[0]
assert model.predict(rows, batch_size=16, **ask) == model.predict(
    rows, batch_size=17, **ask
)

# %% [markdown]
# ## Neighbours: LoRA and prompt tuning
#
# Two other ways to add little to a frozen model. The library `peft`
# has both, so we take them from there.
#
# **LoRA** {cite}`hu2022lora` changes a frozen matrix by one of low
# rank. For a row $x$,
#
# ```{math}
# :label: eq-adapters-lora
# x W \;\to\; x W + \tfrac{\alpha}{r}\; x A B,
# \qquad A: d_{\mathrm{in}} \times r, \quad
# B: r \times d_{\mathrm{out}} .
# ```
#
# No ReLU, so the change *is* a matrix, and it can be added to $W$
# when training is over. $A$ starts random and $B$ at zero: exactly
# silent, and no saddle, because $B$ gets a gradient through $A$. We
# change the queries and values of every attention.

# %%
from peft import LoraConfig, PromptTuningConfig, get_peft_model

KIND = {"task_type": "SEQ_2_SEQ_LM"}


def lora():
    """q and v of all attentions; about as large as our adapters."""
    return LoraConfig(
        r=6, lora_alpha=12, target_modules=["q", "v"], **KIND
    )


def wrapped(config, seed=SEED):
    """A copy of the T5, with what the config describes around it."""
    torch.manual_seed(seed)
    return get_peft_model(copy.deepcopy(t5), config).eval()


def trainable(model):
    return [w for w in model.parameters() if w.requires_grad]


low = wrapped(lora())
with torch.no_grad():
    assert torch.equal(low(**batch).logits, t5(**batch).logits)

# %% [markdown]
# A fresh LoRA *is* the frozen model, to the last bit. Now we shake
# the zeros awake, hold one layer against {eq}`eq-adapters-lora`, and
# merge: the same outputs from a T5 that has no LoRA in it any more.

# %%
q = low.base_model.model.encoder.block[0].layer[0].SelfAttention.q
with torch.no_grad():
    for name, weight in low.named_parameters():
        if "lora_B" in name:
            weight.normal_(std=0.02)
    A = q.lora_A["default"].weight.T  # (d, r)
    B = q.lora_B["default"].weight.T  # (r, d_out)
    W = q.base_layer.weight.T  # (d, d_out)
    assert torch.allclose(q(x), x @ W + 12 / 6 * x @ A @ B, atol=1e-4)

    apart = low(**batch).logits  # (B, L, V)
    merged = low.merge_and_unload()
    assert not any("lora" in name for name, _ in merged.named_modules())
    far = (merged(**batch).logits - apart).abs().max()
    moved = (apart - t5(**batch).logits).abs().max()
print(
    f"merging moves a logit by {far:.0e} at most, LoRA by {moved:.1f}"
)
assert far < 0.01 * moved

# %% [markdown]
# Merging writes into the matrices of the model it was given. Had
# `wrapped` not made a copy, our frozen T5 would be another one now.
#
# **Prompt tuning** {cite}`lester2021prompt` leaves every layer alone
# and puts $m$ trained vectors in front of the input, as if the text
# began with $m$ unknown words: $m d$ numbers. For a T5, tell `peft`
# that the prompt belongs to one stack (`num_transformer_submodules`);
# left alone it makes a second set for the decoder, counts it as
# trained, and in the version we used never reads it.


# %%
def prompt():
    return PromptTuningConfig(
        num_virtual_tokens=8, num_transformer_submodules=1, **KIND
    )


def with_peft(config):
    """A function that trains and scores one run of a method."""

    def run(lr, seed):
        model = wrapped(config(), seed)
        rows = encode(task, "train")
        fit(model, trainable(model), rows, lr, seed)
        valid = accuracy(model, task, "validation", ROWS // 4)
        return valid, accuracy(model, task)

    return run


def with_adapters(lr, seed):
    _, curve, test = adapt("acceptability", "both", 1e-4, lr, seed)
    return curve[STEPS], test


# %% [markdown]
# The same task, the same rows, the same number of steps, and two
# learning rates for each. Prompts are known to want far larger ones,
# so they get two of their own.
#
# ```{admonition} Predict first
# :class: tip
# Two of the three start silent. Which one does not? And which one
# will have learnt nothing after so few steps?
# ```

# %%
METHODS = {
    "adapters": (with_adapters, RATES),
    "LoRA": (with_peft(lora), RATES),
    "prompt": (with_peft(prompt), [0.03, 0.3]),
}
size = {"adapters": numbers(len(sites["both"]), d, WIDTH)}
for name, config in (("LoRA", lora), ("prompt", prompt)):
    size[name] = sum(w.numel() for w in trainable(wrapped(config())))

lines = ["| method | trained numbers | rate | test accuracy (%) |"]
lines.append("|---|---|---|---|")
for name, (run, rates) in METHODS.items():
    tried = {lr: run(lr, SEEDS[0]) for lr in rates}
    lr = max(tried, key=lambda rate: tried[rate][0])  # validation
    tests = [tried[lr][1]] + [run(lr, s)[1] for s in SEEDS[1:]]
    mean, low, high = band(tests)
    lines.append(
        f"| {name} | {size[name]:,} | {lr:g} "
        f"| {mean:.0f} ({low:.0f} to {high:.0f}) |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare the first two rows. They are about equally
# large. If they are equally good, too, then a change in the attention
# and one beside the FFN both do for this task; where both nearly solve
# it, it cannot rank them. The prompt has far fewer numbers, all of them
# stand in front of the first layer, and it is not silent: eight random
# vectors come before every text. If its row lies near 50 %, read it as
# *not learnt in this budget* and not as *cannot*: in the paper that
# proposed it, prompt tuning ran for tens of thousands of steps, and it
# caught up with fine-tuning only on models of billions of parameters.
# Two rates, three seeds and one task make no ranking of methods.

# %% [markdown]
# ## What could go wrong
#
# - **A hook left behind.** An exception between registering and
#   removing leaves the T5 adapted, and every later number is wrong
#   without a message. Use `try` and `finally`, or permanent hooks.
# - **The adapter reads the wrong tensor.** Parallel adapters read
#   $\mathrm{LN}\,h$, not $h$. The two differ in scale, nothing
#   crashes, and the learning rate that worked no longer does.
# - **Training the T5 by accident.** Freeze it, and give the
#   optimiser the adapters' weights and nothing else. Then count.
# - **Both matrices at zero.** Then only a bias learns, and the loss
#   still falls, because a bias is enough to learn which words are
#   answers.
# - **One learning rate for all methods.** Choose it per method, on
#   validation, by a rule that you wrote down before.
# - **Merging into a shared model.** It changes the model for
#   everyone who uses it.

# %% [markdown]
# ## Exercises
#
# ````{exercise} The bill for T5-base
# :label: adapters-bill
#
# T5-base has $d = 768$ and 12 layers in the encoder and 12 in the
# decoder; PHA's release uses $b = 64$. How many numbers do adapters
# in all layers have, and what share of T5-base's 223 million is
# that? What would eight tasks cost with adapters of their own?
# ````
#
# ````{solution} adapters-bill
# :class: dropdown
#
# ```python
# base = numbers(24, 768, 64)
# print(f"{base:,}", f"{base / 223e6:.1%}", f"{8 * base:,}")
# ```
#
# One layer: $2 \cdot 768 \cdot 64 + 64 + 768 = 99{,}136$. Times 24:
# 2,379,264, about 1.1 % of T5-base. Eight tasks: 19 million, 8.5 %.
# Cheap beside eight copies of the model, and still a price that
# grows with every task.
# ````

# %% [markdown]
# ````{exercise} How narrow may it be?
# :label: adapters-width
#
# Train adapters of width 1, 4, 16 and 64 on `acceptability`, at both
# learning rates. Predict first: from which width on does it no
# longer matter? And does a narrow one want a smaller or a larger
# rate than a wide one?
# ````
#
# ````{solution} adapters-width
# :class: dropdown
#
# ```python
# for width in (1, 4, 16, 64):
#     print("width", width, "costs", numbers(7, d, width))
#     for lr in RATES:
#         runs = [
#             adapt("acceptability", "both", 1e-4, lr, seed, width)
#             for seed in SEEDS
#         ]
#         print("  rate", lr, np.round([run[2] for run in runs]))
# ```
#
# Look at the seeds before you read a trend, and compare each width at
# its better rate. A narrow adapter that stays at chance at the small
# rate need not lack *room*. Adam moves every number by about the rate,
# and an adapter's output is a sum over its $b$ hidden numbers: in the
# same number of steps a narrow one simply gets less far. Try the larger
# rate, or more steps. A wide one gets far with either rate, and may get
# too far with the larger. Width and rate have to be chosen together.
# ````

# %% [markdown]
# ````{exercise} AdapterDrop
# :label: adapters-drop
#
# AdapterDrop {cite}`ruckle2021adapterdrop` leaves out the adapters
# of the lowest layers to save time: where the encoder's first layers
# have none, several tasks can share what these compute. Train
# adapters at all seven sites, then take away the encoder's lowest
# $k$ for the *test* only. How far can you go? And if they had been
# missing in training, too?
# ````
#
# ````{solution} adapters-drop
# :class: dropdown
#
# ```python
# rule, rate = "acceptability", 1e-2
# made, _, full = adapt(rule, "both", 1e-4, rate, SEED)
# print("all:", round(full))
# for k in (1, 2, 3, 4):
#     sites[f"without {k}"] = sites["both"][k:]
#     with hung(list(made)[k:], sites[f"without {k}"]):
#         dropped = accuracy(t5, task)
#     missing = adapt(rule, f"without {k}", 1e-4, rate, SEED)[2]
#     print(k, "dropped", round(dropped), "never there", round(missing))
# ```
#
# Dropped afterwards, an adapter takes along what the later ones have
# learnt to rely on, and somewhere on the way down the accuracy falls
# to chance at once. If it was never there, the others arrange
# themselves without it. That is why AdapterDrop drops at random
# *while training*. With $k = 4$ the second column is the case
# "decoder only" of above.
# ````

# %% [markdown]
# ````{exercise} Why LoRA can be merged and an adapter cannot
# :label: adapters-merge
#
# A linear map obeys $f(x) + f(-x) = 0$. Test it on a LoRA update and
# on an adapter without biases. What does that say about merging? And
# if the adapter had no ReLU, into which matrix of the T5 could it be
# merged?
# ````
#
# ````{solution} adapters-merge
# :class: dropdown
#
# ```python
# with torch.no_grad():
#     both = x @ A @ B + (-x) @ A @ B
#     print("LoRA", both.abs().max().item())
#     print("adapter", (mine(x) + mine(-x)).abs().max().item())
# ```
#
# To merge means to find one matrix $W'$ with the same outputs. $x W$
# and $x A B$ are both linear in the same $x$, so
# $W' = W + \tfrac{\alpha}{r} A B$ is that matrix. The adapter is not
# linear because of its ReLU: no matrix does what it does. Without the
# ReLU it would be the matrix $W_{\mathrm{down}} W_{\mathrm{up}}$, but
# in the parallel place it runs beside a whole FFN, which is not linear
# either: there is no $W$ beside it to be added to. LoRA takes care to
# sit beside a single matrix. (Sequential and without the ReLU, it
# *could* be merged, into the FFN's last matrix.)
# ````

# %% [markdown]
# ````{exercise} Twice by mistake
# :label: adapters-twice
#
# What does the sub-layer compute if you hang the same adapter on it
# twice? Write the formula, then test it.
# ````
#
# ````{solution} adapters-twice
# :class: dropdown
#
# ```python
# with torch.no_grad():
#     y = sub.DenseReluDense(sub.layer_norm(h))
#     double = h + y + 2 * mine(sub.layer_norm(h))
#     with hung([mine], [sub]), hung([mine], [sub]):
#         print(torch.allclose(sub(h), double, atol=1e-4))
# ```
#
# $h' = h + \mathrm{FFN}(\mathrm{LN}\,h) + 2 A(\mathrm{LN}\,h)$: hooks
# run one after the other, each on what the one before returned. Each
# `hang` keeps its own $\mathrm{LN}\,h$. A cell that is run twice in a
# notebook does just this if its hooks are not removed.
# ````

# %% [markdown]
# ````{exercise} Silent and no saddle
# :label: adapters-silent
#
# Start an adapter as LoRA starts: $W_{\mathrm{down}}$ at gain 1,
# $W_{\mathrm{up}}$ at exactly zero. Which parts get a gradient in
# the first step? Does the model change before it?
# ````
#
# ````{solution} adapters-silent
# :class: dropdown
#
# ```python
# half = fresh(len(sites["both"]), 1.0)
# for each in half:
#     nn.init.zeros_(each.up)
# rows = encode(task, "train")[:BATCH]
# with hung(half, sites["both"]):
#     print(torch.equal(first_word(t5)[0], untouched))
#     t5(**batch_of(rows)).loss.backward()
# print({n: w.grad.norm().item() for n, w in half[0].named_parameters()})
# ```
#
# The model does not change at all. `up` and `up_bias` get a gradient;
# `down` and `down_bias` get none in the first step and have one from
# the second step on. So this start is as silent as zero and learns. It
# would have been a fair choice for the release, too.
# ````

# %% [markdown]
# ## Summary
#
# - An adapter is $d \to b \to d$ with a ReLU in the middle, added to
#   a frozen sub-layer: beside the FFN (parallel, PHA) or behind it
#   (sequential, HyperFormer).
# - Two forward hooks hang it on a T5 whose code stays as it is.
#   `pha_lite` registers them once and changes what they read.
# - The start is close to zero, so that training begins at the frozen
#   model, and not at zero, where both matrices wait for each other.
# - $L(2db + b + d)$ numbers; a copy for every task adds up.
# - Sharing can help related tasks, whose rows add up, and has a
#   ceiling where tasks conflict. No rule is right for all pairs.
# - LoRA changes matrices, can be merged and is silent at the start;
#   prompt tuning changes only the input.
#
# **Check yourself.** What are the shapes of the four parts of an
# adapter? Why does a parallel adapter need two hooks? Two tasks read
# the same inputs and differ in half of their answers: what is the
# best mean accuracy that one shared adapter can reach?
#
# **In the code.** `pha_lite/adapter.py` holds the bottleneck and the
# two ways of owning one, `pha_lite/backbone.py` the hooks and the
# plan, `pha_lite/config.py` the places (`encoder`, `decoder`,
# `placement`), `pha_lite/routing.py` how rows of one batch find
# different adapters.
#
# **Next.** [Hypernetworks](hypernetworks.ipynb) write the adapters
# instead of storing them, so that tasks can share the writing.

# %%
import os
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
