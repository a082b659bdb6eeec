from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q3"
points = 4

@test_case(points=0, hidden=False)
def test_shapes(write):
    from pha_lite.hypernet import HyperNetwork
    net = HyperNetwork(2, 6, 3, 4, 5, hidden=9, out=8)
    got = write(net, torch.ones(2, 7, 9))
    assert isinstance(got, tuple) and len(got) == 4, 'write must return AdapterWeights(down, down_bias, up, up_bias)'
    shapes = ((2, 7, 6, 3), (2, 7, 3), (2, 7, 3, 6), (2, 7, 6))
    names = ('down', 'down_bias', 'up', 'up_bias')
    for name, part, shape in zip(names, got, shapes, strict=True):
        shaped(part, shape, name)

@test_case(points=0, hidden=False)
def test_row_by_row(write):
    from pha_lite.hypernet import HyperNetwork
    net = HyperNetwork(1, 3, 2, 4, 4, hidden=5, out=5)
    with torch.no_grad():
        for head in (net.down, net.up, net.down_bias, net.up_bias):
            head.weight.zero_()
        net.down.bias.copy_(torch.arange(6.0))
        got = write(net, torch.ones(1, 1, 8))
    assert isinstance(got, tuple), f'write must return AdapterWeights, got {got!r}'
    same(got[0][0, 0], torch.tensor([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]), 'down, where the head gives 0, 1, 2, 3, 4, 5 for d = 3, b = 2', 'The first b of these numbers are the first row.')

@test_case(points=0, hidden=False)
def test_trunk_by_hand(write):
    from pha_lite.hypernet import HyperNetwork
    net = HyperNetwork(1, 2, 3, 1, 1, hidden=3, out=3)
    with torch.no_grad():
        net.first.weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0]]))
        for part in (net.second, net.down_bias):
            part.weight.copy_(torch.eye(3))
        for part in (net.first, net.second, net.down_bias):
            part.bias.zero_()
        got = write(net, torch.tensor([[[3.0, 6.0]]]))
    assert isinstance(got, tuple), f'write must return AdapterWeights, got {got!r}'
    same(got[1][0, 0], torch.tensor([0.0, -1.5 ** 0.5, 1.5 ** 0.5]), 'down_bias, where W1 makes 3, -3, 6 of the pair and the other maps leave what they read', 'The ReLU leaves 3, 0, 6; the layer norm comes after it.', atol=0.0001)
