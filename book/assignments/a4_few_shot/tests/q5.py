from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q5"
points = 3

@test_case(points=0, hidden=False)
def test_one_start(settings):
    rows = [{'task': 'time/garden', 'split': 'validation', 'start': 'mean'} | {'rate': rate, 'steps': steps, 'score': score} for rate, steps, score in ((0.1, 5, 0.6), (0.1, 10, 0.8), (0.3, 5, 0.7))]
    got = settings(rows, 'mean')
    assert isinstance(got, tuple) and tuple(got) == (0.1, 10), f'settings must be (0.1, 10) for these three rows, got {got!r}'

@test_case(points=0, hidden=False)
def test_other_rows(settings):
    row = {'task': 'time/garden', 'split': 'validation', 'start': 'mean'}
    rows = [row | {'rate': 0.1, 'steps': 5, 'score': 0.6}, row | {'rate': 0.3, 'steps': 5, 'score': 0.5}]
    best = {'rate': 0.3, 'steps': 5, 'score': 1.0}
    for change in ({'start': 'fresh'}, {'split': 'test'}):
        got = settings([*rows, row | change | best], 'mean')
        assert isinstance(got, tuple) and got == (0.1, 5), f'a row with {change} must not change the choice for the start mean, (0.1, 5), but it is {got!r}'
