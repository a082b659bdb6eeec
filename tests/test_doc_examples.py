"""The examples in the docstrings of the method's modules run as they stand."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest

from pha_lite.paths import data_dir


@pytest.mark.parametrize("name", ["check", "config", "routing", "model"])
def test_doc_examples(name):
    if name == "model" and not (data_dir() / "backbone" / "tiny").is_dir():
        pytest.skip("the embedded backbone is not in this checkout")
    result = doctest.testmod(import_module(f"pha_lite.{name}"))
    assert result.attempted > 0 and result.failed == 0
