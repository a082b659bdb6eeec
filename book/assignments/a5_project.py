# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     goal: ask something, measure it fairly, and say what came out
#     chapters: [few_shot, prototypes]
#     minutes: 480
#     colab: [faiss-cpu]
# ---

# %% [markdown]
# # Assignment 5: A research project
#
# One question, two arms, one number. You plan a small experiment with a
# trained PHA, write down what you expect, run it, and report what came
# out. Half of the points come from tests: of your statistics, and of a
# record that must fit together. The other half comes from a reader
# with the two tables of points below. *No* and *I cannot tell* earn
# exactly as much as *yes*. A wrong prediction costs nothing; one that
# was written after the result does.

# %%
# IGNORE: what the tests import
from pha_lite.check import choice, same
from scipy import stats

# %%
import numpy as np
import torch
import torch.nn.functional as F
from pha_lite import PHAModel, load_suite
from pha_lite.check import Notebook
from pha_lite.paths import data_dir
from scipy import stats

VARIANT = 1  # your teacher may have set another one: leave it
torch.manual_seed(VARIANT)
grader = Notebook("a5_project")
model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
print(f"torch {torch.__version__}, CPU, variant {VARIANT}")
print(f"a PHA trained on {len(model.config.tasks)} tasks")

# %% [markdown]
# ## Tools first
#
# The first four questions make what the project needs.

# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4


# %% [markdown]
# ## q1. The interval of a difference (4 points)
#
# Two arms ran on the same seeds: `a[i]` and `b[i]` belong together.
# Write `paired_interval(a, b)`. It returns three plain numbers: the
# mean of the differences a - b, and the lower and upper end of its
# 95 % interval by Student's t. `stats.t.ppf` of scipy knows the t
# distribution. If all differences are equal, the interval has no
# width.

# %% [raw]
# # BEGIN SOLUTION


# %%
def paired_interval(a, b):
    """(difference, low, high) of a - b, pair by pair."""
    # BEGIN SOLUTION
    d = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    half = (
        stats.t.ppf(0.975, len(d) - 1) * d.std(ddof=1) / len(d) ** 0.5
    )
    return (
        float(d.mean()),
        float(d.mean() - half),
        float(d.mean() + half),
    )
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(paired_interval):
    got = paired_interval([0.9, 0.7, 0.8], [0.8, 0.7, 0.7])
    assert isinstance(got, tuple | list) and len(got) == 3, (
        f"paired_interval must return three numbers, got {got!r}"
    )
    where = "for the differences 0.1, 0 and 0.1"
    same(got[0], 0.0666667, f"the difference {where}")
    hint = "t with two degrees of freedom, times the standard error."
    same(got[1], -0.0767551, f"the lower end {where}", hint)
    same(got[2], 0.2100884, f"the upper end {where}", hint)


# %%
# Hidden: arms compared as if they had nothing to do with each other
def test_pairs(paired_interval):
    a = [0.55, 0.91, 0.62, 0.78, 0.70]
    b = [0.53, 0.88, 0.61, 0.74, 0.69]
    d = [x - y for x, y in zip(a, b, strict=True)]
    mean = sum(d) / 5
    error = (sum((x - mean) ** 2 for x in d) / 4 / 5) ** 0.5
    got = paired_interval(a, b)
    for value, want, what in zip(
        got,
        (mean, mean - 2.776445 * error, mean + 2.776445 * error),
        ("the difference", "the lower end", "the upper end"),
        strict=True,
    ):
        same(
            value,
            want,
            f"{what} of five pairs that rise and fall as one",
        )


# %%
# Hidden: 1.96 for few and for many, n in place of n - 1
def test_two_and_many(paired_interval):
    for n in (2, 24):
        d = [(i * 7 % 11) / 100 for i in range(n)]
        low, high = stats.t.interval(
            0.95, n - 1, loc=sum(d) / n, scale=stats.sem(d)
        )
        got = paired_interval([x + 0.5 for x in d], [0.5] * n)
        same(got[1], float(low), f"the lower end for {n} pairs")
        same(got[2], float(high), f"the upper end for {n} pairs")


# %%
# Hidden: nan, and a difference the other way round
def test_no_spread(paired_interval):
    got = paired_interval([0.75, 0.5], [0.5, 0.25])
    for value, what in zip(
        got, ("difference", "low", "high"), strict=True
    ):
        same(value, 0.25, f"{what} where both differences are 0.25")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 3


# %% [markdown]
# ## q2. How many seeds? (3 points)
#
# Before you run anything: if the differences spread with the standard
# deviation `spread`, how many seeds make the interval of q1 tell an
# effect of size `effect` from zero? Write `seeds_needed(effect,
# spread)`: the smallest whole n, at least 2, for which the half width
# $t_{n-1}\,\mathit{spread}/\sqrt n$ is smaller than the effect. It is
# a rough rule: with so many seeds you still miss a true effect of this
# size about every second time. `effect` is always above zero: no
# number of seeds tells an effect of zero from zero.

# %% [raw]
# # BEGIN SOLUTION


# %%
def seeds_needed(effect, spread):
    """Smallest n >= 2 with a half width below the effect."""
    # BEGIN SOLUTION
    n = 2
    while stats.t.ppf(0.975, n - 1) * spread / n**0.5 >= effect:
        n += 1
    return n
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(seeds_needed):
    same(
        seeds_needed(0.05, 0.03),
        4,
        "seeds_needed for an effect of 0.05 and a spread of 0.03",
        "The half width is 0.0745 for three seeds, 0.0477 for four.",
    )


# %%
# Hidden: the normal distribution, one degree of freedom too many
def test_other_sizes(seeds_needed):
    for effect, spread in ((0.1, 0.05), (0.05, 0.05), (0.02, 0.05)):
        n = 2
        while stats.t.ppf(0.975, n - 1) * spread / n**0.5 >= effect:
            n += 1
        what = f"seeds_needed({effect}, {spread})"
        same(seeds_needed(effect, spread), n, what)


# %%
# Hidden: fewer than two, and sides swapped
def test_large_effect(seeds_needed):
    same(seeds_needed(0.9, 0.001), 2, "seeds_needed(0.9, 0.001)")
    same(seeds_needed(0.03, 0.001), 2, "seeds_needed(0.03, 0.001)")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 1


# %% [markdown]
# ## q3. Five out of five (1 point)
#
# Five seeds, and the first arm is ahead on every one. If both arms were
# alike, each difference could as well have had the other sign. How
# likely is it then that all five have the *same* sign, whichever?
#
# - a: 1/32
# - b: 1/16
# - c: 1/20
# - d: 1/5

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_3 = "b"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letter(answer_3):
    choice(answer_3, "abcd", "answer_3")


# %%
# Hidden
def test_right(answer_3):
    assert answer_3 == "b", (
        "two of 32 patterns of signs: so five seeds alone never reach "
        "p < 0.05 in this test"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 1


# %% [markdown]
# ## q4. Ten looks (1 point)
#
# Someone compares ten pairs of arms that do not differ at all, each on
# new seeds, and reports the pair whose 95 % interval leaves zero out.
# How often will there be at least one such pair?
#
# - a: in 5 % of the cases
# - b: in 10 %
# - c: in about 40 %
# - d: in 50 %

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_4 = "c"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letter(answer_4):
    choice(answer_4, "abcd", "answer_4")


# %%
# Hidden
def test_right(answer_4):
    assert answer_4 == "c", "all ten stay in with 0.95 to the tenth"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Choose a question
#
# Take one of these, or one of your own that needs no more than two arms
# and the trained `model`:
#
# - Does it matter from which prototype tuning starts? For example
#   `start="random"` against `start="mean"`, after 5 steps or after 50.
# - Is tuning the prototype alone enough, or does it pay to tune
#   `"all"`?
# - What is worth more: twice the examples, or twice the steps?
# - Do wrong labels hurt a retrieved start less than a fresh one?
#   `load_suite(seed=VARIANT, noise=0.2)` makes them, among training
#   rows only: validation and test rows keep their right labels.
# - Is the prototype of a rival, a task that reads the same texts, a
#   worse start than that of a stranger? See `suite.rivals`.
# - Does `start="loss"`, which reads the k answers, beat
#   `start="retrieved"`, which does not?
# - Do balanced examples help? `adapt` always balances what it draws
#   from a task. For unbalanced ones cut the task to exactly k rows
#   first, `task.sample(k, seed=seed)`, and give that to `adapt` with
#   the same k: then nothing is left to choose.
#
# One run of few-shot transfer is a line, and `.before` and `.after` are
# accuracies on the same 100 query rows for every seed:
#
# ```python
# from pha_lite import adapt
#
# task = load_suite(seed=VARIANT)["time/museum"]
# adapt(model, task, k=16, start="mean", steps=20, seed=0, limit=100)
# ```

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 5
# manual: true


# %% [markdown]
# ## q5. The plan (5 points, read by your teacher)
#
# Write it *before* you run a comparison. You may try out whether your
# code works, on one seed that you do not use later. A point for each:
#
# | | a point for |
# |---|---|
# | question | one sentence that a single number can answer |
# | prediction | which arm is ahead, by about how much, and why |
# | arms | they differ in one thing; what is the same in both |
# | data | which tasks and rows, what a seed draws, and that nothing is chosen by the rows that give the score |
# | reading | how many seeds and why; which intervals will mean yes, no and open |
#
# For *no* you need a margin: the smallest difference that you would
# care about. An interval that lies within the margin around zero says
# no, even if `record` of q6 calls it `"open"`; one that holds zero and
# reaches beyond the margin says nothing.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# For example:
#
# - **Question.** Does retrieval find a task of the right rule more
#   often from four texts of a new task than from one?
# - **Prediction.** Yes, by about 0.1: one text may be odd, and a mean
#   of four cosines is steadier. Not by more, for no number of texts
#   tells rivals apart.
# - **Arms.** Only the number of texts differs. Same model, same tasks,
#   same seeds; the one text is among the four.
# - **Data.** The sixteen tasks whose surface no training task has. A
#   seed draws the texts. Nothing is tuned or chosen. The score is the
#   share of tasks whose best prototype is of the same rule.
# - **Reading.** Five seeds; with a spread of 0.08, a guess, an effect
#   of 0.1 just shows. Yes if the interval lies above zero, no if below
#   or within 0.05 of zero, else open.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6
# points: 6


# %% [markdown]
# ## q6. The experiment (6 points)
#
# Write `score(arm, seed)`: it runs one arm with one seed and returns
# its score, a plain number. The same arm and seed must always give the
# same score. Then fill the other lines. `record` holds
#
# - `question` and `prediction`: texts, as in your plan;
# - `first` and `second`: what you call your arms, words for `score`;
# - `seeds`: at least five different whole numbers, from 100 times
#   `VARIANT` on; add more if your plan says so;
# - `first_scores` and `second_scores`: lists in the order of `seeds`;
# - `interval`: what q1 says of first minus second;
# - `answer`: `"first"` if the interval lies above zero, `"second"` if
#   below, and `"open"` if it holds zero. Your margin, and with it a
#   *no*, belongs to the report.
#
# If all seeds share one task, its query rows and one model, then what
# is special about these is in every difference alike, and no number of
# seeds averages it out. Your interval then speaks for this task, these
# rows and this model, and for other draws of examples. Say so in the
# report.
#
# `record` has two arms and no more. A control that you measure, such
# as a third arm, goes into a cell of its own below it, with the same
# seeds and the same `score`, and into the report.
#
# Grading runs `score` for your first seed again, once for each arm,
# and compares. It stops a cell after one minute, and this comparison,
# too: if both calls together take longer, its two points are lost, so
# take fewer rows or steps. If only the cell with all seeds takes
# longer, run it once and write the two lists into the notebook in
# place of the calls.

# %% [raw]
# # BEGIN SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
suite = load_suite(seed=VARIANT, sizes={"train": 200})
new = [
    name
    for name, cell in suite.cells.items()
    if cell.new_surface and not cell.new_rule
]
known = F.normalize(model.trained.prototypes.vectors, dim=1)  # (T, e)
# END SOLUTION


def score(arm, seed):
    """One number for one arm and one seed."""
    # BEGIN SOLUTION
    count = {"one text": 1, "four texts": 4}[arm]
    texts = []
    for name in new:
        rows = suite[name].sample(count, seed=seed)["train"]
        texts += list(rows["source"])
    z = model.embed(texts).view(len(new), count, -1)
    best = (z @ known.T).mean(dim=1).argmax(dim=1)  # a task for each
    found = [model.config.tasks[t].split("/")[0] for t in best]
    asked = [name.split("/")[0] for name in new]
    return sum(map(str.__eq__, found, asked)) / len(new)
    # END SOLUTION


# %%
# BEGIN SOLUTION NO PROMPT
def said(difference, low, high):
    return "first" if low > 0 else "second" if high < 0 else "open"


# END SOLUTION
question = "Do four texts find the rule more often?"  # SOLUTION
prediction = "Yes, by about 0.1: a mean is steadier."  # SOLUTION
first = "four texts"  # SOLUTION
second = "one text"  # SOLUTION
seeds = [100 * VARIANT + i for i in range(5)]
first_scores = [score(first, seed) for seed in seeds]  # SOLUTION
second_scores = [score(second, seed) for seed in seeds]  # SOLUTION
interval = paired_interval(first_scores, second_scores)  # SOLUTION
answer = said(*interval)  # SOLUTION

record = {
    "question": question,
    "prediction": prediction,
    "first": first,
    "second": second,
    "seeds": seeds,
    "first_scores": first_scores,
    "second_scores": second_scores,
    "interval": interval,
    "answer": answer,
}
record

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_form(record):
    texts = "question prediction first second answer".split()
    for name in texts:
        assert isinstance(record[name], str), (
            f"{name} must be a text, got {record[name]!r}"
        )
    for name in ("first_scores", "second_scores"):
        assert isinstance(record[name], list), (
            f"{name} must be a list, got {record[name]!r}"
        )
    got = record["interval"]
    assert isinstance(got, tuple | list) and len(got) == 3, (
        f"interval must hold three numbers, as in q1, got {got!r}"
    )
    assert record["first"] != record["second"], "both arms are the same"
    import json

    try:
        json.dumps(record)
    except TypeError as error:
        raise AssertionError(
            f"scores and interval must be plain numbers: {error}"
        ) from None


# %%
def test_lengths(record):
    for name in ("first_scores", "second_scores"):
        assert isinstance(record[name], list), f"{name} is no list yet"
        assert len(record[name]) == len(record["seeds"]), (
            f"{len(record['seeds'])} seeds and {len(record[name])} "
            f"{name}: every seed runs both arms"
        )


# %%
def test_spread(record):
    scores = record["first_scores"], record["second_scores"]
    lists = [arm for arm in scores if isinstance(arm, list)]
    assert any(len(set(arm)) > 1 for arm in lists), (
        "no score changes with the seed: does `score` use it, or is "
        "every score at its limit? Then choose a harder task."
    )


# %%
# Hidden: too few seeds, the same ones again, those of another variant
def test_seeds(record):
    seeds = record["seeds"]
    assert record["first_scores"] is not ..., "no score yet"
    assert len(seeds) >= 5, f"at least five seeds, got {len(seeds)}"
    assert len(set(seeds)) == len(seeds), f"seeds repeat: {seeds}"
    assert all(type(seed) is int for seed in seeds), "not whole numbers"
    assert min(seeds) == 100 * VARIANT, (
        f"seeds begin at {100 * VARIANT}, got {min(seeds)}"
    )


# %%
# Hidden: per cent, nan, lists that do not fit
def test_scores(record):
    seeds, arms = record["seeds"], ("first_scores", "second_scores")
    for name in arms:
        assert len(record[name]) == len(seeds), (
            f"{name}: not one a seed"
        )
        assert all(-1 <= score <= 1 for score in record[name]), (
            f"{name} must lie between -1 and 1: {record[name]}"
        )
    found = [set(record[name]) for name in arms]
    assert any(len(arm) > 1 for arm in found), "no score changes"


# %%
# Hidden: an interval that is not that of the scores
def test_interval(record):
    a, b = record["first_scores"], record["second_scores"]
    d = [x - y for x, y in zip(a, b, strict=True)]
    mean = sum(d) / len(d)
    spread = sum((x - mean) ** 2 for x in d) / (len(d) - 1)
    half = stats.t.ppf(0.975, len(d) - 1) * (spread / len(d)) ** 0.5
    wanted = mean, mean - half, mean + half
    for got, want in zip(record["interval"], wanted, strict=True):
        same(got, float(want), "a number of the interval", atol=1e-3)


# %%
# Hidden: more said than measured
def test_answer(record):
    _, low, high = record["interval"]
    want = "first" if low > 0 else "second" if high < 0 else "open"
    assert record["answer"] == want, (
        f"an interval from {low:.3f} to {high:.3f} says {want!r}, not "
        f"{record['answer']!r}"
    )


# %%
# Hidden (2 points): scores that do not come from score
def test_again(score, record):
    seed = record["seeds"][0]
    for arm in ("first", "second"):
        got, noted = (
            score(record[arm], seed),
            record[f"{arm}_scores"][0],
        )
        same(
            got,
            float(noted),
            f"score({record[arm]!r}, {seed})",
            "That is what the record holds.",
            atol=0.02,
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7
# points: 10
# manual: true


# %% [markdown]
# ## q7. The report (10 points, read by your teacher)
#
# One page, with the numbers of `record` and a table or figure that a
# cell of yours makes. Up to two points in each row:
#
# | | 0 | 1 | 2 |
# |---|---|---|---|
# | answer | none, or to another question | stronger than its interval | as strong as its interval, *open* included |
# | evidence | single numbers | means with an interval | also every seed, so that a reader can see the pairs |
# | control | none | named, not measured | measured, and it rules out the likeliest other reason |
# | limits | none | general words | what was not varied, and which of it could turn the answer round |
# | plan | changes not named | changes named | with reasons, and the prediction held against the result |

# %% [raw]
# # BEGIN SOLUTION

# %%
# BEGIN SOLUTION
for seed, a, b in zip(seeds, first_scores, second_scores, strict=True):
    print(f"seed {seed}: {first} {a:.3f}, {second} {b:.3f}")
print("difference {:.3f} [{:.3f}, {:.3f}]".format(*interval), answer)
# END SOLUTION

# %% [markdown]
# For example, on a variant where the interval holds zero:
#
# - **Answer.** Open: the table above shows each seed, with four texts
#   and with one. The interval of the difference holds zero, and it is
#   too wide to say that there is no difference.
# - **Evidence.** The table, pair by pair, with the interval below it.
# - **Control.** Where could the missing part come from? Half of the
#   sixteen tasks have a rival, whose texts look the same. If every kind
#   of input were found and rivals were told apart by a coin, the score
#   would be three quarters. Counting the right *kind* in place of the
#   right rule, with the same `score`, tells whether that is so.
# - **Limits.** One trained model, so its training seed was not varied;
#   two surfaces of one invented world. With another model the rivals
#   may lie further apart. With more tasks the interval shrinks.
# - **Plan.** Nothing was changed. The prediction did not come true. A
#   reason may be that what is uncertain here, which rival is meant, is
#   the same in all texts, so that a mean of them settles nothing.
#
# A report that claims a difference here gets no more than one point for
# its answer, however well it is written.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run the notebook from the top once more, save it, and hand in this
# file, `a5_project.ipynb`.

# %%
grader.check_all()
