"""Plain markdown from MyST: what a notebook on Colab can show.

Directives become headings, quotes, images and ``<details>``; roles become text and links. What is
not known here raises `LeakError`, so that nothing of MyST reaches a Colab copy unseen.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass, field

FENCE = re.compile(r"^(?P<mark>`{3,}|:{3,})\{(?P<name>[\w:-]+)\}\s*(?P<title>.*)$")
OPTION = re.compile(r"^:(?P<key>[\w-]+):\s*(?P<value>.*)$")
LABEL = re.compile(r"^\([\w:-]+\)=\s*$")
ROLE = re.compile(r"\{(?P<name>[\w:]+)\}`(?P<body>[^`]+)`")
TARGET = re.compile(r"^(?P<text>.*?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
LINK = re.compile(r"(?P<open>!?\[[^\]]*\]\()(?P<target>[^)\s]+)(?P<close>\))")
CODE = re.compile(r"(```.*?```|`[^`\n]+`)", re.DOTALL)

ADMONITIONS = {
    "admonition": "",
    "attention": "Attention",
    "caution": "Caution",
    "hint": "Hint",
    "important": "Important",
    "note": "Note",
    "seealso": "See also",
    "tip": "Tip",
    "warning": "Warning",
}
# What shows that a directive, a role or a label came through.
LEAKS = (
    re.compile(r"^\s*(`{3,}|:{3,})\s*\{", re.MULTILINE),
    re.compile(r"\{[\w:]+\}`"),
    re.compile(r"^\([\w:-]+\)=", re.MULTILINE),
    re.compile(r"^:{3,}", re.MULTILINE),
    re.compile(r"^\+\+\+", re.MULTILINE),
    re.compile(r"^:[\w-]+: ", re.MULTILINE),
    re.compile(r"\[\]\("),
)


class LeakError(ValueError):
    """MyST that this file cannot say in plain markdown."""


def leaks(markdown: str) -> list[str]:
    """The MyST that a plain markdown text still shows; empty if there is none."""
    return [found.group(0).strip() for leak in LEAKS for found in leak.finditer(markdown)]


@dataclass
class Page:
    """What links and citations of one chapter lead to.

    Args:
        folder: the chapter's folder in the repository, "book/chapters".
        blob: address of a file of the repository for readers.
        raw: the same for pictures.
        notebook: address of a chapter's Colab copy, from its name.
        works: citation key -> (text for a sentence, text in brackets, address).
    """

    folder: str
    blob: str
    raw: str
    notebook: str
    works: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    equations: dict[str, int] = field(default_factory=dict)  # label -> number, in reading order

    def path(self, target: str) -> str:
        return posixpath.normpath(posixpath.join(self.folder, target))

    def address(self, target: str) -> str:
        """The public address of a relative link."""
        path, _, anchor = target.partition("#")
        stem, suffix = posixpath.splitext(self.path(path))
        if stem.startswith("book/chapters/") and suffix in ("", ".py", ".md", ".ipynb"):
            return f"{self.notebook}/{posixpath.basename(stem)}.ipynb"
        if not suffix:
            suffix = ".md"
        return f"{self.blob}/{stem}{suffix}" + (f"#{anchor}" if anchor else "")


def split_options(lines: list[str]) -> tuple[dict[str, str], list[str]]:
    options = {}
    rest = list(lines)
    while rest and (match := OPTION.match(rest[0])):
        options[match["key"]] = match["value"]
        rest.pop(0)
    return options, rest


def quote(title: str, body: str) -> str:
    lines = ([f"**{title}**", ""] if title else []) + body.strip().split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def details(title: str, body: str) -> str:
    return f"<details>\n<summary><b>{title}</b></summary>\n\n{body.strip()}\n\n</details>"


def tag(options: dict[str, str], page: Page) -> str:
    """The number of a labelled equation, which `{eq}` then repeats."""
    if "label" not in options:
        return ""
    number = page.equations.setdefault(options["label"], len(page.equations) + 1)
    return f"\n\\tag{{{number}}}"


def directive(name: str, title: str, lines: list[str], page: Page, counter: dict) -> str:
    options, rest = split_options(lines)
    inside = "\n".join(rest).strip("\n")
    if name in ("math", "code-block", "code"):
        if name == "math":
            return f"$$\n{inside.strip()}{tag(options, page)}\n$$"
        return f"```{title}\n{inside}\n```"
    body = flatten(inside, page, counter)
    title = roles(title, page)
    if name in ADMONITIONS:
        head = title if name == "admonition" else ADMONITIONS[name]
        if name != "admonition" and title:
            body = f"{title}\n{body}"
        if "dropdown" in options.get("class", ""):
            return details(head, body)
        return quote(head, body)
    if name == "exercise":
        counter["exercise"] = counter.get("exercise", 0) + 1
        head = f"Exercise {counter['exercise']}" + (f": {title}" if title else "")
        return f"### {head}\n\n{body}"
    if name == "solution":
        return details("Solution", body)
    if name == "prf:algorithm":
        return quote(f"Algorithm: {title}", body)
    if name == "dropdown":
        return details(title, body)
    if name == "figure":
        picture = f"![{options.get('alt', '')}]({page.raw}/{page.path(title)})"
        return picture + (f"\n\n*{' '.join(body.split())}*" if body.strip() else "")
    if name == "image":
        return f"![{options.get('alt', '')}]({page.raw}/{page.path(title)})"
    if name in ("grid", "grid-item"):
        return body
    raise LeakError(f"directive {{{name}}} has no plain form: add one to tools/flatten.py")


def role(match: re.Match, page: Page) -> str:
    name, body = match["name"], match["body"]
    if name.startswith("cite"):
        texts = []
        for key in (part.strip() for part in body.split(",")):
            if key not in page.works:
                raise LeakError(f"citation {key!r} is not in book/references.bib")
            sentence, bracket, url = page.works[key]
            label = sentence if name == "cite:t" else bracket
            texts.append(f"[{label}]({url})" if url else label)
        return ", ".join(texts) if name == "cite:t" else f"({'; '.join(texts)})"
    if name == "math":
        return f"${body}$"
    if name == "eq":
        if body not in page.equations:
            raise LeakError(f"{{eq}}`{body}`: no equation above has this label")
        return f"({page.equations[body]})"
    if name in ("ref", "numref", "doc", "term", "prf:ref"):
        target = TARGET.match(body)
        if target is None and name == "term":
            return f"*{body}*"
        if target is None:
            raise LeakError(f"{{{name}}}`{body}` needs its own text: `text <{body}>`")
        if name == "doc":
            return f"[{target['text']}]({page.address(target['target'])})"
        return target["text"]
    raise LeakError(f"role {{{name}}} has no plain form: add one to tools/flatten.py")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Apply a change to the parts of a text that are not code."""
    return "".join(p if i % 2 else change(p) for i, p in enumerate(CODE.split(text)))


def roles(text: str, page: Page) -> str:
    text = ROLE.sub(lambda match: role(match, page), text)

    def link(match: re.Match) -> str:
        target = match["target"]
        if re.match(r"^([a-z]+:|#)", target):
            return match.group(0)
        if match["open"].startswith("!"):
            return f"{match['open']}{page.raw}/{page.path(target)})"
        return f"{match['open']}{page.address(target)})"

    return outside_code(text, lambda part: LINK.sub(link, part))


def flatten(text: str, page: Page, counter: dict | None = None) -> str:
    """One markdown cell without MyST.

    Args:
        text: the cell's source.
        page: where links and citations lead.
        counter: numbers of exercises so far, shared by the cells of a chapter.

    Raises:
        LeakError: for a directive or role without a plain form.

    >>> print(flatten("```{tip}\\nLook.\\n```", Page("book/chapters", "", "", "")))
    > **Tip**
    >
    > Look.
    """
    counter = {} if counter is None else counter
    lines, out, plain = text.split("\n"), [], []

    def flush() -> None:
        if plain:
            out.append(roles("\n".join(plain), page))
            plain.clear()

    i = 0
    while i < len(lines):
        opening = FENCE.match(lines[i])
        if opening is None:
            if lines[i].startswith("```"):  # ordinary code: copied as it stands
                end = next(
                    (j for j in range(i + 1, len(lines)) if lines[j].startswith("```")), None
                )
                if end is None:
                    raise LeakError(f"a code block is not closed: {lines[i]}")
                flush()
                out.append("\n".join(lines[i : end + 1]))
                i = end + 1
                continue
            if not LABEL.match(lines[i]):
                plain.append(lines[i])
            i += 1
            continue
        flush()
        mark = opening["mark"]
        closing = re.compile(rf"^{re.escape(mark[0])}{{{len(mark)},}}\s*$")
        end = next((j for j in range(i + 1, len(lines)) if closing.match(lines[j])), None)
        if end is None:
            raise LeakError(f"a directive is not closed: {lines[i]}")
        out.append(directive(opening["name"], opening["title"], lines[i + 1 : end], page, counter))
        i = end + 1
    flush()
    return "\n".join(out)
