"""What of a chapter becomes a slide, and what the speaker says: used by slides.py.

A chapter has a fixed form (CONTRIBUTING.md), and this file knows it: an opening with a question and
goals, sections, then "What could go wrong", exercises and a summary. What has no plain form raises
`LeakError`, as it does for a Colab copy.
"""

from __future__ import annotations

import base64
import html
import re
from dataclasses import dataclass, field
from pathlib import Path

from deck_text import LEAD, Block, blocks, items, line, markdown, question, shorten
from flatten import Page, flatten

LONG = 900  # characters from which a box is set in two columns
SEE = "*What to see:*"


@dataclass
class Slide:
    """kind: a class for the looks; body, title, above and the notes are HTML."""

    kind: str
    body: str
    title: str = ""
    above: str = ""
    notes: list[str] = field(default_factory=list)


@dataclass
class Deck:
    title: str
    question: str
    slides: list[Slide] = field(default_factory=list)
    missing: str = ""  # why there are no figures


def picture(block: Block, folder: Path) -> str:
    """A still picture of the chapter, inside the page."""
    data = base64.b64encode((folder / block.title).read_bytes()).decode()
    alt = html.escape(block.options["alt"])
    return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}">'


class Cutter:
    """Goes through a chapter once and collects its slides."""

    def __init__(self, made: Deck, page: Page, folder: Path):
        self.made, self.page, self.folder = made, page, folder
        self.counter: dict = {}
        self.part = self.under = ""  # the section and its subsection
        self.said: list[str] = []  # paragraphs since the last slide, plain markdown
        self.last = ""  # the last paragraph of the cell
        self.looking = False  # inside "What to see"
        self.tasks: list[str] = []  # titles of exercises

    def plain(self, text: str) -> str:
        return flatten(text, self.page, self.counter)

    def add(self, slide: Slide, lead: bool = False) -> None:
        """A slide takes along what was said before it, the last paragraph in sight if asked."""
        if lead and (before := self.said[-1] if self.said else self.last):
            slide.body = markdown(shorten(before.removeprefix(SEE))) + slide.body
        slide.title = slide.title or line(self.under or self.part)
        if self.under or slide.title != line(self.part):
            slide.above = slide.above or line(self.part)
        slide.notes = [markdown(text) for text in self.said] + slide.notes
        self.said = []
        self.made.slides.append(slide)

    def close(self) -> None:
        """What was said after the last slide of a section stays with it."""
        self.made.slides[-1].notes += map(markdown, self.said)
        self.said = []

    def opening(self, source: str) -> None:
        top, _, rest = source.partition("**After this page you can**")
        goals, *others = blocks(rest)
        self.add(
            Slide(
                "first",
                markdown(self.plain(self.made.question)),
                title=line(self.made.title),
                notes=[markdown(self.plain(b.text)) for b in blocks(top) if b.name == "text"],
            )
        )
        need = [markdown(self.plain(b.text)) for b in others]
        body = markdown(self.plain(goals.text)) + need[0]
        self.add(Slide("goals", body, title="After this you can", notes=need[1:]))

    def block(self, block: Block) -> None:
        """One block of a section."""
        if block.name == "heading":
            self.close()
            self.looking = False
            title = self.plain(block.title)
            self.part, self.under = (title, "") if block.body == "##" else (self.part, title)
        elif block.name in ("exercise", "solution"):
            if block.name == "exercise":
                self.tasks.append(self.plain(block.title))
        elif block.name == "text":
            self.text(block.text)
        elif block.name == "list" and self.part == "What could go wrong":
            leads = [re.match(r"\*\*(.+?)\*\*", item) for item in items(block.text)]
            body = "\n".join(f"- {found[1].rstrip('.')}" for found in leads if found)
            notes = [markdown(self.plain(block.text))]
            self.add(Slide("list", markdown(self.plain(body)), notes=notes))
        elif self.looking and block.name in ("list", "table"):
            self.made.slides[-1].notes.append(markdown(self.plain(block.text)))
        else:
            self.looking = False
            self.piece(block)

    def text(self, text: str) -> None:
        plain = self.last = self.plain(text)
        if text.startswith(SEE):
            self.close()
            self.looking = True
        if text.startswith("**Check yourself.**"):
            asked = re.split(r"(?<=\?)\s+", " ".join(plain.split()).partition("** ")[2])
            body = markdown("\n".join(f"1. {each}" for each in asked))
            self.add(Slide("check", body, title="Check yourself", above=line(self.part)))
        elif self.looking:
            self.made.slides[-1].notes.append(markdown(plain))
        elif self.belongs(text):
            self.made.slides[-1].body += markdown(plain)
        else:
            self.said.append(plain)

    def belongs(self, text: str) -> bool:
        """Whether a paragraph goes on with the equation before it: "with ...", "Here ..."."""
        after = self.made.slides[-1].kind == "equation" and not self.said
        return after and bool(re.match(r"[a-z]|Here |\$", text)) and len(text) < LEAD

    def piece(self, block: Block) -> None:
        """A block that is a slide of its own."""
        if block.name == "figure":
            said = markdown(self.plain(block.body))
            self.add(Slide("picture", picture(block, self.folder), notes=[said]))
        elif block.name == "admonition":
            kind = {"Predict": "predict", "Trap": "trap"}.get(
                re.match(r"\w+", block.title)[0], "box"
            )
            body = markdown(self.plain(block.body))
            kind += " long" if len(block.body) > LONG else ""
            self.add(Slide(kind, body, title=line(self.plain(block.title)), above=line(self.part)))
        elif block.name == "prf:algorithm":
            body = markdown(self.plain(block.body))
            self.add(Slide("list", body, title=f"Algorithm: {line(self.plain(block.title))}"))
        elif block.name in ("math", "list", "table"):
            kind = "equation" if block.name == "math" else block.name
            self.add(Slide(kind, markdown(self.plain(block.text))), lead=True)
        else:
            self.said.append(self.plain(block.text))

    def exercises(self) -> None:
        if self.tasks:
            body = markdown("\n".join(f"1. {title}" for title in self.tasks))
            self.add(Slide("list", body, title="Exercises", above="To do"))
            self.tasks = []


def cut(cells, results: list[list[Slide]], page: Page, folder: Path) -> Deck:
    """A chapter's deck.

    Args:
        cells: the chapter's cells.
        results: for each code cell the slides of its outputs.
        page: where links and citations lead.
        folder: the chapter's own, for its pictures.
    """
    first, *rest = cells
    title = next(b.title for b in blocks(first.source) if b.name == "heading")
    opening = first.source.partition("\n")[2].partition("**After this page you can**")[0]
    made = Deck(title, question(opening))
    cutter = Cutter(made, page, folder)
    cutter.opening(first.source.partition("\n")[2])
    outputs = iter(results)
    for cell in rest:
        if cell.cell_type == "code":
            for slide in next(outputs):
                if cutter.part:
                    cutter.add(slide)
                    cutter.looking = False
            continue
        cutter.looking, cutter.last = False, ""
        for block in blocks(cell.source):
            if block.name == "heading" and block.title == "Summary":
                cutter.close()
                cutter.exercises()
            cutter.block(block)
    cutter.close()
    return made
