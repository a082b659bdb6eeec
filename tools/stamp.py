"""One public address for the whole repository: that of `repository` in _config.yml.

    python tools/stamp.py          write it wherever the one before it stands
    python tools/stamp.py --check  fail where a copy differs

Looks into every text file: README, citation, pages, sources, notebooks, assignments. What was
stamped last stands in CITATION.cff, so a new setting finds the old copies. Any other repository
on GitHub must be named in FOREIGN, so that a misspelt address of ours does not pass for theirs.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from notebooks import Home, home

ROOT = Path(__file__).resolve().parent.parent
FOREIGN: tuple[str, ...] = ()  # "owner/name" of other people's repositories that the text names
# A link to GitHub, to its raw files or to Colab's view of it, or what pip and git take.
ADDRESS = re.compile(
    r"(?P<site>github\.com[/:]|raw\.githubusercontent\.com/|colab\.research\.google\.com/github/)"
    r"(?P<slug>[\w.-]+/[\w-]+(?:\.(?!git\b)[\w-]+)*)(?P<end>\.git\b)?"
    r"(?P<tagged>(?P<way>@|/blob/|/tree/|/raw/|/archive/refs/tags/|/releases/tag/|/)"
    r"(?P<tag>\w(?:[\w.-]*?\w)?)(?=[^\w.-]|\.zip|\.tar|\.?(?:\s|$)))?"
)
KINDS = {".bib", ".cff", ".css", ".ipynb", ".js", ".json", ".md", ".py", ".sh", ".svg", ".toml"}
KINDS |= {".txt", ".yaml", ".yml", ""}
SKIPPED = {"_build", "build", "dist", "vendor", "runs", "__pycache__"}


def tag_of(found: re.Match) -> str | None:
    """The tag in an address, if it has one. A bare path is one in addresses of raw files only."""
    bare = found["way"] == "/" and not found["site"].startswith("raw.")
    return None if bare else found["tag"]


def texts(root: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every text file of the repository that may hold an address, the setting's own left out."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED and not f.startswith("."))
        for path in (Path(folder) / name for name in sorted(names)):
            if (
                path.suffix in KINDS
                and not path.name.startswith(".")
                and path.name != "_config.yml"
            ):
                yield path, path.read_text(encoding="utf-8")


def problems(where: Home | None = None, root: Path = ROOT) -> list[str]:
    """What `--check` complains about: one line for each address that is not the setting's."""
    where, found = where or home(), []
    for path, text in texts(root):
        for address in ADDRESS.finditer(text):
            place = f"{path.relative_to(root)}:{text.count(chr(10), 0, address.start()) + 1}"
            tag = tag_of(address)
            if address["slug"] in FOREIGN:
                continue
            if address["slug"] != where.slug:
                found.append(f"{place} names {address['slug']}, not {where.slug}")
            elif tag and tag != where.tag:
                found.append(f"{place} names the tag {tag}, not {where.tag}")
    return found


def stamped(text: str, before: str, where: Home) -> str:
    """A text with our own addresses as they should be.

    Args:
        before: "owner/name" that was stamped last.
    """

    def write(address: re.Match) -> str:
        if address["slug"] not in (before, where.slug):
            return address[0]
        tagged = address["tagged"] or ""
        if tag_of(address):
            tagged = address["way"] + where.tag
        return f"{address['site']}{where.slug}{address['end'] or ''}{tagged}"

    return ADDRESS.sub(write, text)


def before(root: Path = ROOT) -> str:
    """The repository that was stamped last, "owner/name"."""
    text = (root / "CITATION.cff").read_text(encoding="utf-8")
    return ADDRESS.search(re.search(r"^repository-code: .+$", text, re.MULTILINE)[0])["slug"]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    if not parser.parse_args(arguments).check:
        last, where = before(), home()
        for path, text in texts():
            if (made := stamped(text, last, where)) != text:
                path.write_text(made, encoding="utf-8")
                print(f"wrote {path.relative_to(ROOT)}")
    found = problems()
    for line in found:
        print(f"{line}: run `make sync`, or name it in tools/stamp.py", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
