from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q5"
points = 4

@test_case(points=0, hidden=False)
def test_adds_and_leaves(hang):
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5LayerFF
    torch.manual_seed(7)
    sub = T5LayerFF(T5Config(d_model=8, d_ff=16)).eval()
    h = torch.randn(2, 3, 8)
    plain = sub(h)
    handles = hang(sub, torch.ones_like)
    assert isinstance(handles, list | tuple) and handles, f'hang must return a list of handles, got {handles!r}'
    same(sub(h), plain + 1, "the sub-layer's output with an adapter that gives ones", 'It is the output without adapter, plus one.')
    for handle in handles:
        handle.remove()
    same(sub(h), plain, 'the output after handle.remove()')
