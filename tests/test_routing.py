"""Route: every row finds its task again, whatever the mix."""

from __future__ import annotations

import pytest
import torch

from pha_lite.errors import PHAError
from pha_lite.routing import Route

MIXES = [
    [0],
    [3, 3, 3],
    [0, 1, 2],
    [2, 0, 1],
    [2, 0, 2, 2, 1],
    [7] * 9 + [1],
    list(range(6, 0, -1)),
]


@pytest.mark.parametrize("ids", MIXES)
def test_slots_hold_every_row_once_under_its_task(ids):
    route = Route.of(torch.tensor(ids))
    assert route.tasks.tolist() == sorted(set(ids))
    assert [route.tasks[k] for k in route.group] == ids
    assert len(route) == len(ids)
    # Through the slots and back every row stands where it was.
    assert route.slots[route.back].tolist() == list(range(len(ids)))
    size = len(route.slots) // len(route.tasks)
    assert size == max(ids.count(task) for task in ids)
    for k, task in enumerate(route.tasks.tolist()):
        rows = route.slots[k * size : (k + 1) * size].tolist()
        assert {row for row, t in enumerate(ids) if t == task} == set(rows)
    assert route.in_order == (ids == sorted(set(ids)))


@pytest.mark.parametrize("ids", MIXES)
@pytest.mark.parametrize("copies", [1, 2, 5])
def test_expanding_is_routing_the_repeated_rows(ids, copies):
    got = Route.of(ids).expand(copies)
    want = Route.of(torch.tensor(ids).repeat_interleave(copies))
    for name in ("tasks", "group", "slots", "back"):
        assert torch.equal(getattr(got, name), getattr(want, name)), name
    assert got.in_order == want.in_order


def test_rows_as_groups_of_their_own():
    route = Route.of_rows(4)
    for name in ("tasks", "group", "slots", "back"):
        assert getattr(route, name).tolist() == [0, 1, 2, 3]
    assert route.in_order


def test_an_empty_batch_is_refused():
    with pytest.raises(PHAError, match="without rows"):
        Route.of([])
