"""Few-shot transfer: what an episode holds, where each start begins, what tuning may touch."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from conftest import SMALL, TASKS
from test_train import same, toy_task, toy_tasks, weights_of

from pha_lite import records
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError
from pha_lite.evaluate import score
from pha_lite.fewshot import RATES, STARTS, TUNES, adapt, episode, swap_test
from pha_lite.model import PHAModel

NEW = toy_task("novel", seed=5)
QUICK = {"steps": 2, "lr": 1e-2}


def row_of(model: PHAModel, name: str) -> torch.Tensor:
    return model.trained.prototypes.vectors[model.config.tasks.index(name)].detach()


# -- episodes -------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 3, 4, 16])
def test_episode_is_balanced_nested_and_leaves_the_queries_whole(k):
    drawn = episode(NEW, k, seed=1)
    counts = Counter(drawn["train"]["target"])
    assert sum(counts.values()) == k and abs(counts["yes"] - counts["no"]) <= 1
    assert drawn["test"].to_dict() == NEW["test"].to_dict()
    larger = set(episode(NEW, k + 4, seed=1)["train"]["source"])
    assert set(drawn["train"]["source"]) <= larger <= set(NEW["train"]["source"])


def test_episode_depends_on_the_seed_and_its_queries_do_not():
    one, two = episode(NEW, 4, seed=0, limit=5), episode(NEW, 4, seed=1, limit=5)
    assert one["train"]["source"] != two["train"]["source"]
    assert one["test"]["source"] == two["test"]["source"] and len(one["test"]) == 5


# -- starts ---------------------------------------------------------------------------------------


def test_the_model_itself_never_changes(build):
    model = build()
    before, config, generator = weights_of(model), model.config, torch.get_rng_state()
    frozen = {name: value.clone() for name, value in model.t5.state_dict().items()}
    wanted = model.predict(["the good film", "a bad hotel"], "mood", ("no", "yes"))
    for start in STARTS:
        for tune in TUNES:
            adapt(model, NEW, 4, start, tune, seed=1, oracle="mood", wrong="topic", **QUICK)
    assert same(before, weights_of(model)) and same(frozen, model.t5.state_dict())
    assert model.config == config and model.config.tasks == TASKS
    assert torch.equal(generator, torch.get_rng_state())
    assert model.predict(["the good film", "a bad hotel"], "mood", ("no", "yes")) == wanted
    assert all(weight.requires_grad for _, weight in model.adapter_parameters())


@pytest.mark.parametrize("start", ["oracle", "wrong", "retrieved", "loss", "random"])
def test_starts_from_a_task_copy_its_prototype(build, start):
    model = build()
    result = adapt(model, NEW, 4, start, "none", seed=3, oracle="season", wrong="topic")
    assert result.source in TASKS
    assert torch.equal(row_of(result.model, "novel"), row_of(model, result.source))
    assert result.before == result.after
    own = model.predict(list(NEW["test"]["source"]), result.source, NEW.labels)
    assert result.before == score(NEW, own)


def test_named_starts_take_the_named_task(build):
    model = build()
    assert adapt(model, NEW, 4, "oracle", "none", oracle="season").source == "season"
    assert adapt(model, NEW, 4, "wrong", "none", wrong="topic").source == "topic"


def test_mean_start_is_the_mean_and_fresh_is_new(build):
    model = build()
    mean = adapt(model, NEW, 4, "mean", "none")
    vectors = model.trained.prototypes.vectors.detach()
    torch.testing.assert_close(row_of(mean.model, "novel"), vectors.mean(dim=0))
    fresh = [row_of(adapt(model, NEW, 4, "fresh", "none", seed=s).model, "novel") for s in (0, 1)]
    assert not torch.equal(*fresh)
    distances = [(vector - fresh[0]).norm() for vector in vectors]
    assert min(distances) > 0.1 and mean.source is None


def test_random_start_draws_every_task_in_time(build):
    model = build()
    drawn = {adapt(model, NEW, 2, "random", "none", seed=s, limit=1).source for s in range(12)}
    assert drawn == set(TASKS)


def test_retrieved_start_is_what_the_retriever_finds_for_the_k_inputs(build):
    model = build()
    for seed in range(3):
        result = adapt(model, NEW, 4, "retrieved", "none", seed=seed, limit=2)
        texts = list(episode(NEW, 4, seed)["train"]["source"])
        assert result.ranking == model.retrieve(texts, k=3)
        assert result.source == result.ranking[0][0]


def test_loss_start_reads_the_answers(build):
    """Same inputs, opposite answers: retrieval cannot tell them apart, the loss can."""
    model = build(awake=False)
    from pha_lite.train import TrainConfig, train

    tasks = {name: task for name, task in toy_tasks().items() if name != "mood"}
    settings = {"steps": 60, "lr": 2e-2, "batch_size": 8, "eval_every": 0}
    train(model, tasks, TrainConfig(**settings), progress=False)
    for answer, related in (("yes", "topic"), ("no", "season")):
        task = toy_task("novel", answer, seed=8)
        result = adapt(model, task, 4, "loss", "none")
        assert result.source == related and result.before == 1.0
        assert [value for _, value in result.ranking] == sorted(
            (value for _, value in result.ranking), reverse=True
        )
    retrieved = {
        adapt(model, toy_task("novel", answer, seed=8), 4, "retrieved", "none").source
        for answer in ("yes", "no")
    }
    assert len(retrieved) == 1


def test_loss_start_tries_only_the_nearest_candidates(build):
    model = build()
    result = adapt(model, NEW, 4, "loss", "none", candidates=2)
    near = [name for name, _ in model.retrieve(list(episode(NEW, 4)["train"]["source"]), k=2)]
    assert {name for name, _ in result.ranking} == set(near)
    assert len(adapt(model, NEW, 4, "loss", "none").ranking) == 3


def test_fresh_adapter_owes_nothing_to_the_trained_model(build):
    one, two = build(), build(awake=False)
    results = [adapt(model, NEW, 4, "fresh_adapter", "all", **QUICK) for model in (one, two)]
    assert same(weights_of(results[0].model), weights_of(results[1].model))
    assert results[0].model.trained.hypernet is None and results[0].source is None
    assert results[0].model.config.adapter_dim == one.config.adapter_dim


def test_a_task_the_model_knows_is_learnt_beside_the_old_one(build):
    model = build()
    result = adapt(model, toy_tasks()["mood"], 4, "fresh", "prototype", **QUICK)
    assert result.model.config.tasks == [*TASKS, "mood@4"]
    assert torch.equal(row_of(result.model, "mood"), row_of(model, "mood"))


# -- tuning ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tune", "moved"),
    [
        ("none", set()),
        ("prototype", {"prototypes"}),
        ("hypernetwork", {"prototypes", "hypernet"}),
        ("all", {"prototypes", "hypernet", "encoder"}),
    ],
)
def test_tuning_moves_what_it_says_and_nothing_else(build, tune, moved):
    model = build()
    start = weights_of(adapt(model, NEW, 4, "oracle", "none", oracle="mood").model)
    end = weights_of(adapt(model, NEW, 4, "oracle", tune, oracle="mood", **QUICK).model)
    changed = {name.split(".")[0] for name in start if not torch.equal(start[name], end[name])}
    assert changed == moved
    old, new = start["prototypes.vectors"], end["prototypes.vectors"]
    assert torch.equal(old[:3], new[:3])  # the other tasks' rows


def test_tuning_lowers_the_loss_on_the_k_examples(build):
    model = build()
    result = adapt(model, toy_task("novel", "yes"), 4, "fresh", "all", steps=40, lr=2e-2)
    assert result.after == 1.0 >= result.before


def test_result_is_a_function_of_its_seed(build):
    model = build(dropout=0.3)

    def run(seed):
        torch.rand(seed + 3)  # the caller's generator must not matter
        return weights_of(adapt(model, NEW, 4, "fresh", "all", seed=seed, **QUICK).model)

    assert same(run(1), run(1)) and not same(run(1), run(2))


def test_zero_steps_tune_nothing(build):
    result = adapt(build(), NEW, 4, "fresh", "all", steps=0)
    assert result.before == result.after


def test_models_without_prototypes_can_be_adapted_too(backbone):
    for method in ("shared_adapter", "adapter_per_task", "task_embedding", "instance"):
        base = PHAConfig(tasks=TASKS, **SMALL)
        config = PHAConfig.baseline(method, base=base)
        model = PHAModel.from_backbone(backbone, config)
        result = adapt(model, NEW, 4, "fresh", "all", **QUICK)
        assert result.source is None and 0 <= result.after <= 1


def test_result_as_a_dict_is_json(build):
    import json

    result = adapt(build(), NEW, 4, "retrieved", "prototype", limit=2, **QUICK)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["start"] == "retrieved" and values["k"] == 4 and "model" not in values


# -- swap test ------------------------------------------------------------------------------------


def test_swap_test_is_own_minus_wrong(build):
    model, tasks = build(), toy_tasks()
    pairs = [("topic", "season"), ("season", "topic"), ("topic", "topic")]
    found = swap_test(model, tasks, pairs)
    texts = list(tasks["topic"]["test"]["source"])
    own, wrong = (
        score(tasks["topic"], model.predict(texts, name, ("no", "yes")))
        for name in ("topic", "season")
    )
    assert found["topic", "season"] == pytest.approx(own - wrong)
    assert found["topic", "topic"] == 0.0 and list(found) == pairs


def test_swap_test_is_large_where_tasks_conflict_and_zero_where_weights_are_shared(build, backbone):
    from pha_lite.train import TrainConfig, train

    tasks = {name: task for name, task in toy_tasks().items() if name != "mood"}
    settings = {"steps": 60, "lr": 2e-2, "batch_size": 8, "eval_every": 0}
    model = build(awake=False)
    train(model, tasks, TrainConfig(**settings), progress=False)
    assert swap_test(model, tasks, [("topic", "season")]) == {("topic", "season"): 1.0}
    shared = build(encoder="shared", decoder="shared", instance_weight=0, prototype_weight=0)
    assert swap_test(shared, tasks, [("topic", "season")], limit=4) == {("topic", "season"): 0.0}


def test_without_query_rows_there_is_nothing_to_report(build):
    task = toy_task("novel")
    del task.splits["test"]
    with pytest.raises(PHAError, match="no split 'test'"):
        adapt(build(), task, 4)


def test_the_rate_where_none_is_given_suits_what_is_tuned(build):
    model = build()
    given = {
        tune: adapt(model, NEW, 2, "fresh", tune, steps=1, limit=2).lr
        for tune in ("none", "prototype", "hypernetwork", "all")
    }
    assert given == {"none": 0.1, "prototype": 0.1, "hypernetwork": 0.001, "all": 0.001}
    assert adapt(model, NEW, 2, "fresh_adapter", steps=1, limit=2).lr == 0.003
    assert adapt(model, NEW, 2, "fresh", steps=1, limit=2, lr=0.5).lr == 0.5


def test_default_rates_are_those_that_validation_chose():
    chosen = records.load("few_shot")["settings"]["chosen_rates"]
    assert [RATES["prototype"]] == chosen["retrieved"]
    assert [RATES["fresh_adapter"]] == chosen["fresh_adapter"]
