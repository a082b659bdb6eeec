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
def test_inside_the_bound(start):
    from pha_lite.hypernet import HyperNetwork
    net = HyperNetwork(1, 96, 48, 4, 4, hidden=8, out=64)
    for name in ('down', 'down_bias', 'up', 'up_bias'):
        torch.nn.init.constant_(getattr(net, name).weight, 9.0)
    start(net, 0.1)
    for name in ('down_bias', 'up_bias'):
        top = getattr(net, name).weight.abs().max().item()
        bound = 0.1 * (3 / 64) ** 0.5
        assert top <= bound * 1.0001, f'the weights of {name} must stay within {bound:.4f} for s = 0.1 and out = 64, got {top:.4f}'
    top = net.down.weight.abs().max().item()
    assert top < 9, 'the head down still has its old weights'
