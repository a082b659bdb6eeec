# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: []
# ---

# %% [markdown]
# # The paper's setting
#
# All experiments so far ran on a small T5 and generated tasks, so
# that you can repeat them at home. The paper ran T5-base on GLUE and
# more. This page is the bridge, and asks one question: **what would
# it take to repeat the paper's experiments, and when may one put a
# number beside the paper's?**
#
# **After this page you can**
#
# - name the settings of the paper that are known, and those that are
#   not;
# - count the operations and the memory of a training step from the
#   sizes of a T5, and hold the count against PyTorch's own counter;
# - plan a run: how long on which device, how much memory, what to
#   split among machines;
# - run it, cut it off, and go on;
# - read a table of other people's numbers with care.
#
# **You need** [Adapters](adapters.ipynb) and
# [Hypernetworks](hypernetworks.ipynb) for what is counted.
#
# ```{important}
# Nobody has run these experiments at the paper's size for this book.
# No score on this page is ours. What was run is said at the end of
# the section on running.
# ```

# %%
import os
import platform
import time

import pha_lite
import plotly.graph_objects as go
import torch
from IPython.display import Markdown
from pha_lite import PHAConfig, load_backbone, plots, records
from pha_lite.estimate import cost, sizes_of
from pha_lite.reproduce import EXPERIMENTS, dry_run, plan
from pha_lite.reproduce.known import NOT_KNOWN, PARAMETERS, beside
from pha_lite.train import TrainConfig
from pha_lite.trained import Trained
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

SEED = 0
torch.manual_seed(SEED)

# %%
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, torch {torch.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(records.run_time("paper_setting"))

# %% [markdown]
# ## The experiments as configurations
#
# The paper {cite}`zhao2023pha` trains on many tasks at once, from all
# their data or from a few hundred rows, and then meets new tasks.
# `pha reproduce NAME` runs each of these. Every entry says what rests
# on what: the paper, the released code, or our choice where neither
# says.

# %%
lines = ["| name | about | tasks | rows per task |", "|---" * 4 + "|"]
for name, e in EXPERIMENTS.items():
    rows = ", ".join("all" if n is None else str(n) for n in e.sizes)
    lines.append(f"| `{name}` | {e.about} | {len(e.tasks)} | {rows} |")
Markdown("```{table}\n:class: roomy\n\n" + "\n".join(lines) + "\n```")

# %% [markdown]
# The sizes are those of the released configuration. Beside them, what
# the book uses on its small T5. Where the two differ in more than
# size, the [ablations](ablations.ipynb) or the
# [audit](released_code.ipynb) say why.

# %%
FIELDS = [
    "adapter_dim",
    "prototype_dim",
    "hyper_hidden",
    "temperature",
    "instance_weight",
    "prototype_weight",
    "dropout",
    "label_smoothing",
    "contrast_to_encoder",
    "max_source_length",
]
paper, tiny = PHAConfig.paper(), PHAConfig.tiny()
lines = ["| setting | released | the book |", "|---|---|---|"]
for field in FIELDS:
    one, two = getattr(paper, field), getattr(tiny, field)
    lines.append(f"| `{field}` | {one} | {two} |")
one, two = TrainConfig.paper(), TrainConfig()
for field in ("steps", "batch_size", "lr", "sampling_temperature"):
    values = f"{getattr(one, field):g} | {getattr(two, field):g}"
    lines.append(f"| `{field}` | {values} |")
Markdown("\n".join(lines))

# %% [markdown]
# ## How many numbers are trained?
#
# T5-base has a width of $d = 768$ and twelve layers in each stack.
# The trained part can be built without any T5, from these sizes
# alone; on the "meta" device it has shapes and no numbers.
#
# ```{admonition} Predict first
# :class: tip
# Eight tasks share one hypernetwork. Is the number of trained
# parameters *per task* nearer to ten thousand, to a million, or to
# ten million?
# ```

# %%
t5 = sizes_of("google-t5/t5-base")
glue = list(EXPERIMENTS["glue"].tasks)
config = PHAConfig.paper(tasks=glue)
with torch.device("meta"):
    trained = Trained(config, t5.d, (t5.encoder, t5.decoder))

lines = ["| part | numbers |", "|---|--:|"]
for name, part in trained.named_children():
    count = sum(w.numel() for w in part.parameters())
    lines.append(f"| {name} | {count:,} |")
total = sum(w.numel() for w in trained.parameters())
lines.append(f"| **all** | {total:,} |")
lines.append(f"| per task, of {len(glue)} | {total // len(glue):,} |")
for who, (count, remark) in PARAMETERS.items():
    lines.append(f"| {who}: per task ({remark}) | {count:,} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the two figures from outside do not agree with each
# other. A total that is divided by the number of tasks says little
# about a method that shares: with eighty tasks it would be a tenth.
# What one *more* task costs is one row of the table of prototypes:

# %%
more = PHAConfig.paper(tasks=[*glue, "one more"])
with torch.device("meta"):
    larger = Trained(more, t5.d, (t5.encoder, t5.decoder))
extra = sum(w.numel() for w in larger.parameters()) - total
assert extra == config.prototype_dim
print(f"one more task: {extra} numbers")

# %% [markdown]
# ## What a step costs
#
# A matrix product of shapes $(m, k)$ and $(k, n)$ takes $mkn$
# multiplications and as many additions. All else in a T5 is small
# beside its products. For a row of $S$ tokens an encoder layer takes
#
# ```{math}
# :label: eq-paper-layer
# 2 S \left(4 d a + 2 d f\right) + 4 a S^2
# ```
#
# operations: four maps between the width $d$ and the heads' common
# width $a$, two of the feed-forward network with its inner width
# $f$, and for each pair of tokens one product for the score and one
# for the value. The lines:


# %%
def encoder_forward(S, d, a, f, layers):
    """Operations of the encoder for one row of S tokens."""
    maps = 2 * S * (4 * d * a + 2 * d * f)
    pairs = 4 * a * S**2
    return layers * (maps + pairs)


# %% [markdown]
# PyTorch can count, too. It watches a real forward pass of the
# book's small T5 and adds up every product. (It cannot look into
# fused attention, so that is spelled out here.)

# %%
small, tokenizer = load_backbone("tiny")
c = small.config
S = 40
ids = torch.full((1, S), 5)
spelled_out = sdpa_kernel(SDPBackend.MATH)
counter = FlopCounterMode(display=False)
with spelled_out, torch.no_grad(), counter:
    small.encoder(input_ids=ids, attention_mask=torch.ones_like(ids))
theirs = counter.get_total_flops()
gate = 1.5 if c.is_gated_act else 1  # a gated network has three maps
ours = encoder_forward(
    S, c.d_model, c.num_heads * c.d_kv, int(c.d_ff * gate), c.num_layers
)
assert ours == theirs
print(f"ours {ours:,}, PyTorch's {theirs:,}")

# %% [markdown]
# In the backward pass every product of the forward pass has a
# partner that carries the gradient to its input, and a second one
# for the gradient of its weights. **Frozen weights need no second
# one.** So training a small part of a frozen T5 takes about two
# thirds of full fine-tuning, however small the part is: a gradient
# must travel back through all layers above the lowest adapter.
#
# ```{admonition} Predict first
# :class: tip
# PHA on T5-base, 128 rows of 128 tokens. How much cheaper is its
# step than that of full fine-tuning, and than that of a bias here
# and there (BitFit), which trains far fewer numbers?
# ```

# %%
METHODS = {
    "pha": "PHA",
    "shared_adapter": "shared adapter",
    "lora": "LoRA",
    "bitfit": "BitFit",
    "prompt": "prompt tuning",
    "full": "full fine-tuning",
}
BATCH = 128


def costs_of(method, batch=BATCH, width=4):
    """Of a training step on T5-base."""
    form = method if method in ("pha", "shared_adapter") else "pha"
    made = PHAConfig.baseline(form, config, tasks=glue)
    return cost(t5, made, method, batch, width=width)


# %%
full = costs_of("full").step
lines = ["| method | 10¹² operations a step | of full | trained |"]
lines.append("|---|--:|--:|--:|")
for method, name in METHODS.items():
    found = costs_of(method)
    lines.append(
        f"| {name} | {found.step / 1e12:.1f} | {found.step / full:.2f} "
        f"| {found.trained:,} |"
    )
Markdown("\n".join(lines) + f"\n\nT5-base, {BATCH} rows. Estimates.")

# %% [markdown]
# *What to see:* the column of trained numbers spans orders of
# magnitude, the column of operations hardly moves. Whoever promises
# speed from fewer trained numbers has to say where it comes from.
# With an encoder that has no adapters, the gradient need not enter
# it at all:

# %%
decoder_only = PHAConfig.paper(tasks=glue, encoder="none")
bare = cost(t5, decoder_only, "pha", BATCH).step
print(f"no adapters in the encoder: {bare / full:.2f} of full")

# %% [markdown]
# ## What must fit into memory
#
# Three things: the frozen weights, five copies of each trained
# number (value, gradient, two moments of AdamW, the best value so
# far), and what autograd keeps of each row for the backward pass.
# The last grows with the batch and is by far the largest.

# %%
SIZES = [1, 4, 16, 32, 64, 128]
GPUS = {"16 GiB": 16, "80 GiB": 80}
fig = go.Figure()
for i, method in enumerate(("pha", "lora", "full")):
    memory = [costs_of(method, n).memory / 2**30 for n in SIZES]
    fig.add_scatter(
        x=SIZES,
        y=memory,
        name=METHODS[method],
        mode="lines+markers",
        line_color=plots.PALETTE[i],
        marker_symbol=plots.SYMBOLS[i],
        hovertemplate="%{x} rows: %{y:.1f} GiB",
    )
for label, size in GPUS.items():
    fig.add_scatter(
        x=[SIZES[0], SIZES[-1]],
        y=[size, size],
        name=f"a GPU with {label}",
        mode="lines",
        line={"dash": "dot", "color": plots.GREY},
    )

# %%
fig.update_xaxes(type="log", tickvals=SIZES, title="rows per step")
fig.update_yaxes(type="log", title="memory (GiB), estimated")
fig.update_yaxes(tickvals=[1, 2, 4, 8, 16, 32, 64])
plots.finish(
    fig,
    title="Memory of a training step on T5-base",
    alt="Three rising curves of memory over rows per step on "
    "logarithmic axes, for PHA, LoRA and full fine-tuning, with "
    "dotted lines at 16 and 80 GiB.",
    height=520,
    below=130,
    legend=plots.LEGEND_BELOW,
)

# %% [markdown]
# *What to see:* at the left the curves differ by what is trained, at
# the right by what is kept of each row. `--set checkpointing=true`
# keeps only the borders of the layers and computes the rest again,
# which costs about another forward pass. The rows are counted at
# full length: real batches are shorter, and `--set bucket=16` lets
# rows change places with others of their task so that less of a batch
# is padding.
#
# ## A plan before a run
#
# `dry_run` counts all cells of an experiment without running one.
# The speed of a device in training is a fraction of what its maker
# prints; here are three round speeds. (Without a speed it measures
# this machine's.)
#
# ```{admonition} Predict first
# :class: tip
# Ten thousand steps of 128 rows on T5-base. At $10^{13}$ operations
# per second, is that hours or days?
# ```

# %%
SPEEDS = (1, 10, 100)  # 10^12 operations per second
lines = [
    "| experiment | trainings | new tasks | "
    + " | ".join(f"hours at {s}" for s in SPEEDS)
    + " | memory |"
]
lines.append("|---" * (4 + len(SPEEDS)) + "|")
for name in EXPERIMENTS:
    made = plan(name)
    found = dry_run(made, tflops=SPEEDS[0])
    joint = [c for c in made.cells.values() if c["cell"] == "joint"]
    hours = [f"{found['hours'] * SPEEDS[0] / s:,.1f}" for s in SPEEDS]
    lines.append(
        f"| `{name}` | {len(joint)} | {len(made.cells) - len(joint)} | "
        f"{' | '.join(hours)} | {found['memory_gib']:.0f} GiB |"
    )
Markdown(
    "\n".join(lines)
    + "\n\nPHA, one seed, float32; speeds in $10^{12}$ operations per "
    f"second, as reached in training. *How:* {found['estimate']}."
)

# %% [markdown]
# *What to see:* one seed of one method. Multiply by the methods you
# compare, by their learning rates, and by the seeds. That product is
# why the book's evidence comes from a small world.
#
# ## Running it
#
# On a machine with a network and a GPU:
#
# ```text
# pip install pha-lite
# pha reproduce glue --dry-run --tflops 50
# pha reproduce glue --dtype bfloat16 --output runs/glue
# ```
#
# The second command costs nothing and says what will happen. The
# third trains; given again, it goes on where it was cut off, in the
# middle of a training, too. It checks that all data can be read
# *before* it begins. On Colab a disconnection costs what was done
# since the last validation; put `--output` on a mounted drive.
#
# On several GPUs, the same with
# `accelerate launch --num_processes 4 -m pha_lite reproduce ...`.
# Each process takes its share of every batch, so losses and weights
# are those of one process.
#
# On a cluster, cells are the unit: `--only '*/100/*'` takes those
# whose name fits, so that each machine gets a part. `--dry-run` lists
# the names. Results of several folders are tables with the same
# columns (`results.csv`) that can be joined.
#
# **What was run for this version:** the test suite runs `glue`,
# `lowdata` and `fewshot` for a few steps each on small T5s, also cut
# off and continued, and `lowdata` on a random T5-small with T5's real
# tokenizer on real files of GLUE. That shows that the path works. It
# says nothing about scores.
#
# ## Beside the paper's numbers
#
# These figures are known to us, each from where it says. None was
# measured here.

# %%
lines = ["| | from | score | source | remark |", "|---" * 5 + "|"]
for k in [*beside("glue"), *beside("lowdata")]:
    value = f"{k.value:.1f}"
    lines.append(
        f"| {k.what} | {k.origin} | {value} | {k.source} | {k.remark} |"
    )
Markdown(
    "```{table}\n:class: roomy\n\n" + "\n".join(lines) + "\n```\n\n"
    "GLUE, in per cent. The paper's tables for SuperGLUE, MRQA and few "
    f"examples, and its figures per task: {NOT_KNOWN}."
)

# %%
scores = {
    k.what: (k.value,) * 3
    for k in sorted(beside("glue"), key=lambda k: -k.value)
}
fig = plots.intervals(
    {"as others report it": scores},
    title="GLUE averages on T5-base, as reported",
    alt="A dot for each of fourteen methods, between 82 and 86 per "
    "cent; no intervals, as none are known.",
    xtitle="GLUE average (%)",
)
fig.update_xaxes(range=[81, 87])

# %% [markdown]
# *What to see:* the whole field lies within four points, and there
# is not one interval. Some of these averages are over eight numbers,
# some over eleven; some are of one T5 for all tasks, some of a T5 per
# task. To put a number of ours beside them, all of this must agree:
#
# - **the checkpoint**: T5 v1.0 was trained on GLUE and SuperGLUE
#   among others {cite}`raffel2020t5`, T5 v1.1 was not. With v1.0 no
#   "100 rows" is really a hundred rows;
# - **the split**: GLUE's test labels are not public, so half of the
#   held-out rows, or rows taken from training, serve as a test. Which
#   half, and is it the same as theirs?
# - **the metric**: accuracy, F1, or their mean, for MRPC and QQP;
# - **the choice**: was the best step, or the best rate, chosen on the
#   rows that are reported?
#
# `pha reproduce` writes all of it into `results.json` and marks every
# departure from the paper's setting at the head of its table.

# %% [markdown]
# ## What could go wrong
#
# - **A run that fits is not a run that is right.** Look at the loss
#   of the first hundred steps and at one decoded batch before you
#   leave it alone.
# - **An estimate is a lower bound.** Decoding, validation on long
#   texts and a slow disk come on top.
# - **bfloat16 is not free.** Here only the frozen weights are in it;
#   what is trained stays in float32. Rates and averages below a
#   thousandth would be lost otherwise.
# - **A sum over target tokens** weighs long answers more, and makes
#   the rate depend on their length. The released low-data runs do so.
# - **One seed.** On RTE or CB a point is less than three test rows.

# %% [markdown]
# ## Exercises
#
# ````{exercise} Longer texts
# :label: paper-length
#
# BoolQ's passages are long. How do operations and memory of a step
# grow if a source has 512 tokens in place of 128? Which of the two
# grows faster than the length, and why?
# ````
#
# ````{solution} paper-length
# :class: dropdown
#
# ```python
# for length in (128, 256, 512):
#     made = PHAConfig.paper(tasks=glue, max_source_length=length)
#     found = cost(t5, made, "pha", 32)
#     print(length, f"{found.step:.2e}", f"{found.memory / 2**30:.1f}")
# ```
#
# Both have a part that grows with the square of the length, from the
# pairs of tokens. In the operations it is small at these lengths. In
# the memory it is not: every head keeps a score for every pair.
# ````

# %% [markdown]
# ````{exercise} Smaller adapters, cheaper steps?
# :label: paper-width
#
# Halve the width of the adapters again and again. What happens to
# the trained numbers, and what to the operations of a step? At which
# width do the adapters' own products become a tenth of the step?
# ````
#
# ````{solution} paper-width
# :class: dropdown
#
# ```python
# base = cost(t5, PHAConfig.paper(tasks=glue, adapter_dim=1), "pha", 128)
# for width in (8, 16, 32, 64, 128, 256):
#     made = PHAConfig.paper(tasks=glue, adapter_dim=width)
#     found = cost(t5, made, "pha", 128)
#     extra = 1 - base.step / found.step
#     print(width, f"{found.trained:,}", f"{extra:.3f}")
# ```
#
# Trained numbers follow the width; the step does not. The frozen T5
# is what costs.
# ````

# %% [markdown]
# ````{exercise} A plan of your own
# :label: paper-plan
#
# You have one GPU with 16 GiB for a weekend. It reaches $2 \cdot
# 10^{13}$ operations per second in training. Which of the paper's
# experiments, with how many seeds and which rivals, can you answer
# honestly? Write the commands.
# ````
#
# ````{solution} paper-plan
# :class: dropdown
#
# ```python
# for only in ("*/100/*", "*/500/*", "*/1000/*"):
#     made = plan(
#         "lowdata",
#         methods=("pha", "shared_adapter", "adapter_per_task"),
#         seeds=3,
#         dtype="bfloat16",
#         only=only,
#     )
#     found = dry_run(made, tflops=20)
#     print(only, len(made.cells), round(found["hours"], 1), "hours")
# ```
#
# A weekend has about sixty hours. Fewer steps
# (`--steps 1000`) are a departure from the paper, to be said at once,
# but they leave room for what a claim needs: rivals, seeds, and a
# rate for each method. A comparison of your own methods among
# themselves is worth more than one number beside the paper's.
# ````

# %% [markdown]
# ## Summary
#
# - A setting is a list of choices; some are in the paper, some only
#   in the release, some nowhere. Each of ours says which.
# - Operations and memory can be counted from sizes, exactly where it
#   matters. Fewer trained numbers do not make a step cheaper; frozen
#   weights save a third, an encoder without adapters much more.
# - Plan, then run; let cells be small enough to lose.
# - A number may stand beside the paper's when checkpoint, split,
#   metric and choice agree. Else compare methods, not papers.
#
# **Check yourself.** Why does BitFit save no more time than LoRA?
# What is wrong with "parameters per task" as a measure for a
# hypernetwork? What would you ask before you believe a GLUE average?
#
# **In the code.** `pha_lite/reproduce/` has protocol, plan, estimate
# and tables; `pha_lite/estimate.py` the counts, which
# `tests/test_estimate.py` holds against PyTorch's.
#
# **Next.** [Scale and speed](scale_and_speed.ipynb): where the time
# goes, and what thousands of tasks ask for.

# %%
spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
