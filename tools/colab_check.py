"""Run every Colab notebook in a stand-in for Colab, as a reader there would.

    python tools/colab_check.py [NAME ...]

Makes an environment of Colab's versions (tools/colab-requirements.txt) in .venv-colab, builds the
wheel, and runs the notebooks of book/colab in it from an empty folder. Their first cell does what
it does on Colab, with the wheel in place of the public repository: it installs pha_lite, and
faiss-cpu where the page needs it, and nothing that was there changes. Then it runs a second time.
Assignments run with their answers filled in, and every public check must pass.
A notebook that needs the hub (book/colab_only) runs only when it is named.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import assignments

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-colab"
PYTHON = VENV / "bin" / "python"
WANTED = ROOT / "tools" / "colab-requirements.txt"

# Runs inside the stand-in: one notebook, its cells in order, the first of them twice.
RUNNER = """
import re, sys, nbformat
from nbclient import NotebookClient
path, wheel = sys.argv[1:]
book = nbformat.read(path, 4)
install = next(c for c in book.cells if c.cell_type == "code")
install.source, count = re.subn(r"git\\+https://[^\\"]+", wheel, install.source)
assert count == 1, "the first cell installs nothing from the repository"
first = ["import google.colab", install.source]
last = ["assert all(one.passed for one in grader.check_all())"] if "otter" in book.metadata else []
book.cells[:0] = [nbformat.v4.new_code_cell(text) for text in first]
book.cells += [nbformat.v4.new_code_cell(text) for text in last]
NotebookClient(book, timeout=1200, kernel_name="python3").execute()
"""


def pip(*words: str) -> str:
    done = subprocess.run([PYTHON, "-m", "pip", *words], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"pip {' '.join(words)}:\n{done.stderr[-2000:]}")
    return done.stdout


def prepare() -> None:
    """The environment; made again when the list of versions has changed."""
    stamp = VENV / "made"
    if not stamp.exists() or stamp.read_text() != WANTED.read_text():
        print(f"making {VENV.name} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        pip("install", "-q", "-r", str(WANTED))
        # what notebooks and libraries look for to know that they are on Colab
        (site,) = VENV.glob("lib/python*/site-packages")
        (site / "google" / "colab").mkdir(parents=True)
        (site / "google" / "colab" / "__init__.py").touch()
        stamp.write_text(WANTED.read_text())
    pip("uninstall", "-q", "-y", "pha-lite", "faiss-cpu")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "names", nargs="*", help="such as adapters; when not given, all that need no hub"
    )
    names = parser.parse_args().names
    notebooks = {path.stem: path.read_text() for path in (ROOT / "book" / "colab").rglob("*.ipynb")}
    notebooks |= {path.stem: assignments.build(path).solution for path in assignments.sources()}
    if unknown := set(names) - set(notebooks):
        sys.exit(f"no such notebook: {', '.join(sorted(unknown))}")
    hub = {path.stem for path in (ROOT / "book" / "colab_only").glob("*.py")}
    names = names or sorted(set(notebooks) - hub)
    prepare()
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        pip("wheel", "-q", "--no-deps", "--no-build-isolation", "-w", folder, str(ROOT))
        (wheel,) = Path(folder).glob("*.whl")
        for name in names:
            before, began = pip("freeze"), time.monotonic()
            path, empty = Path(folder) / f"{name}.ipynb", Path(folder) / name
            path.write_text(notebooks[name])
            empty.mkdir()
            run = [PYTHON, "-c", RUNNER, str(path), str(wheel)]
            done = subprocess.run(run, cwd=empty, capture_output=True, text=True)
            added = changes(before, pip("freeze"))
            ok = done.returncode == 0 and added <= {"pha-lite", "faiss-cpu"}
            print(f"{name}: {'ok' if ok else 'FAILED'}, {time.monotonic() - began:.0f} s")
            if not ok:
                failed.append(name)
                plain = re.sub(r"\x1b\[[0-9;]*m", "", done.stderr)
                print(plain[-2000:], f"changed packages: {sorted(added)}", sep="\n")
            pip("uninstall", "-q", "-y", "pha-lite", "faiss-cpu")
    return 1 if failed else 0


def changes(before: str, after: str) -> set[str]:
    """Names of packages that came, went or changed between two lists of pip."""
    lines = set(before.splitlines()) ^ set(after.splitlines())
    return {re.split(r"==| @ ", line)[0].lower().replace("_", "-") for line in lines}


if __name__ == "__main__":
    sys.exit(main())
