# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     quick: {POOL: 100, ROWS: 24, SIZES: [8, 16], MANY: 16, DRAWS: 1, STEPS: 4, EVERY: 2, RATES: [0.001, 0.003], TRIALS: 50}
# ---

# %% [markdown]
# # A frozen model and too little data
#
# You have a pretrained model and a task with few examples. The plain
# way is to copy the model and train all of it. The cheapest way is to
# leave it as it is and to read off what it already computes. PHA,
# like every method of this book, stands between these two ends. So
# this page takes the model apart, tries both ends, and measures them
# with care.
#
# **The question of this page.** *What does a frozen model already
# know about a task, and what do you gain or lose when you train all
# of it on a few examples?*
#
# **After this page you can**
#
# - turn a classification task into text in, word out, and compute
#   its loss and its answer by hand;
# - compute every part of a T5 encoder yourself and get the numbers
#   that `transformers` gets;
# - put a linear probe on frozen states, fine-tune a whole T5, and
#   compare the two by one rule;
# - say how sure a test score is, and what it costs to choose by it.
#
# **You need** [Ten minutes with PHA](ten_minutes.ipynb), PyTorch, and
# to have met attention once {cite}`vaswani2017attention`.

# %%
import copy
import io
import math
import time
from collections import Counter

import numpy as np
import pha_lite
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
from pha_lite.backbone import frozen_view
from pha_lite.evaluate import interval
from pha_lite.records import run_time

# %%
SEED = 0
torch.manual_seed(SEED)
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, torch {torch.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(run_time("frozen_model"))

# %% [markdown]
# ## A task is text in, a word out
#
# T5 reads text and writes text, and nothing else
# {cite}`raffel2020t5`. A classification task has to fit into that
# form. A **template** turns an example into the input. Each class
# gets a **label word**, and that word is what the model should
# write. No class number ever reaches the model, and no new output
# layer is needed: one model serves all tasks.

# %%
POOL = 4000  # rows from which training examples are drawn

loaded, tokenizer = load_backbone("tiny")
t5 = frozen_view(loaded)  # frozen: no weight gets a gradient
suite = load_suite(seed=SEED, sizes={"train": POOL})
task = suite["acceptability/hotel"]
words = task.labels

lines = ["| the model reads | it should write |", "|---|---|"]
for row in task["validation"].select(range(4)):
    lines.append(f"| {row['source']} | **{row['target']}** |")
Markdown("\n".join(lines))

# %% [markdown]
# The tokenizer cuts both sides into **pieces** and closes them with
# `</s>`. A `▁` marks the beginning of a word. Ours makes everything
# lower case and keeps the words of our tasks whole, so each label
# word here is one piece. With another tokenizer it may be many.

# %%
TEXT = "sentence: The porters is at the reception."

for text in (TEXT, *words):
    ids = tokenizer(text)["input_ids"]
    print(" ".join(tokenizer.convert_ids_to_tokens(ids)))
    print(" ", ids)


# %% [markdown]
# A batch is three tensors: the pieces of B texts, a mask that is 1
# where there is a text and 0 where there is padding, and the pieces
# of the answers. Where an answer is padded stands -100, the number
# that PyTorch's cross entropy leaves out.


# %%
def batch_of(tokenizer, sources, targets):
    """input_ids and attention_mask (B, S), labels (B, N)."""
    text = tokenizer(sources, padding=True, return_tensors="pt")
    answer = tokenizer(targets, padding=True, return_tensors="pt")
    gap = answer["attention_mask"] == 0
    return {
        "input_ids": text["input_ids"],
        "attention_mask": text["attention_mask"],
        "labels": answer["input_ids"].masked_fill(gap, -100),
    }


ROWS = 200  # test rows for a first look

test = task.columns("test")
few = {side: column[:ROWS] for side, column in test.items()}
batch = batch_of(tokenizer, few["source"], few["target"])
for name, tensor in batch.items():
    print(f"{name:15s} {tuple(tensor.shape)}")

# %% [markdown]
# ### The loss
#
# The decoder writes an answer $y$ piece by piece. Each piece gets a
# probability, given the input $x$ and the pieces before it. The loss
# of an answer of N pieces is its mean surprise, $-\log p$ per piece:
#
# ```{math}
# :label: eq-frozen_model-loss
# L_{\mathrm{LM}} = -\frac{1}{N} \sum_{j=1}^{N}
#   \log p(y_j \mid y_{<j}, x) .
# ```
#
# For a batch, the mean runs over the real pieces of all answers. All
# are scored at once: the decoder reads the right answer, moved one
# place to the right, with a start piece in front (T5 takes its
# padding piece for that). So at place j it has seen the pieces
# before $y_j$ and not $y_j$ itself.


# %%
def shift_right(labels, start=0):
    """What the decoder reads: the answer, one place later."""
    given = labels.new_full(labels.shape, start)
    given[:, 1:] = labels[:, :-1].clamp(min=0)  # -100: padding
    return given  # (B, N)


def answer_loss(logits, labels):
    """Mean of -log p over the real pieces of the answers."""
    log_p = logits.log_softmax(dim=-1)  # (B, N, V)
    wanted = labels.clamp(min=0).unsqueeze(-1)  # (B, N, 1)
    log_p = log_p.gather(-1, wanted).squeeze(-1)  # (B, N)
    return -log_p[labels != -100].mean()


with torch.no_grad():
    given = shift_right(batch["labels"])
    out = t5(**batch)  # logits (B, N, V), and the loss
loss = answer_loss(out.logits, batch["labels"])
labels = batch["labels"]
assert torch.equal(given, t5._shift_right(labels))
assert torch.allclose(loss, out.loss, atol=1e-5)
print(f"logits {tuple(out.logits.shape)}, loss {loss.item():.2f}")

# %% [markdown]
# Is that loss large? The logarithm is the natural one, so the unit
# is the **nat**. Keep three marks in mind. A model that knows
# *nothing* spreads its bet over all V pieces and pays $\log V$ for
# each. A model that knows the *two words* but not which one is right
# pays $\log 2$ for the word and nothing for the `</s>` after it:
# half of $\log 2$ per piece. A model that knows *the answer* pays
# nothing.

# %%
vocabulary = t5.config.vocab_size
Markdown(
    "| the model knows | loss per piece |\n|---|---|\n"
    f"| nothing | {math.log(vocabulary):.2f} |\n"
    f"| the two words, not which | {math.log(2) / 2:.2f} |\n"
    "| the answer | 0.00 |\n"
    f"| *our frozen T5, not trained for this* | {loss:.2f} |"
)

# %% [markdown]
# *What to see:* a T5 that was never told the task lies far above the
# second mark, because it bets on other words. That mark is the one
# to remember. When you watch a loss fall down to it, the model has
# learnt the *words*, and its accuracy may still be that of a coin.

# %% [markdown]
# ### Two ways to an answer
#
# **Ranking** asks: which of the label words has the larger
# probability? Sum $\log p$ over the pieces of each word, its `</s>`
# included, and take the best. **Generating** asks: what does the
# model write by itself, piece by piece? A ranked answer is always a
# label word. A written one can be anything, and counts as wrong if
# it is no label word.


# %%
@torch.no_grad()
def rank(t5, tokenizer, sources, words):
    """(B, C) log-probability of each of C label words."""
    text = tokenizer(sources, padding=True, return_tensors="pt")
    states = t5.encoder(**text)  # the encoder runs once
    scores = []
    for word in words:
        ids = tokenizer(word, return_tensors="pt")["input_ids"]
        ids = ids.repeat(len(sources), 1)  # (B, N)
        log_p = t5(
            encoder_outputs=states,
            attention_mask=text["attention_mask"],
            labels=ids,
        ).logits.log_softmax(dim=-1)  # (B, N, V)
        log_p = log_p.gather(-1, ids.unsqueeze(-1))  # (B, N, 1)
        scores.append(log_p.sum(dim=(1, 2)))
    return torch.stack(scores, dim=1)


def accuracy(t5, tokenizer, rows, words):
    """Share of rows whose own label word ranks first."""
    best = rank(t5, tokenizer, rows["source"], words).argmax(dim=1)
    pairs = zip(best.tolist(), rows["target"], strict=True)
    return float(np.mean([words[i] == target for i, target in pairs]))


# %% [markdown]
# In `pha_lite` both ways are in `PHAModel.predict`. A model without
# adapters and without a hypernetwork is the bare T5, so we can hold
# our `rank` against the package.

# %%
from pha_lite.inference import score_labels

bare = PHAModel.from_backbone(
    (t5, tokenizer),
    PHAConfig.tiny(
        tasks=[task.name],
        encoder="none",
        decoder="none",
        instance_weight=0,
        prototype_weight=0,
    ),
)
ours = rank(t5, tokenizer, few["source"], words)
theirs = score_labels(bare, few["source"], task.name, words)
assert torch.allclose(ours, theirs, atol=1e-4)

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# Nobody has trained this T5 for the task. What accuracy do you
# expect from ranking, and what from generating?
# ```

# %%
ranked = accuracy(t5, tokenizer, few, words)
written = bare.predict(few["source"], task, method="generate")
pairs = zip(written, few["target"], strict=True)
hits = np.mean([answer == target for answer, target in pairs])
often = [f"*{w}* ({n})" for w, n in Counter(written).most_common(4)]
Markdown(
    f"On {ROWS} test rows, ranking is right in **{ranked:.0%}**, "
    f"generating in **{hits:.0%}**. What it wrote most often: "
    f"{', '.join(often)}."
)

# %% [markdown]
# *What to see:* by ranking, an untrained model gets about half of a
# balanced task, because it must name one of two words. By
# generating it gets nothing, because it does not know which words
# are asked for: it mostly writes answers from its pretraining. The
# same model, two numbers: say which one you report. {term}`chance`
# is a floor for ranking only.

# %% [markdown]
# ## T5 from its parts
#
# Later pages hang adapters into this network and let a
# {term}`hypernetwork` write them. To see where they go, we look at
# each part once and compute it by hand.
#
# ```{figure} ../figures/frozen_model_t5.svg
# :alt: Two columns of boxes, read from the bottom. Encoder: the text, an embedding, then four blocks of self-attention and feed-forward, giving states of S times d. Decoder: the answer one place later, an embedding, then three blocks of self-attention, cross-attention and feed-forward, then scores of pieces. An arrow leads from the encoder's states to the cross-attention.
# :name: fig-frozen-t5
# :width: 100%
#
# The embedded T5. Follow the one arrow between the columns: all that
# the decoder knows of the text comes through it.
# ```
#
# A {term}`hook`, a function that runs when a part has run, reports
# the shapes.

# %%
PARTS = {
    "encoder.embed_tokens": "text, embedded",
    "encoder.block.0.layer.0": "encoder self-attention",
    "encoder.block.0.layer.1": "encoder feed-forward",
    "decoder.embed_tokens": "answer, embedded",
    "decoder.block.0.layer.0": "decoder self-attention",
    "decoder.block.0.layer.1": "decoder cross-attention",
    "decoder.block.0.layer.2": "decoder feed-forward",
    "lm_head": "scores of all pieces",
}


# %%
@torch.no_grad()
def shapes_of(t5, batch, parts):
    """Part -> shape of its output, in running order."""
    shapes, handles = {}, []
    for name in parts:

        def keep(module, args, output, name=name):
            first = output[0] if type(output) is tuple else output
            shapes[name] = tuple(first.shape)

        part = t5.get_submodule(name)
        handles.append(part.register_forward_hook(keep))
    t5(**batch)
    for handle in handles:
        handle.remove()
    return shapes


# %%
lines = ["| part | output | numbers |", "|---|---|---|"]
for name, shape in shapes_of(t5, batch, PARTS).items():
    part = t5.get_submodule(name)
    count = sum(p.numel() for p in part.parameters())
    lines.append(f"| {PARTS[name]} | {shape} | {count:,} |")
config = t5.config
blocks = f"{config.num_layers} + {config.num_decoder_layers}"
total = sum(p.numel() for p in t5.parameters())
lines += [
    "",
    f"B = {len(few['source'])} texts, d = {config.d_model}, "
    f"V = {vocabulary} pieces, {config.num_heads} heads, "
    f"{blocks} blocks, **{total:,}** numbers in all.",
]
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* between the embedding and the scores, each position
# is one vector of d numbers, and every sub-layer keeps that shape.
# This is why something small can be added beside any of them. (Both
# embeddings and the last matrix are one and the same table in this
# T5, so it counts once in the total.)
#
# Each sub-layer does the same three things to the states $h$: it
# norms them, computes something, and *adds* the result:
#
# ```{math}
# :label: eq-frozen_model-residual
# h \leftarrow h + \mathrm{sublayer}(\mathrm{LN}\,h) .
# ```
#
# ### The norm
#
# T5's norm only scales {cite}`zhang2019rmsnorm`, with a learned gain
# $g$ at the end. It subtracts no mean and adds no bias:
#
# ```{math}
# :label: eq-frozen_model-norm
# \mathrm{LN}(h) = g \odot
#   \frac{h}{\sqrt{\tfrac{1}{d}\sum_i h_i^2 + \epsilon}} .
# ```


# %%
def rms_norm(h, gain, eps=1e-6):
    """h (..., d) scaled to mean square 1, then by gain (d,)."""
    square = h.pow(2).mean(dim=-1, keepdim=True)  # (..., 1)
    return gain * h / torch.sqrt(square + eps)


block = t5.encoder.block[0]
norm = block.layer[0].layer_norm
h = 5 * torch.randn(2, 7, config.d_model)
assert torch.allclose(rms_norm(h, norm.weight), norm(h), atol=1e-5)

# %% [markdown]
# ### The feed-forward part
#
# Ours is a *gated* one {cite}`shazeer2020glu`. Of two products of
# the input, one goes through a GELU and scales the other:
#
# ```{math}
# :label: eq-frozen_model-ffn
# \mathrm{FFN}(x) =
#   \bigl(\mathrm{GELU}(x W_0) \odot x W_1\bigr) W_o .
# ```
#
# The first T5 had a ReLU and one matrix less here; the gate came
# with its version 1.1. PyTorch keeps a weight as (out, in), hence
# the transposes.


# %%
def gated_gelu(x, w0, w1, wo):
    """x (S, d), w0 and w1 (ff, d), wo (d, ff) -> (S, d)."""
    gate = F.gelu(x @ w0.T, approximate="tanh")  # (S, ff)
    return (gate * (x @ w1.T)) @ wo.T


inner = block.layer[1].DenseReluDense
x = torch.randn(7, config.d_model)
weights = [w.weight for w in (inner.wi_0, inner.wi_1, inner.wo)]
assert torch.allclose(gated_gelu(x, *weights), inner(x), atol=1e-5)

# %% [markdown]
# ### Where a word stands
#
# Nothing so far knows the order of the words. T5 adds a number to
# each attention score that depends on the *distance* from the
# reading position to the read one, and on the head. There are few
# such numbers: distances are sorted into **buckets**, one for each
# small distance, wider and wider ones for large distances. An
# encoder has one half of the buckets for places before, the other
# for places after. A decoder looks back only.


# %%
def bucket(distance, both=True, buckets=32, far=128):
    """Bucket of each distance, read place minus reading place."""
    if both:
        buckets //= 2
        side = buckets * (distance > 0).long()
        distance = distance.abs()
    else:
        side = 0
        distance = (-distance).clamp(min=0)
    exact = buckets // 2  # distances with a bucket of their own
    grown = torch.log(distance.clamp(min=1).float() / exact)
    grown = grown / math.log(far / exact) * (buckets - exact)
    wide = (exact + grown.long()).clamp(max=buckets - 1)
    return side + torch.where(distance < exact, distance, wide)


def position_bias(table, queries, keys, both=True):
    """(H, queries, keys) from the learned table (32, H)."""
    places = torch.arange(keys) - torch.arange(queries)[:, None]
    return table[bucket(places, both)].permute(2, 0, 1)


# %%
attention = block.layer[0].SelfAttention
table = attention.relative_attention_bias.weight
every = torch.arange(-300, 301)
for both in (True, False):
    theirs = attention._relative_position_bucket(every, both)
    assert torch.equal(bucket(every, both), theirs)
near = [-20, -9, -8, -2, -1, 0, 1, 2, 8, 9, 20]
print("distance", near)
print("bucket  ", bucket(torch.tensor(near)).tolist())

# %% [markdown]
# The first block owns the table, and all blocks of the stack use it.
# So one figure shows what place means to each head.
#
# ```{admonition} Predict first
# :class: tip
# A score goes up by the number drawn here. Four heads learned it
# freely. Will they be alike? Would you expect a head that looks
# only back, in an encoder?
# ```

# %%
reach = torch.arange(-12, 13)
learned = table[bucket(reach)].T  # (H, 25)
plots.lines(
    {
        f"head {head}": {
            int(at): (float(value),)
            for at, value in zip(reach, row, strict=True)
        }
        for head, row in enumerate(learned)
    },
    title="What is added to a score, by distance",
    alt="Four curves, one for each head, over the distance from the "
    "reading to the read word, from 12 words before to 12 words "
    "after. Each has its peak next to zero, on one side or on both, "
    "and falls off with the distance.",
    xtitle="distance in pieces (below 0: before)",
    ytitle="added to the score (nats)",
)

# %% [markdown]
# *What to see:* look where each head has its peak, and on which side
# it falls off more slowly. Heads share the work: some lean to the
# words before, some to the words after. A lean is no wall: the other
# side is read less, not never. A difference of one nat means that,
# with equal content, a place gets *e* times the weight.
#
# ### Attention, one head
#
# Each head has matrices $W_q, W_k, W_v$ from d to 32 numbers. With
# $x$ the normed states of the reader and $s$ those that are read
# (in self-attention both are the same), and $\beta$ the head's
# position bias:
#
# ```{math}
# :label: eq-frozen_model-attention
# A = \mathrm{softmax}\bigl(x W_q\,(s W_k)^\top + \beta\bigr), \qquad
# \mathrm{head}(x, s) = A\,(s W_v) .
# ```
#
# The division by $\sqrt{32}$ that you may miss
# {cite}`vaswani2017attention` is not there. T5 starts training
# from a smaller $W_q$ instead. The mixtures of all heads, side by
# side, go through one last matrix. PyTorch keeps the heads of a
# matrix one below the other; `chunk` cuts them apart.


# %%
def one_head(x, s, wq, wk, wv, bias):
    """x (S, d) reads s (R, d): mixture (S, 32), weights (S, R)."""
    scores = (x @ wq.T) @ (s @ wk.T).T + bias  # (S, R)
    weights = scores.softmax(dim=-1)
    return weights @ (s @ wv.T), weights


def all_heads(layer, x, s, bias):
    """(S, d): the mixtures of all heads, side by side, times o."""
    parts = [getattr(layer, n).weight.chunk(len(bias)) for n in "qkv"]
    mixed = [
        one_head(x, s, *matrices, b)[0]
        for *matrices, b in zip(*parts, bias, strict=True)
    ]
    return torch.cat(mixed, dim=-1) @ layer.o.weight.T


# %% [markdown]
# To compare, we need the attention weights of `transformers`. Its
# default, `sdpa`, uses fused kernels that never form them, and asked
# for attentions it returns an *empty* tuple. `eager` keeps them. Of
# the hidden states, number i is what *enters* block i.

# %%
LAYER, HEAD = 2, 3

ids = tokenizer(TEXT, return_tensors="pt")["input_ids"]  # (1, S)
length = ids.shape[1]  # S
t5.encoder.set_attn_implementation("eager")
with torch.no_grad():
    seen = t5.encoder(
        ids, output_attentions=True, output_hidden_states=True
    )
t5.encoder.set_attn_implementation("sdpa")

bias = position_bias(table, length, length)  # (H, S, S)
layer = t5.encoder.block[LAYER].layer[0]
x = rms_norm(seen.hidden_states[LAYER][0], layer.layer_norm.weight)
mine = [
    getattr(layer.SelfAttention, n).weight.chunk(len(bias))[HEAD]
    for n in "qkv"
]
_, weights = one_head(x, x, *mine, bias[HEAD])
theirs = seen.attentions[LAYER][0, HEAD]  # (S, S)
assert torch.allclose(weights, theirs, atol=1e-5)

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# The figure shows a layer of the frozen encoder on *The porters is
# at the reception*, a sentence with a fault. To judge the word *is*,
# which word must one look at? Is there a head that does?
# ```

# %%
tokens = tokenizer.convert_ids_to_tokens(ids[0].tolist())
pieces = [token.strip("▁") for token in tokens[:-1]] + ["(end)"]
maps = seen.attentions[LAYER][0].numpy().round(3)  # (H, S, S)
fig = plots.heatmap(
    maps[0],
    pieces,
    pieces,
    title=f"Who reads whom, encoder block {LAYER}",
    alt="A square of colours, the reading words in rows, the read "
    "words in columns, and a button for each of four heads. The "
    "bright cells lie near the diagonal: to the right of it in some "
    "heads, to the left in others.",
    xtitle="read word",
    ytitle="reading word",
    unit="weight",
    height=520,
)

# %%
buttons = [
    {"label": f"head {i}", "method": "restyle", "args": [{"z": [m]}]}
    for i, m in enumerate(maps.tolist())
]
menu = {"type": "buttons", "direction": "right", "buttons": buttons}
place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
fig.update_layout(updatemenus=[menu | place], margin_t=120)
fig.update_traces(zmin=0, zmax=float(maps.max()))
fig

# %% [markdown]
# *What to see:* press the buttons and compare with the curves above.
# A head that leans back has its bright cells left of the diagonal.
# Then look along the row *is*. A head with a bright cell at
# *porters* brings together what a check of number needs. Do not read
# more into it than that: a weight says what is *read*, not what is
# done with it.
#
# ### The whole encoder
#
# That was all. Embedding, then per block attention and feed-forward
# as in {eq}`eq-frozen_model-residual`, then one last norm:


# %%
def encode_by_hand(encoder, ids):
    """Encoder states (S, d) of one text, ids (S,)."""
    h = encoder.embed_tokens(ids)
    first = encoder.block[0].layer[0].SelfAttention
    table = first.relative_attention_bias.weight
    bias = position_bias(table, len(ids), len(ids))
    for block in encoder.block:
        attention, forward = block.layer
        x = rms_norm(h, attention.layer_norm.weight)
        h = h + all_heads(attention.SelfAttention, x, x, bias)
        x = rms_norm(h, forward.layer_norm.weight)
        inner = forward.DenseReluDense
        matrices = (inner.wi_0, inner.wi_1, inner.wo)
        h = h + gated_gelu(x, *(m.weight for m in matrices))
    return rms_norm(h, encoder.final_layer_norm.weight)


states = encode_by_hand(t5.encoder, ids[0])  # (S, d)
assert torch.allclose(states, seen.last_hidden_state[0], atol=1e-4)
print(f"encoder states {tuple(states.shape)}: equal")

# %% [markdown]
# One thing is missing for batches: padding. A text must not read the
# padding after it, so its score there becomes minus infinity. If
# you forget the mask, nothing fails. The states are only wrong.

# %%
two = [TEXT, test["source"][0] + " And some more words after it."]
pair = tokenizer(two, padding=True, return_tensors="pt")
with torch.no_grad():
    masked = t5.encoder(**pair).last_hidden_state[0, :length]
    careless = t5.encoder(pair["input_ids"]).last_hidden_state[
        0, :length
    ]
assert torch.allclose(masked, states, atol=1e-4)
gap = (careless - states).norm() / states.norm()
print(f"forgotten mask: the states move by {gap:.0%} of their length")

# %% [markdown]
# ### The decoder
#
# The decoder's blocks have a third sub-layer between the two. Its
# self-attention looks back only, and its **cross-attention** reads
# the encoder's states: $x$ comes from the answer, $s$ from the text,
# and there is no position bias. For the first piece of an answer we
# can follow both in a few lines. The start piece stands alone, so
# its self-attention reads itself.

# %%
start = torch.zeros(1, 1, dtype=torch.long)
for stack in (t5.encoder, t5.decoder):
    stack.set_attn_implementation("eager")
with torch.no_grad():
    read = t5(ids, decoder_input_ids=start, output_attentions=True)
for stack in (t5.encoder, t5.decoder):
    stack.set_attn_implementation("sdpa")

self_attention, cross, forward = t5.decoder.block[0].layer
h = t5.decoder.embed_tokens(start)[0]  # (1, d)
x = rms_norm(h, self_attention.layer_norm.weight)
none = torch.zeros(config.num_heads, 1, 1)  # one place: any bias
h = h + all_heads(self_attention.SelfAttention, x, x, none)
x = rms_norm(h, cross.layer_norm.weight)
mine = [
    getattr(cross.EncDecAttention, n).weight.chunk(len(bias))[HEAD]
    for n in "qkv"
]
_, weights = one_head(x, states, *mine, bias=0)  # (1, S)
theirs = read.cross_attentions[0][0, HEAD]
assert torch.allclose(weights, theirs, atol=1e-5)
for piece, weight in zip(pieces, weights[0].tolist(), strict=True):
    print(f"{piece:12s} {weight:.2f}")

# %% [markdown]
# *What to see:* no piece gets most of the weight. In the first block
# the start piece asks, and it is the same for every text: it does
# not yet know what to look for.

# %% [markdown]
# ## One end: read off what is there
#
# Now the first end. The model stays as it is. Each text becomes the
# mean of its encoder states, padding left out, and a **linear
# probe** {cite}`alain2016probes`, a logistic regression, learns the
# task from these d numbers. This is about the cheapest thing one can
# put on a frozen model: the T5 runs once per text, and what is
# trained is d weights and a bias.


# %%
@torch.no_grad()
def pooled(t5, tokenizer, texts):
    """(n, d) mean encoder state of each text."""
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    states = t5.encoder(**batch).last_hidden_state  # (n, S, d)
    real = batch["attention_mask"].unsqueeze(-1)  # (n, S, 1)
    return ((states * real).sum(dim=1) / real.sum(dim=1)).numpy()


# %% [markdown]
# A probe has a choice to make, too: how strongly its weights are
# held near zero. In scikit-learn that is `C`, and a *small* `C` holds
# them hard. We fit one probe per `C`, and *validation* rows choose.
# For every task there are three sets of rows: training rows to learn
# from, validation rows to choose by, test rows to report. Each row
# has one job.

# %%
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

STRENGTHS = [0.01, 0.1, 1.0]  # scikit-learn's C


def probe(x, y, held_x, held_y):
    """The logistic regression that is best on held-out rows."""
    fits = []
    for strength in STRENGTHS:
        model = LogisticRegression(C=strength, max_iter=1000)
        fits.append(make_pipeline(StandardScaler(), model).fit(x, y))
    return max(fits, key=lambda fit: fit.score(held_x, held_y))


# %% [markdown]
# How many rows does a probe need? We draw 16, 64, 250 and 1000, each
# three times, with both classes equally often. A draw of 16 is part of
# the draw of 64 with the same seed, and so on. Later the full
# fine-tuning gets the *same rows*.

# %%
SIZES = [16, 64, 250, 1000]
DRAWS = 3


def draw(task, n, seed):
    """n training rows as columns, the classes equally often."""
    return task.sample(n, seed=seed, balanced=True).columns("train")


def probe_curve(t5, task):
    """n -> a pair (training, test) of accuracies for each draw."""
    held = []
    for split in ("validation", "test"):
        rows = task.columns(split)
        held += [pooled(t5, tokenizer, rows["source"]), rows["label"]]
    curve = {n: [] for n in SIZES}
    for seed in range(DRAWS):
        rows = draw(task, max(SIZES), seed)
        x, y = pooled(t5, tokenizer, rows["source"]), rows["label"]
        for n in SIZES:
            fit = probe(x[:n], y[:n], *held[:2])
            own = fit.score(x[:n], y[:n])
            curve[n].append((own, fit.score(*held[2:])))
    return curve


# %% [markdown]
# A probe's score alone says little: perhaps *any* network's states
# would do. So a second T5 takes the same test: same sizes, random
# weights, never trained. What lies between the two curves is what
# pretraining has put there. And we take a second task, `time`: does
# the writer of a review speak of the past? Each review holds two
# opinions, the writer's and somebody else's, and either may lie in
# the past or ahead. To *We will love the bed. My aunt loved the
# view.* the answer is no.
#
# ```{admonition} Predict first
# :class: tip
# Four curves from 16 to 1000 examples: two tasks, pretrained and
# random T5. Which is the steepest? Will a random T5 beat a coin?
# ```

# %%
timed = suite["time/hotel"]
torch.manual_seed(SEED)
untrained = type(t5)(config).eval().requires_grad_(False)
networks = {"": t5, ", random": untrained}
probes = {
    plots.rule(each.name) + kind: probe_curve(network, each)
    for each in (task, timed)
    for kind, network in networks.items()
}


def band(curve, which):
    """n -> mean and 95 % interval over the draws, in percent."""
    return {
        n: np.clip(interval([100 * p[which] for p in pairs]), 0, 100)
        for n, pairs in curve.items()
    }


# %%
plots.lines(
    {name: band(curve, 1) for name, curve in probes.items()},
    title="Linear probes on frozen states",
    alt="Test accuracy over the number of training examples for two "
    "tasks, each with a pretrained and a random T5. The pretrained "
    "curve for acceptability climbs the most; the random ones rise "
    "slowly.",
    xtitle="training examples",
    ytitle="test accuracy (%)",
    chance=50,
    log=True,
)

# %% [markdown]
# *What to see:* compare within a task. The gap between pretrained
# and random is knowledge that was there before the first example.
# (It has a known source: part of the pretraining was to proofread
# sentences, and to say whether an opinion lies before or later, in
# texts about other places.) Where the two bands overlap, a probe on
# so few rows shows no gap. A random network is no zero, either:
# words leave traces in any states, and where words alone say
# something about the answer, that is worth some points above chance.
# Then compare the two pretrained curves at their right ends. Whether
# a sentence is well formed lies open in the mean state. *Whose* past
# it is lies there less openly: the mean mixes two opinions, and a
# line through it has trouble unmixing them. The bands are 95 %
# intervals over three draws, hence wide.

# %% [markdown]
# ## The other end: train everything
#
# Full fine-tuning copies the T5, lets every number move, and
# minimises {eq}`eq-frozen_model-loss`. Two things must be chosen,
# the learning rate and the moment to stop, and both are chosen by
# validation.
#
# ````{prf:algorithm} Full fine-tuning with early stopping
# :label: alg-frozen_model-full
#
# 1. Copy the T5. Let every weight have a gradient.
# 2. Repeat: draw 16 training rows, compute the loss, clip the
#    gradient to length 1, take one step of AdamW.
# 3. Every few steps, score the validation rows. If the score is the
#    best so far, keep a copy of the weights.
# 4. Stop when the last few scores brought nothing better. Go back to
#    the kept copy.
# ````

# %%
STEPS = 60  # at most
EVERY = 15  # steps between two looks at validation
PATIENCE = 2  # looks without a better score before we stop


def batches(rows, size, seed):
    """Endless: every row once, then once more in a new order."""
    rng = np.random.default_rng(seed)
    while True:
        order = rng.permutation(len(rows["source"]))
        for at in range(0, len(order), size):
            part = order[at : at + size]
            yield [
                [rows[side][i] for i in part]
                for side in ("source", "target")
            ]


# %%
def fine_tune(t5, rows, held, words, rate, seed=SEED, part=""):
    """A trained copy of the T5, at its best on the held rows."""
    model = copy.deepcopy(t5)
    for name, weight in model.named_parameters():
        weight.requires_grad_(name.startswith(part))
    moving = [w for w in model.parameters() if w.requires_grad]
    optimizer = torch.optim.AdamW(moving, lr=rate, weight_decay=0)
    stream, best = batches(rows, 16, seed), -1.0
    for step in range(1, STEPS + 1):
        share = min(step / 10, 1 - step / (STEPS + 1))
        optimizer.param_groups[0]["lr"] = rate * share
        batch = batch_of(tokenizer, *next(stream))
        model.train()(**batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(moving, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if step % EVERY == 0:
            score = accuracy(model.eval(), tokenizer, held, words)
            if score > best:
                best, when = score, step
                kept = copy.deepcopy(model.state_dict())
            elif step - when >= PATIENCE * EVERY:
                break
    model.load_state_dict(kept)
    return model.eval(), best


# %% [markdown]
# The rate rises for ten steps and then falls towards zero. (`part`
# names what may move; empty means all. An exercise uses it.) We take
# `time`, the task that the probe reads less well. The learning rate
# is chosen once, with 250 examples, and then kept for every size:
# choosing it anew each time would be fairer still, and three times
# as long.
#
# ```{admonition} Predict first
# :class: tip
# The pretrained weights are good. What will a rate of 0.003 do to
# them in some dozens of steps?
# ```

# %%
RATES = [3e-4, 1e-3, 3e-3]

held, test = timed.columns("validation"), timed.columns("test")
words = timed.labels
rows = draw(timed, 250, SEED)
tried = {
    rate: fine_tune(t5, rows, held, words, rate)[1] for rate in RATES
}
chosen = max(tried, key=tried.get)
lines = ["| learning rate | on validation |", "|---|---|"]
lines += [f"| {rate:g} | {s:.1%} |" for rate, s in tried.items()]
Markdown("\n".join(lines) + f"\n\nWe go on with **{chosen:g}**.")

# %% [markdown]
# *What to see:* the same model, data and code in every row; only the
# rate differs. Read how far the worst lies behind the best. A point
# or two are a handful of validation rows, and no verdict. A wide gap
# is one: with that rate, taken by habit, we would have blamed the
# method. Of equal rates the first one wins.
#
# ```{admonition} Predict first
# :class: tip
# Next come four curves over the number of examples: probe and full
# fine-tuning, each on its own training rows and on test rows. Where
# will the two training curves run? From which size on does it pay to
# train everything?
# ```

# %%
full = {n: [] for n in SIZES}
clock = time.perf_counter()
for n in SIZES:
    for seed in range(DRAWS):
        rows = draw(timed, n, seed)
        tuned, _ = fine_tune(t5, rows, held, words, chosen, seed)
        own = accuracy(tuned, tokenizer, rows, words)
        new = accuracy(tuned, tokenizer, test, words)
        full[n].append((own, new))
seconds = (time.perf_counter() - clock) / (len(SIZES) * DRAWS)
print(f"{seconds:.1f} seconds for a fine-tuning and its scores")

# %%
ends = {
    "full": full,
    "probe": probes[plots.rule(timed.name)],
}
series = {f"{end}, test": band(c, 1) for end, c in ends.items()}
for end, curve in ends.items():
    mean = {n: (100 * np.mean(c, axis=0)[0],) for n, c in curve.items()}
    series[f"{end}, training"] = mean
plots.lines(
    series,
    title="Time: right on training rows and on test rows",
    alt="Four curves over 16, 64, 250 and 1000 training examples. "
    "Both methods answer nearly all of their training rows at every "
    "size. On test rows both are lower, most of all with 16 examples; "
    "full fine-tuning closes the gap sooner than the probe.",
    xtitle="training examples",
    chance=50,
    log=True,
)

# %%
lines = ["| examples | probe, test | full, test | gain |"]
lines.append("|---|---|---|---|")
for n in SIZES:
    a, b = (100 * np.array(ends[m][n]) for m in ("probe", "full"))
    gain = interval(b[:, 1] - a[:, 1])
    lines.append(
        f"| {n} | {a[:, 1].mean():.1f} % | {b[:, 1].mean():.1f} % "
        f"| {gain.mean:+.1f} ({gain.low:+.1f} to {gain.high:+.1f}) |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* first the two training curves. Where they run near
# the top at every size, they tell neither the methods apart nor 16
# examples from 1000: the d weights of a probe are enough to memorise
# a hundred rows and more, and a T5 has far more. Then go down from a
# training curve to its test curve. That distance was only
# *memorised*; see how it shrinks to the right. Last, the gain in the
# table, over the same draws for both ends. To train everything pays
# from the first size whose interval lies above zero. Where it
# includes zero, three draws cannot say which end is better.
#
# So full fine-tuning is a strong opponent, not a straw man, *once*
# it has enough examples. For `time` that may be soon: pretraining
# has practised something like it. Its cost is in no table yet: a
# whole copy of the model for each task, and a learning rate to find.

# %% [markdown]
# ### How many are enough?
#
# That depends on the question. `sentiment` reads the very same kind
# of review as `time`, and answers with the same two words. Only what
# is asked differs: does the writer like it?
#
# ```{admonition} Predict first
# :class: tip
# Full fine-tuning with 64 examples, same rate, same steps. You have
# seen the score for `time`. What will it be for `sentiment`?
# ```

# %%
MANY = 64

felt = suite["sentiment/hotel"]
sides = [felt.columns(split) for split in ("validation", "test")]
other = []
for seed in range(DRAWS):
    rows = draw(felt, MANY, seed)
    tuned, _ = fine_tune(t5, rows, sides[0], words, chosen, seed)
    own = accuracy(tuned, tokenizer, rows, words)
    other.append((own, accuracy(tuned, tokenizer, sides[1], words)))

lines = [f"| {MANY} examples | training | test |", "|---|---|---|"]
for name, pairs in (("time", full[MANY]), ("sentiment", other)):
    own, new = 100 * np.mean(pairs, axis=0)
    lines.append(f"| {name} | {own:.0f} % | {new:.0f} % |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare the columns. Two tasks can have the same
# kind of text, the same answers and as many examples, and both get
# most of their training rows right; one is learnt, the other
# memorised. Both must find the writer's opinion. Then time hangs on
# one word, *will*. Liking hangs on one word out of many, and a *not*
# turns it round. No number of examples is "few" or "enough" without
# the task and the model.

# %% [markdown]
# ## Why too little data hurts
#
# Sixteen yes-or-no answers are sixteen bits. The model has millions
# of numbers to set. Very many settings answer all sixteen rows
# rightly, and they disagree on the next row. Training finds *one* of
# them. A cruel experiment shows how easily
# {cite}`zhang2017rethinking`: shuffle the answers of `time`, so that
# nothing is left to understand.
#
# ```{admonition} Predict first
# :class: tip
# The same 16 texts, their answers shuffled. How many of its training
# rows will the T5 get right after training? How many test rows?
# ```

# %%
memory = []
for seed in range(DRAWS):
    rows = draw(timed, min(SIZES), seed)
    rng = np.random.default_rng(seed)
    rows["target"] = rng.permutation(rows["target"]).tolist()
    tuned, own = fine_tune(t5, rows, rows, words, chosen, seed)
    memory.append((own, accuracy(tuned, tokenizer, test, words)))

pairs = {"true": full[min(SIZES)], "shuffled": memory}
lines = ["| answers | training rows | test rows |", "|---|---|---|"]
for name, values in pairs.items():
    own, new = 100 * np.mean(values, axis=0)
    lines.append(f"| {name} | {own:.0f} % | {new:.0f} % |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the left column. With shuffled answers there is
# nothing to learn but the rows themselves. If they are learnt
# nevertheless, a high training score is no sign of understanding.
# Only rows that had no part in training can tell the two lines
# apart, in the right column. (The second run stops by its training
# rows; no validation could help it.)
#
# Three things hurt when data is small. *Many solutions fit*, as
# above. *The draw decides*: other rows give another model. And
# *choices become noisy*: our validation set has more rows than our
# smallest training set, a luxury that a real task with 16 examples
# does not have. An exercise takes it away.
#
# What helps is knowledge from elsewhere: from pretraining, as the
# probe on acceptability showed, or from *other tasks*, which is what
# PHA is about.

# %% [markdown]
# ## How sure is a test score?
#
# A test set is a sample as well. A model that is right with
# probability p on a row gets k of n rows right, a binomial count. Its
# score is $\hat p = k / n$, and about 95 % of the time p lies within
#
# ```{math}
# :label: eq-frozen_model-binomial
# \hat p \pm 1.96 \sqrt{\hat p\,(1 - \hat p) / n} .
# ```
#
# ```{admonition} Predict first
# :class: tip
# A model gets 80 % of a test set right. Within how many points do
# you know its accuracy if the set has 100 rows? If it has 500?
# ```


# %%
from scipy.stats import binomtest


def half_width(p, n, z=1.96):
    """Half of the 95 % interval, by the formula above."""
    return z * math.sqrt(p * (1 - p) / n)


lines = ["| right | formula | Wilson's interval |", "|---|---|---|"]
for k, n in ((80, 100), (400, 500), (1600, 2000), (16, 16)):
    found = binomtest(k, n).proportion_ci(method="wilson")
    lines.append(
        f"| {k} of {n} | ± {100 * half_width(k / n, n):.1f} "
        f"| {100 * found.low:.1f} to {100 * found.high:.1f} % |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* from 100 to 500 rows the interval shrinks by
# $\sqrt{5}$ and not by 5. With 100 rows each, two methods that lie
# five points apart cannot be told apart. The last row shows the
# formula fail: 16 of 16 gives it a width of zero. Wilson's interval
# {cite}`wilson1927`, which `scipy` has, does not make that mistake.
#
# This interval is about the *rows*: one model, other test rows. The
# intervals in the figures above are about the *draws*: other
# training rows, another model. Neither covers what the other does,
# so say which one you show. Here are both, for full fine-tuning:

# %%
lines = ["| examples | draw by draw | ± by the test rows |"]
lines.append("|---|---|---|")
for n, pairs in full.items():
    scores = [new for _, new in pairs]
    width = half_width(np.mean(scores), len(test["label"]))
    told = ", ".join(f"{score:.1%}" for score in scores)
    lines.append(f"| {n} | {told} | {100 * width:.1f} points |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* go up and down from a line's mean by the last
# column. A draw outside that range differs by more than the test
# rows explain, and more of them would not help: another draw of
# training rows is another model.

# %% [markdown]
# ### What it costs to choose by the test set
#
# You try twenty things and report the best one's test score. Suppose
# all twenty are useless: each tosses a coin for every row. The best
# of them will not look useless.
#
# ```{admonition} Predict first
# :class: tip
# A test set of 50 rows, twenty coin-tossers. What score has the
# winner, on average?
# ```

# %%
TRIALS = 2000  # times that we play the game
MODELS = [1, 2, 5, 10, 20, 50, 100]


def winner(models, rows, trials, seed):
    """Best score among useless models, for each trial."""
    rng = np.random.default_rng(seed)
    right = rng.binomial(rows, 0.5, size=(trials, models))
    return right.max(axis=1) / rows  # (trials,)


curves = {}
for count in (50, 100, 400):
    curves[f"{count} test rows"] = {
        models: (
            100 * best.mean(),
            *np.quantile(100 * best, [0.05, 0.95]),
        )
        for models in MODELS
        for best in [winner(models, count, TRIALS, SEED)]
    }

# %%
plots.lines(
    curves,
    title="The best of many useless models",
    alt="Three curves over the number of models tried, from 1 to "
    "100. All start at 50 percent and rise; the one for 50 test "
    "rows rises the most, the one for 400 rows the least.",
    xtitle="useless models tried",
    ytitle="winner's test accuracy (%)",
    chance=50,
    log=True,
)

# %% [markdown]
# *What to see:* every point above the dotted line is an illusion.
# The line is the mean of the winner's score, the band holds nine of
# ten games. Small test sets and many attempts make it grow. Now one
# such game on the rows of our own test set, with the remedy beside
# it: rows that had no part in the choice.

# %%
SMALL, PLAYERS = 50, 20

rng = np.random.default_rng(SEED)
gold = np.array(test["label"])  # (rows,)
tossed = rng.integers(0, 2, size=(PLAYERS, len(gold)))
right = tossed == gold  # (models, rows)
best = right[:, :SMALL].mean(axis=1).argmax()
Markdown(
    f"The best of {PLAYERS} coin-tossers gets "
    f"**{right[best, :SMALL].mean():.0%}** of the {SMALL} rows that "
    f"it was chosen by, and **{right[best, SMALL:].mean():.0%}** of "
    f"the {len(gold) - SMALL} others."
)

# %% [markdown]
# Real models share their mistakes, so twenty variants of one model
# are fewer than twenty coins, and the illusion is smaller. It is
# never zero. Hence the rule of this book: **validation chooses, test
# reports**. It covers learning rates, stopping, the number of steps,
# and the idea to try one more thing.

# %% [markdown]
# ```{admonition} Trap: saving what never changed
# :class: warning
# If the T5 is frozen, a checkpoint needs only what was trained. The
# released code saves the whole T5 with it. Nothing is *wrong* with
# such a file. It is only many times too large, and so is every copy.
# ```
#
# We measure it for PHA with the 24 training tasks: once all that is
# in the model, once what is trained.


# %%
def saved_bytes(state):
    """Bytes that torch.save writes for a dict of tensors."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.tell()


model = PHAModel.from_backbone(
    (t5, tokenizer), PHAConfig.tiny(tasks=suite.train_tasks, seed=SEED)
)
whole = saved_bytes(model.state_dict())
part = saved_bytes(model.trained.state_dict())
copies = len(suite.train_tasks) * saved_bytes(t5.state_dict())
Markdown(
    "| what is saved | MB |\n|---|---|\n"
    f"| T5 and PHA, all tasks | {whole / 1e6:.1f} |\n"
    f"| PHA alone, all tasks | {part / 1e6:.1f} |\n"
    f"| one fine-tuned T5 for each task | {copies / 1e6:.0f} |"
)

# %% [markdown]
# Our T5 is tiny. For T5-base, which the paper uses, we need no
# download: on the device `meta`, tensors have shapes but no values.

# %%
from pha_lite.trained import Trained
from transformers import T5Config

base = T5Config(d_model=768, d_ff=3072, num_layers=12, num_heads=12)
names = [f"task {number}" for number in range(8)]
with torch.device("meta"):
    frozen = type(t5)(base).num_parameters()
released = Trained(PHAConfig.paper(tasks=names), 768, (12, 12))
trained = sum(released.count().values())
Markdown(
    f"T5-base has {frozen / 1e6:.0f} million numbers. The released "
    f"configuration trains {trained / 1e6:.1f} million beside it for "
    f"8 tasks. In 4 bytes each: **{4 * frozen / 1e6:.0f} MB** of a "
    f"checkpoint that never change, and **{4 * trained / 1e6:.0f} "
    "MB** that do."
)

# %% [markdown]
# *What to see:* the first two rows of the table, then the two bold
# numbers: the larger the model, the larger the waste. `pha_lite`
# saves the trained part alone, and with it a fingerprint of the T5
# it belongs to. Otherwise a small file could be hung on the wrong
# model, and would be silent about it.

# %% [markdown]
# ## What could go wrong
#
# - **The loss falls, the accuracy stays at half.** The model has
#   learnt the label words, not the rule. Compare the loss with the
#   mark for two words.
# - **Ranking in one table, generating in the next.** An untrained
#   model scores half by one and nothing by the other.
# - **Empty attentions.** The default `sdpa` keeps none. Switch to
#   `eager` first, and back afterwards.
# - **A forgotten attention mask.** No error, wrong states, and
#   worse the shorter a text is beside its neighbours.
# - **A probe without its control.** Ask what a random network of the
#   same shape would give.
# - **One learning rate for all methods.** Adapters often want a
#   higher one than a full copy. Choose by validation, for each
#   method by the same rule.

# %% [markdown]
# ## Exercises
#
# ````{exercise} The missing square root
# :label: frozen-scale
#
# Other transformers divide the scores by $\sqrt{32}$. Do that to our
# frozen T5. (Dividing every $W_q$ of a copy does it.) How far
# do the encoder's states move? Could a T5 be *trained* with the
# division just as well?
# ````
#
# ````{solution} frozen-scale
# :class: dropdown
#
# ```python
# scaled = copy.deepcopy(t5)
# for block in scaled.encoder.block:
#     block.layer[0].SelfAttention.q.weight.div_(config.d_kv**0.5)
# moved = encode_by_hand(scaled.encoder, ids[0]) - states
# print((moved.norm() / states.norm()).item())
# ```
#
# They move a lot: the content of a word counts less, and the
# position bias gains in comparison. But the factor can live in $W_q$
# as well as beside it, so a T5 trained with the division would just
# learn a larger $W_q$.
# ````

# %% [markdown]
# ````{exercise} Which layer should one probe?
# :label: frozen-layer
#
# We probed the last states. The embedding and each block give a mean
# state as well. Fit a probe for acceptability with 250 examples on
# each of them. Where does the knowledge appear?
# ````
#
# ````{solution} frozen-layer
# :class: dropdown
#
# ```python
# def mean_states(texts):
#     batch = tokenizer(texts, padding=True, return_tensors="pt")
#     with torch.no_grad():
#         out = t5.encoder(**batch, output_hidden_states=True)
#     real = batch["attention_mask"].unsqueeze(-1)
#     return [
#         ((h * real).sum(dim=1) / real.sum(dim=1)).numpy()
#         for h in out.hidden_states
#     ]
#
# sets = [draw(task, 250, SEED)]
# sets += [task.columns(split) for split in ("validation", "test")]
# y, held_y, test_y = [rows["label"] for rows in sets]
# depths = zip(*[mean_states(rows["source"]) for rows in sets])
# for depth, (x, held_x, test_x) in enumerate(depths):
#     fit = probe(x, y, held_x, held_y)
#     print(depth, fit.score(test_x, test_y))
# ```
#
# Depth 0 is the embedding, a mere bag of words. What is needed here
# is how words *fit together*, and that appears only after attention
# has brought them together.
# ````

# %% [markdown]
# ````{exercise} Words alone
# :label: frozen-words
#
# How far do you get with no network at all? Fit the probe on word
# counts (`CountVectorizer`) for both tasks, with 1000 examples, and
# compare with the random T5.
# ````
#
# ````{solution} frozen-words
# :class: dropdown
#
# ```python
# from sklearn.feature_extraction.text import CountVectorizer
#
# for each in (task, timed):
#     sets = [draw(each, max(SIZES), SEED)]
#     sets += [each.columns(s) for s in ("validation", "test")]
#     counter = CountVectorizer(token_pattern=r"\w+")
#     counter.fit(sets[0]["source"])
#     (x, y), (held_x, held_y), (test_x, test_y) = [
#         (counter.transform(r["source"]).toarray(), r["label"])
#         for r in sets
#     ]
#     fit = probe(x, y, held_x, held_y)
#     print(each.name, fit.score(test_x, test_y))
# ```
#
# It comes out near the random T5. Such a floor belongs beside every
# score: what lies below it needs no language model.
# ````

# %% [markdown]
# ````{exercise} Half of it frozen
# :label: frozen-half
#
# Between the two ends lies a third way: let only the encoder move,
# or only the decoder (`part`). Try it for acceptability with 64
# examples and a rate of 0.0003, beside full fine-tuning and the
# probe. Guess first.
# ````
#
# ````{solution} frozen-half
# :class: dropdown
#
# ```python
# sides = [task.columns(split) for split in ("validation", "test")]
# for half in ("", "encoder", "decoder"):
#     rows = draw(task, 64, SEED)
#     tuned, _ = fine_tune(
#         t5, rows, sides[0], task.labels, 3e-4, part=half
#     )
#     score = accuracy(tuned, tokenizer, sides[1], task.labels)
#     print(half or "all", score)
# ```
#
# The probe's score stands in the figure of the probes. The embedding
# table belongs to neither half: it moves in the full run alone. Each
# half may want a rate of its own, so choose it on validation before
# you rank them. The next page freezes both halves and adds something
# small to them.
# ````

# %% [markdown]
# ````{exercise} Thirty-two labelled rows and no more
# :label: frozen-budget
#
# You have 32 labelled rows of `acceptability` in all. Will you train
# a probe on all of them with a fixed `C` of 1, or train on 16 and
# choose `C` on the other 16? Compare the two over ten draws.
# ````
#
# ````{solution} frozen-budget
# :class: dropdown
#
# ```python
# asked = task.columns("test")
# test_x = pooled(t5, tokenizer, asked["source"])
# gains = []
# for seed in range(10):
#     rows = draw(task, 32, seed)
#     x, y = pooled(t5, tokenizer, rows["source"]), rows["label"]
#     fixed = LogisticRegression(C=1.0, max_iter=1000)
#     fixed = make_pipeline(StandardScaler(), fixed).fit(x, y)
#     picked = probe(x[:16], y[:16], x[16:], y[16:])
#     both = (fixed, picked)
#     scores = [fit.score(test_x, asked["label"]) for fit in both]
#     gains.append(100 * (scores[0] - scores[1]))
# print(interval(gains))
# ```
#
# Rows for choosing are rows taken from learning. With so few, a
# sensible fixed value often wins. Whatever you do: count validation
# rows when you say how much data you had.
# ````

# %% [markdown]
# ````{exercise} Telling 80 from 82
# :label: frozen-rows
#
# Two methods are right in 80 % and 82 % of all cases. How many test
# rows does each need, tested on separate rows, until the interval of
# the *difference* no longer includes zero? (Variances add.)
# ````
#
# ````{solution} frozen-rows
# :class: dropdown
#
# ```python
# variance = 0.80 * 0.20 + 0.82 * 0.18
# print(math.ceil(variance * (1.96 / 0.02) ** 2))
# ```
#
# About three thousand, and even then it works half of the time only.
# Tested on the *same* rows the difference varies less, because both
# stumble over the same hard ones. That is why this book compares
# methods on the same rows and the same draws.
# ````

# %% [markdown]
# ## Summary
#
# - A task becomes text in, word out. The loss is the surprise over
#   the answer's pieces; the answer comes by ranking or by
#   generating, and the two are different measurements.
# - A T5 block norms, computes and adds. Attention has learned biases
#   by distance and no division by a square root.
# - A linear probe shows what frozen states hold; a random network
#   beside it shows what pretraining did.
# - With few examples a whole T5 memorises anything, also nonsense,
#   and training accuracy says nothing. With enough it learns what a
#   probe reads off less well. How many are enough depends on the
#   task.
# - Validation chooses, test reports, and every score needs an
#   interval that says what it is about.
#
# **Check yourself.** A loss has fallen to $\tfrac12 \log 2$ per
# piece: what has the model learnt, and what not? Why does a random T5
# belong beside a probe? Which two intervals can a test score have,
# and which rows vary in each?
#
# **In the code.** `pha_lite/backbone.py` loads and freezes the T5,
# `pha_lite/inference.py` ranks and generates,
# `pha_lite/losses.py` holds the loss, `pha_lite/stats.py` the
# intervals, `pha_lite/saving.py` writes the trained part only.
#
# **Next.** [Adapters](adapters.ipynb) put a small trained network
# into every block of the frozen T5.

# %%
import os
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
