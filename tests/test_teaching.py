"""What the teacher's pages say of the chapters is so, as far as it can be looked up."""

from __future__ import annotations

import ast
import re
import textwrap
from pathlib import Path

import pytest
from test_chapters import CHAPTERS, read

from pha_lite.plots import PALETTE

ROOT = Path(__file__).resolve().parent.parent
TEACHING = ROOT / "book" / "teaching"
GUIDE = (TEACHING / "guide.md").read_text(encoding="utf-8")
SOURCES = {path.stem: path.read_text(encoding="utf-8") for path in CHAPTERS}
TITLES = {re.search(r"^# # (.+)$", text, re.MULTILINE)[1]: name for name, text in SOURCES.items()}


def words(text: str) -> str:
    return " ".join(text.split())


def prose(name: str) -> str:
    """The markdown of a chapter."""
    cells = read(ROOT / "book" / "chapters" / f"{name}.py").cells
    return "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


def headings(name: str) -> set[str]:
    return set(re.findall(r"^#{2,3} (.+)$", prose(name), re.MULTILINE))


def exercises(name: str) -> set[str]:
    return {words(title) for title in re.findall(r"\{exercise\} (.+)$", prose(name), re.MULTILINE)}


# Chapter -> its entry in the guide.
ENTRIES = {
    TITLES[title]: body
    for title, body in re.findall(r"^## (.+)\n((?:(?!^## ).*\n?)*)", GUIDE, re.MULTILINE)
    if title in TITLES
}
each_entry = pytest.mark.parametrize("name", sorted(ENTRIES))


def test_every_chapter_that_builds_the_method_has_an_entry():
    toc = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    built, _, _ = toc.partition("Part II")
    assert set(re.findall(r"chapters/(\w+)", built)) <= set(ENTRIES)


@each_entry
def test_an_entry_has_all_its_parts(name):
    for part in ("What should stay.", "Time in class.", "What students say", "Live.", "To discuss"):
        assert f"**{part}" in ENTRIES[name], part


@each_entry
def test_the_chapters_questions_are_answered(name):
    asked = re.search(r"\*\*Check yourself\.\*\*(.+?)(?=\n\n)", prose(name), re.DOTALL)[1]
    answered = words(ENTRIES[name].replace("*", "").replace("`", ""))
    for question in re.split(r"(?<=[?.])\s+(?=[A-Z])", words(asked)):
        assert words(question.replace("*", "").replace("`", "")) in answered, question


@each_entry
def test_every_question_has_an_answer(name):
    talk = ENTRIES[name].partition("**To discuss**")[2]
    questions = re.findall(r"^\*[^*].+?\*$", talk, re.MULTILINE | re.DOTALL)
    answers = re.findall(r"\{admonition\} Answer\n:class: dropdown\n(.+?)```", talk, re.DOTALL)
    assert len(questions) == len(answers) >= 4
    assert all(len(words(answer)) > 60 for answer in answers)


def demos(name: str) -> list[tuple[str, str]]:
    live = ENTRIES[name].partition("**Live.**")[2].partition("**To discuss**")[0]
    return re.findall(r"```python\n(.+?)\n```\n.*?```python\n(.+?)\n```", live, re.DOTALL)


@each_entry
def test_a_demo_changes_a_line_that_is_there(name):
    ((old, new),) = demos(name)
    cells = read(ROOT / "book" / "chapters" / f"{name}.py").cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert sum(source.split("\n").count(old) for source in code) == 1, old
    body = " pass" if new.rstrip().endswith(":") else ""
    ast.parse(textwrap.dedent(new) + body)
    assert old != new


@each_entry
def test_a_demo_names_the_section_of_its_line(name):
    live = words(ENTRIES[name].partition("**Live.**")[2])
    section = re.match(r"In \*(.+?)\*,", live)[1]
    assert section in headings(name)
    ((old, _),) = demos(name)
    under = ""
    for cell in read(ROOT / "book" / "chapters" / f"{name}.py").cells:
        if cell.cell_type == "markdown":
            found = re.findall(r"^#{2,3} (.+)$", cell.source, re.MULTILINE)
            under = found[-1] if found else under
        elif old in cell.source.split("\n"):
            assert under == section


def test_the_lecture_follows_the_chapter():
    text = (TEACHING / "schedules.md").read_text(encoding="utf-8")
    lecture = text.partition("## One lecture")[2].partition("## One week")[0]
    places = re.findall(r"\| \*([^*|]+)\* \|$", lecture, re.MULTILINE)
    order = re.findall(r"^#{2,3} (.+)$", prose("ten_minutes"), re.MULTILINE)
    at = [order.index(place) for place in places]
    assert len(at) >= 9 and at == sorted(at)
    starts = [int(minute) for minute in re.findall(r"^\| (\d+) \|", lecture, re.MULTILINE)]
    assert starts == sorted(set(starts)) and starts[-1] < 90


def test_exercises_that_the_schedules_name_exist():
    text = words((TEACHING / "schedules.md").read_text(encoding="utf-8"))
    named = []
    for run in re.findall(r"exercises? (\*[^*|]+\*(?:(?:, | and )\*[^*|]+\*)*)", text):
        named += re.findall(r"\*([^*]+)\*", run)
    known = set().union(*(exercises(name) for name in SOURCES))
    assert len(named) >= 8
    assert set(named) - known <= {"Ten minutes"}  # "the exercises of *Ten minutes*"


def test_the_keys_of_the_guide_are_those_of_the_slides():
    script = (ROOT / "tools" / "deck" / "deck.js").read_text(encoding="utf-8")
    table = GUIDE.partition("| key | does |")[2].partition("\n\n")[0]
    for key in re.findall(r"`(.)`", table):
        assert re.search(rf'^    (?:{re.escape(key)}|"{re.escape(key)}"): ', script, re.MULTILINE)


# --- accessibility --------------------------------------------------------------------------------


def luminance(colour: str) -> float:
    """Relative luminance of "#rrggbb", as WCAG 2 defines it."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, two: str) -> float:
    low, high = sorted((luminance(one), luminance(two)))
    return (high + 0.05) / (low + 0.05)


def test_the_page_names_the_faint_colours():
    names = dict(
        zip(
            ("blue", "orange", "green", "purple", "vermillion", "sky blue", "yellow", "grey"),
            PALETTE,
            strict=True,
        )
    )
    faint = {name for name, colour in names.items() if contrast(colour, "#ffffff") < 3}
    assert faint == {"orange", "sky blue", "yellow"}
    text = words((TEACHING / "accessibility.md").read_text(encoding="utf-8"))
    assert "Three colours of the palette, orange, sky blue and yellow, stay below" in text
    assert min(contrast(colour, "#14181c") for colour in PALETTE) > 3
    assert abs(contrast("#000000", "#ffffff") - 21) < 1e-9


def test_words_on_slides_can_be_read():
    style = (ROOT / "tools" / "deck" / "deck.css").read_text(encoding="utf-8")
    for theme in (":root", r"\[data-theme=dark\]"):
        block = re.search(rf"^{theme} \{{(.+?)\}}", style, re.DOTALL | re.MULTILINE)[1]
        colour = {
            name: value if len(value) == 7 else "#" + "".join(2 * c for c in value[1:])
            for name, value in re.findall(r"--(\w+): (#\w+)", block)
        }
        for ink in ("ink", "soft", "blue", "warm"):
            for ground in ("paper", "tint"):
                assert contrast(colour[ink], colour[ground]) >= 4.5, (theme, ink, ground)
