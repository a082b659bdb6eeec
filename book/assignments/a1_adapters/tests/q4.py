from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q4"
points = 4

@test_case(points=0, hidden=False)
def test_parts(start):
    got = start(6, 2, 1.0)
    assert isinstance(got, tuple | list) and len(got) == 4, 'start must return four parts: down, down_bias, up, up_bias'
    shapes = ((6, 2), (2,), (2, 6), (6,))
    names = ('down', 'down_bias', 'up', 'up_bias')
    for name, part, shape in zip(names, got, shapes, strict=True):
        shaped(part, shape, name)

@test_case(points=0, hidden=False)
def test_inside_the_bound(start):
    down, _, up, _ = start(6, 2, 0.1)
    bound = 0.1 * (6 / 8) ** 0.5
    for name, part in (('down', down), ('up', up)):
        top = part.abs().max().item()
        assert top <= bound * 1.0001, f'{name} must stay within {bound:.3f} for gain 0.1, d = 6 and b = 2, got {top:.3f}'
