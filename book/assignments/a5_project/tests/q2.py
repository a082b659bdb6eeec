from otter.test_files import test_case
from pha_lite.check import choice, same
from scipy import stats

VARIANT = 1

OK_FORMAT = False

name = "q2"
points = 3

@test_case(points=0, hidden=False)
def test_by_hand(seeds_needed):
    same(seeds_needed(0.05, 0.03), 4, 'seeds_needed for an effect of 0.05 and a spread of 0.03', 'The half width is 0.0745 for three seeds, 0.0477 for four.')
