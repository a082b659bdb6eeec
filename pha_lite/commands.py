"""What the subcommands of `pha` do. Each takes the parsed arguments and prints its result."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import torch
from transformers.utils import logging as transformers_logging

from .baselines import CLASSES
from .checkpoint import check_writable, load_json, write_atomic, write_json
from .config import BASELINES, PHAConfig
from .distributed import start
from .errors import PHAError, unknown
from .evaluate import score
from .fewshot import adapt
from .model import PHAModel
from .record import commit, machine, run_record, versions
from .run import CHECKPOINT, RECORD
from .tasks import Task, load_task
from .train import TrainConfig, check_tasks, evaluate_tasks, predictions_of
from .train import train as train_model

transformers_logging.disable_progress_bar()  # of loading weights; training shows its own


def train(args: argparse.Namespace) -> None:
    """`pha train`: everything is loaded and checked before the first file is written."""
    _, team = start()
    given = _settings(args)
    config = TrainConfig.from_dict(_only(TrainConfig, given))
    output = team.from_main(_output_folder, Path(args.output))
    tasks = _load(args.tasks or given.get("tasks"), args)
    if args.n is not None:
        tasks = {name: task.sample(args.n, seed=args.data_seed) for name, task in tasks.items()}
    model = _new_model(args, _only(PHAConfig, {**given, "tasks": list(tasks)}))
    check_tasks(model, tasks, ("train", "validation", "test"))

    quiet = args.quiet or args.json
    result = train_model(model, tasks, config, output, not args.no_resume, progress=not quiet)
    test = evaluate_tasks(model, tasks, "test", args.limit, team)
    record = {**result.record, "test": test}
    team.from_main(write_json, output / RECORD, record)
    team.hang_up()
    if not team.main:
        return None
    if args.json:
        return _print_json(record)
    validation = result.best["scores"]
    rows = [
        (name, task.metric, len(task["train"]), validation.get(name), test[name])
        for name, task in tasks.items()
    ]
    rows.append(("mean", "", "", result.best["mean"], _mean(test.values())))
    _print_table(("task", "metric", "train rows", "validation", "test"), rows)
    steps, seconds = result.record["steps"], result.record["seconds"]
    print(f"\nbest of {steps} steps: {result.best['step']}; {seconds:.0f} s; saved in {output}")
    return None


def bench(args: argparse.Namespace) -> None:
    """`pha bench`"""
    from . import bench as benchmark

    if args.threads < 1:
        raise PHAError(f"--threads {args.threads}: at least 1")
    if args.output:
        check_writable(Path(args.output).parent)
    torch.set_num_threads(args.threads)
    names = [field.name for field in fields(benchmark.Setting)]
    setting = benchmark.Setting(**{name: getattr(args, name) for name in names})
    groups = [name.strip() for name in args.groups.split(",")]
    found = benchmark.run(
        setting, groups, args.rounds, args.times, not args.json, not args.no_memory
    )
    record = run_record(
        command="pha bench "
        + " ".join(f"--{n.replace('_', '-')} {getattr(args, n)}" for n in names),
        settings={**asdict(setting), "rounds": args.rounds, "times": args.times},
        threads=args.threads,
        groups=found,
    )
    if args.output:
        write_json(Path(args.output), record)
    if args.json:
        return _print_json(record)
    for group, rows in found.items():
        print(f"\n{group}: ratio to {benchmark.GROUPS[group]!r} in the same round")
        table = [
            (n, f"{r['ratio']:.3f}", *(f"{v:.3f}" for v in r["ratio_quartiles"]),
             f"{r['median_ms']:.1f}", f"{r['cpu_ms']:.1f}", r.get("peak_mib", ""))
            for n, r in rows.items()
        ]  # fmt: skip
        _print_table(("contender", "ratio", "from", "to", "wall ms", "cpu ms", "peak MiB"), table)


def evaluate(args: argparse.Namespace) -> None:
    """`pha evaluate`"""
    if args.predictions and not Path(args.predictions).parent.is_dir():
        raise PHAError(f"--predictions {args.predictions}: no such folder; make it first")
    model = _saved_model(args)
    tasks = _load(args.tasks or model.config.tasks, args)
    check_tasks(model, tasks, (args.split,))
    scores, lines = {}, []
    for name, task in tasks.items():
        cut, answers = predictions_of(model, task, args.split, args.limit)
        scores[name] = score(cut, answers, args.split)
        for row, answer in zip(cut[args.split], answers, strict=True):
            lines.append(json.dumps({"task": name, **row, "prediction": answer}))
    if args.predictions:
        write_atomic(Path(args.predictions), "\n".join(lines) + "\n")
    if args.json:
        return _print_json({"split": args.split, "scores": scores, "mean": _mean(scores.values())})
    rows = [(name, task.metric, scores[name]) for name, task in tasks.items()]
    _print_table(("task", "metric", args.split), [*rows, ("mean", "", _mean(scores.values()))])


def fewshot(args: argparse.Namespace) -> None:
    """`pha fewshot`"""
    starts = args.start.split(",")
    if args.seeds < 1:
        raise PHAError(f"--seeds {args.seeds}: give at least 1")
    model = _saved_model(args)
    tasks = _load(args.task, args)
    if args.output and len(tasks) * len(starts) * args.seeds > 1:
        raise PHAError("--output: saves one model; give one task, one start and one seed")
    output = _output_folder(Path(args.output)) if args.output else None
    options = {"tune": args.tune, "steps": args.steps, "lr": args.lr, "limit": args.limit}
    results = [
        adapt(
            model, task, args.k, start, seed=seed, **options, **_related(task, start, model, args)
        )
        for task in tasks.values()
        for start in starts
        for seed in range(args.seeds)
    ]
    if output:
        results[0].model.save_pretrained(output)
    if args.json:
        return _print_json([result.to_dict() for result in results])
    rows = [
        (r.task, r.start, r.source or "-", r.seed, r.before, r.after, f"{r.seconds:.1f} s")
        for r in results
    ]
    if len(results) > 1:
        for start in starts:
            same = [r for r in results if r.start == start]
            before, after = _mean(r.before for r in same), _mean(r.after for r in same)
            rows.append(("mean", start, "", "", before, after, ""))
    _print_table(("task", "start", "from", "seed", "before", f"k = {args.k}", "time"), rows)


def retrieve(args: argparse.Namespace) -> None:
    """`pha retrieve`"""
    texts = [*args.text, *(_lines(Path(args.file)) if args.file else [])]
    if not texts:
        raise PHAError('nothing to look up: give --text "..." or --file FILE')
    for text in texts:
        if not text.strip() or not text.isprintable():
            raise PHAError(f"--text {text!r}: give readable, non-empty text")
    model = _saved_model(args)
    if args.reduce:
        scores = model.retrieve(texts, args.k, args.by, args.reduce)
        found = {f"{len(texts)} texts together": scores}
    else:
        found = {text: model.retrieve([text], args.k, args.by) for text in texts}
    if args.json:
        return _print_json([{"text": text, "tasks": ranked} for text, ranked in found.items()])
    for text, ranked in found.items():
        print(text)
        _print_table(("", "task", "cosine"), [(i + 1, *pair) for i, pair in enumerate(ranked)])


def reproduce(args: argparse.Namespace) -> None:
    """`pha reproduce`"""
    from . import reproduce

    def names(text: str | None) -> list[str]:
        return [name.strip() for name in (text or "").split(",") if name.strip()]

    if args.limit is not None and args.limit < 1:
        raise PHAError(f"--limit {args.limit}: a number of rows, at least 1")
    if args.tflops is not None and not args.tflops > 0:
        raise PHAError(f"--tflops {args.tflops}: above 0, for example 100")
    steps = {} if args.steps is None else {"steps": args.steps}
    made = reproduce.plan(
        args.experiment,
        backbone=args.backbone,
        data_dir=args.data_dir,
        methods=reproduce.METHODS if args.methods == "all" else names(args.methods),
        seeds=args.seeds,
        tasks=names(args.tasks),
        new=names(args.new),
        starts=names(args.start) or reproduce.STARTS,
        dtype=args.dtype,
        settings=steps | _pairs(args.set),
        only=args.only,
        limit=args.limit,
    )
    if args.dry_run:
        found = reproduce.dry_run(made, args.tflops)
        return _print_json(found) if args.json else _print_dry_run(found)
    output = Path(args.output or Path("runs") / "reproduce" / args.experiment)
    record = reproduce.run(made, output)
    if args.json:
        return _print_json(record)
    print((output / "results.md").read_text(encoding="utf-8"))
    print(f"written: {output / 'results'}.md, .csv, .json")
    return None


def _print_dry_run(found: dict) -> None:
    print(found["about"])
    for reason in found["missing"].values():
        print(f"missing: {reason}")
    if found["departures"]:
        print(f"not the paper's setting: {'; '.join(found['departures'])}")
    print(f"data: {found['data']}\n")
    rows = []
    for name, cell in found["cells"].items():
        rows_of = cell["rows"] if isinstance(cell["rows"], dict) else {}
        counts = [rows_of.get(part) for part in ("train", "validation", "test")]
        amount = (cell["operations"] / 1e12, cell["memory_gib"], cell["hours"])
        work = tuple(f"{number:,.3g}" for number in amount)
        rows.append((name, *counts, cell["steps"], cell["batch"], *work))
    header = ("cell", "train", "valid.", "test", "steps", "batch", "10^12 op.", "GiB", "hours")
    _print_table(header, rows)
    speed = found["speed"]
    print(
        f"\nESTIMATES, nothing was run: {len(rows)} cells, at least {found['hours']:,.3g} hours at "
        f"{speed['tflops']:,.3g} x 10^12 operations per second ({speed['from']}); "
        f"{found['memory_gib']:,.3g} GiB of memory, {found['disk_gib']:,.3g} GiB of disk.\n"
        f"{found['estimate']}"
    )


def info(args: argparse.Namespace) -> None:
    """`pha info`"""
    if args.tasks:
        names = _task_names()
        if args.json:
            return _print_json(names)
        for group, members in names.items():
            print(f"{group} ({len(members)})", *members, sep="\n  ")
        return None
    facts = {"versions": versions(), "commit": commit(), "machine": machine()}
    if args.model:
        model = _saved_model(args)
        facts["backbone"] = model.backbone_name
        facts["model"] = model.config.to_dict()
        facts["parameters"] = model.count_parameters()
    if args.json:
        return _print_json(facts)
    print(*(f"{name} {number}" for name, number in facts["versions"].items()), sep=", ")
    print(f"commit: {facts['commit'] or 'not a checkout'}\nmachine: {facts['machine']}")
    if args.model:
        config = {**facts["model"], "tasks": ", ".join(facts["model"]["tasks"])}
        print(f"backbone: {facts['backbone'] or 'unnamed'}\n")
        _print_table(("field", "value"), list(config.items()))
        print()
        _print_table(("parameters", "number"), list(facts["parameters"].items()))
    else:
        counts = ", ".join(f"{len(names)} {group}" for group, names in _task_names().items())
        print(f"tasks: {counts} (pha info --tasks lists them)")
    return None


# -- arguments -> objects -------------------------------------------------------------------------


def _settings(args: argparse.Namespace) -> dict:
    """Fields of both configurations: preset, then --config, then options, then --set."""
    small = args.preset == "tiny" if args.preset else args.backbone == "tiny"
    preset = (
        (PHAConfig.tiny(), TrainConfig()) if small else (PHAConfig.paper(), TrainConfig.paper())
    )
    form = args.method if args.method in BASELINES else "pha"
    method = PHAConfig.baseline(form, base=preset[0]).to_dict()
    given = {**preset[1].to_dict(), **method}
    given.pop("tasks")
    if args.config:
        values = load_json(Path(args.config))
        if not isinstance(values, dict):
            raise PHAError(f"{args.config}: must hold a JSON object, field -> value")
        given |= _known(values, f"{args.config}: ")
    names = ("steps", "batch_size", "lr", "seed", "eval_every", "patience")
    given |= {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return given | _pairs(args.set)


def _pairs(texts: Sequence[str]) -> dict:
    """The fields given by --set."""
    given = {}
    for pair in texts:
        name, equals, text = pair.partition("=")
        if not equals:
            raise PHAError(f"--set {pair}: write it as FIELD=VALUE, for example --set lr=1e-3")
        try:
            value = json.loads(text)
        except ValueError:
            value = text  # a bare word, as in placement=sequential
        given |= _known({name.strip(): value}, "--set ")
    return given


def _known(values: dict, where: str) -> dict:
    names = [entry.name for kind in (PHAConfig, TrainConfig) for entry in fields(kind)]
    for name in values:
        if name not in names:
            raise PHAError(where + unknown("field", name, dict.fromkeys(names)))
    return values


def _only(kind: type, values: dict) -> dict:
    return {entry.name: values[entry.name] for entry in fields(kind) if entry.name in values}


def _load(names: str | Sequence[str] | None, args: argparse.Namespace) -> dict[str, Task]:
    if args.limit is not None and args.limit < 1:
        raise PHAError(f"--limit {args.limit}: a number of rows, at least 1")
    if args.data_seed < 0:
        raise PHAError(f"--data-seed {args.data_seed}: at least 0")
    names = names.split(",") if isinstance(names, str) else list(names or [])
    names = [str(name).strip() for name in names if str(name).strip()]
    if not names:
        raise PHAError(
            "--tasks: name at least one, for example --tasks suite (see pha info --tasks)"
        )
    if {"suite", "held_out"} & set(names):
        from .suite import load_suite

        suite = load_suite(seed=args.data_seed)
        groups = {"suite": suite.train_tasks, "held_out": suite.held_out}
        names = [member for name in names for member in groups.get(name, [name])]
    return {name: load_task(name, args.data_dir, args.data_seed) for name in dict.fromkeys(names)}


def _related(task: Task, start: str, model: PHAModel, args: argparse.Namespace) -> dict:
    """The tasks meant by the starts "oracle" and "wrong": as given, or as the suite knows them."""
    from .suite import load_suite

    given = getattr(args, start) if start in ("oracle", "wrong") else None
    if start not in ("oracle", "wrong") or given:
        return {start: given} if given else {}
    suite = load_suite(seed=args.data_seed)
    if task.name not in suite:
        return {}
    known = suite.relatives(task.name) if start == "oracle" else suite.rivals(task.name)
    known = [name for name in known if name in model.config.tasks]
    return {start: known[0]} if known else {}


def _task_names() -> dict[str, list[str]]:
    from .benchmarks import BENCHMARKS
    from .suite import load_suite

    suite = load_suite()
    groups = {"suite": suite.train_tasks, "held_out": suite.held_out, "benchmarks": BENCHMARKS}
    return {group: list(names) for group, names in groups.items()}


def _new_model(args: argparse.Namespace, values: dict) -> PHAModel:
    from .backbone import load_backbone

    config, kind = PHAConfig.from_dict(values), CLASSES.get(args.method, PHAModel)
    if args.dtype == "float32":
        return kind.from_backbone(args.backbone, config)
    return kind.from_backbone(load_backbone(args.backbone, getattr(torch, args.dtype)), config)


def _saved_model(args: argparse.Namespace) -> PHAModel:
    model = PHAModel.from_pretrained(args.model, backbone=args.backbone)
    return model.to("cuda" if torch.cuda.is_available() else "cpu").eval()


def _output_folder(folder: Path) -> Path:
    """Refuse a place where a run would overwrite something else. Makes nothing."""
    check_writable(folder)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / CHECKPOINT).exists():
        raise PHAError(f"--output {folder}: holds other files and no run; give a new folder")
    return folder


def _lines(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise PHAError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from error
    return [line for line in lines if line.strip()]


# -- objects -> text ------------------------------------------------------------------------------


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return sum(values) / len(values)


def _print_json(value: object) -> None:
    print(json.dumps(value, indent=1, ensure_ascii=False))


def _print_table(header: Sequence[str], rows: Sequence[Sequence]) -> None:
    """Columns as wide as their widest cell; scores with three decimals, numbers to the right."""
    cells = [[_cell(value) for value in row] for row in (header, *rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    numeric = [
        all(isinstance(row[c], int | float | None) for row in rows) for c in range(len(header))
    ]
    for row in cells:
        padded = [
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        ]
        sys.stdout.write("  ".join(padded).rstrip() + "\n")


def _cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
