"""A stream of tasks: the measures, what each strategy keeps and forgets, and the cell."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from conftest import wake
from hypothesis import given
from hypothesis import strategies as st
from test_train import same, toy_task, toy_tasks, weights_of

from pha_lite import train as train_module
from pha_lite.baselines import build as build_method
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError
from pha_lite.experiments import setting, stream
from pha_lite.experiments.stream import InTurn, Joint, arrivals, play
from pha_lite.inference import score_labels
from pha_lite.model import PHAModel
from pha_lite.suite import load_suite

SMALL_SUITE = load_suite(sizes={"train": 12, "validation": 8, "test": 8})
NEW = [toy_task("always", "yes", seed=5), toy_task("never", "no", seed=6)]
TEXTS = ["the good film", "a bad hotel was not", "book and the good", "very bad"]

# --- measures -------------------------------------------------------------------------------------

BY_HAND = [[0.9], [0.7, 0.8], [0.5, 0.9, 0.6]]


def test_measures_by_hand():
    assert stream.average_accuracy(BY_HAND) == pytest.approx([0.9, 0.75, 2 / 3])
    # the best of 0.9, 0.7 before 0.5; 0.8 before 0.9; the last task cannot have been forgotten
    assert stream.forgetting(BY_HAND) == pytest.approx([0.4, -0.1])
    assert stream.backward_transfer(BY_HAND) == pytest.approx([-0.4, 0.1])
    assert stream.forward_transfer(BY_HAND, [0.5, 0.9, 0.6]) == pytest.approx([0.4, -0.1, 0.0])


def test_forgetting_counts_from_the_best_time_not_from_the_first():
    R = [[0.5], [0.9, 0.5], [0.6, 0.5, 0.5]]
    assert stream.forgetting(R)[0] == pytest.approx(0.3)
    assert stream.backward_transfer(R)[0] == pytest.approx(0.1)


@st.composite
def matrices(draw):
    size = draw(st.integers(1, 6))
    number = st.floats(0, 1)
    return [draw(st.lists(number, min_size=i + 1, max_size=i + 1)) for i in range(size)]


@given(matrices())
def test_measures_have_their_bounds(R):
    tolerance = 1e-12
    for row, average in zip(R, stream.average_accuracy(R), strict=True):
        assert min(row) - tolerance <= average <= max(row) + tolerance
    lost, backward = stream.forgetting(R), stream.backward_transfer(R)
    assert len(lost) == len(backward) == len(R) - 1
    for f, b in zip(lost, backward, strict=True):
        assert -1 <= f <= 1 and f >= -b  # at least what was lost since the task was learnt
    if len(R) > 1:  # one arrival ago there was only one time to compare with
        assert lost[-1] == -backward[-1]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_what_never_changes_is_never_forgotten(scores):
    R = [scores[: i + 1] for i in range(len(scores))]
    assert set(stream.forgetting(R)) <= {0.0} and set(stream.backward_transfer(R)) <= {0.0}
    assert set(stream.forward_transfer(R, scores)) == {0.0}


@given(matrices())
def test_only_a_task_that_gets_worse_at_the_end_is_forgotten_more(R):
    worse = [*R[:-1], [score / 2 for score in R[-1]]]
    pairs = zip(stream.forgetting(R), stream.forgetting(worse), strict=True)
    assert all(before <= after for before, after in pairs)


def test_forward_transfer_needs_a_score_for_every_task():
    with pytest.raises(ValueError):
        stream.forward_transfer(BY_HAND, [0.5])


@pytest.mark.parametrize("method", ["pha", "shared_adapter", "adapter_per_task"])
def test_stored_numbers_are_those_of_the_grown_model(backbone, small_config, method):
    config = PHAConfig.baseline(method, small_config())
    model = PHAModel.from_backbone(backbone, config)
    told = stream.stored(model.count_parameters(), 2)
    for i, size in enumerate(told["numbers"]):
        weights = [weight for _, weight in model.adapter_parameters()]
        assert size == sum(weight.numel() for weight in weights)
        assert told["bytes"][i] == sum(weight.nbytes for weight in weights)
        model.add_task(f"new {i}")
    grows = {"pha": 6, "shared_adapter": 0}  # 6: width of a prototype in this configuration
    assert told["numbers"][1] - told["numbers"][0] == grows.get(method, told["numbers"][0] // 3)


# --- strategies -----------------------------------------------------------------------------------


def model_for(strategy: str, backbone, small_config) -> tuple[PHAModel, str]:
    """A model of the strategy's method whose adapters do something, and what it tunes."""
    method, tune = stream.STRATEGIES[strategy]
    model = build_method(method, backbone, list(toy_tasks()), small_config())
    return (model if method == "full" else wake(model)), tune


def answers(model: PHAModel, names: list[str]) -> torch.Tensor:
    """Log-probabilities of both words, so that a change of the last bit is seen."""
    return torch.stack([score_labels(model, TEXTS, name, ("no", "yes")) for name in names])


@pytest.mark.parametrize(
    ("strategy", "start"),
    [
        ("prototype", "retrieved"),
        ("prototype", "loss"),
        ("prototype", "fresh"),
        ("adapter_per_task", "fresh"),
    ],
)
def test_earlier_tasks_keep_their_answers_to_the_last_bit(backbone, small_config, strategy, start):
    model, tune = model_for(strategy, backbone, small_config)
    learner = InTurn(model, tune, start, steps=3, lr=0.05, seed=1)
    handed, known = weights_of(model), list(model.config.tasks)
    for task in NEW:
        before, rest = answers(learner.model, known), weights_of(learner.model)
        learner.learn(task)
        assert torch.equal(answers(learner.model, known), before)
        for name, weight in weights_of(learner.model).items():
            assert torch.equal(weight[: len(rest[name])], rest[name])  # only a row was added
        known.append(task.name)
    started = [source is not None for source in learner.sources]
    assert started == [start != "fresh"] * 2
    assert same(handed, weights_of(model)) and list(model.config.tasks) == known[:3]


@pytest.mark.parametrize("strategy", ["prototype", "adapter_per_task", "sequential"])
def test_an_arrival_learns(backbone, small_config, strategy):
    model, tune = model_for(strategy, backbone, small_config)
    start = "retrieved" if strategy == "prototype" else "fresh"
    losses = []
    for steps in (0, 20):
        learner = InTurn(model, tune, start, steps, lr=0.1, seed=0)
        learner.learn(NEW[0])
        batch = learner.model.batch(TEXTS, ["yes"] * 4, NEW[0].name)
        with learner.model.inference():
            losses.append(float(learner.model(batch).lm_loss))
    assert losses[1] < losses[0] - 1


@pytest.mark.parametrize("strategy", ["sequential", "sequential_full"])
def test_tuning_in_turn_forgets_what_an_adapter_of_its_own_keeps(backbone, small_config, strategy):
    """Two tasks with opposite answers to everything: the second wipes the first out."""
    settings = {"start": "fresh", "steps": 20, "lr": 0.03, "seed": 0}
    forgetful, tune = model_for(strategy, backbone, small_config)
    R = play(InTurn(forgetful, tune, **settings), NEW, "test", 12)
    assert R == [[1.0], [0.0, 1.0]] and stream.forgetting(R) == [1.0]
    separate, tune = model_for("adapter_per_task", backbone, small_config)
    assert play(InTurn(separate, tune, **settings), NEW, "test", 12) == [[1.0], [1.0, 1.0]]


def test_untouched_learns_nothing(backbone, small_config):
    model, tune = model_for("untouched", backbone, small_config)
    learner = InTurn(model, tune, "fresh", steps=3, lr=0.1, seed=0)
    learner.learn(NEW[0])
    assert torch.equal(answers(learner.model, ["mood"]), answers(model, ["mood"]))
    assert torch.equal(answers(learner.model, ["always"]), answers(model, ["mood"]))


def test_fresh_prototypes_are_new_ones_also_under_the_seed_of_the_model(build):
    model = build(awake=False, seed=3)
    learner = InTurn(model, "none", "fresh", steps=1, lr=0.1, seed=3)
    for task in NEW:
        learner.learn(task)
    vectors = learner.model.trained.prototypes.vectors.detach()
    assert len({tuple(vector.tolist()) for vector in vectors}) == len(toy_tasks()) + len(NEW)


def test_a_task_arrives_once(build):
    learner = InTurn(build(), "prototype", "fresh", steps=1, lr=0.1, seed=0)
    learner.learn(NEW[0])
    with pytest.raises(PHAError, match="always"):
        learner.learn(NEW[0])


def test_joint_trains_once_for_all_tasks_so_far(backbone, small_config):
    made = []

    def fresh(names):
        made.append(names)
        return PHAModel.from_backbone(
            backbone, PHAConfig.baseline("adapter_per_task", small_config(), tasks=names)
        )

    base = {name: toy_tasks()[name] for name in ("topic",)}
    settings = {"steps": 60, "lr": 0.02, "batch_size": 8, "eval_every": 0}
    learner = Joint(fresh, base, settings)
    assert play(learner, NEW, "test", 12, last_only=True) == [[1.0, 1.0]]
    assert made == [["topic", "always", "never"]] and list(base) == ["topic"]


# --- the stream -----------------------------------------------------------------------------------


def test_a_strategy_meets_training_rows_only_and_all_tasks_so_far_are_asked():
    met, asked = [], []

    class Spy:
        def learn(self, task):
            met.append((task.name, list(task.splits)))

        def predict(self, texts, task, labels):
            asked.append((task, len(texts)))
            return ["yes"] * len(texts)

    assert play(Spy(), NEW, "validation", 5) == [[1.0], [1.0, 0.0]]
    assert met == [("always", ["train"]), ("never", ["train"])]
    assert asked == [("always", 5), ("always", 5), ("never", 5)]


@given(st.integers(0, 1000), st.sampled_from([2, 8, 24]))
def test_arrivals_are_new_to_the_base_by_surface_or_by_rule(seed, count):
    order = arrivals(SMALL_SUITE, stream.BASE_RULES, count, seed)
    assert order == arrivals(SMALL_SUITE, list(stream.BASE_RULES), count, seed)
    assert len({name for name, _ in order}) == count
    assert [what for _, what in order].count("rule") == count // 2
    for name, what in order:
        cell = SMALL_SUITE.cells[name]
        asked_before = cell.rule in stream.BASE_RULES
        assert (asked_before, cell.new_surface) == (what == "surface", what == "surface")


def test_the_seed_draws_the_order():
    orders = {tuple(arrivals(SMALL_SUITE, stream.BASE_RULES, 8, seed)) for seed in range(6)}
    assert len(orders) == 6


@pytest.mark.parametrize("count", [0, 3, 26])
def test_a_count_that_cannot_be_halved_is_named(count):
    with pytest.raises(PHAError, match=f"arrivals={count}: .* 2 to 24"):
        arrivals(SMALL_SUITE, stream.BASE_RULES, count, 0)


# --- the cell -------------------------------------------------------------------------------------

TINY = {"n": 6, "lr": 0.01, "seed": 0, "base": {"n": 6, "lr": 0.003, "steps": 3, "batch": 8}}
TINY |= {"rules": ["sentiment"], "count": 2, "steps": 2, "rows": 4}


@pytest.fixture
def quick(monkeypatch):
    """The cell on a suite with few rows."""
    monkeypatch.setattr(setting, "suite_of", lambda seed=0: SMALL_SUITE)


@pytest.mark.parametrize("strategy", stream.STRATEGIES)
def test_cell_reports_every_strategy_alike(quick, monkeypatch, strategy):
    steps, train = [], train_module.train

    def spy(model, tasks, config, *rest, **options):
        steps.append(config.steps)
        return train(model, tasks, config, *rest, **options)

    monkeypatch.setattr(train_module, "train", spy)
    found = stream.stream_cell(strategy, test=True, **json.loads(json.dumps(TINY)))
    assert found == json.loads(json.dumps(found))
    wanted = arrivals(SMALL_SUITE, ["sentiment"], 2, 0)
    assert [(row["task"], row["new"]) for row in found["order"]] == wanted
    sizes = [2] if strategy.startswith("joint") else [1, 2]
    assert [len(row) for row in found["R"]] == sizes
    anew = [3 + 2 * 2] if strategy.startswith("joint") else []
    assert steps == [3, *anew]  # the base, then all
    assert len(found["numbers"]) == len(found["bytes"]) == 3
    grows = strategy in ("prototype", "adapter_per_task", "joint")
    assert (found["numbers"][2] > found["numbers"][0]) == grows
    if (grows and not anew) or strategy == "untouched":  # nothing that other tasks use has changed
        assert found["forgetting"] == [0.0]
        assert found["base"]["before"] == found["base"]["after"]
        assert found["tuned"] == found["numbers"][1] - found["numbers"][0]
    elif strategy.startswith("joint"):
        assert found["kept_rows"] == (3 + 2) * 6
    else:
        assert found["tuned"] == found["numbers"][0]


def test_tuning_reads_no_test_row(monkeypatch):
    made = {}
    for name, task in SMALL_SUITE.items():
        rest = {split: rows for split, rows in task.splits.items() if split != "test"}
        made[name] = replace(task, splits=rest)
    suite = replace(SMALL_SUITE, _made=made)
    monkeypatch.setattr(setting, "suite_of", lambda seed=0: suite)
    found = stream.stream_cell("prototype", test=False, start="loss", **TINY)
    assert list(found) == ["validation"] and 0 <= found["validation"]["all"] <= 1
    assert set(stream.stream_cell("joint", test=False, **TINY)["validation"]) == {"all"}
    with pytest.raises(PHAError, match="no split 'test'"):
        stream.stream_cell("prototype", test=True, **TINY)


def test_an_adapter_per_task_gains_nothing_from_earlier_tasks(quick):
    settings = TINY | {"steps": 5, "rows": 8}
    R = stream.stream_cell("adapter_per_task", test=True, **settings)["R"]
    scratch = stream.stream_cell("adapter_per_task", test=True, alone=True, **settings)["R"][0]
    assert stream.forward_transfer(R, scratch) == [0.0] * 2


def test_an_unknown_strategy_is_named():
    with pytest.raises(PHAError, match="sequential"):
        stream.stream_cell("sequentiel", test=True, **TINY)
