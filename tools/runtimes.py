"""Record how long every chapter's code took in the last build, from its execution cache.

    make clean && make book && python tools/runtimes.py

The pages say these times (`pha_lite.records.run_time`); the build itself does not need them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from jupyter_cache import get_cache

from pha_lite.paths import data_dir
from pha_lite.record import run_record

CACHE = Path(__file__).resolve().parent.parent / "_build" / ".jupyter_cache"


def seconds() -> dict[str, float]:
    """Chapter -> seconds its notebook ran, as the builder measured them."""
    found = {}
    for entry in get_cache(CACHE).list_cache_records():
        found[Path(entry.uri).stem] = round(entry.data["execution_seconds"], 1)
    return dict(sorted(found.items()))


def main() -> int:
    if not CACHE.is_dir() or not (found := seconds()):
        print("Nothing was executed yet: run `make book` first.", file=sys.stderr)
        return 1
    path = data_dir() / "results" / "chapters.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    command = "make clean && make book && python tools/runtimes.py"
    record = run_record(experiment="chapters", command=command, seconds=found)
    path.write_text(json.dumps(record, indent=1) + "\n")
    print(f"written: {path.name}, {sum(found.values()):.0f} seconds in all")
    return 0


if __name__ == "__main__":
    sys.exit(main())
