from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped
from torch import nn

VARIANT = 1

OK_FORMAT = False

name = "q7"
points = 1

@test_case(points=0, hidden=False)
def test_letter(answer_7):
    choice(answer_7, 'abcd', 'answer_7')
