"""Run a part of the tests on the oldest and on the newest libraries that pha_lite says it supports.

    python tools/matrix.py                                # both cells
    python tools/matrix.py oldest --pin torch==2.13.0     # one cell, with another torch
    python tools/matrix.py newest --keep                  # its environment stays, for a second look

A cell is an environment of its own under build/matrix. "oldest" installs the lower bound of every
dependency in pyproject.toml, "newest" whatever pip finds newest. Of torch pip may choose a build
for GPUs, which is several gigabytes; --pin torch==VERSION chooses another one. What was installed,
how many tests passed and which failed goes to data/results/matrix.json, cell by cell.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from pha_lite.checkpoint import load_json, write_json
from pha_lite.paths import data_dir
from pha_lite.record import run_record

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / "build" / "matrix"
CELLS = ("oldest", "newest")
# what touches other libraries: models, training, files, data, processes
TESTS = (
    "adapter backbone baselines distributed hypernet loaders losses model robustness routing "
    "saving tasks train"
).split()
TOOLS = ("pytest", "hypothesis")


def requirements(cell: str, pins: list[str]) -> list[str]:
    """What pip is asked for, a pin in place of the bound of the same package.

    >>> requirements("oldest", ["torch==2.13.0"])[:2]
    ['torch==2.13.0', 'transformers==5.10.*']
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    given = {re.split("[=<>~!]", pin)[0].lower(): pin for pin in pins}
    wanted = []
    extras = project["optional-dependencies"]["dev"]
    lora = [bound for bound in extras if bound.startswith("peft")]  # a baseline that borrows it
    for bound in project["dependencies"] + lora:
        name, _, version = bound.partition(">=")
        asked = f"{name}=={version}.*" if cell == "oldest" else name
        wanted.append(given.pop(name.lower(), asked))
    return [*wanted, *given.values()]


def install(python: Path, wanted: list[str]) -> str | None:
    """Make the environment; None, or why it cannot be made."""
    home = python.parent.parent
    subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
    command = [python, "-m", "pip", "install", "--quiet", *wanted, *TOOLS]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return None
    told = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    return re.sub(r"\w+://\S+", "...", " ".join(told))[:1000] or "pip failed without a word"


def test(python: Path) -> dict:
    """Counts of the tests in a cell, and the names of those that failed."""
    where = {**os.environ, "PYTHONPATH": str(ROOT), "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        files = [f"tests/test_{name}.py" for name in TESTS]
        command = [python, "-m", "pytest", "-q", *files, f"--junitxml={report}"]
        began = time.monotonic()
        done = subprocess.run(command, cwd=ROOT, env=where, capture_output=True, text=True)
        seconds = round(time.monotonic() - began, 1)
        if not report.exists():
            return {"error": done.stdout[-1000:] + done.stderr[-1000:]}
        cases = list(ElementTree.parse(report).iter("testcase"))
    bad = [
        case for case in cases if case.find("failure") is not None or case.find("error") is not None
    ]
    skipped = sum(case.find("skipped") is not None for case in cases)
    return {
        "passed": len(cases) - len(bad) - skipped,
        "skipped": skipped,
        "failed": sorted(f"{case.get('classname')}::{case.get('name')}" for case in bad),
        "seconds": seconds,
    }


def versions(python: Path) -> dict:
    script = "import json; from pha_lite.record import versions; print(json.dumps(versions()))"
    where = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([python, "-c", script], env=where, capture_output=True, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else {"error": done.stderr[-500:]}


def run(cell: str, pins: list[str]) -> dict:
    wanted = requirements(cell, pins)
    command = " ".join(["python tools/matrix.py", cell, *(f"--pin {pin}" for pin in pins)])
    about = run_record(command=command, asked=wanted)
    about.pop("versions")  # of this interpreter, not of the cell's
    python = HOME / cell / "bin" / "python"
    print(f"{cell}: installing ...", flush=True)
    if reason := install(python, wanted):
        return {**about, "installed": False, "reason": reason}
    print(f"{cell}: testing ...", flush=True)
    return {**about, "installed": True, "versions": versions(python), **test(python)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cells", nargs="*", metavar="CELL", help=f"of {', '.join(CELLS)}; all")
    parser.add_argument("--pin", action="append", default=[], metavar="NAME==VERSION")
    parser.add_argument("--keep", action="store_true", help="keep the environments")
    parser.add_argument(
        "--output",
        type=Path,
        default=data_dir() / "results" / "matrix.json",
        help="the record (default data/results/matrix.json); other cells in it stay",
    )
    args = parser.parse_args()
    if odd := sorted(set(args.cells) - set(CELLS)):
        parser.error(f"unknown cell {odd[0]}: choose of {', '.join(CELLS)}")
    command = "python tools/matrix.py"  # of both cells; each also notes its own
    record = run_record(experiment="matrix", command=command, tests=TESTS, cells={})
    if args.output.exists():
        record["cells"] = load_json(args.output)["cells"]
    good = True
    for cell in args.cells or CELLS:
        found = record["cells"][cell] = run(cell, args.pin)
        write_json(args.output, record)
        good &= found["installed"] and not found.get("failed", ["no report"])
        if not args.keep:
            shutil.rmtree(HOME / cell)
        shown = {name: found[name] for name in ("reason", "passed", "failed") if name in found}
        print(f"{cell}: {json.dumps(shown)}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
