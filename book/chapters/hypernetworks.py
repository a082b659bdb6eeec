# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: []
#     quick: {FIRST: 3, REPEATS: 1, SIZES: [8, 16], STEPS: 4, TEXTS: 16}
# ---

# %% [markdown]
# # Hypernetworks
#
# **The question of this page:** how can one network write the
# weights of many others, and what do you gain and pay for it?
#
# **After this page you can**
#
# - write PHA's hypernetwork yourself and say what has which shape;
# - say where its numbers sit and what one more task costs;
# - start a network whose output is weights, and say what a careless
#   start does to the model around it;
# - generate adapters once per task instead of once per row, and say
#   what that saves;
# - find out whether a trained hypernetwork uses what it reads.
#
# **You need** the page on [adapters](adapters.ipynb): what a
# bottleneck adapter computes and where it hangs. From PyTorch:
# `nn.Linear`, and what a batched matrix product is. New words stand
# in bold where they come up first. The page on
# [the whole method](ten_minutes.ipynb) shows where all this leads.

# %%
import math
import time
from itertools import permutations
from statistics import median

import torch
from IPython.display import Markdown
from pha_lite import PHAConfig, PHAModel, load_suite, plots
from pha_lite.adapter import AdapterWeights, bottleneck
from pha_lite.backbone import load_backbone
from pha_lite.hypernet import HyperNetwork
from pha_lite.inference import score_labels
from pha_lite.records import run_time
from pha_lite.routing import Route
from pha_lite.tasks import Task
from pha_lite.train import TrainConfig, train
from plotly.subplots import make_subplots
from torch import nn
from transformers.modeling_outputs import BaseModelOutput

SEED = 0
torch.manual_seed(SEED)
began = time.perf_counter()
print(f"on the CPU, torch {torch.__version__}, seed {SEED}")

# %%
Markdown(run_time("hypernetworks"))

# %% [markdown]
# ## A network that writes a network
#
# With one adapter per task, nothing that one task learns reaches
# another. With one adapter for all, tasks that disagree pull at the
# same weights. There is a third way. Keep one adapter per task, but
# do not train it. Train a network that *writes* it.
#
# A network whose output is the weights of another network is a
# {term}`hypernetwork` {cite}`ha2017hypernetworks`. HyperFormer
# {cite}`mahabadi2021hyperformer`, in its compact form, lets one
# hypernetwork write the adapters of many tasks and of all layers. It
# reads learned vectors:
#
# - a {term}`task embedding` $k_t$, one per task;
# - a {term}`layer embedding` $e_\ell$, one per layer;
# - a third one that tells the two adapters of a layer apart.
#
# PHA {cite}`zhao2023pha` has one adapter per layer, so it needs only
# the first two. It calls the task's vector a {term}`prototype`. Two
# more losses then help to decide where prototypes lie. They are the
# matter of later pages. Here any vector per task will do.
#
# ```{figure} ../figures/hypernetworks_shapes.svg
# :alt: Two small boxes on the left, the task's vector k and the layer's vector e with 64 numbers each, lead into one trunk, 128 to 128 to 64. Its output x, 64 numbers, leads to four boxes: down and up, both large, and two thin ones for the biases. They give d times b, b, b times d and d numbers.
# :name: fig-hypernetworks-shapes
# :width: 100%
#
# One task and one layer go in, one adapter comes out. The trunk is
# small. The four boxes on the right, the heads, are not.
# ```

# %% [markdown]
# ### The equations
#
# Write $d$ for the width of the model and $b$ for the bottleneck.
# The **trunk** reads the two vectors side by side and gives a vector
# $x$ of 64 numbers. LN is a layer norm with $\epsilon = 10^{-6}$.
#
# ```{math}
# :label: eq-hypernetworks-trunk
# x_{t,\ell} = \mathrm{LN}\bigl(W_2\,\mathrm{ReLU}(
#     W_1 [k_t ; e_\ell] + c_1) + c_2\bigr)
# ```
#
# $W_1$ is 128 × 128 and $W_2$ is 64 × 128. Four linear maps, the
# **heads**, turn $x$ into the four parts of an adapter. Each has a
# bias of its own, $c$ with a name on top:
#
# ```{math}
# :label: eq-hypernetworks-heads
# \begin{aligned}
# W^{\mathrm{down}} &= H^{\mathrm{down}} x + c^{\mathrm{down}}
#   && d \cdot b \text{ numbers, viewed as } d \times b \\
# b^{\mathrm{down}} &= h^{\mathrm{down}} x + c^{\mathrm{bd}}
#   && b \text{ numbers} \\
# W^{\mathrm{up}} &= H^{\mathrm{up}} x + c^{\mathrm{up}}
#   && b \cdot d \text{ numbers, viewed as } b \times d \\
# b^{\mathrm{up}} &= h^{\mathrm{up}} x + c^{\mathrm{bu}}
#   && d \text{ numbers}
# \end{aligned}
# ```
#
# The adapter then computes
# $A(h) = \mathrm{ReLU}(h W^{\mathrm{down}} + b^{\mathrm{down}})
# W^{\mathrm{up}} + b^{\mathrm{up}}$, as any other. It does not know
# that it was written and not trained. What is trained are the $k_t$,
# the $e_\ell$, the trunk and the heads.

# %% [markdown]
# ### The same in code
#
# K tasks and L layers make K · L adapters. One call can write all of
# them if every task meets every layer first:


# %%
def pairs(k, e):
    """(K, 64) and (L, 64) to (L, K, 128): each task, each layer."""
    layers, tasks = len(e), len(k)
    k = k.expand(layers, tasks, -1)
    e = e[:, None].expand(layers, tasks, -1)
    return torch.cat([k, e], dim=-1)


# %% [markdown]
# The rest is {eq}`eq-hypernetworks-trunk` and
# {eq}`eq-hypernetworks-heads`, line by line. The names of the parts
# are those of `pha_lite`, so that weights can be carried over.


# %%
class Hyper(nn.Module):
    def __init__(self, layers, d, b, e=64, el=64, hidden=128, out=64):
        super().__init__()
        self.d, self.b = d, b
        self.layers = nn.Parameter(torch.randn(layers, el))
        self.first = nn.Linear(e + el, hidden)  # W1, c1
        self.second = nn.Linear(hidden, out)  # W2, c2
        self.norm = nn.LayerNorm(out, eps=1e-6)
        self.up = nn.Linear(out, b * d)
        self.down = nn.Linear(out, d * b)
        self.up_bias = nn.Linear(out, d)
        self.down_bias = nn.Linear(out, b)

    def forward(self, k):  # (K, e)
        v = pairs(k, self.layers)  # (L, K, e + el)
        x = self.norm(self.second(self.first(v).relu()))
        lead = x.shape[:2]  # (L, K)
        return AdapterWeights(
            down=self.down(x).view(*lead, self.d, self.b),
            down_bias=self.down_bias(x),
            up=self.up(x).view(*lead, self.b, self.d),
            up_bias=self.up_bias(x),
        )


# %% [markdown]
# `AdapterWeights` is a named tuple of the four parts. We build the
# hypernetwork for our small T5, with the sizes of `PHAConfig.tiny`,
# half of those above, and let it write the adapters of five tasks.

# %%
t5, tokenizer = load_backbone("tiny")
sizes = {"e": 32, "el": 32, "hidden": 64, "out": 32}
net = Hyper(len(t5.decoder.block), t5.config.d_model, 16, **sizes)

k = torch.randn(5, 32)  # five task embeddings
written = net(k)
for name, part in written._asdict().items():
    print(f"{name:9}", tuple(part.shape))

# %% [markdown]
# The first two dimensions are the layer and the task. `unbind()`, in
# some cells below, takes an `AdapterWeights` apart along the first.
#
# ### Is it right?
#
# Two checks. The first is a slow version that takes one task and one
# layer and spells everything out, the layer norm too.


# %%
def one_adapter(net, k, layer):
    """The adapter of one task, k: (e,), in one layer."""
    v = torch.cat([k, net.layers[layer]])
    hidden = (net.first.weight @ v + net.first.bias).clamp(min=0)
    u = net.second.weight @ hidden + net.second.bias
    x = (u - u.mean()) / (u.var(correction=0) + 1e-6).sqrt()
    x = x * net.norm.weight + net.norm.bias

    def head(part):
        return part.weight @ x + part.bias

    return AdapterWeights(
        down=head(net.down).view(net.d, net.b),
        down_bias=head(net.down_bias),
        up=head(net.up).view(net.b, net.d),
        up_bias=head(net.up_bias),
    )


# %%
for layer in range(len(net.layers)):
    for t in range(len(k)):
        for got, want in zip(
            written, one_adapter(net, k[t], layer), strict=True
        ):
            assert torch.allclose(got[layer, t], want, atol=1e-5)
print("one call equals the loop over tasks and layers")

# %% [markdown]
# The second check is `pha_lite` itself, with the same weights.

# %%
theirs = HyperNetwork(
    len(net.layers), net.d, net.b, 32, 32, hidden=64, out=32
)
theirs.load_state_dict(net.state_dict())
assert all(
    torch.equal(a, b) for a, b in zip(theirs(k), written, strict=True)
)
print("our class equals pha_lite.hypernet.HyperNetwork")

# %% [markdown]
# ## Where the numbers are
#
# Now the sizes of the released configuration on T5-base
# {cite}`raffel2020t5`: 12 decoder layers, $d = 768$, $b = 64$. An
# adapter has two matrices and two biases, $2db + d + b$ numbers. The
# heads hold 64 numbers and a bias for each of these.
#
# ```{admonition} Predict first
# :class: tip
# The decoder's adapters for 8 tasks: which is larger, eight trained
# sets of them, or the hypernetwork that writes them? By what factor?
# And which part of the hypernetwork is the largest?
# ```


# %%
def adapter_size(d, b):
    """Numbers in one adapter."""
    return 2 * d * b + d + b


def hyper_size(layers, d, b, e=64, el=64, hidden=128, out=64):
    """Numbers in each part of a hypernetwork."""
    return {
        "layer embeddings": layers * el,
        "trunk": (e + el + 1) * hidden
        + (hidden + 1) * out
        + 2 * out,  # scale and shift of the layer norm
        "heads": (out + 1) * adapter_size(d, b),
    }


def numbers(module):
    return sum(p.numel() for p in module.parameters())


tiny = hyper_size(len(net.layers), net.d, net.b, **sizes)
assert sum(tiny.values()) == numbers(net)

# %%
BASE = {"layers": 12, "d": 768, "b": 64}  # T5-base, as released

base = hyper_size(**BASE)
assert sum(base.values()) == numbers(HyperNetwork(**BASE))
one = adapter_size(BASE["d"], BASE["b"])
lines = ["| part | numbers | share |", "|---|--:|--:|"]
for name, count in base.items():
    share = 100 * count / sum(base.values())
    lines.append(f"| {name} | {count:,} | {share:.2f} % |")
lines.append(f"| *one adapter, for scale* | {one:,} | |")
lines.append(f"| *8 tasks × 12 layers of them* | {96 * one:,} | |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the heads are almost everything. They hold as many
# numbers as 65 adapters, and that is no accident. Read
# {eq}`eq-hypernetworks-heads` column by column: $H_m$, the m-th
# column of a head, has the shape of a whole weight matrix.
#
# ```{math}
# :label: eq-hypernetworks-mix
# W_{t,\ell} = c + \sum_{m=1}^{64} x_{t,\ell,m}\, H_m
# ```
#
# The m-th columns of the four heads together make one adapter. So a
# hypernetwork of this form stores 64 adapters and an offset, and each
# adapter it writes is a mixture of them. The trunk only decides the
# shares, which may be negative. That is the gain: tasks share the 64.
# It is a limit, too. What lies outside their span, no task can have.

# %%
tasks = [1, 2, 4, 8, 16, 32]
own = {t: (t * BASE["layers"] * one / 1e6,) for t in tasks}
hyper = {t: ((sum(base.values()) + 64 * t) / 1e6,) for t in tasks}
plots.lines(
    {"adapters of its own": own, "one hypernetwork": hyper},
    title="Trained numbers for the decoder of T5-base",
    alt="Two lines over the number of tasks, from 1 to 32. Adapters "
    "of its own for every task: a line that climbs in proportion. "
    "One hypernetwork: a flat line that starts higher and is crossed "
    "between 4 and 8 tasks.",
    xtitle="tasks",
    ytitle="million trained numbers",
    log=True,
)

# %%
even = sum(base.values()) // (BASE["layers"] * one - 64) + 1
more = BASE["layers"] * one
Markdown(
    f"From **{even} tasks** on the hypernetwork is the smaller one. "
    f"One more task costs **{more:,}** numbers with adapters of its "
    "own and **64** with the hypernetwork."
)

# %% [markdown]
# *What to see:* one line climbs, the other is flat. But flat is not
# low: the 65 adapters in the heads are paid for with the first task.
# With 12 layers they are used up by five to six tasks, with fewer
# layers by more.
#
# A table in a paper may list *parameters per task*. That is often the
# total divided by the number of tasks, which says what 8 tasks cost
# together. What a ninth one costs is another number, and here it is
# 64.

# %% [markdown]
# ## How to start a network that writes weights
#
# A trained adapter can be started with zeros in $W^{\mathrm{up}}$, or
# near them, so that the pretrained model is at first left as it was.
# A written adapter cannot be started: it is an output. What you can
# choose are the numbers in the heads.
#
# Ask what you want of the *written* weights. An adapter's layer
# $y = hW$ sums over `fan` inputs ($d$ for the down matrix, $b$ for
# the up matrix). For $y$ to vary as much as $h$ does, its weights
# need $\mathrm{Var}(W) = 1/\mathrm{fan}$. And by
# {eq}`eq-hypernetworks-mix` a written weight is a sum over $x$, whose
# length the layer norm fixes: at the start, $\sum_m x_m^2 = 64$. So,
# for independent numbers in $H$ with mean zero,
#
# ```{math}
# :label: eq-hypernetworks-fan
# \mathrm{Var}(W) = 64\,\mathrm{Var}(H) = \frac{1}{\mathrm{fan}}
# \quad\Longrightarrow\quad
# \mathrm{Var}(H) = \frac{1}{64\,\mathrm{fan}} .
# ```
#
# Values uniform in ± *bound* have the variance bound² / 3, hence
# bound $= \sqrt{3 / (64\,\mathrm{fan})}$. This is the idea of
# **hyper-fan-in** initialisation {cite}`chang2020hyperfanin`. (We
# leave out factors of two, for the ReLU and for the bias, as the
# release does.) The released code takes `fan = 1` for the two bias
# heads and multiplies every bound by $10^{-3}$.
#
# `nn.Linear` knows nothing of this. It looks at its own 64 inputs:
# $\mathrm{Var}(H) = 1/(3 \cdot 64)$, so $\mathrm{Var}(W) = 1/3$,
# however wide the adapter is.


# %%
def start(net, scale):
    """Hyper-fan-in times a scale; None is PyTorch's own start."""
    fans = {
        net.down: net.d,
        net.up: net.b,
        net.down_bias: 1,
        net.up_bias: 1,
    }
    for head, fan in fans.items():
        if scale is None:
            head.reset_parameters()
            continue
        bound = scale * math.sqrt(3 / (head.in_features * fan))
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)


STARTS = {
    "PyTorch's default": None,
    "hyper-fan-in": 1.0,
    "hyper-fan-in · 0.001": 1e-3,
}

# %% [markdown]
# What does an adapter add, compared with the feed-forward part beside
# which it hangs? We run the frozen T5 on 64 reviews, keep what each
# decoder layer's FFN reads and gives, and let written adapters read
# the same. The measure is the root mean square (rms) of their output
# over that of the FFN's.

# %%
suite = load_suite(seed=SEED)
rows = suite["time/hotel"].sample(64, seed=SEED)["train"]
batch, answer = (
    tokenizer(list(rows[side]), padding=True, return_tensors="pt")
    for side in ("source", "target")
)
kept = {"read": [], "given": []}


def keep(place):
    return lambda module, args, output: kept[place].append(output)


hooks = []
for block in t5.decoder.block:
    part = block.layer[-1]  # the feed-forward sub-layer
    hooks += [
        part.layer_norm.register_forward_hook(keep("read")),
        part.DenseReluDense.register_forward_hook(keep("given")),
    ]
with torch.no_grad():
    t5(**batch, labels=answer["input_ids"])
for hook in hooks:
    hook.remove()

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# Under each of the three starts: is the adapter's output a thousandth
# of the FFN's, a hundredth, about the same, or a hundred times as
# large?
# ```


# %%
def rms(x):
    return x.square().mean().sqrt().item()


def loudness(weights, bias=True):
    """Median over layers and tasks of rms(A) / rms(FFN)."""
    if not bias:
        down, _, up, _ = weights
        flat = down.new_zeros(())
        weights = AdapterWeights(
            down,
            flat.expand(*down.shape[:2], down.shape[-1]),
            up,
            flat.expand(*up.shape[:2], up.shape[-1]),
        )
    found = []
    layers = zip(
        weights.unbind(), kept["read"], kept["given"], strict=True
    )
    for layer, read, given in layers:
        for adapter in layer.unbind():
            found.append(rms(bottleneck(read, adapter)) / rms(given))
    return median(found)


# %%
lines = [
    "| start | std of W_down | std of W_up | A / FFN | no biases |",
    "|---|--:|--:|--:|--:|",
]
ratio = {}
torch.manual_seed(SEED)
for name, scale in STARTS.items():
    start(net, scale)
    with torch.no_grad():
        w = net(torch.randn(8, 32))
        ratio[name] = loudness(w)
        matrices = loudness(w, bias=False)
    lines.append(
        f"| {name} | {w.down.std():.2g} | {w.up.std():.2g} | "
        f"**{ratio[name]:.2g}** | {matrices:.2g} |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the standard deviations are what
# {eq}`eq-hypernetworks-fan` says: $\sqrt{1/3} \approx 0.58$ for the
# default, $\sqrt{1/d}$ and $\sqrt{1/b}$ for hyper-fan-in. Now read
# the ratios in bold. Under PyTorch's default the adapter drowns the
# layer it should correct. Hyper-fan-in is quieter, and still louder
# than the FFN: its matrices keep the scale of what the adapter
# *reads*, and next to that this FFN gives little. The written biases,
# with `fan = 1`, come on top (the last column sets them to zero).
# Only with the factor 0.001 does the model start almost untouched.
# And since both matrices carry that factor, their product carries it
# twice: what such an adapter says at first is its written bias.

# %% [markdown]
# ### The first steps
#
# Does it matter for training, or does the optimiser repair a bad
# start at once? Two tasks, three starts, two learning rates, two
# seeds, the same few steps. The model is the baseline `"task_embedding"`: our
# hypernetwork in the decoder, trained adapters in the encoder.
#
# ```{admonition} Predict first
# :class: tip
# The frozen T5 has a loss of several nats per token before anything
# is trained. Where does the loss start under each of the three, and
# is one of them clearly lowest at the end?
# ```

# %%
FIRST = 60  # steps
RATES = (3e-3, 3e-4)  # ours for this small T5, and the release's

pair = ["time/hotel", "acceptability/hotel"]
some = {name: suite[name] for name in pair}


def first_steps(scale, seed, lr):
    """The language model's loss at each of the first steps."""
    config = PHAConfig.baseline("task_embedding", tasks=pair, seed=seed)
    model = PHAModel.from_backbone((t5, tokenizer), config)
    torch.manual_seed(seed)
    start(model.trained.hypernet, scale)
    settings = TrainConfig(
        steps=FIRST, batch_size=16, lr=lr, eval_every=0, seed=seed
    )
    result = train(model, some, settings, progress=False)
    return [row["lm_loss"] for row in result.history]


curves = {
    (name, lr): [first_steps(scale, SEED + i, lr) for i in range(2)]
    for lr in RATES
    for name, scale in STARTS.items()
}

# %%
titles = [f"learning rate {lr:g}" for lr in RATES]
fig = make_subplots(2, 1, vertical_spacing=0.14, subplot_titles=titles)
for (name, lr), runs in curves.items():
    for j, run in enumerate(runs):
        fig.add_scatter(
            x=list(range(1, FIRST + 1)),
            y=run,
            name=name,
            legendgroup=name,
            showlegend=j == 0 and lr == RATES[0],
            line_color=plots.PALETTE[list(STARTS).index(name)],
            hovertemplate="step %{x}: %{y:.2f} nats",
            row=1 + RATES.index(lr),
            col=1,
        )

# %%
fig.update_xaxes(title_text="training step", row=2, col=1)
fig.update_yaxes(title_text="loss (nats per token)", type="log")
plots.finish(
    fig,
    "The first steps under three starts",
    "Two panels, one for each learning rate: the loss over the first "
    "training steps on a logarithmic axis, two lines for each start. "
    "At the first step those of hyper-fan-in times 0.001 are low in "
    "both panels. With the large rate all lines soon lie close.",
    height=620,
    above=96,
    legend={"orientation": "h", "y": 1.06, "yanchor": "bottom", "x": 0},
)

# %% [markdown]
# *What to see:* look at the first points, before anything is learnt.
# With the factor 0.001 the loss is about that of the frozen T5; loud
# adapters mostly start above it. Does the quiet start stay ahead? In
# the upper panel its loss, too, can leap up: AdamW moves every number
# in a head by about the learning rate, and 0.003 is far more than the
# quiet start drew. After a step or two little is left of it. In the
# lower panel the steps are ten times smaller, and a start lasts
# longer. At the ends of the lines, compare the gap between two starts
# with the gap between the two lines of one: if it is no larger, the
# optimiser has repaired the start. So the start decides the first
# loss, the learning rate how long that is felt.

# %% [markdown]
# ## Once per task, not once per row
#
# A batch mixes tasks, and every row needs the adapter of its own
# task. The plain way is to look up each row's task embedding and let
# the hypernetwork write an adapter for every row. The released code
# does it this way. But 128 rows of 8 tasks need only 8 adapters. The
# other 120 are copies.


# %%
def per_row(net, k, ids, h):
    """The released way. ids: (B,), h: (B, S, d)."""
    written = net(k[ids])  # down: (L, B, d, b)
    out = []
    for w in written.unbind():  # layer after layer
        z = (h @ w.down + w.down_bias[:, None]).relu()
        out.append(z @ w.up + w.up_bias[:, None])
    return torch.stack(out), written


def per_task(net, k, ids, h):
    """Ours: rows are grouped, each task's adapter written once."""
    tasks, group, sizes = ids.unique(
        return_inverse=True, return_counts=True
    )
    written = net(k[tasks])  # down: (L, K, d, b)
    order = group.argsort()  # rows, task after task
    parts, back = h[order].split(sizes.tolist()), order.argsort()
    out = []
    for layer in written.unbind():
        made = map(bottleneck, parts, layer.unbind())
        out.append(torch.cat(list(made))[back])
    return torch.stack(out), written


# %% [markdown]
# Both give the same output. So does `pha_lite`, which keeps the
# grouping in a `Route` and replaces the loop over tasks by one
# batched product.

# %%
start(net, 1.0)  # large enough that a difference would show
ids = torch.randint(8, (48,))  # a batch of 48 rows, 8 tasks
k = torch.randn(8, 32)
h = torch.randn(48, 4, net.d)
with torch.no_grad():
    released, many = per_row(net, k, ids, h)
    grouped, few = per_task(net, k, ids, h)
    route = Route.of(ids)
    layers = net(k[route.tasks]).unbind()
    package = torch.stack([bottleneck(h, w, route) for w in layers])
assert torch.allclose(released, grouped, atol=1e-4)
assert torch.allclose(package, grouped, atol=1e-4)
print("per row, per task and pha_lite agree")

# %% [markdown]
# ### Memory
#
# The bytes of $n$ written adapters in each of $L$ layers, with 4
# bytes to a number:
#
# ```{math}
# :label: eq-hypernetworks-bytes
# 4 \cdot n \cdot L \cdot (2 d b + d + b)
# ```
#
# Per row, $n$ is the size of the batch. Per task, it is the number of
# distinct tasks in it. In training the gradient of every written
# number is kept, too, which doubles both.
#
# ```{admonition} Predict first
# :class: tip
# T5-base, as released: 12 decoder layers, $d = 768$, $b = 64$, a
# batch of 128 rows. How much memory do the written weights take, per
# row? And per task, with 8 tasks? In megabytes or in gigabytes?
# ```


# %%
def mib(n, layers, d, b):
    """Memory of n written adapters in every layer, in MiB."""
    return 4 * n * layers * adapter_size(d, b) / 2**20


def held(written):
    """The same, of weights that lie in memory."""
    return sum(p.numel() * p.element_size() for p in written) / 2**20


shape = (len(net.layers), net.d, net.b)
assert math.isclose(held(many), mib(48, *shape))
assert math.isclose(held(few), mib(len(route.tasks), *shape))
Markdown(
    "| | per row | per task | one task |\n|---|--:|--:|--:|\n"
    f"| tiny, 48 rows, 8 tasks: held | {held(many):.2f} MiB | "
    f"{held(few):.2f} MiB | |\n"
    f"| the same by formula | {mib(48, *shape):.2f} MiB | "
    f"{mib(8, *shape):.2f} MiB | {mib(1, *shape):.3f} MiB |\n"
    "| **T5-base, 128 rows, 8 tasks: by formula** | "
    f"**{mib(128, **BASE):.0f} MiB** | **{mib(8, **BASE):.0f} MiB** | "
    f"**{mib(1, **BASE):.1f} MiB** |"
)

# %% [markdown]
# *What to see:* the formula gives what is really held. Per row, the
# memory grows with the batch. Per task, it grows with the tasks, of
# which there are a few however large the batch.
#
# ### Time
#
# We time a forward and a backward pass through all the adapters, for
# batches of different sizes with eight tasks each. Four positions per
# row are about what a decoder sees when answers are single words.

# %%
SIZES = [8, 16, 32, 64, 128, 256]  # rows of a batch
REPEATS = 7


def clock(way, rows):
    """Milliseconds of one forward and backward pass: all repeats."""
    h, spent = torch.randn(rows, 4, net.d), []
    ids = torch.arange(rows) % 8
    for _ in range(REPEATS + 1):
        begin = time.perf_counter()
        out, _ = way(net, k, ids, h)
        out.square().mean().backward()
        spent.append(1000 * (time.perf_counter() - begin))
    return spent[1:]  # the first run warms up


times = {"per row": per_row, "per task": per_task}
for name, way in times.items():
    runs = {rows: clock(way, rows) for rows in SIZES}
    times[name] = {
        rows: (median(run), min(run), max(run))
        for rows, run in runs.items()
    }

# %%
last = SIZES[-1]
factor = times["per row"][last][0] / times["per task"][last][0]
plots.lines(
    times,
    title="Forward and backward through written adapters",
    alt="Two lines over the rows of a batch: milliseconds per row and "
    "per task, with bands from the fastest to the slowest of several "
    "runs. The line for per row climbs with the batch, the line for "
    "per task more slowly.",
    xtitle="rows in the batch (8 tasks)",
    ytitle="time (milliseconds)",
    log=True,
)

# %%
Markdown(
    f"With {last} rows the released way took **{factor:.1f} times** as "
    "long here."
)

# %% [markdown]
# *What to see:* compare the slopes. At 8 rows of 8 tasks there is
# nothing to save, and sorting rows and looping over tasks cost time:
# for small batches grouping may well be slower. But for each further
# row the released way writes one more adapter; ours only reads the
# row. The bands reach from the fastest to the slowest run. On a busy
# machine they are wide.

# %% [markdown]
# ```{admonition} Trap: written again for every word
# :class: warning
# The released code calls the hypernetwork inside the decoder. When
# the model *answers*, the decoder runs once per word that it writes,
# and each time the same weights are written again, again for every
# row. The answers are right, so no test of accuracy ever finds it.
# This is about the released code, not about the method. The cells
# below count the calls, and time both ways. `model.start` writes the
# adapters once; a hook on the decoder then imitates the release.
# ```


# %%
SIXTEEN = {"min_new_tokens": 16, "max_new_tokens": 16}


def speak(model, batch, again):
    """Decode 16 words. again: write per row, at every step."""
    ids = batch["task_ids"]

    def write(module, args):
        if again:
            rows = model.trained.weights(ids)["decoder"]
            model.decoder_plan.set(rows, Route.of_rows(len(ids)))

    begin = time.perf_counter()
    hook = model.t5.decoder.register_forward_pre_hook(write)
    with model.inference():
        states, _ = model.start(batch, embed=False)
        words = model.t5.generate(
            encoder_outputs=BaseModelOutput(states),
            attention_mask=batch["attention_mask"],
            **SIXTEEN,
        )
    hook.remove()
    return words, time.perf_counter() - begin


# %%
names = [f"task {t}" for t in range(8)]
config = PHAConfig.baseline("task_embedding", tasks=names, seed=SEED)
model = PHAModel.from_backbone((t5, tokenizer), config)
texts = list(suite["time/hotel"]["test"]["source"])[:48]
batch = model.batch(texts, None, names * 6)

calls = []
hook = model.trained.hypernet.register_forward_hook(
    lambda module, args, output: calls.append(len(args[0]))
)
(once, _), wrote = speak(model, batch, again=False), calls.copy()
calls.clear()
(often, _), rewrote = speak(model, batch, again=True), calls.copy()
hook.remove()
assert torch.equal(once, often)  # the same words

# %%
spent = {False: [], True: []}
for _ in range(REPEATS):
    for again, times_of in spent.items():
        times_of.append(speak(model, batch, again)[1])
ours, theirs = (min(seconds) for seconds in spent.values())
Markdown(
    f"Ours: {len(wrote)} call, {sum(wrote)} adapters per layer. As "
    f"released: {len(rewrote) - 1} calls, {sum(rewrote[1:])} adapters "
    "per layer, and the same words. Decoding took "
    f"**{100 * (theirs / ours - 1):+.0f} %** time."
)

# %% [markdown]
# *What to see:* the count is the point: one call against one per
# word, eight adapters per layer against 48 for each word. (The one
# in `start` is not counted as the release's.) What it costs in time
# depends on how large the adapters are beside the model, and on the
# machine.

# %% [markdown]
# ## Between two tasks
#
# Now a hypernetwork that has learnt something. Two tasks read the
# same reviews and answer *yes* or *no*, but to different questions.
# In each review the writer says something, and so does somebody else.
# `time/hotel` of the suite asks: does the writer speak of the past?
# Beside it we put a question of our own, `order/hotel`: does the
# writer speak *first*? It takes a few lines, because all reviews are
# built alike. (The suite's own rival of `time` is `sentiment`. It
# needs more steps than this page has.)


# %%
WRITER = {"I", "We", "we", "us", "me"}


def sentences(source):
    """A set of words for each of the two sentences of a review."""
    text = source.removeprefix("review: ").rstrip(".")
    return [set(sentence.split()) for sentence in text.split(". ")]


def past(source):
    """Does the writer speak of the past?"""
    (mine,) = (s for s in sentences(source) if s & WRITER)
    return "no" if "will" in mine else "yes"


def order(source):
    """Does the writer speak first?"""
    return "yes" if sentences(source)[0] & WRITER else "no"


# %% [markdown]
# Our reading of `time` must agree with the suite's answers. Then both
# questions can be put to any review.


# %%
def asked(name, question, task):
    """The task's texts with another question's answers."""
    splits = {}
    for split in task.splits:
        sources = task.columns(split)["source"]
        answers = [question(text) for text in sources]
        splits[split] = {"source": sources, "target": answers}
    return Task.from_rows(name, splits, labels=task.labels)


time_task = suite["time/hotel"]
for row in time_task["test"]:
    assert past(row["source"]) == row["target"]
order_task = asked("order/hotel", order, time_task)
pair = {task.name: task for task in (time_task, order_task)}
first, second = pair

# %%
TEXTS = 200  # test reviews

texts = list(time_task["test"]["source"])[:TEXTS]
truth = {
    first: torch.tensor([past(text) == "yes" for text in texts]),
    second: torch.tensor([order(text) == "yes" for text in texts]),
}
apart = truth[first] != truth[second]
differ = [
    row
    for answer in (True, False)  # three reviews of each kind
    for row in (apart & (truth[first] == answer))
    .nonzero()[:3, 0]
    .tolist()
]
lines = ["| | review | time | order |", "|--:|---|---|---|"]
for i, row in enumerate(differ, start=1):
    text = texts[row]
    said = text.removeprefix("review: ")
    lines.append(f"| {i} | {said} | {past(text)} | {order(text)} |")
Markdown("\n".join(lines))

# %% [markdown]
# Six test reviews on which the two questions have different answers.
# Only the task embedding tells which one is asked. We train the
# baseline `"task_embedding"`: encoder adapters shared by both tasks,
# decoder adapters written from *free* task embeddings, with no loss
# of their own. This is HyperFormer's idea with PHA's placement.

# %%
STEPS = 300

config = PHAConfig.baseline(
    "task_embedding", tasks=list(pair), seed=SEED
)
model = PHAModel.from_backbone((t5, tokenizer), config)
settings = TrainConfig(
    steps=STEPS, batch_size=16, lr=4e-3, eval_every=0, seed=SEED
)
train(model, pair, settings, progress=False)


def margin(model, name):
    """log p(yes) - log p(no) of every text, asked as one task."""
    scores = score_labels(model, texts, name, ["no", "yes"])
    return scores[:, 1] - scores[:, 0]


def right(margins, name):
    """Accuracy in percent, measured by one task's answers."""
    return 100 * ((margins > 0) == truth[name]).float().mean().item()


# %%
lines = ["| embedding of | answers to time | answers to order |"]
lines.append("|---|--:|--:|")
for used in pair:
    got = margin(model, used)
    lines.append(
        f"| `{used}` | {right(got, first):.0f} % | "
        f"{right(got, second):.0f} % |"
    )
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* high numbers from the upper left to the lower right
# mean that each task has learnt its question. The other two numbers
# are the {term}`swap test`: asked with the rival's embedding, does the
# model answer the rival's question? Then they lie near {term}`chance`,
# for the two answers agree on about half of the texts. If the
# embedding did not matter, the two rows would be the same.
#
# ### The road from one to the other
#
# A task embedding is a point, and between two points lies a line.
# What does the hypernetwork write for a point on it, where no task
# ever was? We move in small steps:
#
# $$k(\alpha) = (1 - \alpha)\,k_{\mathrm{time}}
#   + \alpha\,k_{\mathrm{order}} .$$
#
# `add_task` takes such a mixture. So the road is eleven new "tasks"
# of a copy of the model, none of them trained.
#
# ```{admonition} Predict first
# :class: tip
# The accuracies on both questions along the road: do they slope, or
# is there a cliff? Do all texts change from one question's answer to
# the other's at the same $\alpha$?
# ```

# %%
ALPHAS = [i / 10 for i in range(11)]

road = model.clone()
for a in ALPHAS:
    road.add_task(f"at {a}", like={first: 1 - a, second: a})
along = [margin(road, f"at {a}") for a in ALPHAS]
scores = {name: [right(m, name) for m in along] for name in pair}

# %%
blue, orange = plots.PALETTE[:2]
reviews = [f"review {i + 1}" for i in range(len(differ))]


def picture(i):
    """What the slider changes: the two dots, and the bars."""
    bars = along[i][differ].round(decimals=2).tolist()
    yes = truth[first][differ].tolist()
    hue = [
        blue if (bar > 0) == wanted else orange
        for bar, wanted in zip(bars, yes, strict=True)
    ]
    return {
        "x": [[ALPHAS[i]] * 2, bars],
        "y": [[scores[name][i] for name in pair], reviews],
        "marker.color": [[blue, orange], hue],
    }


# %%
fig = make_subplots(rows=2, cols=1, vertical_spacing=0.2)
fig.add_scatter(x=ALPHAS, y=scores[first], name="answers to time")
fig.add_scatter(x=ALPHAS, y=scores[second], name="answers to order")
fig.add_scatter(mode="markers", marker_size=13, showlegend=False)
fig.add_bar(orientation="h", showlegend=False, row=2, col=1)
fig.update_traces(line_color=blue, selector=0)
fig.update_traces(line_color=orange, selector=1)

top, below = {"row": 1, "col": 1}, {"row": 2, "col": 1}
reach = 1.1 * max(m[differ].abs().max().item() for m in along)
says = "log p(yes) - log p(no) (nats)"
fig.update_xaxes(title_text="alpha", **top)
fig.update_yaxes(title_text="accuracy (%)", range=[0, 102], **top)
fig.update_xaxes(title_text=says, range=[-reach, reach], **below)
fig.update_yaxes(autorange="reversed", **below)
for key, values in picture(0).items():
    for trace, value in zip((2, 3), values, strict=True):
        fig.data[trace][key] = value

# %%
slider = {
    "currentvalue": {"prefix": "alpha = "},
    "pad": {"t": 62, "r": 14},
    "x": 0,
    "len": 1,
    "steps": [
        {
            "label": str(a),
            "method": "restyle",
            "args": [picture(i), [2, 3]],  # dots and bars
        }
        for i, a in enumerate(ALPHAS)
    ],
}
legend = {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0}

# %%
plots.finish(
    fig,
    "From one task embedding to another",
    "Above, two lines over alpha from 0 to 1: how many texts get the "
    "right answer to the question of time and to that of order. The "
    "first line falls, the second rises. Below, a bar for each of six "
    "reviews: how much the model prefers yes to no. A slider moves "
    "along alpha, and the bars change from one side to the other.",
    height=760,
    above=46,
    below=120,
    sliders=[slider],
    legend=legend,
)

# %% [markdown]
# *What to see:* the two lines cross somewhere between the ends: the
# answers to one question give way to those to the other. Drag the
# slider and watch the bars. A blue bar answers *time*, an orange one
# *order*. Where both colours show, the model answers some texts by
# one question and some by the other. And a bar can move steadily
# where the lines have a cliff: accuracy counts only its side. Half of
# two tasks is not a third task; it is a model that is undecided
# between two.

# %% [markdown]
# ### The same road, seen from the weights
#
# The embeddings lie on a straight line. The weights do not: between
# the two stand a ReLU and a layer norm. We write all adapters along
# the road, put each set into one long vector $w(\alpha)$, and look at
# its length and at its angle to both ends.

# %%
rows = torch.tensor(road.task_ids([f"at {a}" for a in ALPHAS], 11))
with torch.no_grad():
    made = road.trained.hypernet(road.trained.prototypes(rows))
    flat = torch.cat(
        [part.transpose(0, 1).flatten(1) for part in made], dim=1
    )  # (11, numbers in all layers)

length = flat.norm(dim=1)
unit = flat / length[:, None]
views = {
    "length (first = 1)": length / length[0],
    "cosine with the first": unit @ unit[0],
    "cosine with the last": unit @ unit[-1],
}

# %%
plots.lines(
    {
        name: {a: (v,) for a, v in zip(ALPHAS, curve, strict=True)}
        for name, curve in ((n, v.tolist()) for n, v in views.items())
    },
    title="Written weights along the road",
    alt="Three lines over alpha from 0 to 1: the length of the written "
    "weights, their cosine with those at the first end, which falls "
    "from 1, and with those at the last end, which rises to 1.",
    xtitle="alpha",
    ytitle="length, or cosine",
)

# %%
writer = model.trained.hypernet
offsets = [getattr(writer, part).bias for part in made._fields]
offset = math.sqrt(
    len(made.down) * sum(rms(c) ** 2 * c.numel() for c in offsets)
)
apart = (unit[0] @ unit[-1]).item()
Markdown(
    f"The cosine between the two ends is **{apart:.2f}**. The heads' "
    "biases, the offset that is the same for every task and layer, "
    f"are **{100 * offset / length[0].item():.0f} %** as long as the "
    "weights at the first end."
)

# %% [markdown]
# *What to see:* the curves are bent where the road of the embeddings
# is straight. And look at the cosine between the ends: the nearer to
# 1, the more of what is written is common to both tasks, although
# they answer different questions. Is it the offset? Only if that is
# long. Otherwise the trunk gives both tasks similar shares $x$.

# %% [markdown]
# ## Does the layer embedding matter?
#
# The embeddings of the layers were there in the equations from the
# start. Do they do anything? Two tests on the trained model, nothing
# is tuned. **Shuffled**: the layers' embeddings change places, so that
# layer 1 gets the adapter meant for layer 2. **Mean**: every layer
# reads the mean of all layer embeddings, so that all get the same
# adapter.
#
# ```{admonition} Predict first
# :class: tip
# What will each of the two cost, in points of accuracy?
# ```


# %%
def with_layers(vectors):
    """A copy of the trained model with other layer embeddings."""
    copy = model.clone()
    copy.trained.hypernet.layers.data = vectors
    found = [right(margin(copy, name), name) for name in pair]
    return sum(found) / len(found)


trained = model.trained.hypernet.layers.detach()
orders = list(permutations(range(len(trained))))
shuffled = [with_layers(trained[list(o)]) for o in orders[1:]]
table = {
    "as trained": with_layers(trained),
    "shuffled, mean": sum(shuffled) / len(shuffled),
    "shuffled, lowest": min(shuffled),
    "shuffled, highest": max(shuffled),
    "mean of all": with_layers(trained.mean(0).expand_as(trained)),
}
lines = ["| layer embeddings | accuracy, both tasks |", "|---|--:|"]
lines += [f"| {name} | {got:.0f} % |" for name, got in table.items()]
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare each row with the first. Where shuffling costs
# nothing, the layers' embeddings are not needed: each layer can do
# with another's adapter, or the network writes about the same one for
# all. The equation offers a freedom; whether training takes it is a
# question for a measurement. This model has three decoder layers. In
# a deep one the answer may differ.

# %% [markdown]
# ## What could go wrong
#
# - **PyTorch's start in the heads.** Nothing crashes, and on this
#   page the optimiser mends it. Do not count on that in a larger
#   model. Print the ratio of adapter to FFN once, before you train.
# - **Adapters per row.** Answers are right, memory and time are not.
#   Count the calls of the hypernetwork, and the rows it reads.
# - **An embedding that nobody reads.** A hypernetwork can learn to
#   write the same for every task: the offset $c$ allows it, and so
#   does a trunk whose $x$ hardly moves. Swap embeddings before you
#   explain anything with them.
# - **The same for layers.** Shuffle them before you speak of layers
#   that specialise.
# - **A layer norm left out.** The start rests on the length of $x$
#   being fixed. Without it, a longer task embedding writes larger
#   weights.
# - **A learning rate from ordinary adapters.** One step in a head
#   moves all the adapters of all tasks at once, and can undo a quiet
#   start. Choose the rate anew, on validation data.

# %% [markdown]
# ## Exercises
#
# ````{exercise} One more layer
# :label: hypernetworks-layer
#
# One more task costs 64 numbers. What does one more *layer* cost in
# the hypernetwork for T5-base, and what would it cost with adapters
# of their own for 8 tasks? Say why before you compute.
# ````
#
# ````{solution} hypernetworks-layer
# :class: dropdown
#
# ```python
# taller = hyper_size(**{**BASE, "layers": 13})
# print(sum(taller.values()) - sum(base.values()))
# print(8 * adapter_size(BASE["d"], BASE["b"]))
# ```
#
# One layer embedding, 64 numbers: to the hypernetwork a layer is a
# vector like a task. With adapters of its own, every task needs one
# more.
# ````

# %% [markdown]
# ````{exercise} How many adapters can it write?
# :label: hypernetworks-rank
#
# Write the adapters of one layer for 200 random task embeddings, put
# each into a row of a matrix, subtract the mean row and look at the
# singular values. How many differ from zero, with `out=32`? Is it 32?
# ````
#
# ````{solution} hypernetworks-rank
# :class: dropdown
#
# ```python
# start(net, 1.0)
# with torch.no_grad():
#     many = net(torch.randn(200, 32))
# matrix = torch.cat([p[0].flatten(1) for p in many], dim=1).double()
# values = torch.linalg.svdvals(matrix - matrix.mean(0))
# print((values > 1e-4 * values[0]).sum())
# ```
#
# 31. By {eq}`eq-hypernetworks-mix` at most 32, one for each number in
# $x$, and the layer norm takes one away: before its scale and shift,
# its output sums to zero. Training does not bring the 32nd back: a
# scale adds no direction, and the mean row takes the shift with it.
# However many tasks there are, their adapters share these directions.
# ````

# %% [markdown]
# ````{exercise} Without the layer norm
# :label: hypernetworks-norm
#
# In a new `Hyper`, put `nn.Identity()` in place of `norm`, start with
# hyper-fan-in, and measure the standard deviation of the written down
# matrix for task embeddings of standard deviation 0.1, 1 and 10. What
# should it be by {eq}`eq-hypernetworks-fan`?
# ````
#
# ````{solution} hypernetworks-norm
# :class: dropdown
#
# ```python
# plain = Hyper(len(net.layers), net.d, net.b, **sizes)
# start(plain, 1.0)
# for norm in (plain.norm, nn.Identity()):
#     plain.norm = norm
#     for size in (0.1, 1, 10):
#         with torch.no_grad():
#             w = plain(size * torch.randn(8, 32))
#         print(norm, size, w.down.std().item(), net.d**-0.5)
# ```
#
# It should be $\sqrt{1/d}$, and with the layer norm it is, whatever
# the size of the embedding. Without it the weights have the length
# that the trunk happens to give: too large for large embeddings, too
# small for the others. They do not shrink to nothing, for the trunk
# reads the layer embedding, too, and has biases.
# ````

# %% [markdown]
# ````{exercise} Beyond the ends
# :label: hypernetworks-beyond
#
# The road goes on. Ask the model at $\alpha = -1$ and $\alpha = 2$.
# Does the answer fall apart, or does the model stay with the task
# next to it? What of the lengths of the written weights?
# ````
#
# ````{solution} hypernetworks-beyond
# :class: dropdown
#
# ```python
# far = model.clone()
# for a in (-1.0, 0.0, 1.0, 2.0):
#     far.add_task(f"far {a}", like={first: 1 - a, second: a})
#     got = margin(far, f"far {a}")
#     row = torch.tensor(far.task_ids(f"far {a}", 1))
#     with torch.no_grad():
#         w = far.trained.hypernet(far.trained.prototypes(row))
#     size = math.sqrt(sum(p.square().sum() for p in w))
#     print(a, [round(right(got, name)) for name in pair], size)
# ```
#
# The layer norm bounds the length of $x$ however far you go, so the
# weights cannot explode. Look at which question is answered: beyond
# an end we would expect no new task, at best the one next to it.
# ````

# %% [markdown]
# ````{exercise} The other straight line
# :label: hypernetworks-line
#
# Mix the *weights* of the two ends instead of their embeddings. A
# forward hook on the hypernetwork can put the mixture in place of
# its output. Is the way through the weights as good?
# ````
#
# ````{solution} hypernetworks-line
# :class: dropdown
#
# ```python
# ends = torch.tensor(model.task_ids(list(pair), 2))
# with torch.no_grad():
#     w = model.trained.hypernet(model.trained.prototypes(ends))
# for a in ALPHAS[::2]:
#     mixed = AdapterWeights(
#         *(torch.lerp(p[:, :1], p[:, 1:], a) for p in w)
#     )
#     hook = model.trained.hypernet.register_forward_hook(
#         lambda module, args, output, mixed=mixed: mixed
#     )
#     got = margin(model, first)
#     hook.remove()
#     print(a, [round(right(got, name)) for name in pair])
# ```
#
# Compare with the curves of the road. The ends agree, of course, and
# here, too, one question gives way to the other. Where it happens may
# differ, for the two lines lead through different weights. Neither
# was trained, so neither is the right one.
# ````

# %% [markdown]
# ````{exercise} When every row is its own task
# :label: hypernetworks-instance
#
# Hyperdecoders {cite}`ivison2022hyperdecoders` write an adapter from
# each *input*. Then 128 rows are 128 vectors, and no two are equal.
# What is left of this page's saving? Compute the memory for T5-base,
# and count the calls per answer with `pha_lite`'s baseline
# `"instance"`.
# ````
#
# ````{solution} hypernetworks-instance
# :class: dropdown
#
# ```python
# print(f"{mib(128, **BASE):.0f} MiB")
# each = PHAConfig.baseline("instance", tasks=[first], seed=SEED)
# each = PHAModel.from_backbone((t5, tokenizer), each)
# calls = []
# hook = each.trained.hypernet.register_forward_hook(
#     lambda module, args, output: calls.append(len(args[0]))
# )
# each.generate(texts[:16], first)
# print(calls)
# ```
#
# All 128 adapters differ: the memory is now the price of the method
# and no waste. What is left is the second saving. An input does not
# change while its answer is written, so one call is enough, with one
# vector for each of the 16 texts.
# ````

# %% [markdown]
# ## Summary
#
# - A hypernetwork reads a task's and a layer's vector and writes that
#   layer's adapter for that task, all of them in one call.
# - Its heads hold nearly all its numbers: 64 adapters and an offset.
#   Each written adapter is a mixture of these. One more task costs
#   one vector.
# - A written weight is started through the heads. Hyper-fan-in gives
#   it the variance that a plain layer would have; the release goes
#   on by a factor of 0.001, so that the model starts almost
#   untouched. What comes after is up to the learning rate.
# - Write once per distinct task and once per answer, not per row and
#   word. Nothing but memory and time will tell you.
# - Whether a hypernetwork uses its inputs is a question for tests:
#   swap the tasks, shuffle the layers, walk between.
#
# **Check yourself.** Why do the heads hold as many numbers as 65
# adapters? Which two things does the variance of a written weight
# depend on, and which of them does the layer norm fix? How would you
# notice that a hypernetwork writes the same adapter for every task?
#
# **In the code.** `pha_lite/hypernet.py` holds the prototypes and the
# hypernetwork, `pha_lite/routing.py` the grouping of rows,
# `pha_lite/adapter.py` the batched product, and `pha_lite/core.py`
# the one place where weights are written, `start`. Among the
# baselines of `pha_lite/config.py` are HyperFormer's free task
# embeddings {cite}`mahabadi2021hyperformer` and Hyperdecoders'
# instances {cite}`ivison2022hyperdecoders`.
#
# **Next.** Task embeddings know nothing of texts; the
# [retriever](retriever.ipynb) gives texts a place among them.

# %%
import os
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
