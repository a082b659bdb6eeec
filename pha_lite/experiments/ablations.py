"""Ablations: PHA with one thing changed.

Everything runs on the wide grid's half of the suite with n = 100. Each change has its learning
rate chosen on validation rows, from the same two rates, by the same seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations, product
from pathlib import Path
from statistics import fmean

from .runner import Runner, best_rate, common_settings, tuning_curve
from .setting import (
    RELEASED_FORM,
    TEST_ROWS,
    TUNING_SEEDS,
    VALID_ROWS,
    WIDE_RULES,
    halves,
    trained,
)

N, RATES = 100, (1e-3, 3e-3)
SIZE = {"rules": WIDE_RULES, "steps": 600, "batch": 24}
UNEVEN = [4, 1, 0.25]  # rows of a surface as shares of n
CHANGES: dict[str, dict] = {
    "PHA": {},
    "no instance loss": {"model": {"instance_weight": 0.0}},
    "no prototype loss": {"model": {"prototype_weight": 0.0}},
    "neither loss": {"model": {"instance_weight": 0.0, "prototype_weight": 0.0}},
    "as released": {"model": RELEASED_FORM},
    "losses reach the encoder": {"model": {"contrast_to_encoder": True}},
    "temperature 0.03": {"model": {"temperature": 0.03}},
    "temperature 0.3": {"model": {"temperature": 0.3}},
    "temperature 1": {"model": {"temperature": 1.0}},
    "loss weights 0.01": {"model": {"instance_weight": 0.01, "prototype_weight": 0.01}},
    "loss weights 1": {"model": {"instance_weight": 1.0, "prototype_weight": 1.0}},
    "prototype width 8": {"model": {"prototype_dim": 8}},
    "prototype width 128": {"model": {"prototype_dim": 128}},
    "adapter width 4": {"model": {"adapter_dim": 4}},
    "adapter width 64": {"model": {"adapter_dim": 64}},
    "uneven rows, drawn by size": {"shares": UNEVEN, "training": {"sampling_temperature": 1.0}},
    "uneven rows, drawn evenly": {"shares": UNEVEN, "training": {"sampling_temperature": 1e3}},
}


def ablation_cell(
    method: str,
    n: int,
    lr: float,
    seed: int,
    test: bool,
    change: Mapping[str, object] | None = None,
    **size,
) -> dict:
    """A method under a change of it or of its tasks, and what that did to the prototypes.

    Args:
        change, size: as in `trained`.

    Returns:
        Scores of the halves and of every task; then, where there are prototypes, the swap test,
        the mean cosine between prototypes of the same rule and of rules that share their inputs,
        and how often 16 inputs of a held-out surface retrieve the right rule and kind of input.
    """
    from pha_lite.fewshot import swap_test
    from pha_lite.train import evaluate_tasks

    model, suite, tasks, scores = trained(method, n, lr, seed, change=change, **size)
    if not test:
        return {"validation": halves(suite, scores)}
    scores = evaluate_tasks(model, tasks, "test", TEST_ROWS)
    found = {"test": halves(suite, scores), "tasks": scores}
    pairs = [
        (name, next(t for t in suite.rivals(name) if t in tasks))
        for name in tasks
        if any(t in tasks for t in suite.rivals(name))
    ]
    if pairs and model.trained.task_tables():
        found["swap"] = fmean(swap_test(model, tasks, pairs, limit=VALID_ROWS).values())
    if model.config.uses_prototype_loss:
        found |= space(model, suite, tasks, seed)
    return found


def space(model, suite, tasks, seed: int) -> dict:
    """Where the prototypes lie, and what inputs of new surfaces find among them.

    Returns:
        `same_rule`, `same_input`: mean cosines of two prototypes, of one rule and of two rules
        that read the same inputs. `right_rule`, `right_kind`: shares of draws of 16 inputs whose
        nearest prototype is of their rule, or of a rule that reads such inputs. What no pair and
        no draw can say is left out.
    """
    from torch.nn.functional import normalize

    from pha_lite.fewshot import episode
    from pha_lite.suite import RULES as KNOWN

    points = normalize(model.trained.prototypes.vectors.detach(), dim=-1)
    cosines = {"same_rule": [], "same_input": []}
    for (i, a), (j, b) in combinations(enumerate(tasks), 2):
        mine, other = suite.cells[a].rule, suite.cells[b].rule
        if mine == other:
            cosines["same_rule"].append(float(points[i] @ points[j]))
        elif KNOWN[mine].kind is KNOWN[other].kind:
            cosines["same_input"].append(float(points[i] @ points[j]))
    rules = {suite.cells[name].rule for name in tasks}
    new = [t for t in suite.held_out if suite.cells[t].rule in rules]
    hits = {"right_rule": [], "right_kind": []}
    for name, draw in product(new, range(5)):
        texts = list(episode(suite[name], 16, seed=10 * seed + draw)["train"]["source"])
        got, mine = suite.cells[model.retrieve(texts, k=1)[0][0]].rule, suite.cells[name].rule
        hits["right_rule"].append(got == mine)
        hits["right_kind"].append(KNOWN[got].kind is KNOWN[mine].kind)
    return {key: fmean(values) for key, values in {**cosines, **hits}.items() if values}


def _cell(lr: float, seed: int, test: bool, change: dict) -> dict:
    cell = {"cell": "ablation", "method": "pha", "n": N, "lr": lr, "seed": seed, "test": test}
    return cell | ({"change": change} if change else {}) | SIZE


def ablations(run: Runner) -> Path:
    """One change of PHA at a time, each with a learning rate of its own."""
    (seed,) = TUNING_SEEDS
    grid = list(product(CHANGES, RATES))
    found = run([_cell(lr, seed, False, CHANGES[name]) for name, lr in grid])
    named = [
        ({**cell, "name": name}, got) for (name, _), (cell, got) in zip(grid, found, strict=True)
    ]
    rates = best_rate(named, "name")
    curve = tuning_curve(named, "name")
    rows = []
    for at, seed in enumerate(run.seeds(), 1):
        finals = [_cell(rates[name,], seed, True, change) for name, change in CHANGES.items()]
        rows += [
            {"name": name, "lr": cell["lr"], "seed": seed, **got}
            for name, (cell, got) in zip(CHANGES, run(finals), strict=True)
        ]
        settings = common_settings() | {"n": N, "learning_rates": RATES, "rules": WIDE_RULES}
        settings |= {"steps": SIZE["steps"], "batch_size": SIZE["batch"], "seeds": run.seeds()[:at]}
        path = run.write(settings=settings, changes=CHANGES, curve=curve, rows=rows)
    return path
