from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q9"
points = 1

@test_case(points=0, hidden=False)
def test_letter(answer_9):
    choice(answer_9, 'abcd', 'answer_9')
