"""Tasks: their shape, their samples, and `load_task`'s way to them."""

import doctest
import importlib
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pha_lite.errors import DataError, PHAError
from pha_lite.tasks import Task, load_task, shuffled


def task(targets, labels=("a", "b", "c"), **fields):
    rows = {"source": [f"row {i}" for i in range(len(targets))], "target": list(targets)}
    return Task.from_rows("mine/letters", {"train": rows, "test": rows}, labels=labels, **fields)


def test_a_task_gives_its_rows_sizes_and_columns():
    t = task("abca", metric="macro_f1", card={"source": "made here"})
    assert t.sizes == {"train": 4, "test": 4}
    assert t["train"][1] == {"source": "row 1", "target": "b"}
    assert t.columns("test")["target"] == list("abca")
    assert "train" in t and "validation" not in t
    assert repr(t) == "Task('mine/letters', train 4, test 4, labels a | b | c, metric macro_f1)"
    assert t.labels == ("a", "b", "c")


def test_samples_of_one_seed_are_nested_and_seeds_differ():
    t = task("abc" * 40)
    small, large = (set(t.sample(n, seed=3)["train"]["source"]) for n in (16, 32))
    assert len(small) == 16 and small < large
    assert small != set(t.sample(16, seed=4)["train"]["source"])
    assert t.sample(16, seed=3).columns("train") == t.sample(16, seed=3).columns("train")


def test_a_sample_leaves_the_task_and_its_other_splits_alone():
    t = task("abc" * 4)
    cut = t.sample(2, split="test")
    assert cut.sizes == {"train": 12, "test": 2} and t.sizes["test"] == 12
    assert cut.labels == t.labels and cut.name == t.name


def test_a_sample_larger_than_the_split_is_the_split():
    assert sorted(task("abc").sample(99)["train"]["source"]) == ["row 0", "row 1", "row 2"]


def test_a_balanced_sample_takes_the_classes_in_turn():
    t = task("a" * 90 + "b" * 6 + "c" * 4)
    counts = [Counter(t.sample(n, 5, balanced=True)["train"]["target"]) for n in (12, 20)]
    assert counts == [{"a": 4, "b": 4, "c": 4}, {"a": 10, "b": 6, "c": 4}]
    small, large = (set(t.sample(n, balanced=True)["train"]["source"]) for n in (12, 20))
    assert small < large


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=40),
    st.integers(1, 45),
    st.integers(0, 2**32 - 1),
)
def test_a_balanced_sample_is_as_balanced_as_the_rows_allow(targets, n, seed):
    rows = task(targets).sample(n, seed, balanced=True)["train"]
    counts, available = Counter(rows["target"]), Counter(targets)
    assert len(rows) == min(n, len(targets)) == len(set(rows["source"]))
    for word in available:  # a class is behind another by two only when it has no rows left
        if counts[word] < available[word]:
            assert all(counts[other] <= counts[word] + 1 for other in available)


def test_the_order_of_a_seed_is_fixed_for_good():
    # numpy's frozen stream: a change here would change every low-data figure in the book
    assert shuffled(8, 0).tolist() == [6, 2, 1, 7, 3, 0, 5, 4]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: task("abd"), "'d' is none of the label words"),
        (lambda: task("", labels=None), "empty"),
        (lambda: task("ab", labels=("a", "b", "a")), "repeat"),
        (lambda: Task.from_rows("m", {"train": {"source": ["x"]}}), "no column 'target'"),
        (lambda: task("ab")["validation"], "no split 'validation'; it has train, test"),
        (lambda: task("ab").sample(0), "n=0"),
        (lambda: task("ab").sample(2, seed=-1), "seed=-1"),
        (lambda: load_task("glue/rta"), "did you mean 'glue/rte'"),
        (lambda: load_task("glue/rte", seed=-1, data_dir="."), "glue/rte"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(PHAError, match=message):
        make()


def test_a_selection_is_judged_by_its_own_rows():
    """The rows that were filtered out must not be held against the task."""
    rows = task("abda", labels=None)["train"]
    kept = Task("mine", {"train": rows.select([0, 3, 1])}, labels=("a", "b"))
    assert kept["train"]["target"] == ["a", "a", "b"]
    with pytest.raises(DataError, match="'d'"):
        Task("mine", {"train": rows.select([0, 2])}, labels=("a", "b"))


def test_names_that_are_no_benchmark_come_from_the_suite(monkeypatch):
    import pha_lite.suite as suite

    seen = {}

    def load_suite(**options):
        seen.update(options)
        return {"sentiment/hotel": task("ab")}

    monkeypatch.setattr(suite, "load_suite", load_suite)
    assert load_task("sentiment/hotel", seed=7, noise=0.1).name == "mine/letters"
    assert seen == {"seed": 7, "noise": 0.1}


@pytest.mark.parametrize("module", ["tasks", "sampling", "evaluate", "stats", "rows"])
def test_examples_in_the_docstrings(module):
    result = doctest.testmod(importlib.import_module(f"pha_lite.{module}"))
    assert result.failed == 0 < result.attempted
