"""Draw the book's still pictures as SVG files: logo, favicon and the problem in one picture.

python tools/pictures.py           write them
python tools/pictures.py --check   fail where a file differs from what this script draws
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Okabe and Ito's palette, the same as in pha_lite/plots.py.
BLUE, ORANGE, GREEN, PURPLE = "#0072B2", "#E69F00", "#009E73", "#CC79A7"
INK, SOFT, LINE = "#1f2933", "#52606d", "#9aa5b1"
TASKS = (BLUE, ORANGE, GREEN, PURPLE)


def text(x, y, words, size=18, colour=INK, weight="normal", anchor="start") -> str:
    return (
        f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}" font-weight="{weight}" '
        f'text-anchor="{anchor}">{words}</text>'
    )


def dot(x, y, colour, radius=11) -> str:
    return f'<circle cx="{x}" cy="{y}" r="{radius}" fill="{colour}"/>'


def arrow(x1, y1, x2, y2, colour=LINE) -> str:
    return (
        f'<line x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}" stroke="{colour}" stroke-width="2.5" '
        f'marker-end="url(#tip)"/>'
    )


def adapter(x, y, colour, width=58, height=20) -> str:
    """An adapter: narrow in the middle, as its bottleneck is."""
    w, h, n = width, height, 6
    points = [(0, 0), (w / 2, n), (w, 0), (w, h), (w / 2, h - n), (0, h)]
    path = " ".join(f"{x + a:g},{y + b:g}" for a, b in points)
    return f'<polygon points="{path}" fill="{colour}"/>'


def row(y, title, lines, drawing) -> str:
    words = [text(346, y + 34, title, size=20, weight="bold")]
    words += [text(346, y + 62 + 23 * i, line, 17, SOFT) for i, line in enumerate(lines)]
    rule = f'<line x1="20" x2="660" y1="{y + 152}" y2="{y + 152}" stroke="#e4e7eb"/>'
    return "\n".join([*words, *drawing, rule if y < 300 else ""])


def problem() -> str:
    heights = (24, 56, 88, 120)
    own = [
        part
        for h, colour in zip(heights, TASKS, strict=True)
        for part in (dot(40, h, colour), arrow(62, h, 208, h), adapter(222, h - 10, colour))
    ]
    shared = [
        part
        for h, colour in zip(heights, TASKS, strict=True)
        for part in (
            dot(40, 160 + h, colour),
            arrow(62, 160 + h, 206, 160 + 72 + (h - 72) * 0.3, colour),
        )
    ]
    shared.append(adapter(222, 160 + 52, "#7b8794", 58, 40))

    # Two rules, two tasks each: near each other in the space of prototypes.
    places = ((48, 368), (72, 388), (58, 436), (86, 422))
    pha = [
        '<rect x="24" y="340" width="88" height="124" rx="10" fill="none" stroke="#9aa5b1" '
        'stroke-width="2" stroke-dasharray="5 4"/>',
        *(dot(x, y, c, 9) for (x, y), c in zip(places, TASKS, strict=True)),
        arrow(116, 402, 138, 402),
        '<polygon points="150,376 196,352 196,452 150,428" fill="#3e4c59"/>',
        text(173, 408, "H", 20, "#ffffff", "bold", "middle"),
    ]
    for h, colour in zip(heights, TASKS, strict=True):
        pha += [arrow(198, 402 + (h - 72) * 0.6, 212, 330 + h), adapter(222, 320 + h, colour)]
    rows = (
        (
            "One adapter per task",
            own,
            "Nothing is shared. Sixteen examples|have to teach everything.",
        ),
        (
            "One adapter for all",
            shared,
            "All is shared. Tasks that disagree|pull the same weights apart.",
        ),
        (
            "PHA",
            pha,
            "One network H writes every adapter,|each from its task’s point: near points,|"
            "similar adapters.",
        ),
    )
    body = "\n".join(
        row(160 * i, title, words.split("|"), drawing)
        for i, (title, drawing, words) in enumerate(rows)
    )
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 680 484" role="img" \
font-family="Helvetica, Arial, sans-serif">
<title>Three ways to give four tasks their adapters</title>
<defs><marker id="tip" viewBox="0 0 8 8" refX="6" refY="4" orient="auto"
markerWidth="4" markerHeight="4">
<path d="M0 0 L8 4 L0 8 z" fill="#7b8794"/></marker></defs>
<rect width="680" height="484" rx="12" fill="#ffffff"/>
{body}
</svg>
"""


def mark(size: int) -> str:
    """Four prototypes, two and two, and the network that reads them."""
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" \
width="{size}" height="{size}">
<title>pha_lite</title>
<rect width="64" height="64" rx="14" fill="#f5f7fa"/>
{dot(15, 19, BLUE, 7)}
{dot(23, 30, ORANGE, 7)}
{dot(14, 48, GREEN, 7)}
{dot(26, 44, PURPLE, 7)}
<polygon points="36,24 54,12 54,52 36,40" fill="{INK}"/>
</svg>
"""


def pictures() -> dict[str, str]:
    return {
        "book/assets/logo.svg": mark(96),
        "book/assets/favicon.svg": mark(32),
        "book/figures/problem.svg": problem(),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    check = parser.parse_args().check
    stale = []
    for name, svg in pictures().items():
        path = ROOT / name
        if check and (not path.is_file() or path.read_text(encoding="utf-8") != svg):
            stale.append(name)
        elif not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(svg, encoding="utf-8")
    for name in stale:
        print(f"{name} differs from what tools/pictures.py draws: run `make sync`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
