"""Plotly figures that more than one page uses, in colours that colour-blind readers tell apart.

A task's colour is its rule, the first half of its name; its symbol is its surface, the second
half. Every figure carries an alternative text, which the book's renderer insists on.
plotly is imported where it is used.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .errors import PHAError

if TYPE_CHECKING:
    import plotly.graph_objects as go

# Okabe and Ito's palette; grey in place of black, which a dark page would swallow.
PALETTE = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#009E73",  # green
    "#CC79A7",  # purple
    "#D55E00",  # vermillion
    "#56B4E9",  # sky blue
    "#F0E442",  # yellow
    "#8A8F98",  # grey
)
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "pentagon", "hexagon2", "bowtie")
GREY = PALETTE[-1]

METHODS = {  # a method of `baselines` -> its name in figures and tables
    "pha": "PHA",
    "task_embedding": "task embedding",
    "shared_adapter": "shared adapter",
    "adapter_per_task": "adapter per task",
    "instance": "per instance",
    "adapter_drop": "AdapterDrop",
    "lora": "LoRA",
    "bitfit": "BitFit",
    "prompt": "prompt tuning",
    "full": "full (one T5)",
    "full_per_task": "full (a T5 per task)",
    "nearest": "nearest neighbour",
}


def rule(task: str) -> str:
    """The first half of a task's name: "sentiment" of "sentiment/hotel"."""
    return task.split("/", 1)[0]


def surface(task: str) -> str:
    """The second half of a task's name: "hotel" of "sentiment/hotel"."""
    return task.split("/", 1)[-1]


def _cycle(names: Sequence[str], values: Sequence[str]) -> dict[str, str]:
    return {name: values[i % len(values)] for i, name in enumerate(dict.fromkeys(names))}


def colours(tasks: Sequence[str]) -> dict[str, str]:
    """Rule -> colour, in the order in which the rules first appear.

    >>> colours(["sentiment/hotel", "entailment/hotel", "sentiment/farm"])
    {'sentiment': '#0072B2', 'entailment': '#E69F00'}
    """
    return _cycle([rule(task) for task in tasks], PALETTE)


def symbols(tasks: Sequence[str]) -> dict[str, str]:
    """Surface -> marker symbol, in the order in which the surfaces first appear."""
    return _cycle([surface(task) for task in tasks], SYMBOLS)


def describe(fig: go.Figure, alt: str) -> go.Figure:
    """Give a figure its alternative text: what a reader who cannot see it should know.

    Raises:
        PHAError: the text is empty.
    """
    if not alt.strip():
        raise PHAError("alt is empty: say in a sentence or two what the figure shows")
    fig.update_layout(meta={"alt": alt})
    return fig


def finish(
    fig: go.Figure,
    title: str,
    alt: str,
    height: int = 450,
    above: int = 12,
    below: int = 10,
    **layout,
) -> go.Figure:
    """What all figures share: for a figure that only one page draws, too.

    A long title is broken into lines, which Plotly never does: on a phone it would run off the
    page.

    Args:
        fig: the figure, changed in place and returned.
        title, alt, height: of the figure; height in pixels.
        above, below: pixels for what stands between title and axes, and under the axes.
        layout: further layout settings of Plotly.
    """
    lines = textwrap.wrap(title, 38)
    fig.update_layout(
        title={
            "text": "<br>".join(lines),
            "x": 0,
            "xanchor": "left",
            "yref": "container",
            "y": 1,
            "yanchor": "top",
            "pad": {"t": 22},
        },
        height=height + 22 * (len(lines) - 1),
        margin={"l": 10, "r": 10, "t": 34 + 22 * len(lines) + above, "b": below},
        font={"size": 13},
        template="none",
        **layout,
    )
    fig.update_xaxes(automargin=True, showline=False, ticks="", gridcolor="rgba(0,0,0,.12)")
    fig.update_yaxes(automargin=True, showline=False, ticks="", gridcolor="rgba(0,0,0,.12)")
    return describe(fig, alt)


# On a phone a legend over the axes grows upwards into the title; under them there is room.
LEGEND_BELOW = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0}


def _legend_room(names: Sequence) -> int:
    """Pixels under the axes for their title, their labels and a legend of two names a line."""
    return 66 + 22 * ((len(names) + 1) // 2)


def unit(vectors) -> np.ndarray:
    """Rows scaled to length 1, as both contrastive losses see them: (n, e) float64."""
    vectors = np.asarray(vectors, dtype=np.float64)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)


def project(frames: Sequence) -> list[np.ndarray]:
    """Two coordinates for every row of every frame, by ONE projection fitted on all of them.

    A projection of its own for each frame would turn and flip the picture from frame to frame, and
    movement would mean nothing.

    Args:
        frames: arrays (n_i, e); rows are normalised first.

    Returns:
        Arrays (n_i, 2): the two principal components of all rows together.
    """
    from sklearn.decomposition import PCA

    rows = [unit(frame) for frame in frames]
    flat = PCA(n_components=2, svd_solver="full").fit_transform(np.concatenate(rows))
    return np.split(flat, np.cumsum([len(r) for r in rows])[:-1])


def space_slider(
    frames: Sequence,
    tasks: Sequence[str],
    steps: Sequence[int],
    *,
    prototypes: Sequence | None = None,
    prototype_tasks: Sequence[str] = (),
    texts: Sequence[str] | None = None,
    title: str,
    alt: str,
    height: int = 680,
) -> go.Figure:
    """Embeddings as points, with a slider over the steps at which they were taken.

    Args:
        frames: one array (n, e) of embeddings per step; the same n texts in each.
        tasks: the n task names of the rows.
        steps: the training step of each frame.
        prototypes: one array (T, e) per step, drawn as stars.
        prototype_tasks: their T names.
        texts: n texts shown under the pointer.
        title, alt, height: of the figure; height in pixels.

    Raises:
        PHAError: the lengths do not fit together.
    """
    import plotly.graph_objects as go

    frames = [np.asarray(frame) for frame in frames]
    if len(frames) != len(steps) or any(len(frame) != len(tasks) for frame in frames):
        raise PHAError(
            f"{len(frames)} frames of {[len(f) for f in frames]} rows, {len(steps)} steps and "
            f"{len(tasks)} task names: give one step per frame and one name per row"
        )
    stars = [] if prototypes is None else [np.asarray(p) for p in prototypes]
    if stars and (len(stars) != len(frames) or any(len(s) != len(prototype_tasks) for s in stars)):
        raise PHAError("prototypes need one array per frame and one name per row")
    flat = project([*frames, *stars])
    points, stars = flat[: len(frames)], flat[len(frames) :]
    known = [*prototype_tasks, *tasks]
    colour, symbol = colours(known), symbols(known)
    rows_of = {r: [i for i, t in enumerate(tasks) if rule(t) == r] for r in colours(tasks)}

    def traces(i: int) -> list:
        drawn = [
            {
                "x": points[i][rows, 0].round(4),
                "y": points[i][rows, 1].round(4),
            }
            for rows in rows_of.values()
        ]
        if stars:
            drawn.append({"x": stars[i][:, 0].round(4), "y": stars[i][:, 1].round(4)})
        return drawn

    fig = go.Figure()
    for place, (name, rows) in zip(traces(0), rows_of.items(), strict=False):
        fig.add_scatter(
            **place,
            mode="markers",
            name=name,
            marker={
                "color": colour[name],
                "symbol": [symbol[surface(tasks[i])] for i in rows],
                "size": 7,
                "opacity": 0.8,
            },
            text=[texts[i] if texts is not None else tasks[i] for i in rows],
            hovertemplate="%{text}<extra></extra>",
        )
    if stars:
        fig.add_scatter(
            **traces(0)[-1],
            mode="markers",
            name="prototype",
            marker={
                "color": [colour[rule(t)] for t in prototype_tasks],
                "symbol": "star",
                "size": 15,
                "line": {"width": 1.5, "color": "#222222"},
            },
            text=[f"prototype of {t}" for t in prototype_tasks],
            hovertemplate="%{text}<extra></extra>",
        )
    moving = len(fig.data)
    for name in symbols(tasks):  # empty traces: the legend's key to the symbols
        fig.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=name,
            marker={"symbol": symbol[name], "color": GREY, "size": 8},
            hoverinfo="skip",
        )
    fig.frames = [
        go.Frame(name=str(step), data=traces(i), traces=list(range(moving)))
        for i, step in enumerate(steps)
    ]
    everything = np.concatenate(flat)
    low, high = everything.min(axis=0), everything.max(axis=0)
    pad = 0.06 * (high - low)
    go_to = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}}
    go_to["transition"] = {"duration": 300}
    slider = {
        "active": 0,
        "currentvalue": {"prefix": "training step ", "xanchor": "right"},
        "pad": {"t": 62, "r": 14},
        "x": 0,
        "len": 1,
        "steps": [
            {"label": str(step), "method": "animate", "args": [[str(step)], go_to]}
            for step in steps
        ],
    }
    finish(
        fig,
        title,
        alt,
        height,
        below=230,
        sliders=[slider],
        legend={
            "orientation": "h",
            "itemsizing": "constant",
            "yref": "container",
            "y": 0,
            "yanchor": "bottom",
            "x": 0,
        },
    )
    fig.update_xaxes(
        title_text="first principal component", range=[low[0] - pad[0], high[0] + pad[0]]
    )
    fig.update_yaxes(
        title_text="second principal component", range=[low[1] - pad[1], high[1] + pad[1]]
    )
    return fig


def retrieval_bars(
    scores: Sequence[tuple[str, float]],
    tasks: Sequence[str],
    *,
    title: str,
    alt: str,
    xtitle: str = "mean cosine",
    height: int | None = None,
) -> go.Figure:
    """Ranked tasks as horizontal bars, the best on top, coloured by rule.

    Args:
        scores: (task, score), best first, as `PHAModel.retrieve` gives them.
        tasks: all tasks that may appear; they fix the colours, so that figures agree.
        title, alt, xtitle: of the figure and its axis.
        height: in pixels; by default it grows with the number of bars.
    """
    import plotly.graph_objects as go

    colour = colours([*tasks, *(task for task, _ in scores)])
    fig = go.Figure()
    for name in dict.fromkeys(rule(task) for task, _ in scores):
        mine = [(task, score) for task, score in scores if rule(task) == name]
        fig.add_bar(
            y=[task for task, _ in mine],
            x=[score for _, score in mine],
            name=name,
            orientation="h",
            marker_color=colour[name],
            text=[f"{score:.2f}" for _, score in mine],
            textposition="outside",
            cliponaxis=False,
            hovertemplate="%{y}: %{x:.3f}<extra></extra>",
        )
    finish(fig, title, alt, height or 130 + 30 * len(scores), showlegend=False)
    low, high = (pick(0.0, *(score for _, score in scores)) for pick in (min, max))
    pad = 0.25 * ((high - low) or 1.0)  # room for the numbers at the bars' ends
    fig.update_xaxes(title_text=xtitle, range=[low - (low < 0) * pad, high + pad])
    fig.update_yaxes(
        categoryorder="array", categoryarray=[task for task, _ in scores], autorange="reversed"
    )
    return fig


def intervals(
    results: Mapping[str, Mapping[str, Sequence[float]]],
    *,
    title: str,
    alt: str,
    xtitle: str = "accuracy (%)",
    chance: float | None = None,
    limits: tuple[float, float] = (0.0, 100.0),
    height: int | None = None,
) -> go.Figure:
    """Mean and interval of several treatments, a row for each: a dot, and a bar through it.

    Args:
        results: series ("before tuning") -> row ("retrieved") -> (mean, low, high), in the unit
            of the axis. Rows appear in the order of the first series, from the top.
        title, alt, xtitle: of the figure and its axis.
        chance: where guessing would be, a dotted line.
        limits: what a score can be; an interval by a formula may reach beyond and is cut there.
        height: in pixels; by default it grows with the number of rows.
    """
    import plotly.graph_objects as go

    fig = go.Figure()
    rows = list(dict.fromkeys(row for series in results.values() for row in series))
    spread = min(0.32 * max(len(results) - 1, 0), 0.66)  # of one row's series, in rows
    for i, (series, values) in enumerate(results.items()):
        names = [row for row in rows if row in values]
        mean, *ends = (np.array([values[row][j] for row in names]) for j in range(3))
        low, high = (np.clip(end, *limits) for end in ends)
        shift = spread * (i / (len(results) - 1) - 0.5) if spread else 0.0
        fig.add_scatter(
            x=mean,
            y=[rows.index(row) + shift for row in names],
            error_x={
                "type": "data",
                "array": high - mean,
                "arrayminus": mean - low,
                "thickness": 2,
                "width": 6,
            },
            mode="markers",
            name=series,
            marker={"color": PALETTE[i], "symbol": SYMBOLS[i], "size": 11},
            customdata=[[row, lo, hi] for row, lo, hi in zip(names, low, high, strict=True)],
            hovertemplate=(
                "%{customdata[0]}: %{x:.3~g} (%{customdata[1]:.3~g} to %{customdata[2]:.3~g})"
                f"<extra>{series}</extra>"
            ),
        )
    if chance is not None:
        fig.add_vline(
            x=chance,
            line={"dash": "dot", "color": GREY},
            annotation={"text": "chance", "yref": "paper", "y": 0, "yanchor": "bottom"},
        )
    finish(
        fig,
        title,
        alt,
        height or 190 + max(46, 20 * len(results)) * len(rows) + 22 * (len(results) // 2),
        below=_legend_room(results),
        legend=LEGEND_BELOW,
    )
    fig.update_xaxes(title_text=xtitle)
    fig.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=rows,
        range=[len(rows) - 0.5, -0.5],
        zeroline=False,
    )
    return fig


def losses(history: Sequence[Mapping], *, title: str, alt: str, height: int = 560) -> go.Figure:
    """The three terms of the loss over training, each on an axis of its own.

    Args:
        history: what `train` records: one dict per step with step, lm_loss, ir_loss, pro_loss.
        title, alt, height: of the figure; height in pixels.
    """
    from plotly.subplots import make_subplots

    names = {
        "lm_loss": "language model (nats per token)",
        "ir_loss": "instances (nats)",
        "pro_loss": "prototypes (nats)",
    }
    shown = [key for key in names if any(row.get(key) for row in history)]
    fig = make_subplots(
        rows=len(shown),
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.1,
        subplot_titles=[names[key] for key in shown],
    )
    for i, key in enumerate(shown, start=1):
        steps = [row["step"] for row in history]
        values = [row[key] for row in history]
        fig.add_scatter(
            x=steps,
            y=np.round(values, 4),
            mode="lines",
            name=names[key],
            line={"color": PALETTE[i - 1], "width": 2},
            hovertemplate="step %{x}: %{y:.3f}<extra></extra>",
            row=i,
            col=1,
        )
    finish(fig, title, alt, height, above=26, showlegend=False)
    fig.update_xaxes(title_text="training step", row=len(shown), col=1)
    return fig


def lines(
    results: Mapping[str, Mapping[float, Sequence[float]]],
    *,
    title: str,
    alt: str,
    xtitle: str,
    ytitle: str = "accuracy (%)",
    chance: float | None = None,
    log: bool = False,
    height: int = 460,
) -> go.Figure:
    """Curves over a number, each a line with a band: accuracy over examples per task, say.

    Args:
        results: series -> x -> (mean, low, high), or (mean,) where there is no interval.
        title, alt, xtitle, ytitle: of the figure and its axes.
        chance: where guessing would be, a dotted line.
        log: a logarithmic axis for x, labelled at the values that occur.
        height: in pixels.
    """
    import plotly.graph_objects as go

    fig = go.Figure()
    for i, (series, points) in enumerate(results.items()):
        x = sorted(points)
        colour = PALETTE[i % len(PALETTE)]
        if all(len(points[at]) == 3 for at in x):
            low, high = ([points[at][j] for at in x] for j in (1, 2))
            fig.add_scatter(
                x=[*x, *x[::-1]],
                y=[*high, *low[::-1]],
                fill="toself",
                mode="lines",
                fillcolor=colour,
                opacity=0.18,
                line={"width": 0},
                legendgroup=series,
                showlegend=False,
                hoverinfo="skip",
            )
        fig.add_scatter(
            x=x,
            y=[points[at][0] for at in x],
            mode="lines+markers",
            name=series,
            legendgroup=series,
            line={"color": colour, "width": 2},
            marker={"symbol": SYMBOLS[i % len(SYMBOLS)], "size": 9},
            hovertemplate=f"%{{x}}: %{{y:.3g}}<extra>{series}</extra>",
        )
    if chance is not None:
        fig.add_hline(y=chance, line={"dash": "dot", "color": GREY}, annotation_text="chance")
    finish(
        fig,
        title,
        alt,
        height,
        below=_legend_room(results),
        legend=LEGEND_BELOW,
    )
    fig.update_xaxes(title_text=xtitle)
    fig.update_yaxes(title_text=ytitle)
    if log:
        ticks = sorted({at for points in results.values() for at in points})
        fig.update_xaxes(type="log", tickvals=ticks, ticktext=[f"{at:g}" for at in ticks])
    return fig


def heatmap(
    values,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    alt: str,
    xtitle: str,
    ytitle: str,
    unit: str,
    centred: bool = False,
    height: int | None = None,
) -> go.Figure:
    """A table of numbers as colours, the first row on top.

    Args:
        values: (len(rows), len(columns)) numbers.
        rows, columns: labels; equal ones may repeat, as words of a sentence do.
        title, alt, xtitle, ytitle: of the figure and its axes.
        unit: what a number is, beside the colour bar.
        centred: two colours around zero, for numbers with a sign.
        height: in pixels; by default it grows with the number of rows.

    Raises:
        PHAError: the labels do not fit the values.
    """
    import plotly.graph_objects as go

    values = np.asarray(values, dtype=np.float64)
    if values.shape != (len(rows), len(columns)):
        raise PHAError(
            f"values of shape {values.shape} with {len(rows)} row and {len(columns)} column "
            "labels: give one label per row and per column"
        )
    top = float(np.abs(values).max()) or 1.0
    hover = f"%{{customdata[0]}}, %{{customdata[1]}}: %{{z:.3f}} {unit}<extra></extra>"
    fig = go.Figure(
        go.Heatmap(
            z=values.round(4),
            customdata=[[(row, column) for column in columns] for row in rows],
            colorscale="RdBu_r" if centred else "Viridis",
            zmin=-top if centred else None,
            zmax=top if centred else None,
            colorbar={"title": {"text": unit, "side": "right"}, "thickness": 12},
            hovertemplate=hover,
        )
    )
    finish(fig, title, alt, height or 190 + 26 * len(rows), above=8, below=40)
    fig.update_xaxes(title_text=xtitle, tickvals=list(range(len(columns))), ticktext=list(columns))
    fig.update_yaxes(
        title_text=ytitle,
        tickvals=list(range(len(rows))),
        ticktext=list(rows),
        autorange="reversed",
    )
    return fig
