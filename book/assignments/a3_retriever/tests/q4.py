from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q4"
points = 3

@test_case(points=0, hidden=False)
def test_by_hand(forces):
    with torch.no_grad():
        got = forces(torch.zeros(4), torch.tensor([True, False, False, False]))
    same(got, torch.tensor([-0.75, 0.25, 0.25, 0.25]), 'forces of four equal scores, the first that of a partner', 'Below zero is a pull: the loss falls as that score grows.')
