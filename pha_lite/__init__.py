"""pha_lite: Prototype-based HyperAdapter (Zhao, Fu and He, EMNLP 2023), compact and complete.

>>> from pha_lite import PHAConfig, PHAModel, load_suite
>>> suite = load_suite()
>>> model = PHAModel.from_backbone("tiny", PHAConfig.tiny(tasks=suite.train_tasks))

Names are imported when first used, so that `import pha_lite` costs nothing.
"""

from __future__ import annotations

from importlib import import_module

__version__ = "0.1.0"

# Not here: what shares its name with a module, such as `train` (from pha_lite.train import train).
_HOME = {
    "PHAConfig": "config",
    "PHAError": "errors",
    "PHAModel": "model",
    "Task": "tasks",
    "adapt": "fewshot",
    "load_backbone": "backbone",
    "load_suite": "suite",
    "load_task": "tasks",
    "swap_test": "fewshot",
}
__all__ = ["__version__", *_HOME]


def __getattr__(name: str):
    if name not in _HOME:
        raise AttributeError(f"module 'pha_lite' has no attribute {name!r}")
    return getattr(import_module(f"pha_lite.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
