"""What many tasks and many instances cost: steps, memory, files; and three kinds of index.

    python tools/scale.py
    python tools/scale.py --size tiny --tasks 8,16 --instances 1000 --rounds 2 --queries 20 \
        --scratch runs/quick --output runs/scale.json                      # a quick look

**Tasks.** One random T5 and one batch; PHA as `pha bench` has it, with 8, 64, ... tasks. All of
them do a whole step (forward, loss, backward, AdamW) in every round, once with the same 8 tasks in
the batch whatever their number, and once with as many as there are rows. Peak memory is that of a
step in a process of its own; the file is what `save_pretrained` writes.

**Instances.** Synthetic: unit vectors around random centres, as wide as the embedded retriever's.
Queries are drawn alike. Every index answers them one at a time, round after round, in one thread.

A finished part is kept in `--scratch` and not measured again; remove the folder to start anew.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from statistics import median, quantiles

import faiss
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from pha_lite import PHAConfig, timing
from pha_lite.baselines import build
from pha_lite.bench import Bench, Setting
from pha_lite.checkpoint import check_writable, load_json, write_json
from pha_lite.errors import PHAError
from pha_lite.memory import added_peak
from pha_lite.paths import data_dir
from pha_lite.record import run_record
from pha_lite.retriever import NEIGHBOURS, InstanceIndex
from pha_lite.saving import CONFIG, WEIGHTS

FEW = 8  # tasks in the batch, in the first of the two ways
CENTRES, SPREAD = 500, 0.75  # noise of this length is added to a centre of length 1
EFFORTS = {  # what each index may look at: its knob, and the values tried
    "flat": ("", [0]),
    "ivf": ("nprobe", [1, 4, 16, 64]),
    "hnsw": ("ef_search", [16, 64, 256]),
}


# ---- tasks ---------------------------------------------------------------------------------------


def setting(args: argparse.Namespace) -> Setting:
    return Setting(args.size, args.batch, args.source, args.target)


def new_model(bench: Bench, count: int, method: str = "pha"):
    names = [f"task {i}" for i in range(count)]
    base = PHAConfig.paper(tasks=names, dropout=0.0)
    return build(method, (bench.t5, bench.tokenizer), names, base).train()


def step_of(bench: Bench, model, in_batch: int) -> Callable[[], None]:
    """One training step on the batch, its rows shared among so many tasks."""
    rows = torch.arange(bench.setting.batch) % in_batch
    batch = {**bench.batch, "task_ids": rows}
    weights = [weight for _, weight in model.adapter_parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, fused=True)

    def step() -> None:
        model(batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def mixtures(count: int, batch: int) -> list[int]:
    """Numbers of distinct tasks in the batch that are measured."""
    return sorted({min(count, FEW, batch), min(count, batch)})


def steps(args: argparse.Namespace) -> dict:
    """Name -> times of a step, all in the same rounds."""
    bench, works = Bench(setting(args)), {}
    for count in args.tasks:
        model = new_model(bench, count)
        for mixed in mixtures(count, args.batch):
            works[f"{count} {mixed}"] = step_of(bench, model, mixed)
    taken = timing.interleaved(works, args.rounds)
    return timing.summary(taken, next(iter(works)))


def peak(args: argparse.Namespace, count: int) -> float:
    """MiB that a model of so many tasks and a step of it add to T5 and batch."""
    torch.set_num_threads(1)
    bench = Bench(setting(args))
    mixed = mixtures(count, args.batch)[-1]
    return added_peak(lambda: step_of(bench, new_model(bench, count), mixed)())


def peak_alone(args: argparse.Namespace, count: int) -> dict:
    """The same in a fresh process: memory that another model left behind would hide some."""
    with get_context("spawn").Pool(1) as pool:
        return {"peak_mib": pool.apply(peak, (args, count))}


def sizes(args: argparse.Namespace, count: int) -> dict:
    """Trained numbers, and bytes on disk."""
    bench = Bench(setting(args))
    model, single = new_model(bench, count), new_model(bench, 1, "adapter_per_task")
    own = single.count_parameters()
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        written = {name: (Path(folder) / name).stat().st_size for name in (WEIGHTS, CONFIG)}
    return {
        "parameters": model.count_parameters()["total"],
        "per_additional_task": model.count_parameters()["per_additional_task"],
        "adapter_per_task": own["total"] + (count - 1) * own["per_additional_task"],  # counted
        "weights_bytes": written[WEIGHTS],
        "config_bytes": written[CONFIG],
    }


def tasks_part(args: argparse.Namespace) -> list[dict]:
    """One row for each number of tasks and of tasks in the batch."""
    shape = f"{args.size}-{args.batch}x{args.source}x{args.target}"
    lot = ",".join(map(str, args.tasks))
    times = kept(args, f"steps-{shape}-{args.rounds}-{lot}", lambda: steps(args))
    rows = []
    for count in args.tasks:
        held = kept(args, f"sizes-{args.size}-{count}", lambda c=count: sizes(args, c))
        found = kept(args, f"peak-{shape}-{count}", lambda c=count: peak_alone(args, c))
        for mixed in mixtures(count, args.batch):
            rows.append({"tasks": count, "in_batch": mixed, **times[f"{count} {mixed}"]})
        rows[-1] |= found | held  # memory is that of the most tasks in the batch
    return rows


# ---- instances -----------------------------------------------------------------------------------


def clouds(count: int, width: int, seed: int) -> torch.Tensor:
    """(count, width) unit vectors around CENTRES random ones; the centres do not depend on seed."""
    centres = torch.randn(CENTRES, width, generator=torch.Generator().manual_seed(0))
    draw = torch.Generator().manual_seed(seed)
    owner = torch.randint(CENTRES, (count,), generator=draw)
    noise = torch.randn(count, width, generator=draw) * (SPREAD / width**0.5)
    return F.normalize(F.normalize(centres, dim=1)[owner] + noise, dim=1)


def one_at_a_time(index, knob: str, effort: int, asked: torch.Tensor, log: list[float]):
    """A pass over all queries; the time of each, in microseconds, goes into the log."""
    queries = [query.unsqueeze(0).numpy() for query in asked]

    def answer() -> None:
        turn(index, knob, effort)
        for query in queries:
            began = time.perf_counter_ns()
            index.search(query, NEIGHBOURS)
            log.append((time.perf_counter_ns() - began) / 1000)

    return answer


def turn(index, knob: str, effort: int) -> None:
    if knob == "nprobe":
        index.nprobe = effort
    elif knob == "ef_search":
        index.hnsw.efSearch = effort


def built(vectors: torch.Tensor, kind: str) -> tuple[InstanceIndex, dict]:
    """An index of some instances of one task, and what it took to make, to write and to read."""
    began = time.perf_counter()
    index = InstanceIndex(vectors, ["task"] * len(vectors), kind)
    seconds = time.perf_counter() - began
    tensors, about = index.state()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.safetensors"
        save_file(tensors, path)
        size, began = path.stat().st_size, time.perf_counter()
        InstanceIndex.restore(load_file(path), about)
        loaded = time.perf_counter() - began
    costs = {"build_s": round(seconds, 3), "load_s": round(loaded, 3), "file_bytes": size}
    return index, costs


def search_part(args: argparse.Namespace, count: int) -> list[dict]:
    """One row for each kind of index and each effort, over so many instances."""
    width = PHAConfig.tiny().prototype_dim
    known, asked = clouds(count, width, seed=1), clouds(args.queries, width, seed=2)
    works, logs, rows, truth = {}, {}, {}, None
    for kind, (knob, efforts) in EFFORTS.items():
        index, costs = built(known, kind)
        for effort in efforts:
            if kind == "ivf" and effort > index.index.nlist:
                continue
            name = f"{kind} {effort}" if knob else kind
            turn(index.index, knob, effort)
            found = torch.from_numpy(index.index.search(asked.numpy(), NEIGHBOURS)[1])
            truth = found if truth is None else truth
            logs[name] = []
            works[name] = one_at_a_time(index.index, knob, effort, asked, logs[name])
            rows[name] = {
                "instances": count,
                "kind": kind,
                "effort": {knob: effort} if knob else {},
                "recall_at_1": round((found[:, 0] == truth[:, 0]).float().mean().item(), 4),
                f"recall_at_{NEIGHBOURS}": round(overlap(found, truth), 4),
                **costs,
            }
            if kind == "ivf":
                rows[name]["nlist"] = index.index.nlist
    against = timing.summary(timing.interleaved(works, args.rounds), "flat")
    for name, row in rows.items():
        counted = logs[name][-args.rounds * args.queries :]  # without the round of warming up
        low, _, high = quantiles(counted, n=4, method="inclusive")
        row["median_us"] = round(median(counted), 2)
        row["quartiles_us"] = [round(low, 2), round(high, 2)]
        row |= {key: against[name][key] for key in ("ratio", "ratio_quartiles")}
    return list(rows.values())


def overlap(found: torch.Tensor, truth: torch.Tensor) -> float:
    """Mean share of the true neighbours that were found; -1, nothing found, is no neighbour."""
    return (truth.unsqueeze(2) == found.unsqueeze(1)).any(dim=2).float().mean().item()


# ---- the record ----------------------------------------------------------------------------------


def kept(args: argparse.Namespace, name: str, measure: Callable[[], object]):
    """What a part gave: from its file if there is one, else measured now and written there."""
    path = args.scratch / f"{name}.json"
    if not path.exists():
        print(name, file=sys.stderr)
        write_json(path, measure())
    return load_json(path)


def numbers(text: str) -> list[int]:
    """Whole numbers in rising order: "8,64" or "1e4,1e5"."""
    values = sorted({int(float(part)) for part in text.split(",")})
    if values[0] < 1:
        raise ValueError(text)
    return values


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tasks", type=numbers, default="8,64,512,4096", metavar="N,N")
    parser.add_argument("--instances", type=numbers, default="1e4,1e5,1e6", metavar="N,N")
    parser.add_argument("--size", default="small", help="of T5: tiny, small (default) or base")
    for name, value, what in (
        ("batch", 32, "rows"),
        ("source", 32, "tokens of a source"),
        ("target", 8, "tokens of a target"),
        ("rounds", 7, "rounds that count, at least 2"),
        ("queries", 500, "queries in a round"),
    ):
        about = f"{what} (default %(default)s)"
        parser.add_argument(f"--{name}", type=int, default=value, metavar="N", help=about)
    parser.add_argument("--scratch", type=Path, default=Path("runs/scale"), help="finished parts")
    parser.add_argument(
        "--output",
        type=Path,
        default=data_dir() / "results" / "scale.json",
        help="the record (default data/results/scale.json)",
    )
    args = parser.parse_args()
    if args.queries < 2 or args.rounds < 2:
        parser.error("--queries and --rounds: at least 2")
    try:
        setting(args)
        check_writable(args.output.parent)
        check_writable(args.scratch)
    except PHAError as error:
        parser.error(str(error))
    args.scratch.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    searched = []
    for count in args.instances:
        name = f"search-{count}-{args.queries}-{args.rounds}"
        searched += kept(args, name, lambda c=count: search_part(args, c))
    shape = {name: getattr(args, name) for name in ("size", "batch", "source", "target")}
    rounds = {name: getattr(args, name) for name in ("rounds", "queries")}
    given = {"tasks": args.tasks, "instances": args.instances}
    lots = {name: ",".join(map(str, lot)) for name, lot in given.items()}
    told = {**lots, **shape, **rounds}
    record = run_record(
        experiment="scale",
        command="python tools/scale.py " + " ".join(f"--{k} {v}" for k, v in told.items()),
        settings={**shape, **rounds},
        threads=1,
        tasks=tasks_part(args),
        instances={
            "data": "synthetic: unit vectors around random centres",
            "centres": CENTRES,
            "spread": SPREAD,
            "width": PHAConfig.tiny().prototype_dim,
            "neighbours": NEIGHBOURS,
            "rows": searched,
        },
    )
    write_json(args.output, record)
    print(f"written: {args.output.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
