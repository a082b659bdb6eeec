from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q6"
points = 4

@test_case(points=0, hidden=False)
def test_one_draw(compare):
    rows = [{'task': f'{task}/museum', 'draw': 0, 'start': start} | {'before': score, 'after': 0.0} for task, start, score in (('time', 'mean', 0.5), ('time', 'retrieved', 0.9), ('sentiment', 'mean', 0.6), ('sentiment', 'retrieved', 0.8))]
    got = compare(rows, 'retrieved', 'mean', 'before')
    assert isinstance(got, tuple | list) and len(got) == 3, f'compare must return difference, low, high, got {got!r}'
    same(float(got[0]), 0.3, 'the mean of the differences 0.4 and 0.2')
    same(float(got[1]), 0.3 - 12.7062 * 0.1, 'low for the differences 0.4 and 0.2', 'Two tasks: one degree of freedom, whose t is 12.7.', atol=0.001)
