"""One source, three products: from each chapter's .py the book's .ipynb and a Colab copy.

    python tools/notebooks.py sync    write book/**/NAME.ipynb and book/colab/NAME.ipynb
    python tools/notebooks.py check   fail where one differs from what its source gives

A source in book/colab_only needs a network, so it is no page: it gives the Colab copy alone.

The source is jupytext's py:percent. Its header may name packages that Colab lacks and the chapter
needs: ``pha: {colab: [faiss-cpu]}``; its ``quick`` is for the tests alone. The public repository
and its tag are read from _config.yml.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
import yaml
from flatten import LeakError, Page, flatten, leaks
from pybtex.database import parse_file

ROOT = Path(__file__).resolve().parent.parent
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

INSTALL = """\
# On Google Colab: fetch pha_lite. Anywhere else, and the second
# time, this cell does nothing.
import importlib.util
import subprocess
import sys

if "google.colab" in sys.modules:
    wanted = {wanted}
    for module, source in wanted.items():
        if importlib.util.find_spec(module):
            continue
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps"]
        done = subprocess.run(pip + [source], capture_output=True)
        if done.returncode:
            message = done.stderr.decode()[-500:]
            raise SystemExit(
                f"Could not install {{source}}.\\n{{message}}\\n"
                "No network? Check the connection and run this again."
            )
"""


@dataclass(frozen=True)
class Home:
    """Where the book is public: the one setting of _config.yml."""

    url: str
    tag: str

    @property
    def slug(self) -> str:
        return self.url.rstrip("/").split("github.com/")[-1]

    @property
    def blob(self) -> str:
        return f"{self.url.rstrip('/')}/blob/{self.tag}"

    @property
    def raw(self) -> str:
        return f"https://raw.githubusercontent.com/{self.slug}/{self.tag}"

    @property
    def colab(self) -> str:
        return f"https://colab.research.google.com/github/{self.slug}/blob/{self.tag}/book/colab"

    @property
    def install(self) -> str:
        return f"git+{self.url.rstrip('/')}@{self.tag}"


def home() -> Home:
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    return Home(config["repository"]["url"], config["repository"]["branch"])


def sources() -> list[Path]:
    return sorted((ROOT / "book" / "chapters").glob("*.py"))


def colab_only() -> list[Path]:
    """Sources of notebooks that need the hub and so are not run when the book is built."""
    return sorted((ROOT / "book" / "colab_only").glob("*.py"))


def works() -> dict[str, tuple[str, str, str]]:
    """Citation key -> ("Zhao et al. (2023)", "Zhao et al., 2023", address)."""
    found = {}
    for key, entry in parse_file(str(ROOT / "book" / "references.bib")).entries.items():
        names = [" ".join(p.last_names) for p in entry.persons.get("author", [])]
        who = names[0] if names else entry.fields.get("title", key)
        if len(names) == 2:
            who = f"{names[0]} and {names[1]}"
        elif len(names) > 2:
            who = f"{names[0]} et al."
        who, year = who.replace("{", "").replace("}", ""), entry.fields["year"]
        doi = entry.fields.get("doi")
        url = f"https://doi.org/{doi}" if doi else entry.fields.get("url", "")
        found[key] = (f"{who} ({year})", f"{who}, {year}", url)
    return found


def read(path: Path):
    """A source as a notebook without outputs, with cell ids that depend on the order only."""
    notebook = jupytext.reads(path.read_text(encoding="utf-8"), fmt="py:percent")
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": KERNEL,
            "language_info": {"name": "python"},
            "pha": {"colab": notebook.metadata.get("pha", {}).get("colab", [])},
        }
    )
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number:03d}"
    return notebook


def page_notebook(path: Path) -> str:
    return dump(read(path))


def colab_notebook(path: Path, where: Home, cited: dict) -> str:
    notebook = read(path)
    page = Page(f"book/{path.parent.name}", where.blob, where.raw, where.colab, cited)
    counter: dict = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            try:
                cell.source = flatten(cell.source, page, counter)
            except LeakError as leak:
                raise SystemExit(f"{path.name}, {cell.id}: {leak}") from None
            if found := leaks(cell.source):
                raise SystemExit(f"{path.name}, {cell.id}: MyST in the Colab copy: {found}")
    packages = notebook.metadata["pha"].get("colab", [])
    notebook.cells.insert(1, install_cell(where, packages))
    notebook.metadata["colab"] = {"name": path.with_suffix(".ipynb").name, "provenance": []}
    return dump(notebook)


def install_cell(where: Home, packages: list[str]):
    """The first cell of a Colab notebook: fetches pha_lite and what else Colab lacks."""
    sources = {"pha_lite": where.install}
    for package in packages:
        sources[package.removesuffix("-cpu").replace("-", "_")] = package
    wanted = "".join(f'        "{m}": "{s}",\n' for m, s in sources.items())
    source = INSTALL.format(wanted="{\n" + wanted + "    }").rstrip("\n")
    return nbformat.v4.new_code_cell(source, id="install")


def dump(notebook) -> str:
    nbformat.validate(notebook)
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def products() -> dict[Path, str]:
    """Every generated file and what it should hold."""
    where, cited = home(), works()
    made = {}
    for path in sources():
        made[path.with_suffix(".ipynb")] = page_notebook(path)
    for path in (*sources(), *colab_only()):
        made[ROOT / "book" / "colab" / f"{path.stem}.ipynb"] = colab_notebook(path, where, cited)
    return made


def problems() -> list[str]:
    """What `check` complains about, one line each."""
    found, made = [], products()
    for path, wanted in made.items():
        name = path.relative_to(ROOT)
        if not path.is_file():
            found.append(f"{name} is missing")
        elif path.read_text(encoding="utf-8") != wanted:
            found.append(f"{name} differs from its source")
    for folder in ("chapters", "colab"):
        for path in (ROOT / "book" / folder).glob("*.ipynb"):
            if path not in made:
                found.append(f"{path.relative_to(ROOT)} has no source")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=["sync", "check"])
    if parser.parse_args(arguments).command == "sync":
        for path, content in products().items():
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_file() or path.read_text(encoding="utf-8") != content:
                path.write_text(content, encoding="utf-8")
                print(f"wrote {path.relative_to(ROOT)}")
        return 0
    found = problems()
    for line in found:
        print(f"{line}: run `make sync`", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
