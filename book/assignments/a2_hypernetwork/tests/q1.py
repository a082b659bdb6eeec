from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q1"
points = 2

@test_case(points=0, hidden=False)
def test_counted_by_hand(hyper_size):
    same(hyper_size(1, 1, 1, e=1, el=1, hidden=1, out=1), 16, 'hyper_size with 1 for every width', 'That is 1 for the layer, 3 and 2 for the two linear maps, 2 for the layer norm, and 8 for four heads.')

@test_case(points=0, hidden=False)
def test_one_more_layer(hyper_size):
    seven, eight = (hyper_size(7, 32, 4), hyper_size(8, 32, 4))
    assert isinstance(seven, int), f'hyper_size(7, 32, 4) must be a whole number, got {seven!r}'
    same(eight - seven, 64, 'what one more layer adds', 'All layers share one trunk and one set of heads.')
