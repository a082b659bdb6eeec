from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q6"
points = 5

@test_case(points=0, hidden=False)
def test_by_hand(dead):
    x = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    down = torch.tensor([[1.0, -1.0, -1.0], [1.0, -1.0, 2.0]])
    same(dead(x, torch.ones(1, 2), down, torch.zeros(3)), 1, 'dead for a text whose three hidden numbers are (1, 0, 0) at its first token and (1, 0, 2) at its second')

@test_case(points=0, hidden=False)
def test_answer(answer_6):
    fits = isinstance(answer_6, int) and 0 <= answer_6 <= 64
    assert fits, f'answer_6 must be a whole number up to 64, got {answer_6!r}'
