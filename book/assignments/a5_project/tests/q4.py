from otter.test_files import test_case
from pha_lite.check import choice, same
from scipy import stats

VARIANT = 1

OK_FORMAT = False

name = "q4"
points = 1

@test_case(points=0, hidden=False)
def test_letter(answer_4):
    choice(answer_4, 'abcd', 'answer_4')
