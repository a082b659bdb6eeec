from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q5"
points = 4

@test_case(points=0, hidden=False)
def test_by_hand(prototype_loss):
    z = torch.tensor([[2.0, 0.0]])
    k = torch.tensor([[5.0, 0.0], [0.0, 3.0], [0.0, -1.0]])
    same(prototype_loss(z, k, torch.tensor([0]), 1.0), torch.tensor(-0.306853), 'prototype_loss of a point on its prototype, two others at right angles, tau 1', '-(1 - log(1 + 1)): below zero, and that is right.')
