from otter.test_files import test_case
from pha_lite.check import choice, same
from scipy import stats

VARIANT = 1

OK_FORMAT = False

name = "q1"
points = 4

@test_case(points=0, hidden=False)
def test_by_hand(paired_interval):
    got = paired_interval([0.9, 0.7, 0.8], [0.8, 0.7, 0.7])
    assert isinstance(got, tuple | list) and len(got) == 3, f'paired_interval must return three numbers, got {got!r}'
    where = 'for the differences 0.1, 0 and 0.1'
    same(got[0], 0.0666667, f'the difference {where}')
    hint = 't with two degrees of freedom, times the standard error.'
    same(got[1], -0.0767551, f'the lower end {where}', hint)
    same(got[2], 0.2100884, f'the upper end {where}', hint)
