"""Let the book's builder draw Plotly figures from a notebook's own outputs, with no network.

Registered in pyproject.toml under ``myst_nb.mime_renderers``. A notebook ends a cell with a plain
``fig``; this renderer writes the figure into the page, and the page loads the one plotly.min.js
that stands beside it. Names of myst-nb's renderer interface; the choices in them are ours.
"""

from __future__ import annotations

from html import escape

MIME = "application/vnd.plotly.v1+json"
NO_ALT = (
    "a Plotly figure has no alternative text: give one to the functions of pha_lite.plots, or set "
    "it with pha_lite.plots.describe(fig, alt=...)"
)


def figure_html(content: dict) -> str:
    """The HTML of one figure, wrapped so that a screen reader hears its alternative text.

    Args:
        content: the figure as JSON: ``data``, ``layout`` and, if animated, ``frames``. The
            alternative text is ``layout.meta.alt``.

    Raises:
        ValueError: if there is no alternative text.
    """
    import plotly.io as pio

    fig = dict(content)
    # No bar of buttons over the title, and a swipe over a figure scrolls the page.
    config = {"displayModeBar": False, "responsive": True, **(fig.pop("config", None) or {})}
    layout = dict(fig.get("layout") or {})
    meta = layout.get("meta")
    alt = meta.get("alt", "").strip() if isinstance(meta, dict) else ""
    if not alt:
        raise ValueError(NO_ALT)
    layout.setdefault("dragmode", False)
    layout.setdefault("paper_bgcolor", "rgba(0,0,0,0)")
    layout.setdefault("plot_bgcolor", "rgba(128,128,128,0.08)")
    fig["layout"] = layout
    body = pio.to_html(
        fig,
        config=config,
        full_html=False,
        include_plotlyjs=False,
        include_mathjax=False,
        auto_play=False,
        validate=False,
        default_height=f"{layout.get('height', 450)}px",
    )
    label = escape(alt, quote=True)
    return (
        f'<div class="pha-figure" role="figure" aria-label="{label}">{body}'
        f"<noscript><p>{label}</p></noscript></div>"
    )


class PlotlyMime:
    """myst-nb's hook: called for every output, answers for Plotly's."""

    mime_priority_overrides = [("html", MIME, 5)]

    @staticmethod
    def handle_mime(renderer, data, inline):
        """Return the figure's nodes, or None to leave the output to myst-nb."""
        if inline or data.mime_type != MIME:
            return None
        from docutils import nodes

        try:
            html = figure_html(data.content)
        except ValueError as problem:
            # A warning, so that a build with -W stops; the page still shows where it happened.
            from sphinx.util import logging

            logging.getLogger(__name__).warning(str(problem))
            return [nodes.warning("", nodes.paragraph(text=str(problem)))]
        return [nodes.raw(text=html, format="html", classes=["output", "plotly_html"])]
