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

@test_case(points=0, hidden=False)
def test_two_long_steps(tune):
    got = tune(lambda v: (v ** 4).sum(), torch.tensor([2.0]), 2, 0.5)
    same(got, torch.tensor([1.0]), 'tune from 2, two steps of rate 0.5 on the fourth power', 'Both gradients are longer than 1, so both are clipped to 1 and both steps are 0.5; nothing else pulls at the vector.', atol=0.001)

@test_case(points=0, hidden=False)
def test_leaves_the_rest(tune):
    net = torch.nn.Linear(2, 2)
    start = torch.tensor([1.0, -2.0])
    got = tune(lambda v: net(v).square().sum(), start, 2, 0.1)
    shaped(got, (2,), "tune's result")
    same(start, torch.tensor([1.0, -2.0]), 'start after the call')
    assert net.weight.grad is None, 'a weight that the loss uses is left with a gradient'
    assert not got.requires_grad, 'the result must be cut off: detach it'
