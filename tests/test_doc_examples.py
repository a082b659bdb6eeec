"""The examples in the docstrings of the parts run as they stand."""

from __future__ import annotations

import doctest
from importlib import import_module

import pytest


@pytest.mark.parametrize("name", ["config", "routing"])
def test_doc_examples(name):
    result = doctest.testmod(import_module(f"pha_lite.{name}"))
    assert result.attempted > 0 and result.failed == 0
