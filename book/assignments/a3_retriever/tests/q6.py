from otter.test_files import test_case
import torch
import torch.nn.functional as F
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q6"
points = 4

@test_case(points=0, hidden=False)
def test_by_hand(retrieve):
    z = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    k = torch.tensor([[9.0, 0.0], [1.0, 1.0], [-1.0, 0.0]])
    got = retrieve(z, k, ['east', 'between', 'west'], 2)
    assert isinstance(got, list) and len(got) == 2, f'retrieve must return a list of two pairs, got {got!r}'
    assert [pair[0] for pair in got] == ['between', 'east'], f"of two texts, one in the east and one in the north, the best two of three are 'between' and 'east', got {got!r}"
    same(got[0][1], 0.5 ** 0.5, "the score of 'between'")
    same(got[1][1], 0.5, "the score of 'east'")
