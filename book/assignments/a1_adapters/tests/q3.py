from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q3"
points = 4

@test_case(points=0, hidden=False)
def test_a_silent_adapter_changes_nothing(parallel, sequential):
    h = torch.tensor([[1.0, 2.0]])
    for name, place in (('parallel', parallel), ('sequential', sequential)):
        same(place(h, lambda t: t / 2, lambda t: 10 * t, torch.zeros_like), torch.tensor([[6.0, 12.0]]), f'{name} with an adapter that adds nothing', 'h + FFN(LN h) must be left: both terms, once each.')
