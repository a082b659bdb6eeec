from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q4"
points = 4

@test_case(points=0, hidden=False)
def test_first_step(tune):
    start = torch.tensor([1.0, -2.0, 3.0])
    got = tune(lambda v: v.square().sum(), start, 1, 0.1)
    same(got, torch.tensor([0.9, -1.9, 2.9]), 'tune from (1, -2, 3), one step of rate 0.1 on the sum of squares', "AdamW's first step moves each number by the rate.", atol=0.0001)

@test_case(points=0, hidden=False)
def test_no_step(tune):
    start = torch.tensor([1.0, -2.0])
    got = tune(lambda v: v.square().sum(), start, 0, 0.1)
    same(got, start, 'tune with steps = 0')
