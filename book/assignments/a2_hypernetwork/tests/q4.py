from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q4"
points = 4

@test_case(points=0, hidden=False)
def test_biases_of_the_heads(start):
    from pha_lite.hypernet import HyperNetwork
    torch.manual_seed(4)
    net = HyperNetwork(1, 9, 4, 4, 4, hidden=8, out=8)
    names = ('down', 'down_bias', 'up', 'up_bias')
    for name in names:
        torch.nn.init.ones_(getattr(net, name).bias)
    start(net, 1.0)
    for name in names:
        bias = getattr(net, name).bias
        what = f'the bias of the head {name}'
        same(bias, torch.zeros(len(bias)), what)

@test_case(points=0, hidden=False)
def test_bounds(start):
    from pha_lite.hypernet import HyperNetwork
    torch.manual_seed(4)
    net = HyperNetwork(1, 90, 40, 4, 4, hidden=8, out=16)
    names = ('down', 'down_bias', 'up', 'up_bias')
    for name in names:
        torch.nn.init.constant_(getattr(net, name).weight, 9.0)
    start(net, 0.1)
    for name in names:
        top = getattr(net, name).weight.abs().max().item()
        assert top < 9, f'the head {name} still has its old weights'
    for name, fan in (('down', 90), ('up', 40)):
        top = getattr(net, name).weight.abs().max().item()
        bound = 0.1 * (3 / (16 * fan)) ** 0.5
        assert 0.98 * bound < top < 1.0001 * bound, f'the weights of {name} must reach just up to {bound:.4f} for s = 0.1, out = 16, d = 90 and b = 40, got {top:.4f}'
