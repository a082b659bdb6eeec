"""Run a recorded experiment, or go on with it; see the module `pha_lite.experiments`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pha_lite.errors import PHAError, unknown
from pha_lite.paths import data_dir

from . import real
from .grids import EXPERIMENTS
from .runner import Runner

ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m pha_lite.experiments`."""
    parser.add_argument("name", help=f"{ALL}, or one of {', '.join(EXPERIMENTS)}")
    parser.add_argument(
        "--seeds",
        type=int,
        default=None,
        help="at most so many seeds (tuning stays whole): a shorter rerun, with wider intervals",
    )
    parser.add_argument("--workers", type=int, default=2, help="processes with one thread each")
    parser.add_argument("--scratch", default="runs/experiments", help="folder of finished cells")
    parser.add_argument("--results", default=None, help="folder of the record (data/results)")


def main(args: argparse.Namespace) -> None:
    """Run one experiment or all; raises PHAError for a name that is none."""
    if args.name not in (ALL, *EXPERIMENTS):
        raise PHAError(unknown("experiment", args.name, (ALL, *EXPERIMENTS)))
    if args.seeds is not None and args.seeds < 1:
        raise PHAError(f"--seeds {args.seeds}: give at least 1, or leave it out for all.")
    results = Path(args.results) if args.results else data_dir() / "results"
    names = EXPERIMENTS if args.name == ALL else [args.name]
    if args.name == ALL:
        real.folder()  # where real data are missing, say so now, and not after hours
    for name in names:
        runner = Runner(name, args.workers, Path(args.scratch), results, args.seeds)
        print(f"written: {EXPERIMENTS[name](runner)}")


if __name__ == "__main__":
    options = argparse.ArgumentParser("python -m pha_lite.experiments", description=__doc__)
    add_arguments(options)
    try:
        main(options.parse_args())
    except PHAError as error:
        sys.exit(f"error: {error}")
