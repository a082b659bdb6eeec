from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q1"
points = 2

@test_case(points=0, hidden=False)
def test_counted_by_hand(adapter_size):
    same(adapter_size(3, 2), 17, 'adapter_size(3, 2)', 'Draw the four parts and count their entries.')
