"""Slides: what a deck must hold, that it shows no MyST, and that it needs nothing but itself."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import load

from pha_lite import plots

ROOT = Path(__file__).resolve().parent.parent
for module in ("jupytext", "yaml", "pybtex", "nbformat", "markdown_it", "mdit_py_plugins"):
    pytest.importorskip(module, reason="the book's tools are not installed: pip install .[book]")

flatten = load("flatten", ROOT / "tools" / "flatten.py")
notebooks = load("notebooks", ROOT / "tools" / "notebooks.py")
deck_text = load("deck_text", ROOT / "tools" / "deck_text.py")
deck_parts = load("deck_parts", ROOT / "tools" / "deck_parts.py")
slides = load("slides", ROOT / "tools" / "slides.py")

CHAPTERS = notebooks.sources()
each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)
# Attributes with which a page fetches something; a link that a reader follows is none of them.
FETCH = {"src", "srcset", "data", "poster", "background", "action"}


class Reader(HTMLParser):
    """A deck as a browser's parser sees it: its words, what it would fetch, and its slides."""

    def __init__(self, text: str):
        super().__init__()
        self.words, self.fetched, self.kinds, self.inside = [], [], [], ""
        self.styles = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.inside = tag if tag in ("script", "style") else self.inside
        self.fetched += [value for key, value in attrs if key in FETCH]
        if tag in ("link", "iframe", "object", "embed", "base"):
            self.fetched.append(f"<{tag}>")
        if tag == "section":
            self.kinds.append(found["class"].removeprefix("slide "))

    def handle_endtag(self, tag):
        self.inside = "" if tag == self.inside else self.inside

    def handle_data(self, data):
        (self.styles if self.inside == "style" else self.words).append(
            "" if self.inside == "script" else data
        )

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


def bare(markdown: str) -> str:
    """The words of some markdown without its marks, as a reader sees them."""
    return " ".join(re.sub(r"[*`]", "", markdown).split())


# --- every chapter --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decks(tmp_path_factory):
    nowhere = tmp_path_factory.mktemp("no-build")
    return {path.stem: slides.deck(path, nowhere) for path in CHAPTERS}


@each_chapter
def test_a_deck_has_its_title_its_question_and_something_to_look_at(path, decks):
    deck = decks[path.stem]
    page = Reader(slides.render(deck))
    title = re.search(r"^# # (.+)$", path.read_text(), re.MULTILINE)[1]
    assert deck.title == title
    asked = bare(flatten.roles(deck.question, flatten.Page("", "", "", "", notebooks.works())))
    assert bare(title) in page.text and re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", asked) in page.text
    assert {"equation", "picture", "figure", "missing"} & set(page.kinds)
    assert page.kinds[:2] == ["first", "goals"] and page.kinds[-1] == "check"


@each_chapter
def test_a_deck_shows_no_myst(path, decks):
    page = slides.render(decks[path.stem])
    text = Reader(page).text
    for leak in (r"\{[a-z:]+\}", "```", ":::", r"\$\$", ":label:", ":class:", "{term}", "<details"):
        assert not re.search(leak, re.sub(r"\\[(\[].*?\\[)\]]", "", text)), leak
    assert not flatten.leaks(text)


@each_chapter
def test_a_deck_needs_no_network(path, decks):
    page = Reader(slides.render(decks[path.stem]))
    assert all(address.startswith("data:") for address in page.fetched), page.fetched
    style = "".join(page.styles)
    assert "url(" not in style and "@import" not in style


@each_chapter
def test_nothing_of_the_chapter_is_lost(path, decks):
    """Predictions, summary and questions are on slides; What to see is in the notes."""
    source = "\n".join(c.source for c in notebooks.read(path).cells if c.cell_type == "markdown")
    deck = decks[path.stem]
    kinds = [slide.kind.split()[0] for slide in deck.slides]
    assert kinds.count("predict") == source.count("{admonition} Predict first") > 0
    assert kinds.count("trap") == source.count("{admonition} Trap")
    notes = "".join(note for slide in deck.slides for note in slide.notes)
    bodies = "".join(slide.body for slide in deck.slides)
    assert notes.count("What to see:") == source.count("*What to see:*")
    assert "What to see:" not in bodies
    (check,) = [slide for slide in deck.slides if slide.kind == "check"]
    assert check.body.count("<li>") == 3 and "?</li>" in check.body
    assert [s.title for s in deck.slides if s.title == "Summary"] == ["Summary"]
    assert "<pre" not in bodies, "no code on slides: it is in the notebook"


def test_questions_are_found_in_every_form():
    forms = {
        "**The question of this page.** *What is it\nfor?* Then.": "What is it for?",
        "**The question of this page:** how can one, and\nwhat?\n\nMore.": "How can one, and what?",
        "This page asks one question: **who teaches a\nprototype?** At its end.": (
            "Who teaches a prototype?"
        ),
        "You have one\nmodel.\n\nMore.": "You have one model.",
    }
    assert {text: deck_text.question(text) for text in forms} == forms
    found = {path.stem: slides.deck(path, ROOT / "nowhere").question for path in CHAPTERS}
    assert all(q.endswith("?") for name, q in found.items() if name != "ten_minutes"), found


# --- a built chapter ------------------------------------------------------------------------------

SOURCE = """\
# %% [markdown]
# # One page
#
# **The question of this page:** does it show?
#
# **After this page you can**
#
# - look.
#
# **You need** eyes.

# %%
1 + 1

# %% [markdown]
# ## A part
#
# Here is a rule, as
#
# ```{math}
# :label: eq-one
# a < b
# ```
#
# with $a$ small.
#
# ```{admonition} Predict first
# :class: tip
# Up or down?
# ```

# %%
plots.lines(a, title="A line", alt="It rises.")

# %%
show()

# %% [markdown]
# *What to see:* up, by {eq}`eq-one`.
#
# ## What could go wrong
#
# - **A thing.** Take care.
#
# ## Exercises
#
# ````{exercise} Try
# :label: one-try
#
# Do.
# ````
#
# ## Summary
#
# - It shows.
#
# **Check yourself.** One? Two? Three?
#
# **Next.** Nothing.
"""


@pytest.fixture
def chapter(tmp_path, monkeypatch):
    """A small chapter, and a function that writes its executed notebook."""
    path = tmp_path / "book" / "chapters" / "one.py"
    path.parent.mkdir(parents=True)
    path.write_text(SOURCE)
    monkeypatch.setattr(notebooks, "sources", lambda: [path])
    build = tmp_path / "_build"

    def execute(alt="It rises.", code=None):
        import nbformat

        axes = {"xtitle": "x", "title": "A line", "alt": "to be replaced"}
        figure = plots.lines({"PHA </script>": {1: (1.0,), 2: (2.0,)}}, **axes)
        data = json.loads(figure.to_json())
        data["layout"]["meta"]["alt"] = alt
        book = notebooks.read(path)
        cells = [cell for cell in book.cells if cell.cell_type == "code"]
        new = nbformat.v4.new_output
        cells[1].outputs = [new("display_data", {slides.FIGURE: data})]
        cells[2].outputs = [new("execute_result", {"text/markdown": "It is **3 %**."})]
        cells[2].source = code or cells[2].source
        out = build / "jupyter_execute" / "chapters" / "one.ipynb"
        out.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(book, out)

    return path, build, execute


def test_a_built_chapter_shows_results_after_the_prediction(chapter):
    path, build, execute = chapter
    execute()
    deck = slides.deck(path, build)
    kinds = [slide.kind for slide in deck.slides]
    assert kinds[2:6] == ["equation", "predict", "figure", "result short"] and not deck.missing
    rule, figure, result = deck.slides[2], deck.slides[4], deck.slides[5]
    assert "Here is a rule" in rule.body and "with" in rule.body and "a &lt; b" in rule.body
    assert 'aria-label="It rises."' in figure.body and "3 %" in result.body
    assert "up, by (1)" in "".join(result.notes), "what to see is said and not shown"
    page = slides.render(deck)
    assert "Plotly" in page and "PHA <\\/script>" in page, "data cannot end a script early"
    (plot,) = re.findall(r'<script type="application/json">(.*?)</script>', page)
    drawn = json.loads(plot)
    assert drawn["data"][0]["name"] == "PHA </script>" and "height" not in drawn["layout"]
    assert {"first", "figure", "check"} <= set(Reader(page).kinds)


def test_without_a_build_the_deck_says_so(chapter, tmp_path, capsys):
    _, build, _ = chapter
    assert slides.main(["--build", str(build), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "one.html").read_text()
    assert slides.NOT_BUILT in page and "Figure: A line" in page and "Plotly.newPlot(box" in page
    said = capsys.readouterr()
    assert "WITHOUT figures" in said.out and "make book" in said.err
    assert "not built" in (tmp_path / "out" / "index.html").read_text()


def test_results_of_other_code_are_not_shown(chapter):
    path, build, execute = chapter
    execute(code="show(2)")
    deck = slides.deck(path, build)
    assert deck.missing == "built from other code"
    assert "3 %" not in slides.render(deck)


def test_a_figure_without_alternative_text_stops(chapter):
    path, build, execute = chapter
    execute(alt=" ")
    with pytest.raises(ValueError, match="alternative text"):
        slides.deck(path, build)


def test_an_unknown_chapter_is_named(capsys):
    with pytest.raises(SystemExit):
        slides.main(["nobody"])
    assert "no such chapter: nobody; there are ablations" in capsys.readouterr().err


# --- pieces ---------------------------------------------------------------------------------------


def test_blocks_of_a_cell():
    cell = "## Part\n\nText\nof two.\n\n$$\na\n$$\n\n$$k = 1\n  + 2$$\n\n- one\n  more\n- two\n\n"
    cell += "| a |\n|---|\n\n````{exercise} E\n:label: e\n\n```python\nx\n```\n````\n\n1. first"
    found = [(block.name, block.text.split("\n")[0]) for block in deck_text.blocks(cell)]
    names = ["heading", "text", "math", "math", "list", "table", "exercise", "list"]
    assert [name for name, _ in found] == names
    assert found[3][1] == "$$k = 1"
    assert deck_text.items("- one\n  more\n- two") == ["one more", "two"]


def test_a_long_lead_loses_its_first_sentences_only():
    text = "First one. Second one is here. Third ends:"
    assert deck_text.shorten(text) == text
    assert deck_text.shorten(text, 35) == "Second one is here. Third ends:"
    assert deck_text.shorten("no end " * 99, 35) == ("no end " * 99).strip()


def test_formulas_are_escaped_and_left_to_mathjax():
    assert "\\(a &lt; b_1 * c\\)" in deck_text.markdown("If $a < b_1 * c$ then *so*.")
    assert "\\[" in deck_text.markdown("$$\na\n$$")


def test_the_look_stays_small():
    """A deck of our own is worth it as long as anybody can read all of it."""
    lines = [len((slides.LOOK / name).read_text().split("\n")) for name in ("deck.css", "deck.js")]
    assert sum(lines) < 250 and "http" not in (slides.LOOK / "deck.js").read_text()
