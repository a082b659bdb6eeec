from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q2"
points = 3

@test_case(points=0, hidden=False)
def test_shape(pairs):
    got = pairs(torch.ones(4, 2), torch.ones(3, 5))
    shaped(got, (3, 4, 7), 'pairs of 4 tasks and 3 layers')

@test_case(points=0, hidden=False)
def test_one_task(pairs):
    got = pairs(torch.tensor([[1.0, 2.0]]), torch.tensor([[7.0], [8]]))
    same(got, torch.tensor([[[1.0, 2.0, 7.0]], [[1.0, 2.0, 8.0]]]), 'pairs of the task (1, 2) with the layers (7) and (8)', "The task's numbers come first.")
