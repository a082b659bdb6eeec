from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q8"
points = 6

@test_case(points=0, hidden=False)
def test_table(table, new_tasks):
    assert isinstance(table, list) and len(table) == 36, 'table must be a list of 36 rows: 6 tasks, 2 draws, 3 starts'
    keys = {'task', 'draw', 'start', 'before', 'after'}
    for row in table:
        assert isinstance(row, dict) and keys <= set(row), f'each row must have the keys {sorted(keys)}, got {row!r}'
        for what in ('before', 'after'):
            assert 0 <= row[what] <= 1, f'{what} must be a fraction, got {row[what]!r}'
    wanted = {(task, draw, start) for task in new_tasks for draw in (0, 1) for start in ('retrieved', 'random', 'mean')}
    found = {(row['task'], row['draw'], row['start']) for row in table}
    assert found == wanted, f'each task, draw and start must come once; missing: {sorted(wanted - found)[:2]}'

@test_case(points=0, hidden=False)
def test_answer(answer_8):
    assert isinstance(answer_8, dict), 'answer_8 must be a dictionary'
    for what in ('before', 'after'):
        got = answer_8.get(what)
        fits = isinstance(got, tuple | list) and len(got) == 3
        assert fits and got[1] <= got[0] <= got[2], f'answer_8[{what!r}] must be (difference, low, high), got {got!r}'
