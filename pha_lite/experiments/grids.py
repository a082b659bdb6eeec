"""The experiments: which cells each of them needs, and what goes into its record."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from itertools import product
from pathlib import Path

from pha_lite import records

from . import real
from .ablations import ablations
from .costs import costs
from .other_tasks import other_tasks
from .runner import Runner, best_rate, common_settings, tuning_curve
from .setting import (
    BATCH,
    CEILING_LR,
    CEILING_ROWS,
    CEILING_STEPS,
    FEW_GRID,
    FEW_ROWS,
    FEW_STARTS,
    FEW_STEPS,
    FORMS,
    GRID,
    METHODS,
    SEEDS,
    SOURCE_N,
    TUNING_SEEDS,
    VARIANTS,
    WIDE_RULES,
    Cell,
)
from .stream import BASE_RULES, STRATEGIES
from .transfer import transfer


def variants(run: Runner) -> Path:
    """Forms of PHA on validation data of a suite with another seed than those reported."""
    cells = [
        {"cell": "low_data", "method": f"variant: {v}", "n": n, "lr": lr, "seed": seed,
         "test": False, "suite_seed": 1}
        for v, n, lr, seed in product(VARIANTS, (100,), GRID, TUNING_SEEDS)
    ]  # fmt: skip
    found = run(cells)
    settings = common_settings() | {"seeds": [], "suite_seed": 1}  # validation alone
    return run.write(settings=settings, forms=VARIANTS, curve=tuning_curve(found, "method", "n"))


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
        rates = best_rate(tuned, "method")
        curve += tuning_curve(tuned, "method", "n")
        finals = [
            base | {"method": m, "n": n, "lr": rates[m,], "seed": seed, "test": True}
            for m, seed in product(METHODS, run.seeds())
        ]
        rows += [{k: c[k] for k in ("method", "n", "lr", "seed")} | got for c, got in run(finals)]
        settings = common_settings() | {"seeds": run.seeds()}
        path = run.write(settings=settings, curve=curve, rows=rows)
    return path


# The wide grid runs on half of the suite, so that it fits into a night on two cores: of each half
# the two rules that the model of `data/pha/tiny` learnt best on validation rows (rivals come in
# pairs; of entailment and paraphrase, which tie, the one with the higher ceiling on its card). Half
# the tasks need half the rows per step. With few rows the validation curves of the tuning runs are
# flat from step 200 on at the best rates of every method tried: 300 steps do there.
WIDE = {"rules": WIDE_RULES, "batch": 24}
WIDE_N = (8, 16, 32, 64, 128, 256, 512, 1000)
WIDE_GRID = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)  # wide enough for full fine-tuning and prompts
WIDE_METHODS = (
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
    "full_per_task",
    "nearest",
)
ANCHORS = {32: (8, 16, 32, 64), 256: (128, 256, 512, 1000)}  # tuned at the first, used for the rest
SMALL_N, MORE_SEEDS = 64, tuple(range(10))  # few rows, much luck: more seeds
WIDE_STEPS = {"up_to_64_rows": 300, "above": 800}


def _size(n: int) -> dict:
    """Rules, steps and rows per step of a wide cell with n rows per task."""
    return WIDE | {"steps": WIDE_STEPS["up_to_64_rows" if n <= SMALL_N else "above"]}


def _wide(method: str, n: int, lr: float, seed: int, test: bool) -> Cell:
    cell = {"n": n, "lr": lr, "seed": seed, "test": test, **_size(n)}
    if method == "full_per_task":
        return {"cell": "separate", **cell}
    return {"cell": "low_data", "method": method, **cell}


def _wide_settings() -> dict:
    """The common settings, with those of the wide grid in their place."""
    own = {"steps": WIDE_STEPS, "batch_size": WIDE["batch"], "rules": WIDE["rules"]}
    return common_settings() | own


def sample_efficiency(run: Runner) -> Path:
    """All methods on 8 to 1000 rows per task of half of the suite."""
    tuned = [
        (m, n, _wide(m, n, lr, seed, False))
        for m, n, lr, seed in product(WIDE_METHODS, ANCHORS, WIDE_GRID, TUNING_SEEDS)
        if m != "nearest" or lr == WIDE_GRID[0]  # nothing to tune
    ]
    found = [
        ({**cell, "method": m, "n": n}, got)
        for (m, n, _), (cell, got) in zip(tuned, run([cell for *_, cell in tuned]), strict=True)
    ]
    rates = best_rate(found, "method", "n")
    anchor = {n: first for first, covered in ANCHORS.items() for n in covered}
    small = [n for n in WIDE_N if n <= SMALL_N]
    large = [n for n in WIDE_N if n > SMALL_N]
    # A part at a time, so that a run cut short has all methods on some seeds: few rows are cheap
    # and spread widest, so they come first, and their further seeds last.
    parts = [(s, small) for s in run.seeds()] + [(s, large) for s in run.seeds()]
    parts += [(s, small) for s in run.seeds(MORE_SEEDS) if s not in SEEDS]
    rows: list[dict] = []
    for seed, sizes in parts:
        grid = list(product(WIDE_METHODS, sizes))
        cells = [_wide(m, n, rates[m, anchor[n]], seed, True) for m, n in grid]
        for (m, n), (cell, got) in zip(grid, run(cells), strict=True):
            rows.append({"method": m, "n": n, "lr": cell["lr"], "seed": seed, **got})
        path = run.write(
            settings=_wide_settings()
            | {
                "learning_rates": WIDE_GRID,
                "tuned_at": ANCHORS,
                "seeds": sorted({row["seed"] for row in rows if row["n"] <= SMALL_N}),
                "seeds_above_64_rows": sorted({r["seed"] for r in rows if r["n"] > SMALL_N}),
            },
            curve=tuning_curve(found, "method", "n"),
            rows=rows,
        )
    return path


# What time to learn is worth, where the grid gives little: with a thousand rows each is seen less
# than twice, and with few rows half of the rules stay at chance. Four times the steps, for PHA and
# the rivals of the scorecard. A longer training may want a smaller rate: each method tries the one
# it chose for the short training and the next smaller, with the rows and steps of the longer one.
MORE_STEPS = {1000: 3200, 64: 1200}
MORE_METHODS = ("pha", "task_embedding", "adapter_per_task", "shared_adapter", "lora", "full")
MORE_SEEDS_OF = {1000: SEEDS[:3], 64: SEEDS}  # many rows take three minutes a cell


def _next_smaller(rate: float) -> float:
    """The rate below one of the wide grid."""
    ladder = (1e-4, *WIDE_GRID)
    return ladder[ladder.index(rate) - 1]


def more_steps(run: Runner) -> Path:
    """Few and many rows of `sample_efficiency` again, with four times its steps.

    Raises:
        PHAError: there is no record of `sample_efficiency` yet.
    """
    short = {(r["method"], r["n"]): r["lr"] for r in records.load("sample_efficiency")["rows"]}
    curve: list[dict] = []
    rows: list[dict] = []
    seeds: dict[int, tuple[int, ...]] = {}
    for n, steps in MORE_STEPS.items():
        longer = {"steps": steps}
        tried = {m: (short[m, n], _next_smaller(short[m, n])) for m in MORE_METHODS}
        tuned = run(
            [
                _wide(m, n, lr, seed, False) | longer
                for m in MORE_METHODS
                for lr, seed in product(tried[m], TUNING_SEEDS)
            ]
        )
        curve += tuning_curve(tuned, "method", "n")
        rates = best_rate(tuned, "method")
        for at, seed in enumerate(run.seeds(MORE_SEEDS_OF[n]), 1):
            cells = [_wide(m, n, rates[m,], seed, True) | longer for m in MORE_METHODS]
            rows += [{k: c[k] for k in ("method", "n", "lr", "seed")} | f for c, f in run(cells)]
            seeds[n] = MORE_SEEDS_OF[n][:at]
            own = {"steps": MORE_STEPS, "seeds": seeds, "learning_rates": "see the curve"}
            path = run.write(settings=_wide_settings() | own, curve=curve, rows=rows)
    return path


FORM_SUITES, FORM_N = (1, 2), (16, 100)
FORM_ROUNDS = {"first": (8, SEEDS), "second": (len(FORMS), (5, 6, 7, 8, 9))}


def forms(run: Runner) -> Path:
    """Forms of PHA against the collapse: chosen on suites of other seeds, reported on suite 0.

    The one with the highest mean over related half, conflicting half and both starts on the
    validation rows of the suites 1 and 2 is then tested beside the usual form on suite 0. There
    are two rounds: the last forms were added when the report on the first eight had been seen, so
    the second choice is reported on seeds of its own. `rows` holds both reports: paired by seed, a
    form that was chosen twice has all of them.
    """
    tuned = run(
        [
            {"cell": "form", "form": f, "n": n, "lr": lr, "seed": 100 + s, "test": False}
            | {"suite_seed": s, **_size(n)}
            for f, n, lr, s in product(FORMS, FORM_N, GRID, FORM_SUITES)
        ]
    )
    _all_four(tuned)
    rates = best_rate(tuned, "form", "n")
    mean = {
        form: sum(
            got["validation"]["all"]
            for cell, got in tuned
            if cell["form"] == form and cell["lr"] == rates[form, cell["n"]]
        )
        for form in FORMS
    }
    rounds, rows = {}, []
    for name, (count, seeds) in FORM_ROUNDS.items():
        tried = list(FORMS)[:count]
        chosen = max((form for form in tried if form != "usual"), key=mean.get)
        seeds = run.seeds(seeds)
        finals = [
            {"cell": "form", "form": f, "n": n, "lr": rates[f, n], "seed": seed, "test": True}
            | {"suite_seed": 0, **_size(n)}
            for seed, f, n in product(seeds, ("usual", chosen), FORM_N)
        ]
        keys = ("form", "n", "lr", "seed")
        rows += [{k: cell[k] for k in keys} | got for cell, got in run(finals)]
        rounds[name] = {"forms": tried, "chosen": chosen, "seeds": seeds}
    seeds = sorted({row["seed"] for row in rows})
    settings = _form_settings(chosen) | {"rounds": rounds, "seeds": seeds}
    return run.write(settings=settings, forms=FORMS, curve=_form_curve(tuned), rows=rows)


LONG_N = 1000  # with MORE_STEPS: where `more_steps` saw PHA furthest behind on the conflicting half
LONG_RATES = (1e-3, 3e-3)  # `forms` never chose the third of its grid
LONG_SEEDS = (10, 11, 12, 13, 14)  # seen neither by `more_steps` nor by `forms`


def long_forms(run: Runner) -> Path:
    """The form that `forms` chose beside the usual one, with many rows and time to see them.

    Nothing is chosen here but each form's rate, by the rule and on the suites of `forms`.

    Raises:
        PHAError: there is no record of `forms` yet.
    """
    pair = ("usual", records.load("forms")["settings"]["chosen"])
    base = {"cell": "form", "n": LONG_N, **_size(LONG_N), "steps": MORE_STEPS[LONG_N]}
    tuned = run(
        [
            base | {"form": f, "lr": lr, "seed": 100 + s, "test": False, "suite_seed": s}
            for f, lr, s in product(pair, LONG_RATES, FORM_SUITES)
        ]
    )
    _all_four(tuned)
    rates = best_rate(tuned, "form")
    rows: list[dict] = []
    seeds = run.seeds(LONG_SEEDS)
    for at, seed in enumerate(seeds, 1):
        finals = [
            base | {"form": f, "lr": rates[f,], "seed": seed, "test": True, "suite_seed": 0}
            for f in pair
        ]
        keys = ("form", "n", "lr", "seed")
        rows += [{k: cell[k] for k in keys} | got for cell, got in run(finals)]
        settings = _form_settings(pair[1]) | {"steps": base["steps"], "seeds": seeds[:at]}
        settings |= {"learning_rates": LONG_RATES}
        path = run.write(settings=settings, curve=_form_curve(tuned), rows=rows)
    return path


def _form_settings(chosen: str) -> dict:
    own = {"suites_of_choice": FORM_SUITES, "tuning_seeds": [100 + s for s in FORM_SUITES]}
    return _wide_settings() | own | {"chosen": chosen}


def _all_four(tuned: list) -> None:
    """Let a form's score be the mean of both halves and of both starts on new surfaces."""
    parts = ("related", "conflicting", "retrieved", "loss")
    for _, got in tuned:
        got["validation"]["all"] = sum(got["validation"][part] for part in parts) / len(parts)


def _form_curve(tuned: list) -> list[dict]:
    keys = ("form", "n", "lr", "suite_seed")
    return [
        {k: cell[k] for k in keys} | got["validation"] | {"swap": got["swap"]}
        for cell, got in tuned
    ]


STREAM_BASE = {"n": 100, "steps": 600, "batch": 36}
STREAM_BASE_RATES = {"full": (3e-4, 1e-3)}  # a T5 tuned whole wants smaller steps than adapters
STREAM_RATES = {  # of an arrival: four rates for every strategy, around what it is known to bear
    "prototype": (1e-2, 3e-2, 1e-1, 3e-1),
    "adapter_per_task": (1e-3, 3e-3, 1e-2, 3e-2),
    "sequential": (3e-4, 1e-3, 3e-3, 1e-2),
    "sequential_full": (1e-4, 3e-4, 1e-3, 3e-3),
}
STREAM = {"n": 100, "steps": 100, "count": 12}
STREAM_SEEDS = (0, 1, 2, 3, 4)


def stream(run: Runner) -> Path:
    """Twelve tasks arrive one after another: what is learnt, kept and stored by each strategy."""
    (seed,) = TUNING_SEEDS
    methods = list(dict.fromkeys(method for method, _ in STRATEGIES.values()))
    tuned = run(
        [
            {"cell": "low_data", "method": m, "lr": lr, "seed": seed, "test": False}
            | {"rules": BASE_RULES, **STREAM_BASE}
            for m in methods
            for lr in STREAM_BASE_RATES.get(m, (1e-3, 3e-3))
        ]
    )
    base_rates = {m: lr for (m,), lr in best_rate(tuned, "method").items()}

    def cell(strategy: str, lr: float, seed: int, test: bool, **more) -> Cell:
        base = STREAM_BASE | {"lr": base_rates[STRATEGIES[strategy][0]]}
        return {"cell": "stream", "strategy": strategy, "lr": lr, "seed": seed, "test": test} | {
            "base": base, **STREAM, **more
        }  # fmt: skip

    trials = [cell(s, lr, seed, False) for s, rates in STREAM_RATES.items() for lr in rates]
    found = run(trials)
    rates = {s: lr for (s,), lr in best_rate(found, "strategy").items()}
    # Trained on everything at once, a method keeps the rate of its base phase; the untouched
    # model has none.
    rates |= {s: base_rates[STRATEGIES[s][0]] for s in STRATEGIES if s not in rates}
    rows, scratch = [], []
    for at, seed in enumerate(run.seeds(STREAM_SEEDS), 1):
        finals = [cell(s, rates[s], seed, True) for s in STRATEGIES]
        finals.append(cell("adapter_per_task", rates["adapter_per_task"], seed, True, alone=True))
        *done, (_, alone) = run(finals)
        rows += [{k: c[k] for k in ("strategy", "lr", "seed")} | got for c, got in done]
        scratch.append({"strategy": "adapter_per_task", "seed": seed, **alone})
        settings = common_settings() | {
            **STREAM,
            "base": STREAM_BASE,
            "base_rules": BASE_RULES,
            "base_rates": base_rates,
            "rates": STREAM_RATES,
            "seeds": STREAM_SEEDS[:at],
        }
        path = run.write(
            settings=settings,
            curve=tuning_curve(tuned, "method"),
            arrivals=tuning_curve(found, "strategy"),
            rows=rows,
            scratch=scratch,
        )
    return path


REAL_METHODS = (
    "pha",
    "task_embedding",
    "shared_adapter",
    "adapter_per_task",
    "lora",
    "full",
)
REAL = {"n": 300, "steps": 500, "batch": 24, "valid": 100, "rows": 500}
REAL_GRID, REAL_SEEDS = (3e-4, *GRID), SEEDS[:3]  # full fine-tuning wants smaller rates


def real_data(run: Runner) -> Path:
    """Six real tasks on the embedded backbone, beside a majority answer and a bag of words."""
    real.folder()  # where the data are missing, say so before any process starts
    base = {"cell": "real", **REAL}
    tuned = run(
        [
            base | {"method": m, "lr": lr, "seed": seed, "test": False}
            for m, lr, seed in product(REAL_METHODS, REAL_GRID, TUNING_SEEDS)
        ]
    )
    rates = best_rate(tuned, "method")
    rows = []
    for seed in run.seeds(REAL_SEEDS):
        finals = [
            base | {"method": m, "lr": rates[m,], "seed": seed, "test": True} for m in REAL_METHODS
        ]
        rows += [{k: c[k] for k in ("method", "lr", "seed")} | got for c, got in run(finals)]
        own = {
            "data": "local files in the sets' own layouts, folder in PHA_DATA_DIR",
            "tasks": real.TASKS,
            "metric": "accuracy",
            "training_rows_per_task": REAL["n"],
            "steps": REAL["steps"],
            "batch_size": REAL["batch"],
            "validation_rows_per_task": REAL["valid"],
            "test_rows_per_task": REAL["rows"],
            "max_source_length": real.LENGTH,
            "learning_rates": REAL_GRID,
            "seeds": REAL_SEEDS[: seed + 1],
        }
        path = run.write(
            settings=common_settings() | own, curve=tuning_curve(tuned, "method"), rows=rows
        )
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
    rates = best_rate(tuned, "backbone", "n")
    finals = [
        base | {"backbone": b, "n": n, "lr": rates[b, n], "seed": seed, "test": True}
        for (b, n), seed in product(grid, run.seeds(SEEDS[:3]))
    ]
    rows = [{k: c[k] for k in ("backbone", "n", "lr", "seed")} | got for c, got in run(finals)]
    return run.write(
        settings=common_settings() | {"seeds": run.seeds(SEEDS[:3]), "method": "shared_adapter"},
        curve=tuning_curve(tuned, "backbone", "n"),
        rows=rows,
    )


def few_shot(run: Runner) -> Path:
    """New cells with k examples from every start, and whether retrieval finds the right rule."""
    sources = [
        {"cell": "low_data", "method": "pha", "n": SOURCE_N, "lr": lr, "seed": seed, "test": False}
        for lr, seed in product(GRID, TUNING_SEEDS)
    ]
    source_lr = best_rate(run(sources), "method")[("pha",)]
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
    finals = [base | {"rates": chosen, "seed": seed, "test": True} for seed in run.seeds()]
    done = run(finals)
    rows = [{"seed": c["seed"], **row} for c, got in done for row in got["rows"]]
    retrieval = [{"seed": c["seed"], **row} for c, got in done for row in got["retrieval"]]
    settings = common_settings() | {
        "seeds": run.seeds(),
        "source_rows": SOURCE_N,
        "source_lr": source_lr,
        "tune": "prototype",
        "tuning_steps": FEW_STEPS,
        "tuning_rates": FEW_GRID,
        "chosen_rates": chosen,
        "query_rows": FEW_ROWS,
        "tuning_seeds": [cell["seed"] for cell in tuning],
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
    grid.__name__: grid
    for grid in (
        cards,
        variants,
        backbone,
        low_data,
        few_shot,
        sample_efficiency,
        more_steps,
        forms,
        long_forms,
        ablations,
        other_tasks,
        transfer,
        stream,
        costs,
        real_data,
    )
}
