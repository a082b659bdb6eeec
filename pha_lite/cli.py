"""The command line, `pha`: its arguments, its help, its exit codes.

0 = done; 2 = a mistake in what was given, told in one line that begins with `error:`; 130 =
interrupted from the keyboard; 1 = the reader of the output went away. What the subcommands do
stands in `commands`, imported only when one runs, so that `pha --help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from .errors import PHAError

STARTS = ("retrieved", "loss", "fresh", "random", "mean", "wrong", "oracle", "fresh_adapter")
TUNES = ("none", "prototype", "hypernetwork", "all")
METHODS = (
    "pha",
    "shared_adapter",
    "adapter_per_task",
    "task_embedding",
    "hyperformer",
    "instance",
    "adapter_drop",
    "without_retriever",
    "full",
    "bitfit",
    "lora",
    "prompt",
)

EXPERIMENTS = ("glue", "superglue", "mrqa", "others", "lowdata", "fewshot")

TASKS_HELP = (
    "names separated by commas, for example glue/rte,glue/cola; 'suite' stands for the training "
    "tasks of the embedded suite, 'held_out' for its held-out ones; `pha info --tasks` lists all"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    argv = list(sys.argv[1:] if argv is None else argv)
    try:
        args = parser(full=argv[:1] == ["pretrain"]).parse_args(argv)
        if args.command == "pretrain":
            from .pretrain import main as pretrain

            pretrain(args)
        else:
            from . import commands

            getattr(commands, args.command)(args)
        sys.stdout.flush()
        return 0
    except PHAError as error:
        return _fail(str(error))
    except BrokenPipeError:  # as in `pha info | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        what = error.filename or "input or output"
        return _fail(f"{what}: {error.strerror or error}; check path, permissions and free space")
    except KeyboardInterrupt:
        print("\ninterrupted; a training run goes on with the same command", file=sys.stderr)
        return 130
    except SystemExit as exit:  # argparse: 0 after --help, 2 after a wrong argument
        return int(exit.code or 0)


def _fail(message: str) -> int:
    print(f"error: {message}", file=sys.stderr)
    return 2


def parser(full: bool = True) -> argparse.ArgumentParser:
    """All subcommands with their options.

    Args:
        full: also the options of `pretrain`, which that module lists itself; importing it takes
            seconds.
    """
    top = argparse.ArgumentParser(
        prog="pha",
        description="Prototype-based HyperAdapter: train, evaluate and reuse adapters for T5.",
        epilog="`pha COMMAND --help` shows a command's options and examples.",
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for build in (_train, _evaluate, _fewshot, _retrieve, _reproduce, _info, _bench):
        build(commands)
    pretrain = commands.add_parser(
        "pretrain",
        help="pretrain a small T5 backbone like the embedded one",
        epilog="example:\n  pha pretrain --steps 10000 --output runs/backbone",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if full:
        from .pretrain import add_arguments

        add_arguments(pretrain)
    return top


def _command(commands, name: str, summary: str, examples: str) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("--json", action="store_true", help="print one JSON object, for programs")
    return command


def _data(command: argparse.ArgumentParser, tasks: str | None) -> None:
    """Options that say which rows are read."""
    if tasks:
        command.add_argument("--tasks", metavar="NAMES", help=f"{tasks}: {TASKS_HELP}")
    command.add_argument(
        "--data-dir", metavar="DIR", help="folder with the benchmarks' own files (or PHA_DATA_DIR)"
    )
    command.add_argument(
        "--data-seed", type=int, default=0, metavar="S", help="seed of splits and of --n"
    )
    command.add_argument("--limit", type=int, metavar="N", help="test rows per task (default all)")


def _bench(commands) -> None:
    command = _command(
        commands,
        "bench",
        "time PHA beside LoRA, full fine-tuning and others, on random T5s of real size",
        "  pha bench\n"
        "  pha bench --size base --batch 16 --groups training --output bench.json\n"
        "ratios are the result: milliseconds belong to the machine and the hour",
    )
    command.add_argument("--size", default="small", help="tiny, small (default) or base")
    for name, value, what in (
        ("batch", 8, "rows"),
        ("source", 64, "tokens of a source"),
        ("target", 8, "tokens of a target"),
        ("tasks", 8, "tasks, mixed in the batch"),
        ("new-tokens", 16, "tokens to decode"),
        ("rows", 128, "rows for the generator alone"),
        ("rounds", 7, "rounds that count"),
        ("times", 1, "calls in a round"),
        ("threads", 1, "threads of torch"),
    ):
        about = f"{what} (default %(default)s)"
        command.add_argument(f"--{name}", type=int, default=value, metavar="N", help=about)
    command.add_argument(
        "--groups", default="training,decoding,generating", help="which of these (default all)"
    )
    command.add_argument("--device", default="cpu", help="torch's name of it (default cpu)")
    command.add_argument("--no-memory", action="store_true", help="skip peak memory")
    command.add_argument("--output", metavar="FILE", help="also write the JSON there")


def _train(commands) -> None:
    command = _command(
        commands,
        "train",
        "train adapters on several tasks, score them on their test splits, save",
        "  pha train --tasks suite --n 50 --steps 600 --output runs/suite\n"
        "  pha train --tasks glue/rte,glue/cola --data-dir benchmarks --output runs/real\n"
        "  pha train --tasks suite --method shared_adapter --output runs/shared\n"
        "  pha train --tasks glue/rte --backbone google-t5/t5-base --preset paper \\\n"
        "      --dtype bfloat16 --set adapter_dim=32 --set lr=3e-4 --output runs/base\n"
        "a run that was cut off goes on when the same command is given again; several GPUs share\n"
        "a run that `accelerate launch -m pha_lite train` starts, with the same options",
    )
    command.add_argument(
        "--output",
        metavar="DIR",
        required=True,
        help="new folder, or the one of a run to go on with",
    )
    _data(command, "what to train on")
    command.add_argument("--n", type=int, metavar="N", help="training rows per task (default all)")
    command.add_argument("--method", choices=METHODS, default="pha", help="default %(default)s")
    command.add_argument(
        "--preset", choices=("tiny", "paper"), help="sizes and settings (default: by backbone)"
    )
    command.add_argument(
        "--backbone", default="tiny", metavar="NAME", help="tiny, a hub name or a folder (a T5)"
    )
    command.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the frozen backbone; adapters are always float32",
    )
    for name, kind, meaning in (
        ("steps", int, "optimiser steps"),
        ("batch-size", int, "examples per step, of mixed tasks"),
        ("lr", float, "peak learning rate"),
        ("eval-every", int, "steps between validations, 0 = none"),
        ("patience", int, "validations without a gain before stopping, 0 = never stop"),
        ("seed", int, "of initial values, sampling and dropout"),
    ):
        command.add_argument(f"--{name}", type=kind, metavar="X", help=meaning)
    command.add_argument(
        "--config", metavar="FILE", help="JSON object with fields of PHAConfig and TrainConfig"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one field of PHAConfig or TrainConfig; may be given often, and wins",
    )
    command.add_argument(
        "--no-resume", action="store_true", help="start again and replace the run in --output"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bar")


def _evaluate(commands) -> None:
    command = _command(
        commands,
        "evaluate",
        "score a trained model",
        "  pha evaluate runs/suite\n"
        "  pha evaluate runs/real --tasks glue/rte --data-dir benchmarks --split validation\n"
        "  pha evaluate runs/suite --predictions answers.jsonl --json",
    )
    command.add_argument("model", metavar="DIR", help="folder written by `pha train`")
    command.add_argument("--backbone", metavar="NAME", help="where its T5 is, if it has moved")
    _data(command, "default: all tasks of the model")
    command.add_argument("--split", default="test", help="default %(default)s")
    command.add_argument("--predictions", metavar="FILE", help="write every answer to a JSONL file")


def _fewshot(commands) -> None:
    command = _command(
        commands,
        "fewshot",
        "adapt a trained model to a new task with k examples, and score it before and after",
        "  pha fewshot runs/suite --task held_out --k 16 --start retrieved\n"
        "  pha fewshot runs/suite --task sentiment/museum --k 4 --seeds 5 \\\n"
        "      --start retrieved,fresh,random --tune prototype",
    )
    command.add_argument("model", metavar="DIR", help="folder written by `pha train`")
    command.add_argument("--backbone", metavar="NAME", help="where its T5 is, if it has moved")
    command.add_argument("--task", required=True, metavar="NAMES", help=TASKS_HELP)
    _data(command, None)
    command.add_argument("--k", type=int, default=16, help="examples (default %(default)s)")
    command.add_argument(
        "--start",
        default="retrieved",
        metavar="STARTS",
        help=f"one or several of {', '.join(STARTS)} (default %(default)s)",
    )
    command.add_argument("--tune", choices=TUNES, default="prototype", help="default %(default)s")
    command.add_argument("--steps", type=int, default=20, help="tuning steps (default %(default)s)")
    command.add_argument(
        "--lr",
        type=float,
        help="default 0.1 for the prototype, 0.01 for a fresh adapter, 0.001 for all else",
    )
    command.add_argument("--seeds", type=int, default=1, help="episodes (default %(default)s)")
    command.add_argument(
        "--oracle", metavar="TASK", help="the related task, for --start oracle (suite: known)"
    )
    command.add_argument(
        "--wrong", metavar="TASK", help="a misleading one, for --start wrong (suite: known)"
    )
    command.add_argument(
        "--output", metavar="DIR", help="save the adapted model (one task, one start, one seed)"
    )


def _retrieve(commands) -> None:
    command = _command(
        commands,
        "retrieve",
        "show which trained tasks some texts are nearest to",
        '  pha retrieve runs/suite --text "the room was cold and dirty"\n'
        "  pha retrieve runs/suite --file lines.txt --k 5 --json",
    )
    command.add_argument("model", metavar="DIR", help="folder written by `pha train`")
    command.add_argument("--backbone", metavar="NAME", help="where its T5 is, if it has moved")
    command.add_argument("--text", action="append", default=[], help="may be given several times")
    command.add_argument("--file", metavar="FILE", help="one text per line, UTF-8")
    command.add_argument("--k", type=int, default=3, help="tasks shown (default %(default)s)")
    command.add_argument(
        "--reduce",
        choices=("mean", "vote", "softmax"),
        help="rank for all texts together as one new task, instead of each text by itself",
    )
    command.add_argument(
        "--by",
        choices=("prototypes", "instances"),
        default="prototypes",
        help="what to compare with; instances: the index saved with the model "
        "(default %(default)s)",
    )


def _reproduce(commands) -> None:
    command = _command(
        commands,
        "reproduce",
        "run one of the paper's experiments and put the result beside the paper's known figures",
        "  pha reproduce glue --dry-run --tflops 100\n"
        "  pha reproduce glue --dtype bfloat16 --output runs/glue\n"
        "  pha reproduce lowdata --methods pha,shared_adapter --seeds 3 --only '*/100/*'\n"
        "  pha reproduce fewshot --data-dir benchmarks --start retrieved,random\n"
        "  pha reproduce glue --backbone tiny --data-dir benchmarks --tasks glue/rte,glue/cola\n"
        "a run that was cut off goes on when the same command is given again; read a --dry-run\n"
        "first, as a cell of the paper's size needs a GPU",
    )
    command.add_argument("experiment", choices=EXPERIMENTS)
    command.add_argument(
        "--output", metavar="DIR", help="default runs/reproduce/EXPERIMENT; cells done are kept"
    )
    command.add_argument(
        "--dry-run", action="store_true", help="print data, steps, and estimates of memory and time"
    )
    command.add_argument(
        "--tflops",
        type=float,
        metavar="X",
        help="speed of the device for --dry-run, in 10^12 operations per second (default: measured "
        "here)",
    )
    command.add_argument(
        "--backbone",
        default="google-t5/t5-base",
        metavar="NAME",
        help="a hub name, a folder, or tiny with settings of its own (default %(default)s)",
    )
    command.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="of the frozen backbone"
    )
    command.add_argument(
        "--data-dir", metavar="DIR", help="folder with the benchmarks' own files (or PHA_DATA_DIR)"
    )
    command.add_argument(
        "--methods", default="pha", metavar="NAMES", help="separated by commas, or all"
    )
    command.add_argument("--seeds", type=int, default=1, metavar="N", help="0 ... N - 1")
    command.add_argument("--tasks", metavar="NAMES", help="train on these alone")
    command.add_argument("--new", metavar="NAMES", help="fewshot: meet these new tasks alone")
    command.add_argument("--start", metavar="STARTS", help="fewshot: these starts alone")
    command.add_argument("--steps", type=int, metavar="N", help="training steps of every cell")
    command.add_argument("--limit", type=int, metavar="N", help="test rows per task (default all)")
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="FIELD=VALUE",
        help="one field of PHAConfig or TrainConfig; may be given often",
    )
    command.add_argument(
        "--only",
        default="*",
        metavar="PATTERN",
        help="cells whose name fits, such as '*/pha/*/seed0'; --dry-run shows the names",
    )


def _info(commands) -> None:
    command = _command(
        commands,
        "info",
        "show versions and tasks, or what a trained model consists of",
        "  pha info\n  pha info --tasks\n  pha info runs/suite",
    )
    command.add_argument("model", nargs="?", metavar="DIR", help="folder written by `pha train`")
    command.add_argument("--backbone", metavar="NAME", help="where its T5 is, if it has moved")
    command.add_argument("--tasks", action="store_true", help="list every task by name")
