"""The sampler: proportions, epochs, and a resume that is exact."""

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pha_lite.errors import PHAError
from pha_lite.sampling import TaskSampler, mixing

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=6)
SEEDS = st.integers(0, 2**32)


def batches(sampler, n):
    return [next(sampler) for _ in range(n)]


@given(SIZES, st.floats(0.2, 100))
def test_the_shares_follow_the_formula(sizes, temperature):
    expected = np.array([size ** (1 / temperature) for size in sizes])
    assert mixing(sizes, temperature) == pytest.approx(expected / expected.sum(), rel=1e-9)


def test_the_ends_of_the_temperature_scale():
    assert mixing([30, 10], 1) == pytest.approx([0.75, 0.25])
    assert mixing([30, 10], float("inf")) == pytest.approx([0.5, 0.5])
    assert mixing([300_000, 10], 1e-4) == pytest.approx([1, 0])  # no overflow


@pytest.mark.parametrize("temperature", [1.0, 2.0, 10.0, float("inf")])
def test_tasks_are_drawn_in_proportion(temperature):
    sampler = TaskSampler([400, 100, 25], 100, temperature=temperature, seed=1)
    drawn = Counter(task for batch in batches(sampler, 200) for task, _ in batch)
    n = sum(drawn.values())
    for task, share in enumerate(sampler.probabilities):  # within five standard errors
        error = 5 * (share * (1 - share) / n) ** 0.5
        assert abs(drawn[task] / n - share) < error


def test_a_batch_mixes_tasks():
    """One task per *example*: a batch of one task would have no negatives for the instance loss."""
    sampler = TaskSampler([50] * 8, 32)
    assert all(len({task for task, _ in batch}) >= 5 for batch in batches(sampler, 20))


@settings(max_examples=50, deadline=None)
@given(SIZES, st.integers(1, 9), SEEDS)
def test_within_an_epoch_every_row_comes_exactly_once(sizes, batch_size, seed):
    rows = defaultdict(list)
    for batch in batches(TaskSampler(sizes, batch_size, seed=seed), 40):
        assert len(batch) == batch_size
        for task, row in batch:
            rows[task].append(row)
    for task, seen in rows.items():
        size = sizes[task]
        for start in range(0, len(seen), size):
            epoch = seen[start : start + size]
            assert len(set(epoch)) == len(epoch)
            assert set(epoch) <= set(range(size))


def test_epochs_are_shuffled_anew():
    rows = [row for batch in batches(TaskSampler([40], 40), 3) for _, row in batch]
    first, second, third = rows[:40], rows[40:80], rows[80:]
    assert first != second != third != list(range(40))
    assert sorted(first) == sorted(second) == list(range(40))


@settings(max_examples=50, deadline=None)
@given(
    SIZES, st.integers(1, 9), st.integers(0, 30), st.sampled_from([1.0, 10.0]), SEEDS,
    st.sampled_from([1, 3, 8]),
)  # fmt: skip
def test_a_loaded_state_continues_bit_for_bit(sizes, batch_size, steps, temperature, seed, window):
    lengths = [[7 * row % 11 for row in range(size)] for size in sizes]
    one = TaskSampler(sizes, batch_size, temperature, seed, lengths, window)
    batches(one, steps)
    state = json.loads(json.dumps(one.state_dict()))  # a checkpoint may keep it as JSON
    other = TaskSampler(sizes, batch_size, temperature, seed, lengths, window)
    batches(other, 3)  # wherever it stood before
    other.load_state_dict(state)
    assert batches(other, 12) == batches(one, 12)


@settings(max_examples=50, deadline=None)
@given(SIZES, st.integers(1, 9), SEEDS, st.integers(2, 5), st.data())
def test_in_a_window_rows_only_change_places(sizes, batch_size, seed, window, data):
    lengths = [data.draw(st.lists(st.integers(1, 9), min_size=n, max_size=n)) for n in sizes]
    plain = batches(TaskSampler(sizes, batch_size, seed=seed), 3 * window)
    sorted_ = batches(TaskSampler(sizes, batch_size, 10.0, seed, lengths, window), 3 * window)
    for at in range(0, 3 * window, window):
        one, two = plain[at : at + window], sorted_[at : at + window]
        assert Counter(sum(one, [])) == Counter(sum(two, []))  # each row as often as before
        # and the tasks of every batch as drawn, in their order
        assert [[t for t, _ in batch] for batch in one] == [[t for t, _ in b] for b in two]


def test_a_window_of_one_task_is_sorted_batches():
    dice = np.random.default_rng(0)
    lengths = [dice.permutation(64).tolist()]
    made = batches(TaskSampler([64], 8, lengths=lengths, window=8), 8)
    found = sorted(sorted(lengths[task][row] for task, row in batch) for batch in made)
    assert found == [list(range(at, at + 8)) for at in range(0, 64, 8)]
    assert [lengths[0][batch[0][1]] // 8 for batch in made] != list(range(8))  # in a drawn order


def test_long_rows_of_all_tasks_meet():
    dice = np.random.default_rng(0)
    lengths = [dice.integers(5, 60, 200).tolist() for _ in range(4)]

    def padding(window):
        sampler = TaskSampler([200] * 4, 16, 10.0, 0, lengths, window)
        each = [[lengths[task][row] for task, row in batch] for batch in batches(sampler, 48)]
        return 1 - sum(map(sum, each)) / sum(len(batch) * max(batch) for batch in each)

    assert padding(16) < 0.5 * padding(1)


def test_a_state_from_before_windows_is_read():
    state = TaskSampler([3, 4], 4).state_dict()
    del state["window"]
    TaskSampler([3, 4], 4).load_state_dict(state)


def test_seeds_give_streams_of_their_own():
    a, b, c = (batches(TaskSampler([9, 9], 8, seed=s), 5) for s in (0, 0, 1))
    assert a == b != c


def test_state_is_a_copy():
    sampler = TaskSampler([3, 3], 4)
    state = sampler.state_dict()
    batches(sampler, 5)
    assert state == TaskSampler([3, 3], 4).state_dict()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(sizes=[], batch_size=4), "at least one task"),
        (dict(sizes=[3, 0], batch_size=4), "a row in each"),
        (dict(sizes=[3], batch_size=0), "batch_size=0"),
        (dict(sizes=[3], batch_size=4, temperature=0), "temperature=0"),
        (dict(sizes=[3], batch_size=4, temperature=float("nan")), "temperature=nan"),
        (dict(sizes=[3], batch_size=4, seed=-1), "seed=-1"),
        (dict(sizes=[3], batch_size=4, window=0), "window=0"),
        (dict(sizes=[3], batch_size=4, window=2), "window=2: lengths"),
        (dict(sizes=[3], batch_size=4, window=2, lengths=[[1, 2]]), "window=2: lengths"),
    ],
)
def test_settings_without_sense_are_refused(arguments, message):
    with pytest.raises(PHAError, match=message):
        TaskSampler(**arguments)


@pytest.mark.parametrize("key", ["sizes", "batch_size", "temperature", "seed", "window"])
def test_the_state_of_another_stream_is_refused(key):
    sampler = TaskSampler([3, 4], 4)
    state = sampler.state_dict()
    state[key] = [3, 5] if key == "sizes" else state[key] + 1
    with pytest.raises(PHAError, match=key):
        sampler.load_state_dict(state)
