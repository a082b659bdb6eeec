from otter.test_files import test_case
import torch
from pha_lite.check import choice, same, shaped

VARIANT = 1

OK_FORMAT = False

name = "q5"
points = 2

@test_case(points=0, hidden=False)
def test_small(pays_from):
    same(pays_from(100, 40, 10), 4, 'pays_from(100, 40, 10)', 'Three tasks: 120 against 130. Four tasks: 160 against 140.')
    same(pays_from(90, 40, 10), 4, 'pays_from(90, 40, 10)', 'With three tasks, both ways have 120 numbers: none is fewer.')
