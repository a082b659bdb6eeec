from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q6"
points = 5

@test_case(points=0, hidden=False)
def test_one_task(per_task):
    from pha_lite.adapter import AdapterWeights

    def make(vectors):
        n = len(vectors)
        one = torch.ones(n, 2, 1)
        return AdapterWeights(one, torch.zeros(n, 1), one.mT, vectors[:, :1].expand(n, 2))
    k = torch.tensor([[10.0, 0.0], [20.0, 0.0]])
    h = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
    same(per_task(make, k, torch.tensor([1, 1]), h), torch.tensor([[[23.0, 23.0]], [[27.0, 27.0]]]), 'per_task for two rows of task 1, whose adapter adds up a row and then adds 20')

@test_case(points=0, hidden=False)
def test_calls(per_task):
    from pha_lite.adapter import AdapterWeights
    seen = []

    def make(vectors):
        seen.append(len(vectors))
        shapes = ((2, 1), (1,), (1, 2), (2,))
        parts = [torch.ones(len(vectors), *s) for s in shapes]
        return AdapterWeights(*parts)
    ids = torch.tensor([3, 0, 3, 3, 0])
    h = torch.arange(30.0).view(5, 3, 2)
    out = per_task(make, torch.randn(6, 4), ids, h)
    assert len(seen) == 1, f'make must be called once, not {len(seen)} times'
    assert seen == [2], f'make got {seen[0]} vectors for rows of the tasks 3, 0, 3, 3, 0: two distinct tasks need two'
    want = (h.sum(dim=-1, keepdim=True) + 2).expand(5, 3, 2)
    what = 'per_task for these rows, with the same adapter for all tasks'
    same(out, want, what, 'Is each row back at its place?')
