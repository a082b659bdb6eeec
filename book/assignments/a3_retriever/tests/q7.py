from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q7"
points = 6

@test_case(points=0, hidden=False)
def test_by_hand(false_share):
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    tasks = torch.tensor([0, 0, 1, 2])
    shown = torch.tensor([0, 0, 0, 1])
    same(false_share(z, tasks, shown, 0.01), 2 / 3, 'false_share of three equal points of tasks 0, 0 and 1 that show the same, and one far away', 'The first two give half of their share to the third, and the third gives all of it to the first two. The fourth has no false negative and does not count.')

@test_case(points=0, hidden=False)
def test_answer(answer_7):
    fits = isinstance(answer_7, float) and 0 <= answer_7 <= 1
    assert fits, f'answer_7 must be a number from 0 to 1, got {answer_7!r}'
