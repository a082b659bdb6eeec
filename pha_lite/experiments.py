"""The recorded experiments: small cells that can be killed and go on, one JSON file for each.

`python -m pha_lite.experiments low_data` runs every cell of an experiment that has not been run yet
(finished cells are kept in `runs/experiments/`), and writes `data/results/low_data.json` with the
command, commit, seeds, machine, duration and the value of every seed. The rule of tuning is the
same for all methods: the same grid of learning rates, the same budget, and the highest mean
validation score of a tuning seed that no reported figure uses. Test rows are read once, at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from tqdm import tqdm

from pha_lite.errors import PHAError, unknown
from pha_lite.paths import data_dir

Cell = dict[str, object]

STEPS, BATCH, EVALS, VALID_ROWS, TEST_ROWS = 1000, 48, 4, 30, 100
GRID = (1e-3, 3e-3, 1e-2)
SEEDS, TUNING_SEEDS = (0, 1, 2, 3, 4), (100,)

# What of PHA's form is tried for `PHAConfig.tiny()`, by validation alone.
_PLAIN = {"label_smoothing": 0.0}
_APART = _PLAIN | {"contrast_to_encoder": False}
VARIANTS: dict[str, dict] = {
    "released": {},
    "no smoothing": _PLAIN,
    "no smoothing, weights 0.01": _PLAIN | {"instance_weight": 0.01, "prototype_weight": 0.01},
    "detached": _APART,
    "detached, std 0.1": _APART | {"prototype_std": 0.1},
    "detached, standard loss": _APART | {"prototype_loss": "standard"},
    "detached, both generated": _APART | {"encoder": "generated"},
}
# Sizes are those of tiny(); what a variant does not name is as in the release.
RELEASED_FORM = {
    "prototype_std": 1.0,
    "instance_weight": 0.1,
    "prototype_weight": 0.1,
    "prototype_loss": "released",
    "contrast_to_encoder": True,
    "label_smoothing": 0.1,
    "encoder": "shared",
    "decoder": "generated",
}
METHODS = ("pha", "task_embedding", "adapter_per_task", "shared_adapter")


# --- what the cells share, kept per process -------------------------------------------------------


@cache
def _suite(seed: int = 0):
    from pha_lite.suite import load_suite

    return load_suite(seed=seed)


@cache
def _backbone(kind: str):
    """The embedded backbone ("tiny"), or the same T5 with random weights ("random")."""
    from pha_lite.backbone import load_backbone
    from pha_lite.pretrain import Recipe, new_backbone

    t5, tokenizer = load_backbone("tiny")
    if kind == "random":
        t5 = new_backbone(Recipe(seed=1), t5.config.vocab_size)
    return t5.eval(), tokenizer


def _config(method: str, tasks: list[str], seed: int):
    from pha_lite.config import PHAConfig

    if method.startswith("variant: "):
        form = {**RELEASED_FORM, **VARIANTS[method.removeprefix("variant: ")]}
        return PHAConfig.tiny(tasks=tasks, seed=seed, **form)
    return PHAConfig.baseline(method, tasks=tasks, seed=seed)


_models: Path | None = (
    None  # where a worker keeps trained models; cells of equal training share one
)


def trained(method, n, lr, seed, backbone="tiny", suite_seed=0):
    """A model trained on n rows of every training task, and its validation scores."""
    from pha_lite.model import PHAModel
    from pha_lite.train import TrainConfig, train

    suite = _suite(suite_seed)
    tasks = {name: suite[name].sample(n, seed=seed, balanced=True) for name in suite.train_tasks}
    model = PHAModel.from_backbone(_backbone(backbone), _config(method, list(tasks), seed))
    settings = TrainConfig(
        steps=STEPS,
        batch_size=BATCH,
        lr=lr,
        eval_every=STEPS // EVALS,
        eval_limit=VALID_ROWS,
        seed=seed,
    )
    key = "_".join(map(str, (method, n, lr, seed, backbone, suite_seed)))
    folder = _models / re.sub(r"[^\w.-]+", "-", key) if _models else None
    result = train(model, tasks, settings, folder, progress=False)
    return model, suite, tasks, result.best["scores"]


def _halves(suite, scores: dict[str, float]) -> dict[str, float]:
    """Mean score of each half of the grid, and of all."""
    mean = {
        half: sum(scores[n] for n in suite.half(half)) / len(suite.half(half))
        for half in ("related", "conflicting")
    }
    return mean | {"all": sum(scores.values()) / len(scores)}


# --- cells ---------------------------------------------------------------------------------------


def low_data_cell(
    method: str,
    n: int,
    lr: float,
    seed: int,
    test: bool,
    backbone: str = "tiny",
    suite_seed: int = 0,
) -> dict:
    """Multi-task training on n rows per task: validation, or test scores and the swap test."""
    from pha_lite.fewshot import swap_test
    from pha_lite.train import evaluate_tasks

    model, suite, tasks, validation = trained(method, n, lr, seed, backbone, suite_seed)
    if not test:
        return {"validation": _halves(suite, validation)}
    scores = evaluate_tasks(model, tasks, "test", TEST_ROWS)
    found = {"test": _halves(suite, scores), "tasks": scores}
    if method != "shared_adapter":
        rule = {name: suite.rivals(name) for name in suite.half("conflicting")}
        pairs = [(name, rivals[0]) for name, rivals in rule.items()]
        drops = swap_test(model, tasks, pairs, limit=TEST_ROWS)
        found["swap"] = sum(drops.values()) / len(drops)
    return found


SOURCE_N = 100
FEW_K, FEW_GRID, FEW_STEPS, FEW_ROWS = (4, 16, 32), (1e-2, 3e-2, 1e-1, 3e-1), 20, 100
FEW_STARTS = ("retrieved", "loss", "oracle", "mean", "random", "wrong", "fresh", "fresh_adapter")


def _new_cells(suite) -> list[str]:
    """Held-out tasks whose rule was trained on other surfaces."""
    return [n for n in suite.held_out if not suite.cell(n).new_rule]


def few_shot_cell(seed: int, rates: dict[str, list[float]], source_lr: float, test: bool) -> dict:
    """Every start on new cells with k examples, from one source model.

    One source model meets one held-out surface: even seeds the first, odd seeds the second. When
    tuning, the query rows are those of the validation split, and k is 16.

    Args:
        rates: start -> the learning rates to tune the prototype with.
    """
    from dataclasses import replace

    from pha_lite.fewshot import adapt

    model, suite, _, validation = trained("pha", SOURCE_N, source_lr, seed)
    rows = []
    for name, k in product(_new_cells(suite)[seed % 2 :: 2], FEW_K if test else (16,)):
        task = suite[name]
        if not test:
            task = replace(task, splits={**task.splits, "test": task["validation"]})
        relatives, rivals = suite.relatives(name), suite.rivals(name)
        if not rivals:  # no other rule reads such input: a task of another rule
            rivals = [t for t in suite.half("related") if t not in relatives]
        for start, lr in [(s, rate) for s in FEW_STARTS for rate in rates[s]]:
            found = adapt(
                model,
                task,
                k,
                start=start,
                tune="prototype",
                steps=FEW_STEPS,
                lr=lr,
                seed=seed,
                oracle=relatives[seed % len(relatives)],
                wrong=rivals[seed % len(rivals)],
                limit=FEW_ROWS,
            )
            kept = {
                key: getattr(found, key) for key in ("start", "lr", "source", "before", "after")
            }
            rows.append({"task": name, "k": k, **kept})
    looks = _retrieval(model, suite, seed) if test else []
    return {"source_validation": validation, "rows": rows, "retrieval": looks}


def _retrieval(model, suite, seed: int) -> list[dict]:
    """Whether k inputs of each held-out task find a training task of the right rule, or kind."""
    from pha_lite.fewshot import episode
    from pha_lite.suite import RULES

    rows = []
    for name, k, draw in product(suite.held_out, FEW_K, range(5)):
        texts = list(episode(suite[name], k, seed=10 * seed + draw)["train"]["source"])
        found, _ = model.retrieve(texts, k=1)[0]
        mine, other = suite.cell(name), suite.cell(found)
        same_kind = RULES[mine.rule].kind is RULES[other.rule].kind
        rows.append(
            {
                "task": name,
                "k": k,
                "found": found,
                "rule": mine.rule == other.rule,
                "kind": same_kind,
            }
        )
    return rows


def bag_of_words_cell(task: str) -> dict:
    """Logistic regression on word counts, trained on the task's whole training split."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    found = _suite()[task]
    model = make_pipeline(
        CountVectorizer(token_pattern=r"[^\s]+"), LogisticRegression(max_iter=1000)
    )
    model.fit(list(found["train"]["source"]), list(found["train"]["target"]))
    return {"test": model.score(list(found["test"]["source"]), list(found["test"]["target"]))}


CEILING_ROWS, CEILING_STEPS, CEILING_LR = 3000, 500, 1e-3


def ceiling_cell(rule: str, lr: float, seed: int, test: bool) -> dict:
    """Full fine-tuning of the backbone on one rule, with 3000 rows of each of its surfaces."""
    import copy

    import torch

    from pha_lite.suite import SURFACES_OF_SUITE, load_suite

    suite = load_suite(sizes={"train": CEILING_ROWS})
    names = [f"{rule}/{surface}" for surface in SURFACES_OF_SUITE]
    t5, tokenizer = _backbone("tiny")
    t5 = copy.deepcopy(t5).requires_grad_(True).train()
    rows = [(s, t) for n in names for s, t in zip(*_columns(suite[n], "train"), strict=True)]
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.AdamW(t5.parameters(), lr=lr, fused=True)
    for step in range(CEILING_STEPS):
        for group in optimiser.param_groups:
            group["lr"] = lr * min(1.0, (step + 1) / 50) * (1 - step / CEILING_STEPS)
        drawn = [rows[i] for i in torch.randint(len(rows), (BATCH,), generator=generator)]
        source = tokenizer([s for s, _ in drawn], padding=True, return_tensors="pt")
        target = tokenizer([t for _, t in drawn], padding=True, return_tensors="pt")
        labels = target.input_ids.masked_fill(target.attention_mask == 0, -100)
        out = t5(input_ids=source.input_ids, attention_mask=source.attention_mask, labels=labels)
        out.loss.backward()
        torch.nn.utils.clip_grad_norm_(t5.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
    t5.eval()
    return {"scores": {n: _plain_accuracy(t5, tokenizer, suite[n], test) for n in names}}


def _columns(task, split: str):
    return list(task[split]["source"]), list(task[split]["target"])


def _plain_accuracy(t5, tokenizer, task, test: bool) -> float:
    """Accuracy of a bare T5 that ranks a task's label words by their first piece."""
    import torch

    firsts = [tokenizer(word).input_ids[0] for word in task.labels]
    sources, targets = _columns(task, "test" if test else "validation")
    hits = 0
    for at in range(0, len(sources), 200):
        batch = tokenizer(sources[at : at + 200], padding=True, return_tensors="pt")
        start = torch.full((len(batch.input_ids), 1), t5.config.decoder_start_token_id)
        with torch.no_grad():
            logits = t5(
                input_ids=batch.input_ids,
                attention_mask=batch.attention_mask,
                decoder_input_ids=start,
            ).logits[:, 0, firsts]
        words = [task.labels[i] for i in logits.argmax(-1)]
        hits += sum(w == t for w, t in zip(words, targets[at : at + 200], strict=True))
    return hits / len(sources)


CELLS: dict[str, Callable[..., dict]] = {
    "low_data": low_data_cell,
    "few_shot": few_shot_cell,
    "bag_of_words": bag_of_words_cell,
    "ceiling": ceiling_cell,
}


# --- running cells -------------------------------------------------------------------------------


def _key(cell: Cell) -> str:
    return json.dumps(cell, sort_keys=True)


def _start(models: Path) -> None:
    """Prepare a worker process."""
    import torch

    global _models
    _models = models
    torch.set_num_threads(1)


def _work(cell: Cell) -> tuple[str, dict]:
    began = time.perf_counter()
    found = CELLS[cell["cell"]](**{k: v for k, v in cell.items() if k != "cell"})
    return _key(cell), found | {"seconds": round(time.perf_counter() - began, 1)}


def run_cells(name: str, cells: list[Cell], workers: int, scratch: Path) -> dict[str, dict]:
    """Run the cells that are not in the scratch file yet; results by cell.

    Each finished cell is one line of `scratch/name.jsonl`, written at once, so that a killed run
    loses at most the cells that were under way.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    path = scratch / f"{name}.jsonl"
    known: dict[str, dict] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            key, found = json.loads(line)
        except ValueError:  # a line cut off by a kill
            continue
        known[key] = found
    left = [cell for cell in cells if _key(cell) not in known]
    # Spawned, one thread each: forked torch threads hang, and two threads on a busy core crawl.
    os.environ["OMP_NUM_THREADS"] = "1"
    spawn = {"mp_context": get_context("spawn"), "initializer": _start}
    with ProcessPoolExecutor(workers, **spawn, initargs=(scratch / "models",)) as pool:
        jobs = [pool.submit(_work, cell) for cell in left]
        with open(path, "a") as log:
            for job in tqdm(as_completed(jobs), total=len(jobs), desc=name, disable=not jobs):
                key, found = job.result()
                known[key] = found
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
    """

    def __init__(self, name: str, workers: int, scratch: Path, results: Path) -> None:
        self.name, self.workers, self.scratch, self.results = name, workers, scratch, results
        self.seconds = 0.0

    def __call__(self, cells: list[Cell]) -> list[tuple[Cell, dict]]:
        found = run_cells(self.name, cells, self.workers, self.scratch)
        self.seconds += sum(found[_key(cell)]["seconds"] for cell in cells)
        return [(cell, found[_key(cell)]) for cell in cells]

    def write(self, **facts) -> Path:
        """Write `results/name.json`: the facts, and what is needed to repeat or doubt them."""
        from pha_lite.record import run_record

        self.results.mkdir(parents=True, exist_ok=True)
        path = self.results / f"{self.name}.json"
        command = f"python -m pha_lite.experiments {self.name}"
        record = run_record(
            experiment=self.name,
            command=command,
            cpu_seconds=round(self.seconds),
            threads_per_cell=1,
            **facts,
        )
        path.write_text(json.dumps(record, indent=1) + "\n")
        return path


def _best_rate(found: list[tuple[Cell, dict]], *by: str) -> dict[tuple, float]:
    """The learning rate with the highest mean validation score, for each value of `by`."""
    scores: dict[tuple, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for cell, got in found:
        scores[tuple(cell[k] for k in by)][cell["lr"]].append(got["validation"]["all"])
    return {
        key: max(rates, key=lambda lr: sum(rates[lr]) / len(rates[lr]))
        for key, rates in scores.items()
    }


def _curve(found: list[tuple[Cell, dict]], *by: str) -> list[dict]:
    """Validation scores of all tuning cells, to be kept beside what they chose."""
    return [{k: cell[k] for k in (*by, "lr", "seed")} | got["validation"] for cell, got in found]


def _settings() -> dict:
    return {
        "steps": STEPS,
        "batch_size": BATCH,
        "learning_rates": GRID,
        "validation_rows_per_task": VALID_ROWS,
        "test_rows_per_task": TEST_ROWS,
        "seeds": SEEDS,
        "tuning_seeds": TUNING_SEEDS,
    }


# --- experiments ---------------------------------------------------------------------------------


def variants(run: Runner) -> Path:
    """Forms of PHA on validation data of a suite with another seed than those reported."""
    cells = [
        {"cell": "low_data", "method": f"variant: {v}", "n": n, "lr": lr, "seed": seed,
         "test": False, "suite_seed": 1}
        for v, n, lr, seed in product(VARIANTS, (100,), GRID, TUNING_SEEDS)
    ]  # fmt: skip
    found = run(cells)
    return run.write(settings=_settings(), forms=VARIANTS, curve=_curve(found, "method", "n"))


LOW_N = (100, 16)


def low_data(run: Runner) -> Path:
    """PHA and what it is compared with on n rows per task, on both halves, with the swap test."""
    base = {"cell": "low_data"}
    curve, rows = [], []
    for n in LOW_N:  # the record is written after every size, so a run cut short has the first
        tuned = run(
            [
                base | {"method": m, "n": n, "lr": lr, "seed": seed, "test": False}
                for m, lr, seed in product(METHODS, GRID, TUNING_SEEDS)
            ]
        )
        rates = _best_rate(tuned, "method")
        curve += _curve(tuned, "method", "n")
        finals = [
            base | {"method": m, "n": n, "lr": rates[m,], "seed": seed, "test": True}
            for m, seed in product(METHODS, SEEDS)
        ]
        rows += [{k: c[k] for k in ("method", "n", "lr", "seed")} | got for c, got in run(finals)]
        path = run.write(settings=_settings(), curve=curve, rows=rows)
    return path


def backbone(run: Runner) -> Path:
    """Is the pretraining worth it? The same adapters on the pretrained and on a random T5."""
    base = {"cell": "low_data", "method": "shared_adapter"}
    grid = list(product(("tiny", "random"), (50, 1000)))
    tuning = [
        base | {"backbone": b, "n": n, "lr": lr, "seed": seed, "test": False}
        for (b, n), lr, seed in product(grid, GRID, TUNING_SEEDS)
    ]
    tuned = run(tuning)
    rates = _best_rate(tuned, "backbone", "n")
    finals = [
        base | {"backbone": b, "n": n, "lr": rates[b, n], "seed": seed, "test": True}
        for (b, n), seed in product(grid, SEEDS[:3])
    ]
    rows = [{k: c[k] for k in ("backbone", "n", "lr", "seed")} | got for c, got in run(finals)]
    return run.write(
        settings=_settings() | {"seeds": SEEDS[:3], "method": "shared_adapter"},
        curve=_curve(tuned, "backbone", "n"),
        rows=rows,
    )


def few_shot(run: Runner) -> Path:
    """New cells with k examples from every start, and whether retrieval finds the right rule."""
    sources = [
        {"cell": "low_data", "method": "pha", "n": SOURCE_N, "lr": lr, "seed": seed, "test": False}
        for lr, seed in product(GRID, TUNING_SEEDS)
    ]
    source_lr = _best_rate(run(sources), "method")[("pha",)]
    base = {"cell": "few_shot", "source_lr": source_lr}
    every = {start: list(FEW_GRID) for start in FEW_STARTS}
    tuning = [
        base | {"rates": every, "seed": seed, "test": False}
        for seed in (TUNING_SEEDS[0], TUNING_SEEDS[0] + 1)  # both held-out surfaces
    ]
    seen: dict[str, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _, got in run(tuning):
        for row in got["rows"]:
            seen[row["start"]][row["lr"]].append(row["after"])
    curve = {s: {lr: sum(v) / len(v) for lr, v in rates.items()} for s, rates in seen.items()}
    chosen = {start: [max(rates, key=rates.get)] for start, rates in curve.items()}
    finals = [base | {"rates": chosen, "seed": seed, "test": True} for seed in SEEDS]
    done = run(finals)
    rows = [{"seed": c["seed"], **row} for c, got in done for row in got["rows"]]
    retrieval = [{"seed": c["seed"], **row} for c, got in done for row in got["retrieval"]]
    settings = _settings() | {
        "source_rows": SOURCE_N,
        "source_lr": source_lr,
        "tune": "prototype",
        "tuning_steps": FEW_STEPS,
        "tuning_rates": FEW_GRID,
        "chosen_rates": chosen,
        "query_rows": FEW_ROWS,
    }
    return run.write(settings=settings, curve=curve, rows=rows, retrieval=retrieval)


def cards(run: Runner) -> Path:
    """Floor and ceiling of every task; writes `data/suite/cards.json` for the tasks' cards."""
    from pha_lite.suite import RULES, load_suite

    names = list(load_suite())
    floor = run([{"cell": "bag_of_words", "task": name} for name in names])
    top = run(
        [
            {"cell": "ceiling", "rule": rule, "lr": CEILING_LR, "seed": 0, "test": True}
            for rule in RULES
        ]
    )
    ceiling = {name: score for _, got in top for name, score in got["scores"].items()}
    tasks = {
        cell["task"]: {"bag_of_words": got["test"], "full_fine_tuning": ceiling[cell["task"]]}
        for cell, got in floor
    }
    home = run.results.parent / "suite"
    home.mkdir(parents=True, exist_ok=True)
    (home / "cards.json").write_text(json.dumps({"tasks": tasks}, indent=1) + "\n")
    return run.write(
        settings={
            "bag_of_words": "logistic regression on word counts, 1000 training rows",
            "full_fine_tuning": f"one rule at a time, {CEILING_ROWS} rows of each of its "
            f"surfaces, {CEILING_STEPS} steps of {BATCH}, learning rate {CEILING_LR}",
        },
        tasks=tasks,
    )


EXPERIMENTS: dict[str, Callable[[Runner], Path]] = {
    f.__name__: f for f in (cards, variants, backbone, low_data, few_shot)
}


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
    options = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add_arguments(options)
    main(options.parse_args())
