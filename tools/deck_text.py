"""A chapter's text in pieces, and as HTML: what deck_parts.py is made of.

MyST has become plain markdown by flatten.py before anything is rendered, so no slide shows any.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from flatten import FENCE, split_options
from markdown_it import MarkdownIt
from mdit_py_plugins.dollarmath import dollarmath_plugin

LEAD = 420  # characters of the paragraph before an equation, list or table that a slide shows


def formula(tex: str, options: dict) -> str:
    """TeX between the marks that MathJax looks for."""
    left, right = (r"\[", r"\]") if options["display_mode"] else (r"\(", r"\)")
    return f"{left}{html.escape(tex)}{right}"


MARKDOWN = MarkdownIt("commonmark").enable("table")
dollarmath_plugin(MARKDOWN, allow_labels=False, renderer=formula)


def markdown(text: str) -> str:
    return MARKDOWN.render(text)


def line(text: str) -> str:
    """A heading's markdown, without a paragraph around it."""
    return MARKDOWN.renderInline(text)


@dataclass(frozen=True)
class Block:
    """A piece of a markdown cell. name: heading, list, table, math, text or a directive's name."""

    name: str
    text: str
    title: str = ""
    body: str = ""
    options: dict = field(default_factory=dict)


def blocks(source: str) -> Iterator[Block]:
    """The pieces of a cell, in reading order."""
    lines, i = source.split("\n"), 0
    while i < len(lines):
        if not lines[i].strip():
            i += 1
            continue
        start, opening = i, FENCE.match(lines[i])
        if opening or lines[i].startswith("```"):
            mark = opening["mark"] if opening else "```"
            end = re.compile(rf"^{re.escape(mark[0])}{{{len(mark)},}}\s*$")
            i += 1
            while not end.match(lines[i]):
                i += 1
            i += 1
            text = "\n".join(lines[start:i])
            if opening is None:
                yield Block("code", text)
                continue
            options, rest = split_options(lines[start + 1 : i - 1])
            yield Block(opening["name"], text, opening["title"], "\n".join(rest).strip(), options)
        elif lines[i].startswith("$$"):
            i += 1
            while not lines[i - 1].endswith("$$") or (i - 1 == start and lines[start] == "$$"):
                i += 1
            yield Block("math", "\n".join(lines[start:i]))
        elif heading := re.match(r"(#+) (.+)$", lines[i]):
            i += 1
            yield Block("heading", lines[start], heading[2], heading[1])
        else:
            while i < len(lines) and lines[i].strip() and not FENCE.match(lines[i]):
                i += 1
            text = "\n".join(lines[start:i])
            first = re.match(r"(- |\d+\. )|(\|)", text)
            yield Block(("list" if first[1] else "table") if first else "text", text)


def question(text: str) -> str:
    """The one question that an opening asks; without one, its first paragraph."""
    for form in (r"question of this page[.:]\*\*\s*\*?([^?*]+\?)", r"\*\*([^*]+\?)\*\*"):
        if found := re.search(form, text):
            asked = " ".join(found[1].split())
            return asked[0].upper() + asked[1:]
    paragraphs = [b.text for b in blocks(text) if b.name == "text"]
    return " ".join(paragraphs[0].split())


def shorten(text: str, room: int = LEAD) -> str:
    """The last sentences of a paragraph, as many as there is room for."""
    text = " ".join(text.split())
    while len(text) > room and (cut_at := re.search(r"[.?!:)] (?=[A-Z$`*])", text)):
        text = text[cut_at.end() :]
    return text


def items(text: str) -> list[str]:
    """The items of a list, each on one line."""
    return [
        " ".join(item.split()) for item in re.split(r"^(?:- |\d+\. )", text, flags=re.M) if item
    ]


def promised(code: str) -> str:
    """The title of the figure that a cell draws, as far as it can be read off the code."""
    if not re.search(r"\bplots\.(?!PALETTE|SYMBOLS|GREY|rule|surface|colours|symbols)\w+\(", code):
        return ""
    found = re.search(r"title=f?\"([^\"]+)\"", code) or re.search(
        r"plots\.finish\(\s*fig,\s*f?\"([^\"]+)\"", code
    )
    if not found:
        return "drawn when the chapter runs"
    return re.sub(r"\{[^}]*\}", "...", found[1])  # what only a run can fill in
