# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: [faiss-cpu]
#     quick: {EACH: 1, STEPS: 2, WORDS: 3, TEXTS: 12, MANY: [8, 64], DRAWS: 20}
# ---

# %% [markdown]
# # Scale and speed
#
# So far everything was small: a T5 that fits into a notebook, two
# dozen tasks, some thousand rows. **What does PHA cost beside the
# T5 that it adapts, and how far does it go: thousands of tasks, a
# million instances, several processes?**
#
# Milliseconds belong to a machine and to the hour. So this page
# counts *operations*, live, and asserts what it counts. Times come
# from recorded measurements, as ratios to a mark that was measured
# in the same minute.
#
# **After this page you can**
#
# - say which part of a training step nobody can avoid, and how much
#   PHA adds to it;
# - say what it saves to write adapters once per task, to keep the
#   encoder's output, and to decode without the hypernetwork;
# - tell what grows with the number of tasks and what does not, and
#   which *loss* falls silent when there are thousands;
# - choose an index for the instances, save it with its model, and
#   know when it is no longer valid;
# - start a training in several processes and say what they exchange.
#
# **You need** the pages on [hypernetworks](hypernetworks.ipynb),
# where adapters are written once per task, and on the
# [retriever](retriever.ipynb), where the space is searched.

# %%
import copy
import os
import tempfile
import time
import warnings

import numpy as np
import pha_lite
import plotly.graph_objects as go
import torch
from IPython.display import Markdown
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers.modeling_outputs import BaseModelOutput

SEED = 0

# %%
from pha_lite import (
    PHAModel,
    load_backbone,
    load_suite,
    plots,
    records,
)
from pha_lite.baselines import build
from pha_lite.bench import GROUPS, SIZES, per_row
from pha_lite.estimate import sizes_of
from pha_lite.losses import instance_loss
from pha_lite.paths import data_dir
from pha_lite.routing import Route
from pha_lite.sampling import TaskSampler

torch.manual_seed(SEED)
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, torch {torch.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(records.run_time("scale_and_speed"))

# %% [markdown]
# ## What a step is made of
#
# Call F the operations of one forward pass through T5. The backward
# pass does two things. It carries gradients back through the
# activations, which costs about F. And it computes the gradient of
# every trained weight, which for all of T5 costs F again:
#
# ```{math}
# :label: eq-scale-step
# \underbrace{F}_{\text{forward}} +
# \underbrace{F}_{\text{activations}} +
# \underbrace{F}_{\text{weights, if all are trained}} = 3F
# ```
#
# Whoever trains anything in the *first* layer of T5 must carry
# gradients back to it, frozen or not. That is **the limit**: forward,
# back through the activations to the first feed-forward part, where
# the first adapter hangs, and nothing else. A method that trains
# something there, or earlier, does not come below it.
#
# We count with PyTorch's own counter. It counts two operations for
# each multiplication in a matrix product, and nothing else. Attention
# is spelled out here, because fused kernels hide from it.

# %%
EACH = 4  # rows of every task in a batch

suite, (t5, tokenizer) = load_suite(seed=SEED), load_backbone("tiny")
t5.requires_grad_(False)
backbone = t5, tokenizer
eight = suite.train_tasks[:8]


def batch_of(model, names, each):
    """So many training rows of each task, in turn."""
    rows = [suite[n]["train"][i] for i in range(each) for n in names]
    sources = [row["source"] for row in rows]
    targets = [row["target"] for row in rows]
    return model.batch(sources, targets, list(names) * each)


def operations(work):
    """Operations of the matrix products in some work."""
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        work()
    return counter.get_total_flops()


# %% [markdown]
# The contenders, each with one whole step but for the optimiser,
# which multiplies no matrices:


# %%
def forward():
    with torch.no_grad():
        t5(**given)


def limit():
    """Back to the first feed-forward part, and no further."""
    leaf = torch.zeros(t5.config.d_model, requires_grad=True)
    first = t5.encoder.block[0].layer[-1]
    hook = first.register_forward_hook(lambda m, a, out: out + leaf)
    t5(**given).loss.backward()
    hook.remove()


def step(model, batch):
    def run():
        model(batch).loss.backward()
        model.zero_grad()

    return run


# %%
METHODS = {
    "full fine-tuning": ("full", {}),
    "LoRA": ("lora", {}),
    "one shared adapter": ("shared_adapter", {}),
    "PHA": ("pha", {}),
    "PHA, no adapters in the encoder": ("pha", {"encoder": "none"}),
}
models = {
    name: build(method, backbone, eight, **more).train()
    for name, (method, more) in METHODS.items()
}
batch = batch_of(models["PHA"], eight, EACH)
given = {k: v for k, v in batch.items() if k != "task_ids"}
bare = models["PHA, no adapters in the encoder"]
with torch.no_grad():
    kept = {**batch, "encoder_states": bare.encode(batch)}

works = {"forward only": forward, "the limit": limit}
works |= {name: step(m, batch) for name, m in models.items()}
works["the same, encoder's output kept"] = step(bare, kept)

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# Full fine-tuning costs 3F. Where between F and 3F lies PHA? And
# where, if the encoder has no adapters, so that gradients need not
# enter it? And if the encoder's output is simply kept from before?
# ```

# %%
count = {name: operations(work) for name, work in works.items()}
mark = count["the limit"]
lines = ["| | in F | to the limit |", "|---|--:|--:|"]
for name, n in count.items():
    ratio = n / count["forward only"]
    lines.append(f"| {name} | {ratio:.2f} | {n / mark:.2f} |")
Markdown("\n".join(lines))

# %%
assert abs(count["full fine-tuning"] / count["forward only"] - 3) < 0.05
order = list(count)
assert mark < count["PHA"] < count["full fine-tuning"]
assert count[order[-1]] < count[order[-2]] < mark

# %% [markdown]
# *What to see:* the way through the frozen T5, there and back, is
# most of the bill, and PHA shares it with everybody who puts something
# into the encoder. What PHA adds of its own is the small step from the
# limit. LoRA must go back a little further, to the queries of the
# first layer. The large steps are in the last two rows: they do not
# make PHA cheaper, they leave out the encoder.
#
# Operations are not time. Reading and writing memory, many small
# products in place of one large, and the optimiser all take time
# that the counter does not see. So the recorded measurement asks the
# clock: `pha bench` runs every contender in every round, on T5s of
# real size with random weights (which take as long as trained ones),
# and compares inside a round only.

# %%
COMMAND = {
    "bench": "pha bench --output data/results/bench.json",
    "scale": "python tools/scale.py",
    "negatives": "python tools/negatives.py",
}


def missing(name):
    """What stands where a record will stand."""
    return Markdown(
        f"**Not recorded yet:** `{name}`. It is made by "
        f"`{COMMAND[name]}`, on a quiet machine."
    )


def recorded(name):
    """A record, or None."""
    return records.load(name) if name in records.names() else None


# %% [markdown]
# There is a record for each T5 and each shape of a batch:


# %%
def work_of(record, group):
    """Rows and tokens of each: the generator alone has its own."""
    asked = record["settings"]
    alone = group == "generating"
    names = ("rows", "target") if alone else ("batch", "source")
    return tuple(asked[name] for name in names)


def title_of(record, group):
    rows, tokens = work_of(record, group)
    return f"T5-{record['settings']['size']}, {rows} rows of {tokens}"


def benches(group):
    """Records with a group: the least work first."""
    names = [n for n in records.names() if n.split("_")[0] == "bench"]
    found = [records.load(name) for name in names]
    found = [record for record in found if group in record["groups"]]

    def order(record):
        size = list(SIZES).index(record["settings"]["size"])
        return np.prod(work_of(record, group)), size

    return sorted(found, key=order)


# %%
def ratios(group):
    """Dots with quartiles: time beside that of the mark."""
    series = {
        title_of(record, group): {
            name: (row["ratio"], *row["ratio_quartiles"])
            for name, row in record["groups"][group].items()
        }
        for record in benches(group)
    }
    if not series:
        return missing("bench")
    return plots.intervals(
        series,
        title=f"Time of {group}, to that of: {GROUPS[group]}",
        alt="A row for each contender: the median ratio of its time to "
        "the mark's in the same round, with quartiles over rounds.",
        xtitle="ratio of times (1 = the mark)",
        limits=(0, np.inf),
    )


# %%
def costs(group):
    """Ratio, milliseconds and memory of every contender, by T5."""
    parts = []
    for record in benches(group):
        asked = record["settings"]
        lines = [f"**{title_of(record, group)}** ({shape(asked)})", ""]
        lines += ["| | ratio | ms | CPU ms | peak MiB |"]
        lines += ["|---|--:|--:|--:|--:|"]
        for name, row in record["groups"][group].items():
            peak = row.get("peak_mib", "not taken")
            lines.append(
                f"| {name} | {row['ratio']:.3f} | "
                f"{row['median_ms']:.1f} | "
                f"{row['cpu_ms']:.1f} | {peak} |"
            )
        parts += ["\n".join(lines), records.source(record)]
    return Markdown("\n\n".join(parts)) if parts else missing("bench")


def shape(asked):
    return (
        f"{asked['source']} and {asked['target']} tokens, "
        f"{asked['tasks']} tasks, {asked['rounds']} rounds"
    )


# %%
ratios("training")

# %%
costs("training")

# %% [markdown]
# *What to see:* how far is PHA from the
# limit, and does its quartile bar overlap with LoRA's? Does the order
# of the contenders follow the operations counted above? Where it does
# not, something other than matrix products takes the time. Then
# compare eight rows with 32 on the same T5. Writing the adapters of
# eight tasks costs the same for eight rows as for a hundred. So with
# few rows it weighs most, and it is a large part of what is left
# where the encoder's output is kept; with more rows PHA's dot moves
# to that of the shared adapters, which nobody writes. What they cost
# over the limit, PHA cannot save. The longer the texts, the smaller
# the share of what remains without the encoder.
#
# A dot of a method with adapters *below* the limit cannot be: it
# shows the noise of few rounds on a virtual machine. The bars say how
# far to trust a dot.
#
# Our aim was 3 % over the limit. How much of that do the adapters'
# own products take, at the sizes of the record and for one token? An
# adapter's two matrices are used three times, once forward and twice
# back. Those of a frozen layer are used twice (attention's own
# products, few at these lengths, are left out):

# %%
bottom = pha_lite.PHAConfig.paper(tasks=["any"]).adapter_dim
lines = ["| T5 | encoder layer | decoder layer |", "|---|--:|--:|"]
for name in ("t5-small", "t5-base", "t5-large"):
    t5_sizes = sizes_of(name)
    own = 3 * 2 * t5_sizes.d * bottom
    attention = 4 * t5_sizes.d * t5_sizes.a
    each = [
        f"{own / (2 * (n * attention + t5_sizes.ff_weights)):.1%}"
        for n in (1, 2)  # a decoder layer attends twice
    ]
    lines.append(f"| {name} | {each[0]} | {each[1]} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* in an encoder layer of the small T5 the aim is spent
# before anything else is counted, in one of the larger T5s half of it
# or more. A decoder layer attends twice, so it spends less. Hold this
# against the ratios above: the rest is products that are slower than
# their operations say, because one side is so narrow, and sums and
# ReLUs, which are not counted at all. Narrower adapters or a wider T5
# would bring the ratio nearer to the aim.
#
# ## Once per distinct task
#
# The hypernetwork writes adapters. How many? The released code writes
# a set for every *row* of the batch; `pha_lite` one for every
# *distinct task* in it. (The page on
# [hypernetworks](hypernetworks.ipynb) builds both and compares memory
# and time.) One adapter in one layer costs
#
# ```{math}
# :label: eq-scale-write
# g = 2 \bigl( (e + e_\ell) \, h + h \, o + o \, (2 d b + d + b)
#   \bigr)
# ```
#
# operations: the trunk's two maps, with $h$ hidden and $o$ output
# units, and the four heads. That is exact, so we can assert it:

# %%
pha, config = models["PHA"], models["PHA"].config
layers = len(pha.t5.decoder.block)
d, b = pha.t5.config.d_model, config.adapter_dim
read = config.prototype_dim + config.layer_dim
hidden, out = config.hyper_hidden, config.hyper_out
g = 2 * (read * hidden + hidden * out + out * (2 * d * b + d + b))


def write(ids):
    """Operations of writing all adapters for these task ids."""
    with torch.no_grad():
        return operations(lambda: pha.trained.weights(ids))


# %%
lines = ["| rows, of 8 tasks | per task | per row |", "|--:|--:|--:|"]
for rows in (8, 32, 128, 512):
    ids = torch.arange(rows) % 8
    ours, theirs = write(Route.of(ids).tasks), write(ids)
    assert ours == 8 * layers * g and theirs == rows * layers * g
    lines.append(f"| {rows} | {ours:,} | {theirs:,} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the middle column stands still. In a whole step the
# difference is that of the two columns three times, once forward and
# twice back, and nothing else:

# %%
with per_row(pha, batch["task_ids"]):
    released = operations(step(pha, batch))
spared = 3 * (len(batch["task_ids"]) - len(eight)) * layers * g
assert released - count["PHA"] == spared
print(f"as released: {released / count['PHA']:.3f} of our step")

# %% [markdown]
# Is that a lot? In operations of a training step it is little. But
# what is written must also be kept for the backward pass and get a
# gradient of its own, and a product with another matrix for every row
# is the slowest kind. The recorded times are of writing and applying
# the decoder's adapters *alone*, forward and back, at real sizes:

# %%
ratios("generating")

# %%
costs("generating")

# %% [markdown]
# ## Keeping the encoder's output
#
# With adapters in the decoder only, nothing before the decoder is
# trained. Then the encoder gives the same states for a text in every
# epoch. Compute them once, keep them, and the step has lost its
# larger half.
#
# It must be *the same* step. A model that is given the kept states
# under `encoder_states` must have the same loss after every update,
# to the last bit:

# %%
STEPS = 5


def trained_losses(batch):
    """Losses of some steps from the same start."""
    model = copy.deepcopy(bare)
    weights = [w for _, w in model.adapter_parameters()]
    optimiser, seen = torch.optim.AdamW(weights, lr=1e-3), []
    for _ in range(STEPS):
        loss = model(batch).loss
        loss.backward()
        optimiser.step()
        optimiser.zero_grad()
        seen.append(loss.item())
    return seen


plain, from_kept = trained_losses(batch), trained_losses(kept)
assert plain == from_kept and plain[0] != plain[-1]
print("losses:", [f"{loss:.4f}" for loss in plain])

# %% [markdown]
# The price is memory, or a disk:


# %%
def gib(rows, tokens, width, size=2):
    """GiB of kept states; 2 bytes a number is bfloat16."""
    return rows * tokens * width * size / 2**30


lines = ["| T5 | 8 tasks x 1,000 rows of 128 tokens |", "|---|--:|"]
for name in ("t5-small", "t5-base", "t5-large"):
    held = gib(8 * 1000, 128, sizes_of(name).d)
    lines.append(f"| {name} | {held:.2f} GiB |")
Markdown("\n".join(lines))

# %% [markdown]
# Two conditions. There must be no dropout in the encoder while
# training, or the kept states are not what the encoder would have
# given. And `encoder="none"` is *another model*: PHA trains shared
# adapters in the encoder. What they are worth is a question of
# accuracy, to be asked on your own tasks before you save the time.
# (The paper has adapters in both stacks; keeping states is our
# choice.)
#
# ### Rows that are not there
#
# A batch is as long as its longest row, and the rest is padding that
# costs like text. Sorting rows by length would end it, but then one
# batch would be all short reviews, the next all long stories: batches
# of a few tasks, and the contrastive losses need many. So
# `TrainConfig(bucket=8)` looks at eight batches at once and lets a row
# change places with rows of *its own task* only. Which tasks stand in
# a batch stays as it was drawn:

# %%
BATCH = 48  # rows

lengths = []
for name in suite.train_tasks:
    sources = list(suite[name]["train"]["source"])[:200]
    lengths.append([len(i) for i in tokenizer(sources)["input_ids"]])


def padding(bucket, batches=48):
    """Mean share of padding in the sources, and the tasks drawn."""
    sizes, wide = [len(lot) for lot in lengths], {"lengths": lengths}
    sampler = TaskSampler(sizes, BATCH, window=bucket, **wide)
    waste, tasks = [], []
    for _ in range(batches):
        drawn = next(sampler)
        tokens = [lengths[t][row] for t, row in drawn]
        waste.append(1 - np.mean(tokens) / max(tokens))
        tasks.append(sorted(t for t, _ in drawn))
    return float(np.mean(waste)), tasks


# %%
found = {bucket: padding(bucket) for bucket in (1, 4, 16)}
assert all(tasks == found[1][1] for _, tasks in found.values())
assert found[1][0] > found[4][0] > found[16][0]
lines = ["| bucket | padding |", "|--:|--:|"]
lines += [f"| {n} | {waste:.0%} |" for n, (waste, _) in found.items()]
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* it helps, and not much here. The tasks of the suite
# differ in length more than the rows of one task do, and tasks are
# not moved. Look at your own data before you count on it.
#
# ## Decoding
#
# To *answer*, the decoder runs once for each word. The adapters of a
# task do not depend on what has been said so far. So they are written
# once, before the first word. The released code writes them in every
# layer at every word, for every row.
#
# ```{admonition} Predict first
# :class: tip
# Which of the two shares below will grow with the number of words:
# what PHA adds to the frozen T5, or what the release adds to that?
# ```

# %%
WORDS = 16


def decode(model):
    """Operations of so many words, after the encoder."""
    length = {"min_new_tokens": WORDS, "max_new_tokens": WORDS}
    model.eval()
    with torch.no_grad():
        states, _ = pha.start(batch, embed=False)
        return operations(
            lambda: model.generate(
                encoder_outputs=BaseModelOutput(states),
                attention_mask=batch["attention_mask"],
                **length,
            )
        )


# %%
rows = len(batch["task_ids"])
frozen, ours = decode(t5), decode(pha.t5)
with per_row(pha, batch["task_ids"]):
    theirs = decode(pha.t5)
applied = WORDS * rows * layers * 2 * (2 * d * b)
assert ours - frozen == applied
assert theirs - ours == WORDS * rows * layers * g
Markdown(
    f"{WORDS} words for {rows} rows of {len(eight)} tasks: the "
    f"adapters add **{ours / frozen - 1:.1%}** to the frozen T5's "
    f"operations; as released it is **{theirs / frozen - 1:.1%}**. "
    "Both grow with the words, so the shares stay. Writing all "
    f"adapters once takes {len(eight) * layers * g / frozen:.1%}. "
    "(A T5 as narrow as this one makes the shares large.)"
)

# %% [markdown]
# For a single task one can go further: `model.bake(task)` gives plain
# adapters, with no hypernetwork, no route and no prototype. They
# answer alike; what is spared is code, hardly operations. And where
# the answers are known words, nothing need be decoded: `predict`
# compares the {term}`label words <label word>` in a single pass.

# %%
ratios("decoding")

# %%
costs("decoding")

# %% [markdown]
# ## Thousands of tasks
#
# One more task is one more prototype, $e$ numbers. An adapter of its
# own would be thousands:

# %%
MANY = [8, 64, 512, 4096]

crowds = {}
for tasks in MANY:
    names = [f"task {i}" for i in range(tasks)]
    crowds[tasks] = build("pha", backbone, names).train()
single = build("adapter_per_task", backbone, ["one"])
each = single.count_parameters()["per_additional_task"]

lines = ["| tasks | PHA | an adapter each |", "|--:|--:|--:|"]
for tasks, model in crowds.items():
    total = model.count_parameters()["total"]
    lines.append(f"| {tasks:,} | {total:,} | {tasks * each:,} |")
Markdown("Trained numbers:\n\n" + "\n".join(lines))

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# The same batch of rows, from the same eight tasks, in a model of 8
# and in one of thousands. What does the step of the large model cost
# more? Think of all places where *every* prototype is read.
# ```

# %%
work = {n: operations(step(m, batch)) for n, m in crowds.items()}
few, most = MANY[0], MANY[-1]
per_task = (work[most] - work[few]) / (most - few)
assert per_task == 6 * rows * config.prototype_dim
Markdown(
    f"{most:,} tasks cost **{work[most] / work[few] - 1:.2%}** more "
    f"than {few}: {per_task:,.0f} operations a task, which is 6 x "
    f"{rows} rows x {config.prototype_dim}."
)

# %% [markdown]
# The one place is the {term}`contrastive loss` on prototypes: it
# compares every row with *all* of them, $2Be$ operations forward and
# twice that back for each. The adapters do not care, they are
# written for the tasks in the batch. What the counter does not see is
# the optimiser, which visits every prototype in every step, used or
# not: still only $e$ numbers a task.
#
# Now by the clock, with a T5 of real size. Each number of tasks is
# measured twice: with the same eight tasks in the batch, and with a
# task of its own for every row.


# %%
def crowd_figure(record):
    """Time of a step over the number of tasks in the model."""
    series = {"8 tasks in the batch": {}, "a task for each row": {}}
    for row in record["tasks"]:
        point = (row["ratio"], *row["ratio_quartiles"])
        if row["in_batch"] <= 8:
            series["8 tasks in the batch"][row["tasks"]] = point
        if row["in_batch"] == min(row["tasks"], batch_size(record)):
            series["a task for each row"][row["tasks"]] = point
    return plots.lines(
        series,
        title="A training step, to that of the fewest tasks",
        alt="Two lines over the number of tasks in the model, on a "
        "logarithmic axis: the time of a step with eight tasks in the "
        "batch, and with as many as there are rows.",
        xtitle="tasks in the model",
        ytitle="ratio of times",
        log=True,
    )


def batch_size(record):
    return record["settings"]["batch"]


# %%
def crowd_table(record):
    """Numbers, bytes and memory by the number of tasks."""
    lines = [
        "| tasks | trained numbers | file, MiB | peak, MiB | "
        "an adapter each |",
        "|--:|--:|--:|--:|--:|",
    ]
    for row in record["tasks"]:
        if "parameters" not in row:
            continue
        mib = (row["weights_bytes"] + row["config_bytes"]) / 2**20
        lines.append(
            f"| {row['tasks']:,} | {row['parameters']:,} | {mib:.2f} | "
            f"{row['peak_mib']:.0f} | {row['adapter_per_task']:,} |"
        )
    asked = record["settings"]
    said = f"T5-{asked['size']}, {asked['batch']} rows. "
    said += records.source(record)
    return Markdown("\n".join(lines) + "\n\n" + said)


# %%
scale = recorded("scale")
crowd_figure(scale) if scale else missing("scale")

# %%
crowd_table(scale) if scale else missing("scale")

# %% [markdown]
# *What to see:* does the lower line rise at
# all? The gap between the lines is the price of many *distinct* tasks
# in a batch: that many adapters are written and applied.
#
# ### What falls silent
#
# Speed is not the trouble with thousands of tasks. Look at the
# instances' loss: it pulls a row towards the other rows of *its* task
# in the batch, and a row without a partner is left out. If tasks are
# drawn evenly, a row of B is alone with probability
#
# ```{math}
# :label: eq-scale-alone
# \Pr(\text{alone}) = \left(1 - \frac{1}{T}\right)^{B - 1}
# ```

# %%
DRAWS = 500


def alone(ids):
    """Share of rows that have no partner of their task."""
    same = ids[:, None] == ids
    return (same.sum(dim=1) == 1).float().mean().item()


dice = torch.Generator().manual_seed(SEED)
lines = ["| tasks | alone, drawn | by formula |", "|--:|--:|--:|"]
for tasks in (8, 24, 64, 512, 4096):
    shares = [
        alone(torch.randint(tasks, (BATCH,), generator=dice))
        for _ in range(DRAWS)
    ]
    drawn, formula = np.mean(shares), (1 - 1 / tasks) ** (BATCH - 1)
    assert abs(drawn - formula) < 0.5 / DRAWS**0.5
    lines.append(f"| {tasks:,} | {drawn:.1%} | {formula:.1%} |")
Markdown(f"{BATCH} rows in a batch:\n\n" + "\n".join(lines))

# %% [markdown]
# With all rows alone the loss is exactly zero. Nothing fails, and
# nothing is learnt from it:

# %%
z = torch.randn(BATCH, 32, generator=dice)
assert instance_loss(z, torch.arange(BATCH)) == 0
assert instance_loss(z, torch.arange(BATCH) // 2) > 0
print("no partners, no loss")

# %% [markdown]
# So *who* stands in the batch becomes a design decision: draw K tasks
# first and then several rows of each (an exercise below does it), or
# trust to the prototypes' loss, which needs no partners. And every
# task must be *seen*: with T tasks and B rows a step, a task has a
# row in every T/B-th step on average. Steps must grow with tasks,
# whatever a single one costs.
#
# ## A million instances
#
# Retrieval compares a text with T prototypes: thousands are one small
# matrix product, and no index is needed. Comparing with *instances*
# is another matter. `model.index_instances` takes the kind of index
# that the page on the [retriever](retriever.ipynb) explains:
#
# - `"flat"`: compare with all n;
# - `"ivf"`: compare with `nlist` centres, then with the instances in
#   the `nprobe` nearest cells;
# - `"hnsw"`: walk along links, keep the best `ef_search` candidates.
#
# How many cells? With n instances in C cells of equal size, of which
# p are looked at, a query makes
#
# ```{math}
# :label: eq-scale-cells
# C + \frac{p}{C} n, \qquad
# \text{least for } C = \sqrt{p \, n}
# ```
#
# comparisons. The usual advice, and our default, is a number of cells
# near $\sqrt{n}$.

# %%
PROBES = 16

lines = ["| n | flat | IVF, 16 of √n cells | share |"]
lines.append("|--:|--:|--:|--:|")
for n in (10**4, 10**5, 10**6):
    C = round(n**0.5)
    met = C + PROBES * n / C
    best = (PROBES * n) ** 0.5
    assert best + PROBES * n / best <= met
    lines.append(f"| {n:,} | {n:,} | {met:,.0f} | {met / n:.1%} |")
Markdown("\n".join(lines))

# %% [markdown]
# An index belongs to its model. `save_pretrained` writes it beside
# the weights, `from_pretrained` brings it back, and it answers alike:

# %%
TEXTS = 60  # of each task

model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
library = {
    name: list(suite[name]["train"]["source"])[:TEXTS]
    for name in model.config.tasks
}
texts = [text for lot in library.values() for text in lot]
owners = [name for name, lot in library.items() for _ in lot]
asked = list(suite["paraphrase/museum"]["test"]["source"])[:8]
how = {"by": "instances", "reduce": "vote", "k": 2}

folder = tempfile.TemporaryDirectory()
for kind in ("flat", "ivf", "hnsw"):
    model.index_instances(texts, owners, kind)
    model.save_pretrained(folder.name)
    again = PHAModel.from_pretrained(folder.name)
    found = model.retrieve(asked, **how)
    assert again.retrieve(asked, **how) == found
    print(kind, [(name, round(share, 2)) for name, share in found])

# %% [markdown]
# ```{admonition} Trap: the space has moved on
# :class: warning
# An index holds embeddings of the day it was made. Train the
# retriever on, and queries land in a new space while the library
# stays in the old one. Every search still *works*. So the file names
# what made it, by a digest of encoder and retriever, and an index of
# another space is left aside with a warning:
# ```

# %%
with torch.no_grad():
    model.trained.retriever.second.bias += 0.1  # "training"
model.save_pretrained(folder.name)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    again = PHAModel.from_pretrained(folder.name)
assert again.instances is None
print(str(caught[-1].message).split(": ")[-1])
folder.cleanup()

# %% [markdown]
# A new *task* does not move the space. Add one, and the index stays
# valid: it depends on no prototype.
#
# The recorded measurement is about sizes that no task of ours has. So
# its instances are **synthetic**: unit vectors around random centres,
# as wide as the embedded retriever's. Recall on your data may be
# better or worse; the size of a file does not depend on the data.
# A query asks for as many neighbours as may vote in `model.retrieve`.


# %%
def search_figure(record):
    """Recall against time of a query; a menu for n."""
    fig, rows = go.Figure(), record["instances"]["rows"]
    counts = sorted({row["instances"] for row in rows})
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    for n in counts:
        for at, kind in enumerate(kinds):
            own = [
                row
                for row in rows
                if (row["instances"], row["kind"]) == (n, kind)
            ]
            fig.add_trace(search_line(own, kind, at, n == counts[0]))
    size = len(kinds)
    shown = {
        f"{n:,} instances": [
            at // size == i for at in range(size * len(counts))
        ]
        for i, n in enumerate(counts)
    }
    return finished(fig, shown)


# %%
def search_line(rows, kind, at, visible):
    """One kind of index, its efforts joined by a line."""
    ms = np.array([row["median_us"] for row in rows]) / 1000
    low, high = np.array([row["quartiles_us"] for row in rows]).T / 1000
    words = [
        " ".join(f"{k} {v}" for k, v in row["effort"].items())
        for row in rows
    ]
    return go.Scatter(
        x=[100 * row["recall_at_1"] for row in rows],
        y=ms,
        error_y={"array": high - ms, "arrayminus": ms - low},
        text=words,
        name=kind,
        visible=visible,
        mode="lines+markers",
        line={"color": plots.PALETTE[at]},
        marker={"size": 17 - 4 * at, "symbol": plots.SYMBOLS[at]},
        hovertemplate="%{text}<br>%{x:.1f} %, %{y:.3g} ms",
    )


# %%
def finished(fig, shown):
    """Axes, and a menu: what is shown by each of its entries."""
    buttons = [
        {"label": name, "method": "update", "args": [{"visible": on}]}
        for name, on in shown.items()
    ]
    place = {"x": 0, "xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    under = {"orientation": "h", "yref": "container", "y": 0, "x": 0}
    fig.update_xaxes(title_text="recall@1 (%)")
    fig.update_yaxes(title_text="ms for a query", type="log", dtick=1)
    return plots.finish(
        fig,
        "Time of a query against recall, one thread",
        "Milliseconds of a query on a logarithmic axis against recall "
        "of the nearest instance, a line for each kind of index over "
        "its efforts. A menu chooses the number of instances.",
        above=46,
        below=88,
        legend={**under, "yanchor": "bottom"},
        updatemenus=[{**place, "buttons": buttons}],
    )


# %%
def search_table(record):
    """What each index takes to make, to read and to keep."""
    lines = [
        "| instances | index | build, s | load, s | file, MiB |",
        "|--:|---|--:|--:|--:|",
    ]
    seen = {}
    for row in record["instances"]["rows"]:
        seen[row["instances"], row["kind"]] = row
    for (n, kind), row in seen.items():
        mib = row["file_bytes"] / 2**20
        lines.append(
            f"| {n:,} | {kind} | {row['build_s']:.2f} | "
            f"{row['load_s']:.2f} | {mib:.1f} |"
        )
    return Markdown("\n".join(lines) + "\n\n" + records.source(record))


# %%
search_figure(scale) if scale else missing("scale")

# %%
search_table(scale) if scale else missing("scale")

# %% [markdown]
# *What to see:* from how many instances on is
# exact search too slow *for you*? Which of the two approximate
# indexes reaches your recall first, and what does it ask for in
# building time and in memory? At ten thousand instances the answer
# may be that none of it is needed.
#
# ## Several processes
#
# One process on one GPU trains all of this book and most of what you
# will want: what PHA trains is small. Several GPUs help when the
# batch, the T5 or the validation sets are large. The same command is
# started by `accelerate`:
#
# ```
# accelerate launch --multi_gpu --num_processes 4 \
#     --num_machines 1 --mixed_precision no \
#     -m pha_lite train --tasks glue/rte,glue/cola \
#     --data-dir benchmarks --backbone google-t5/t5-base \
#     --dtype bfloat16 --output runs/base
# ```
#
# Every process holds the whole model and draws the same batches.
# Process r of P computes rows r, r + P, r + 2P and so on of each, so
# `batch_size` stays the size of the *whole* batch: changing P changes
# no setting and, up to rounding, no result. (With dropout in the T5
# every process draws masks of its own.) Two things go round in a step:
#
# 1. **The instance embeddings**, $B \times e$ numbers. The instances'
#    loss contrasts every row with all others, so each process needs
#    those of the others. It differentiates the loss of the whole
#    batch with respect to its own rows, wherever they stand in it.
#    Summed over processes that is the whole gradient.
# 2. **The gradients**, as one flat tensor. A language-model loss is a
#    mean over *tokens*, so a share weighs by its tokens; the
#    prototypes' loss is a mean over rows, so a share weighs by its
#    rows. An average over processes would get both wrong.
#
# Then all take the same optimiser step. (All of this is our choice:
# the paper does not speak of several processes.) With other numbers
# of processes a stopped run goes on as well; process 0 alone writes;
# when one process fails, the others stop with a message.
#
# ```{admonition} What was seen running, and what was not
# :class: important
# Tests run two and three processes on one machine's CPU, against one:
# losses, gradients, resuming, and failures of many kinds. Several GPUs
# and several machines have not been seen running. They use the same
# exchanges; measure before you rent.
# ```
#
# ### May negatives stay at home?
#
# The first exchange can be left out (`gather_negatives=False`). Then
# every process contrasts its rows among themselves. Fewer rows mean
# fewer negatives *and*, as above, fewer partners. One process can
# compute what P of them would:


# %%
def shares(ids, parts):
    """Share of rows alone when a batch is dealt to processes."""
    dealt = [alone(ids[r::parts]) for r in range(parts)]
    return float(np.mean(dealt))


ids = torch.randint(24, (DRAWS, BATCH), generator=dice)
lines = ["| processes | alone in their share |", "|--:|--:|"]
lonely = {P: np.mean([shares(i, P) for i in ids]) for P in (1, 2, 4, 8)}
assert sorted(lonely.values()) == list(lonely.values())
lines += [f"| {P} | {share:.0%} |" for P, share in lonely.items()]
Markdown(f"{BATCH} rows of 24 tasks:\n\n" + "\n".join(lines))


# %%
def negatives_table(record):
    """What it changes when processes keep to their own rows."""
    lines = [
        "| processes | model | loss | cosine | length | alone | "
        "score |",
        "|--:|---|--:|--:|--:|--:|--:|",
    ]
    for kind, rows in record["gradients"].items():
        for row in rows:
            P = row["processes"]
            scores = [
                100 * run["validation"]
                for run in record["runs"]
                if run["processes"] == P
            ]
            score = (
                f"{np.mean(scores):.1f} %" if kind == "fresh" else ""
            )
            lines.append(
                f"| {P} | {kind} | {row['loss']:.2f} | "
                f"{row['cosine']:.2f} | {row['length']:.2f} | "
                f"{row['lonely']:.0%} | {score} |"
            )
    return Markdown("\n".join(lines) + "\n\n" + records.source(record))


# %%
negatives = recorded("negatives")
negatives_table(negatives) if negatives else missing("negatives")

# %% [markdown]
# *Cosine* and *length* compare the retriever's gradient with that of
# the whole batch, in a fresh and in a trained model; *score* is the
# mean validation accuracy of whole trainings from a fresh start. Is
# the direction of the gradient still the same with eight processes?
# Does the score follow? Our default gathers, since that makes the
# number of processes a matter of speed alone.
#
# ## Before you rent
#
# Operations can be counted before anything runs. The page on [the
# paper's setting](paper_setting.ipynb) does so for whole experiments
# (`pha reproduce --dry-run`), with memory and a lower bound of the
# time. When memory runs out before time does,
# `model.gradient_checkpointing_enable()` gives up most of what is kept
# for the backward pass, for one more forward pass. A free Colab
# notebook has one GPU: start with T5-small. On a cluster, a job that
# is cut off by its time limit is simply given again: the run goes on
# from its last checkpoint.
#
# ## If there were thousands of tasks
#
# What we would do, from what this page counts:
#
# - **Batches by task.** K tasks, several rows of each, so that
#   partners exist and few adapters are written.
# - **Prototypes in one table.** It stays small; nothing need be
#   sharded. A new task is a row, and the others stay as they are, as
#   on the page about [streams](stream.ipynb).
# - **Sources kept.** If tasks share inputs, or epochs are many, a
#   decoder-only PHA on kept states takes a fraction of the time. Ask
#   first what that costs in accuracy.
# - **Search among prototypes, exactly.** An index is for instances,
#   and only from the number on where the clock says so.
# - **Answers by task or mixed**, in one batch, with adapters written
#   once. Bake those few tasks that get most of the questions.
#
# Whether one hypernetwork still writes *good* adapters for thousands
# of tasks is not answered here. Nothing on this page is about
# accuracy.
#
# ## What could go wrong
#
# - **Operations for time.** They agree where large products rule. On
#   a small T5 the many small things rule instead.
# - **One machine, one thread.** Ratios travel better than
#   milliseconds, but a GPU has other ratios.
# - **Synthetic instances.** Clouds around random centres are no
#   texts. Recall depends on how the points lie.
# - **A mark for a target.** The limit is that of methods which train
#   inside the encoder. Prompts at its input, or a decoder-only
#   method, have others.
#
# ## Exercises

# %% [markdown]
# ````{exercise} Rows in company
# :label: scale-company
#
# Write `draw(tasks, K, each)`: ids of a batch of K distinct tasks
# with `each` rows of every one. Show that no row is alone, and count
# how many adapters are written, against an even draw of as many rows.
# ````
#
# ````{solution} scale-company
# :class: dropdown
#
# ```python
# def draw(tasks, K, each):
#     chosen = torch.randperm(tasks, generator=dice)[:K]
#     return chosen.repeat_interleave(each)
#
#
# company = draw(4096, 12, 4)
# even = torch.randint(4096, (48,), generator=dice)
# assert alone(company) == 0
# for name, ids in (("K x each", company), ("even", even)):
#     written = len(Route.of(ids).tasks)
#     print(f"{name:9s} alone {alone(ids):.0%}, {written} written")
# ```
#
# Four rows of each of twelve tasks: every row has three partners, and
# a quarter of the adapters is written. The price: a batch sees fewer
# tasks, so its gradient says less about the others.
# ````

# %% [markdown]
# ````{exercise} When do the prototypes weigh?
# :label: scale-weigh
#
# Each task adds $6Be$ operations to a step. From how many tasks on
# are these a tenth of the step here? Would it be more or fewer with
# T5-base, and why?
# ````
#
# ````{solution} scale-weigh
# :class: dropdown
#
# ```python
# tenth = 0.1 * count["PHA"] / (6 * rows * config.prototype_dim)
# print(f"here: from {tenth:,.0f} tasks on")
# from pha_lite import PHAConfig
# from pha_lite.estimate import cost
#
# wide = PHAConfig.paper(tasks=["one", "two"])
# base = cost(sizes_of("t5-base"), wide, "pha", 128)
# tenth = 0.1 * base.step / (6 * 128 * wide.prototype_dim)
# print(f"T5-base: from {tenth:,.0f} tasks on")
# ```
#
# More. The step grows with the T5, in width and in depth; a
# comparison with a prototype grows with $e$ alone.
# ````

# %% [markdown]
# ````{exercise} The best number of cells
# :label: scale-cells
#
# Plot or print the comparisons of {eq}`eq-scale-cells` for a million
# instances and 16 probes, with 250 to 16,000 cells. How much is lost
# by taking $\sqrt n$ cells in place of the best number? Which cost
# does the formula leave out that grows with the cells?
# ````
#
# ````{solution} scale-cells
# :class: dropdown
#
# ```python
# n, p = 10**6, 16
# for C in (250, 500, 1000, 2000, 4000, 8000, 16000):
#     print(f"{C:6,} cells: {C + p * n / C:10,.0f} comparisons")
# best = (p * n) ** 0.5
# lost = (1000 + p * n / 1000) / (best + p * n / best)
# print(f"sqrt(n): {lost:.1f} times the least, at {best:,.0f} cells")
# ```
#
# More cells are fewer comparisons here, but k-means takes longer with
# each of them, and 16 of 4,000 cells hold fewer of the true
# neighbours than 16 of 1,000. Recall must be measured.
# ````

# %% [markdown]
# ## Summary
#
# - The frozen T5's own forward and backward pass is most of a step.
#   Nobody who trains inside the encoder avoids it.
# - Written once per distinct task, adapters cost the same however
#   large the batch; per row, they grow with it.
# - Without adapters in the encoder its output can be kept. That is a
#   cheaper step of another model.
# - Decoding needs the hypernetwork once, before the first word.
# - A task adds a prototype to the file and $6Be$ operations to the
#   step. What fails first is not speed but company: rows without a
#   partner.
# - An index of instances belongs to an encoder and a retriever. It is
#   saved with them and left aside without them.
# - Several processes share one batch. They exchange embeddings and
#   gradients, and take the same step.
#
# **Check yourself.** Why is a training step as released hardly dearer
# in operations, and still worth mending? Which of the index, the
# adapters and the prototypes are valid after one more task was added?
# A colleague trains 2,000 tasks with 32 rows a step and finds that the
# instances' loss is zero. What do you ask?
#
# **In the code.** `pha_lite/bench.py` has the contenders and
# `pha_lite/timing.py` the rounds; `pha_lite/nearest.py` the kinds of
# index; `pha_lite/distributed.py` the exchanges;
# `pha_lite/estimate.py` counts what has not run; `tools/scale.py` and
# `tools/negatives.py` make this page's records.
#
# **Next.** The reference: every equation of the paper beside the code,
# in [the map to the paper](../paper_map).

# %%
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
