from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q2"
points = 5

@test_case(points=0, hidden=False)
def test_by_hand(instance_loss):
    z = torch.tensor([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0], [0.0, 1.0]])
    got = instance_loss(z, torch.tensor([0, 0, 1, 1]), 1.0)
    same(got, torch.tensor(0.551445), 'instance_loss of four points in two right angles, tau 1', 'Each row chooses among three others with cosines 1, 0 and 0: log(e + 1 + 1) - 1.')

@test_case(points=0, hidden=False)
def test_nobody_has_a_partner(instance_loss):
    got = instance_loss(torch.eye(3), torch.tensor([0, 1, 2]), 0.1)
    same(got, torch.tensor(0.0), 'instance_loss of three lone rows')
