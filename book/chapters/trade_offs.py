# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: [faiss-cpu]
#     quick: {ROUNDS: 2, STEPS: 1, MANY: [1, 4], TIMED: [pha, prompt]}
# ---

# %% [markdown]
# # Trade-offs
#
# A method is never just accurate. Somebody stores what was trained,
# somebody waits for the training, and somebody pays for each answer.
# This page asks one question: **what does a method's accuracy cost,
# in numbers, bytes and time, and which methods are worth their
# price?**
#
# **After this page you can**
#
# - count what each method trains and stores, and where the count of
#   PHA falls below that of one adapter per task;
# - time methods against each other on a machine that is not quiet;
# - say why a method with fewer trained numbers need not be faster;
# - read a Pareto front, and say how sure you are of it.
#
# **You need** [Adapters](adapters.ipynb) and
# [Hypernetworks](hypernetworks.ipynb) for the counts, and
# [Sample efficiency](sample_efficiency.ipynb) for the accuracies.

# %%
import tempfile
import time
from pathlib import Path

import numpy as np
import pha_lite
import plotly.graph_objects as go
import torch
from IPython.display import Markdown
from pha_lite import (
    PHAConfig,
    load_backbone,
    load_suite,
    plots,
    records,
)
from pha_lite.baselines import build
from pha_lite.batching import collate, encode
from pha_lite.trained import Trained

# %%
SEED = 0
torch.manual_seed(SEED)
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, torch {torch.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(records.run_time("trade_offs"))

# %% [markdown]
# ## What is stored
#
# An adapter of width $b$ in a layer of width $d$ has two matrices and
# two biases. With $L$ layers in encoder and decoder together, a task
# with adapters of its own stores
#
# ```{math}
# :label: eq-trade-adapter
#
# A = L\,(2db + b + d)
# ```
#
# numbers, so $T$ tasks store $TA$. PHA stores a part that all tasks
# share, $H$ numbers: the hypernetwork, the encoder's adapters and the
# retriever. For each task it stores a prototype of $e$ numbers:
#
# ```{math}
# :label: eq-trade-pha
#
# N_{\mathrm{PHA}}(T) = H + Te .
# ```
#
# The shared part is large, the part of a task is tiny. So there is a
# number of tasks from which PHA stores less:
#
# ```{math}
# :label: eq-trade-crossing
#
# T^* = \frac{H}{A - e} .
# ```


# %%
def adapter_numbers(layers, d, b):
    """A: what a task with adapters of its own stores."""
    return layers * (2 * d * b + b + d)


def crossing(shared, own, e):
    """T*: from how many tasks on PHA stores less."""
    return shared / (own - e)


t5, tokenizer = backbone = load_backbone("tiny")
d, layers = (
    t5.config.d_model,
    (len(t5.encoder.block), len(t5.decoder.block)),
)
tiny = PHAConfig.tiny(tasks=["one"])
each = adapter_numbers(sum(layers), d, tiny.adapter_dim)
counts = build("adapter_per_task", backbone, ["one"]).count_parameters()
assert each == counts["per_additional_task"]

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# From how many tasks on does PHA store less than one adapter per
# task? The paper tunes eight tasks at once: is that on the cheap side
# for PHA? And what would a *ninth* task cost with each?
# ```
#
# Counting PHA needs no T5, only its width and its layers: all that is
# trained lives in one module. So the sizes of T5-base can be counted
# here as well, with the widths of the released code.


# %%
def pha_numbers(config, d, layers):
    """(H, e): what all tasks share, and what each adds."""
    part = Trained(config, d, layers)
    total = sum(weight.numel() for weight in part.parameters())
    return total - config.prototype_dim, config.prototype_dim


# %%
widths = {
    "the T5 of this book": (tiny, d, layers),
    "T5-base, the release's widths": (
        PHAConfig.paper(tasks=["one"]), 768, (12, 12),
    ),
}  # fmt: skip
found = {}
for name, (config, width, depth) in widths.items():
    shared, e = pha_numbers(config, width, depth)
    own = adapter_numbers(sum(depth), width, config.adapter_dim)
    found[name] = shared, e, own, crossing(shared, own, e)
model = build("pha", backbone, ["one"])
assert (
    sum(found["the T5 of this book"][:2])
    == model.count_parameters()["total"]
)

# %%
lines = [
    "| | shared H | prototype e | adapters A | T* |",
    "|---|" + "--:|" * 4,
]
for name, (shared, e, own, many) in found.items():
    lines.append(
        f"| {name} | {shared:,} | {e} | {own:,} | {many:.1f} |"
    )
eight = 8 * own / (shared + 8 * e)  # at the last line's sizes
Markdown(
    "\n".join(lines) + "\n\nEight tasks at T5-base: adapters take "
    f"**{eight:.1f}** times as many numbers as PHA. A ninth takes "
    f"{own:,} with adapters and "
    f"{e} with PHA."
)

# %%
MANY = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]

fig = go.Figure()
names = {"PHA": 0, "adapter per task": 1, "shared adapter": 2}
choices = {}
for size, (shared, e, own, _) in found.items():
    rows = [
        [shared + n * e for n in MANY],
        [n * own for n in MANY],
        [own for _ in MANY],
    ]
    choices[size.split(",")[0]] = ({"y": rows}, {})
for name, i in names.items():
    fig.add_scatter(
        x=MANY,
        y=choices["the T5 of this book"][0]["y"][i],
        name=name,
        mode="lines+markers",
        line={"color": plots.PALETTE[i]},
        marker={"symbol": plots.SYMBOLS[i], "size": 8},
        hovertemplate="%{x} tasks: %{y:,} numbers",
    )


# %%
def buttons(fig, choices):
    """Buttons over a figure: other numbers, and another axis."""
    entries = [
        {"label": label, "method": "update", "args": list(changes)}
        for label, changes in choices.items()
    ]
    menu = {"type": "buttons", "direction": "right", "x": 0}
    menu |= {"xanchor": "left", "y": 1.02, "yanchor": "bottom"}
    fig.update_layout(updatemenus=[menu | {"buttons": entries}])


# %%
buttons(fig, choices)
plots.finish(
    fig,
    "Numbers stored, by number of tasks",
    "PHA's count hardly rises with the number of tasks, that of one "
    "adapter per task rises in proportion and crosses it; buttons "
    "choose the small T5 or T5-base.",
    height=480,
    above=52,
    below=100,
    legend=plots.LEGEND_BELOW,
)
ticks = {"tickvals": MANY[::2], "ticktext": MANY[::2]}
fig.update_xaxes(title_text="tasks", type="log", **ticks)
fig.update_yaxes(
    title_text="numbers stored", type="log", tickformat="~s"
)
fig

# %% [markdown]
# *What to see:* the lines cross at $T^*$. To the left of it the
# hypernetwork is the *more* expensive way to have adapters: it holds
# matrices that write adapters, and those are larger than a few
# adapters themselves. To the right one more task is almost free. (A
# counts adapters in encoder and decoder; PHA writes those of the
# decoder and shares those of the encoder, which are in $H$.) A
# shared adapter is cheapest everywhere; what it cannot do is the
# subject of the other pages.
#
# On disk a file also holds names, the configuration and a checksum.
# What does one more task really add?


# %%
def saved_bytes(model):
    """Size of all files that save_pretrained writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return sum(p.stat().st_size for p in Path(folder).iterdir())


lines = [
    "| method | bytes for a new task | of these, numbers |",
    "|---|--:|--:|",
]
few = {"pha": "PHA", "adapter_per_task": "adapter per task"}
for method, name in (few | {"prompt": "prompt tuning"}).items():
    small, large = (
        build(method, backbone, [f"task {i:02}" for i in range(n)])
        for n in (12, 13)
    )
    more = saved_bytes(large) - saved_bytes(small)
    each = 4 * int(large.count_parameters()["per_additional_task"])
    lines.append(f"| {name} | {more:,} | {each:,} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* four bytes for each number. The rest is the new
# task's name in the files.
#
# ## What a step costs
#
# ```{admonition} Predict first
# :class: tip
# Prompt tuning trains far fewer numbers than PHA. Is its training
# step faster? Full fine-tuning trains far more. How much slower is
# its step?
# ```
#
# Timing has a trap. Machines slow down for a while, for reasons of
# their own, and whoever was running then looks slow. So we go in
# *rounds*: in each round every method runs once, and within a round
# we compare. What slows a round slows all of them. The median over
# rounds ignores the odd one out.

# %%
LEFT_OUT = ("full_per_task", "nearest")
NAMES = {
    method: name
    for method, name in plots.METHODS.items()
    if method not in LEFT_OUT
}

# %%
ROUNDS = 8
STEPS = 3
TIMED = [
    "shared_adapter",
    "pha",
    "adapter_per_task",
    "lora",
    "prompt",
    "full",
]

suite = load_suite(seed=SEED)
record = records.load("costs")
rules = record["settings"]["rules"]
tasks = [t for t in suite.train_tasks if plots.rule(t) in rules]


# %%
def stepper(method):
    """A training step of a method, on a fixed batch of mixed tasks."""
    model = build(method, backbone, tasks)
    rows = [encode(model, suite[t].sample(2)["train"]) for t in tasks]
    owner = [i for i, some in enumerate(rows) for _ in some]
    batch = collate(model, [r for some in rows for r in some], owner)
    weights = [weight for _, weight in model.adapter_parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=True)
    model.train()

    def step():
        model(batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


# %%
def in_rounds(works, rounds, times):
    """Name -> ms per call in each round; the first round warms up."""
    taken = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            start = time.perf_counter()
            for _ in range(times):
                work()
            spent = 1000 * (time.perf_counter() - start) / times
            taken[name].append(spent)
    return {name: values[1:] for name, values in taken.items()}


works = {method: stepper(method) for method in TIMED}
taken = in_rounds(works, ROUNDS, STEPS)
base = np.array(taken[TIMED[0]])
lines = ["| method | ms (median) | of a round's shared adapter |"]
lines.append("|---|--:|--:|")
for method, values in taken.items():
    ratio = np.median(np.array(values) / base)
    lines.append(
        f"| {NAMES[method]} | {np.median(values):.0f} | {ratio:.2f} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare the ratios, not the milliseconds. Among
# methods that leave the T5 frozen, the numbers that are trained hardly
# matter: each runs the T5 forward, and backward as far as its lowest
# trained part; what it adds itself is small beside that. Prompt tuning
# makes every text longer, so all of the T5 has more to do. Full
# fine-tuning computes a gradient for each weight, too, which is about
# half as much work again.
#
# The same for all methods, recorded with more rounds, and the time of
# answers:

# %%
lines = ["| method | step (ms) | ratio | answers (ms) | ratio |"]
lines.append("|---|--:|--:|--:|--:|")
for method, name in NAMES.items():
    cost = record["methods"][method]
    cells = []
    for kind in ("step", "answers"):
        cells += [f"{cost[kind]['median_ms']:.1f}"]
        cells += [f"{cost[kind]['ratio']:.2f}"]
    lines.append(f"| {name} | " + " | ".join(cells) + " |")
how = record["settings"]
note = (
    f"A step is {how['batch_size']} rows of {how['tasks']} tasks; "
    f"answers are {how['answers']} texts of one task. Medians of "
    f"{how['rounds'] - 1} rounds, ratios to the shared adapter's. "
)
Markdown("\n".join(lines) + "\n\n" + note + records.source(record))

# %% [markdown]
# ## The front
#
# Put cost and accuracy into one picture. A method is *dominated* if
# another one is at least as accurate and at least as cheap, and
# better in one of the two. What nobody dominates is the *Pareto
# front*: off it there is no reason to choose a method, on it there
# is a choice to make. (Two of the twelve methods of
# [Sample efficiency](sample_efficiency.ipynb) are left out: a T5 per
# task, whose step is that of one T5, and the nearest neighbour, which
# trains nothing and keeps its rows instead.)


# %%
def front(points):
    """Names that no other (cost, accuracy) dominates."""
    kept = []
    for name, (cost, score) in points.items():
        beaten = any(
            c <= cost and s >= score and (c, s) != (cost, score)
            for c, s in points.values()
        )
        if not beaten:
            kept.append(name)
    return kept


assert front({"a": (1, 5), "b": (2, 6), "c": (3, 6)}) == ["a", "b"]

grid = records.load("sample_efficiency")
sizes = sorted({row["n"] for row in grid["rows"]})
scores = {}  # (method, n) -> accuracy in % of each seed
for row in grid["rows"]:
    at = scores.setdefault((row["method"], row["n"]), {})
    at[row["seed"]] = 100 * row["test"]["all"]


# %%
def cost_of(method, kind):
    """One number; times are ratios to the shared adapter's."""
    cost = record["methods"][method]
    if kind == "numbers trained per task":
        return cost["trained"] / len(tasks)
    if kind == "bytes for one more task":
        # up to 32 bytes are the task's name in the file
        return max(32, cost["stored_bytes_per_additional_task"])
    return cost["step" if "step" in kind else "answers"]["ratio"]


KINDS = [
    "numbers trained per task",
    "bytes for one more task",
    "time of a training step",
    "time of an answer",
]
order = list(NAMES)
mean_of = {at: np.mean([*some.values()]) for at, some in scores.items()}

# %%
fig = go.Figure()
for i, (method, name) in enumerate(NAMES.items()):
    fig.add_scatter(
        x=[cost_of(method, KINDS[0])],
        y=[mean_of[method, sizes[1]]],
        mode="markers",
        name=name,
        marker={
            "color": plots.PALETTE[i % 8],
            "symbol": plots.SYMBOLS[i % 8] + ("-open" if i > 7 else ""),
            "size": 13,
            "line": {"width": 2 if i > 7 else 0},
        },
        hovertemplate="%{x:,.3r}, %{y:.1f} %",
    )


# %%
def axis(kind):
    """Numbers span powers of ten, times do not."""
    wide = kind in KINDS[:2]
    return {
        "xaxis.title.text": kind if wide else f"{kind} (shared = 1)",
        "xaxis.type": "log" if wide else "linear",
        "xaxis.dtick": "D2" if wide else 0.2,
        "xaxis.tickformat": "~s" if wide else ".1f",
    }


labels = ("numbers", "bytes", "step time", "answer time")
buttons(
    fig,
    {
        label: ({"x": [[cost_of(m, kind)] for m in order]}, axis(kind))
        for label, kind in zip(labels, KINDS, strict=True)
    },
)

# %%
slider = {
    "active": 1,
    "currentvalue": {"prefix": "examples per task: "},
    "pad": {"t": 58},
    "steps": [
        {
            "label": str(n),
            "method": "restyle",
            "args": [{"y": [[mean_of[m, n]] for m in order]}],
        }
        for n in sizes
    ],
}

# %%
plots.finish(
    fig,
    "Accuracy and cost of ten methods",
    "Ten methods as points, cost to the right and accuracy upwards. "
    "Buttons choose the cost: numbers trained per task, bytes for one "
    "more task, time of a step or of an answer; a slider chooses "
    "examples per task.",
    height=700,
    above=52,
    below=250,
    sliders=[slider],
    legend=plots.LEGEND_BELOW,
)
fig.update_layout(axis(KINDS[0]))
fig.update_yaxes(title_text="test accuracy (%)", range=[45, 100])
fig

# %% [markdown]
# *What to see:* good is up and to the left. Press the buttons one
# after the other: the methods change places from left to right while
# their height stays. There is no such thing as *the* cost of a
# method. *Numbers* share the whole bill among twelve tasks, *bytes* is
# what the thirteenth adds to a file (32 at least, for its name): find
# the methods that change sides between the two. Those at the left end
# keep nothing for the new task, and must train their shared part again
# to learn it. All took equally many steps, so the ratio of
# step times is that of training times, too. Times of most methods lie
# close together and have a spread of their own, so read them
# coarsely. Then move the slider: where the heights draw together, luck
# decides more of the front.
#
# A point on the front may be there by luck. So ask every seed for a
# front of its own, and count in how many of them a method stands on
# it.


# %%
def on_front(kind, n):
    """Method -> share of seeds in which it is on the front."""
    seeds = sorted(scores[order[0], n])
    hits = dict.fromkeys(order, 0)
    for seed in seeds:
        points = {
            m: (cost_of(m, kind), scores[m, n][seed]) for m in order
        }
        for method in front(points):
            hits[method] += 1
    return {m: count / len(seeds) for m, count in hits.items()}


# %%
shown = [n for n in sizes if n in (16, 64, 256, 1000)]
tables = []
for kind in KINDS:
    lines = [
        f"| {kind} | " + " | ".join(f"n = {n}" for n in shown) + " |"
    ]
    lines.append("|---|" + "--:|" * len(shown))
    shares = {n: on_front(kind, n) for n in shown}
    for method, name in NAMES.items():
        cells = [f"{100 * shares[n][method]:.0f} %" for n in shown]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    tables.append("\n".join(lines))
Markdown("\n\n".join(tables))

# %% [markdown]
# *What to see:* the cheapest method of a table, or the best of several
# equally cheap ones, is on every front by definition, whatever it
# scores. So look for methods which are on it often *without* being the
# cheapest; and for those that are never there, which is the stronger
# statement.

# %%
said = []
for kind in KINDS:
    least = min(cost_of(m, kind) for m in order)
    cheapest = [NAMES[m] for m in order if cost_of(m, kind) == least]
    share = {n: on_front(kind, n)["pha"] for n in shown}
    cells = ", ".join(
        f"{100 * v:.0f} % at n = {n}" for n, v in share.items()
    )
    said.append(
        f"- **{kind}**: PHA is on the front in {cells} of the seeds; "
        f"the cheapest: {', '.join(cheapest)}."
    )
Markdown("\n".join(said))

# %% [markdown]
# ## What could go wrong
#
# - **"Parameter-efficient" read as "fast".** It means little to
#   store. A frozen T5 still runs, forward and back.
# - **Per-task counts that hide the shared part.** $e$ numbers per new
#   task is true, and so is $H$ in the file. Say both.
# - **Counting what need not be kept.** The retriever is needed to
#   look new tasks up, not to answer; a task can be
#   [baked](hypernetworks.ipynb) into an ordinary adapter and the
#   hypernetwork left at home.
# - **Times of different days.** Milliseconds of two machines, or of
#   one machine at two loads, cannot be compared. Ratios of a round
#   bear it better.
# - **A front without its spread.** With ten methods and noise
#   somebody is always on top.
# - **A small T5.** Its head and its adapters weigh more than in a
#   large one. None of these times is a forecast for T5-base;
#   [Scale and speed](scale_and_speed.ipynb) has times at that size.
#
# ## Exercises
#
# ````{exercise} Wider adapters
# :label: trade-ex-width
#
# How does $T^*$ change for the T5 of this book when the adapters
# become four times as wide? Say first, then count.
# ````
#
# ````{solution} trade-ex-width
# :class: dropdown
#
# ```python
# from dataclasses import replace
#
# wide = replace(tiny, adapter_dim=4 * tiny.adapter_dim)
# shared, e = pha_numbers(wide, d, layers)
# own = adapter_numbers(sum(layers), d, wide.adapter_dim)
# print(crossing(shared, own, e))
# ```
#
# Adapters and the heads which write them grow alike, so $T^*$ moves
# little. For each number of one layer's adapter, PHA holds $o + 1$ in
# the heads, with $o$ numbers that come out of the trunk, and one in
# each layer of the encoder; an adapter per task holds $L$. So $T^*$ is
# near $(o + 1 + L_{\mathrm{enc}}) / L$, whatever the width.
# ````

# %% [markdown]
# ````{exercise} A budget
# :label: trade-ex-budget
#
# A phone has 200 kB for the trained part of 12 tasks. Which method
# would you take at n = 64, by the record?
# ````
#
# ````{solution} trade-ex-budget
# :class: dropdown
#
# ```python
# cost = record["methods"]
# fits = [m for m in order if cost[m]["stored_bytes"] <= 2e5]
# print({NAMES[m]: round(mean_of[m, 64], 1) for m in fits})
# ```
#
# Then ask whether the best of these is told apart from the next:
# [Sample efficiency](sample_efficiency.ipynb) has the tool.
# ````

# %% [markdown]
# ````{exercise} Who is dominated?
# :label: trade-ex-dominated
#
# For the cost "time of an answer" and the largest n: which methods
# dominate prompt tuning, on the mean over seeds?
# ````
#
# ````{solution} trade-ex-dominated
# :class: dropdown
#
# ```python
# kind, n = KINDS[-1], sizes[-1]
# cost, score = cost_of("prompt", kind), mean_of["prompt", n]
# print([NAMES[m] for m in order if m != "prompt"
#        and cost_of(m, kind) <= cost and mean_of[m, n] >= score])
# ```
#
# If the list is empty, it is on the front.
# ````

# %% [markdown]
# ````{exercise} Time to a given accuracy (open)
# :label: trade-ex-time
#
# The front shows the time of *a step*. What matters is the time until
# a mark is reached, and methods need different numbers of steps. How
# would you measure that fairly, when each method has its own best
# learning rate, and the best rate depends on the number of steps?
# ````
#
# ````{solution} trade-ex-time
# :class: dropdown
#
# The budget must be part of the tuning: for each method and each
# budget in seconds, tune the rate for *that* budget, and read the
# accuracy at its end. A curve of a single long run with a decaying
# rate answers another question, because its early points were
# trained with a rate meant for a long run.
# ````

# %% [markdown]
# ## Summary
#
# - One adapter per task stores $TA$ numbers, PHA $H + Te$; they cross
#   at $T^* = H/(A - e)$.
# - One more task costs PHA a row of $e$ numbers. The first task costs
#   it the whole hypernetwork.
# - The time of a step hardly depends on how many numbers are trained,
#   as long as the T5 itself is frozen and gradients go through it.
# - Time in rounds, compare ratios, take medians.
# - A front needs its spread: count in how many seeds a method is on
#   it.
#
# **Check yourself.** Why does a shared adapter lie below PHA
# everywhere in the first picture? Why may prompt tuning be slower
# than PHA? What would make a method disappear from every front?
#
# **In the code.** `model.count_parameters()` counts;
# `pha_lite/experiments/costs.py` takes the times;
# `pha_lite/bake.py` exports an ordinary adapter.
#
# **Next.** So far every task was there from the start. A new one
# arrives, with four examples: [Transfer, measured](transfer.ipynb).

# %%
import os
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
