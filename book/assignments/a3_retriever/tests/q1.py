from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q1"
points = 2

@test_case(points=0, hidden=False)
def test_by_hand(cosines):
    a = torch.tensor([[3.0, 4.0]])
    b = torch.tensor([[4.0, 3.0], [-6.0, -8.0], [0.0, 2.0]])
    same(cosines(a, b), torch.tensor([[0.96, -1.0, 0.8]]), 'cosines of (3, 4) with (4, 3), (-6, -8) and (0, 2)', 'The inner product, divided by both lengths.')

@test_case(points=0, hidden=False)
def test_shape(cosines):
    got = cosines(torch.ones(2, 3), torch.ones(4, 3))
    shaped(got, (2, 4), 'cosines of 2 rows with 4 rows')
