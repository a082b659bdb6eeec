"""What each method costs: numbers trained and stored, time of a training step and of an answer.

Run it on a machine that does nothing else; see `pha_lite.timing`.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from pha_lite.timing import interleaved, summary

from .runner import Runner
from .setting import WIDE_RULES, new_model, suite_of

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
        more task in them, and what `timing.summary` says of a training step of 24 rows and of 96
        answers to one task; ratios are to the shared adapter's.
    """
    from pha_lite.batching import collate, encode

    suite = suite_of()
    names = [t for t in suite.train_tasks if suite.cells[t].rule in WIDE_RULES]
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
    for kind, works, times in (("step", step_of, steps), ("answers", answer_of, 1)):
        timed = summary(interleaved(works, rounds, times), "shared_adapter")
        for method, times_of_method in timed.items():
            found[method][kind] = times_of_method
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


def costs(run: Runner) -> Path:
    """Numbers, bytes and times of every method; one process, nothing else may run."""
    ((_, got),) = run([{"cell": "costs", "rounds": ROUNDS, "steps": STEPS}])
    settings = {"rules": WIDE_RULES, "batch_size": BATCH, "answers": ANSWERS, "rounds": ROUNDS}
    return run.write(settings=settings | {"tasks": got["tasks"]}, methods=got["methods"])
