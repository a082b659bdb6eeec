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
# # Scorecard
#
# The paper behind this book makes claims; so did this book when it
# was begun. One question: **which of them held, on our tasks, with
# our small T5?** Every verdict on this page is computed from the
# recorded runs as you read it. None is typed in.
#
# **After this page you can**
#
# - say in a minute what PHA did here, and what it did not;
# - find the chapter that holds the evidence;
# - tell "not shown" from "refuted".
#
# **You need** nothing but the words: a *rule* is a question, a
# *surface* is the kind of text it is asked about, *rivals* ask
# different questions about the same texts. *PHA* is our usual form of
# it; [Ablations](ablations.ipynb) compares it with the released one.
# The rest is explained in the chapters that the tables link to.

# %%
import time
from collections import Counter

import numpy as np
import pha_lite
from IPython.display import Markdown
from pha_lite import load_suite, plots, records
from pha_lite.fewshot import episode
from pha_lite.stats import holm, interval
from scipy import stats

SEED = 0
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}; nothing random, seed {SEED}")

# %%
Markdown(records.run_time("scorecard"))

# %% [markdown]
# ## How a verdict is found
#
# Two methods are compared by the differences $d_s$ of their accuracy,
# one for each of n seeds $s$. With their mean $\bar d$, their standard
# deviation $\hat\sigma$, and the quantile $t$ of Student's distribution
# with $n - 1$ degrees of freedom, the 95 % interval is
#
# ```{math}
# :label: eq-scorecard-interval
# \bar d \;\pm\; t_{0.975,\,n-1}\, \frac{\hat\sigma}{\sqrt n}
# ```
#
# All comparisons that were named in advance form one family, those
# that were added later a second one, and Holm's correction
# {cite}`holm1979` makes up for the number in each.
#
# | verdict | when |
# |---|---|
# | **held** | the corrected p-value is below 0.05, and the sign is right |
# | **refuted** | it is below 0.05, and the sign is wrong |
# | **not shown** | it is not, after the correction |
#
# "As good as" is another question than "better": a wide interval
# around zero shows nothing. It is *held* if the whole interval, not
# corrected, lies within three points of zero, to either side;
# *refuted* if the difference is real
# by the rule above and its estimate lies below minus three, and *not
# shown* else. (Who leads by more than three points is better, and not
# *as good*; that row does not ask for it.) Three points are our choice.
# One seed shows nothing.
#
# ```{admonition} Predict first
# :class: tip
# Of the paper's promises, which will hold: as good as others with
# much data? Better with little? Better on a new task? Cheaper? Write
# four words down before you go on.
# ```

# %%
MARGIN = 3.0


def judge(gap, p, wanted):
    """held, refuted or not shown, for one comparison."""
    if gap.low == gap.high:  # a single seed: no spread was seen
        return "not shown"
    real = p < 0.05
    if wanted == "as good":
        if -MARGIN < gap.low and gap.high < MARGIN:
            return "held"
        return "refuted" if real and gap.mean < -MARGIN else "not shown"
    if not real:
        return "not shown"
    return "held" if gap.mean > 0 else "refuted"


def p_value(gaps):
    """Student's t for "no difference"; 1 where there is no spread."""
    if np.ptp(gaps) < 1e-12:
        return 1.0
    return float(stats.ttest_1samp(gaps, 0).pvalue)


# %% [markdown]
# One number per seed for each side, from a record's rows:


# %%
def known(name):
    """A record, or None while the experiment has not been run."""
    return records.load(name) if name in records.names() else None


def per_seed(rows, value, **wanted):
    """Seed -> mean of `value(row)` in percent, over fitting rows."""
    found = {}
    for row in rows:
        if all(row[key] == item for key, item in wanted.items()):
            found.setdefault(row["seed"], []).append(100 * value(row))
    return {seed: np.mean(values) for seed, values in found.items()}


def gaps(one, two):
    """Differences on the seeds that both have."""
    both = sorted(set(one) & set(two))
    return np.array([one[seed] - two[seed] for seed in both])


# %%
COMPARED = []  # (group, claim, wanted, differences or None, page)


def claim(group, text, wanted, page, record, left, right, value):
    """Adds a comparison of two sides, each a dict of wanted fields."""
    found, differences = known(record), None
    if found:
        sides = [
            per_seed(found["rows"], value, **side)
            for side in (left, right)
        ]
        differences = gaps(*sides)
        if not len(differences):
            differences = None
    COMPARED.append((group, text, wanted, differences, page))


def whole(row):
    return row["test"]["all"]


def tuned(row):
    return row["after"]


# %% [markdown]
# ## The claims
#
# The comparisons follow the paper's claims and were listed before their
# verdicts were computed; some of the records (new tasks, the two
# losses, the stream) were there already. PHA against
# each rival, with many rows and with few (12 tasks). The longer
# training was added when the short one had been seen, and its rates
# were tuned after a first run with those of the short one. So it
# belongs to the second family:

# %%
RIVALS = {
    "task_embedding": "a task embedding (HyperFormer's idea)",
    "adapter_per_task": "an adapter per task",
    "shared_adapter": "one shared adapter",
    "lora": "LoRA",
    "full": "full fine-tuning",
}

# %%
GROUPS = {
    "much data, the same steps": ("sample_efficiency", 1000, "as good"),
    "much data, four times the steps": ("more_steps", 1000, "as good"),
    "little data": ("sample_efficiency", 16, "better"),
}
for group, (record, n, wanted) in GROUPS.items():
    for method, name in RIVALS.items():
        claim(
            group,
            f"PHA is {wanted} as {name}"
            if wanted == "as good"
            else f"PHA is better than {name}",
            wanted,
            "sample_efficiency",
            record,
            {"method": "pha", "n": n},
            {"method": method, "n": n},
            whole,
        )

# %% [markdown]
# The paper says more: that the lead *grows* as rows get fewer. So the
# next lines ask for the slope of the lead, in points for each halving
# of the rows, up to 64 rows where steps and rates are the same. They
# joined the list after their figures had been seen, as did the lines
# on naive tuning below. So they are of the second family, too, and
# make none of those harder that were named in advance.

# %%
grid = known("sample_efficiency")


def slopes(rows, method, most=64):
    """(S,) points that PHA's lead gains as n is halved."""
    sizes = sorted({row["n"] for row in rows if row["n"] <= most})
    leads = []
    for n in sizes:
        sides = [
            per_seed(rows, whole, method=m, n=n)
            for m in ("pha", method)
        ]
        leads.append(gaps(*sides))
    x = np.log2(sizes) - np.mean(np.log2(sizes))
    return -np.transpose(leads) @ x / (x @ x)


# %%
for method, name in RIVALS.items():
    COMPARED.append(
        (
            "fewer rows, larger lead",
            f"PHA's lead over {name} grows",
            "better",
            slopes(grid["rows"], method) if grid else None,
            "sample_efficiency",
        )
    )

# %% [markdown]
# A new task with four examples, after tuning; and the losses that
# make PHA more than a task embedding, on all 24 tasks:

# %%
K = 4
AGAINST = {
    "fresh_adapter": "a fresh adapter",
    "random": "the prototype of a random task",
    "fresh": "a fresh prototype",
}
for start, name in AGAINST.items():
    claim(
        "new task, known rule",
        f"a retrieved start is better than {name}",
        "better",
        "transfer",
        "few_shot",
        {"start": "retrieved", "k": K},
        {"start": start, "k": K},
        tuned,
    )

# %%
for n in (16, 100):
    claim(
        "the two losses",
        f"PHA is better than without them, {n} rows per task",
        "better",
        "ablations",
        "low_data",
        {"method": "pha", "n": n},
        {"method": "task_embedding", "n": n},
        whole,
    )


# %% [markdown]
# The mend of our own, chosen on other suites, against our usual form
# of PHA:

# %%
own = known("forms")
chosen = own["settings"]["chosen"] if own else "our form"
for n in (16, 100):
    claim(
        "a form of our own",
        f"PHA with {chosen} is better than the usual, {n} rows",
        "better",
        "ablations",
        "forms",
        {"form": chosen, "n": n},
        {"form": "usual", "n": n},
        whole,
    )


# %% [markdown]
# A stream of tasks: accuracy right after each arrival, and over all
# arrivals at the end.


# %%
def arrivals(kind):
    """Mean accuracy right after arrival, of one kind of arrival."""

    def value(row):
        pairs = zip(row["R"], row["order"], strict=True)
        return np.mean([r[-1] for r, a in pairs if a["new"] == kind])

    return value


for kind in ("surface", "rule"):
    claim(
        "a stream of tasks",
        f"a prototype is as good as an adapter, new {kind}s",
        "as good",
        "stream",
        "stream",
        {"strategy": "prototype"},
        {"strategy": "adapter_per_task"},
        arrivals(kind),
    )


# %%
def at_end(row):
    """Mean accuracy over all arrivals when the stream has ended."""
    return np.mean(row["R"][-1])


NAIVE = {
    "sequential": "tuning one adapter on and on",
    "sequential_full": "tuning the whole T5 on and on",
}
for strategy, name in NAIVE.items():
    claim(
        "the end of a stream",
        f"prototypes are better than {name}",
        "better",
        "stream",
        "stream",
        {"strategy": "prototype"},
        {"strategy": strategy},
        at_end,
    )

# %%
LATER = (
    "much data, four times the steps",
    "fewer rows, larger lead",
    "the end of a stream",
)

# %% [markdown]
# ## The verdicts

# %%
tested = [row for row in COMPARED if row[3] is not None]
families = [
    [row for row in tested if (row[0] in LATER) == later]
    for later in (False, True)
]
corrected = {}  # text of a claim within its group -> p
for family in families:
    ps = holm([p_value(row[3]) for row in family])
    keys = [row[:2] for row in family]
    corrected |= dict(zip(keys, ps, strict=True))

# %%
lines = [
    "| claim | verdict | points | seeds | page |",
    "|---" * 5 + "|",
]
told, last = {}, ""
for group, text, wanted, differences, page in COMPARED:
    key = group, text
    text = text if group == last else f"**{group}:** {text}"
    last = group
    if differences is None:
        cells = ["*not recorded yet*", "", "", ""]
    else:
        gap = interval(differences, method="t")
        word = judge(gap, corrected[key], wanted)
        told.setdefault(word, []).append(text)
        span = f"{gap.mean:+.1f} [{gap.low:+.1f}, {gap.high:+.1f}]"
        link = f"[{page.replace('_', ' ')}]({page}.ipynb)"
        cells = [f"**{word}**", span, str(len(differences)), link]
    lines.append("| " + " | ".join([text, *cells]) + " |")

# %%
summary = ", ".join(f"{len(v)} {word}" for word, v in told.items())
near = [
    f"*{group}: {text}* ({corrected[group, text]:.4g})"
    for group, text, *_ in tested
    if 0.04 < corrected[group, text] < 0.06
]
Markdown(
    "\n".join(lines)
    + "\n\nPoints: mean difference, with its 95 % interval; for a lead "
    + "that grows, per halving of the rows. "
    + f"{len(families[0])} comparisons in one family, "
    f"{len(families[1])} in a second: {summary}. Corrected p between "
    f"0.04 and 0.06: {', '.join(near) or 'none'}."
)

# %% [markdown]
# *What to see:* first the column of verdicts, then the intervals of
# those that say *not shown*. A narrow one around zero says "there is
# little to win here"; a wide one says "ask again with more seeds". One
# that lies beside zero would count if it were alone; among so many it
# does not. (A chapter corrects within a family of its own, so its word
# may differ.) The last line names the verdicts that hang on the size of
# the family: with one comparison fewer in it they might change. The
# form of our own got its second round of seeds late, so it could be
# moved to the second family. It stays where it was listed. To move it
# with the p-values in view would be a choice by the result.
#
# ## What is no comparison
#
# Some claims are counts or facts. They are computed here, too.

# %%
facts = []
costs = known("costs")

# %%
if costs:
    each = {
        name: m["per_additional_task"]
        for name, m in costs["methods"].items()
        if m["per_additional_task"]
    }
    least = min(each, key=each.get)
    facts.append(
        (
            "Of methods that keep something per task, none keeps less",
            f"{each['pha']:,} numbers; an adapter per task "
            f"{each['adapter_per_task']:,}",
            "held" if each["pha"] == each[least] else "refuted",
            "trade_offs",
        )
    )

# %%
LARGE = 5  # points; our choice


def counted(hits, asked):
    """All, none, or how many of them."""
    if len(hits) == len(asked):
        return "held"
    return f"held for {len(hits)} of {len(asked)}"


# %%
if grid:
    of = {
        m: per_seed(grid["rows"], whole, method=m, n=16)
        for m in ("pha", *RIVALS)
    }
    large = [
        name
        for m, name in RIVALS.items()
        if interval(gaps(of["pha"], of[m]), method="t").low > LARGE
    ]
    facts.append(
        (
            f"With 16 rows PHA leads by more than {LARGE} points",
            f"the whole interval, over: {', '.join(large) or 'nobody'}",
            counted(large, RIVALS),
            "sample_efficiency",
        )
    )


# %%
def undominated(n):
    """Share of seeds in which all that train fewer are worse."""
    numbers = {m: c["trained"] for m, c in costs["methods"].items()}
    ours = per_seed(grid["rows"], whole, method="pha", n=n)
    best = dict.fromkeys(ours, 0.0)
    for method, count in numbers.items():
        if method != "pha" and count <= numbers["pha"]:
            theirs = per_seed(grid["rows"], whole, method=method, n=n)
            best = {s: max(best[s], theirs[s]) for s in best}
    return np.mean([ours[s] > best[s] for s in ours])


# %%
ENDS = (16, 1000)
if grid and costs:
    share = {n: undominated(n) for n in ENDS}
    facts.append(
        (
            "No method is as accurate with fewer trained numbers",
            "; ".join(
                f"n = {n}: in {100 * x:.0f} % of the seeds"
                for n, x in share.items()
            ),
            counted([n for n, x in share.items() if x > 0.5], ENDS),
            "trade_offs",
        )
    )

# %%
names = [n for n in records.names() if n.startswith("bench_")]
benches = [records.load(name) for name in names]


def speed(contender, mark, most):
    """Ratios of every bench in words, and where they stay below."""
    found, kept = [], 0
    for bench in benches:
        asked, times = bench["settings"], bench["groups"]["training"]
        ratio = times[contender]["ratio"] / times[mark]["ratio"]
        shape = f"{asked['batch']} rows of {asked['source']}"
        found.append(f"{ratio:.2f} (T5-{asked['size']}, {shape})")
        kept += ratio <= most
    word = "held" if kept else "refuted"
    if 0 < kept < len(found):
        word = f"held in {kept} of {len(found)}"
    return "; ".join(found), word


# %%
LORA = "LoRA (peft, r = 8)"
KEPT = "PHA, cached encoder"
SPEED = {
    "A training step takes no longer than LoRA's": ("PHA", LORA, 1),
    "... and at most 1.03 of the frozen T5's": ("PHA", "limit", 1.03),
    "... and 0.2 where the encoder is not run": (KEPT, "limit", 0.2),
}
if benches:
    for text, asked in SPEED.items():
        facts.append((text, *speed(*asked), "scale_and_speed"))

# %%
kills = known("kills")
if kills:
    count = len(kills["kills"])
    facts.append(
        (
            "A run that is killed goes on to the same bits",
            f"{kills['equal']} of {count}, killed at random moments",
            "held" if kills["equal"] == count else "refuted",
            "scale_and_speed",
        )
    )

# %%
matrix = known("matrix")
if matrix:
    cells = [c for c in matrix["cells"].values() if c["installed"]]
    good = [c["passed"] for c in cells]
    bad = sum(len(c["failed"]) for c in cells)
    ends = ", ".join(
        f"{name} {' and '.join(c['versions'][name] for c in cells)}"
        for name in ("torch", "transformers", "datasets")
    )
    facts.append(
        (
            "Tests pass with the oldest and the newest libraries",
            f"{bad} of {sum(good) + bad} failed; {ends}",
            "held" if not bad and len(cells) == 2 else "refuted",
            None,
        )
    )

# %%
stream = known("stream")
if stream:
    runs = [r for r in stream["rows"] if r["strategy"] == "prototype"]
    kept = all(
        row[j] == r["R"][j][j]
        for r in runs
        for j in range(len(r["R"]))
        for row in r["R"][j:]
    )
    facts.append(
        (
            "New prototypes change the accuracy of no old task",
            f"in {len(runs)} of {len(runs)} streams"
            if kept
            else "some changed",
            "held" if kept else "refuted",
            "stream",
        )
    )

# %%
more = known("transfer")
if more:
    named = [r["task"] for r in more["rows"] if r["new"] == "new rule"]
    novel = {plots.rule(name) for name in named}
    looks = [r for r in more["retrieval"] if r["k"] == K]
    old = [r for r in looks if plots.rule(r["task"]) not in novel]
    new = [r for r in looks if plots.rule(r["task"]) in novel]
    kind = np.mean([r["kind"] for r in old])
    rivals = {"sentiment", "time", "first-witness", "last-witness"}
    alike = [r for r in old if plots.rule(r["task"]) in rivals]
    right = np.mean([r["rule"] for r in alike])
    sure = [np.mean([r["sure"] for r in some]) for some in (old, new)]
    facts.append(
        (
            "Retrieval finds the right kind of text",
            f"{100 * kind:.0f} % of the retrievals, known rules",
            "held" if kind > 0.95 else "refuted",
            "transfer",
        )
    )

# %%
if more:
    facts += [
        (
            "Retrieval finds the right rule among rivals",
            f"{100 * right:.0f} %; a coin between two has 50 %",
            "held" if right > 0.75 else "refuted",
            "transfer",
        ),
        (
            "Retrieval is less sure of a rule it does not know",
            f"{100 * sure[1]:.0f} % sure, against "
            f"{100 * sure[0]:.0f} % of known ones",
            "held" if sure[1] < sure[0] else "refuted",
            "transfer",
        ),
    ]

# %%
if more:
    wanted = {"new": "new rule", "tune": "prototype", "k": 32}
    wanted["start"] = "retrieved"
    got = list(per_seed(more["rows"], tuned, **wanted).values())
    found = interval(got, method="t")
    suite, shares = load_suite(seed=0), []
    for name in sorted(set(named)):
        drawn = episode(suite[name], 32, limit=100)["test"]["target"]
        most = max(Counter(drawn).values())
        shares.append(100 * most / len(drawn))
    constant, word = np.mean(shares), "not shown"
    if found.low > constant:
        word = "held"
    elif found.high < constant:
        word = "refuted"
    facts.append(
        (
            "A prototype tuned on 32 examples holds a new rule",
            f"{found.mean:.0f} % [{found.low:.0f}, {found.high:.0f}], "
            f"one answer to all has {constant:.0f} %",
            word,
            "transfer",
        )
    )

# %%
real = known("real_data")
if real:
    rows = [row for row in real["rows"] if row["method"] == "pha"]
    names = rows[0]["tasks"]

    def mean_of(key):
        return np.array(
            [[r[key][n] for n in names] for r in rows]
        ).mean(0)

    best = np.maximum(mean_of("majority"), mean_of("bag_of_words"))
    won = int((mean_of("tasks") > best + 1e-9).sum())
    facts.append(
        (
            "On people's sentences, too, PHA with our T5 is of use",
            f"above both cheap controls on {won} of {len(names)} sets",
            "held" if won > len(names) / 2 else "refuted",
            "sample_efficiency",
        )
    )

# %%
lines = ["| claim | verdict | found | page |", "|---|---|---|---|"]
for text, shown, word, page in facts:
    link = f"[{page.replace('_', ' ')}]({page}.ipynb)" if page else ""
    lines.append(f"| {text} | **{word}** | {shown} | {link} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* words here come from thresholds and not from tests, and
# lines joined as the book grew, after their figures had been seen. The
# thresholds are coarse and stand in the code: 95 %
# for the kind of text, 75 % for rivals, "less" for the confidence,
# above one constant answer with the whole interval for new rules, more
# than half of the seeds for the trade-off and of the sets for people's
# sentences. The chapters on
# [transfer](transfer.ipynb), [streams](stream.ipynb) and
# [speed](scale_and_speed.ipynb) show the numbers behind them.

# %% [markdown]
# ## What this does not say
#
# All of it was found on generated tasks, with a small T5 that we
# trained ourselves. On GLUE with T5-base things may be otherwise, for
# better or worse; `pha reproduce glue` asks there, and nobody has run
# it at full size for this book. "Much data" means 1000 rows per task.
# With the steps of 128 rows that is a short training, so there is a
# longer one beside it, in
# [Sample efficiency](sample_efficiency.ipynb). What carries over is the
# way of asking: the controls, the seeds, the pairs, the corrections.
#
# ## What a rerun takes
#
# Every experiment is a command, and a cell that is done is not run
# again. From nothing, with a process on each of two cores:

# %%
RUN = "python -m pha_lite.experiments"
PART_ONE = "backbone", "cards", "few_shot", "low_data", "variants"
made = {n: records.load(n) for n in records.names()}
made = {n: r for n, r in made.items() if r["command"].startswith(RUN)}


def minutes(record, most=None):
    """Of a rerun with so many seeds; cells count alike."""
    whole = record["cpu_seconds"] / 2 / 60  # summed over two processes
    seeds = [row["seed"] for row in record.get("rows", [])]
    tuned, settings = len(record.get("curve", [])), record["settings"]
    rounds = {"all": {"seeds": sorted(set(seeds))}}
    if record["experiment"] == "forms":  # two rounds, own seeds
        rounds = settings["rounds"]
    kept = {s for part in rounds.values() for s in part["seeds"][:most]}
    if record["experiment"] in ("few_shot", "transfer"):
        # their cell is a model, in tuning, too
        seeds = sorted(set(seeds))
        tuned = len(settings["tuning_seeds"])
    if not seeds:
        return whole
    left = tuned + sum(seed in kept for seed in seeds)
    return whole * left / (tuned + len(seeds))


# %%
FEW = 2  # seeds of a short rerun
longest = sorted(made, key=lambda n: minutes(made[n]), reverse=True)
lines = [
    f"| experiment | minutes | with {FEW} seeds |",
    "|---|--:|--:|",
]
sums = {None: 0.0, FEW: 0.0}
for name in longest:
    cells = []
    for most in sums:
        cells.append(f"{minutes(made[name], most):.0f}")
        if name not in PART_ONE:
            sums[most] += minutes(made[name], most) / 60
    mark = " (Part I)" if name in PART_ONE else ""
    lines.append(f"| `{name}`{mark} | {' | '.join(cells)} |")
Markdown(
    "\n".join(lines)
    + f"\n\nThe experiments of this part: **{sums[None]:.1f} hours**, "
    f"with {FEW} seeds **{sums[FEW]:.1f} hours**. Timings, the kill "
    "test and the matrix of versions are not counted."
)

# %% [markdown]
# We had set out to stay below about six hours, and the recorded runs
# took longer: seeds are what makes a verdict worth reading, and they
# were paid for first. `python -m pha_lite.experiments all --seeds 2`
# takes what the last column says. It tunes as the records did, and
# what it finds has wider intervals. (Two seeds can tell hardly anything apart. They
# can tell whether *you* get what we got.)
#
# What was made smaller even so: the wide grid of *Sample efficiency*
# runs on half of the suite, tunes with one seed, and has ten seeds up
# to 64 rows but five above. (Ten were
# planned for few rows; the last five were run when the verdicts of the
# first five had been seen.) The tables say wherever a record has fewer
# than five seeds. The records of `sample_efficiency`,
# `more_steps`, `ablations`, `other_tasks`, `stream` and `real_data` are
# written after every seed, so these reruns may be stopped early and
# still compare all methods.
#
# ## What could go wrong
#
# - **A verdict is read as a law.** It speaks of other seeds on these
#   tasks, not of other tasks.
# - **"Not shown" is read as "no".** Look at the interval.
# - **One average.** PHA's lead depends on whether tasks are relatives
#   or rivals; [the ablations](ablations.ipynb) keep the halves apart.
# - **A family that grows.** Each comparison added makes all others
#   harder to show. That is honest, and a reason to list few.

# %% [markdown]
# ## Exercises
#
# ````{exercise} One half only
# :label: scorecard-half
#
# With 16 rows, take the accuracy on the conflicting half in the place
# of `whole`. Over which rivals does the lead grow, over which does it
# shrink, and does any verdict change? Why is it not allowed to report
# only this half?
# ````
#
# ````{solution} scorecard-half
# :class: dropdown
#
# ```python
# def half(row):
#     return row["test"]["conflicting"]
#
# for method in RIVALS:
#     for value in (whole, half):
#         one, two = (
#             per_seed(grid["rows"], value, method=m, n=16)
#             for m in ("pha", method)
#         )
#         found = interval(gaps(one, two), method="t")
#         print(method, value.__name__, [round(x, 1) for x in found])
# ```
#
# Choosing the half after looking is choosing the result. Both halves,
# or the one that was named beforehand.
# ````

# %% [markdown]
# ````{exercise} How many seeds?
# :label: scorecard-seeds
#
# Take a comparison that is *not shown*. Suppose that its mean and
# spread stay as they are. How many seeds would it take until its
# interval leaves zero out?
# ````
#
# ````{solution} scorecard-seeds
# :class: dropdown
#
# ```python
# for group, text, wanted, differences, page in tested:
#     mean, spread = differences.mean(), differences.std(ddof=1)
#     for n in range(2, 2000):
#         if abs(mean) > stats.t.ppf(0.975, n - 1) * spread / n**0.5:
#             break
#     print(f"{n:5d} seeds: {text}")
# ```
#
# Where it takes hundreds, the difference is too small to matter to
# anybody who trains one model.
# ````

# %% [markdown]
# ````{exercise} Without pairs
# :label: scorecard-pairs
#
# The two sides share their seeds. Compare them as if they did not
# (`scipy.stats.ttest_ind`). Which p-values rise, and is there one
# that falls? Why may you not choose the smaller of the two?
# ````
#
# ````{solution} scorecard-pairs
# :class: dropdown
#
# ```python
# rows = records.load("few_shot")["rows"]
# for start in AGAINST:
#     one, two = (
#         list(per_seed(rows, tuned, start=s, k=K).values())
#         for s in ("retrieved", start)
#     )
#     paired = p_value(np.subtract(one, two))
#     print(start, paired, stats.ttest_ind(one, two).pvalue)
# ```
#
# Pairs remove what both sides share, a well or badly trained model.
# Where the sides share nothing, they only cost degrees of freedom.
# Which test is used must follow from how the runs were made, and
# these were made in pairs.
# ````

# %% [markdown]
# ## Summary
#
# - A claim is a comparison, named beforehand or said to be later, with
#   a rule that can fail it.
# - "As good as" needs a margin; "better" needs a corrected test.
# - What holds by construction (no forgetting, few numbers per task)
#   is cheap to promise. What must be measured was measured.
#
# **Check yourself.** Which verdict can a claim get that was tested
# with a single seed? Why does "as good as" need a margin and "better"
# none? What would have to happen for a *held* to become *refuted*?
#
# **In the code.** `pha_lite/records.py` reads the records in
# `data/results`; each says which command, commit and seeds made it.
#
# **Next.** The evidence itself, chapter by chapter.

# %%
spent = time.perf_counter() - began
print(f"This page took {spent:.1f} seconds")
