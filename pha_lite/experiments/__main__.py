"""Run a recorded experiment, or go on with it; see the module `pha_lite.experiments`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pha_lite.errors import PHAError, unknown
from pha_lite.paths import data_dir

from .grids import EXPERIMENTS
from .runner import Runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m pha_lite.experiments`."""
    parser.add_argument("name", help=", ".join(EXPERIMENTS))
    parser.add_argument("--workers", type=int, default=2, help="processes with one thread each")
    parser.add_argument("--scratch", default="runs/experiments", help="folder of finished cells")
    parser.add_argument("--results", default=None, help="folder of the record (data/results)")


def main(args: argparse.Namespace) -> None:
    """Run one experiment; raises PHAError for a name that is none."""
    if args.name not in EXPERIMENTS:
        raise PHAError(unknown("experiment", args.name, EXPERIMENTS))
    results = Path(args.results) if args.results else data_dir() / "results"
    runner = Runner(args.name, args.workers, Path(args.scratch), results)
    print(f"written: {EXPERIMENTS[args.name](runner)}")


if __name__ == "__main__":
    options = argparse.ArgumentParser("python -m pha_lite.experiments", description=__doc__)
    add_arguments(options)
    try:
        main(options.parse_args())
    except PHAError as error:
        sys.exit(f"error: {error}")
