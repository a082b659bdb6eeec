"""How sure one may be of a mean: confidence intervals and paired comparisons, by scipy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .errors import PHAError, unknown


class Interval(NamedTuple):
    """A mean with its confidence interval; prints as `0.812 [0.790, 0.834]`."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"


class Paired(NamedTuple):
    """Mean difference a - b with its interval and the p-value of "no difference"."""

    difference: float
    low: float
    high: float
    p: float


def interval(
    values: Sequence[float], level: float = 0.95, seed: int = 0, method: str = "auto"
) -> Interval:
    """Confidence interval of the mean of independent values, for example one score per seed.

    Args:
        values: at least one. Equal values, or a single one, give width zero: no spread was seen,
            which is not certainty, so report the number of values beside it.
        level: coverage.
        seed: of the bootstrap.
        method: `"bootstrap"` (BCa, scipy) or `"t"` (Student). `"auto"` is t below 20 values:
            resampling five normal values covers about 86 % where it claims 95 %.

    >>> print(interval([0.80, 0.82, 0.84]))
    0.820 [0.770, 0.870]
    """
    from scipy import stats

    if method not in ("auto", "bootstrap", "t"):
        raise PHAError(unknown("method", method, ("auto", "bootstrap", "t")))
    if not 0 < level < 1:
        raise PHAError(f"level={level}: a coverage between 0 and 1, such as 0.95")
    values = _finite(values)
    mean = float(values.mean())
    if np.ptp(values) == 0:  # also a single value: no spread to speak of
        return Interval(mean, mean, mean)
    if method == "t" or (method == "auto" and len(values) < 20):
        low, high = stats.t.interval(level, len(values) - 1, loc=mean, scale=stats.sem(values))
    else:
        result = stats.bootstrap(
            (values,), np.mean, confidence_level=level, rng=np.random.default_rng(seed)
        )
        low, high = result.confidence_interval
    return Interval(mean, float(low), float(high))


def paired(a: Sequence[float], b: Sequence[float], level: float = 0.95, seed: int = 0) -> Paired:
    """Compare two methods on the same seeds or tasks: `a[i]` and `b[i]` differ in method only.

    The interval is `interval(a - b)`. The p-value is the sign-flip permutation test (two-sided,
    exact up to 13 pairs): with n pairs it cannot fall below 2^(1-n), so five seeds never give p <
    0.05, and say so.

    >>> paired([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]).p
    0.25
    """
    from scipy import stats

    a, b = _finite(a), _finite(b)
    if len(a) != len(b):
        raise PHAError(f"paired: {len(a)} values against {len(b)}; each needs its partner")
    difference = a - b
    low, high = interval(difference, level, seed)[1:]
    if len(a) == 1 or not difference.any():
        return Paired(float(difference.mean()), low, high, 1.0)
    test = stats.permutation_test(
        (difference,),
        np.mean,
        permutation_type="samples",
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return Paired(float(difference.mean()), low, high, float(test.pvalue))


def crossed(
    values: Sequence[Sequence[float]], level: float = 0.95, seed: int = 0, draws: int = 10_000
) -> Interval:
    """Interval of a grand mean over two things that were both drawn, such as seeds and tasks.

    Bootstrap by percentiles: rows and columns are drawn anew, independently of each other. So it
    speaks of other seeds *and* other tasks of the same kind; `interval` over the seeds' means
    speaks of other seeds on these very tasks. Percentiles of five rows are too narrow (they never
    leave the five values); with few rows read the wider of the two.

    Args:
        values: (rows, columns), for example one row per seed and one column per task.
        level, seed: as in `interval`.
        draws: of the bootstrap.

    >>> crossed([[0.5, 0.9], [0.5, 0.9]]).mean
    0.7
    """
    if not 0 < level < 1:
        raise PHAError(f"level={level}: a coverage between 0 and 1, such as 0.95")
    try:
        grid = np.asarray(values, dtype=np.float64)
    except ValueError as error:
        raise PHAError(f"values: rows of equally many numbers are wanted ({error})") from error
    if grid.ndim != 2 or grid.size == 0 or not np.isfinite(grid).all():
        raise PHAError(f"values of shape {grid.shape}: rows of equally many finite numbers")
    rng = np.random.default_rng(seed)
    shares = [  # how often each row, each column was drawn: (draws, rows), (draws, columns)
        rng.multinomial(size, np.full(size, 1 / size), draws) / size for size in grid.shape
    ]
    means = np.einsum("dr,rc,dc->d", shares[0], grid, shares[1], optimize=True)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(grid.mean()), float(low), float(high))


def holm(ps: Sequence[float]) -> list[float]:
    """P-values of m tests, corrected so that the chance of *any* false alarm stays at its level.

    Holm 1979: the smallest times m, the next times m - 1, and so on, never falling, at most 1.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    ps = _finite(ps)
    order = np.argsort(ps, kind="stable")
    grown = np.maximum.accumulate(ps[order] * np.arange(len(ps), 0, -1))
    result = np.empty(len(ps))
    result[order] = np.minimum(grown, 1.0)
    return result.tolist()


def p_text(p: float) -> str:
    """A p-value as tables show it, to two digits; one that would round to nothing says so.

    >>> p_text(0.032), p_text(0.0004)
    ('0.03', '< 0.01')
    """
    return "< 0.01" if p < 0.01 else f"{p:.2f}"


def _finite(values: Sequence[float]) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise PHAError(f"{values.tolist()}: expected a non-empty list of finite numbers")
    return values
