"""Train the model that the chapters on transfer start from, and write it to data/pha/tiny.

    python tools/source_model.py

It is the source model of seed 0 of the experiment `few_shot`: the same data, settings and learning
rate, which that experiment chose on validation data and wrote into its record.
"""

from __future__ import annotations

import json

import torch

from pha_lite.experiments.setting import SOURCE_N, STEPS, trained
from pha_lite.paths import data_dir
from pha_lite.record import run_record
from pha_lite.records import load

SEED = 0


def main() -> None:
    torch.set_num_threads(1)
    lr = load("few_shot")["settings"]["source_lr"]
    model, _, _, validation = trained("pha", SOURCE_N, lr, SEED)
    home = data_dir() / "pha" / "tiny"
    model.save_pretrained(home)
    record = run_record(
        command="python tools/source_model.py",
        rows_per_task=SOURCE_N,
        steps=STEPS,
        learning_rate=lr,
        seed=SEED,
        validation=validation,
    )
    (home / "record.json").write_text(json.dumps(record, indent=1) + "\n")
    size = sum(path.stat().st_size for path in home.iterdir()) / 1e6
    print(f"written: {home.name}, {size:.1f} MB")


if __name__ == "__main__":
    main()
