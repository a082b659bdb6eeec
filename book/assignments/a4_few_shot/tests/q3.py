from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q3"
points = 3

@test_case(points=0, hidden=False)
def test_a_known_name(random_start):
    known = ['time/hotel', 'time/school', 'sentiment/hotel']
    got = random_start('time/museum', known, 0)
    assert got in known, f'random_start must be one of {known}, got {got!r}'

@test_case(points=0, hidden=False)
def test_twice_the_same(random_start):
    known = [f'rule/{i}' for i in range(50)]
    for seed in range(5):
        found = {random_start('time/museum', known, seed) for _ in 'abc'}
        assert len(found) == 1, 'three calls with the same arguments must give one name, not several'
        assert found <= set(known), f'random_start must return one of the names in known, such as {known[0]!r}, got {found.pop()!r}'

@test_case(points=0, hidden=False)
def test_others_and_draws(random_start):
    known = [f'rule/{i}' for i in range(50)]
    drawn = {task: [random_start(task, known, seed) for seed in range(8)] for task in ('time/museum', 'rate/museum')}
    one, two = drawn.values()
    assert len(set(map(str, one))) > 2, f'eight seeds give {len(set(map(str, one)))} names out of 50: does the seed count?'
    assert one != two, 'time/museum and rate/museum get the same names at eight seeds: does the task count?'
    np.random.seed(7)
    want = np.random.rand()
    np.random.seed(7)
    random_start('time/museum', known, 3)
    assert np.random.rand() == want, "a call of random_start disturbs numpy's global generator"
