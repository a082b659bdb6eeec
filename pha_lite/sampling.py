"""Which rows make the next training batch.

One task is drawn for every *example*, with probability proportional to size^(1 / temperature): 1
mixes in proportion to size, infinity gives every task the same share, 10 (HyperFormer's value) lies
close to equal. Drawing per example and not per batch matters here: the instance loss contrasts a
row with rows of *other* tasks, and a batch of a single task has none. (The released code means to
use temperature 10, but its sampler is commented out and mixing stays proportional to size; see
`PHAConfig` for what we use.)
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
        self, sizes: Sequence[int], batch_size: int, temperature: float = 10.0, seed: int = 0
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
        self.batch_size = int(batch_size)
        self.temperature = float(temperature)
        self.seed = int(seed)
        self.probabilities = mixing(self.sizes, self.temperature)
        self._step = 0  # batches drawn
        self._taken = [0] * len(self.sizes)  # examples taken per task, over all epochs
        # task -> (epoch, the order of its rows); not part of the state, made again when missing
        self._orders: dict[int, tuple[int, np.ndarray]] = {}

    def __next__(self) -> list[tuple[int, int]]:
        rng = np.random.default_rng([self.seed, 0, self._step])
        tasks = rng.choice(len(self.sizes), size=self.batch_size, p=self.probabilities)
        self._step += 1
        return [(task, self._next_row(task)) for task in tasks.tolist()]

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
            "taken": list(self._taken),
            "sizes": list(self.sizes),
            "batch_size": self.batch_size,
            "temperature": self.temperature,
            "seed": self.seed,
        }

    def load_state_dict(self, state: dict) -> None:
        """Continue where `state` stood.

        Raises:
            PHAError: the state belongs to a sampler of other tasks or settings.
        """
        own = self.state_dict()
        for key in ("sizes", "batch_size", "temperature", "seed"):
            if state.get(key) != own[key]:
                raise PHAError(
                    f"the sampler's state has {key}={state.get(key)}, this sampler {own[key]}"
                )
        self._step, self._taken = int(state["step"]), [int(n) for n in state["taken"]]


def mixing(sizes: Sequence[int], temperature: float) -> np.ndarray:
    """Share of each task, proportional to size^(1 / temperature) (Raffel et al. 2020, 3.5.2).

    Returns:
        float array of the length of `sizes`, sum 1.
    """
    logits = np.log(np.asarray(sizes, dtype=np.float64)) / temperature
    weights = np.exp(logits - logits.max())  # in logarithms: a low temperature must not overflow
    return weights / weights.sum()
