"""Transfer beyond `few_shot`: rules that were never trained, what is tuned, how sure retrieval is.

The source models are those of `few_shot`. Learning rates are chosen on validation rows by two
source models that no reported figure uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from statistics import fmean

from .runner import Runner, best_rate, common_settings
from .setting import (
    FEW_GRID,
    FEW_K,
    FEW_ROWS,
    FEW_STARTS,
    FEW_STEPS,
    GRID,
    SOURCE_N,
    TUNING_SEEDS,
    trained,
)

NEW_RULES = ("other", "reading")
STARTS = tuple(start for start in FEW_STARTS if start != "oracle")  # no task asks a new rule
SLOW = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)  # rates for weights that many tasks share
POOL, DRAWS = 200, 10
Rates = Mapping[str, list[float]]


def transfer_cell(seed: int, source_lr: float, starts: Rates, tunes: Rates, test: bool) -> dict:
    """One source model before tasks of new rules, with more of it tuned, and as a retriever.

    As in `few_shot_cell` one source model meets one held-out surface, and tuning reads validation
    rows and k = 16 alone.

    Args:
        starts: start -> rates of the prototype's tuning on tasks of new rules.
        tunes: what is tuned -> rates, on new rules and new surfaces, started by the loss.
    """
    from pha_lite.fewshot import adapt

    model, suite, _, _ = trained("pha", SOURCE_N, source_lr, seed)
    surface = sorted({c.surface for c in suite.cells.values() if c.new_surface})[seed % 2]
    tasks = {
        name: "new rule" if cell.rule in NEW_RULES else "new surface"
        for name, cell in suite.cells.items()
        if cell.surface == surface
    }
    rows = []
    for (name, what), k in product(tasks.items(), FEW_K if test else (16,)):
        task = suite[name]
        if not test:
            task = replace(task, splits={**task.splits, "test": task["validation"]})
        jobs = [(s, "prototype", lr) for s in STARTS for lr in starts[s] if what == "new rule"]
        jobs += [("loss", t, lr) for t in tunes for lr in tunes[t]]
        others = [t for t in suite.half("related") if t not in suite.relatives(name)]
        for start, tune, lr in dict.fromkeys(jobs):
            found = adapt(
                model,
                task,
                k,
                start,
                tune,
                FEW_STEPS,
                lr,
                seed,
                wrong=others[seed % len(others)],
                limit=FEW_ROWS,
            )
            kept = {f: getattr(found, f) for f in ("start", "lr", "source", "before", "after")}
            # what was asked for: a fresh adapter has no prototype and is tuned whole
            rows.append({"task": name, "new": what, "k": k, "tune": tune, **kept})
    return {"rows": rows, "retrieval": _retrieval(model, suite, seed) if test else []}


def _retrieval(model, suite, seed: int) -> list[dict]:
    """What k inputs of each held-out task retrieve, and how sure they are of it.

    Sure is the mean over the k inputs of the softmax of their cosines with the prototypes, at the
    temperature of training; `margin` is the best mean cosine minus the next.
    """
    import torch
    from torch.nn.functional import normalize

    from pha_lite.suite import RULES

    points = normalize(model.trained.prototypes.vectors.detach(), dim=-1)
    names, rows = model.config.tasks, []
    for name in suite.held_out:
        pool = suite[name].sample(POOL, seed=0)
        cosines = model.embed(list(pool["train"]["source"])) @ points.T
        shares = (cosines / model.config.temperature).softmax(dim=1)
        draw = torch.Generator().manual_seed(seed)
        for k, _ in product((1, *FEW_K), range(DRAWS)):
            picked = torch.randperm(len(cosines), generator=draw)[:k]
            mean = cosines[picked].mean(dim=0)
            best, at = mean.topk(2)
            mine, found = suite.cells[name], suite.cells[names[int(at[0])]]
            same_kind = [RULES[suite.cells[t].rule].kind is RULES[mine.rule].kind for t in names]
            share = shares[picked].mean(dim=0)
            rows.append(
                {
                    "task": name,
                    "k": k,
                    "found": names[int(at[0])],
                    "rule": mine.rule == found.rule,
                    "kind": same_kind[int(at[0])],
                    "sure": round(float(share[at[0]]), 4),
                    "sure_of_kind": round(float(share[torch.tensor(same_kind)].sum()), 4),
                    "margin": round(float(best[0] - best[1]), 4),
                }
            )
    return rows


def transfer(run: Runner) -> Path:
    """New rules from every start, more of the model tuned, and the confidence of retrieval."""
    sources = [
        {"cell": "low_data", "method": "pha", "n": SOURCE_N, "lr": lr, "seed": seed, "test": False}
        for lr, seed in product(GRID, TUNING_SEEDS)
    ]
    base = {"cell": "transfer", "source_lr": best_rate(run(sources), "method")[("pha",)]}
    starts = {start: list(FEW_GRID) for start in STARTS}
    tunes = {"prototype": list(FEW_GRID), "hypernetwork": list(SLOW), "all": list(SLOW)}
    tuning = [
        base | {"starts": starts, "tunes": tunes, "seed": seed, "test": False}
        for seed in (TUNING_SEEDS[0], TUNING_SEEDS[0] + 1)
    ]
    seen: dict[tuple, dict[float, list[float]]] = defaultdict(lambda: defaultdict(list))
    for _, got in run(tuning):
        for row in got["rows"]:
            seen[row["start"], row["tune"], row["new"]][row["lr"]].append(row["after"])
    curve = [
        {"start": start, "tune": tune, "new": what, "lr": lr, "after": fmean(values)}
        for (start, tune, what), rates in seen.items()
        for lr, values in rates.items()
    ]
    means = {key: {lr: fmean(v) for lr, v in rates.items()} for key, rates in seen.items()}

    def best(*keys: tuple[str, str, str]) -> list[float]:
        rates = set.intersection(*(set(means[key]) for key in keys))
        return [max(rates, key=lambda lr: fmean(means[key][lr] for key in keys))]

    chosen = {start: best((start, "prototype", "new rule")) for start in STARTS}
    tuned = {t: best(("loss", t, "new rule"), ("loss", t, "new surface")) for t in tunes}
    chosen["loss"] = tuned["prototype"]  # the same runs
    base |= {"starts": chosen, "tunes": tuned}
    done = run([base | {"seed": seed, "test": True} for seed in run.seeds()])
    settings = common_settings() | {
        "seeds": run.seeds(),
        "source_rows": SOURCE_N,
        "tuning_steps": FEW_STEPS,
        "rates": {"prototype": FEW_GRID, "hypernetwork": SLOW, "all": SLOW},
        "chosen": {"starts": chosen, "tunes": tuned},
        "query_rows": FEW_ROWS,
        "tuning_seeds": [cell["seed"] for cell in tuning],
    }
    return run.write(
        settings=settings,
        curve=curve,
        rows=[{"seed": cell["seed"], **row} for cell, got in done for row in got["rows"]],
        retrieval=[{"seed": cell["seed"], **row} for cell, got in done for row in got["retrieval"]],
    )
