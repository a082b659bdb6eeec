"""Our figures beside the known ones: who measured what stands in every row."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from pha_lite.checkpoint import write_atomic, write_json
from pha_lite.record import run_record
from pha_lite.stats import interval

from .known import NOT_KNOWN, beside

OURS = "ours"
COLUMNS = (
    "origin", "method", "size", "seed", "task", "k", "start", "metric", "score", "source", "remark",
)  # fmt: skip


def rows(experiment: str, results: Mapping[str, tuple[dict, dict]]) -> list[dict]:
    """One row per figure, ours and known ones; scores in per cent."""
    table = []
    for cell, found in results.values():
        training = cell["training"]
        base = {
            "origin": OURS,
            "method": training["method"],
            "size": training["size"] or "all",
            "seed": training["seed"],
        }
        if cell["cell"] == "joint":
            for task, score in found["test"].items():
                metric = found["metrics"][task]
                table.append(base | {"task": task, "metric": metric, "score": 100 * score})
            mean = 100 * fmean(found["test"].values())
            table.append(base | {"task": "average", "metric": "mean", "score": mean})
        else:
            base |= {"task": cell["task"], "k": cell["k"], "metric": found["metric"]}
            start = cell["start"]
            table.append(base | {"start": f"{start}, untuned", "score": 100 * found["before"]})
            table.append(base | {"start": f"{start}, tuned", "score": 100 * found["after"]})
    for known in beside(experiment):
        table.append(
            {
                "origin": known.origin,
                "method": known.what,
                "task": "average",
                "score": known.value,
                "source": known.source,
                "remark": known.remark,
            }
        )
    return table


def write(
    output: Path,
    experiment: str,
    results: Mapping[str, tuple[dict, dict]],
    departures: list[str],
    planned: int,
) -> dict:
    """Writes results.json, results.csv and results.md into a folder; returns what the first holds.

    Args:
        output: the folder, which is there.
        experiment: a name of `protocol.EXPERIMENTS`.
        results: name -> (cell, what it gave).
        departures: from the paper's setting.
        planned: number of cells of the plan.
    """
    table = rows(experiment, results)
    record = run_record(
        experiment=experiment,
        cells=f"{len(results)} of {planned}",
        departures=departures,
        rows=table,
        not_known=f"figures of the paper that are not in the rows: {NOT_KNOWN}",
    )
    write_json(output / "results.json", record)
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    write_atomic(output / "results.csv", text.getvalue())
    write_atomic(output / "results.md", markdown(record))
    return record


def markdown(record: dict) -> str:
    """The comparison as a page: first ours and the paper's in one table, then the neighbours'."""
    ours = [row for row in record["rows"] if row["origin"] == OURS]
    known = [row for row in record["rows"] if row["origin"] != OURS]
    lines = [f"# {record['experiment']}: ours beside the paper's", ""]
    lines.append(f"Cells done: {record['cells']}. Scores in per cent.")
    if record["departures"]:
        gone = "; ".join(record["departures"])
        lines.append(f"**Not the paper's setting:** {gone}. Do not compare these with its figures.")
    lines += ["", *(_few(ours) if any("k" in row for row in ours) else _joint(ours, known))]
    if known:
        lines += ["", "Known figures, none of them measured by us:", ""]
        lines += _table(
            ("from", "what", "score", "source", "remark"),
            [
                (r["origin"], r["method"], f"{r['score']:.1f}", r["source"], r["remark"])
                for r in known
            ],
        )
    lines += ["", f"All other figures of the paper for this experiment: {NOT_KNOWN}."]
    return "\n".join(lines) + "\n"


def _joint(ours: list[dict], known: list[dict]) -> list[str]:
    """A line per method and size, a column per task, and the paper's average."""
    tasks = list(dict.fromkeys(row["task"] for row in ours))
    keys = list(dict.fromkeys((row["method"], row["size"]) for row in ours))
    paper = {"pha": next((f"{r['score']:.1f}" for r in known if r["method"] == "PHA"), NOT_KNOWN)}
    lines = []
    for method, size in keys:
        found = {
            task: [
                row["score"]
                for row in ours
                if (row["method"], row["size"], row["task"]) == (method, size, task)
            ]
            for task in tasks
        }
        scores = [_spread(found[task]) for task in tasks]
        lines.append((method, size, len(found["average"]), *scores, paper.get(method, NOT_KNOWN)))
    header = ("method", "rows per task", "seeds", *(f"{t} (ours)" for t in tasks))
    return _table((*header, "average (paper)"), lines)


def _few(ours: list[dict]) -> list[str]:
    """A line per new task, k, method and start."""
    few = [row for row in ours if "k" in row]
    keys = dict.fromkeys((r["task"], r["k"], r["method"], r["start"]) for r in few)
    lines = []
    for key in sorted(keys):
        scores = [
            row["score"]
            for row in few
            if (row["task"], row["k"], row["method"], row["start"]) == key
        ]
        lines.append((*key, len(scores), _spread(scores), NOT_KNOWN))
    header = ("new task", "k", "method", "start", "seeds", "score (ours)", "score (paper)")
    return _table(header, lines)


def _spread(scores: list[float]) -> str:
    """Mean, with its 95 % interval where there are several seeds."""
    if len(scores) < 2:
        return f"{fmean(scores):.1f}"
    found = interval(scores)
    return f"{found.mean:.1f} [{found.low:.1f}, {found.high:.1f}]"


def _table(header: tuple, lines: list[tuple]) -> list[str]:
    rule = "|".join(["---"] * len(header))
    return [f"| {' | '.join(header)} |", f"|{rule}|"] + [
        f"| {' | '.join(map(str, line))} |" for line in lines
    ]
