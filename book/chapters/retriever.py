# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
#   pha:
#     colab: [faiss-cpu]
#     quick: {ROWS: 40, CHECKS: 6, STEPS: 6, WATCH: [0, 3, 6], SEEDS: 2, TAUS: [0.1, 1.0], ASKED: 8, CELLS: 8, DRAWS: 2, STORED: [1, 4]}
# ---

# %% [markdown]
# # The instance-dense retriever
#
# A new task arrives as a handful of texts. Which of the tasks we
# know do they look like? PHA {cite}`zhao2023pha` answers with
# geometry: a small network turns every text into a point, and texts
# of one task are trained to lie together. The paper calls this part
# the *instance-dense retriever*.
#
# **The question of this page:** how can points come to lie in order
# although nobody says where any of them should lie, and what does
# that order know about a task?
#
# **After this page you can**
#
# - turn a padded batch of texts into points of length 1, and say
#   what goes wrong when padding counts;
# - compute the contrastive loss of six texts by hand, as a loop and
#   in five lines, and say how low it can get;
# - choose a temperature knowing what it decides;
# - see why a batch of a single task cannot tell tasks apart;
# - measure the order of a space, and search in it exactly and
#   approximately with faiss.
#
# **You need** PyTorch basics, the softmax, and the idea of PHA as in
# [Ten minutes with PHA](ten_minutes.ipynb). The chapter before,
# [Hypernetworks](hypernetworks.ipynb), shows what the points are
# later good for; this page does not need it.

# %%
import time

import faiss
import numpy as np
import pha_lite
import plotly.graph_objects as go
import torch
import torch.nn.functional as F
from IPython.display import Markdown
from pha_lite import PHAConfig, PHAModel, load_suite, plots
from pha_lite.evaluate import interval
from pha_lite.losses import instance_loss
from pha_lite.nearest import nearest_index
from pha_lite.records import run_time
from pha_lite.retriever import masked_mean
from pha_lite.suite import RULES
from sklearn.metrics import silhouette_samples
from torch import nn

SEED = 0
torch.manual_seed(SEED)
began = time.perf_counter()
print(f"pha_lite {pha_lite.__version__}, faiss {faiss.__version__}")
print(f"on the CPU, {torch.get_num_threads()} threads, seed {SEED}")

# %%
Markdown(run_time("retriever"))

# %% [markdown]
# ## From a text to a point
#
# Three steps lead from a text to a point: the {term}`frozen` encoder
# gives one state per token, a mean makes one vector of them, and a
# small network maps it to $e$ numbers. That is the whole
# {term}`retriever`:
#
# ```{figure} ../figures/retriever_path.svg
# :alt: Two rows of tokens, one filled up with dashed padding, pass a frozen encoder, a mean over real tokens only and a trained MLP. On the right six points lie on a circle, three of each colour together.
# :name: fig-retriever-path
# :width: 100%
#
# From tokens to points. Only the MLP, two layers with a ReLU between
# them, is trained here. In truth the circle is a sphere in $e$
# dimensions.
# ```
#
# ```{math}
# :label: eq-retriever-z
# \bar h_i = \frac{\sum_s m_{is}\,h_{is}}{\sum_s m_{is}}, \qquad
# v_i = W_2\,\mathrm{ReLU}(W_1 \bar h_i + c_1) + c_2, \qquad
# z_i = \frac{v_i}{\lVert v_i \rVert}
# ```
#
# $h_{is}$ is the encoder's last state at token $s$ of text $i$, and
# $m_{is}$ is 1 for a real token and 0 for padding. In the released
# code $W_1$ has 128 rows and $e$ is 64; our small model has 64 and
# 32. The result $z_i$ is the text's {term}`instance embedding`.
#
# One simplification on this page. In PHA the encoder carries
# adapters, and while these learn, $h$ moves. We leave them out
# (`encoder="none"`). Then the states of a text never change, we
# compute them once, and training the retriever costs next to
# nothing. We also switch off the prototypes' loss, the subject of
# the next chapter.
#
# A task's name is *rule/surface*: what is asked, and the place that
# the texts are about. `model.batch` takes texts, answers and a task.
# The retriever needs no answers, hence the `None`, and with nothing
# trained in the encoder the task makes no difference to the states.

# %%
suite = load_suite(seed=SEED)
names = suite.train_tasks
config = PHAConfig.tiny(
    tasks=names, encoder="none", prototype_weight=0.0, seed=SEED
)
model = PHAModel.from_backbone("tiny", config).eval()

short = suite["acceptability/hotel"]["test"][0]["source"]
long = suite["entailment/hotel"]["test"][0]["source"]
batch = model.batch([short, long], None, names[0])
mask = batch["attention_mask"]  # (2, S)
with torch.no_grad():
    states = model.encode(batch)  # (2, S, d)
print(short, long, sep="\n")
print(tuple(states.shape), "real tokens:", mask.sum(dim=1).tolist())

# %% [markdown]
# ### The mean, with and without padding
#
# Both texts stand in one tensor, so the shorter one is filled up.
# The encoder computes a state for the filled places, too, and it is
# not zero. The mean of {eq}`eq-retriever-z` leaves them out:


# %%
def pool(states, mask):
    """(B, S, d), (B, S) -> (B, d): the mean over real tokens."""
    weight = mask.unsqueeze(-1).to(states.dtype)  # (B, S, 1)
    return (states * weight).sum(dim=1) / weight.sum(dim=1)


pooled = pool(states, mask)
assert torch.allclose(pooled, masked_mean(states, mask), atol=1e-6)
padding = states[0, mask[0] == 0]
print(f"length of a state at padding: {padding.norm(dim=1).mean():.1f}")
print(f"length of the pooled states: {pooled.norm(dim=1).tolist()}")

# %% [markdown]
# What if we forget the mask and write `states.mean(dim=1)`? How much
# padding a text gets depends on its company in the batch. So we take
# the two texts above, one short and one long, add more and more
# padding, and watch two cosines: that of the short text with
# *itself* without padding, and that of the two *different* texts
# with each other.
#
# ```{admonition} Predict first
# :class: tip
# The attention mask keeps real tokens from seeing the padding. With
# the unmasked mean, which way does each of the two cosines go? And
# with the masked mean?
# ```

# %%
PADS = [0, 2, 4, 8, 16, 32, 64]  # padding tokens added


def with_padding(text, extra):
    """States (1, S, d) and mask (1, S) with extra padding."""
    row = model.batch([text], None, names[0])
    fill = model.tokenizer.pad_token_id
    ids = F.pad(row["input_ids"], (0, extra), value=fill)
    mask = F.pad(row["attention_mask"], (0, extra))
    with torch.no_grad():
        out = model.encode({"input_ids": ids, "attention_mask": mask})
    return out, mask


def cosine(a, b):
    return float(F.cosine_similarity(a, b).item())


# %%
alone = pool(*with_padding(short, 0))
curves = {
    "itself, masked": {},
    "itself, no mask": {},
    "two texts, masked": {},
    "two texts, no mask": {},
}
for extra in PADS:
    a, b = with_padding(short, extra), with_padding(long, extra)
    masked = [pool(*a), pool(*b)]
    unmasked = [a[0].mean(dim=1), b[0].mean(dim=1)]
    for word, pair in (("masked", masked), ("no mask", unmasked)):
        own, other = cosine(alone, pair[0]), cosine(*pair)
        curves[f"itself, {word}"][extra] = (own,)
        curves[f"two texts, {word}"][extra] = (other,)

# %%
plots.lines(
    curves,
    title="What padding does to a mean",
    alt="Four curves over the number of padding tokens. With the "
    "masked mean both cosines stay where they are. With the unmasked "
    "mean a text's cosine with itself falls, and that of two "
    "different texts moves away from its true value.",
    xtitle="padding tokens added",
    ytitle="cosine",
)

# %% [markdown]
# *What to see:* the two masked curves are flat: a text is the same
# point in any company. Without the mask the text wanders off from
# itself, and the cosine of the two texts tells of padding, too.
# Nothing crashes, no loss turns into NaN, and a test that never pads
# passes. Compare a text alone with the same text in a batch, and you
# will notice.
#
# ### A small network, and length 1
#
# Next, the two layers of {eq}`eq-retriever-z` and the division by
# the length. After it the inner product of two points is the cosine
# of the angle between them, a number from -1 to 1:
# $z_i \cdot z_j = \cos(v_i, v_j)$.


# %%
class TinyRetriever(nn.Module):
    """(B, d) pooled states -> (B, e) points of length 1."""

    def __init__(self, d, hidden, e):
        super().__init__()
        self.first = nn.Linear(d, hidden)
        self.second = nn.Linear(hidden, e)

    def forward(self, pooled):
        v = self.second(F.relu(self.first(pooled)))  # (B, e)
        return v / v.norm(dim=1, keepdim=True)


D = 128  # width of the encoder
HIDDEN = 64
E = 32  # width of a point

ours = TinyRetriever(D, HIDDEN, E)
ours.load_state_dict(model.trained.retriever.state_dict())
with torch.no_grad():
    z = ours(pooled)
    theirs = F.normalize(model.trained.retriever(pooled), dim=1)
assert torch.allclose(z, theirs, atol=1e-6)
assert torch.allclose(z, model.embed([short, long]), atol=1e-5)
print("lengths:", z.norm(dim=1).tolist())

# %% [markdown]
# Our network agrees with `pha_lite.retriever.Retriever` and with
# `model.embed`. (`pha_lite` normalises inside its losses and in
# `embed`, not in the network. The points are the same.)
#
# ## A loss that puts points in order
#
# Nobody can say where a text of task $t$ belongs. But we can say
# what should be *near*. The idea is called contrastive: take a point
# $i$, the *anchor*, and let it choose among all other points of the
# batch by a softmax over cosines. The share of the choice that falls
# on points of its own task should be large.
#
# With one right point among many wrong ones this is
# {term}`InfoNCE` {cite}`oord2018cpc`. With several right ones, all
# those of the same class, it is the supervised contrastive loss
# {cite}`khosla2020supcon`. PHA uses the second, and its classes are
# *tasks*. The answers "yes" and "no" play no part in it. As the
# released code computes it,
#
# ```{math}
# :label: eq-retriever-ir
# \ell_i = -\frac{1}{|P(i)|} \sum_{p \in P(i)}
#     \log \frac{\exp(z_i \cdot z_p / \tau)}
#               {\sum_{a \neq i} \exp(z_i \cdot z_a / \tau)},
# \qquad
# L_{\mathrm{IR}} = \frac{1}{|I|} \sum_{i \in I} \ell_i .
# ```
#
# $P(i)$ are the *partners* of $i$: the other rows of the batch with
# the same task. The rows of other tasks are its *negatives*. $I$ are
# the anchors that have a partner at all. The number $\tau$ is the
# {term}`temperature`, 0.1 in the released code. There
# $L_{\mathrm{IR}}$ is multiplied by another 0.1 before it is added to
# the other losses; on this page it stands alone.
#
# ### Six texts by hand
#
# Two tasks, three texts each: `s` are single sentences, `r` are
# reviews. The retriever has not been trained yet.

# %%
TAU = 0.1
PAIR = ["acceptability/hotel", "sentiment/hotel"]

six = [
    text
    for name in PAIR
    for text in suite[name]["validation"][:3]["source"]
]
tags = ["s1", "s2", "s3", "r1", "r2", "r3"]
owner = torch.tensor([0, 0, 0, 1, 1, 1])
z = model.embed(six)  # (6, e)
cosines = z @ z.T  # (6, 6)

plots.heatmap(
    cosines,
    tags,
    tags,
    title="Cosines of six texts, before training",
    alt="A table of six by six cosines as colours: three sentences "
    "s1 to s3 and three reviews r1 to r3. The diagonal is 1.",
    xtitle="text",
    ytitle="anchor",
    unit="cosine",
)

# %%
lines = ["| | text |", "|---|---|"]
lines += [f"| {t} | {x} |" for t, x in zip(tags, six, strict=True)]
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* look for two blocks of three, upper left and lower
# right. They may show already, since a random network keeps much of
# what the encoder says. But the other cosines are far from low.
#
# Now one anchor, `s1`, step by step. Divide the cosines by $\tau$;
# a softmax over the five others gives their *shares* of the choice.
# *Wanted* is what the loss asks for: the two partners get one half
# each, the others nothing.

# %%
scores = cosines[0, 1:] / TAU  # (5,), the anchor itself left out
shares = scores.softmax(dim=0)
wanted = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0])

lines = [
    "| other | cosine | ÷ τ | share | wanted |",
    "|---|" + "---|" * 4,
]
for a in range(5):
    cells = [cosines[0, a + 1], scores[a], shares[a], wanted[a]]
    numbers = [f"{float(c):.3f}" for c in cells]
    lines.append(" | ".join([f"| {tags[a + 1]}", *numbers]) + " |")
by_hand = -(shares[0].log() + shares[1].log()) / 2
lines += ["", "Loss of this anchor: minus the mean logarithm of the"]
lines += [f"partners' shares, **{by_hand:.3f}** nats."]
Markdown("\n".join(lines))

# %% [markdown]
# The table also holds the gradient. By the rule for the softmax,
#
# ```{math}
# :label: eq-retriever-grad
# \frac{\partial \ell_i}{\partial (z_i \cdot z_a / \tau)}
#   = \text{share}_a - \text{wanted}_a .
# ```
#
# A partner with less than its wanted share is pulled closer, one
# with more is pushed off. A negative is pushed away in proportion to
# the share it takes. Keep this equation: it explains the temperature
# and the trap below.

# %%
leaf = scores.clone().requires_grad_()
loss = -(leaf[:2] - leaf.logsumexp(dim=0)).mean()
loss.backward()
assert torch.allclose(loss, by_hand, atol=1e-5)
assert torch.allclose(leaf.grad, shares - wanted, atol=1e-5)
print("autograd gives share - wanted:", leaf.grad.numpy().round(3))

# %% [markdown]
# ### A loop, then five lines
#
# The loop says what {eq}`eq-retriever-ir` says, one anchor after the
# other. A row without a partner is no anchor, but it still stands in
# the others' sums.


# %%
def instance_loss_loop(z, tasks, tau=0.1):
    """L_IR of points z (B, e) of length 1, pair by pair."""
    losses = []
    for i in range(len(z)):
        others = [a for a in range(len(z)) if a != i]
        partners = [p for p in others if tasks[p] == tasks[i]]
        if not partners:
            continue
        total = sum(torch.exp(z[i] @ z[a] / tau) for a in others)
        logs = [z[i] @ z[p] / tau - total.log() for p in partners]
        losses.append(-sum(logs) / len(partners))
    return sum(losses) / len(losses) if losses else z.sum() * 0


# %% [markdown]
# The fast form computes all cosines at once, (B, B). A point must
# not choose itself: its own score becomes a huge negative number.


# %%
def instance_loss_fast(z, tasks, tau=0.1):
    """The same for all anchors at once."""
    itself = torch.eye(len(z), dtype=torch.bool)  # (B, B)
    scores = (z @ z.T / tau).masked_fill(itself, -1e9)
    log_share = scores.log_softmax(dim=1)
    partner = (tasks[:, None] == tasks[None, :]) & ~itself
    count = partner.sum(dim=1)  # (B,), |P(i)|
    each = -(log_share * partner).sum(dim=1) / count.clamp(min=1)
    return each.sum() / (count > 0).sum().clamp(min=1)


slow = instance_loss_loop(z, owner)
assert torch.allclose(slow, instance_loss_fast(z, owner), atol=1e-5)
assert torch.allclose(slow, instance_loss(z, owner), atol=1e-5)
print(f"six texts, before training: {slow:.3f} nats")

# %% [markdown]
# All three agree; `pha_lite.losses.instance_loss` is the third.
#
# ### How low can it go?
#
# Not to zero. Even in the best order an anchor has to divide its
# choice among its partners. If the partners sit on the anchor and
# all others are far away, every partner has the share $1/|P(i)|$ and
# the loss is $\log |P(i)|$: here $\log 2$. This floor depends on how
# many rows of a task the batch happens to hold. So a value of
# $L_{\mathrm{IR}}$ means little until you know its floor.


# %%
def ideal(tasks, groups):
    """L_IR if rows of a group were one point, far from the rest."""
    itself = torch.eye(len(tasks), dtype=torch.bool)
    anchors = ((tasks[:, None] == tasks) & ~itself).any(dim=1)
    together = ((groups[:, None] == groups) & ~itself).sum(dim=1)
    return together[anchors].float().log().mean()


best = torch.tensor([[1.0, 0.0]] * 3 + [[-1.0, 0.0]] * 3)
print(f"log 2                     {np.log(2):.4f}")
print(f"two opposite points       {instance_loss(best, owner):.4f}")
print(f"the function above        {ideal(owner, owner):.4f}")

# %% [markdown]
# ## What the temperature decides
#
# Dividing by $\tau$ stretches the cosines before the softmax. Below,
# an anchor has one partner at cosine 0.7 and five negatives between
# 0.9 and -0.5. By {eq}`eq-retriever-grad` a negative's share *is*
# the strength with which it is pushed.
#
# ```{admonition} Predict first
# :class: tip
# At $\tau = 0.02$, which of the five is pushed, and which are left
# alone? And at $\tau = 1$?
# ```

# %%
SETTINGS = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0]
FIXED = torch.tensor([0.7, 0.9, 0.6, 0.2, -0.1, -0.5])

bars = {tau: (FIXED / tau).softmax(dim=0).tolist() for tau in SETTINGS}
slider = {
    "active": 2,
    "currentvalue": {"prefix": "temperature "},
    "pad": {"t": 76},
    "steps": [
        {"label": f"{tau:g}", "method": "restyle", "args": [{"y": [y]}]}
        for tau, y in bars.items()
    ],
}
marks = ["partner<br>0.7"] + [f"other<br>{c:g}" for c in FIXED[1:]]
colour = [plots.PALETTE[1]] + [plots.PALETTE[0]] * 5
fig = go.Figure(go.Bar(x=marks, y=bars[0.1], marker_color=colour))
fig.update_yaxes(title_text="share of the choice", range=[0, 1])
fig.update_xaxes(title_text="row, and its cosine with the anchor")
alt = """Six bars, one partner in orange and five other rows in blue,
with a slider for the temperature. At a low temperature the row with
the highest cosine has nearly the whole share; at a high one no bar
is far above the others."""
title = "Who gets the anchor's choice"
plots.finish(fig, title, alt, height=500, below=150, sliders=[slider])

# %% [markdown]
# *What to see:* drag the slider. When it is cold, the loss is about
# the single hardest row, here the one at 0.9 that lies nearer than
# the partner. When it is hot, every row has a share that counts: the
# far ones are pushed, too, and a fine difference in cosine hardly
# matters. What that does to a whole space we measure below.
#
# ## Training it, alone
#
# Is it allowed to train the retriever by itself? In our small
# configuration yes: the gradient of $L_{\mathrm{IR}}$ stops at the
# pooled state (`contrast_to_encoder=False`, *our choice*; in the
# released code it flows on into the encoder's adapters). And without
# adapters in the encoder the pooled states are constants. So we
# compute them once, for all 24 training tasks.

# %%
ROWS = 1000  # texts per training task
CHECKS = 30  # validation and test texts per task


def texts_of(tasks, split, count):
    """Texts and their tasks' names."""
    texts, owners = [], []
    for name in tasks:
        texts += suite[name][split][:count]["source"]
        owners += [name] * count
    return texts, np.array(owners)


def pool_texts(texts, size=64):
    """(n, d) pooled encoder states; similar lengths go together."""
    out = torch.empty(len(texts), D)
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for start in range(0, len(texts), size):
        rows = order[start : start + size]
        batch = model.batch([texts[i] for i in rows], None, names[0])
        with torch.no_grad():
            out[rows] = pool(
                model.encode(batch), batch["attention_mask"]
            )
    return out


# %%
library, library_owner = texts_of(names, "train", ROWS)
clock = time.perf_counter()
pooled = pool_texts(library)  # (24 * ROWS, d)
seconds = time.perf_counter() - clock
print(f"{len(library):,} texts, {seconds:.0f} seconds, once")

checks, check_owner = texts_of(names, "validation", CHECKS)
shows, show_owner = texts_of(names, "test", CHECKS)
pooled_checks, pooled_shows = pool_texts(checks), pool_texts(shows)

# %% [markdown]
# A batch has 48 rows. For every *example* we draw a task, all with
# the same probability, and then one of its texts. Training is a
# plain loop.

# %%
BATCH = 48
STEPS = 200
WATCH = [0, 5, 10, 25, 50, 100, 200]  # steps to look at


def draw_mixed(rng):
    """(BATCH,) task numbers: one task per example."""
    return rng.integers(len(names), size=BATCH)


def rows_of(tasks, rng):
    """A random row of the library for every task number."""
    return tasks * ROWS + torch.from_numpy(
        rng.integers(ROWS, size=len(tasks))
    )


def new_retriever(seed):
    torch.manual_seed(seed)
    return TinyRetriever(D, HIDDEN, E)


# %%
def fit(draw, tau=TAU, seed=SEED, look=None):
    """A retriever trained by L_IR alone, and its losses."""
    net, history = new_retriever(seed), []
    rng = np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
    for step in range(STEPS + 1):
        if look is not None and step in WATCH:
            look(step, net)
        tasks = torch.from_numpy(draw(rng))
        z = net(pooled[rows_of(tasks, rng)])
        loss = instance_loss_fast(z, tasks, tau)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    return net, history


# %% [markdown]
# Is this loop the loss of the real model? One batch of text through
# `PHAModel`, and the same through our pieces:

# %%
few = ["review: I liked the room.", "review: We hate it.", long]
asked = ["sentiment/hotel", "sentiment/hotel", "entailment/hotel"]
with torch.no_grad():
    real = model(model.batch(few, None, asked)).ir_loss
    tasks = torch.tensor([names.index(name) for name in asked])
    mine = instance_loss_fast(ours(pool_texts(few)), tasks)
assert torch.allclose(real, mine, atol=1e-4)
print(f"PHAModel {real:.4f}, our pieces {mine:.4f}")

# %% [markdown]
# ```{admonition} Predict first
# :class: tip
# There are 24 tasks: eight rules on three surfaces. Four rules are
# the conflicting half, two pairs of *rivals*: the two rules of a
# pair read the same inputs. How many heaps of points will there be
# in the end: 6, 8, 18 or 24?
# ```

# %%
frames = []


def keep(step, net):
    with torch.no_grad():
        frames.append(net(pooled_shows).numpy())


net, history = fit(draw_mixed, look=keep)
few = np.arange(len(shows)) % CHECKS < 12  # 12 texts a task are drawn
plots.space_slider(
    [frame[few] for frame in frames],
    show_owner[few],
    WATCH,
    texts=[shows[i][:60] for i in np.flatnonzero(few)],
    title="Test texts while the retriever trains",
    alt="A scatter plot with a slider over training steps. At first "
    "all points lie close together. The kinds of input come apart; "
    "within a kind the symbols of the three surfaces come apart "
    "later, and the colours of two rules that read the same inputs "
    "stay mixed.",
)

# %% [markdown]
# *What to see:* all frames share one projection, so movement is
# movement. The kinds of input part first. Then every group is torn
# by *surface* (the symbols): for this loss `acceptability/hotel` and
# `acceptability/school` are two different tasks, and it pushes them
# apart as it does any others. Two dimensions do not show all of
# that. What never parts are the colours of two rivals, `sentiment`
# and `time` or the two witnesses: their inputs are the same. So the
# loss works towards 18 heaps, six kinds of input on three surfaces;
# the next section measures it.
#
# The loss shows it, too. Beside it stand two values of `ideal`: one
# if every task were a point of its own, one if tasks that read the
# same inputs shared a point.


# %%
def kind(name):
    """The kind of input: "review" for sentiment and for time."""
    return RULES[plots.rule(name)].kind.__name__


def shown(name):
    """What a text shows of its task: kind and surface."""
    return f"{kind(name)}/{plots.surface(name)}"


shown_names = list(dict.fromkeys(map(shown, names)))
group = torch.tensor([shown_names.index(shown(n)) for n in names])
rng = np.random.default_rng(SEED)
draws = [torch.from_numpy(draw_mixed(rng)) for _ in range(300)]
every = float(np.mean([ideal(t, t) for t in draws]))
shared = float(np.mean([ideal(t, group[t]) for t in draws]))

# %%
width = max(1, STEPS // 20)
smooth = {
    start + width // 2: (
        float(np.mean(history[start : start + width])),
    )
    for start in range(0, STEPS, width)
}
ends = (min(smooth), max(smooth))
plots.lines(
    {
        "loss": smooth,
        "24 points": {x: (every,) for x in ends},
        f"{len(shown_names)} points": {x: (shared,) for x in ends},
    },
    title="The loss, and how low it could get",
    alt="The loss falls steeply and then slowly towards the upper of "
    "two horizontal lines, that of an order in which tasks with the "
    "same inputs share a point. The lower line is that of 24 points.",
    xtitle="training step",
    ytitle="nats",
)

# %% [markdown]
# *What to see:* hold the curve against the *upper* line. What lies
# between the two is order that is still missing. An order that could
# tell all 24 tasks apart would reach the lower line, but nothing in
# an input tells `sentiment` from `time`, so only learning single
# training texts by heart could get there.

# %% [markdown]
# ## Is the space in order?
#
# A picture in two dimensions is no measurement. Two numbers are in
# use. **Neighbour purity**: for how many points has the nearest
# other point the same group? And the **silhouette**
# {cite}`rousseeuw1987silhouette`: let $a_i$ be the mean distance of
# point $i$ to the others of its group, and $b_i$ that to the nearest
# other group. Then
#
# ```{math}
# :label: eq-retriever-silhouette
# s_i = \frac{b_i - a_i}{\max(a_i, b_i)}, \qquad
# \text{with the distance } 1 - z_i \cdot z_j .
# ```
#
# It is 1 if groups are tight and far from each other, 0 if a point
# is as near to another group as to its own, and negative if nearer.


# %%
def purity(z, groups):
    """Share of points whose nearest other is of their group."""
    cosines = z @ z.T
    np.fill_diagonal(cosines, -np.inf)
    return float(np.mean(groups[cosines.argmax(axis=1)] == groups))


def silhouette(z, groups):
    """Mean silhouette of points (n, e) of length 1."""
    labels = np.unique(groups)
    member = (groups[:, None] == labels).astype(float)  # (n, G)
    size = member.sum(axis=0)
    total = (1 - z @ z.T) @ member  # (n, G) summed distances
    own = member.astype(bool)
    a = total[own] / np.maximum(member @ size - 1, 1)
    b = np.where(own, np.inf, total / size).min(axis=1)
    return float(np.mean((b - a) / np.maximum(a, b)))


last = frames[-1].astype(np.float64)
theirs = silhouette_samples(last, show_owner, metric="cosine").mean()
assert np.isclose(silhouette(last, show_owner), theirs, atol=1e-6)
print(f"silhouette by task {theirs:.3f}, scikit-learn agrees")

# %% [markdown]
# The question is: *by which group*? A text has a task (24), it shows
# a kind of input on a surface (18), and it is of a kind (6). We
# measure all three, on validation texts, for five seeds. The bands
# are 95 % intervals over the seeds.
#
# ```{admonition} Predict first
# :class: tip
# Which of the numbers will be near 1 before any training? And which
# one will *fall* while the loss falls?
# ```

# %%
SEEDS = 5

by_group = {
    "task": check_owner,
    "kind and surface": np.array([shown(n) for n in check_owner]),
    "kind": np.array([kind(n) for n in check_owner]),
}


def measures(net):
    """Name -> value: purity and silhouette by three groupings."""
    with torch.no_grad():
        z = net(pooled_checks).double().numpy()
    found = {
        f"silhouette, {by}": silhouette(z, g)
        for by, g in by_group.items()
    }
    found |= {
        f"purity, {by}": purity(z, g) for by, g in by_group.items()
    }
    return found


# %%
table = {}


def note(step, net):
    for name, value in measures(net).items():
        steps = table.setdefault(name, {})
        steps.setdefault(step, []).append(value)


nets = [fit(draw_mixed, seed=s, look=note)[0] for s in range(SEEDS)]

# %%
curves = {"purity, kind": table["purity, kind"]}
curves |= {by: table[f"silhouette, {by}"] for by in by_group}
plots.lines(
    {
        name: {step: interval(v) for step, v in steps.items()}
        for name, steps in curves.items()
    },
    title="Order of the space during training",
    alt="Four curves over training steps with bands. Purity "
    "by kind is near 1 from the start. The silhouette by kind rises "
    "and then falls; by kind and surface it rises throughout; by "
    "task it rises and stays low.",
    xtitle="training step",
    ytitle="silhouette, or purity",
    height=520,
)

# %%
bare = F.normalize(pooled_checks, dim=1).double().numpy()
lines = ["| measure | encoder alone | step 0 | end |"]
lines += ["|---|---|---|---|"]
for name, steps in table.items():
    what, by = name.split(", ")
    f = purity if what == "purity" else silhouette
    row = [
        f(bare, by_group[by]),
        *(np.mean(steps[s]) for s in (0, WATCH[-1])),
    ]
    lines += [
        f"| {name} | " + " | ".join(f"{x:.2f}" for x in row) + " |"
    ]
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:*
#
# - **Purity by kind says nothing.** It is near 1 before training,
#   and near 1 for the bare encoder. A number that is perfect from
#   the start cannot tell a good retriever from none.
# - **Purity by task has a ceiling.** Where two tasks share inputs,
#   the nearest neighbour is of one or the other by chance. Half of
#   the tasks are such, so about three quarters is all one can get.
#   The silhouette by task is held down in the same way: for these
#   texts it can hardly rise above 0.
# - **The silhouette by kind and surface** grows while the loss
#   falls, and nothing holds it down.
# - **The silhouette by kind** first rises and then gives way, since
#   $L_{\mathrm{IR}}$ pushes the surfaces of one rule apart. Whoever
#   hopes that *related* tasks end up close should know: this loss
#   does not ask for it. All other tasks are alike to it. If
#   relatives still lie nearer than strangers, it is because the
#   encoder gives them similar states.
#
# ### Which order do you want? Ask the temperature
#
# Now the experiment promised above: the same training at several
# temperatures, five seeds each.
#
# ```{admonition} Predict first
# :class: tip
# A hot softmax pushes far rows as well as near ones. Will it put the
# points in a fine order (kind and surface) or in a coarse one
# (kind)?
# ```

# %%
TAUS = [0.03, 0.1, 0.3, 1.0, 2.0]

sweep = {}
for tau in TAUS:
    for seed in range(SEEDS):
        got = measures(fit(draw_mixed, tau=tau, seed=seed)[0])
        for by in ("kind", "kind and surface"):
            value = got[f"silhouette, {by}"]
            sweep.setdefault(by, {}).setdefault(tau, []).append(value)

plots.lines(
    {
        by: {tau: interval(v) for tau, v in taus.items()}
        for by, taus in sweep.items()
    },
    title="Silhouette after training, by temperature",
    alt="Two curves over the temperature on a logarithmic axis. By "
    "kind and surface the silhouette is high at low temperatures and "
    "drops at high ones; by kind it is the other way round.",
    xtitle="temperature",
    ytitle="silhouette (mean, 95 % interval)",
    log=True,
)

# %% [markdown]
# *What to see:* the temperature decides how *fine* the order is.
# Cold, the nearest negatives matter most. Beside the rivals, which
# cannot be moved, these are the same kind on another surface, so the
# surfaces come apart. Hot, these few near rows carry little more
# weight than the many others, and the cheapest way to lower the loss
# is to gather each kind in one place, far from the other kinds.
# Between the three coldest settings little changes, and the released
# 0.1 is among them. Neither side is right as such. For telling 24
# tasks apart you want the fine one; for finding a relative on a new
# surface the coarse one may serve. With more steps the hot curves
# move towards the fine order, slowly.

# %% [markdown]
# ## A batch of one task
#
# Everything so far used batches that mix tasks. That is a decision,
# and it can be got wrong in a place far away from the loss: in the
# *sampler*, which says what the next batch holds.
#
# ```{admonition} Trap: one task per batch
# :class: warning
# The released code contains a sampler with a temperature for mixing
# tasks (not $\tau$). It is commented out; the setting
# `temperature: 10` has no effect, and tasks are mixed in proportion
# to their size. It may look like a small repair to switch the
# sampler on. But it draws one task per *batch*. Then all rows are
# partners, no negatives are left, and $L_{\mathrm{IR}}$ compares no
# task with any other. Draw the task per *example*, as
# `pha_lite.sampling` does (*our choice*).
# ```
#
# What does $L_{\mathrm{IR}}$ still do there? In a batch of two rows
# of one task the only other row is the partner. Its share is 1,
# whatever the network does, and the loss is exactly zero:

# %%
points = model.embed(six[:2]).requires_grad_()
loss = instance_loss_fast(points, torch.tensor([0, 0]))
loss.backward()
assert loss == 0 and points.grad.abs().max() == 0
print(
    f"loss {loss:.1f}, largest gradient {points.grad.abs().max():.1f}"
)

# %% [markdown]
# With more rows the loss is not constant. All $B-1$ others are
# partners, the wanted share is $1/(B-1)$, and by
# {eq}`eq-retriever-grad` the gradient is zero once all cosines are
# *equal*. The loss is then $\log(B-1)$, its smallest value, at any
# distance between the points. So it asks the texts of a task to be
# evenly spaced, and says nothing about other tasks.
#
# ```{admonition} Predict first
# :class: tip
# The mean gradient of a fresh retriever under mixed batches is some
# number. How large will it be, in comparison, under batches of one
# task: as large, smaller, exactly zero? And after 200 such steps?
# ```


# %%
def draw_single(rng):
    """(BATCH,) task numbers: one task per batch."""
    return np.full(BATCH, rng.integers(len(names)))


def gradient_norm(net, draw, batches=10):
    """Mean norm of the gradient of L_IR over some batches."""
    rng, norms = np.random.default_rng(SEED), []
    for _ in range(batches):
        tasks = torch.from_numpy(draw(rng))
        z = net(pooled[rows_of(tasks, rng)])
        loss = instance_loss_fast(z, tasks)
        parts = torch.autograd.grad(loss, list(net.parameters()))
        flat = torch.cat([part.flatten() for part in parts])
        norms.append(float(flat.norm()))
    return float(np.mean(norms))


# %%
fresh = [new_retriever(seed) for seed in range(SEEDS)]
single, single_loss = [], []
for seed in range(SEEDS):
    trained, past = fit(draw_single, seed=seed)
    single.append(trained)
    single_loss.append(past[-1])

lines = ["| mean gradient norm | mixed | one task |", "|---|---|---|"]
both = {"fresh": (fresh, fresh), "after training": (nets, single)}
for word, (mixed_nets, single_nets) in both.items():
    a = np.mean([gradient_norm(n, draw_mixed) for n in mixed_nets])
    b = np.mean([gradient_norm(n, draw_single) for n in single_nets])
    lines.append(f"| {word} | {a:.4f} | {b:.4f} |")
lines += ["", "Loss at the end with one task per batch: "]
lines += [f"**{np.mean(single_loss):.3f}**; log {BATCH - 1} is "]
lines += [f"**{np.log(BATCH - 1):.3f}**."]
Markdown("\n".join(lines))


# %%
def order(nets):
    """Grouping -> mean silhouette × 100 and its interval."""
    found = [measures(net) for net in nets]
    table = {}
    for by in by_group:
        values = [100 * got[f"silhouette, {by}"] for got in found]
        table[by] = interval(values)
    return table


plots.intervals(
    {
        "before": order(fresh),
        "per example": order(nets),
        "per batch": order(single),
    },
    title="A task per example, or one per batch",
    alt="Three rows: silhouette by task, by kind and surface, and by "
    "kind, each before training and after training with two "
    "samplers. With one task per batch the first two stay near where "
    "they were before training.",
    xtitle="silhouette × 100",
    limits=(-100, 100),
)


# %%
def across_kinds(net):
    """Mean cosine of two texts of different kinds."""
    with torch.no_grad():
        z = net(pooled_checks)
    groups = np.array(by_group["kind"])
    other = torch.tensor(groups[:, None] != groups[None])
    return (z @ z.T)[other].mean().item()


where = {"before": fresh, "per example": nets, "per batch": single}
lines = ["| | mean cosine between kinds |", "|---|---|"]
for name, group in where.items():
    value = np.mean([across_kinds(net) for net in group])
    lines.append(f"| {name} | {value:.2f} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare *per batch* with *before*. The fine order,
# by task and by kind and surface, hardly comes. The coarse one may
# rise a good deal, although no two tasks were ever compared. The
# easy way to even out the cosines is to draw all points together, and
# the table shows it: the nearer a cosine is to 1, the more do texts
# of different kinds lie on top of each other. A silhouette is a ratio
# of distances and does not see that: it sees that distances *within*
# a task shrank most.
#
# The gradient dies away because the loss has reached its floor. Note
# how quiet the failure is: the loss falls, one measure of order even
# rises, and with T5-base you would have paid for every step. Hold
# the loss against its floor (`ideal`): it is there after a few steps.

# %% [markdown]
# ## Searching the space
#
# With 24,000 points there is a library to search. **Exact** search
# compares a query with all of them. faiss {cite}`douze2024faiss`
# does it with `IndexFlatIP`, IP for inner product, which is the
# cosine, as all points have length 1. It is a matrix product and a
# top-k:

# %%
ASKED = 60  # test texts per task on a new surface

held = [
    name
    for name, cell in suite.cells.items()
    if cell.new_surface and not cell.new_rule
]
asked, asked_owner = texts_of(held, "test", ASKED)
pooled_asked = pool_texts(asked)
with torch.no_grad():
    stored = net(pooled)  # (24 * ROWS, e)
    queries = net(pooled_asked)  # (16 * ASKED, e)

exact = faiss.IndexFlatIP(E)
exact.add(stored.numpy())
near, rows = exact.search(queries.numpy(), 10)  # (n, 10), (n, 10)
assert np.allclose(
    near, (queries @ stored.T).topk(10).values, atol=1e-5
)
again = nearest_index(stored).search(queries.numpy(), 10)[0]
assert np.allclose(near, again)
print(f"{len(stored):,} stored points, {len(queries)} queries")

# %% [markdown]
# The queries are test texts about the museum and the garden, of
# which no training task speaks. Here is one, with its nearest
# neighbours among the training texts:

# %%
which = int(np.flatnonzero(asked_owner == "paraphrase/museum")[0])
lines = [f"Query, `paraphrase/museum`: *{asked[which]}*", ""]
lines += ["| cosine | task | text |", "|---|---|---|"]
for c, i in zip(near[which][:6], rows[which][:6], strict=True):
    lines.append(f"| {c:.3f} | `{library_owner[i]}` | {library[i]} |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* the neighbours share their *form* with the query:
# two sentences, in each a thing passes from one person to another.
# Whether they also share its *answer*, same or different, is nothing
# that the space was asked to know.
#
# ### Exact, or almost
#
# Exact search costs $n \times e$ multiplications per query. For a
# billion points that is too much, and faiss has indexes that look at
# some points only. Two of them:
#
# ````{prf:algorithm} Search in cells (IVF, inverted file)
# :label: alg-retriever-ivf
#
# 1. Once: find centres by k-means, and put every point into the cell
#    of its nearest centre.
# 2. For a query: compare it with the centres and take the `nprobe`
#    nearest cells.
# 3. Compare it with the points in these cells only. Return the best.
# ````
#
# **HNSW** (hierarchical navigable small world) links every point to
# some near ones, in several layers. A query walks from point to
# point towards itself and keeps the best `efSearch` candidates it
# has met. Both have one knob between speed and truth, `nprobe` and
# `efSearch`. The measure of truth is **recall@10**: how many of the
# true ten nearest are among the ten found.
#
# ```{admonition} Predict first
# :class: tip
# There are about 160 cells. With only one of them looked at, how
# many of the true ten neighbours will be found: a tenth, a half,
# nearly all? And how often will the first neighbour's *kind* of
# input be right?
# ```

# %%
CELLS = 160
PROBES = [1, 2, 4, 8, 16]
EF = [10, 20, 40, 80, 160]


def timed(index, queries, k=10):
    """Rows found (n, k), and queries per second, best of five."""
    best = float("inf")
    for _ in range(5):
        clock = time.perf_counter()
        _, found = index.search(queries, k)
        best = min(best, time.perf_counter() - clock)
    return found, len(queries) / best


def recall(found, truth):
    """Percent of the true neighbours that were found."""
    pairs = zip(found.tolist(), truth.tolist(), strict=True)
    hits = [len(set(a) & set(b)) / len(b) for a, b in pairs]
    return 100 * float(np.mean(hits))


# %%
threads = faiss.omp_get_max_threads()
faiss.omp_set_num_threads(1)
data, asks = stored.numpy(), queries.numpy()
inner = faiss.METRIC_INNER_PRODUCT
ivf = faiss.IndexIVFFlat(faiss.IndexFlatIP(E), E, CELLS, inner)
ivf.train(data)
ivf.add(data)
hnsw = faiss.IndexHNSWFlat(E, 16, inner)
hnsw.add(data)

runs = {"exact": {"": timed(exact, asks)}, "IVF": {}, "HNSW": {}}
for probe in PROBES:
    ivf.nprobe = probe
    runs["IVF"][f"nprobe {probe}"] = timed(ivf, asks)
for ef in EF:
    hnsw.hnsw.efSearch = ef
    runs["HNSW"][f"efSearch {ef}"] = timed(hnsw, asks)
faiss.omp_set_num_threads(threads)

# %%
fig = go.Figure()
for number, (name, settings) in enumerate(runs.items()):
    fig.add_scatter(
        x=[recall(found, rows) for found, _ in settings.values()],
        y=[speed for _, speed in settings.values()],
        text=list(settings),
        name=name,
        mode="markers" if name == "exact" else "lines+markers",
        marker={"size": 11, "symbol": plots.SYMBOLS[number]},
        line={"color": plots.PALETTE[number]},
        hovertemplate="%{text}<br>%{x:.1f} %, %{y:,.0f} a second",
    )
fig.update_xaxes(title_text="recall@10 (%)")
fig.update_yaxes(title_text="queries per second", type="log", dtick=1)
top = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}
plots.finish(
    fig,
    f"Speed against recall, {len(data):,} points, one thread",
    "Queries per second on a logarithmic axis against recall. Exact "
    "search lies at full recall and is slowest; both approximate "
    "indexes fall from high speed at low recall towards it.",
    above=46,
    legend=top,
)

# %%
kinds_stored = np.array([kind(n) for n in library_owner])
kinds_asked = np.array([kind(n) for n in asked_owner])
found, speed = runs["IVF"]["nprobe 1"]
right = 100 * np.mean(kinds_stored[found[:, 0]] == kinds_asked)
per_text = 1e6 * seconds / len(library)
per_search = 1e6 / runs["exact"][""][1]
Markdown(
    f"With one cell, recall is **{recall(found, rows):.0f} %**; the "
    f"first neighbour's kind is right in **{right:.0f} %**. An exact "
    f"search takes **{per_search:.0f} µs** per query, running the "
    f"encoder over the text **{per_text:.0f} µs**."
)

# %% [markdown]
# *What to see:* read the figure from the right: how much speed does
# the first lost percent of recall buy? On most machines a good deal.
# But look at what PHA asks. It wants to know the *task*, not the ten
# exact neighbours, and in tight heaps a missed neighbour is replaced
# by its twin. Recall is a hard measure for an easy question here.
# And compare the two times above. Every query passes the encoder
# first, so search is only a part of the cost, and at this size there
# is little to save. It begins to matter at millions of points. For
# comparing a text with 24 prototypes, as the next chapter does, no
# index is needed at all.

# %% [markdown]
# ## On a surface it has never seen
#
# Does the nearest stored text belong to the right kind of task? With
# a large library this is easy. So we make it hard: how few stored
# texts per task will do? Three spaces compete: the trained one, one
# with a fresh retriever, and the encoder alone, the pooled states
# without any retriever.
#
# ```{admonition} Predict first
# :class: tip
# Order the three when *one* text per task is stored. Does a random
# retriever harm, compared with none?
# ```

# %%
STORED = [1, 2, 4, 16, 64]
DRAWS = 5


def kind_right(stored, asked, per_task, seed):
    """Percent of the queries whose nearest has their kind."""
    rng = np.random.default_rng(seed)
    chosen = [
        t * ROWS + rng.choice(ROWS, per_task, replace=False)
        for t in range(len(names))
    ]
    rows = np.concatenate(chosen)
    nearest = (asked @ stored[rows].T).argmax(dim=1).numpy()
    hit = kinds_stored[rows[nearest]] == kinds_asked
    return 100 * float(np.mean(hit))


def unit(pooled):
    return F.normalize(pooled, dim=1)


# %%
spaces = {"trained": nets, "fresh": fresh, "encoder alone": [unit]}
curves = {}
for word, maps in spaces.items():
    scores = {count: [] for count in STORED}
    for put in maps:
        with torch.no_grad():
            a, b = put(pooled), put(pooled_asked)
        for count in STORED:
            for draw in range(DRAWS):
                scores[count].append(kind_right(a, b, count, draw))
    curves[word] = {
        count: [min(x, 100.0) for x in interval(values)]
        for count, values in scores.items()
    }

# %%
plots.lines(
    curves,
    title="New surfaces: kind of the nearest",
    alt="Three curves over the number of stored texts per task. The "
    "trained retriever is at the top from one stored text on; the "
    "encoder alone starts a little lower, a fresh retriever lowest, "
    "and both rise with more stored texts.",
    xtitle="stored texts per task",
    ytitle="kind right (%)",
    log=True,
)

# %% [markdown]
# *What to see:* at the right end all three are good. With a library
# of thousands this suite needs no training of the retriever. At the
# left end is the difference. The fresh retriever shows that a map
# from 128 to 32 numbers loses something if nobody trains it. The
# trained one wins it back: its heaps are so tight that a single text
# stands for its kind. But the encoder alone is close behind, so most
# of this skill is the encoder's. A {term}`prototype` will go one
# step further: one vector for a whole task.
#
# ### The right kind is not the right question
#
# So far we asked for the *kind* of input. But the task is a *rule*:
# does the nearest text's task ask the same? Now with the whole
# library.
#
# ```{admonition} Predict first
# :class: tip
# Give two numbers: one for the related half, where each rule has its
# own kind of input, one for the conflicting half.
# ```

# %%
rules_stored = np.array([plots.rule(n) for n in library_owner])
rules_asked = np.array([plots.rule(n) for n in asked_owner])
by_rule = {rule: [] for rule in dict.fromkeys(rules_asked)}
for trained in nets:
    with torch.no_grad():
        index = nearest_index(trained(pooled))
        _, first = index.search(trained(pooled_asked).numpy(), 1)
    hit = rules_stored[first[:, 0]] == rules_asked
    for rule, scores in by_rule.items():
        scores.append(100 * np.mean(hit[rules_asked == rule]))

plots.intervals(
    {"nearest instance": {r: interval(v) for r, v in by_rule.items()}},
    title="New surfaces: rule of the nearest",
    alt="Eight rows, one per rule. The four rules of the related "
    "half lie at the right end near 100 percent, the four of the "
    "conflicting half around 50 percent.",
    xtitle="rule right (%)",
)

# %%
halves = {"related": [], "conflicting": []}
for rule, scores in by_rule.items():
    halves[RULES[rule].half].append(np.mean(scores))
Markdown(
    "The nearest text asks the right rule in "
    f"**{np.mean(halves['related']):.0f} %** of the cases in the "
    "related half and in "
    f"**{np.mean(halves['conflicting']):.0f} %** in the conflicting "
    "half."
)

# %% [markdown]
# *What to see:* two rules that read the same inputs share one heap,
# and the nearest text belongs to one or the other by chance, which
# is 50 % on average over the two. More texts, a better index, a
# longer training do not change that: the input does not carry the
# question. It is a limit of looking at inputs, not of this code.
#
# Where a rule lies above 50 %, its rival tends to lie below: a
# neighbour that is right for one is wrong for the other. And a coin
# tossed for every text would give narrower intervals. How
# independent are the tosses? Count the different stored texts that
# come out as nearest, and how often the most popular one does.


# %%
def popular(put, asked):
    """Different nearest texts per 100 queries; the top one's share."""
    with torch.no_grad():
        index, queries = nearest_index(put(pooled)), put(asked).numpy()
    counts = np.bincount(index.search(queries, 1)[1][:, 0])
    share = 100 / len(queries)
    return share * (counts > 0).sum(), share * counts.max()


cases = {
    "trained, new surfaces": (net, pooled_asked),
    "trained, known surfaces": (net, pooled_shows),
    "encoder alone, new surfaces": (unit, pooled_asked),
}
lines = [
    "| space and queries | different | top text |",
    "|---|---|---|",
]
for word, case in cases.items():
    many, top_share = popular(*case)
    lines.append(f"| {word} | {many:.0f} per 100 | {top_share:.1f} % |")
Markdown("\n".join(lines))

# %% [markdown]
# *What to see:* compare the first row with the other two. In the
# trained space a text about a new surface tends to lie *outside* the
# heaps of its kind, and the stored texts at the edge are nearest to
# many such texts. One of them then decides for many queries, and the
# votes of nearest neighbours count the same text again and again.
# The mean cosine with all stored texts of a task does not hang on
# single texts; it is what `model.retrieve(by="instances")` uses
# unless told otherwise (*our choice*). It cannot tell rivals apart
# either.

# %% [markdown]
# ## What could go wrong
#
# - **Padding counts in the mean.** Everything runs, and a text's
#   point depends on its neighbours in the batch. Compare a text
#   alone with the same text in a batch.
# - **A batch without negatives, or without partners.** One task per
#   batch, or a batch so small that most rows are alone. Compare the
#   loss with its floor, not with zero.
# - **A perfect number.** Neighbour purity by kind is near 1 before
#   training. Always measure the untrained network and the bare
#   encoder beside the trained one.
# - **Negatives that should not be any.** Two tasks with the same
#   inputs are pushed apart in vain, and two surfaces of one rule are
#   pushed apart although they could help each other. The loss only
#   knows task names.
# - **Negatives taken for other labels.** They are other tasks. Texts
#   with the answers yes and no of one task are partners.
# - **A search of points that have gone stale.** The index keeps the
#   points of the moment. After more training, fill it again.

# %% [markdown]
# ## Exercises
#
# ````{exercise} Three floors
# :label: retriever-floors
#
# A batch of 48 rows holds (a) 24 tasks with 2 rows each, (b) 8 tasks
# with 6, (c) 2 tasks with 24. Give the lowest possible value of
# $L_{\mathrm{IR}}$ for each, first on paper. Does a lower floor mean
# that the batch teaches more?
# ````
#
# ````{solution} retriever-floors
# :class: dropdown
#
# ```python
# for count in (24, 8, 2):
#     tasks = torch.arange(count).repeat_interleave(48 // count)
#     print(count, ideal(tasks, tasks).item(), np.log(48 / count - 1))
# ```
#
# $\log 1 = 0$, $\log 5$ and $\log 23$. The floor says nothing about
# what is learnt. What teaches is the distance to the floor, and it
# is the negatives that make it: 46 rows in (a), 24 in (c).
# ````

# %% [markdown]
# ````{exercise} A hidden temperature
# :label: retriever-length
#
# Somebody forgets the division by the length and feeds $c \cdot z$
# into the loss. Compute the loss of the six texts for $c$ = 0.5, 1
# and 2, with their points in the trained space `net`. Which
# temperature without $c$ gives the same values? What can the network
# do to lower its loss without turning any point?
# ````
#
# ````{solution} retriever-length
# :class: dropdown
#
# ```python
# points = net(pool_texts(six)).detach()
# for c in (0.5, 1.0, 2.0):
#     long_points = instance_loss_fast(c * points, owner)
#     other_tau = instance_loss_fast(points, owner, TAU / c**2)
#     print(c, long_points.item(), other_tau.item())
# ```
#
# A factor $c$ on both points of a pair is a temperature of
# $\tau / c^2$. So the network can set its temperature by the length
# of its points, and will take whichever is cheapest. Colder need not
# be cheaper: a cold softmax gives nearly everything to the nearer of
# two partners, and the logarithm of the other's share costs a lot.
# With length 1 the temperature is yours.
# ````

# %% [markdown]
# ````{exercise} What does it look at?
# :label: retriever-prompt
#
# Every input begins with a prompt: `review:`, `sentence:`, `first:`.
# Perhaps the points know nothing but this word. Remove it from the
# texts about the museum and the garden (`asked`), then put
# `sentence:` before all of them, which is wrong for most. Is the
# kind of the nearest stored text still right? Predict first.
# ````
#
# ````{solution} retriever-prompt
# :class: dropdown
#
# ```python
# bare_texts = [text.split(": ", 1)[1] for text in asked]
# wrong = ["sentence: " + text for text in bare_texts]
# for word, texts in (("none", bare_texts), ("wrong", wrong)):
#     moved = net(pool_texts(texts)).detach().numpy()
#     cosine_, first = exact.search(moved, 1)
#     hit = kinds_stored[first[:, 0]] == kinds_asked
#     print(word, "prompt:", np.mean(hit), cosine_.mean())
# ```
#
# If the share stays near 1, the first word does not decide: the rest
# of the text does. It stands to reason, for the mean runs over all
# tokens, and the first word is one or two of them. (Some texts keep
# a second mark, such as `second:`, and that may help.)
# ````

# %% [markdown]
# ````{exercise} Is a low cosine a warning?
# :label: retriever-unknown
#
# One would like a text of an *unknown* kind to have no near
# neighbour. The rule `reading` asks questions about a passage; no
# training task does. Compare the cosine of the nearest stored text
# for `reading/hotel` with that for the known rules on the museum.
# Which are higher? What does that say about a threshold?
# ````
#
# ````{solution} retriever-unknown
# :class: dropdown
#
# ```python
# unknown = suite["reading/hotel"]["test"][:ASKED]["source"]
# points = net(pool_texts(unknown)).detach().numpy()
# cosine_, first = exact.search(points, 1)
# print("unknown rule, known surface:", cosine_.mean())
# museum = np.char.endswith(asked_owner, "museum")
# print("known rules, new surface:", near[museum, 0].mean())
# print(set(library_owner[first[:, 0]].tolist()))
# ```
#
# If the unknown rule has the higher cosines, no threshold can part
# the two. The last line names the tasks of the neighbours: whatever
# looks like their texts lands in their heaps. A near neighbour is no
# sign of a known task.
# ````

# %% [markdown]
# ````{exercise} Say what you ask
# :label: retriever-told
#
# `load_suite(conflict=0.0)` gives the conflicting rules prompts of
# their own, such as `feeling:` and `tense:`. Store 100 training
# texts of each of their 12 tasks on the restaurant, the hotel and
# the school, and look up texts about the museum.
# Is the rule of the nearest one right now? Try the encoder alone,
# and `net`, which never saw these prompts.
# ````
#
# ````{solution} retriever-told
# :class: dropdown
#
# ```python
# few_rows = {"train": 100, "validation": 2, "test": 2}
# told = load_suite(seed=SEED, conflict=0.0, sizes=few_rows)
# rules = [r for r in by_rule if RULES[r].half == "conflicting"]
# known, new = ([], []), ([], [])
# for rule in rules:
#     for place in ("restaurant", "hotel", "school", "museum"):
#         side = new if place == "museum" else known
#         count = min(ROWS, 100)
#         rows_ = told[f"{rule}/{place}"]["train"][:count]
#         side[0].extend(rows_["source"])
#         side[1].extend([rule] * count)
# a, b = pool_texts(known[0]), pool_texts(new[0])
# for word, put in (("encoder", unit), ("net", net)):
#     with torch.no_grad():
#         first = (put(b) @ put(a).T).argmax(dim=1)
#     hit = [known[1][i] == r for i, r in zip(first, new[1])]
#     print(word, np.mean(hit))
# ```
#
# If the encoder alone does better than a coin, it is the prompt,
# which now carries the question. If `net` does worse, it has thrown
# this away: it was trained on texts in which nothing of the kind
# told rivals apart. A retriever keeps what its tasks needed, and a
# new task may need something else.
# ````

# %% [markdown]
# ````{exercise} How many rows to a batch?
# :label: retriever-batch
#
# Train with 8, 48 and 192 rows per batch. How many anchors find a
# partner, and how does the silhouette by kind and surface change?
# Is the comparison fair?
# ````
#
# ````{solution} retriever-batch
# :class: dropdown
#
# ```python
# for size in (8, 48, 192):
#
#     def draw(rng, size=size):
#         return rng.integers(len(names), size=size)
#
#     tasks = draw(np.random.default_rng(SEED))
#     share = np.mean([(tasks == t).sum() > 1 for t in tasks])
#     got = measures(fit(draw)[0])["silhouette, kind and surface"]
#     print(size, f"anchors with a partner {share:.2f}", got)
# ```
#
# When 8 rows are drawn from 24 tasks, most are alone and teach
# nothing as anchors. If larger looks better, it is not for free:
# with the same number of steps the large batch has seen more texts.
# Compare at an equal number of texts before you praise it.
# ````

# %% [markdown]
# ## Summary
#
# - The retriever is a masked mean, two layers and a division by the
#   length.
# - $L_{\mathrm{IR}}$ is a softmax over the other rows of the batch:
#   partners are rows of the same task, negatives rows of other
#   tasks. Its gradient is *share minus wanted*; its floor is not 0.
# - The temperature decides how fine the order is.
# - A batch of one task has no negatives. The loss falls to its floor
#   and learns nothing about other tasks.
# - Look at silhouettes by several groupings, beside the untrained
#   network and the bare encoder. Purity by kind is perfect from the
#   start.
# - Trained, one stored text can stand for its kind of input. Where
#   rules share inputs, no search finds the right one more often, on
#   average, than a coin.
#
# **Check yourself.** Why can $L_{\mathrm{IR}}$ fall while the space
# learns nothing about tasks? Two surfaces of one rule: does the loss
# want them near each other? Recall@10 is low and the retrieved task
# is right every time: how can that be?
#
# **In the code.** `pha_lite/retriever.py` holds the mean, the
# network and the search, `pha_lite/losses.py` the loss,
# `pha_lite/sampling.py` the draw of tasks, and
# `model.index_instances` with `model.retrieve(by="instances")` the
# search of this page in one call.
#
# **Next.** A task still has no place of its own in this space; the
# chapter on [prototypes](prototypes.ipynb) gives it one.

# %%
import os
import platform

spent = time.perf_counter() - began
print(f"This page took {spent:.0f} seconds on {os.cpu_count()} cores")
print(f"({platform.machine()}, Python {platform.python_version()}).")
