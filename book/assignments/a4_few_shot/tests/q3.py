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
        assert found <= set(known), f'{found} are no known names'
