"""Slides from the chapters: build/slides/NAME.html, one file each, that need no network.

    python tools/slides.py [NAME ...] [--build _build] [--out build/slides]

A deck is cut out of its chapter: the question and the goals, equations, lists and tables, still
pictures, predictions and then the results, traps, summary and questions. The text between them goes
to the speaker's notes. Figures and results come from the notebooks that `make book` has executed;
a deck without them says so on its first slide. The look and the keys are in tools/deck.
"""

from __future__ import annotations

import argparse
import html
import importlib.util
import json
import sys
from pathlib import Path

import nbformat
import notebooks
from deck_parts import Deck, Slide, cut
from deck_text import markdown, promised
from flatten import Page

ROOT = Path(__file__).resolve().parent.parent
LOOK = Path(__file__).resolve().parent / "deck"
FIGURE = "application/vnd.plotly.v1+json"
NOT_BUILT = (
    "Figures and results are missing: run <code>make book</code>, then <code>make slides</code>."
)
LICENCES = """\
Text: CC BY 4.0. This file carries MathJax 3 (Apache License 2.0, mathjax.org) and, where it has
figures, plotly.js (MIT, plotly.com/javascript), each with the notice in its own code."""


def executed(path: Path, build: Path):
    """The chapter's executed notebook and why there is none: (cells, "") or (None, reason)."""
    run = build / "jupyter_execute" / "chapters" / f"{path.stem}.ipynb"
    if not run.is_file():
        return None, "not built"
    cells = nbformat.read(run, as_version=4).cells
    wanted, found = (
        [cell.source for cell in some if cell.cell_type == "code"]
        for some in (notebooks.read(path).cells, cells)
    )
    if wanted != found:
        return None, "built from other code"
    return cells, ""


def outputs(cells) -> list[list[dict]]:
    """Per code cell the data of its outputs; a promise where a cell would draw but has not run."""
    found = []
    for cell in cells:
        if cell.cell_type != "code":
            continue
        data = [dict(out.data) for out in cell.get("outputs", []) if "data" in out]
        drawn = not cell.get("outputs") and promised(cell.source)
        found.append([{"promise": drawn}] if drawn else data)
    return found


def plot(figure: dict) -> str:
    """A Plotly figure as data for deck.js, which draws it into the room that the slide has."""
    layout = {k: v for k, v in figure["layout"].items() if k not in ("height", "width")}
    alt = (layout.get("meta") or {}).get("alt", "").strip()
    if not alt:
        raise ValueError("a figure has no alternative text: see pha_lite.plots.describe")
    data = {key: figure.get(key, []) for key in ("data", "frames")} | {"layout": layout}
    text = json.dumps(data).replace("</", "<\\/").replace("<!--", "<\\!--")
    return (
        f'<div class="plot" role="figure" aria-label="{html.escape(alt)}">'
        f'<script type="application/json">{text}</script></div>'
    )


def shown(data: dict) -> Slide | None:
    """The slide of one output, or None for what a slide does not show."""
    if "promise" in data:
        return Slide("missing", f"<p>Figure: {html.escape(data['promise'])}</p>")
    if FIGURE in data:
        return Slide("figure", plot(data[FIGURE]))
    text = data.get("text/markdown", "")
    if text and not text.startswith(("**Run time:**", "No run time", "Recorded by")):
        return Slide("result" if "\n" in text else "result short", markdown(text))
    return None


def deck(path: Path, build: Path) -> Deck:
    """The slides of one chapter."""
    where = notebooks.home()
    page = Page("book/chapters", where.blob, where.raw, where.colab, notebooks.works())
    cells, missing = executed(path, build)
    source = notebooks.read(path).cells
    results = [[shown(data) for data in some] for some in outputs(cells or source)]
    made = cut(source, [[s for s in some if s] for some in results], page, path.parent)
    made.missing = missing
    return made


def script(code: str) -> str:
    """Code that may stand inside a page: nothing in it ends the script."""
    return (
        "<script>" + code.replace("</script", "<\\/script").replace("<!--", "<\\!--") + "</script>"
    )


def libraries(made: Deck) -> str:
    """MathJax and, where there are figures, Plotly, both from installed packages."""
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    mathjax = Path(spec.submodule_search_locations[0]) / "static" / "mathjax" / "tex-svg.js"
    code = ["MathJax = {options: {enableMenu: false}, startup: {typeset: false}};"]
    code.append(mathjax.read_text(encoding="utf-8"))
    if any(slide.kind == "figure" for slide in made.slides):
        from plotly.offline import get_plotlyjs

        code.append(get_plotlyjs())
    return "\n".join(map(script, code))


def section(slide: Slide, number: int, count: int) -> str:
    heads = []
    if slide.above:
        heads.append(f'<p class="above">{slide.above}</p>')
    if slide.title:
        level = "h1" if number == 1 else "h2"
        heads.append(f"<{level}>{slide.title}</{level}>")
    notes = "\n".join(slide.notes)
    return (
        f'<section class="slide {slide.kind}" aria-label="Slide {number} of {count}" tabindex="-1">'
        f"<header>{''.join(heads)}</header>"
        f'<div class="body">{slide.body}</div><aside class="notes">{notes}</aside></section>'
    )


def render(made: Deck) -> str:
    """A whole deck as one file."""
    look, keys = ((LOOK / name).read_text(encoding="utf-8") for name in ("deck.css", "deck.js"))
    slides = "\n".join(
        section(slide, number, len(made.slides)) for number, slide in enumerate(made.slides, 1)
    )
    banner = f'<p class="missing">{NOT_BUILT}</p>' if made.missing else ""
    bar = (LOOK / "bar.html").read_text(encoding="utf-8")
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<!-- {LICENCES} -->\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{html.escape(made.title)}</title>\n<style>\n{look}</style>\n</head>\n<body>\n"
        f'<main id="stage">\n{slides}\n</main>\n{banner}\n{bar}\n'
        f"{libraries(made)}\n{script(keys)}\n</body>\n</html>\n"
    )


def contents(decks: dict[str, Deck]) -> str:
    """A page that lists the decks."""
    items = "\n".join(
        f'<li><a href="{name}.html">{html.escape(made.title)}</a>, {len(made.slides)} slides'
        f"{', without figures: ' + made.missing if made.missing else ''}</li>"
        for name, made in decks.items()
    )
    look = (LOOK / "deck.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>Slides</title>\n<style>\n{look}</style>\n</head>\n"
        f'<body class="list">\n<h1>Slides</h1>\n<ul>\n{items}\n</ul>\n'
        "<p>In a deck: arrow keys to move, <kbd>?</kbd> for all keys.</p>\n</body>\n</html>\n"
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="chapters, such as adapters; all when not given")
    parser.add_argument("--build", type=Path, default=ROOT / "_build", help="where the book is")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "slides")
    args = parser.parse_args(arguments)
    paths = {path.stem: path for path in notebooks.sources()}
    if unknown := set(args.names) - set(paths):
        parser.error(f"no such chapter: {', '.join(sorted(unknown))}; there are {', '.join(paths)}")
    args.out.mkdir(parents=True, exist_ok=True)
    decks = {name: deck(paths[name], args.build) for name in args.names or paths}
    for name, made in decks.items():
        (args.out / f"{name}.html").write_text(render(made), encoding="utf-8")
        note = f", WITHOUT figures and results ({made.missing})" if made.missing else ""
        print(f"{args.out / name}.html: {len(made.slides)} slides{note}")
    (args.out / "index.html").write_text(contents(decks), encoding="utf-8")
    if any(made.missing for made in decks.values()):
        print("For figures and results: make book, then make slides.", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
