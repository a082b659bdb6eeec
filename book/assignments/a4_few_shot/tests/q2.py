from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q2"
points = 3

@test_case(points=0, hidden=False)
def test_shape(prototype_scores):
    got = prototype_scores(torch.ones(4, 3), torch.ones(7, 3))
    shaped(got, (7,), 'prototype_scores of 4 points and 7 prototypes')

@test_case(points=0, hidden=False)
def test_one_text(prototype_scores):
    same(prototype_scores(torch.tensor([[2.0, 0.0]]), torch.tensor([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])), torch.tensor([1.0, 0.0, -1.0]), 'prototype_scores of the point (2, 0) with the prototypes (5, 0), (0, 3) and (-1, 0)')
