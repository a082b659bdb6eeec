# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     goal: write a hypernetwork, start it quietly and ask whether it listens
#     chapters: [hypernetworks, prototypes]
#     minutes: 100
# ---

# %% [markdown]
# # Assignment 2: A hypernetwork
#
# One network can write the adapters of all tasks. Here you write that
# network: you count it, pair tasks with layers, let it write, start
# it, and find out when it is worth its size. Then you make it write
# once per task instead of once per row. At the end you ask a trained
# one whether it listens to what it reads.

# %%
# IGNORE: what the tests import
import torch
from pha_lite.check import choice, same, shaped

# %%
import torch
import torch.nn.functional as F
from pha_lite import PHAModel, load_suite
from pha_lite.adapter import AdapterWeights, bottleneck
from pha_lite.check import Notebook
from pha_lite.hypernet import HyperNetwork
from pha_lite.paths import data_dir
from torch import nn

VARIANT = 1  # your teacher may have set another one: leave it
SEED = 0
torch.manual_seed(SEED)
grader = Notebook("a2_hypernetwork")
print(f"torch {torch.__version__}, CPU, variant {VARIANT}, seed {SEED}")

# %% [markdown]
# The hypernetwork of PHA reads two vectors, the prototype $k_t$ of a
# task (`e` numbers) and the embedding $e_\ell$ of a layer (`el`
# numbers). Its *trunk* makes a vector $x$ of `out` numbers of them,
# by way of `hidden` numbers:
#
# $$x_{t,\ell} = \mathrm{LN}\bigl(W_2\,\mathrm{ReLU}(
# W_1 [k_t ; e_\ell] + c_1) + c_2\bigr)$$
#
# Four linear maps with biases, the *heads*, turn $x$ into the parts
# of one adapter: `down` ($d \cdot b$ numbers), `down_bias` ($b$),
# `up` ($b \cdot d$) and `up_bias` ($d$).

# %% [raw]
# # BEGIN QUESTION
# name: q1
# points: 2

# %% [markdown]
# ## q1. Where the numbers are (2 points)
#
# Write `hyper_size`: how many numbers of such a hypernetwork are
# trained. Count the layers' embeddings (one for each of `layers`
# layers), the trunk and the heads. The layer norm has a scale and a
# shift for each of its numbers. Prototypes belong to the tasks and
# are not counted. Return a whole number.

# %% [raw]
# # BEGIN SOLUTION


# %%
def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    """Trained numbers of a hypernetwork, without prototypes."""
    # BEGIN SOLUTION
    trunk = (e + el + 1) * hidden + (hidden + 1) * out + 2 * out
    heads = (out + 1) * (2 * d * b + b + d)
    return layers * el + trunk + heads
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_counted_by_hand(hyper_size):
    same(
        hyper_size(1, 1, 1, e=1, el=1, hidden=1, out=1),
        16,
        "hyper_size with 1 for every width",
        "That is 1 for the layer, 3 and 2 for the two linear maps, 2 "
        "for the layer norm, and 8 for four heads.",
    )


# %%
def test_one_more_layer(hyper_size):
    seven, eight = hyper_size(7, 32, 4), hyper_size(8, 32, 4)
    assert isinstance(seven, int), (
        f"hyper_size(7, 32, 4) must be a whole number, got {seven!r}"
    )
    same(
        eight - seven,
        64,
        "what one more layer adds",
        "All layers share one trunk and one set of heads.",
    )


# %%
# Hidden: no biases, no layer norm, one matrix, the wrong input width
def test_equals_the_package(hyper_size):
    from pha_lite.hypernet import HyperNetwork

    for sizes in (
        (2, 5, 3, 7, 11, 13, 17),
        (3, 128, 16, 32, 32, 64, 32),
        (1, 4, 9, 2, 3, 5, 8),
    ):
        net = HyperNetwork(*sizes)
        want = sum(p.numel() for p in net.parameters())
        same(hyper_size(*sizes), want, f"hyper_size{sizes}")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q2
# points: 3

# %% [markdown]
# ## q2. Every task meets every layer (3 points)
#
# K tasks and L layers make K · L adapters, and one call shall write
# all of them. Write `pairs(k, layers)`: from prototypes of shape
# (K, e) and layers' embeddings of shape (L, el) it makes a tensor of
# shape (L, K, e + el). At place (l, t) stand the numbers of task t,
# then those of layer l. No loop is needed.

# %% [raw]
# # BEGIN SOLUTION


# %%
def pairs(k, layers):
    """(K, e) and (L, el) to (L, K, e + el)."""
    # BEGIN SOLUTION
    shape = len(layers), len(k)
    tasks = k[None].expand(*shape, -1)
    return torch.cat([tasks, layers[:, None].expand(*shape, -1)], -1)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_shape(pairs):
    got = pairs(torch.ones(4, 2), torch.ones(3, 5))
    shaped(got, (3, 4, 7), "pairs of 4 tasks and 3 layers")


# %%
def test_one_task(pairs):
    got = pairs(torch.tensor([[1.0, 2.0]]), torch.tensor([[7.0], [8]]))
    same(
        got,
        torch.tensor([[[1.0, 2.0, 7.0]], [[1.0, 2.0, 8.0]]]),
        "pairs of the task (1, 2) with the layers (7) and (8)",
        "The task's numbers come first.",
    )


# %%
# Hidden: tasks and layers change places where K = L, or numbers mix
def test_each_at_its_place(pairs):
    torch.manual_seed(1)
    k, layers = torch.randn(3, 2), torch.randn(3, 2)
    got = pairs(k, layers)
    for i in range(3):
        for t in range(3):
            same(
                got[i, t],
                torch.cat([k[t], layers[i]]),
                f"pairs at layer {i} and task {t}",
            )
    k, layers = torch.randn(5, 2), torch.randn(2, 3)
    want = [[torch.cat([a, b]) for a in k] for b in layers]
    want = torch.stack([torch.stack(row) for row in want])
    same(pairs(k, layers), want, "pairs of 5 tasks and 2 layers")


# %%
# Hidden: detached, or made of new tensors
def test_both_can_learn(pairs):
    k = torch.randn(4, 2, requires_grad=True)
    layers = torch.randn(3, 2, requires_grad=True)
    pairs(k, layers).sum().backward()
    for name, part, times in (("k", k, 3.0), ("layers", layers, 4.0)):
        assert part.grad is not None, f"{name} gets no gradient"
        want = torch.full_like(part, times)
        same(part.grad, want, f"the gradient of {name}")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q3
# points: 4

# %% [markdown]
# ## q3. Writing (4 points)
#
# Write `write(net, v)`: from pairs `v` of shape (L, K, e + el) to the
# adapters of all tasks and layers, as one
# `AdapterWeights(down, down_bias, up, up_bias)`. These parts have the
# shapes (L, K, d, b), (L, K, b), (L, K, b, d) and (L, K, d).
# What a head gives for a matrix is read row by row: the first b of
# d · b numbers are the first row of `down`. `net` brings its parts by
# name: `net.first` is $W_1$ with $c_1$, `net.second` is $W_2$ with
# $c_2$, `net.norm` is LN, the four heads are called like what they
# write, and `net.d` and `net.b` are the widths.

# %%
net = HyperNetwork(3, 8, 4, 6, 5, hidden=10, out=7)
print(net)

# %% [raw]
# # BEGIN SOLUTION


# %%
def write(net, v):
    """Pairs (L, K, e + el) to AdapterWeights (L, K, ...)."""
    # BEGIN SOLUTION
    x = net.norm(net.second(F.relu(net.first(v))))
    lead = v.shape[:2]
    return AdapterWeights(
        down=net.down(x).view(*lead, net.d, net.b),
        down_bias=net.down_bias(x),
        up=net.up(x).view(*lead, net.b, net.d),
        up_bias=net.up_bias(x),
    )
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_shapes(write):
    from pha_lite.hypernet import HyperNetwork

    net = HyperNetwork(2, 6, 3, 4, 5, hidden=9, out=8)
    got = write(net, torch.ones(2, 7, 9))
    assert isinstance(got, tuple) and len(got) == 4, (
        "write must return AdapterWeights(down, down_bias, up, up_bias)"
    )
    shapes = (2, 7, 6, 3), (2, 7, 3), (2, 7, 3, 6), (2, 7, 6)
    names = "down", "down_bias", "up", "up_bias"
    for name, part, shape in zip(names, got, shapes, strict=True):
        shaped(part, shape, name)


# %%
def test_row_by_row(write):
    from pha_lite.hypernet import HyperNetwork

    net = HyperNetwork(1, 3, 2, 4, 4, hidden=5, out=5)
    with torch.no_grad():
        for head in (net.down, net.up, net.down_bias, net.up_bias):
            head.weight.zero_()
        net.down.bias.copy_(torch.arange(6.0))
        got = write(net, torch.ones(1, 1, 8))
    assert isinstance(got, tuple), (
        f"write must return AdapterWeights, got {got!r}"
    )
    same(
        got[0][0, 0],
        torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]),
        "down, where the head gives 0, 1, 2, 3, 4, 5 for d = 3, b = 2",
        "The first b of these numbers are the first row.",
    )


# %%
def test_trunk_by_hand(write):
    from pha_lite.hypernet import HyperNetwork

    net = HyperNetwork(1, 2, 3, 1, 1, hidden=3, out=3)
    with torch.no_grad():
        net.first.weight.copy_(
            torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]])
        )
        for part in (net.second, net.down_bias):
            part.weight.copy_(torch.eye(3))
        for part in (net.first, net.second, net.down_bias):
            part.bias.zero_()
        got = write(net, torch.tensor([[[3.0, 6.0]]]))
    assert isinstance(got, tuple), (
        f"write must return AdapterWeights, got {got!r}"
    )
    same(
        got[1][0, 0],
        torch.tensor([0.0, -(1.5**0.5), 1.5**0.5]),
        "down_bias, where W1 makes 3, -3, 6 of the pair and the other "
        "maps leave what they read",
        "The ReLU leaves 3, 0, 6; the layer norm comes after it.",
        atol=1e-4,
    )


# %%
# Hidden: no ReLU, no layer norm, heads exchanged, a transposed view
def test_equals_the_equations(write):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(1)
    net = HyperNetwork(2, 6, 3, 4, 5, hidden=9, out=8)
    for part in net.parameters():
        torch.nn.init.normal_(part)
    v = torch.randn(2, 3, 9)
    got = write(net, v)
    for i in range(2):
        for t in range(3):
            y = net.first.weight @ v[i, t] + net.first.bias
            y = net.second.weight @ y.clamp(min=0) + net.second.bias
            y = (y - y.mean()) / (y.var(correction=0) + 1e-6).sqrt()
            y = y * net.norm.weight + net.norm.bias
            down = net.down.weight @ y + net.down.bias
            up = net.up.weight @ y + net.up.bias
            wanted = {
                "down": torch.stack(down.split(3)),
                "down_bias": net.down_bias.weight @ y
                + net.down_bias.bias,
                "up": torch.stack(up.split(6)),
                "up_bias": net.up_bias.weight @ y + net.up_bias.bias,
            }
            for j, (name, want) in enumerate(wanted.items()):
                where = f"{name} at layer {i}, task {t}"
                same(got[j][i, t], want, where, atol=1e-4)


# %%
# Hidden: one layer's adapters for all layers, tasks that meet
def test_equals_the_package(write):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(2)
    net = HyperNetwork(4, 5, 5, 6, 6, hidden=8, out=8)
    for part in net.parameters():
        torch.nn.init.normal_(part)
    k = torch.randn(4, 6)
    v = torch.cat(
        [
            k.expand(4, 4, 6),
            net.layers.detach()[:, None].expand(4, 4, 6),
        ],
        dim=-1,
    )
    names = "down", "down_bias", "up", "up_bias"
    both = zip(names, write(net, v), net(k), strict=True)
    for name, got, want in both:
        same(got, want, name, atol=1e-4)
    alone = write(net, v[:1, :1])[0]
    same(alone, net(k)[0][:1, :1], "down for one task and one layer")


# %%
# Hidden: cut off from the gradient
def test_can_be_trained(write):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(3)
    net = HyperNetwork(2, 6, 3, 4, 5, hidden=9, out=8)
    v = torch.randn(2, 3, 9, requires_grad=True)
    sum(part.square().sum() for part in write(net, v)).backward()
    assert v.grad is not None, "no gradient reaches the pairs"
    for part in ("first", "second", "down", "up"):
        grad = getattr(net, part).weight.grad
        assert grad is not None, f"no gradient reaches {part}"


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q4
# points: 4

# %% [markdown]
# ## q4. A quiet start (4 points)
#
# What a hypernetwork writes cannot be started. Its heads can. PHA's
# released code draws the weights of each head from
#
# $$\mathcal{U}(-u,\; u), \qquad
# u = s \sqrt{\frac{3}{\mathrm{out} \cdot \mathrm{fan}}}$$
#
# where *fan* is how many numbers a *written* weight matrix sums over
# when the adapter is applied to a row ($h W^{\mathrm{down}}$, then a
# row of width $b$ times $W^{\mathrm{up}}$). For the two heads that
# write biases, fan is 1. The heads' own biases start at zero. Write
# `start(net, s)`: it gives all four heads of `net` this start, in
# place, and leaves everything else as it is. A head is an
# `nn.Linear`; read *out* from it, for it is not always 64.

# %% [raw]
# # BEGIN SOLUTION


# %%
def start(net, s=1e-3):
    """Hyper-fan-in times s, in the four heads of net."""
    # BEGIN SOLUTION
    heads = [
        (net.down, net.d),
        (net.up, net.b),
        (net.down_bias, 1),
        (net.up_bias, 1),
    ]
    for head, fan in heads:
        bound = s * (3 / (head.in_features * fan)) ** 0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_biases_of_the_heads(start):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(4)
    net = HyperNetwork(1, 9, 4, 4, 4, hidden=8, out=8)
    names = "down", "down_bias", "up", "up_bias"
    for name in names:
        torch.nn.init.ones_(getattr(net, name).bias)
    start(net, 1.0)
    for name in names:
        bias = getattr(net, name).bias
        what = f"the bias of the head {name}"
        same(bias, torch.zeros(len(bias)), what)


# %%
def test_bounds(start):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(4)
    net = HyperNetwork(1, 90, 40, 4, 4, hidden=8, out=16)
    names = "down", "down_bias", "up", "up_bias"
    for name in names:
        torch.nn.init.constant_(getattr(net, name).weight, 9.0)
    start(net, 0.1)
    for name in names:
        top = getattr(net, name).weight.abs().max().item()
        assert top < 9, f"the head {name} still has its old weights"
    for name, fan in (("down", 90), ("up", 40)):
        top = getattr(net, name).weight.abs().max().item()
        bound = 0.1 * (3 / (16 * fan)) ** 0.5
        assert 0.98 * bound < top < 1.0001 * bound, (
            f"the weights of {name} must reach just up to {bound:.4f} "
            f"for s = 0.1, out = 16, d = 90 and b = 40, got {top:.4f}"
        )


# %%
# Hidden (2.5 points): fans, 3, s, out, or numbers of one sign only
def test_reaches_its_bounds(start):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(5)
    for d, b, s, out in (
        (96, 48, 1.0, 64),
        (40, 80, 1e-3, 64),
        (90, 60, 1.0, 25),
    ):
        net = HyperNetwork(1, d, b, 4, 4, hidden=8, out=out)
        start(net, s)
        fans = {"down": d, "up": b, "down_bias": 1, "up_bias": 1}
        for name, fan in fans.items():
            weight = getattr(net, name).weight
            bound = s * (3 / (out * fan)) ** 0.5
            where = f"{name}, d = {d}, b = {b}, s = {s:g}, out = {out}"
            for side, end in (
                ("largest", weight.max().item()),
                ("smallest", -weight.min().item()),
            ):
                assert 0.98 < end / bound < 1.0001, (
                    f"{where}: the {side} number must be about "
                    f"{bound:.3g} away from zero, got "
                    f"{end / bound:.3g} times that"
                )


# %%
# Hidden: normal or positive numbers, twice the same draw, biases
def test_uniform(start):
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(7)
    net = HyperNetwork(1, 60, 60, 4, 4, hidden=8, out=64)
    for part in net.parameters():
        torch.nn.init.normal_(part)
    start(net, 1.0)
    for name in ("down", "up", "down_bias", "up_bias"):
        weight = getattr(net, name).weight
        top = weight.abs().max().item()
        bias = getattr(net, name).bias
        same(bias, torch.zeros(len(bias)), f"the bias of {name}")
        spread = weight.std().item() / top
        assert abs(spread - 3**-0.5) < 0.02, (
            f"the weights of {name} are not uniform between the bounds"
        )
        assert abs(weight.mean().item()) < 0.05 * top, (
            f"the weights of {name} must have the mean zero"
        )
    assert not torch.equal(net.down.weight, net.up.weight), (
        "down and up are the same draw"
    )


# %%
# Hidden: the trunk, the layer norm or the layers are started, too
def test_the_rest_stays(start):
    from pha_lite.hypernet import HyperNetwork

    net = HyperNetwork(2, 9, 4, 4, 4, hidden=8, out=8)
    before = {n: p.detach().clone() for n, p in net.named_parameters()}
    start(net, 1.0)
    moved = not torch.equal(net.down.weight, before["down.weight"])
    assert moved, "start has not changed the head down"
    for name, part in net.named_parameters():
        if name.split(".")[0] in ("layers", "first", "second", "norm"):
            same(part, before[name], name, "It belongs to no head.")


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q5
# points: 2

# %% [markdown]
# ## q5. When sharing pays (2 points)
#
# T tasks have either T sets of adapters of their own, `own` trained
# numbers for each set, or one hypernetwork of `hyper` numbers and a
# prototype of `e` numbers for each task. Write
# `pays_from(hyper, own, e)`: the smallest number of tasks T for which
# the hypernetwork way has *fewer* trained numbers. Where there is no
# such T, return `None`.

# %% [raw]
# # BEGIN SOLUTION


# %%
def pays_from(hyper, own, e):
    """The smallest T at which sharing has fewer numbers, or None."""
    # BEGIN SOLUTION
    if own <= e:
        return None
    return hyper // (own - e) + 1
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_small(pays_from):
    same(
        pays_from(100, 40, 10),
        4,
        "pays_from(100, 40, 10)",
        "Three tasks: 120 against 130. Four tasks: 160 against 140.",
    )
    same(
        pays_from(90, 40, 10),
        4,
        "pays_from(90, 40, 10)",
        "With three tasks, both ways have 120 numbers: none is fewer.",
    )


# %%
# Hidden: prototypes forgotten, equal sizes, rounding
def test_by_trying(pays_from):
    for hyper in (0, 1, 7, 29, 30, 31, 60, 999):
        for own, e in ((40, 10), (31, 1), (12, 5), (7, 6)):
            want = next(
                t for t in range(1, 2000) if hyper + t * e < t * own
            )
            what = f"pays_from({hyper}, {own}, {e})"
            same(pays_from(hyper, own, e), want, what)


# %%
# Hidden: a prototype as large as the adapters that it replaces
def test_never(pays_from):
    same(pays_from(100, 65, 64), 101, "pays_from(100, 65, 64)")
    for own, e in ((10, 10), (10, 64)):
        got = pays_from(100, own, e)
        assert got is None, (
            f"pays_from(100, {own}, {e}) must be None, got {got!r}"
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q6
# points: 5

# %% [markdown]
# ## q6. Once per task (5 points)
#
# A batch mixes tasks: row i, `h[i]`, belongs to task `ids[i]`. Here
# is the released way for one layer. `make` stands for the
# hypernetwork: it takes n vectors, (n, e), and gives n adapters, as
# one `AdapterWeights` with shapes (n, d, b), (n, b), (n, b, d), (n, d).
# These are one layer's: the dimension of layers, which stands first in
# the chapter, is not there.


# %%
def per_row(make, prototypes, ids, h):
    """As released. h: (B, S, d), ids: (B,), prototypes: (T, e)."""
    w = make(prototypes[ids])  # B adapters, most of them copies
    z = F.relu(h @ w.down + w.down_bias[:, None])
    return z @ w.up + w.up_bias[:, None]  # (B, S, d)


# %% [markdown]
# Write `per_task` with the same arguments and the same result. It
# calls `make` once, with *one* vector for each *distinct* task of the
# batch and none for tasks that are not in it. A loop over the
# distinct tasks is welcome. `bottleneck(x, w)` applies one adapter
# `w`, and `weights.unbind()` takes n adapters apart into a list.

# %% [raw]
# # BEGIN SOLUTION


# %%
def per_task(make, prototypes, ids, h):
    """per_row's result, each adapter written once."""
    # BEGIN SOLUTION
    tasks, group = ids.unique(return_inverse=True)
    out = torch.zeros_like(h)
    for i, w in enumerate(make(prototypes[tasks]).unbind()):
        out[group == i] = bottleneck(h[group == i], w)
    return out
    # END SOLUTION


# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_one_task(per_task):
    from pha_lite.adapter import AdapterWeights

    def make(vectors):
        n = len(vectors)
        one = torch.ones(n, 2, 1)
        return AdapterWeights(
            one, torch.zeros(n, 1), one.mT, vectors[:, :1].expand(n, 2)
        )

    k = torch.tensor([[10.0, 0.0], [20.0, 0.0]])
    h = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    same(
        per_task(make, k, torch.tensor([1, 1]), h),
        torch.tensor([[[23.0, 23.0]], [[27.0, 27.0]]]),
        "per_task for two rows of task 1, whose adapter adds up a row "
        "and then adds 20",
    )


# %%
def test_calls(per_task):
    from pha_lite.adapter import AdapterWeights

    seen = []

    def make(vectors):
        seen.append(len(vectors))
        shapes = (2, 1), (1,), (1, 2), (2,)
        parts = [torch.ones(len(vectors), *s) for s in shapes]
        return AdapterWeights(*parts)

    ids = torch.tensor([3, 0, 3, 3, 0])
    h = torch.arange(30.0).view(5, 3, 2)
    out = per_task(make, torch.randn(6, 4), ids, h)
    assert len(seen) == 1, (
        f"make must be called once, not {len(seen)} times"
    )
    assert seen == [2], (
        f"make got {seen[0]} vectors for rows of the tasks 3, 0, 3, 3, "
        "0: two distinct tasks need two"
    )
    want = (h.sum(dim=-1, keepdim=True) + 2).expand(5, 3, 2)
    what = (
        "per_task for these rows, with the same adapter for all tasks"
    )
    same(out, want, what, "Is each row back at its place?")


# %%
# Hidden (1 point): rows in another order, another task's adapter
def test_equals_per_row(per_task):
    from pha_lite.adapter import AdapterWeights
    from pha_lite.hypernet import HyperNetwork

    torch.manual_seed(8)
    net = HyperNetwork(1, 5, 4, 6, 6, hidden=8, out=8)
    for part in net.parameters():
        torch.nn.init.normal_(part)

    def make(vectors):
        return AdapterWeights(*(part[0] for part in net(vectors)))

    k = torch.randn(9, 6)
    for ids in ([7, 2, 0, 7, 8, 2, 7], [4], [1, 1, 1], [8, 5, 3, 0]):
        h = torch.randn(len(ids), 3, 5)
        before = h.clone()
        want = []
        for row, t in zip(h, ids, strict=True):
            down, down_bias, up, up_bias = (
                part[0] for part in make(k[t][None])
            )
            z = (row @ down + down_bias).clamp(min=0)
            want.append(z @ up + up_bias)
        got = per_task(make, k, torch.tensor(ids), h)
        what = f"per_task for rows of the tasks {ids}"
        same(got, torch.stack(want), what, atol=1e-4)
        same(h, before, "h after the call", "It was changed in place.")


# %%
# Hidden (2.5 points): copies or absent tasks are written, too
def test_only_what_is_asked(per_task):
    from pha_lite.adapter import AdapterWeights

    seen = []

    def make(vectors):
        seen.append(vectors.detach())
        n = len(vectors)
        one = torch.ones(n, 2, 1)
        return AdapterWeights(
            one, torch.ones(n, 1), one.mT, vectors[:, :2]
        )

    torch.manual_seed(9)
    k = torch.arange(24.0).view(8, 3)
    for ids in ([6, 1, 6, 1, 4], [2] * 5, [0, 1, 2, 3, 4]):
        seen.clear()
        h = torch.randn(5, 3, 2)
        out = per_task(make, k, torch.tensor(ids), h)
        got = sorted(row for call in seen for row in call.tolist())
        want = sorted(k[t].tolist() for t in set(ids))
        assert got == want and len(seen) == 1, (
            f"rows of the tasks {ids}: make must be called once, with "
            f"the prototypes of {sorted(set(ids))}"
        )
        z = (h.sum(-1, keepdim=True) + 1).clamp(min=0)
        what = f"per_task for rows of the tasks {ids}"
        same(out, z + k[ids][:, None, :2], what)


# %%
# Hidden (1.5 points): no gradient, or one to tasks that are absent
def test_gradient(per_task):
    from pha_lite.adapter import AdapterWeights

    torch.manual_seed(9)
    maps = [torch.randn(3, n) for n in (8, 2, 8, 4)]
    calls = []

    def make(vectors):
        calls.append(len(vectors))
        down, down_bias, up, up_bias = (vectors @ m for m in maps)
        return AdapterWeights(
            down.view(-1, 4, 2), down_bias, up.view(-1, 2, 4), up_bias
        )

    k = torch.randn(5, 3, requires_grad=True)
    h = torch.randn(4, 3, 4)
    ids = torch.tensor([3, 0, 3, 3])
    per_task(make, k, ids, h).square().sum().backward()
    assert k.grad is not None, "no gradient reaches the prototypes"
    norms = k.grad.norm(dim=1)
    found = [t for t in range(5) if norms[t] > 0]
    assert found == [0, 3], (
        "a batch of the tasks 0 and 3 must teach their prototypes and "
        f"no others, but {found} got a gradient"
    )
    assert calls == [2], (
        "the gradient of two tasks must come through one call of make "
        f"with two vectors, got calls with {calls}"
    )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q7
# points: 5

# %% [markdown]
# ## q7. Does it listen? (5 points)
#
# Here is a whole PHA, trained on 24 tasks, and 100 test reviews of
# your variant. `sentiment/hotel` asks whether the writer likes the
# place. `predict(texts, name)` answers texts with the prototype of
# any trained task `name`. In `rows` the column `rows["source"]` holds
# the texts and `rows["target"]` the right answers; `rows[0]` is the
# first row. One row of `last-witness/hotel` is printed, too: it asks
# whether the second of two witnesses says what is claimed.

# %%
model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
suite = load_suite(seed=VARIANT)
own = "sentiment/hotel"
task = suite[own].sample(100, seed=VARIANT, split="test")
rows = task["test"]
others = {
    "relative": "sentiment/school",  # the same question, other texts
    "rival": "time/hotel",  # the same texts, another question
    "stranger": "paraphrase/hotel",  # other texts, question, answers
    "witness": "last-witness/hotel",  # the same answers, yes and no
}


def predict(texts, name):
    """The answers, yes or no, with the prototype of a task."""
    return model.predict(list(texts), name, labels=task.labels)


print(rows[0])
print(suite[others["witness"]]["test"][0])
print(predict(rows["source"][:4], own))

# %% [markdown]
# Write `swap_cost(predict, rows, own, other)`: the accuracy on the
# rows with the prototype of `own`, minus the accuracy on the same
# rows with that of `other`. Accuracy is a fraction, from 0 to 1. Then
# fill `answer_7`: for each of the four substitutes in `others`, its
# cost. Before you run it: order the four by what they will cost.

# %% [raw]
# # BEGIN SOLUTION


# %%
def swap_cost(predict, rows, own, other):
    """Accuracy with the own prototype minus with another's."""
    # BEGIN SOLUTION
    right = {}
    for used in (own, other):
        said = predict(rows["source"], used)
        pairs_of = zip(said, rows["target"], strict=True)
        right[used] = sum(a == b for a, b in pairs_of) / len(said)
    return right[own] - right[other]
    # END SOLUTION


answer_7 = {}  # four names, each with a number
# BEGIN SOLUTION
for kind, other in others.items():
    answer_7[kind] = swap_cost(predict, rows, own, other)
# END SOLUTION
print(answer_7)

# %% [raw]
# # END SOLUTION

# %% [raw]
# # BEGIN TESTS


# %%
def test_four_texts(swap_cost):
    from pha_lite.tasks import Task

    columns = {"source": list("abcd"), "target": ["yes"] * 4}
    rows = Task.from_rows("four/texts", {"test": columns})["test"]
    said = {"mine": ["yes"] * 4, "yours": ["yes", "no", "no", "no"]}
    same(
        swap_cost(
            lambda texts, name: said[name], rows, "mine", "yours"
        ),
        0.75,
        "swap_cost where the own prototype gets 4 of 4 texts right and "
        "the other 1 of 4",
    )


# %%
def test_four_costs(answer_7):
    kinds = ["relative", "rival", "stranger", "witness"]
    fits = isinstance(answer_7, dict) and sorted(answer_7) == kinds
    assert fits, (
        f"answer_7 must have the keys {', '.join(kinds)}, got "
        f"{answer_7!r}"
    )
    for kind in kinds:
        cost = answer_7[kind]
        assert isinstance(cost, float) and -1 <= cost <= 1, (
            f"the cost of the {kind} must be a number from -1 to 1, "
            f"got {cost!r}"
        )


# %%
# Hidden: answers compared with answers, not with what is right
def test_both_are_wrong(swap_cost):
    from pha_lite.tasks import Task

    columns = {"source": list("abcde"), "target": ["yes"] * 5}
    rows = Task.from_rows("five/texts", {"test": columns})["test"]
    said = {
        "mine": ["yes", "no", "no", "yes", "no"],
        "yours": ["no", "no", "no", "yes", "no"],
    }
    got = swap_cost(
        lambda texts, name: said[name], rows, "mine", "yours"
    )
    same(got, 0.2, "swap_cost for 2 and 1 of 5 right answers")


# %%
# Hidden: a substitute that is better than the own prototype
def test_a_gain(swap_cost):
    from pha_lite.tasks import Task

    columns = {"source": list("abcd"), "target": ["yes", "no"] * 2}
    rows = Task.from_rows("four/texts", {"test": columns})["test"]
    said = {"mine": ["yes"] * 4, "yours": ["yes", "no"] * 2}
    got = swap_cost(
        lambda texts, name: said[name], rows, "mine", "yours"
    )
    same(got, -0.5, "swap_cost for 2 and 4 of 4 right answers")


# %%
# Hidden: the prototypes are not those asked for
def test_asks_for_both(swap_cost):
    from pha_lite.tasks import Task

    asked = []

    def predict(texts, name):
        asked.append((name, list(texts)))
        return ["no"] * len(list(texts))

    columns = {"source": ["a", "b"], "target": ["no", "no"]}
    rows = Task.from_rows("two/texts", {"test": columns})["test"]
    same(swap_cost(predict, rows, "p", "q"), 0.0, "swap_cost")
    texts = ["a", "b"]
    assert sorted(asked) == [("p", texts), ("q", texts)], (
        "predict must be called with all texts and each of both names"
    )


# %%
# Hidden (2 points): the numbers themselves, within one text of 100
def test_costs_of_the_variant(answer_7, env):
    assert env.get("VARIANT") == VARIANT, (
        f"the variant is {VARIANT}, not {env.get('VARIANT')}"
    )
    from pha_lite import PHAModel, load_suite
    from pha_lite.paths import data_dir

    model = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
    suite = load_suite(seed=VARIANT)
    task = suite["sentiment/hotel"]
    task = task.sample(100, seed=VARIANT, split="test")
    targets = task["test"]["target"]
    texts = list(task["test"]["source"])
    used = {
        "own": "sentiment/hotel",
        "relative": "sentiment/school",
        "rival": "time/hotel",
        "stranger": "paraphrase/hotel",
        "witness": "last-witness/hotel",
    }
    right = {}
    for kind, other in used.items():
        said = model.predict(texts, other, labels=task.labels)
        hits = [a == b for a, b in zip(said, targets, strict=True)]
        right[kind] = sum(hits) / len(hits)
    for kind in ("relative", "rival", "stranger", "witness"):
        want = right["own"] - right[kind]
        same(
            answer_7[kind], want, f"the cost of the {kind}", atol=0.015
        )


# %% [raw]
# # END TESTS

# %% [raw]
# # END QUESTION

# %% [raw]
# # BEGIN QUESTION
# name: q8
# points: 1

# %% [markdown]
# ## q8. How much can it say? (1 point)
#
# A hypernetwork with `out = 64` writes the adapters of one layer, with
# d = 768 and b = 64, for 1,000 tasks. Each task has a prototype of its
# own. Each adapter becomes one long row of a matrix, and the mean row
# is subtracted. How many singular values of that matrix can differ
# from zero, if there are as many as possible?
#
# - a: 1,000, one for each task
# - b: 63, one fewer than the numbers that the heads read
# - c: as many as one adapter has numbers
# - d: 128, the width of a prototype with a layer's embedding

# %% [raw]
# # BEGIN SOLUTION

# %%
answer_8 = "b"  # SOLUTION

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
    assert answer_8 == "b", (
        "every adapter is a mixture of the columns of the heads, and "
        "before its scale and shift the layer norm's output sums to 0"
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
# ## q9. A second place (1 point)
#
# HyperFormer hangs *two* adapters of equal shape into each layer, and
# its hypernetwork reads a third learned vector, which says which of
# the two it writes. Let it have 64 numbers, and let all layers share
# the two vectors. What does that add to the trained numbers of the
# hypernetwork of q1 (with `hidden = 128`), if the rest stays?
#
# - a: nothing, for the adapters are not trained
# - b: as much again as the heads have
# - c: 64 numbers for each layer
# - d: two vectors of 64, and 64 · 128 numbers in the trunk

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
        "two vectors are learned, and the first map reads 64 more"
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
# ## q10. A tidy picture (3 points, read by your teacher)
#
# A colleague shows you a plane in which the trained prototypes of 24
# tasks lie in neat groups, and says: "So our hypernetwork writes each
# task an adapter of its own." Say in five to eight sentences why the
# picture does not show that, which test on the trained model could
# refute it, which substitute you would take for it and why not any
# other, and what else than not listening could make its result zero.
# Use what you found in q7. Mind the stranger there, which may well cost
# most: answers far below chance show that it had other weights
# written, but not that a question was heard.

# %% [raw]
# # BEGIN SOLUTION

# %% [markdown]
# For example (one point each):
#
# - The groups come from the prototypes' loss, which compares
#   prototypes with texts. No gradient of it reaches the hypernetwork,
#   which may write the same for all of them.
# - The swap test: answer a task with the prototype of a *rival*, one
#   that reads the same texts and asks another question. A relative
#   should cost nothing. What a stranger costs can be anything, since
#   its adapter was never meant for such texts. In q7 it may cost more
#   than the rival: answers that are turned round show that different
#   weights were written. Only the rival has an answer of its own to
#   each of these texts, so only its cost can show that a question was
#   heard. Naming q7's numbers belongs to it.
# - A cost of zero has other reasons: the tasks agree on these texts,
#   the task itself was never learnt (its own accuracy is at chance),
#   or there are too few rows. Looking at the written weights, such as
#   the cosine between two tasks' adapters, is another good answer.

# %% [raw]
# # END SOLUTION

# %% [raw]
# # END QUESTION

# %% [markdown]
# ## Hand in
#
# Run the notebook from the top once more, save it, and hand in this
# file, `a2_hypernetwork.ipynb`.

# %%
grader.check_all()
