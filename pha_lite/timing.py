"""Timing by rounds: every contender runs in every round, and only ratios inside a round count.

Machines slow down for a while for reasons of their own. What slows a round slows all of it, so the
median over rounds of a ratio inside the round stands still where milliseconds do not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median, quantiles

from tqdm import tqdm

from .errors import PHAError


def interleaved(
    works: Mapping[str, Callable[[], object]],
    rounds: int = 7,
    times: int = 1,
    warmup: int = 1,
    progress: bool = True,
) -> dict[str, dict[str, list[float]]]:
    """Run every contender in turn, round after round.

    Args:
        works: name -> what to run.
        rounds: that count, at least 2.
        times: calls of a contender in a round; their mean is its time.
        warmup: rounds before those, thrown away.
        progress: show a bar.

    Returns:
        name -> {"wall": milliseconds of a call, one per round, "cpu": the same of processor time}.

    >>> taken = interleaved({"a": lambda: 0, "b": lambda: 0}, rounds=3, progress=False)
    >>> {name: len(found["wall"]) for name, found in taken.items()}
    {'a': 3, 'b': 3}
    """
    if rounds < 2 or times < 1 or warmup < 0:
        raise PHAError(f"rounds={rounds}, times={times}, warmup={warmup}: at least 2, 1 and 0")
    taken: dict[str, dict[str, list[float]]] = {n: {"wall": [], "cpu": []} for n in works}
    for at in tqdm(range(warmup + rounds), desc="rounds", disable=not progress):
        for name, work in works.items():
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(times):
                work()
            spent = time.perf_counter() - wall, time.process_time() - cpu
            if at >= warmup:
                for kind, seconds in zip(("wall", "cpu"), spent, strict=True):
                    taken[name][kind].append(1000 * seconds / times)
    return taken


def summary(taken: Mapping[str, Mapping[str, Sequence[float]]], base: str) -> dict[str, dict]:
    """Medians, quartiles and ratios of what `interleaved` took.

    Args:
        base: the contender to which all are compared, round by round.

    Returns:
        name -> median and quartiles of the wall time in ms, median processor time in ms, and median
        and quartiles of the ratio to `base` in the same round.
    """
    found = {}
    for name, times in taken.items():
        ratios = [a / b for a, b in zip(times["wall"], taken[base]["wall"], strict=True)]
        found[name] = {
            "median_ms": round(median(times["wall"]), 3),
            "quartiles_ms": _quartiles(times["wall"]),
            "cpu_ms": round(median(times["cpu"]), 3),
            "ratio": round(median(ratios), 4),
            "ratio_quartiles": _quartiles(ratios, 4),
        }
    return found


def _quartiles(values: Sequence[float], digits: int = 3) -> list[float]:
    low, _, high = quantiles(values, n=4, method="inclusive")
    return [round(low, digits), round(high, digits)]
