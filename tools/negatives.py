"""What it changes when processes do not share their negatives (`gather_negatives=False`).

    python tools/negatives.py
    python tools/negatives.py --steps 20 --seeds 1 --output runs/negatives.json   # a quick look

With P processes that keep to their own rows, the instance loss is the mean of the losses of P parts
of the batch. One process can compute that as well, so this needs no launcher: it replaces the
instance loss by that mean. Two measurements: the loss and its gradient on the same batches, in a
fresh and in a trained model; and whole trainings on the suite, scored on validation rows.
"""

from __future__ import annotations

import argparse
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm import tqdm

from pha_lite import PHAConfig, PHAModel, core, load_suite
from pha_lite.batching import collate, encode
from pha_lite.checkpoint import write_json
from pha_lite.losses import instance_loss
from pha_lite.paths import data_dir
from pha_lite.record import run_record
from pha_lite.sampling import TaskSampler
from pha_lite.train import TrainConfig, train

PARTS = (1, 2, 4, 8)
BATCH, ROWS, BATCHES = 48, 50, 16
SCRATCH = Path("runs/negatives")  # what is finished is not trained again


def in_parts(parts: int):
    """The instance loss of so many processes without gathering."""

    def loss(z, tasks, temperature):
        shares = [instance_loss(z[r::parts], tasks[r::parts], temperature) for r in range(parts)]
        return sum(shares) / parts

    return loss


@contextmanager
def processes(parts: int):
    core.instance_loss = in_parts(parts)
    try:
        yield
    finally:
        core.instance_loss = instance_loss


def suite_tasks() -> dict:
    suite = load_suite()
    return {name: suite[name].sample(ROWS, seed=0, balanced=True) for name in suite.train_tasks}


def new_model(tasks: dict, seed: int) -> PHAModel:
    return PHAModel.from_backbone("tiny", PHAConfig.tiny(tasks=list(tasks), seed=seed))


def gradients(model: PHAModel, tasks: dict) -> list[dict]:
    """Per number of parts: mean loss, cosine and relative length of the retriever's gradient
    against those of the whole batch, and the share of rows without a partner of their task."""
    rows = [encode(model, task["train"]) for task in tasks.values()]
    ids = [model.config.tasks.index(name) for name in tasks]
    sampler = TaskSampler([len(r) for r in rows], BATCH)
    sums = {parts: {"loss": 0.0, "cosine": 0.0, "length": 0.0, "lonely": 0.0} for parts in PARTS}
    weights = list(model.trained.retriever.parameters())
    for _ in tqdm(range(BATCHES), desc="gradients", leave=False):
        drawn = next(sampler)
        batch = collate(model, [rows[t][r] for t, r in drawn], [ids[t] for t, _ in drawn])
        found = {}
        for parts in PARTS:
            with processes(parts):
                loss = model(batch).ir_loss
            grads = torch.autograd.grad(loss, weights)
            found[parts] = torch.cat([grad.flatten() for grad in grads])
            whole, of = found[1], sums[parts]
            of["loss"] += loss.item() / BATCHES
            of["cosine"] += F.cosine_similarity(found[parts], whole, dim=0).item() / BATCHES
            of["length"] += (found[parts].norm() / whole.norm()).item() / BATCHES
            of["lonely"] += lonely(batch["task_ids"], parts) / BATCHES
    return [{"processes": parts, **values} for parts, values in sums.items()]


def lonely(tasks: torch.Tensor, parts: int) -> float:
    """Share of the rows that have no other row of their task in their part."""
    alone = 0
    for rank in range(parts):
        share = tasks[rank::parts]
        alone += int(((share[:, None] == share).sum(dim=1) == 1).sum())
    return alone / len(tasks)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=400, help="of a training, default %(default)s")
    parser.add_argument("--seeds", type=int, default=3, help="default %(default)s")
    parser.add_argument(
        "--output",
        type=Path,
        default=data_dir() / "results" / "negatives.json",
        help="the record (default data/results/negatives.json)",
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    began, tasks = time.process_time(), suite_tasks()
    trained = PHAModel.from_pretrained(data_dir() / "pha" / "tiny")
    known = {name: tasks[name] for name in tasks if name in trained.config.tasks}
    measured = {
        "fresh": gradients(new_model(tasks, 0), tasks),
        "trained": gradients(trained, known),
    }
    runs = []
    for seed in tqdm(range(args.seeds), desc="seeds"):
        for parts in PARTS:
            model = new_model(tasks, seed)
            settings = {"batch_size": BATCH, "lr": 3e-3, "eval_limit": 30, "seed": seed}
            config = TrainConfig(steps=args.steps, eval_every=args.steps, **settings)
            folder = SCRATCH / f"{args.steps}-steps-seed{seed}-{parts}-processes"
            with processes(parts):
                best = train(model, tasks, config, folder, progress=False).best
            runs.append({"processes": parts, "seed": seed, "validation": best["mean"]})
    record = run_record(
        experiment="negatives",
        command=f"python tools/negatives.py --steps {args.steps} --seeds {args.seeds}",
        settings={**config.to_dict(), "rows_per_task": ROWS, "batches": BATCHES},
        seeds=list(range(args.seeds)),
        cpu_seconds=round(time.process_time() - began, 1),
        gradients=measured,
        runs=runs,
    )
    write_json(args.output, record)
    print(f"written: {args.output.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
