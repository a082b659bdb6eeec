# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     goal: bring a new task in with four examples, and compare starts fairly
#     chapters: [prototypes, few_shot]
#     minutes: 120
# ---

# %% [markdown]
# # Assignment 4: Few-shot transfer
#
# A trained model meets a task it has never seen, with four labelled
# examples. Where should the new prototype start, and is a clever
# start worth anything? Here you build such an experiment, piece by
# piece: the draw, the retrieval, a control, the tuning of one vector,
# the choice of settings and the comparison. You learn to see leaks in
# one, and at the end you run your own on a trained PHA.

# %%
# IGNORE: what the tests import
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

# %%
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from pha_lite import PHAModel, load_suite
from pha_lite.check import Notebook
from pha_lite.evaluate import interval
from pha_lite.fewshot import episode
from pha_lite.paths import data_dir
from pha_lite.routing import Route
from torch import nn

VARIANT = 1  # your teacher may have set another one: leave it
SEED = 0
torch.manual_seed(SEED)
grader = Notebook("a4_few_shot")
print(f"torch {torch.__version__}, CPU, variant {VARIANT}, seed {SEED}")

# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 4

# %% [markdown]
# ## q1. An episode (4 points)
#
# An episode is k labelled examples to learn from, and query rows to
# be scored on. Write `draw_episode(answers, tests, k, limit, seed)`.
# `answers` lists the answer of every training row of the task,
# `tests` is the number of its test rows. The function returns two
# lists of row numbers, counted from 0:
#
# - `few`: k different training rows. How often the answers occur
#   among them differs by at most one. The seed decides which rows.
# - `few` is nested: with the same seed, the rows of a smaller k are
#   among those of a larger one.
# - `query`: `limit` different test rows. They are always the same
#   ones, whatever k and the seed are.
#
# Each class has enough rows. Called twice with the same arguments,
# the function returns the same, whatever was drawn before.

# %% [raw]
# # BEGIN SOLUTION


# %%
def draw_episode(answers, tests, k, limit, seed):
    """(few, query): two lists of row numbers."""
    # BEGIN SOLUTION
    order = np.random.default_rng(seed).permutation(len(answers))
    turns, seen = [], {}
    for row in order.tolist():  # how many of its class came before it
        turn = seen.get(answers[row], 0)
        turns.append((turn, len(turns), row))
        seen[answers[row]] = turn + 1
    few = [row for _, _, row in sorted(turns)[:k]]
    query = np.random.default_rng(0).permutation(tests)[:limit].tolist()
    return few, query
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_two_lists(draw_episode):
    answers = ["yes", "no"] * 20
    got = draw_episode(answers, 30, 4, 10, 0)
    assert isinstance(got, tuple | list) and len(got) == 2, (
        f"draw_episode must return few and query, got {got!r}"
    )
    few, query = map(list, got)
    assert len(few) == 4 and set(few) <= set(range(40)), (
        f"few must be 4 rows out of 40 for k = 4, got {few}"
    )
    assert len(query) == 10 and set(query) <= set(range(30)), (
        f"query must be 10 rows out of 30 for limit = 10, got {query}"
    )
    for seed in range(6):
        few = draw_episode(answers, 30, 4, 10, seed)[0]
        found = sorted(answers[row] for row in few)
        assert found == ["no", "no", "yes", "yes"], (
            f"4 examples of yes and no must be two and two, got {found} "
            f"for the seed {seed}"
        )


# %%
def test_each_promise(draw_episode):
    answers = ["yes", "no"] * 20
    drawn = {}
    for k, seed in ((4, 0), (3, 0), (4, 1)):
        got = draw_episode(answers, 30, k, 10, seed)
        assert isinstance(got, tuple | list) and len(got) == 2, (
            f"draw_episode must return few and query, got {got!r}"
        )
        drawn[k, seed] = [list(map(int, part)) for part in got]
    three, four = drawn[3, 0][0], drawn[4, 0][0]
    counts = sorted(
        sum(answers[row] == word for row in three)
        for word in answers[:2]
    )
    assert counts == [1, 2], (
        f"3 examples must be two of one answer and one of the other, "
        f"got {counts}"
    )
    assert set(three) <= set(four), (
        f"the rows of k = 3, {three}, must be among those of k = 4 with "
        f"the same seed, {four}"
    )
    assert set(four) != set(drawn[4, 1][0]), (
        f"the seeds 0 and 1 draw the same examples, {four}"
    )
    queries = {tuple(sorted(query)) for _, query in drawn.values()}
    assert len(queries) == 1, (
        "the query rows must not change with k or the seed"
    )
    again = list(map(int, draw_episode(answers, 30, 4, 10, 0)[0]))
    assert again == four, "a second call draws other examples"


# %%
# Hidden (2 points): a class too few or too many, one row twice
def test_balanced(draw_episode):
    lots = np.random.default_rng(1)
    for words in (["yes", "no"], ["a", "b", "c"]):
        answers = [words[i] for i in lots.integers(len(words), size=99)]
        for k in (1, 2, 5, 7, 16, 31):
            for seed in range(4):
                few, _ = draw_episode(answers, 50, k, 5, seed)
                few = [int(row) for row in few]
                assert len(few) == len(set(few)) == k, (
                    f"few must be {k} different rows, got {few}"
                )
                counts = [
                    sum(answers[row] == word for row in few)
                    for word in words
                ]
                assert max(counts) - min(counts) <= 1, (
                    f"k = {k}: the answers occur {counts} times"
                )


# %%
# Hidden (0.5 points): a larger k draws other rows
def test_nested(draw_episode):
    answers = ["yes", "no", "no"] * 30
    for seed in range(5):
        before = set()
        for k in (1, 3, 4, 9, 16):
            few = set(map(int, draw_episode(answers, 9, k, 5, seed)[0]))
            assert before <= few, (
                "with the same seed, rows of a smaller k are missing "
                "among those of a larger one"
            )
            before = few


# %%
# Hidden: query rows that are drawn with the examples
def test_query_stays(draw_episode):
    answers = ["yes", "no"] * 40
    first = None
    for seed in range(4):
        for k in (2, 4, 16):
            query = list(draw_episode(answers, 200, k, 20, seed)[1])
            query = [int(row) for row in query]
            assert len(set(query)) == 20, "a query row stands twice"
            first = query if first is None else first
            assert query == first, (
                f"the query rows changed with seed {seed} and k = {k}"
            )


# %%
# Hidden: one draw for all seeds, or another at each call
def test_the_seed_decides(draw_episode):
    answers = ["yes", "no"] * 40
    drawn = [draw_episode(answers, 9, 4, 5, seed) for seed in range(6)]
    few = {tuple(sorted(map(int, f))) for f, _ in drawn}
    assert len(few) > 3, "six seeds draw nearly the same examples"
    again = [draw_episode(answers, 9, 4, 5, seed) for seed in range(6)]
    for (one, _), (two, _) in zip(drawn, again, strict=True):
        assert sorted(one) == sorted(two), (
            "the same seed draws other examples at its second call"
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 3

# %% [markdown]
# ## q2. Retrieval (3 points)
#
# Write `prototype_scores(z, prototypes)`: one score for each of T
# prototypes, the *mean* of its cosines with the points of k texts.
# `z` has the shape (k, e), `prototypes` (T, e), and neither has been
# brought to length 1. The result has the shape (T,).

# %% [raw]
# # BEGIN SOLUTION


# %%
def prototype_scores(z, prototypes):
    """(T,): the mean cosine of each prototype with k points."""
    # BEGIN SOLUTION
    cosines = F.normalize(z, dim=1) @ F.normalize(prototypes, dim=1).T
    return cosines.mean(dim=0)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_shape(prototype_scores):
    got = prototype_scores(torch.ones(4, 3), torch.ones(7, 3))
    shaped(got, (7,), "prototype_scores of 4 points and 7 prototypes")


# %%
def test_one_text(prototype_scores):
    same(
        prototype_scores(
            torch.tensor([[2.0, 0.0]]),
            torch.tensor([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0]]),
        ),
        torch.tensor([1.0, 0.0, -1.0]),
        "prototype_scores of the point (2, 0) with the prototypes "
        "(5, 0), (0, 3) and (-1, 0)",
    )


# %%
# Hidden (2 points): lengths that count, the mean first, votes
def test_mean_of_cosines(prototype_scores):
    torch.manual_seed(1)
    for k, T in ((1, 2), (4, 24), (5, 5), (16, 3)):
        z = torch.randn(k, 6) * torch.rand(k, 1) * 9
        prototypes = torch.randn(T, 6) * torch.rand(T, 1) * 9
        want = [
            sum((a @ b) / (a.norm() * b.norm()) for a in z) / k
            for b in prototypes
        ]
        what = f"prototype_scores of {k} points"
        got = prototype_scores(z, prototypes)
        same(got, torch.stack(want), what)


# %%
# Hidden: points or prototypes are changed in place
def test_leaves_its_inputs(prototype_scores):
    torch.manual_seed(2)
    z, prototypes = torch.randn(3, 4), torch.randn(5, 4)
    kept = z.clone(), prototypes.clone()
    got = prototype_scores(z, prototypes)
    same(z, kept[0], "z after the call")
    same(prototypes, kept[1], "the prototypes after the call")
    shaped(got, (5,), "prototype_scores of 3 points")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 3

# %% [markdown]
# ## q3. A control (3 points)
#
# Most trained prototypes may be a good start, whichever one takes.
# So each start is compared with a *random* trained prototype. Write
# `random_start(task, known, seed)`: it returns one of the names in
# `known`, for the new task named `task`.
#
# - Every name is equally likely, the right ones too. The name is
#   drawn, not counted off: that of one seed does not tell that of the
#   next.
# - `task` and `seed` together decide, and nothing else: not what was
#   drawn before, not the process (so Python's `hash` is of no use,
#   for it differs from process to process).
# - Two tasks draw for themselves: at one seed they may get different
#   names.
# - Random numbers of others are left alone: no seed of `random`,
#   `numpy` or `torch` is set, and none of their numbers is used up.
#   Make a generator of your own.
#
# Hint: `task.encode()` is a row of whole numbers, and
# `np.random.default_rng` takes a list of such as its seed.

# %% [raw]
# # BEGIN SOLUTION


# %%
def random_start(task, known, seed):
    """The name of a trained task, drawn by task and seed."""
    # BEGIN SOLUTION
    lot = np.random.default_rng([seed, *task.encode()])
    return known[lot.integers(len(known))]
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_a_known_name(random_start):
    known = ["time/hotel", "time/school", "sentiment/hotel"]
    got = random_start("time/museum", known, 0)
    assert got in known, (
        f"random_start must be one of {known}, got {got!r}"
    )


# %%
def test_twice_the_same(random_start):
    known = [f"rule/{i}" for i in range(50)]
    for seed in range(5):
        found = {
            random_start("time/museum", known, seed) for _ in "abc"
        }
        assert len(found) == 1, (
            "three calls with the same arguments must give one name, not "
            "several"
        )
        assert found <= set(known), (
            "random_start must return one of the names in known, such "
            f"as {known[0]!r}, got {found.pop()!r}"
        )


# %%
def test_others_and_draws(random_start):
    known = [f"rule/{i}" for i in range(50)]
    drawn = {
        task: [random_start(task, known, seed) for seed in range(8)]
        for task in ("time/museum", "rate/museum")
    }
    one, two = drawn.values()
    assert len(set(map(str, one))) > 2, (
        f"eight seeds give {len(set(map(str, one)))} names out of 50: "
        "does the seed count?"
    )
    assert one != two, (
        "time/museum and rate/museum get the same names at eight seeds: "
        "does the task count?"
    )
    np.random.seed(7)
    want = np.random.rand()
    np.random.seed(7)
    random_start("time/museum", known, 3)
    assert np.random.rand() == want, (
        "a call of random_start disturbs numpy's global generator"
    )


# %%
# Hidden: names that never come up
def test_all_equally_likely(random_start):
    known = ["time/hotel", "time/school", "sentiment/hotel", "other/x"]
    drawn = [random_start("time/museum", known, s) for s in range(400)]
    for name in known:
        count = drawn.count(name)
        assert 60 < count < 140, (
            f"{name} came up {count} times in 400 seeds; about 100 "
            "are expected"
        )


# %%
# Hidden (1.5 points): counted off, as by the seed plus a sum of letters
def test_drawn_not_counted(random_start):
    known = [f"rule/{i}" for i in range(24)]
    places = [
        known.index(random_start("time/museum", known, seed))
        for seed in range(80)
    ]
    pairs = zip(places, places[1:], strict=False)
    steps = {(two - one) % 24 for one, two in pairs}
    assert len(steps) > 10, (
        "from one seed to the next, the place among 24 names moves by "
        f"only {len(steps)} different steps: this is counting"
    )
    tasks = "time/museum", "emit/museum"
    one, two = (
        [random_start(task, known, seed) for seed in range(80)]
        for task in tasks
    )
    equal = sum(a == b for a, b in zip(one, two, strict=True))
    assert equal < 25, (
        f"{tasks[0]} and {tasks[1]} got the same name at {equal} of 80 "
        "seeds"
    )


# %%
# Hidden: all tasks get the same name at one seed
def test_tasks_draw_for_themselves(random_start):
    known = [f"rule/{i}" for i in range(24)]
    tasks = "time/museum", "rate/museum", "tide/museum", "emit/museum"
    for one, two in zip(tasks, tasks[1:], strict=False):
        equal = sum(
            random_start(one, known, seed)
            == random_start(two, known, seed)
            for seed in range(60)
        )
        assert equal < 20, (
            f"{one} and {two} got the same name at {equal} of 60 seeds"
        )


# %%
# Hidden: global generators are seeded, or used; Python's hash
def test_leaves_others_alone(random_start):
    import random

    known = [f"rule/{i}" for i in range(50)]
    seeds = {
        "random": (random.seed, random.random),
        "numpy": (np.random.seed, np.random.rand),
        "torch": (torch.manual_seed, lambda: torch.rand(1).item()),
    }
    for name, (seed, draw) in seeds.items():
        seed(7)
        one = random_start("time/museum", known, 3)
        assert one in known, f"random_start gave {one!r}"
        after = draw()
        seed(7)
        assert after == draw(), (
            f"a call of random_start disturbs the generator of {name}"
        )
        seed(8)
        assert random_start("time/museum", known, 3) == one, (
            f"random_start depends on the generator of {name}"
        )
    assert "hash" not in random_start.__code__.co_names, (
        "Python's hash of a string differs from process to process"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# ## q4. Tuning one vector (4 points)
#
# Write `tune(loss, start, steps, lr)`: it returns the prototype, of
# shape (e,), that `steps` steps of AdamW reach from `start`.
# `loss(v)` is the loss of the k examples under the prototype `v`, a
# number that can be differentiated. The rate `lr` is constant, there
# is no weight decay, and before each step the gradient is clipped to
# a length of at most 1.
#
# `loss` uses many weights that are *not* to be tuned. So `start` and
# all weights keep their values, no weight keeps a gradient (its
# `.grad` stays as it was), and the result is cut off from the graph.
# `start` may be a row of a trained table. Hints: `torch.autograd.grad`
# gives the gradient of the vector alone, and
# `nn.utils.clip_grad_norm_` clips.

# %% [raw]
# # BEGIN SOLUTION


# %%
def tune(loss, start, steps, lr):
    """The vector (e,) that AdamW reaches from start."""
    # BEGIN SOLUTION
    v = start.detach().clone().requires_grad_()
    optimizer = torch.optim.AdamW([v], lr=lr, weight_decay=0.0)
    for _ in range(steps):
        (v.grad,) = torch.autograd.grad(loss(v), [v])
        nn.utils.clip_grad_norm_([v], 1.0)
        optimizer.step()
    return v.detach()
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_first_step(tune):
    start = torch.tensor([1.0, -2.0, 3.0])
    got = tune(lambda v: v.square().sum(), start, 1, 0.1)
    same(
        got,
        torch.tensor([0.9, -1.9, 2.9]),
        "tune from (1, -2, 3), one step of rate 0.1 on the sum of "
        "squares",
        "AdamW's first step moves each number by the rate.",
        atol=1e-4,
    )


# %%
def test_no_step(tune):
    start = torch.tensor([1.0, -2.0])
    got = tune(lambda v: v.square().sum(), start, 0, 0.1)
    same(got, start, "tune with steps = 0")


# %%
def test_two_long_steps(tune):
    got = tune(lambda v: (v**4).sum(), torch.tensor([2.0]), 2, 0.5)
    same(
        got,
        torch.tensor([1.0]),
        "tune from 2, two steps of rate 0.5 on the fourth power",
        "Both gradients are longer than 1, so both are clipped to 1 "
        "and both steps are 0.5; nothing else pulls at the vector.",
        atol=1e-3,
    )


# %%
def test_leaves_the_rest(tune):
    net = torch.nn.Linear(2, 2)
    start = torch.tensor([1.0, -2.0])
    got = tune(lambda v: net(v).square().sum(), start, 2, 0.1)
    shaped(got, (2,), "tune's result")
    same(start, torch.tensor([1.0, -2.0]), "start after the call")
    assert net.weight.grad is None, (
        "a weight that the loss uses is left with a gradient"
    )
    assert not got.requires_grad, (
        "the result must be cut off: detach it"
    )


# %%
# Hidden (2.5 points): sums, decay, no clipping, a step too many
def test_every_step(tune):
    torch.manual_seed(1)
    mix, aim = torch.randn(5, 5), torch.randn(5)
    for size in (0.001, 4.0):
        for steps, lr in ((1, 0.3), (2, 0.1), (7, 0.1), (12, 0.02)):
            start = torch.randn(5)
            v = start.clone()
            first, second = torch.zeros(5), torch.zeros(5)
            for i in range(1, steps + 1):
                gradient = size * 4 * mix.T @ (mix @ v - aim) ** 3
                length = gradient.norm().item()
                gradient = gradient / max(1.0, length + 1e-6)
                first = 0.9 * first + 0.1 * gradient
                second = 0.999 * second + 0.001 * gradient**2
                root = (second / (1 - 0.999**i)).sqrt() + 1e-8
                v = v - lr * first / (1 - 0.9**i) / root
            got = tune(
                lambda v, size=size: (
                    size * ((mix @ v - aim) ** 4).sum()
                ),
                start,
                steps,
                lr,
            )
            what = f"tune after {steps} steps of rate {lr:g}"
            same(got, v, what, atol=1e-3)


# %%
# Hidden: start moves with the result
def test_start_stays(tune):
    table = torch.nn.Parameter(torch.arange(6.0).view(2, 3))
    for start in (
        table[1],
        table.detach()[1],
        table.detach()[1].clone(),
    ):
        kept = start.detach().clone()
        got = tune(lambda v: v.square().sum(), start, 3, 0.1)
        same(start, kept, "start after the call")
        assert (got - kept).abs().max() > 0.1, "nothing was tuned"
    same(table, torch.arange(6.0).view(2, 3), "the table of start")
    assert table.grad is None, "the table of start has got a gradient"


# %%
# Hidden: other weights learn, or keep a gradient
def test_nothing_else(tune):
    torch.manual_seed(2)
    net = torch.nn.Linear(4, 4)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    start = torch.randn(4)
    got = tune(lambda v: net(v).square().sum(), start, 4, 0.1)
    assert (got - start).abs().max() > 0.1, "nothing was tuned"
    for name, part in net.named_parameters():
        same(part, before[name], f"another weight ({name})")
        assert part.grad is None, f"{name} is left with a gradient"
        assert part.requires_grad, f"{name} has lost requires_grad"


# %%
# Hidden: the result still hangs on the graph
def test_cut_off(tune):
    got = tune(lambda v: v.square().sum(), torch.ones(3), 2, 0.1)
    shaped(got, (3,), "tune's result")
    assert not got.requires_grad, "the result must be detached"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 3

# %% [markdown]
# ## q5. Settings chosen elsewhere (3 points)
#
# Steps and rate are tried on new tasks about a **garden**. What is
# reported are new tasks about a **museum**. A row of the trials is a
# dictionary such as
#
# `{"task": "time/garden", "split": "validation", "start": "mean",
# "rate": 0.1, "steps": 5, "score": 0.75}`
#
# with `"test"` as the other split. Write `settings(rows, start)`: the
# pair `(rate, steps)` with the highest mean score for this start,
# over all rows that a fair choice may look at. Those are validation
# rows of the garden's tasks and no others: test rows of any task stay
# untouched. Rows of any kind may be in the list, in any order, also
# those of trained tasks, such as `"time/hotel"`.

# %% [raw]
# # BEGIN SOLUTION


# %%
def settings(rows, start):
    """The (rate, steps) that a fair choice takes for a start."""
    # BEGIN SOLUTION
    found = {}
    for row in rows:
        place = row["task"].split("/")[1]
        fair = (place, row["split"]) == ("garden", "validation")
        if fair and row["start"] == start:
            pair = row["rate"], row["steps"]
            found.setdefault(pair, []).append(row["score"])
    return max(found, key=lambda pair: np.mean(found[pair]))
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_one_start(settings):
    rows = [
        {"task": "time/garden", "split": "validation", "start": "mean"}
        | {"rate": rate, "steps": steps, "score": score}
        for rate, steps, score in (
            (0.1, 5, 0.6),
            (0.1, 10, 0.8),
            (0.3, 5, 0.7),
        )
    ]
    got = settings(rows, "mean")
    assert isinstance(got, tuple) and tuple(got) == (0.1, 10), (
        f"settings must be (0.1, 10) for these three rows, got {got!r}"
    )


# %%
def test_other_rows(settings):
    row = {
        "task": "time/garden",
        "split": "validation",
        "start": "mean",
    }
    rows = [
        row | {"rate": 0.1, "steps": 5, "score": 0.6},
        row | {"rate": 0.3, "steps": 5, "score": 0.5},
    ]
    best = {"rate": 0.3, "steps": 5, "score": 1.0}
    for change in ({"start": "fresh"}, {"split": "test"}):
        got = settings([*rows, row | change | best], "mean")
        assert isinstance(got, tuple) and got == (0.1, 5), (
            f"a row with {change} must not change the choice for the "
            f"start mean, (0.1, 5), but it is {got!r}"
        )


# %%
# Hidden (2 points): the museum, trained tasks, test rows, other starts
def test_fair(settings):
    fair = {
        "task": "time/garden",
        "split": "validation",
        "start": "mean",
    }
    low = {"rate": 0.1, "steps": 5, "score": 0.6}
    high = {"rate": 0.3, "steps": 10, "score": 0.9}
    same_rows = [fair | low, fair | high | {"score": 0.5}]
    unfair = {
        "a museum": {"task": "time/museum"},
        "test rows": {"split": "test"},
        "another start": {"start": "retrieved"},
        "a museum's test rows": {"task": "x/museum", "split": "test"},
        "a trained task": {"task": "time/hotel"},
    }
    for what, change in unfair.items():
        for rows in (
            [*same_rows, *[fair | high | change] * 9],
            [*[fair | high | change] * 9, *same_rows],
        ):
            got = settings(rows, "mean")
            assert tuple(got) == (0.1, 5), f"it has looked at {what}"


# %%
# Hidden: the best single row, a sum
def test_mean(settings):
    fair = {"split": "validation", "start": "loss"}
    scores = {
        (0.1, 5): [0.7, 0.8, 0.75],
        (0.1, 10): [0.5, 0.95, 0.6],
        (0.3, 5): [0.6, 0.6, 0.6, 0.6],
    }
    rows = [
        fair
        | {"task": f"rule{i}/garden", "rate": rate, "steps": steps}
        | {"score": score}
        for (rate, steps), tried in scores.items()
        for i, score in enumerate(tried)
    ]
    for some in (rows, rows[::-1]):
        got = settings(some, "loss")
        assert tuple(got) == (0.1, 5), (
            f"the highest mean is that of (0.1, 5), got {got!r}"
        )


# %%
# Hidden: one choice for all starts
def test_each_start_its_own(settings):
    fair = {"task": "time/garden", "split": "validation"}
    rows = [
        fair | {"start": start, "rate": r, "steps": 5, "score": score}
        for start, r, score in (
            ("mean", 0.1, 0.6),
            ("mean", 0.3, 0.5),
            ("fresh", 0.1, 0.3),
            ("fresh", 0.3, 0.4),
        )
    ]
    got = settings(rows, "mean"), settings(rows, "fresh")
    assert tuple(map(tuple, got)) == ((0.1, 5), (0.3, 5)), (
        f"mean wants the rate 0.1 and fresh 0.3, got {got!r}"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6
# points: 4

# %% [markdown]
# ## q6. A paired comparison (4 points)
#
# A row of the report is a dictionary such as
#
# `{"task": "time/museum", "draw": 0, "start": "mean", "before": 0.5,
# "after": 0.75}`
#
# with the accuracy before and after tuning. Write
# `compare(rows, a, b, what)`: how much better start `a` is than start
# `b` in the column `what`. Return `(difference, low, high)`.
#
# 1. Pair the two starts: same task, same draw. A row without a
#    partner is left out.
# 2. The draws of one task share its query rows, so they are not
#    independent: take the mean of the differences of each *task*.
# 3. The result is the mean over tasks with its 95 % interval by
#    Student's t. `interval(values)`, imported above from `pha_lite`,
#    returns mean, low and high for up to 19 values.

# %% [raw]
# # BEGIN SOLUTION


# %%
def compare(rows, a, b, what):
    """(difference, low, high) of start a minus start b."""
    # BEGIN SOLUTION
    score = {(r["task"], r["draw"], r["start"]): r[what] for r in rows}
    gaps = {}
    for (task, draw, start), value in score.items():
        if start == a and (task, draw, b) in score:
            gap = value - score[task, draw, b]
            gaps.setdefault(task, []).append(gap)
    return interval([np.mean(each) for each in gaps.values()])
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_one_draw(compare):
    rows = [
        {"task": f"{task}/museum", "draw": 0, "start": start}
        | {"before": score, "after": 0.0}
        for task, start, score in (
            ("time", "mean", 0.5),
            ("time", "retrieved", 0.9),
            ("sentiment", "mean", 0.6),
            ("sentiment", "retrieved", 0.8),
        )
    ]
    got = compare(rows, "retrieved", "mean", "before")
    assert isinstance(got, tuple | list) and len(got) == 3, (
        f"compare must return difference, low, high, got {got!r}"
    )
    same(float(got[0]), 0.3, "the mean of the differences 0.4 and 0.2")
    same(
        float(got[1]),
        0.3 - 12.7062 * 0.1,
        "low for the differences 0.4 and 0.2",
        "Two tasks: one degree of freedom, whose t is 12.7.",
        atol=1e-3,
    )


# %%
# Hidden: draws taken for tasks, 1.96 for t, starts compared unpaired
def test_draws_are_averaged(compare):
    from scipy import stats

    lots = np.random.default_rng(3)
    for tasks, draws in ((5, 1), (4, 3), (8, 2)):
        rows, gaps = [], []
        for i in range(tasks):
            hard, gap = lots.uniform(0.3, 0.8), []
            for draw in range(draws):
                pair = hard + lots.normal(0, 0.1, size=2)
                gap.append(pair[0] - pair[1])
                rows += [
                    {"task": f"t{i}/museum", "draw": draw, "start": s}
                    | {"before": lots.random(), "after": value}
                    for s, value in zip(("x", "y"), pair, strict=True)
                ]
            gaps.append(np.mean(gap))
        low, high = stats.t.interval(
            0.95, tasks - 1, np.mean(gaps), stats.sem(gaps)
        )
        order = lots.permutation(len(rows))
        got = compare([rows[i] for i in order], "x", "y", "after")
        where = f"for {tasks} tasks of {draws} draws"
        same(float(got[0]), float(np.mean(gaps)), f"difference {where}")
        same(float(got[1]), float(low), f"low {where}")
        same(float(got[2]), float(high), f"high {where}")


# %%
# Hidden: rows without a partner, tasks with fewer draws
def test_partners(compare):
    scores = [
        ("p", 0, "a", 0.9),
        ("p", 0, "b", 0.5),
        ("p", 1, "a", 0.7),
        ("p", 1, "b", 0.5),
        ("q", 0, "b", 0.4),
        ("q", 0, "a", 0.5),
        ("q", 1, "a", 0.0),  # b is missing
        ("r", 0, "b", 1.0),  # a is missing
        ("q", 0, "c", 0.0),
        ("s", 2, "a", 0.2),
        ("s", 2, "b", 0.5),
    ]
    rows = [
        {"task": task, "draw": draw, "start": start}
        | {"before": score, "after": 0.5}
        for task, draw, start, score in scores
    ]
    got = compare(rows, "a", "b", "before")
    gaps = np.array([0.3, 0.1, -0.3])
    reach = 4.302653 * gaps.std(ddof=1) / 3**0.5
    what = "for three tasks with partners"
    same(float(got[0]), float(gaps.mean()), f"difference {what}")
    same(float(got[1]), float(gaps.mean() - reach), f"low {what}")
    same(float(got[2]), float(gaps.mean() + reach), f"high {what}")
    back = compare(rows, "b", "a", "before")
    same(float(back[0]), -float(gaps.mean()), f"b minus a {what}")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7
# points: 3

# %% [markdown]
# ## q7. What leaks? (3 points)
#
# From the methods section of a report on the museum tasks, k = 4. A
# step *leaks* if query rows have a say in what is later scored on
# them, or in which scores are shown. Which of these steps leak?
#
# - a: Rates and steps were those that had been best on the garden's
#   validation rows.
# - b: For each museum task, tuning ended at the step with the highest
#   accuracy on its query rows.
# - c: Of five draws of four examples, the one whose tuned prototype
#   answered the query rows best was taken.
# - d: All starts were scored on the same query rows in every draw.
# - e: The start `loss` took the prototype with the lowest loss on the
#   four examples.
# - f: Where two prototypes had the same loss on the four examples, 20
#   query rows with their answers decided.
# - g: Rules that the model had not learnt, by its validation accuracy
#   on the trained surfaces, were left out before the first draw.
# - h: Two tasks on which tuning did harm were left out afterwards,
#   since "four examples were not enough there".
#
# `answer_7` is a text of small letters, without commas or spaces, such
# as `"ad"`.

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_7 = "bcfh"  # SOLUTION

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_letters(answer_7):
    fits = isinstance(answer_7, str) and set(answer_7) <= set(
        "abcdefgh"
    )
    assert fits and len(set(answer_7)) == len(answer_7) > 0, (
        "answer_7 must be a text of different small letters from a to h, "
        f"without commas or spaces, got {answer_7!r}"
    )


# %%
# Hidden: a leak is not seen
def test_all_leaks(answer_7):
    assert isinstance(answer_7, str), "answer_7 must be a text"
    missing = set("bcfh") - set(answer_7)
    assert not missing, f"{len(missing)} of the leaks are not named"


# %%
# Hidden: a fair step is called a leak
def test_no_false_alarm(answer_7):
    assert isinstance(answer_7, str), "answer_7 must be a text"
    wrong = set(answer_7) - set("bcfh")
    assert not wrong, f"{len(wrong)} of the named steps are fair"
    assert len(answer_7) > 1, "there is more than one leak"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## A trained model
#
# Everything is ready for an experiment. Here is a PHA that was trained
# on 24 tasks, and six new tasks of your variant: the six rules with
# the best validation accuracy of this model, asked about a museum.
# This section is given. You will need `read`, `loss_on` and
# `accuracy`; `nll` serves the two last ones. The encoder reads a row
# once, for nothing in it will be tuned.

# %%
model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
known = model.config.tasks  # T names, in the prototypes' order
prototypes = model.trained.prototypes.vectors.detach()  # (T, e)
rules = ["acceptability", "entailment", "paraphrase"]
rules += ["sentiment", "time", "last-witness"]
suite = load_suite(seed=VARIANT)
new_tasks = [f"{rule}/museum" for rule in rules]
print(len(known), "trained tasks, prototypes", tuple(prototypes.shape))


# %%
class Rows(NamedTuple):
    """Rows of a task, as the encoder leaves them."""

    states: torch.Tensor  # (n, S, d)
    mask: torch.Tensor  # (n, S)
    z: torch.Tensor  # (n, e): the retriever's points
    answers: torch.Tensor  # (n, N): pieces of the answers, or -100
    labels: torch.Tensor  # (n,): the answers as numbers
    words: tuple  # the answer words, in the order of their numbers


def read(task, split):
    """The rows of a split, read once. No task's name matters here."""
    rows = task[split]
    batch = model.batch(
        list(rows["source"]), list(rows["target"]), known[0]
    )
    with model.inference():
        states, z = model.start(batch)
    mask, answers = batch["attention_mask"], batch["labels"]
    labels = torch.tensor(list(rows["label"]))
    return Rows(states, mask, z, answers, labels, task.labels)


# %%
def nll(v, rows, answers):
    """(n,): -log p of answers to n rows under the prototype v."""
    weights = model.trained.hypernet(v[None])
    model.decoder_plan.set(weights, Route.of([0] * len(answers)))
    logits = model.decode(rows.states, rows.mask, answers)
    loss = F.cross_entropy(
        logits.transpose(1, 2), answers, reduction="none"
    )
    return loss.sum(dim=1)


def loss_on(rows):
    """The loss of rows, as a function of a prototype: for `tune`."""
    pieces = (rows.answers != -100).sum()
    return lambda v: nll(v, rows, rows.answers).sum() / pieces


@torch.no_grad()
def accuracy(v, rows):
    """Share of rows that are answered right under the prototype v."""
    loss = []
    for word in rows.words:
        one = model.batch([word], [word], known[0])["labels"]
        loss.append(nll(v, rows, one.expand(len(rows.labels), -1)))
    said = torch.stack(loss).argmin(dim=0)
    return (said == rows.labels).float().mean().item()


# %% [markdown]
# How to use it: `episode` of `pha_lite` does what yours does in q1,
# so that the whole class has the same draws.

# %%
drawn = episode(suite[new_tasks[0]], 4, seed=0, limit=24)
few, query = read(drawn, "train"), read(drawn, "test")
v = prototypes[known.index("time/hotel")]
print("z of the examples:", tuple(few.z.shape))
print(f"loss on the examples: {loss_on(few)(v).item():.3f}")
print(f"accuracy on the query rows: {accuracy(v, query):.3f}")

# %% [raw]
# # BEGIN QUESTION
# name: q8
# points: 6

# %% [markdown]
# ## q8. Your experiment (6 points)
#
# For each of the six `new_tasks`, draws 0 and 1 (the seed of the
# episode: k = 4, limit = 24) and three starts, append a row to
# `table`, so 36 rows in all:
#
# - `"retrieved"`: the trained prototype with the highest score of q2,
#   for the four examples;
# - `"random"`: that of `random_start(task name, known, draw)`;
# - `"mean"`: the mean of all 24 vectors, as they are. Keep it as
#   `mean_start`, of shape (e,).
#
# A row has the keys of q6 (`"task"`, `"draw"`, `"start"`, `"before"`,
# `"after"`). `before` is the accuracy of the start on the query rows,
# `after` that of what `tune` makes of it on the four examples, with
# the steps and the rate below. They are given, as if your q5 had
# found them. Then compare `"retrieved"` with `"random"` by q6:
# `answer_8["before"]` and `answer_8["after"]`. Which of the two
# intervals do you expect to hold 0? It takes some seconds, on a slow
# machine half a minute.

# %%
STEPS, RATE = 5, 0.1

# %% [raw]
# # BEGIN SOLUTION

# %%
mean_start = prototypes.mean(dim=0)  # SOLUTION
table = []  # 36 rows
# BEGIN SOLUTION
for name in new_tasks:
    for draw in (0, 1):
        drawn = episode(suite[name], 4, seed=draw, limit=24)
        few, query = read(drawn, "train"), read(drawn, "test")
        best = prototype_scores(few.z, prototypes).argmax()
        lot = known.index(random_start(name, known, draw))
        starts = {
            "retrieved": prototypes[best],
            "random": prototypes[lot],
            "mean": mean_start,
        }
        for start, v in starts.items():
            row = {"task": name, "draw": draw, "start": start}
            row["before"] = accuracy(v, query)
            tuned = tune(loss_on(few), v, STEPS, RATE)
            row["after"] = accuracy(tuned, query)
            table.append(row)
# END SOLUTION
answer_8 = {}  # "before" and "after", each (difference, low, high)
# BEGIN SOLUTION
for what in ("before", "after"):
    answer_8[what] = compare(table, "retrieved", "random", what)
# END SOLUTION
for what, (gap, low, high) in answer_8.items():
    print(f"{what}: {gap:+.3f} ({low:+.3f} to {high:+.3f})")

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_table(table, new_tasks):
    assert isinstance(table, list) and len(table) == 36, (
        "table must be a list of 36 rows: 6 tasks, 2 draws, 3 starts"
    )
    keys = {"task", "draw", "start", "before", "after"}
    for row in table:
        assert isinstance(row, dict) and keys <= set(row), (
            f"each row must have the keys {sorted(keys)}, got {row!r}"
        )
        for what in ("before", "after"):
            assert 0 <= row[what] <= 1, (
                f"{what} must be a fraction, got {row[what]!r}"
            )
    wanted = {
        (task, draw, start)
        for task in new_tasks
        for draw in (0, 1)
        for start in ("retrieved", "random", "mean")
    }
    found = {(row["task"], row["draw"], row["start"]) for row in table}
    assert found == wanted, (
        "each task, draw and start must come once; missing: "
        f"{sorted(wanted - found)[:2]}"
    )


# %%
def test_mean_start(mean_start, prototypes, table):
    shaped(mean_start, (prototypes.shape[1],), "mean_start")
    draws = {0: {}, 1: {}}
    for row in table:
        if row["start"] == "mean":
            draws[row["draw"]][row["task"]] = (
                row["before"],
                row["after"],
            )
    for task, (before, _) in draws[0].items():
        assert abs(draws[1][task][0] - before) < 0.03, (
            f"{task}: the same vector on the same query rows must have "
            "the same `before` in both draws"
        )
    assert draws[0] != draws[1], (
        "`after` of the start mean is the same in both draws, for all "
        "six tasks: does draw 1 have four examples of its own?"
    )


# %%
def test_answer(answer_8):
    assert isinstance(answer_8, dict), "answer_8 must be a dictionary"
    for what in ("before", "after"):
        got = answer_8.get(what)
        fits = isinstance(got, tuple | list) and len(got) == 3
        assert fits and got[1] <= got[0] <= got[2], (
            f"answer_8[{what!r}] must be (difference, low, high), got "
            f"{got!r}"
        )


# %%
# Hidden (2 points): the starts before tuning, within one row of 24
def test_before(table, random_start, mean_start, env):
    assert env.get("VARIANT") == VARIANT, (
        f"the variant is {VARIANT}, not {env.get('VARIANT')}"
    )
    from pha_lite import PHAModel, load_suite
    from pha_lite.fewshot import episode
    from pha_lite.paths import data_dir

    assert len(table) == 36, "table must have 36 rows"
    model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
    known = list(model.config.tasks)
    vectors = model.trained.prototypes.vectors.detach()
    same(mean_start, vectors.mean(dim=0), "mean_start")
    vectors = vectors / vectors.norm(dim=1, keepdim=True)
    model.add_task("average", like="mean")
    suite = load_suite(seed=VARIANT)
    want = {}
    for name in sorted({row["task"] for row in table}):
        for draw in (0, 1):
            task = episode(suite[name], 4, draw, 24)
            z = model.embed(list(task["train"]["source"]))
            best = known[int((z @ vectors.T).mean(0).argmax())]
            lot = random_start(name, known, draw)
            want[name, draw, "retrieved"] = best
            want[name, draw, "random"] = lot
            want[name, draw, "mean"] = "average"
    texts = {
        n: list(episode(suite[n], 1, 0, 24)["test"]["source"])
        for n in {row["task"] for row in table}
    }
    done = {}
    for row in table:
        name = row["task"]
        used = want[name, row["draw"], row["start"]]
        if (name, used) not in done:
            said = model.predict(texts[name], used, suite[name].labels)
            right = episode(suite[name], 1, 0, 24)["test"]["target"]
            hits = [a == b for a, b in zip(said, right, strict=True)]
            done[name, used] = sum(hits) / 24
        what = f"before of {name}, draw {row['draw']}, {row['start']}"
        same(row["before"], done[name, used], what, atol=0.05)


# %%
# Hidden (3 points): tuning, for some rows, within two rows of 24
def test_after(table, random_start):
    from pha_lite import PHAModel, load_suite
    from pha_lite.fewshot import adapt
    from pha_lite.paths import data_dir

    model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
    suite = load_suite(seed=VARIANT)
    done = {}
    for row in table:
        done[row["task"], row["draw"], row["start"]] = row["after"]
    assert len(done) == 36, "table must have 36 different rows"
    means = [
        {key[0]: done[key] for key in done if key[1:] == (d, "mean")}
        for d in (0, 1)
    ]
    assert means[0] != means[1], (
        "the start mean has the same `after` in both draws, for all "
        "tasks: draw 1 needs four examples of its own"
    )
    for name, draw, start in (
        ("time/museum", 0, "random"),
        ("acceptability/museum", 1, "random"),
        ("time/museum", 1, "mean"),
        ("sentiment/museum", 0, "mean"),
    ):
        lot = random_start(name, model.config.tasks, draw)
        how = ("oracle", "prototype", 5, 0.1, draw)
        if start == "mean":
            how = ("mean", *how[1:])
        got = adapt(model, suite[name], 4, *how, oracle=lot, limit=24)
        what = f"after of {name}, draw {draw}, {start}"
        same(done[name, draw, start], got.after, what, atol=0.09)


# %%
# Hidden (1 point): the two comparisons
def test_comparisons(table, answer_8):
    from pha_lite.evaluate import interval

    for what in ("before", "after"):
        gaps = {}
        for sign, start in ((1, "retrieved"), (-1, "random")):
            for row in table:
                if row["start"] == start:
                    task = row["task"]
                    gap = sign * row[what] / 2
                    gaps[task] = gaps.get(task, 0.0) + gap
        want = interval(list(gaps.values()))
        for got, number in zip(answer_8[what], want, strict=True):
            same(float(got), float(number), f"answer_8[{what!r}]")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q9
# points: 1

# %% [markdown]
# ## q9. More texts (1 point)
#
# `time/museum` and `sentiment/museum` show reviews of the same kind
# and ask two questions. With four texts, retrieval finds the right
# one of the two rules about as often as a coin does. Will 400 texts
# *without answers* help it?
#
# - a: yes, the mean cosine becomes exact
# - b: yes, if the temperature is low enough
# - c: no, the texts do not say which question is asked
# - d: no, the prototypes of both tasks are equal

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_9 = "c"  # SOLUTION

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
    assert answer_9 == "c", "both tasks draw their texts alike"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q10
# points: 4
# manual: true

# %% [markdown]
# ## q10. What you found (4 points, read by your teacher)
#
# Report your experiment in about ten sentences. Say what was compared
# and how, the two differences with their intervals, and what follows
# from them, and what does not. Look at `"mean"`, too. Why is
# `"random"` a harder control than a new adapter that starts from
# nothing? Name one thing that would have to be repeated before you
# would claim it of PHA in general. A result that shows no difference
# is as good as any other. Mind one trap: an interval that holds 0 and
# another that does not are no evidence that the two differences
# differ. That would need an interval of its own.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# For example (one point each):
#
# - The numbers with their unit and their count: six tasks, two draws
#   each, paired over tasks, 95 % interval, before and after.
# - What follows, from the intervals and not from the means: where one
#   holds 0, the experiment shows no difference (and does not show that
#   there is none). If the gap has shrunk after tuning, a few steps on
#   one vector have made up for a worse start. It may happen that the
#   larger gap holds 0 in its interval and the smaller one does not.
#   No point for "retrieval helps only after tuning": whether the gap
#   changes is a third comparison, of `after` minus `before`, which
#   nobody has asked here.
# - `random` is a prototype of a *trained* task, read by the trained
#   hypernetwork, so it shares all that training gave but the choice.
#   Against a new adapter even a useless choice would win.
# - A limit: one trained model and one training seed, one surface, 24
#   query rows, six rules chosen because they were learnt, settings
#   that were given. Training several models with other seeds is the
#   first thing to repeat.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run the notebook from the top once more, save it, and hand in this
# file, `a4_few_shot.ipynb`.

# %%
grader.check_all()
