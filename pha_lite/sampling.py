"""Which rows make the next training batch.

One task is drawn for every *example*, with probability proportional to size^(1 / temperature): 1
mixes in proportion to size, infinity gives every task the same share, 10 (HyperFormer's value) lies
close to equal. Drawing per example and not per batch matters here: the instance loss contrasts a
row with rows of *other* tasks, and a batch of a single task has none. (The released code means to
use temperature 10, but its sampler is commented out and mixing stays proportional to size; see
`PHAConfig` for what we use.)

Rows of unlike lengths cost padding. The usual remedy, batches of rows of one length, would often
be batches of one task. So with a `window` the tasks of every batch stay as drawn, and rows change
places only with rows of their own task, so that long ones meet in one batch and short ones in
another (our choice).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .errors import PHAError


class TaskSampler(Iterator):
    """An endless stream of batches, each a list of `(task index, row)`.

    Every task walks through its own shuffled epochs: within an epoch of a task each row comes
    exactly once. All randomness is a function of (seed, step) and of (seed, task, epoch), so that
    the state is two short entries, and a sampler that loads it continues bit for bit.

    Args:
        sizes: rows per task, in task order.
        batch_size: examples per batch.
        temperature: see above; above 0, `float("inf")` allowed.
        seed: of both the draws and the shuffles.
        lengths: per task the lengths of its rows, in any unit; needed for a window above 1.
        window: batches among which rows of a task change places by their lengths; 1 = none do.

    >>> sampler = TaskSampler([100, 10], batch_size=4, temperature=1.0)
    >>> [round(float(p), 3) for p in sampler.probabilities]
    [0.909, 0.091]
    >>> state = sampler.state_dict()
    >>> batch = next(sampler)
    >>> sampler.load_state_dict(state)
    >>> next(sampler) == batch
    True
    """

    def __init__(
        self,
        sizes: Sequence[int],
        batch_size: int,
        temperature: float = 10.0,
        seed: int = 0,
        lengths: Sequence[Sequence[int]] | None = None,
        window: int = 1,
    ):
        self.sizes = [int(size) for size in sizes]
        if not self.sizes or min(self.sizes) < 1:
            raise PHAError(
                f"sizes={list(sizes)}: the sampler needs at least one task and a row in each"
            )
        if batch_size < 1:
            raise PHAError(f"batch_size={batch_size}: at least 1")
        if not temperature > 0:
            raise PHAError(
                f"temperature={temperature}: above 0 (1 = proportional to size, inf = uniform)"
            )
        if seed < 0:
            raise PHAError(f"seed={seed}: 0 or above")
        if window < 1:
            raise PHAError(f"window={window}: at least 1 batch")
        if window > 1 and [len(rows) for rows in lengths or ()] != self.sizes:
            raise PHAError(f"window={window}: lengths of all rows of all tasks are wanted with it")
        self.batch_size = int(batch_size)
        self.lengths, self.window = lengths, int(window)
        self.temperature = float(temperature)
        self.seed = int(seed)
        self.probabilities = mixing(self.sizes, self.temperature)
        self._step = 0  # batches given
        self._taken = [0] * len(self.sizes)  # examples taken per task, over all epochs
        self._ready: list[list[tuple[int, int]]] = []  # what is left of the window, last one first
        self._opened = list(self._taken)  # `_taken` when the window was opened
        # task -> (epoch, the order of its rows); not part of the state, made again when missing
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __next__(self) -> list[tuple[int, int]]:
        if not self._ready:
            self._opened = list(self._taken)
            drawn = [self._draw(self._step + i) for i in range(self.window)]
            self._ready = (self._by_length(drawn) if self.window > 1 else drawn)[::-1]
        self._step += 1
        return self._ready.pop()

    def _draw(self, step: int) -> list[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, 0, step])
        tasks = rng.choice(len(self.sizes), size=self.batch_size, p=self.probabilities)
        return [(task, self._next_row(task)) for task in tasks.tolist()]

    def _by_length(self, batches: list[list[tuple[int, int]]]) -> list[list[tuple[int, int]]]:
        """The same batches, with each task's rows handed out from short to long."""
        rows: dict[int, list[int]] = {}
        for task, row in (drawn for batch in batches for drawn in batch):
            rows.setdefault(task, []).append(row)
        left = {t: iter(sorted(own, key=self.lengths[t].__getitem__)) for t, own in rows.items()}
        # which batch gets the short rows is drawn, and is the same for all tasks
        order = np.random.default_rng([self.seed, 2, self._step]).permutation(len(batches))
        for i in order:
            batches[i] = [(task, next(left[task])) for task, _ in batches[i]]
        return batches

    def _next_row(self, task: int) -> int:
        epoch, position = divmod(self._taken[task], self.sizes[task])
        if self._orders.get(task, (None,))[0] != epoch:
            rng = np.random.default_rng([self.seed, 1, task, epoch])
            self._orders[task] = epoch, rng.permutation(self.sizes[task])
        self._taken[task] += 1
        return int(self._orders[task][1][position])

    def state_dict(self) -> dict:
        """Plain numbers, fit for JSON: where the stream stands and what it is a stream of."""
        return {
            "step": self._step,
            "taken": list(self._opened if self._ready else self._taken),
            "sizes": list(self.sizes),
            "batch_size": self.batch_size,
            "temperature": self.temperature,
            "seed": self.seed,
            "window": self.window,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue where `state` stood.

        Raises:
            PHAError: the state belongs to a sampler of other tasks or settings.
        """
        own, state = self.state_dict(), {"window": 1, **state}
        for key in ("sizes", "batch_size", "temperature", "seed", "window"):
            if state.get(key) != own[key]:
                raise PHAError(
                    f"the sampler's state has {key}={state.get(key)}, this sampler {own[key]}"
                )
        step, self._taken, self._ready = int(state["step"]), [int(n) for n in state["taken"]], []
        self._step = step - step % self.window  # the window is made again, up to where it stood
        while self._step < step:
            next(self)


def mixing(sizes: Sequence[int], temperature: float) -> np.ndarray:
    """Share of each task, proportional to size^(1 / temperature) (Raffel et al. 2020, 3.5.2).

    Returns:
        float array of the length of `sizes`, sum 1.
    """
    logits = np.log(np.asarray(sizes, dtype=np.float64)) / temperature
    weights = np.exp(logits - logits.max())  # in logarithms: a low temperature must not overflow
    return weights / weights.sum()
