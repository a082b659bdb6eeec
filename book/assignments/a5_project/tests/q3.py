from otter.test_files import test_case
from pha_lite.check import choice, same
from scipy import stats

VARIANT = 1

OK_FORMAT = False

name = "q3"
points = 1

@test_case(points=0, hidden=False)
def test_letter(answer_3):
    choice(answer_3, 'abcd', 'answer_3')
