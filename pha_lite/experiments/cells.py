"""One cell of an experiment: a training run, and what is measured on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product

from .ablations import ablation_cell, space
from .costs import costs_cell
from .paper import joint_cell, new_task_cell
from .real import real_cell
from .setting import (
    BATCH,
    CEILING_ROWS,
    CEILING_STEPS,
    EVALS,
    FEW_K,
    FEW_ROWS,
    FEW_STARTS,
    FEW_STEPS,
    SEPARATE_BATCH,
    SOURCE_N,
    TEST_ROWS,
    VALID_ROWS,
    backbone_of,
    halves,
    new_model,
    suite_of,
    train_settings,
    trained,
)
from .stream import stream_cell
from .transfer import transfer_cell


def low_data_cell(
    method: str,
    n: int,
    lr: float,
    seed: int,
    test: bool,
    **form,
) -> dict:
    """Multi-task training on n rows per task: validation, or test scores and the swap test.

    Args:
        form: further arguments of `trained`.
    """
    from pha_lite.fewshot import swap_test
    from pha_lite.train import evaluate_tasks

    model, suite, tasks, validation = trained(method, n, lr, seed, **form)
    if not test:
        return {"validation": halves(suite, validation)}
    scores = evaluate_tasks(model, tasks, "test", TEST_ROWS)
    found = {"test": halves(suite, scores), "tasks": scores}
    if model.trained.task_tables():  # something that a task owns and another can take
        pairs = [(name, suite.rivals(name)[0]) for name in tasks if suite.rivals(name)]
        drops = swap_test(model, tasks, pairs, limit=TEST_ROWS)
        found["swap"] = sum(drops.values()) / len(drops)
    return found


def form_cell(form: str, n: int, lr: float, seed: int, test: bool, suite_seed: int, **size) -> dict:
    """A form of PHA on both halves of the grid, in the swap test, and met by new surfaces.

    Args:
        size: rules, steps and batch, as in `trained`.

    Returns:
        Scores and the swap test; on test rows the scores of every task, too, and what `space`
        finds.
    """
    from dataclasses import replace

    from pha_lite.fewshot import adapt, swap_test
    from pha_lite.train import evaluate_tasks

    method, split = f"form: {form}", "test" if test else "validation"
    model, suite, tasks, scores = trained(method, n, lr, seed, suite_seed=suite_seed, **size)
    if test:
        scores = evaluate_tasks(model, tasks, split, TEST_ROWS)
    pairs = [(name, suite.rivals(name)[0]) for name in tasks if suite.rivals(name)]
    drops = swap_test(model, tasks, pairs, split, VALID_ROWS)
    starts: dict[str, list[float]] = {"retrieved": [], "loss": []}
    for name in _new_cells(suite):
        if suite.cells[name].rule not in size["rules"]:
            continue
        task = replace(suite[name], splits={**suite[name].splits, "test": suite[name][split]})
        for start, found in starts.items():
            found.append(adapt(model, task, 16, start, "none", seed=seed, limit=FEW_ROWS).before)
    found = {
        split: halves(suite, scores) | {s: sum(v) / len(v) for s, v in starts.items()},
        "swap": sum(drops.values()) / len(drops),
    }
    return found | {"tasks": scores} | space(model, suite, tasks, seed) if test else found


def separate_cell(
    n: int,
    lr: float,
    seed: int,
    test: bool,
    rules: Sequence[str],
    steps: int,
    batch: int,
) -> dict:
    """Full fine-tuning of a T5 of its own for every task.

    All tasks together see as many rows as `steps` mixed batches of `batch` rows hold.
    """
    from pha_lite.train import evaluate_tasks, train

    suite = suite_of()
    names = [t for t in suite.train_tasks if suite.cells[t].rule in rules]
    steps = max(EVALS, round(steps * batch / len(names) / SEPARATE_BATCH))
    scores = {}
    for name in names:
        tasks = {name: suite[name].sample(n, seed=seed, balanced=True)}
        model = new_model("full", "tiny", [name], seed)
        settings = train_settings(lr, seed, steps, SEPARATE_BATCH)
        found = train(model, tasks, settings, progress=False).best["scores"]
        scores |= evaluate_tasks(model, tasks, "test", TEST_ROWS) if test else found
    return {"test" if test else "validation": halves(suite, scores), "tasks": scores}


def _new_cells(suite) -> list[str]:
    """Held-out tasks whose rule was trained on other surfaces."""
    return [n for n in suite.held_out if not suite.cells[n].new_rule]


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
        mine, other = suite.cells[name], suite.cells[found]
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
    return {"test": bag_of_words(suite_of()[task])}


def bag_of_words(task) -> float:
    """Test accuracy of logistic regression on word counts, trained on the training split."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        CountVectorizer(token_pattern=r"[^\s]+"), LogisticRegression(max_iter=1000)
    )
    model.fit(*_columns(task, "train"))
    return float(model.score(*_columns(task, "test")))


def ceiling_cell(rule: str, lr: float, seed: int, test: bool) -> dict:
    """Full fine-tuning of the backbone on one rule, with 3000 rows of each of its surfaces."""
    import copy

    import torch

    from pha_lite.suite import SURFACES_OF_SUITE, load_suite

    suite = load_suite(sizes={"train": CEILING_ROWS})
    names = [f"{rule}/{surface}" for surface in SURFACES_OF_SUITE]
    t5, tokenizer = backbone_of("tiny")
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
    "separate": separate_cell,
    "stream": stream_cell,
    "real": real_cell,
    "joint": joint_cell,
    "new_task": new_task_cell,
    "form": form_cell,
    "ablation": ablation_cell,
    "transfer": transfer_cell,
    "costs": costs_cell,
    "few_shot": few_shot_cell,
    "bag_of_words": bag_of_words_cell,
    "ceiling": ceiling_cell,
}
