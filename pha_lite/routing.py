"""Which row of a batch belongs to which task, worked out once per batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .errors import PHAError


@dataclass(frozen=True)
class Route:
    """Rows of a batch grouped by task, ready for one batched product over the groups.

    Every distinct task k owns R slots, R being the largest group. Smaller groups fill up with
    copies of their first row, whose results nobody reads. So the adapters of K tasks are applied
    to all rows by two batched products.

    Attributes:
        tasks: (K,) distinct task ids, ascending.
        group: (B,) position of each row's task in `tasks`.
        slots: (K * R,) the row that fills each slot.
        back: (B,) the slot in which each row's result stands.
        in_order: row i is the one row of group i, so nothing has to be moved.

    >>> route = Route.of([5, 2, 5])
    >>> route.tasks.tolist(), route.slots.tolist(), route.back.tolist()
    ([2, 5], [1, 1, 0, 2], [2, 0, 3])
    """

    tasks: Tensor
    group: Tensor
    slots: Tensor
    back: Tensor
    in_order: bool

    @classmethod
    def of(cls, task_ids: Tensor | Sequence[int], device: torch.device | None = None) -> Route:
        """Groups the rows of a batch.

        Args:
            task_ids: (B,) one task id per row.
            device: where the index tensors live; by default that of `task_ids`.
        """
        if isinstance(task_ids, Tensor):
            device = task_ids.device if device is None else device
            task_ids = task_ids.tolist()
        if not len(task_ids):
            raise PHAError("a batch without rows has no route; give at least one row.")
        tasks = sorted(set(task_ids))
        position = {task: k for k, task in enumerate(tasks)}
        return cls._of_groups(tasks, [position[task] for task in task_ids], device)

    @classmethod
    def of_rows(cls, rows: int, device: torch.device | None = None) -> Route:
        """Every row is a group of its own: adapters generated from each instance."""
        return cls._of_groups(list(range(rows)), list(range(rows)), device)

    @classmethod
    def _of_groups(cls, tasks: list[int], group: list[int], device) -> Route:
        members: list[list[int]] = [[] for _ in tasks]
        places = []
        for row, k in enumerate(group):
            places.append(len(members[k]))
            members[k].append(row)
        size = max(map(len, members))
        slots = [row for rows in members for row in rows + rows[:1] * (size - len(rows))]
        back = [k * size + place for k, place in zip(group, places, strict=True)]
        tensors = (torch.tensor(values, device=device) for values in (tasks, group, slots, back))
        return cls(*tensors, in_order=slots == list(range(len(tasks))))

    def __len__(self) -> int:
        """Number of rows."""
        return self.group.shape[0]

    def expand(self, copies: int) -> Route:
        """The route after every row was repeated, copies side by side, as beam search does."""
        if copies == 1:
            return self
        group = self.group.repeat_interleave(copies).tolist()
        return self._of_groups(self.tasks.tolist(), group, self.group.device)
