"""The recorded experiments: small cells that can be killed and go on, one JSON file for each.

`python -m pha_lite.experiments low_data` runs every cell of an experiment that has not been run yet
(finished cells are kept in `runs/experiments/`), and writes `data/results/low_data.json` with the
command, commit, seeds, machine, duration and the value of every seed. The rule of tuning is the
same for all methods: the same grid of learning rates, the same budget, and the highest mean
validation score of a tuning seed that no reported figure uses. Test rows are read once, at the end.

    setting   what all cells share: sizes, suite, backbone, the training itself
    cells     one training run and what is measured on it (ablations, transfer, stream: theirs)
    runner    runs cells that are missing, tunes by the one rule, writes the record
    grids     the experiments: which cells each needs (ablations, other_tasks, transfer: theirs)
"""
