"""`pha reproduce`: the paper's experiments, planned, run, and put beside the paper's known figures.

    protocol    the experiments as configurations
    planning    an experiment's cells; running those that are not done yet
    dry         what a plan reads and costs: estimates, with how they were computed
    known       the paper's and its neighbours' figures, as far as they are known here
    comparison  the tables: who measured what stands in every row

A run that was cut off goes on with the same command. We have run none of the experiments at the
paper's size.
"""

from .dry import dry_run
from .planning import METHODS, STARTS, Plan, plan, run
from .protocol import EXPERIMENTS

__all__ = ["EXPERIMENTS", "METHODS", "STARTS", "Plan", "dry_run", "plan", "run"]
