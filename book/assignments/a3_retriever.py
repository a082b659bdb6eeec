# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     goal: write both contrastive losses, search with them, see whom they push away
#     chapters: [retriever, prototypes]
#     minutes: 120
# ---

# %% [markdown]
# # Assignment 3: The retriever
#
# A new task comes as a handful of texts. PHA turns each text into a
# point and looks up the task whose prototype lies nearest. Two losses
# put points and prototypes in order. Here you write both, find out how
# low one of them can get and how hard it pulls, search with them, and
# measure on real texts whom they push away without reason.

# %%
# IGNORE: what the tests import
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

# %%
import torch
import torch.nn.functional as F
from pha_lite import PHAModel, load_suite
from pha_lite.check import Notebook
from pha_lite.paths import data_dir
from pha_lite.suite import RULES

VARIANT = 1  # your teacher may have set another one: leave it
SEED = 0
torch.manual_seed(SEED)
grader = Notebook("a3_retriever")
print(f"torch {torch.__version__}, CPU, variant {VARIANT}, seed {SEED}")

# %% [markdown]
# In all questions `z` holds one point per text, shape (B, e), and
# `tasks` one task number per text, a tensor of shape (B,). The
# retriever's last layer gives points of *any* length; what is compared
# are directions.

# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 2


# %% [markdown]
# ## q1. Cosines (2 points)
#
# Write `cosines(a, b)`: for `a` of shape (n, e) and `b` of shape
# (m, e) the (n, m) cosines of the angles between all rows. A row of
# zeros has no direction: let its cosines be 0.

# %% [raw]
# # BEGIN SOLUTION


# %%
def cosines(a, b):
    """(n, e), (m, e) -> (n, m)."""
    # BEGIN SOLUTION
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(cosines):
    a = torch.tensor([[3.0, 4.0]])
    b = torch.tensor([[4.0, 3.0], [-6.0, -8.0], [0.0, 2.0]])
    same(
        cosines(a, b),
        torch.tensor([[0.96, -1.0, 0.8]]),
        "cosines of (3, 4) with (4, 3), (-6, -8) and (0, 2)",
        "The inner product, divided by both lengths.",
    )


# %%
def test_shape(cosines):
    got = cosines(torch.ones(2, 3), torch.ones(4, 3))
    shaped(got, (2, 4), "cosines of 2 rows with 4 rows")


# %%
# Hidden: one side as it is, columns in place of rows, one length
def test_every_pair(cosines):
    torch.manual_seed(1)
    for n, m in ((4, 4), (3, 7)):
        a, b = 5 * torch.randn(n, 4), torch.randn(m, 4) / 5
        want = F.cosine_similarity(a[:, None], b[None], dim=-1)
        same(cosines(a, b), want, f"cosines of {n} with {m} rows")


# %%
# Hidden: zero divided by zero, and points that are changed in place
def test_zeros(cosines):
    a = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    b = torch.tensor([[0.0, 2.0]])
    before = a.clone(), b.clone()
    want = torch.tensor([[0.0], [0.5**0.5]])
    same(
        cosines(a, b), want, "cosines of (0, 0) and (1, 1) with (0, 2)"
    )
    for name, now, was in zip("ab", (a, b), before, strict=True):
        same(now, was, f"{name} after the call", "It was changed.")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 5


# %% [markdown]
# ## q2. The instances' loss (5 points)
#
# Let $s_{ia}$ be the cosine of points $i$ and $a$, and $P(i)$ the
# *other* rows of the batch with the task of $i$. The released code
# computes
#
# $$\ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)}
# \log \frac{\exp(s_{ip}/\tau)}{\sum_{a \neq i} \exp(s_{ia}/\tau)}$$
#
# and takes the mean over all $i$ whose $P(i)$ is not empty. Write
# `instance_loss(z, tasks, tau)`, which gives this mean. A batch in
# which no row has a partner gives 0. It must stay finite at a low
# temperature such as 0.005, and the gradient must reach `z`.

# %% [raw]
# # BEGIN SOLUTION


# %%
def instance_loss(z, tasks, tau=0.1):
    """L_IR of points z (B, e) of any length, as a tensor ()."""
    # BEGIN SOLUTION
    itself = torch.eye(len(z), dtype=torch.bool)
    scores = (cosines(z, z) / tau).masked_fill(itself, -1e9)
    log_share = scores.log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None]) & ~itself
    count = partner.sum(dim=1)
    each = -(log_share * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(instance_loss):
    z = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    got = instance_loss(z, torch.tensor([0, 0, 1, 1]), 1.0)
    same(
        got,
        torch.tensor(0.551445),
        "instance_loss of four points in two right angles, tau 1",
        "Each row chooses among three others with cosines 1, 0 and 0: "
        "log(e + 1 + 1) - 1.",
    )


# %%
def test_nobody_has_a_partner(instance_loss):
    got = instance_loss(torch.eye(3), torch.tensor([0, 1, 2]), 0.1)
    same(got, torch.tensor(0.0), "instance_loss of three lone rows")


# %%
# Hidden: itself among the others, wrong means, lengths, tau
def test_equals_the_package(instance_loss):
    from pha_lite.losses import instance_loss as package

    torch.manual_seed(2)
    for tau in (0.1, 0.5, 2.0):
        z, tasks = 3 * torch.randn(12, 5), torch.arange(12) % 4
        want = package(z, tasks, tau)
        same(instance_loss(z, tasks, tau), want, f"L_IR at tau {tau}")


# %%
# Hidden: rows without a partner counted as anchors
def test_lone_rows(instance_loss):
    from pha_lite.losses import instance_loss as package

    torch.manual_seed(3)
    z, tasks = torch.randn(6, 3), torch.tensor([0, 1, 1, 2, 2, 2])
    want = package(z, tasks, 0.3)
    same(
        instance_loss(z, tasks, 0.3),
        want,
        "L_IR of a batch with one lone row",
        "A lone row is no anchor, but others see it.",
    )


# %%
# Hidden: exp of a large number
def test_low_temperature(instance_loss):
    from pha_lite.losses import instance_loss as package

    torch.manual_seed(4)
    z, tasks = torch.randn(8, 3), torch.arange(8) % 3
    want = package(z, tasks, 0.005)
    got = instance_loss(z, tasks, 0.005)
    same(got, want, "L_IR at tau 0.005")


# %%
# Hidden: a loss that trains nothing, or turns a batch into nan
def test_gradient(instance_loss):
    torch.manual_seed(5)
    z = torch.randn(5, 3, requires_grad=True)
    instance_loss(z, torch.tensor([0, 0, 1, 1, 2]), 0.1).backward()
    assert z.grad is not None, "no gradient reaches z"
    assert torch.isfinite(z.grad).all(), "the gradient is not finite"
    assert z.grad[4].abs().max() > 0, (
        "a lone row is pushed, too: it gets a gradient"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 2


# %% [markdown]
# ## q3. How low can it get? (2 points)
#
# However good the points, $L_{\mathrm{IR}}$ has a lower bound that
# depends on nothing but `tasks`. Find it from the formula of q2: the
# shares of all $a \neq i$ sum to 1. Write `floor(tasks)`, which gives
# the bound as a number; 0 if no row has a partner.

# %% [raw]
# # BEGIN SOLUTION


# %%
def floor(tasks):
    """The smallest value that L_IR can come near to."""
    # BEGIN SOLUTION
    same_task = tasks[:, None] == tasks[None]
    count = same_task.sum(dim=1) - 1
    if not (count > 0).any():
        return 0.0
    return count[count > 0].float().log().mean().item()
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_pairs(floor):
    same(
        floor(torch.tensor([0, 0, 1, 1])),
        0.0,
        "floor of two pairs",
        "With one partner each, that partner can get the whole share.",
    )


# %%
# Hidden: log of all others, of all rows of a task, of the mean
def test_uneven(floor):
    import math

    for tasks, want in (
        ([0, 0, 0, 1, 1, 1], math.log(2)),
        ([0, 0, 0, 0, 1, 1], 4 / 6 * math.log(3)),
        ([0] * 5, math.log(4)),
    ):
        same(floor(torch.tensor(tasks)), want, f"floor of {tasks}")


# %%
# Hidden: lone rows in the mean
def test_lone(floor):
    import math

    for tasks, want in (
        ([0, 1, 1, 1, 2], math.log(2)),
        ([0, 1, 2], 0.0),
        ([7], 0.0),
    ):
        same(floor(torch.tensor(tasks)), want, f"floor of {tasks}")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 3


# %% [markdown]
# ## q4. How hard does it pull? (3 points)
#
# One anchor alone: `scores` (n,) are its $s_{ia}/\tau$ with the n
# other rows, and `partner` (n,) is True where a row has its task.
# Write `forces(scores, partner)`: the gradient of $\ell_i$ with respect
# to `scores`, shape (n,). Derive it on paper; the tests run where
# autograd is switched off. An anchor without partners gives zeros.

# %% [raw]
# # BEGIN SOLUTION


# %%
def forces(scores, partner):
    """(n,) gradient of one anchor's loss by its scores."""
    # BEGIN SOLUTION
    if not partner.any():
        return torch.zeros_like(scores)
    wanted = partner.float() / partner.sum()
    return scores.softmax(dim=0) - wanted
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(forces):
    with torch.no_grad():
        got = forces(
            torch.zeros(4), torch.tensor([True, False, False, False])
        )
    same(
        got,
        torch.tensor([-0.75, 0.25, 0.25, 0.25]),
        "forces of four equal scores, the first that of a partner",
        "Below zero is a pull: the loss falls as that score grows.",
    )


# %%
# Hidden: one partner where there are several, another sign
def test_equals_autograd(forces):
    torch.manual_seed(6)
    for count in (1, 2, 4):
        scores = (4 * torch.randn(7)).requires_grad_()
        partner = torch.arange(7) < count
        loss = -scores.log_softmax(dim=0)[partner].mean()
        (want,) = torch.autograd.grad(loss, scores)
        with torch.no_grad():
            got = forces(scores.detach(), partner)
        same(got, want, f"forces where {count} of 7 rows are partners")


# %%
# Hidden: no partner, and exp of a large number
def test_edges(forces):
    with torch.no_grad():
        lone = forces(torch.ones(3), torch.zeros(3, dtype=torch.bool))
        cold = forces(
            torch.tensor([200.0, 100.0]), torch.tensor([False, True])
        )
    same(lone, torch.zeros(3), "forces without a partner")
    want = torch.tensor([1.0, -1.0])
    same(cold, want, "forces of the scores 200 and 100")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 4


# %% [markdown]
# ## q5. The prototypes' loss (4 points)
#
# Now every text is compared with all prototypes `k`, shape (T, e),
# T at least 2. With cosines $s_{it}$ between point $i$ and prototype
# $t$, and $t(i)$ the task of $i$, the *released* form is
#
# $$L_{\mathrm{Pro}} = -\frac{1}{B} \sum_i \left[
# \frac{s_{i,t(i)}}{\tau} -
# \log \sum_{t \neq t(i)} \exp(s_{it}/\tau) \right]$$
#
# Write `prototype_loss(z, k, tasks, tau)`. Look twice at the sum: it
# is not the usual one.

# %% [raw]
# # BEGIN SOLUTION


# %%
def prototype_loss(z, k, tasks, tau=0.1):
    """L_Pro of points z (B, e) and prototypes k (T, e)."""
    # BEGIN SOLUTION
    scores = cosines(z, k) / tau
    own = F.one_hot(tasks, len(k)).bool()
    others = scores.masked_fill(own, -torch.inf).logsumexp(dim=1)
    return (others - scores[own]).mean()
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(prototype_loss):
    z = torch.tensor([[2.0, 0.0]])
    k = torch.tensor([[5.0, 0.0], [0.0, 3.0], [0.0, -1.0]])
    same(
        prototype_loss(z, k, torch.tensor([0]), 1.0),
        torch.tensor(-0.306853),
        "prototype_loss of a point on its prototype, two others at "
        "right angles, tau 1",
        "-(1 - log(1 + 1)): below zero, and that is right.",
    )


# %%
# Hidden: the own prototype in the sum, lengths, tau, a loss below 0
def test_equals_the_package(prototype_loss):
    from pha_lite.losses import prototype_loss as package

    torch.manual_seed(7)
    for tau in (0.05, 0.1, 1.0):
        z, k = 2 * torch.randn(9, 4), 3 * torch.randn(3, 4)
        tasks = torch.tensor([2, 0, 1, 1, 2, 2, 0, 0, 2])
        for points in (z, k[tasks]):
            want = package(points, k, tasks, tau)
            got = prototype_loss(points, k, tasks, tau)
            same(got, want, f"L_Pro at tau {tau}")


# %%
# Hidden: only those prototypes whose tasks are in the batch
def test_absent_tasks(prototype_loss):
    from pha_lite.losses import prototype_loss as package

    torch.manual_seed(8)
    z, k = torch.randn(4, 3), torch.randn(6, 3)
    tasks = torch.tensor([4, 1, 4, 1])
    same(
        prototype_loss(z, k, tasks, 0.2),
        package(z, k, tasks, 0.2),
        "L_Pro of a batch with two of six tasks",
        "All prototypes are in the sum, whoever is in the batch.",
    )


# %%
# Hidden: prototypes that learn nothing
def test_gradient(prototype_loss):
    torch.manual_seed(9)
    z = torch.randn(4, 3, requires_grad=True)
    k = torch.randn(5, 3, requires_grad=True)
    prototype_loss(z, k, torch.tensor([0, 1, 2, 2]), 0.1).backward()
    for name, tensor in (("z", z), ("k", k)):
        assert tensor.grad is not None, f"no gradient reaches {name}"
        assert (tensor.grad.abs().sum(dim=1) > 0).all(), (
            f"every row of {name} is pulled or pushed"
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
# ## q6. Looking up a task (4 points)
#
# Write `retrieve(z, k, names, most)`: the tasks that some texts of
# *one* new task resemble most. The score of a task is the mean, over
# the texts, of the cosine between the text's point and the task's
# prototype. Return a list of at most `most` pairs (name, score), best
# first, scores as plain numbers. `names` are the prototypes' names. If
# there are fewer than `most` tasks, return all of them. Tasks with
# equal scores may come in any order.

# %% [raw]
# # BEGIN SOLUTION


# %%
def retrieve(z, k, names, most=3):
    """[(name, score), ...], best first."""
    # BEGIN SOLUTION
    scores = cosines(z, k).mean(dim=0)
    order = scores.argsort(descending=True)[:most]
    return [(names[t], scores[t].item()) for t in order.tolist()]
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(retrieve):
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    k = torch.tensor([[9.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    got = retrieve(z, k, ["east", "between", "west"], 2)
    assert isinstance(got, list) and len(got) == 2, (
        f"retrieve must return a list of two pairs, got {got!r}"
    )
    assert [pair[0] for pair in got] == ["between", "east"], (
        "of two texts, one in the east and one in the north, the best "
        f"two of three are 'between' and 'east', got {got!r}"
    )
    same(got[0][1], 0.5**0.5, "the score of 'between'")
    same(got[1][1], 0.5, "the score of 'east'")


# %%
# Hidden: the cosine of the mean, votes, lengths, the wrong end
def test_mean_of_cosines(retrieve):
    torch.manual_seed(10)
    z = torch.randn(16, 6) * torch.arange(1, 17)[:, None]
    k = torch.randn(5, 6) * torch.tensor([[9.0], [1], [5], [0.1], [2]])
    cosine = F.cosine_similarity(z[:, None], k[None], dim=-1)
    want = cosine.mean(dim=0)
    got = retrieve(z, k, list("abcde"), 5)
    order = want.argsort(descending=True).tolist()
    wanted = ["abcde"[t] for t in order]
    assert [name for name, _ in got] == wanted, "the order is wrong"
    for (name, score), t in zip(got, order, strict=True):
        assert isinstance(score, float), f"{score!r} is no plain number"
        same(score, want[t].item(), f"the score of {name}")


# %%
# Hidden: more wanted than there are, and the default
def test_how_many(retrieve):
    torch.manual_seed(11)
    z, k = torch.randn(3, 4), torch.randn(4, 4)
    for most, wanted in ((1, 1), (4, 4), (9, 4)):
        got = retrieve(z, k, list("abcd"), most)
        same(len(got), wanted, f"pairs for most = {most}, four tasks")
    same(len(retrieve(z, k, list("abcd"))), 3, "pairs without `most`")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7
# points: 6


# %% [markdown]
# ## q7. Whom it pushes without reason (6 points)
#
# For $L_{\mathrm{IR}}$ every row of another task is a negative. But two
# tasks may read the *same* kind of text and ask different things of it:
# `sentiment` and `time` both read reviews. A row of such a task, on the
# anchor's surface, is a *false negative*: nothing in its text tells it
# from a partner.
#
# Here are four training texts from each of 24 tasks, as the retriever
# of a trained PHA sees them. `shown` numbers what a text shows of its
# task: the kind of input and the surface that it is about.
# (`RULES[rule].kind` is the function that draws a rule's inputs, and
# its `__name__` is the kind's name: `review` for `time` as well as for
# `sentiment`.)

# %%
model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
sizes = {"train": 40, "validation": 2, "test": 2}  # quick to make
suite = load_suite(seed=VARIANT, sizes=sizes)
names = model.config.tasks
texts, tasks, shown, seen = [], [], [], {}
for number, name in enumerate(names):
    rule, surface = name.split("/")
    what = RULES[rule].kind.__name__, surface
    rows = suite[name].sample(4, seed=VARIANT)["train"]["source"]
    texts += list(rows)
    tasks += [number] * 4
    shown += [seen.setdefault(what, len(seen))] * 4
tasks, shown = torch.tensor(tasks), torch.tensor(shown)
z = model.embed(texts)  # (96, e), each of length 1
print(tuple(z.shape), "tasks:", len(names), "shown:", len(seen))

# %% [markdown]
# Write `false_share(z, tasks, shown, tau)`. In the softmax of q2 every
# anchor divides one share of 1 among all others. Sum what goes to its
# false negatives, rows that show the same and have another task, and
# give the mean over those anchors that *have* false negatives, as a
# number. The points have length 1. Then call it: `answer_7` is the
# value of your variant at $\tau = 0.1$, not rounded.

# %% [raw]
# # BEGIN SOLUTION


# %%
def false_share(z, tasks, shown, tau=0.1):
    """Mean share of the choice that goes to false negatives."""
    # BEGIN SOLUTION
    itself = torch.eye(len(z), dtype=torch.bool)
    scores = (z @ z.T / tau).masked_fill(itself, -torch.inf)
    shares = scores.softmax(dim=1)
    alike = shown[:, None] == shown[None]
    false = alike & (tasks[:, None] != tasks[None])
    each = (shares * false).sum(dim=1)
    return each[false.any(dim=1)].mean().item()
    # END SOLUTION


answer_7 = false_share(z, tasks, shown)  # SOLUTION
print(answer_7)

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_by_hand(false_share):
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    tasks = torch.tensor([0, 0, 1, 2])
    shown = torch.tensor([0, 0, 0, 1])
    same(
        false_share(z, tasks, shown, 0.01),
        2 / 3,
        "false_share of three equal points of tasks 0, 0 and 1 that "
        "show the same, and one far away",
        "The first two give half of their share to the third, and the "
        "third gives all of it to the first two. The fourth has no "
        "false negative and does not count.",
    )


# %%
def test_answer(answer_7):
    fits = isinstance(answer_7, float) and 0 <= answer_7 <= 1
    assert fits, (
        f"answer_7 must be a number from 0 to 1, got {answer_7!r}"
    )


# %%
# Hidden: itself in the softmax, partners left out, all negatives
def test_by_loops(false_share):
    torch.manual_seed(12)
    z = F.normalize(torch.randn(12, 4), dim=1)
    tasks = torch.tensor([0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5])
    shown = torch.tensor([0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 3])
    for tau in (0.1, 0.7):
        found = []
        for i in range(12):
            others = [a for a in range(12) if a != i]
            shares = (z[others] @ z[i] / tau).softmax(dim=0)
            wrong = [
                shares[n].item()
                for n, a in enumerate(others)
                if shown[a] == shown[i] and tasks[a] != tasks[i]
            ]
            if wrong:
                found.append(sum(wrong))
        want = sum(found) / len(found)
        got = false_share(z, tasks, shown, tau)
        same(got, want, f"false_share of twelve points at tau {tau}")


# %%
# Hidden (3 points): the number itself
def test_number_of_the_variant(answer_7, env):
    assert env.get("VARIANT") == VARIANT, (
        f"the variant is {VARIANT}, not {env.get('VARIANT')}"
    )
    from pha_lite import PHAModel, load_suite
    from pha_lite.paths import data_dir
    from pha_lite.suite import RULES

    model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
    sizes = {"train": 40, "validation": 2, "test": 2}
    suite = load_suite(sizes=sizes, seed=VARIANT)
    texts, owners = [], []
    for name in model.config.tasks:
        rows = suite[name].sample(4, seed=VARIANT)["train"]["source"]
        texts += list(rows)
        owners += [name] * 4
    z = model.embed(texts).double()
    parts = [name.split("/") for name in owners]
    kinds = [(RULES[r].kind.__name__, surface) for r, surface in parts]
    scores = (z @ z.T / 0.1).fill_diagonal_(-torch.inf).softmax(dim=1)
    found = []
    for i in range(len(z)):
        wrong = [
            scores[i, a].item()
            for a in range(len(z))
            if kinds[a] == kinds[i] and owners[a] != owners[i]
        ]
        if wrong:
            found.append(sum(wrong))
    same(answer_7, sum(found) / len(found), "answer_7", atol=3e-4)


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q8
# points: 1


# %% [markdown]
# ## q8. Two rows of one task (1 point)
#
# A batch has two rows, both of one task. What is $L_{\mathrm{IR}}$, and
# what is its gradient?
#
# - a: the loss is $\log 2$, and the gradient pulls the points together
# - b: the loss is $-s_{12}/\tau$, and so is the pull
# - c: both are zero, wherever the points lie
# - d: neither is defined, for there is no negative

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
        "the partner is the only other row: its share is 1 in any case"
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
# ## q9. There already (1 point)
#
# A text's point lies exactly on its task's prototype, and all other
# prototypes point the other way. $\tau$ is 0.1. What is the gradient
# of that text's $L_{\mathrm{Pro}}$ by the cosine with its *own*
# prototype, in the released form and in the usual one, whose sum runs
# over all prototypes?
#
# - a: about 0 in both
# - b: -10 in both
# - c: about 0 in the released form, -10 in the usual one
# - d: -10 in the released form, about 0 in the usual one

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_9 = "d"  # SOLUTION

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
    assert answer_9 == "d", (
        "where the own prototype is not in the sum, its term is a "
        "straight line and never lets go"
    )


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
# ## q10. The wrong neighbour (3 points, read by your teacher)
#
# Sixteen texts of the new task `time/museum` come with their answers.
# Retrieval finds `sentiment/hotel`, by a hair before `time/hotel`, and
# the adapters made from that prototype answer at chance. A colleague
# wants to train the retriever for longer. Explain in a few sentences
# what the two losses can and cannot have taught it here, say what you
# would do with the sixteen *answers* instead, and name one measurement
# that would show that you are wrong.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# For example (one point for each of the three parts):
#
# - `sentiment` and `time` read the same kind of text. Nothing in a text
#   says what is asked, and neither loss ever sees an answer. So both
#   tasks' points lie on top of each other; q7 measures it. Longer
#   training can only learn single training texts by heart. Surfaces it
#   can tell apart, and kinds of input.
# - Try the prototypes of the best few tasks on the sixteen examples
#   and take the one with the lowest language-model loss, or the most
#   right answers. Inputs rank the kinds, answers choose within a kind.
# - Such as: retrieval among rivals, over many draws of sixteen texts,
#   is right clearly more often than in half of the cases, after longer
#   training and on texts that it was not trained on. Or: the adapters
#   of `time/hotel` are at chance on the museum as well; then the
#   choice was not the trouble.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run the notebook from the top once more, save it, and hand in this
# file, `a3_retriever.ipynb`.

# %%
grader.check_all()
