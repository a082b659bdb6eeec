"""Kill a training run at random moments, go on each time, and compare the ends bit for bit.

    python tools/kill_test.py --kills 50
    python tools/kill_test.py --kills 3 --output runs/kills.json    # a quick look

A small run on the embedded backbone, with dropout, is trained once in peace. Then it starts anew as
often as asked, each time in a process of its own that gets SIGKILL at a moment drawn evenly from
the time that the first one took. Another process then gives the same call again, and weights, best
weights, optimiser, random states, history and scores must be those of the run in peace. A process
that ends before its moment comes counts for nothing, and another moment is drawn.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import torch
from safetensors.torch import load_file
from tqdm import tqdm

from pha_lite import PHAConfig, PHAModel, load_suite
from pha_lite.checkpoint import load_checkpoint, write_json
from pha_lite.paths import data_dir
from pha_lite.record import run_record
from pha_lite.run import CHECKPOINT, HISTORY
from pha_lite.saving import WEIGHTS
from pha_lite.train import TrainConfig, train

TASKS = ("sentiment/hotel", "time/hotel", "entailment/hotel")
ROWS = 16
SETTINGS = TrainConfig(steps=40, batch_size=8, eval_every=4, eval_limit=4, patience=0)
DROPOUT = 0.1  # so that every step draws random numbers, which a resumed run must draw again
MOST_LATE = 5  # processes that may end before their moment, per kill that counts


def run(folder: Path) -> None:
    """The run: a function of nothing but its folder."""
    torch.set_num_threads(1)
    suite = load_suite()
    tasks = {name: suite[name].sample(ROWS) for name in TASKS}
    model = PHAModel.from_backbone("tiny", PHAConfig.tiny(tasks=list(TASKS), dropout=DROPOUT))
    train(model, tasks, SETTINGS, folder, progress=False)


# A process is forked from a server that has imported all this and computed nothing: importing takes
# longer than the run, and torch's threads do not survive a fork.
SERVER = get_context("forkserver")


def in_a_process(folder: Path, moment: float | None = None) -> bool:
    """Run in another process, which is killed after so many seconds; whether that came in time."""
    process = SERVER.Process(target=run, args=(folder,))
    process.start()
    process.join(moment)
    if process.exitcode is None:
        process.kill()
        process.join()
        return True
    if process.exitcode:
        raise SystemExit(f"the run itself failed ({process.exitcode}); its message is above")
    return False


def differences(one: Path, two: Path) -> list[str]:
    """Files, or tensors of the checkpoint, in which two finished runs differ; times may."""
    first, second = (load_file(folder / CHECKPOINT) for folder in (one, two))
    odd = [f"{CHECKPOINT}: names"] if first.keys() != second.keys() else []
    odd += [n for n in first if n in second and not torch.equal(first[n], second[n])]
    states = [load_checkpoint(folder / CHECKPOINT)[1] for folder in (one, two)]
    odd += [key for key in states[0] if key != "seconds" and states[0][key] != states[1][key]]
    for name in (WEIGHTS, HISTORY):
        if (one / name).read_bytes() != (two / name).read_bytes():
            odd.append(name)
    return odd + [path.name for path in two.glob("*.part")]


def attempt(home: Path, number: int, draw: random.Random, whole: float) -> dict:
    """One kill, and what was found and made of it."""
    for _ in range(1 + MOST_LATE):
        folder = home / f"kill{number}"
        shutil.rmtree(folder, ignore_errors=True)
        moment = draw.uniform(0, whole)
        if in_a_process(folder, moment):
            break
    else:
        raise SystemExit("the run keeps ending before it is killed; is this machine very uneven?")
    checkpoint = folder / CHECKPOINT
    step = len(load_checkpoint(checkpoint)[1]["history"]) if checkpoint.exists() else None
    part = folder.exists() and any(folder.glob("*.part"))
    finished = (folder / "run.json").exists()
    began = time.monotonic()
    in_a_process(folder)
    seconds = time.monotonic() - began
    odd = differences(home / "peace", folder)
    if not odd:  # a difference is worth a look: its folder stays
        shutil.rmtree(folder)
    return {
        "killed_after": round(moment, 3),
        "checkpoint_step": step,
        "half_written_file": part,
        "record_written": finished,
        "seconds_to_the_end": round(seconds, 3),
        "differences": odd,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50, help="default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default %(default)s)")
    parser.add_argument(
        "--output",
        type=Path,
        default=data_dir() / "results" / "kills.json",
        help="the record (default data/results/kills.json)",
    )
    args = parser.parse_args()
    if args.kills < 1:
        parser.error("--kills: at least 1")
    if not hasattr(os, "fork"):
        parser.error("needs fork, as Linux and macOS have it")
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    SERVER.set_forkserver_preload(["pha_lite.train", "transformers.models.t5.modeling_t5"])
    draw, home = random.Random(args.seed), Path(tempfile.mkdtemp(prefix="kills"))
    in_a_process(home / "warm")  # the server imports, so that the next one takes its usual time
    began = time.monotonic()
    in_a_process(home / "peace")
    whole = time.monotonic() - began
    numbers = tqdm(range(args.kills), desc="kills")
    kills = [attempt(home, number, draw, whole) for number in numbers]
    equal = sum(not kill["differences"] for kill in kills)
    record = run_record(
        experiment="kills",
        command=f"python tools/kill_test.py --kills {args.kills} --seed {args.seed}",
        tasks=list(TASKS),
        rows_per_task=ROWS,
        dropout=DROPOUT,
        settings=SETTINGS.to_dict(),
        seed=args.seed,
        seconds_of_the_run=round(whole, 3),
        seconds=round(time.monotonic() - began, 1),
        kills=kills,
        equal=equal,
    )
    write_json(args.output, record)
    print(f"{equal} of {args.kills} runs ended with the same bits")
    if equal < args.kills:
        print(f"the others lie in {home}")
        return 1
    shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
