"""Peak memory of some work: neither more nor less than it takes."""

from __future__ import annotations

import sys
from multiprocessing import get_context

import pytest

from pha_lite import memory

MIB = 2**20
linux = pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere only fresh processes are sure"
)


def take(mib: int) -> None:
    bytearray(b"x") * (mib * MIB)  # every page is written


@linux
def test_the_peak_of_the_work_alone():
    take(200)  # a higher peak before
    assert memory.added_peak(lambda: take(64)) == pytest.approx(64, abs=8)
    assert memory.added_peak(lambda: None) == pytest.approx(0, abs=8)


def child(mib: int) -> float:
    return memory.added_peak(lambda: take(mib))


@linux
def test_a_large_parent_hides_nothing():
    held = bytearray(b"x") * (200 * MIB)
    with get_context("spawn").Pool(1) as pool:
        assert pool.apply(child, (64,)) == pytest.approx(64, abs=8)
    assert len(held) == 200 * MIB


def test_where_there_is_no_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "STATUS", tmp_path / "absent")
    monkeypatch.setattr(memory, "RESET", tmp_path / "no" / "folder")
    assert 0 <= memory.added_peak(lambda: None) < 8
