from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q1"
points = 4

@test_case(points=0, hidden=False)
def test_two_lists(draw_episode):
    answers = ['yes', 'no'] * 20
    got = draw_episode(answers, 30, 4, 10, 0)
    assert isinstance(got, tuple | list) and len(got) == 2, f'draw_episode must return few and query, got {got!r}'
    few, query = map(list, got)
    assert len(few) == 4 and set(few) <= set(range(40)), f'few must be 4 rows out of 40 for k = 4, got {few}'
    assert len(query) == 10 and set(query) <= set(range(30)), f'query must be 10 rows out of 30 for limit = 10, got {query}'
    found = sorted((answers[row] for row in few))
    assert found == ['no', 'no', 'yes', 'yes'], f'4 examples of yes and no must be two and two, got {found}'
