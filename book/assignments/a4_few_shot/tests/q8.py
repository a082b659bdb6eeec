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
def test_mean_start(mean_start, prototypes, table):
    shaped(mean_start, (prototypes.shape[1],), 'mean_start')
    draws = {0: {}, 1: {}}
    for row in table:
        if row['start'] == 'mean':
            draws[row['draw']][row['task']] = (row['before'], row['after'])
    for task, (before, _) in draws[0].items():
        assert abs(draws[1][task][0] - before) < 0.03, f'{task}: the same vector on the same query rows must have the same `before` in both draws'
    assert draws[0] != draws[1], '`after` of the start mean is the same in both draws, for all six tasks: does draw 1 have four examples of its own?'

@test_case(points=0, hidden=False)
def test_answer(answer_8):
    assert isinstance(answer_8, dict), 'answer_8 must be a dictionary'
    for what in ('before', 'after'):
        got = answer_8.get(what)
        fits = isinstance(got, tuple | list) and len(got) == 3
        assert fits and got[1] <= got[0] <= got[2], f'answer_8[{what!r}] must be (difference, low, high), got {got!r}'
