# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: []
#     quick: {POOL: 12}
# ---

# %% [markdown]
# # Transfer, measured
#
# [A new task with four examples](few_shot.ipynb) built the transfer
# of PHA and tried it on one trained model. One model is an anecdote.
# Here are several, with intervals, on tasks whose {term}`rule` was
# trained and on tasks whose rule nobody ever saw. This page asks:
# **when does a retrieved start help, and can retrieval tell us when
# it will not?**
#
# **After this page you can**
#
# - list the comparisons before you look, and correct for their number;
# - tell what a start is worth alone from what is left of it after
#   tuning;
# - keep known rules and new rules apart, and expect different things
#   of them;
# - draw a reliability diagram and compute a calibration error;
# - test whether a confidence can warn, with the area under a curve.
#
# **You need** [the page on few-shot transfer](few_shot.ipynb), whose
# starts are compared here.

# %%
import os
import platform
import time
from collections import Counter
from itertools import product

import numpy as np
import pha_lite
import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from pha_lite import PHAModel, load_suite, plots, records
from pha_lite.fewshot import episode
from pha_lite.paths import data_dir
from pha_lite.stats import interval, paired
from scipy.stats import mannwhitneyu

SEED = 0
torch.manual_seed(SEED)

# %%
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, torch {torch.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(records.run_time("transfer"))

# %% [markdown]
# ## What was run
#
# Two records feed this page. In both, several models are trained on
# the 24 training tasks of the suite, each with another seed and other
# rows. Each then meets the tasks of one surface that it has never
# read: *museum* or *garden*.

# %%
FEW, MORE = records.load("few_shot"), records.load("transfer")
suite = load_suite(seed=SEED)
asked = FEW["settings"]
seeds = asked["seeds"]
sizes = sorted({row["k"] for row in FEW["rows"]})
known = sorted({row["task"] for row in FEW["rows"]})
unknown = sorted(
    {row["task"] for row in MORE["rows"] if row["new"] == "new rule"}
)
Markdown(
    f"- **known rules:** {len(known)} tasks, such as {known[0]}; their "
    "rules were trained on other surfaces (record `few_shot`);\n"
    f"- **new rules:** {', '.join(unknown)}; no training task asks "
    "these questions (record `transfer`);\n"
    f"- {len(seeds)} models, "
    f"k = {', '.join(map(str, sizes))} examples, "
    f"{asked['tuning_steps']} steps of tuning, {asked['query_rows']} "
    "test rows. Rates are chosen on validation rows by two further "
    "models, for each start by itself.\n\n"
    f"{records.source(FEW)}\n\n{records.source(MORE)}"
)


# %%
def episodes(rows, **wanted):
    """How many episodes stand behind a start at one k."""
    wanted |= {"k": sizes[0], "start": "retrieved"}
    fit = [r for r in rows if all(r[f] == v for f, v in wanted.items())]
    return len(fit), len({r["task"] for r in fit})


# %%
counted = {
    "known rules": episodes(FEW["rows"]),
    "new rules": episodes(MORE["rows"], new="new rule"),
}
ends = (min(asked["tuning_rates"]), max(asked["tuning_rates"]))
chosen = {
    "known rules": asked["chosen_rates"],
    "new rules": MORE["settings"]["chosen"]["starts"],
}
edges = [
    f"{start.replace('_', ' ')} ({lr:g}, {kind})"
    for kind, rates in chosen.items()
    for start, (lr,) in rates.items()
    if lr in ends
]
Markdown(
    f"Of the rates {', '.join(map(str, asked['tuning_rates']))} an end "
    f"was chosen by: {', '.join(edges) or 'none'}. "
    "Behind every dot of this page, at each k: "
    + "; ".join(
        f"{n} episodes on {count} tasks ({kind})"
        for kind, (n, count) in counted.items()
    )
    + ". A model meets a task once, so single tasks have few."
)

# %% [markdown]
# The unit of the statistics is the *model*: a start's accuracy on its
# tasks is averaged first, and the interval is over the models. Tasks
# of one model share all its weights, so to count each as independent
# would make the intervals too short. The intervals speak of other
# models on these tasks, not of other tasks.


# %%
def scores(rows, **wanted):
    """Mean over the tasks per seed (%): (before, after) tuning."""
    table = {}
    for row in rows:
        if all(row[key] == value for key, value in wanted.items()):
            pair = (100 * row["before"], 100 * row["after"])
            table.setdefault(row["seed"], []).append(pair)
    means = [np.mean(table[seed], axis=0) for seed in sorted(table)]
    return np.transpose(means)


before, after = scores(FEW["rows"], k=4, start="retrieved")
for seed, one, two in zip(seeds, before, after, strict=True):
    print(f"model {seed}: retrieved {one:.1f} %, tuned {two:.1f} %")

# %% [markdown]
# ## More examples
#
# ```{admonition} Predict first
# :class: tip
# Of a new surface of a known rule there are 4, 16 or 32 examples. A
# prototype is tuned on them from several starts; and a fresh adapter
# of its own, which starts from nothing. Which row gains most from
# more examples? Do all rows meet at the right?
# ```

# %%
SHOWN = {
    "loss": "start by loss",
    "retrieved": "retrieved start",
    "mean": "mean of all",
    "random": "a random one",
    "fresh": "fresh prototype",
    "fresh_adapter": "fresh adapter",
}
rise = {
    f"k = {k}": {
        label: interval(scores(FEW["rows"], k=k, start=start)[1])
        for start, label in SHOWN.items()
    }
    for k in sizes
}
plots.intervals(
    rise,
    title="After tuning, by number of examples",
    alt="Six starts, each with three intervals of accuracy after "
    "tuning, for four, sixteen and thirty-two examples.",
    chance=50,
    limits=(40, 100),
)

# %% [markdown]
# *What to see:* the rows of the prototypes, whatever their start, and
# the one row apart. In which do the three dots spread? Tuning one
# vector forgives a bad start; four examples do not train an adapter
# of thousands of weights.
#
# ## Which differences hold?
#
# With six starts and three sizes there are dozens of pairs, and one
# in twenty will look real at 95 % by luck alone. So we name those
# that a claim rests on, before any is looked at, and let each
# interval cover more, so that *all* of them hold at once with 95 %
# (Bonferroni): with m comparisons each has the level $1 - 0.05/m$.

# %%
K = 4
CLAIMS = [  # (start, against, 0 alone or 1 tuned)
    ("retrieved", "random", 0),
    ("retrieved", "mean", 0),
    ("retrieved", "loss", 0),
    ("oracle", "wrong", 0),
    ("retrieved", "fresh_adapter", 1),
    ("retrieved", "random", 1),
    ("retrieved", "fresh", 1),
    ("retrieved", "loss", 1),
    ("oracle", "wrong", 1),
]


# %%
def verdict(found):
    """A word for the interval of a paired difference."""
    if found.low == found.high or found.low <= 0 <= found.high:
        return "not told apart"
    return "better" if found.low > 0 else "worse"


def compare(rows, left, right, side, level, **wanted):
    """Difference of two starts in points, paired over models."""
    pair = [
        scores(rows, start=start, **wanted)[side]
        for start in (left, right)
    ]
    return paired(*pair, level=level)


# %%
level = 1 - 0.05 / len(CLAIMS)
told = {}
lines = [
    f"| k = {K}, known rules | points | verdict |",
    "|---|---|---|",
]
for left, right, side in CLAIMS:
    found = compare(FEW["rows"], left, right, side, level, k=K)
    told[left, right, side] = verdict(found)
    name, other = (s.replace("_", " ") for s in (left, right))
    lines.append(
        f"| **{name}** against {other}, {('alone', 'tuned')[side]} "
        f"| {found.difference:+.1f} "
        f"[{found.low:+.1f}, {found.high:+.1f}] "
        f"| {verdict(found)} |"
    )
Markdown(
    "\n".join(lines)
    + f"\n\nPaired over {len(seeds)} models; {len(CLAIMS)} comparisons "
    f"at {100 * level:.1f} %."
)

# %% [markdown]
# *What to see:* compare the rows that say *alone* with those that
# say *tuned*. The row of `oracle` against `wrong` is the price of
# the worst mistake that a start can be, before and after twenty
# steps. An interval as wide as several points means that these few
# models cannot show a small advantage; "not told apart" is no proof
# of equality.

# %% [markdown]
# ## How much to tune
#
# One vector, the hypernetwork with it, or everything that was
# trained? All start from the prototype that the loss chooses, and
# each has a rate of its own.

# %%
TUNES = {
    "prototype": "the prototype",
    "hypernetwork": "hypernetwork too",
    "all": "all trained parts",
}


# %%
def what_is_tuned(new, limits):
    """Accuracy by what is tuned, on one kind of new task."""
    table = {}
    for k, (tune, label) in product(sizes, TUNES.items()):
        wanted = {"k": k, "tune": tune, "start": "loss"}
        numbers = scores(MORE["rows"], new=new, **wanted)[1]
        table.setdefault(label, {})[f"k = {k}"] = interval(numbers)
    return plots.intervals(
        table,
        title=f"What is tuned, on {new}s",
        alt="Three numbers of examples, each with three intervals of "
        "accuracy: the prototype tuned, the hypernetwork too, or all; "
        f"tasks of a {new}.",
        chance=50,
        limits=limits,
    )


what_is_tuned("new surface", (40, 100))

# %% [markdown]
# *What to see:* at k = 4, is there any gain in tuning more than one
# vector? Does the order change as examples grow? A larger part that
# is tuned has more ways to fit four examples and be wrong elsewhere;
# and it changes the answers of all other tasks, which this figure
# does not show and [the page on streams](stream.ipynb) does.

# %% [markdown]
# ## A rule that nobody trained
#
# Now the other kind of new task. No training task asks *other* or
# *reading*. No prototype means them, so retrieval can only bring
# something else.
#
# ```{admonition} Predict first
# :class: tip
# With 32 examples of a rule that the model has never met: which
# start, after tuning, comes furthest from 50 %? And the fresh
# adapter, which is not bound to what the hypernetwork can write?
# ```

# %%
STARTS = [s for s in SHOWN if s != "loss"] + ["wrong", "loss"]
novel = {}
for k in sizes:
    novel[f"k = {k}"] = {
        start.replace("_", " "): interval(
            scores(
                MORE["rows"],
                new="new rule",
                tune="prototype",
                start=start,
                k=k,
            )[1]
        )
        for start in STARTS
    }
plots.intervals(
    novel,
    title="A rule that was never trained, after tuning",
    alt="Seven starts with intervals of accuracy on tasks of new "
    "rules, for each number of examples, all near chance.",
    chance=50,
    limits=(0, 100),
)

# %% [markdown]
# The dotted line is a coin. But a model may also give *one* answer to
# every text, and then it gets the share of that answer in the query
# rows, which are not balanced:


# %%
def one_answer(name):
    """Share in % of the most frequent answer in the query rows."""
    drawn = episode(suite[name], sizes[0], limit=asked["query_rows"])
    counts = Counter(drawn["test"]["target"])
    return 100 * max(counts.values()) / counts.total()


constant = np.mean([one_answer(name) for name in unknown])
Markdown(
    "\n".join(
        f"- {name}: one answer to all gets {one_answer(name):.0f} % or "
        f"{100 - one_answer(name):.0f} %"
        for name in unknown
    )
)

# %% [markdown]
# So an interval *below* the line is no riddle: it may be a constant
# answer on the wrong side. And to know anything of a rule, a start
# must be above the better constant answer:

# %%
LEVEL = 1 - 0.05 / (2 * len(STARTS))
above = []
for start in STARTS:
    for side, name in enumerate(("alone", "tuned")):
        wanted = {"new": "new rule", "tune": "prototype"}
        numbers = scores(
            MORE["rows"], k=sizes[-1], start=start, **wanted
        )
        if interval(numbers[side], level=LEVEL).low > constant:
            above.append(f"{start}, {name}")
Markdown(
    f"**Above one constant answer ({constant:.0f} %) at "
    f"k = {sizes[-1]}** (interval at {100 * LEVEL:.1f} %, "
    f"{2 * len(STARTS)} looked at): "
    f"{'; '.join(above) if above else 'none'}."
)

# %% [markdown]
# And if more is tuned than the prototype?

# %%
what_is_tuned("new rule", (0, 100))

# %% [markdown]
# *What to see:* which intervals lie above the better constant answer.
# In the first figure only one vector is tuned (in the row of the fresh
# adapter, the adapter), and a prototype can only choose among the
# adapters that a frozen hypernetwork writes. In the second the
# hypernetwork or all trained parts may change, too. If that does not
# help either, the frozen form is not the only obstacle: 32 examples,
# or twenty steps, may be too few. The rules can be learnt: full
# fine-tuning on many rows does.

# %%
cards = records.load("cards")["tasks"]
lines = ["| new rule | full fine-tuning, many rows |", "|---|---|"]
for name in unknown:
    top = 100 * cards[name]["full_fine_tuning"]
    lines.append(f"| {name} | {top:.0f} % |")
Markdown(
    "\n".join(lines) + f"\n\n{records.source(records.load('cards'))}"
)

# %% [markdown]
# So the next question matters. If a start is worth nothing on a new
# rule, does retrieval at least *say* that it does not know?
#
# ## How sure is it?
#
# Retrieval compares an input's {term}`instance embedding` $z_i$ with
# each {term}`prototype` $p_t$ by the cosine. Training divided these
# cosines by a temperature $\tau$ and pushed them through a softmax,
# so the same numbers, read the same way, are shares that sum to one:
#
# ```{math}
# :label: eq-transfer-share
# s_{it} = \frac{\exp(\cos(z_i, p_t)/\tau)}
# {\sum_u \exp(\cos(z_i, p_u)/\tau)}
# ```
#
# Over k inputs we take the mean of the shares. The largest is how
# *sure* retrieval is. (Both are our choice: to retrieve by the
# largest cosine, and to read shares as a confidence. The paper tells
# neither, as far as we can see.)


# %%
def share(z, points, temperature):
    """(k, e) embeddings, (T, e) prototypes -> (T,) mean shares."""
    z, points = F.normalize(z, dim=1), F.normalize(points, dim=1)
    return (z @ points.T / temperature).softmax(dim=1).mean(dim=0)


# %% [markdown]
# On the model that comes with the book, one input at a time:

# %%
POOL = 60  # inputs of each task
model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
points = model.trained.prototypes.vectors.detach()
tau = model.config.temperature


def how_sure(name):
    """The largest share of each of some inputs of a task."""
    rows = suite[name].sample(POOL, seed=SEED)["train"]["source"]
    z = model.embed(list(rows))
    return [float(share(one[None], points, tau).max()) for one in z]


live = {
    f"{kind} rule": [
        n for n in suite.held_out if suite.cell(n).new_rule == new
    ]
    for kind, new in (("known", False), ("new", True))
}
sure = {
    kind: np.concatenate([how_sure(name) for name in names])
    for kind, names in live.items()
}

# %%
fig = go.Figure()
for (kind, values), colour in zip(
    sure.items(), plots.PALETTE[:2], strict=True
):
    fig.add_histogram(
        x=values,
        name=f"{kind} ({len(values)} inputs)",
        histnorm="percent",
        xbins={"start": 0, "end": 1, "size": 0.1},
        marker_color=colour,
    )
fig.update_layout(barmode="group", bargap=0.15)
fig.update_xaxes(title="the largest share: how sure", range=[0, 1])
fig.update_yaxes(title="inputs (%)")
plots.finish(
    fig,
    title="Sure of a known rule, sure of a new one",
    alt="Two histograms of the largest share, for inputs of known "
    "rules and of new rules. They overlap.",
    below=100,
    legend=plots.LEGEND_BELOW,
)

# %% [markdown]
# *What to see:* if a share could warn, the bars of the new rules
# would stand at the left and the others at the right. Do they?
#
# ## Is the confidence right?
#
# A confidence is *calibrated* if, of all cases in which it says 70 %,
# 70 % are right. Sort the retrievals by what they claim, in bins;
# compare in each bin the mean claim with the share that was right.
# The mean gap, weighted by the bins' sizes, is the *expected
# calibration error* {cite}`guo2017calibration`:
#
# ```{math}
# :label: eq-transfer-ece
# \mathrm{ECE} = \sum_b \frac{n_b}{n}\,
# \bigl|\,\mathrm{right}_b - \mathrm{claim}_b\,\bigr|
# ```


# %%
def bins(claim, right, count=10):
    """Per bin that is not empty: size, mean claim, share right."""
    claim, right = np.asarray(claim), np.asarray(right, float)
    at = np.minimum((claim * count).astype(int), count - 1)
    return [
        ((at == b).sum(), claim[at == b].mean(), right[at == b].mean())
        for b in range(count)
        if (at == b).any()
    ]


def calibration_error(claim, right, count=10):
    """ECE, between 0 and 1."""
    found = bins(claim, right, count)
    return sum(n * abs(r - c) for n, c, r in found) / len(claim)


# %% [markdown]
# A check by hand: of four retrievals that claim 0.9, three are right,
# and two that claim 0.3 are both wrong. The gaps are 0.15 and 0.3,
# so the error is (4 · 0.15 + 2 · 0.3) / 6.

# %%
by_hand = (4 * 0.15 + 2 * 0.3) / 6
ours = calibration_error([0.9] * 4 + [0.3] * 2, [1, 1, 1, 0, 0, 0])
assert np.isclose(ours, by_hand)
print(f"{ours:.2f}")

# %% [markdown]
# In the record each trained model retrieved for all held-out tasks,
# known rules and new, many times with 1 to 32 inputs. *Right* means
# that the prototype found belongs to the same rule.

# %%
looked = MORE["retrieval"]
novel_rules = {plots.rule(name) for name in unknown}


def column(field, k, new):
    """One number per retrieval of the record."""
    return np.array(
        [
            row[field]
            for row in looked
            if row["k"] == k
            and (plots.rule(row["task"]) in novel_rules) == new
        ],
        float,
    )


# %%
fig = go.Figure()
fig.add_scatter(
    x=[0, 1],
    y=[0, 1],
    mode="lines",
    name="calibrated",
    line={"dash": "dot", "color": plots.GREY},
)
for i, k in enumerate((1, sizes[0], sizes[-1])):
    found = bins(column("sure", k, False), column("rule", k, False))
    n, claim, right = map(list, zip(*found, strict=True))
    fig.add_scatter(
        x=claim,
        y=right,
        customdata=n,
        name=f"{k} input" + "s" * (k > 1),
        mode="lines+markers",
        marker_color=plots.PALETTE[i],
        hovertemplate="claims %{x:.2f}, right %{y:.2f}"
        "<br>%{customdata} retrievals",
    )

# %%
fig.update_xaxes(title="mean claim in the bin", range=[0, 1.02])
fig.update_yaxes(title="share with the right rule", range=[0, 1.04])
plots.finish(
    fig,
    title="Reliability of retrieval, known rules",
    alt="A reliability diagram: share of retrievals with the right "
    "rule over the mean claim, for one, four and thirty-two inputs, "
    "beside the diagonal of perfect calibration.",
    height=560,
    below=120,
    legend=plots.LEGEND_BELOW,
)

# %% [markdown]
# *What to see:* above the diagonal retrieval is right more often
# than it claims, below it less often. Follow one curve from left to
# right: does a higher claim mean more hits? Then compare the curves.
# A mean of shares over many inputs is no probability that the best
# is right: it shrinks as the inputs spread over relatives of one
# rule, while the choice gets no worse.

# %%
lines = [
    "| inputs | right rule | mean claim | ECE |",
    "|---|---|---|---|",
]
for k in (1, *sizes):
    claim, right = column("sure", k, False), column("rule", k, False)
    error = calibration_error(claim, right)
    lines.append(
        f"| {k} | {100 * right.mean():.0f} % "
        f"| {100 * claim.mean():.0f} % | {100 * error:.0f} points |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# Averages hide where the misses are. By rule:

# %%
by_rule = {}
for row in looked:
    if row["k"] == sizes[0]:
        name = plots.rule(row["task"])
        seed_rows = by_rule.setdefault(name, {})
        seed_rows.setdefault(row["seed"], []).append(
            (row["sure"], row["rule"], row["kind"])
        )
lines = ["| rule | sure | right rule | right kind of text |"]
lines.append("|---|---|---|---|")
for name, groups in by_rule.items():
    means = [np.mean(group, axis=0) for group in groups.values()]
    mean = 100 * np.mean(means, axis=0)
    shown = f"{name} (new)" if name in novel_rules else name
    lines.append(
        f"| {shown} | " + " | ".join(f"{x:.0f} %" for x in mean) + " |"
    )
Markdown("\n".join(lines) + f"\n\nk = {sizes[0]}, {len(seeds)} models.")

# %% [markdown]
# *What to see:* rules whose inputs look like nobody else's are found
# always. {term}`Rivals <rival>`, which read the same texts and ask
# different questions, are found about as often as a coin would find
# them: retrieval reads inputs, and the question is not in the inputs.
# A new rule is found never, of course. One of them even reads a kind
# of text that no training task has, so its last column is 0. How sure
# was retrieval of that one?
#
# ## Can it warn?
#
# Take one retrieval for a known rule and one for a new rule. How
# often is retrieval surer of the known? That probability is the
# *area under the ROC curve*, AUC {cite}`hanley1982auc`: 1 is a
# perfect alarm, 0.5 is no alarm at all, and below 0.5 it is surer
# where it knows less.


# %%
def auc(known, unknown):
    """P(a known one is higher), ties count half."""
    known, unknown = np.asarray(known), np.asarray(unknown)
    higher = (known[:, None] > unknown).mean()
    return higher + 0.5 * (known[:, None] == unknown).mean()


dice = np.random.default_rng(SEED)
one, two = dice.integers(0, 9, 50), dice.integers(0, 9, 70)
theirs = mannwhitneyu(one, two).statistic / (len(one) * len(two))
assert np.isclose(auc(one, two), theirs)

# %% [markdown]
# (The same as the Mann-Whitney statistic of scipy, divided by the
# number of pairs.)
#
# ```{admonition} Predict first
# :class: tip
# For 32 inputs, is the AUC of retrieval's confidence near 1, near
# 0.5, or below?
# ```

# %%
lines = ["| inputs | AUC of *sure* | AUC of the margin |"]
lines.append("|---|---|---|")
alarm = {}
for k in (1, *sizes):
    alarm[k] = [
        auc(column(field, k, False), column(field, k, True))
        for field in ("sure", "margin")
    ]
    lines.append(f"| {k} | " + " | ".join(f"{a:.2f}" for a in alarm[k]))
strange = {
    r["task"] for r in looked if plots.rule(r["task"]) in novel_rules
}
Markdown(
    "\n".join(line + " |" * (not line.endswith("|")) for line in lines)
    + f"\n\n{len(strange)} tasks of {len(novel_rules)} new rules. The "
    "margin is the best mean cosine minus the next."
)

# %% [markdown]
# *What to see:* how far the numbers are from 0.5, and on which side.
# The new rules here are two, so the table is an observation about
# them and no law. But one counterexample is enough for this: **a
# high confidence of retrieval is no evidence that the rule is
# known.** Where it matters, ask the answers. The loss on the k
# examples under the start, which costs one forward pass, reads them;
# [Few-shot transfer](few_shot.ipynb) tries it as a warning.

# %% [markdown]
# ## What we found

# %%
facts = [
    ("A retrieved start beats a random one", "retrieved", "random"),
    ("It beats a fresh adapter", "retrieved", "fresh_adapter"),
    ("It beats a fresh prototype", "retrieved", "fresh"),
    ("It comes up to the start by loss", "retrieved", "loss"),
]
lines = [f"| claim (known rules, k = {K}) | alone | tuned |"]
lines.append("|---|---|---|")
for claim, *pair in facts:
    words = [told.get((*pair, side), "not compared") for side in (0, 1)]
    lines.append(f"| {claim} | {' | '.join(words)} |")
Markdown(
    "\n".join(lines)
    + "\n\nOn new rules, above one constant answer at "
    + f"k = {sizes[-1]}: {', '.join(above) if above else 'no start'}."
)

# %% [markdown]
# ## What could go wrong
#
# - **Episodes are counted as independent.** They share a model. The
#   interval is over models.
# - **The best of many starts is compared with a baseline.** Name the
#   comparison first, or correct for all that you looked at.
# - **Only known rules are tested.** Then every start looks useful,
#   and the border of the method is never seen.
# - **A baseline without its own rate.** Here each start and each way
#   of tuning tries six rates on validation rows. With four, fit for a
#   prototype, the fresh adapter had been stuck at the lowest; those
#   named at an end may still want a rate outside the grid.
# - **A calibration error over everything.** It can be small because
#   two groups err in opposite directions. Look at the diagram, and at
#   the rules.
# - **Twenty steps.** A fresh adapter may want more. The steps were
#   the same for all here, and the examples few.

# %% [markdown]
# ## Exercises
#
# ````{exercise} The price of a mistake
# :label: transfer-wrong
#
# How many points does a wrong start cost against the oracle, alone
# and tuned, at each k? Give intervals at 95 % and say what you would
# tell a user who fears a wrong retrieval.
# ````
#
# ````{solution} transfer-wrong
# :class: dropdown
#
# ```python
# for k in sizes:
#     for side, name in enumerate(("alone", "tuned")):
#         got = compare(FEW["rows"], "oracle", "wrong", side, 0.95, k=k)
#         print(k, name, [round(x, 1) for x in got[:3]])
# ```
#
# Alone, a wrong start costs much. Twenty steps on one vector win
# most of it back. A start that was right has less to win, and with
# four examples it may even lose a little. So tune where a start may
# be wrong, and compare the loss before and after.
# ````

# %% [markdown]
# ````{exercise} Surer after thought
# :label: transfer-sharpen
#
# The mean of shares claims too little with many inputs. Use the
# share of the *mean cosine* instead, with the same temperature.
# Compute both for 32 inputs of some held-out tasks. Which is closer
# to how often the right rule is found?
# ````
#
# ````{solution} transfer-sharpen
# :class: dropdown
#
# ```python
# directions = F.normalize(points, dim=1)
# for name in list(suite.held_out)[:8]:
#     rows = suite[name].sample(32, seed=SEED)["train"]["source"]
#     z = F.normalize(model.embed(list(rows)), dim=1)
#     cosine = (z @ directions.T).mean(dim=0)
#     later = (cosine / tau).softmax(dim=0).max()
#     print(f"{name:24s} {share(z, points, tau).max():.2f} {later:.2f}")
# ```
#
# The second number needs no spread over inputs to be paid for, and
# is as high or low as the mean cosines differ. Neither knows the
# question, so neither is calibrated for rivals.
# ````

# %% [markdown]
# ````{exercise} A confidence of the rule
# :label: transfer-grouped
#
# Surfaces of one rule share the vote, so the largest share is low
# though the rule is clear. Sum the shares over the prototypes of a
# rule, on the live model. Is the alarm better? Compute the AUC.
# ````
#
# ````{solution} transfer-grouped
# :class: dropdown
#
# ```python
# names = model.config.tasks
# groups = sorted({plots.rule(name) for name in names})
# belongs = torch.tensor(
#     [[plots.rule(n) == g for g in groups] for n in names]
# ).float()
#
# def of_rule(name):
#     rows = suite[name].sample(POOL, seed=SEED)["train"]["source"]
#     z = model.embed(list(rows))
#     each = [share(one[None], points, tau) for one in z]
#     return (torch.stack(each) @ belongs).max(dim=1).values
#
# got = [torch.cat([of_rule(n) for n in own]) for own in live.values()]
# print(auc(*got), "against", auc(*sure.values()))
# ```
#
# A sum over relatives removes one reason for low claims. It cannot
# add what the inputs do not tell.
# ````

# %% [markdown]
# ````{exercise} An alarm that reads answers
# :label: transfer-alarm
#
# Design an alarm from the loss on k labelled examples: choose a
# threshold on the training tasks alone, report how often it warns
# on new rules and how often it cries wolf on new surfaces, for
# several models. What is the least k at which it is useful?
# ````
#
# ````{solution} transfer-alarm
# :class: dropdown
#
# A sketch. `model.routed(...)`'s loss on examples of *training*
# tasks under their own prototypes gives a distribution of "known".
# Take its 95 % quantile as the threshold: by construction about one
# in twenty known tasks is warned of. For a held-out task take the
# smallest loss over all prototypes. Badly learnt rules have a high
# loss though they are known, so the alarm cries wolf there: report
# rules apart. With labels the same examples can estimate accuracy
# directly, as a cross-validated score of the tuned prototype; try
# whether the loss tells you more.
# ````

# %% [markdown]
# ## Summary
#
# - Name the comparisons first; take the model, not the episode, as
#   the unit; correct for the number of looks.
# - On a known rule a good start is worth points before tuning.
#   Tuning one vector forgives a bad one.
# - On a rule that nobody trained, no start is worth anything here.
# - Of a known rule, retrieval finds the kind of text. Among rivals it
#   guesses.
# - Its confidence is no warning of an unknown rule. It can be surest
#   of a kind of text that it has never met.
#
# **Check yourself.** Why is the mean share no probability? What
# would an AUC of 0.3 say? You may label four examples of a new task:
# which two numbers would you look at before you trust the transfer?
#
# **In the code.** The grids `few_shot` and `transfer` of
# `pha_lite/experiments`; `pha_lite/fewshot.py` has the starts;
# `pha_lite/stats.py` the intervals.
#
# **Next.** [A stream of tasks](stream.ipynb): when new tasks keep
# coming.

# %%
spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
