from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q7"
points = 5

@test_case(points=0, hidden=False)
def test_four_texts(swap_cost):
    from pha_lite.tasks import Task
    columns = {'source': list('abcd'), 'target': ['yes'] * 4}
    rows = Task.from_rows('four/texts', {'test': columns})['test']
    said = {'mine': ['yes'] * 4, 'yours': ['yes', 'no', 'no', 'no']}
    same(swap_cost(lambda texts, name: said[name], rows, 'mine', 'yours'), 0.75, 'swap_cost where the own prototype gets 4 of 4 texts right and the other 1 of 4')

@test_case(points=0, hidden=False)
def test_four_costs(answer_7):
    kinds = ['relative', 'rival', 'stranger', 'witness']
    fits = isinstance(answer_7, dict) and sorted(answer_7) == kinds
    assert fits, f"answer_7 must have the keys {', '.join(kinds)}, got {answer_7!r}"
    for kind in kinds:
        cost = answer_7[kind]
        assert isinstance(cost, float) and -1 <= cost <= 1, f'the cost of the {kind} must be a number from -1 to 1, got {cost!r}'
