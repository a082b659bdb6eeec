"""What each method costs: numbers trained and stored, time of a training step and of an answer.

Times are taken in rounds that visit every method in turn, so that what slows the machine for a
while slows all of them; run it on a machine that does nothing else.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from tqdm import tqdm

from .ablations import RULES
from .runner import Runner
from .setting import new_model, suite_of

METHODS = (
    "pha",
    "task_embedding",
    "shared_adapter",
    "adapter_per_task",
    "instance",
    "adapter_drop",
    "lora",
    "bitfit",
    "prompt",
    "full",
)
BATCH, ANSWERS, ROUNDS, STEPS = 24, 96, 15, 4


def stored_bytes(model) -> int:
    """Size of the files that `save_pretrained` writes."""
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def costs_cell(rounds: int = ROUNDS, steps: int = STEPS) -> dict:
    """Costs of every method on one batch of mixed tasks of the wide grid.

    Returns:
        method -> numbers trained in all and for one more task, bytes of the saved files and of one
        more task in them, and of the milliseconds of a training step of 24 rows, and of 96 answers
        to one task: median and quartiles over the rounds; `ratio` is that to the shared adapter's
        in the same round.
    """
    from pha_lite.batching import collate, encode

    suite = suite_of()
    names = [t for t in suite.train_tasks if suite.cells[t].rule in RULES]
    each = BATCH // len(names)
    texts = list(suite[names[0]].sample(ANSWERS, seed=0)["train"]["source"])
    labels = suite[names[0]].labels
    step_of, answer_of, found = {}, {}, {}
    for method in METHODS:
        model = new_model(method, "tiny", names, 0)
        counts = model.count_parameters()
        size = stored_bytes(model)
        more = new_model(method, "tiny", [*names, "one more"], 0)
        found[method] = {
            "trained": int(counts["total"]),
            "per_additional_task": int(counts["per_additional_task"]),
            "stored_bytes": size,
            "stored_bytes_per_additional_task": stored_bytes(more) - size,
        }
        rows = [encode(model, suite[t].sample(each, seed=0)["train"]) for t in names]
        ids = [i for i, some in enumerate(rows) for _ in some]
        batch = collate(model, [row for some in rows for row in some], ids)
        step_of[method] = _stepper(model, batch)
        answer_of[method] = _answerer(model, texts, names[0], labels)
    times = {kind: {m: [] for m in METHODS} for kind in ("step", "answers")}
    for _ in tqdm(range(rounds), desc="rounds"):
        for method in METHODS:
            times["step"][method].append(_clock(step_of[method], steps))
            times["answers"][method].append(_clock(answer_of[method], 1))
    for kind, taken in times.items():
        taken = {m: values[1:] for m, values in taken.items()}  # the first round warms up
        for method, values in taken.items():
            ratios = [a / b for a, b in zip(values, taken["shared_adapter"], strict=True)]
            low, _, high = quantiles(values, n=4, method="inclusive")
            found[method][kind] = {
                "median_ms": round(median(values), 3),
                "quartiles_ms": [round(low, 3), round(high, 3)],
                "ratio": round(median(ratios), 4),
            }
    return {"methods": found, "tasks": len(names)}


def _stepper(model, batch):
    import torch

    weights = [weight for _, weight in model.adapter_parameters()]
    optimizer = torch.optim.AdamW(weights, lr=1e-5, weight_decay=0.0, fused=True)

    def step() -> None:
        model.train()
        model(batch).loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step


def _answerer(model, texts, name, labels):
    def answer() -> None:
        model.predict(texts, name, labels)

    return answer


def _clock(work, times: int) -> float:
    """Milliseconds of one call, as the mean of some."""
    began = time.perf_counter()
    for _ in range(times):
        work()
    return 1000 * (time.perf_counter() - began) / times


def costs(run: Runner) -> Path:
    """Numbers, bytes and times of every method; one process, nothing else may run."""
    ((_, got),) = run([{"cell": "costs", "rounds": ROUNDS, "steps": STEPS}])
    settings = {"rules": RULES, "batch_size": BATCH, "answers": ANSWERS, "rounds": ROUNDS}
    return run.write(settings=settings | {"tasks": got["tasks"]}, methods=got["methods"])
