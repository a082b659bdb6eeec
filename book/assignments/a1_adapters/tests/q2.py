from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q2"
points = 4

@test_case(points=0, hidden=False)
def test_shape(bottleneck):
    parts = [torch.ones(*s) for s in ((6, 3), (3,), (3, 6), (6,))]
    got = bottleneck(torch.ones(2, 5, 6), *parts)
    shaped(got, (2, 5, 6), 'bottleneck(x) for x of (2, 5, 6)')

@test_case(points=0, hidden=False)
def test_by_hand(bottleneck):
    x = torch.tensor([[[2.0, -1.0]]])
    down, down_bias = (torch.tensor([[1.0], [1.0]]), torch.tensor([0.5]))
    up, up_bias = (torch.tensor([[2.0, -2.0]]), torch.tensor([0.25, 0.5]))
    same(bottleneck(x, down, down_bias, up, up_bias), torch.tensor([[[3.25, -2.5]]]), 'bottleneck of the row (2, -1)', 'Its hidden number is ReLU(2 - 1 + 0.5) = 1.5.')
