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
