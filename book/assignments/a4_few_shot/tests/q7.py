from otter.test_files import test_case
import numpy as np
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q7"
points = 3

@test_case(points=0, hidden=False)
def test_letters(answer_7):
    fits = isinstance(answer_7, str) and set(answer_7) <= set('abcdefgh')
    assert fits and len(set(answer_7)) == len(answer_7) > 0, f'answer_7 must be a text of different small letters from a to h, without commas or spaces, got {answer_7!r}'
