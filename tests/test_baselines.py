"""The baselines, each held against a trusted implementation or a hand computation."""

import copy

import pytest
import torch
import torch.nn.functional as F
from test_train import toy_tasks

from pha_lite import PHAConfig, PHAError, PHAModel
from pha_lite import backbone as bb
from pha_lite.baselines import (
    CLASSES,
    METHODS,
    BitFit,
    FullFineTuning,
    LoRA,
    NearestNeighbour,
    PromptTuning,
    build,
)
from pha_lite.config import BASELINES
from pha_lite.train import TrainConfig, train

NAMES = ["mood", "topic"]
TEXTS = ["the room was clean", "a long day at the old museum", "no"]
WORDS = ["yes", "no", "yes"]
TUNED = [name for name in CLASSES if name != "nearest"]


@pytest.fixture
def make(backbone):
    return lambda method, **over: build(method, backbone, NAMES, **over).eval()


def batch_of(model):
    return model.batch(TEXTS, WORDS, ["mood", "topic", "mood"])


def shaken(model, std=0.05):
    """The model with noise on all that is trained: nothing is at its start any more."""
    torch.manual_seed(0)
    with torch.no_grad():
        for _, weight in model.adapter_parameters():
            weight.add_(std * torch.randn_like(weight))
    return model


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_built_and_counted(make, method):
    model = make(method)
    counts = model.count_parameters()
    trained = sum(w.numel() for _, w in model.adapter_parameters())
    assert counts["total"] == trained
    assert (trained == 0) == (method == "nearest")


@pytest.mark.parametrize("method", ["full", "bitfit", "lora"])
def test_starts_as_the_frozen_t5(make, backbone, method):
    model, plain = make(method), bb.frozen_view(backbone[0])
    batch = batch_of(model)
    expected = plain(**{k: v for k, v in batch.items() if k != "task_ids"})
    found = model(batch)
    assert torch.allclose(found.logits, expected.logits, atol=1e-5)
    assert torch.allclose(found.loss, expected.loss, atol=1e-5)


@pytest.mark.parametrize("method", TUNED)
def test_training_leaves_the_given_t5_alone(make, backbone, method):
    before = bb.fingerprint(*backbone)
    model = make(method)
    start = {n: w.detach().clone() for n, w in model.adapter_parameters()}
    model(batch_of(model)).loss.backward()
    optimizer = torch.optim.SGD([w for _, w in model.adapter_parameters()], lr=1.0)
    optimizer.step()
    assert bb.fingerprint(*backbone) == before
    assert any(not torch.equal(w, start[n]) for n, w in model.adapter_parameters())
    assert not any(w.requires_grad for w in backbone[0].parameters()) or all(
        w.grad is None for w in backbone[0].parameters()
    )


def test_full_fine_tuning_has_the_gradients_of_transformers(make, backbone):
    model = make("full")
    reference = copy.deepcopy(bb.frozen_view(backbone[0])).requires_grad_(True)
    batch = batch_of(model)
    model(batch).loss.backward()
    reference(**{k: v for k, v in batch.items() if k != "task_ids"}).loss.backward()
    expected = {n: w.grad for n, w in reference.named_parameters()}
    found = {n: w.grad for n, w in model.t5.named_parameters()}
    assert expected.keys() == found.keys()
    for name, grad in expected.items():
        assert torch.allclose(found[name], grad, atol=1e-5), name


def test_bitfit_adds_one_bias_to_every_linear_map_and_nothing_else(make, backbone):
    model = shaken(make("bitfit"))
    linear = [
        m
        for stack in (backbone[0].encoder, backbone[0].decoder)
        for m in stack.modules()
        if isinstance(m, torch.nn.Linear)
    ]
    assert model.count_parameters()["total"] == sum(m.out_features for m in linear)
    q = model.t5.encoder.block[0].layer[0].SelfAttention.q
    x = torch.randn(2, 3, q.in_features)
    assert torch.allclose(q(x), x @ q.weight.T + q.bias, atol=1e-6)
    assert q.bias.abs().max() > 0


def test_lora_is_pefts(make, backbone):
    from peft import LoraConfig, get_peft_model

    model = shaken(make("lora"))
    reference = get_peft_model(
        copy.deepcopy(bb.frozen_view(backbone[0])),
        LoraConfig(r=8, lora_alpha=16, target_modules=["q", "v"], task_type="SEQ_2_SEQ_LM"),
    ).eval()
    ours = {n: w for n, w in model.t5.named_parameters() if w.requires_grad}
    theirs = {n: w for n, w in reference.named_parameters() if w.requires_grad}
    assert len(ours) == len(theirs)
    with torch.no_grad():
        for name, weight in theirs.items():
            weight.copy_(ours[name.removeprefix("base_model.model.")])
    batch = batch_of(model)
    expected = reference(**{k: v for k, v in batch.items() if k != "task_ids"})
    assert torch.allclose(model(batch).logits, expected.logits, atol=1e-5)


def test_prompt_tuning_is_pefts(make, backbone):
    from peft import PromptTuningConfig, get_peft_model

    model = shaken(make("prompt"))
    prompts = PromptTuningConfig(
        task_type="SEQ_2_SEQ_LM",
        num_virtual_tokens=PromptTuning.length,
        num_transformer_submodules=1,
    )
    reference = get_peft_model(copy.deepcopy(bb.frozen_view(backbone[0])), prompts).eval()
    batch = model.batch(TEXTS, WORDS, "topic")
    row = model.trained.prototypes.vectors[1].detach()
    table = reference.prompt_encoder.default.embedding.weight
    with torch.no_grad():
        table.copy_(row.view(PromptTuning.length, -1))
    expected = reference(**{k: v for k, v in batch.items() if k != "task_ids"})
    assert torch.allclose(model(batch).logits, expected.logits, atol=1e-5)


def test_prompts_of_two_tasks_do_not_mix(make):
    model = shaken(make("prompt"), std=1.0)
    mixed = model(batch_of(model)).logits
    for row, task in enumerate(["mood", "topic", "mood"]):
        alone = model(model.batch(TEXTS, WORDS, task)).logits[row]
        assert torch.allclose(mixed[row], alone, atol=1e-5)


@pytest.mark.parametrize("method", TUNED)
@pytest.mark.parametrize("way", ["rank", "generate"])
def test_answers_do_not_depend_on_the_batch(make, method, way):
    model = shaken(make(method))
    together = model.predict(TEXTS, "topic", ["yes", "no"], way)
    alone = [model.predict([text], "topic", ["yes", "no"], way)[0] for text in TEXTS]
    assert together == alone


def test_adapter_drop_is_a_shared_adapter_without_its_lowest_layers(make, backbone):
    model, whole = shaken(make("adapter_drop")), make("shared_adapter")
    with torch.no_grad():
        for stack in ("encoder", "decoder"):
            few, all_ = getattr(model.trained, stack), getattr(whole.trained, stack)
            for name, weight in all_.named_parameters():
                weight.zero_()  # an adapter of zeros adds nothing
                weight[1:] = getattr(few, name)
    batch = batch_of(model)
    assert torch.allclose(model(batch).logits, whole(batch).logits, atol=1e-5)
    t5 = copy.deepcopy(backbone[0])
    model.bake("mood").attach(t5)
    expected = model(model.batch(TEXTS, WORDS, "mood")).logits
    batch.pop("task_ids")
    assert torch.allclose(t5(**batch).logits, expected, atol=1e-4)


def test_skipping_every_layer_is_refused(make):
    with pytest.raises(PHAError, match="skip_lowest=2: this T5's encoder"):
        make("adapter_drop", skip_lowest=2)


def test_nearest_neighbour_gives_the_answer_of_the_most_similar_row(make):
    model = make("nearest")
    tasks = toy_tasks()
    model.remember(tasks)
    task = tasks["mood"]
    rows = task["train"]
    assert model.predict(list(rows["source"]), "mood") == list(rows["target"])  # each finds itself
    asked = list(task["test"]["source"])[:5]
    states = {t: pooled(model, t) for t in {*asked, *rows["source"]}}
    for text, answer in zip(asked, model.predict(asked, "mood"), strict=True):
        best = max(range(len(rows)), key=lambda i: states[text] @ states[rows[i]["source"]])
        assert answer == rows[best]["target"]


def pooled(model, text):
    ids = model.tokenizer(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        return F.normalize(model.t5.encoder(ids).last_hidden_state[0].mean(dim=0), dim=0)


def test_nearest_neighbour_needs_something_to_remember(make):
    with pytest.raises(PHAError, match="call remember first"):
        make("nearest").predict(["a"], "mood")


@pytest.mark.parametrize("method", TUNED)
def test_saved_and_loaded_is_the_same(make, backbone, tiny_t5, method, tmp_path):
    model = shaken(make(method))
    model.save_pretrained(tmp_path)
    again = PHAModel.from_pretrained(tmp_path, backbone).eval()
    assert type(again) is CLASSES[method]
    batch = batch_of(model)
    assert torch.equal(again(batch).logits, model(batch).logits)
    with pytest.raises(PHAError, match="another backbone"):
        PHAModel.from_pretrained(tmp_path, tiny_t5(seed=1))


@pytest.mark.parametrize("method", TUNED)
def test_a_copy_is_independent_and_a_new_task_changes_no_other(make, method):
    model = shaken(make(method))
    batch = batch_of(model)
    before = model(batch).logits
    other = model.clone()
    other.add_task("new", like="mood")
    assert torch.equal(other(batch).logits, before)
    shaken(other)
    assert torch.equal(model(batch).logits, before)
    assert not torch.allclose(other(batch).logits, before)


@pytest.mark.parametrize("method", TUNED)
def test_trains_and_resumes_with_the_common_loop(make, method, tmp_path):
    tasks = {name: toy_tasks()[name] for name in NAMES}
    settings = TrainConfig(steps=4, batch_size=4, lr=1e-2, eval_every=2, eval_limit=4)
    model = make(method)
    result = train(model, tasks, settings, tmp_path, progress=False)
    assert len(result.history) == 4
    again = make(method)
    train(again, tasks, settings, tmp_path, progress=False)  # goes on from the end: nothing to do
    for (name, a), (_, b) in zip(
        model.adapter_parameters(), again.adapter_parameters(), strict=True
    ):
        assert torch.equal(a, b), name


def test_an_unknown_method_is_named():
    with pytest.raises(PHAError, match="shared_adpter"):
        build("shared_adpter", "tiny", NAMES)


def test_configurations_of_pha_stay_what_they_are(make):
    for method in BASELINES:
        model = make(method)
        assert type(model) is PHAModel
        assert model.config == PHAConfig.baseline(method, tasks=NAMES)
    for cls in (FullFineTuning, BitFit, LoRA, PromptTuning, NearestNeighbour):
        assert cls in CLASSES.values()
