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
    for seed in range(6):
        few = draw_episode(answers, 30, 4, 10, seed)[0]
        found = sorted((answers[row] for row in few))
        assert found == ['no', 'no', 'yes', 'yes'], f'4 examples of yes and no must be two and two, got {found} for the seed {seed}'

@test_case(points=0, hidden=False)
def test_each_promise(draw_episode):
    answers = ['yes', 'no'] * 20
    drawn = {}
    for k, seed in ((4, 0), (3, 0), (4, 1)):
        got = draw_episode(answers, 30, k, 10, seed)
        assert isinstance(got, tuple | list) and len(got) == 2, f'draw_episode must return few and query, got {got!r}'
        drawn[k, seed] = [list(map(int, part)) for part in got]
    three, four = (drawn[3, 0][0], drawn[4, 0][0])
    counts = sorted((sum((answers[row] == word for row in three)) for word in answers[:2]))
    assert counts == [1, 2], f'3 examples must be two of one answer and one of the other, got {counts}'
    assert set(three) <= set(four), f'the rows of k = 3, {three}, must be among those of k = 4 with the same seed, {four}'
    assert set(four) != set(drawn[4, 1][0]), f'the seeds 0 and 1 draw the same examples, {four}'
    queries = {tuple(sorted(query)) for _, query in drawn.values()}
    assert len(queries) == 1, 'the query rows must not change with k or the seed'
    again = list(map(int, draw_episode(answers, 30, 4, 10, 0)[0]))
    assert again == four, 'a second call draws other examples'
