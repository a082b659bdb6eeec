"""Running cells: each once, several at a time, and a record of what they gave."""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from pha_lite.record import commit, machine, run_record

from .setting import (
    BATCH,
    GRID,
    SEEDS,
    STEPS,
    TEST_ROWS,
    TUNING_SEEDS,
    VALID_ROWS,
    Cell,
    keep_models,
)


def _key(cell: Cell) -> str:
    return json.dumps(cell, sort_keys=True)


def _start(models: Path) -> None:
    """Prepare a worker process."""
    import torch

    keep_models(models)
    torch.set_num_threads(1)


def _work(cell: Cell) -> tuple[str, dict]:
    from .cells import CELLS  # here: modules of cells import this one for their grids

    began = time.perf_counter()
    found = CELLS[cell["cell"]](**{k: v for k, v in cell.items() if k != "cell"})
    return _key(cell), found | {"seconds": round(time.perf_counter() - began, 1)}


def _run(cells: list[Cell], workers: int, models: Path) -> Iterator[tuple[str, dict]]:
    """Key and result of every cell, as soon as it is done."""
    if not workers:
        keep_models(models)
        yield from map(_work, cells)
        return
    if not cells:
        return
    # Spawned, one thread each: forked torch threads hang, and two threads on a busy core crawl.
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn = {"mp_context": get_context("spawn"), "initializer": _start}
    with ProcessPoolExecutor(workers, **spawn, initargs=(models,)) as pool:
        for job in as_completed([pool.submit(_work, cell) for cell in cells]):
            yield job.result()


def run_cells(name: str, cells: list[Cell], workers: int, scratch: Path) -> dict[str, dict]:
    """Run the cells that are not in the scratch file yet; results by cell, with commit and machine.

    Each finished cell is one line of `scratch/name.jsonl`, written at once, so that a killed run
    loses at most the cells that were under way.

    Args:
        workers: processes, each with one thread; 0 runs one cell after the other in this process,
            with all its threads or its GPU.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{name}.jsonl"
    known: dict[str, dict] = {}
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines():
        try:
            key, found = json.loads(line)
        except ValueError:  # a line cut off by a kill
            continue
        known[key] = found
    left = [cell for cell in cells if _key(cell) not in known]
    # before any of them: a change made meanwhile is not what they ran
    ran = {"commit": commit(), "machine": machine()}
    with open(path, "a") as log:
        if text and not text.endswith("\n"):  # or the next line would be lost with the last
            log.write("\n")
        results = _run(left, workers, scratch / "models")
        for key, found in tqdm(results, total=len(left), desc=name, disable=not (left and workers)):
            known[key] = found = found | ran
            log.write(json.dumps([key, found]) + "\n")
            log.flush()
    return {_key(cell): known[_key(cell)] for cell in cells}


class Runner:
    """Runs stages of cells and writes the experiment's record.

    Args:
        name: of the experiment.
        workers: processes, each with one thread.
        scratch: folder of finished cells.
        results: folder of the record.
        most: at most so many of the seeds that an experiment reports; None for all. Tuning is not
            touched by it.
    """

    def __init__(
        self, name: str, workers: int, scratch: Path, results: Path, most: int | None = None
    ) -> None:
        self.name, self.workers, self.scratch, self.results = name, workers, scratch, results
        self.most = most
        self.seconds = 0.0
        self.commit = commit()  # of the start: a record written on the way is no change of the code
        # Finished cells of an earlier run keep their own commit and machine.
        self.cells_at: set[str] = set()
        self.cells_on: set[str] = set()

    def __call__(self, cells: list[Cell]) -> list[tuple[Cell, dict]]:
        found = run_cells(self.name, cells, self.workers, self.scratch)
        done = [dict(found[_key(cell)]) for cell in cells]
        self.seconds += sum(got["seconds"] for got in done)
        self.cells_at |= {got.pop("commit", None) or "not known" for got in done}
        self.cells_on |= {got.pop("machine", None) or "a machine not known" for got in done}
        return list(zip(cells, done, strict=True))

    def seeds(self, planned: Sequence[int] = SEEDS) -> tuple[int, ...]:
        """The seeds to report: those planned, or as many of them as were asked for.

        A long experiment runs and writes seed by seed: cut short, it has all methods on some.
        """
        return tuple(planned[: self.most])

    def write(self, **facts) -> Path:
        """Write `results/name.json`: the facts, and what is needed to repeat or doubt them."""
        self.results.mkdir(parents=True, exist_ok=True)
        path = self.results / f"{self.name}.json"
        command = f"python -m pha_lite.experiments {self.name}"
        command += f" --seeds {self.most}" if self.most else ""
        record = run_record(
            experiment=self.name,
            command=command,
            cpu_seconds=round(self.seconds),
            threads_per_cell=1,
            **facts,
        )
        record |= {"commit": self.commit, "cells_at": sorted(self.cells_at)}
        record["machine"] = " and ".join(sorted(self.cells_on)) or record["machine"]
        path.write_text(json.dumps(record, indent=1) + "\n")
        return path


def best_rate(found: list[tuple[Cell, dict]], *by: str) -> dict[tuple, float]:
    """The learning rate with the highest mean validation score, for each value of `by`."""
    scores: dict[tuple, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell, got in found:
        scores[tuple(cell[k] for k in by)][cell["lr"]].append(got["validation"]["all"])
    return {
        key: max(rates, key=lambda lr: sum(rates[lr]) / len(rates[lr]))
        for key, rates in scores.items()
    }


def tuning_curve(found: list[tuple[Cell, dict]], *by: str) -> list[dict]:
    """Validation scores of all tuning cells, to be kept beside what they chose."""
    return [{k: cell[k] for k in (*by, "lr", "seed")} | got["validation"] for cell, got in found]


def common_settings() -> dict:
    return {
        "steps": STEPS,
        "batch_size": BATCH,
        "learning_rates": GRID,
        "validation_rows_per_task": VALID_ROWS,
        "test_rows_per_task": TEST_ROWS,
        "seeds": SEEDS,
        "tuning_seeds": TUNING_SEEDS,
    }
