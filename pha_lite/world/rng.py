"""Random choices that give the same bytes on every platform and Python version."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Rng:
    """Choices drawn from a seed and a key.

    Only ``random.Random.random`` is used: Python promises that its stream never changes, which it
    does not for ``choice``, ``sample`` or ``shuffle``.

    Args:
        seed: the world's seed.
        *key: anything that names the stream, such as a task and a split.

    >>> Rng(0, "a").below(10) == Rng(0, "a").below(10)
    True
    """

    def __init__(self, seed: int, *key: object) -> None:
        text = "/".join(str(part) for part in (seed, *key))
        digest = hashlib.sha256(text.encode()).digest()
        self._random = random.Random(int.from_bytes(digest[:8], "big")).random

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(self._random() * n)

    def chance(self, p: float = 0.5) -> bool:
        """True with probability p."""
        return self._random() < p

    def pick(self, items: Sequence[T]) -> T:
        """One of the items."""
        return items[self.below(len(items))]

    def picks(self, items: Sequence[T], n: int) -> list[T]:
        """n different items, in random order."""
        pool = list(items)
        return [pool.pop(self.below(len(pool))) for _ in range(n)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """All items in random order."""
        return self.picks(items, len(items))
