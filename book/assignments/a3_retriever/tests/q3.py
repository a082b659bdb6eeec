from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q3"
points = 2

@test_case(points=0, hidden=False)
def test_pairs(floor):
    same(floor(torch.tensor([0, 0, 1, 1])), 0.0, 'floor of two pairs', 'With one partner each, that partner can get the whole share.')
