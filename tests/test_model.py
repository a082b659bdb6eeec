"""PHAModel: batches, gradients, decoding, prediction, growth, baking."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from conftest import TASKS, WORDS, make_t5, make_tokenizer, wake
from datasets import Dataset

from pha_lite.bake import BakedAdapter
from pha_lite.batching import collate, encode
from pha_lite.config import PHAConfig
from pha_lite.errors import PHAError
from pha_lite.losses import instance_loss, lm_loss, prototype_loss
from pha_lite.model import PHAModel
from pha_lite.retriever import masked_mean
from pha_lite.tasks import Task
from pha_lite.trained import Trained

SOURCES = ["good film", "the hotel was cold and dull", "one two", "rain", "a warm and slow river"]
TARGETS = ["yes", "no no", "goal vote law", "", "no"]
MIX = ["mood", "season", "mood", "topic", "season"]

# Every owner of adapters in both stacks, both placements, all hypernetwork inputs.
VARIANTS = {
    "pha": {},
    "sequential": {"placement": "sequential"},
    "shared": {"decoder": "shared"},
    "per task": {"encoder": "per_task", "decoder": "per_task"},
    "all generated": {"encoder": "generated"},
    "decoder only": {"encoder": "none"},
    "encoder only": {"encoder": "generated", "decoder": "none"},
    "embedding": {"hyper_input": "embedding", "instance_weight": 0.0},
    "instance": {"hyper_input": "instance"},
    "instance, own encoder": {"hyper_input": "instance", "encoder": "per_task"},
    "instance beside the task": {"hyper_input": "both", "own_dim": 3},
}
each_variant = pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)


def only(batch: dict, row: int) -> dict:
    return {key: value[row : row + 1] for key, value in batch.items()}


# ---- batches -----------------------------------------------------------------------------------


def test_a_batch_is_padded_closed_and_cut(build):
    model = build()
    batch = model.batch([*SOURCES[:2], "a " * 40], ["yes", "no " * 9, ""], MIX[:3])
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (3, 12)
    assert batch["input_ids"][2, -1] == 1 and batch["attention_mask"][0].sum() == 3
    assert batch["labels"].tolist()[0][:2] == [WORDS.index("yes") + 3, 1]
    assert batch["labels"].shape == (3, 4) and batch["labels"][1, -1] == 1
    assert batch["labels"][2].tolist() == [1, -100, -100, -100]
    assert batch["task_ids"].tolist() == [0, 2, 0]
    assert "labels" not in model.batch(["a"], None, "topic")


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda m: m.batch("good film", None, "mood"), "sources: give a list"),
        (lambda m: m.batch(["good", 3], None, "mood"), r"sources\[1\] is int"),
        (lambda m: m.batch(["good"], ["yes", "no"], "mood"), "1 sources and 2 targets"),
        (lambda m: m.batch(["good"], [None], "mood"), r"targets\[0\] is NoneType"),
        (lambda m: m.batch(["good"], None, "moood"), "'moood'.*did you mean 'mood'"),
        (lambda m: m.batch(["good", "bad"], None, ["mood"]), "2 texts and 1 task names"),
        (lambda m: m.batch([], [], "mood"), "at least 1"),
        (lambda m: m.generate(["good"], "mood", num_beams=0), "num_beams=0"),
        (lambda m: m.generate(["good"], "mood", max_new_tokens=0), "max_new_tokens=0"),
        (lambda m: m.predict("good", "mood"), "texts: give a list"),
        (lambda m: m.predict(["good"], "mood", method="best"), "method='best'"),
        (lambda m: m.predict(["good"], "mood", method="rank"), "labels: give at least 1"),
        (lambda m: m.predict(["good"], "mood", labels=["yes", "yes"]), "stands twice"),
        (lambda m: m.predict(["good"], "mood", batch_size=0), "batch_size=0"),
        (lambda m: m.embed("good"), "texts: give a list"),
        (lambda m: m.retrieve([]), "texts: give at least 1"),
        (lambda m: m.retrieve(["good"], by="instances"), "call index_instances"),
        (lambda m: m.retrieve(["good"], by="tasks"), "by='tasks'"),
        (lambda m: m.retrieve(["good"], k=0), "k=0"),
        (lambda m: m.retrieve(["good"], reduce="sum"), "reduce='sum'"),
        (lambda m: m.add_task("mood"), "'mood' is listed twice"),
        (lambda m: m.add_task("random"), "'random' has a meaning"),
        (lambda m: m.add_task("new", like="modo"), "did you mean 'mood'"),
        (lambda m: m.add_task("new", like={"absent": 1.0}), "'absent'"),
        (lambda m: m.add_task("new", like={}), "at least one task"),
        (lambda m: m.add_task("new", like=[]), "texts: give at least 1"),
        (lambda m: m.bake("absent"), "'absent'"),
        (lambda m: m.t5(torch.tensor([[4]]), decoder_input_ids=torch.tensor([[0]])), "PHAModel"),
    ],
)
def test_bad_input_is_named(build, call, says):
    model = build()
    model(model.batch(SOURCES, TARGETS, MIX))  # so that a route of five rows is set
    with pytest.raises(PHAError, match=says):
        call(model)
    assert model.config.tasks == TASKS  # and nothing was changed on the way


def test_a_model_needs_tasks_and_a_backbone(backbone):
    with pytest.raises(PHAError, match="at least one task"):
        PHAModel.from_backbone(backbone, PHAConfig.tiny())
    with pytest.raises(PHAError, match="pair"):
        PHAModel.from_backbone(3, PHAConfig.tiny(), tasks=["a"])
    assert PHAModel.from_backbone(backbone, PHAConfig.tiny(), tasks=["b", "a"]).config.tasks == [
        "b",
        "a",
    ]


# ---- forward -----------------------------------------------------------------------------------


@each_variant
def test_a_mixed_batch_equals_its_rows_alone(build, options):
    model = build(**options).eval()
    batch = model.batch(SOURCES, TARGETS, MIX)
    mixed = model(batch)
    for row in range(len(SOURCES)):
        alone = model(only(batch, row))
        torch.testing.assert_close(alone.logits[0], mixed.logits[row], atol=2e-4, rtol=1e-3)
        if mixed.embeddings is not None:
            torch.testing.assert_close(
                alone.embeddings[0], mixed.embeddings[row], atol=1e-5, rtol=0
            )


@pytest.mark.parametrize("name", ["pha", "per task", "all generated", "embedding"])
def test_the_task_decides(build, name):
    model = build(**VARIANTS[name])
    as_mood = model(model.batch(SOURCES, TARGETS, "mood")).logits
    as_topic = model(model.batch(SOURCES, TARGETS, "topic")).logits
    assert (as_mood - as_topic).abs().max() > 0.1


@pytest.mark.parametrize("name", ["shared", "instance"])
def test_or_makes_no_difference(build, name):
    model = build(**VARIANTS[name], prototype_weight=0.0)
    as_mood = model(model.batch(SOURCES, TARGETS, "mood")).logits
    torch.testing.assert_close(model(model.batch(SOURCES, TARGETS, "topic")).logits, as_mood)


def test_instance_adapters_come_from_each_rows_embedding(build):
    model = build(hyper_input="instance", encoder="none")
    batch = model.batch(SOURCES, TARGETS, MIX)
    model(batch)
    states = model.t5.encoder(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    z = model.trained.retriever(masked_mean(states, batch["attention_mask"]))
    made = model.trained.hypernet(z[3:4])
    torch.testing.assert_close(model.decoder_plan.weights[1].up[3], made.up[1, 0])


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("form", ["released", "standard"])
def test_the_loss_is_the_weighted_sum_of_its_terms(build, reduction, form):
    model = build(
        lm_reduction=reduction,
        prototype_loss=form,
        instance_weight=0.3,
        prototype_weight=0.7,
        temperature=0.5,
        label_smoothing=0.2,
    )
    batch = model.batch(SOURCES, TARGETS, MIX)
    out = model(batch)
    tasks, z = batch["task_ids"], out.embeddings
    torch.testing.assert_close(out.lm_loss, lm_loss(out.logits, batch["labels"], 0.2, reduction))
    torch.testing.assert_close(out.ir_loss, instance_loss(z, tasks, 0.5))
    vectors = model.trained.prototypes.vectors
    torch.testing.assert_close(out.pro_loss, prototype_loss(z, vectors, tasks, 0.5, form))
    torch.testing.assert_close(out.loss, out.lm_loss + 0.3 * out.ir_loss + 0.7 * out.pro_loss)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(5))


def test_terms_that_are_off_are_zero(build):
    out = build(instance_weight=0, prototype_weight=0.0)
    result = out(out.batch(SOURCES, TARGETS, MIX))
    assert result.ir_loss.item() == result.pro_loss.item() == 0
    assert result.embeddings is None and torch.equal(result.loss, result.lm_loss)
    assert not any("retriever" in name for name, _ in out.adapter_parameters())


def test_without_labels_there_is_no_language_model_loss(build):
    model = build()
    out = model(model.batch(SOURCES, None, MIX))
    assert out.loss is None and out.logits is None and out.ir_loss > 0
    assert out.embeddings.shape == (5, 6)


def test_a_new_model_is_almost_the_plain_t5(backbone, build):
    t5, tokenizer = backbone
    model = build(awake=False)
    batch = model.batch(SOURCES, TARGETS, MIX)
    plain = t5(
        batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
    ).logits
    got = model(batch).logits
    assert 0 < (got - plain).abs().max() < 0.05


def test_the_seed_alone_decides_the_start(backbone, small_config):
    def values(seed, disturb):
        torch.manual_seed(disturb)
        before = torch.get_rng_state()
        model = PHAModel.from_backbone(backbone, small_config(seed=seed))
        assert torch.equal(before, torch.get_rng_state())  # and it draws from nobody's stream
        return torch.cat([p.detach().flatten() for _, p in model.adapter_parameters()])

    assert torch.equal(values(1, 0), values(1, 99))
    assert not torch.equal(values(1, 0), values(2, 0))


def test_cached_encoder_states_replace_the_encoder(build):
    model = build(encoder="none")
    batch = model.batch(SOURCES, TARGETS, MIX)
    want = model(batch)
    states = model.t5.encoder(batch["input_ids"], batch["attention_mask"]).last_hidden_state
    model.t5.encoder.register_forward_pre_hook(lambda *_: pytest.fail("the encoder ran"))
    got = model({**batch, "encoder_states": states})
    torch.testing.assert_close(got.logits, want.logits)
    torch.testing.assert_close(got.loss, want.loss)
    with pytest.raises(PHAError, match="encoder_states"):
        build()({**batch, "encoder_states": states})


# ---- gradients ---------------------------------------------------------------------------------


def reached(model: PHAModel, term: str) -> dict[str, bool]:
    """Which parts get a gradient from one term of the loss."""
    model.zero_grad()
    getattr(model(model.batch(SOURCES, TARGETS, MIX)), term).backward()
    found = {}
    for name, parameter in model.adapter_parameters():
        part = name.split(".")[0]
        moved = parameter.grad is not None and bool(parameter.grad.any())
        found[part] = found.get(part, False) or moved
    assert all(p.grad is None for p in model.t5.parameters())
    return found


def test_gradient_paths(build):
    model = build()
    yes, no = True, False
    paths = {
        # term: encoder adapters, prototypes, hypernetwork, retriever
        "lm_loss": (yes, yes, yes, no),
        "ir_loss": (yes, no, no, yes),
        "pro_loss": (yes, yes, no, yes),
    }
    parts = "encoder", "prototypes", "hypernet", "retriever"
    for term, wanted in paths.items():
        assert reached(model, term) == dict(zip(parts, wanted, strict=True)), term


def test_the_contrastive_gradient_can_stop_before_the_encoder(build):
    model = build(contrast_to_encoder=False)
    free = build()
    batch = model.batch(SOURCES, TARGETS, MIX)
    torch.testing.assert_close(model(batch).loss, free(batch).loss)  # only gradients differ
    assert reached(model, "lm_loss")["encoder"]
    assert not reached(model, "ir_loss")["encoder"] and reached(model, "ir_loss")["retriever"]
    assert not reached(model, "pro_loss")["encoder"]


@pytest.mark.parametrize("encoder", ["generated", "per_task"])
def test_encoder_adapters_that_belong_to_tasks_get_no_contrastive_gradient(build, encoder):
    model = build(encoder=encoder)
    assert reached(model, "ir_loss") == {
        part: part == "retriever" for part in reached(model, "lm_loss")
    }


def test_the_prototype_loss_can_leave_the_prototypes_alone(build):
    """Answers alone shape them then, as in a task embedding, and the retriever still learns."""
    free, read_only = build(), build(contrast_to_prototypes=False)
    batch = read_only.batch(SOURCES, TARGETS, MIX)
    torch.testing.assert_close(read_only(batch).loss, free(batch).loss)  # only gradients differ
    assert reached(free, "pro_loss")["prototypes"]
    assert not reached(read_only, "pro_loss")["prototypes"]
    assert reached(read_only, "pro_loss")["retriever"]
    plain = build(contrast_to_prototypes=False, contrast_to_encoder=False)
    embedding = build(instance_weight=0.0, prototype_weight=0.0)
    gradients = []
    for model in (plain, embedding):
        model(batch).loss.backward()
        gradients.append(model.trained.prototypes.vectors.grad)
    torch.testing.assert_close(*gradients)


def test_both_reads_the_prototype_and_the_row(build):
    """With the columns of one part at zero, the other alone decides what is written."""
    model = build(hyper_input="both")
    e = model.config.prototype_dim
    texts, labels = [SOURCES[0], SOURCES[1]], ["yes", "no"]
    batch = model.batch(texts * 2, labels * 2, [TASKS[0]] * 2 + [TASKS[1]] * 2)
    first = model.trained.hypernet.first.weight

    def written():
        with torch.no_grad():
            model.start(batch)
            return model.decoder_plan.weights[0].down.flatten(1)  # of four rows

    same = {"task": (0, 2), "text": (0, 1)}  # rows that differ in this alone
    rows = written()
    assert all(not torch.allclose(rows[i], rows[j]) for i, j in same.values())
    kept = first.detach().clone()
    for columns, blind in ((slice(0, e), "task"), (slice(e, 2 * e), "text")):
        with torch.no_grad():
            first.copy_(kept)
            first[:, columns] = 0
        rows = written()
        for part, (i, j) in same.items():
            assert torch.allclose(rows[i], rows[j], atol=1e-7) == (part == blind), (blind, part)


def test_both_keeps_its_task_part_when_a_task_joins_and_bakes_nothing(build, tmp_path):
    model = build(hyper_input="both")
    model.add_task("new", like=TASKS[1])
    answers = [model.predict(SOURCES, name, labels=["yes", "no"]) for name in ("new", TASKS[1])]
    assert answers[0] == answers[1]
    model.save_pretrained(tmp_path / "kept")
    again = PHAModel.from_pretrained(tmp_path / "kept", backbone=(model.t5, model.tokenizer))
    assert again.predict(SOURCES, "new", labels=["yes", "no"]) == answers[0]
    with pytest.raises(PHAError, match="per row"):
        model.bake("new")
    with pytest.raises(PHAError, match="'both'"):
        build(hyper_input="both", encoder="generated")


def test_instance_adapters_train_the_encoder_even_then(build):
    model = build(hyper_input="instance", contrast_to_encoder=False)
    assert reached(model, "lm_loss") == {"encoder": True, "hypernet": True, "retriever": True}
    assert reached(model, "ir_loss") == {"encoder": False, "hypernet": False, "retriever": True}


def test_only_tasks_of_the_batch_get_a_gradient_from_the_language_model_loss(build):
    model = build(encoder="per_task", decoder="per_task")
    model(model.batch(SOURCES, TARGETS, ["mood", "season"] * 2 + ["mood"])).lm_loss.backward()
    for part in (model.trained.encoder, model.trained.decoder):
        assert part.up.grad[0].any() and part.up.grad[2].any() and not part.up.grad[1].any()


def test_the_encoder_keeps_no_graph_without_adapters(build):
    model = build(encoder="none")
    states, _ = model.start(model.batch(SOURCES, TARGETS, MIX))
    assert not states.requires_grad


@pytest.mark.parametrize("options", [{}, {"encoder": "generated"}, {"decoder": "per_task"}])
def test_gradient_checkpointing_changes_nothing(backbone, small_config, options):
    def gradients(checkpointing):
        model = wake(PHAModel.from_backbone(backbone, small_config(**options))).train()
        if checkpointing:
            model.gradient_checkpointing_enable()
            runs = []
            model.t5.decoder.block[0].layer[-1].register_forward_pre_hook(lambda *_: runs.append(1))
        model(model.batch(SOURCES, TARGETS, MIX)).loss.backward()
        if checkpointing:
            assert len(runs) == 2  # once forward, once again backward
        return {name: p.grad for name, p in model.adapter_parameters()}

    plain, saved = gradients(False), gradients(True)
    for name, gradient in plain.items():
        torch.testing.assert_close(saved[name], gradient, msg=name)


@pytest.mark.parametrize("options", [{}, {"encoder": "generated"}, {"hyper_input": "instance"}])
def test_compiled_whole_it_is_the_same(build, options):
    """`fullgraph` fails at the first thing of ours that the compiler could not follow."""
    model = build(**options).train()
    rows = encode(model, Dataset.from_dict({"source": SOURCES, "target": TARGETS}))
    batch = collate(model, rows, model.task_ids(MIX, len(rows)))
    plain = model(batch).loss
    plain.backward()
    wanted = {name: p.grad.clone() for name, p in model.adapter_parameters() if p.grad is not None}
    model.zero_grad()
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="eager", fullgraph=True)(batch).loss
    compiled.backward()
    torch.testing.assert_close(compiled, plain)
    for name, p in model.adapter_parameters():
        if name in wanted:
            torch.testing.assert_close(p.grad, wanted[name], msg=name)


def test_a_few_steps_lower_the_loss(build):
    model = build(awake=False)
    batch = model.batch(SOURCES, TARGETS, MIX)
    optimizer = torch.optim.AdamW([p for _, p in model.adapter_parameters()], lr=3e-2)
    losses = []
    for _ in range(30):
        out = model(batch)
        out.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(out.lm_loss.item())
    assert losses[-1] < 0.6 * losses[0]


def test_a_half_precision_backbone_with_full_precision_adapters(build, small_config):
    full = build()
    low = PHAModel.from_backbone((make_t5().bfloat16(), make_tokenizer()), small_config())
    low.trained.load_state_dict(full.trained.state_dict())
    batch = low.batch(SOURCES, TARGETS, MIX)
    out, exact = low(batch), full(batch)
    assert out.logits.dtype == torch.bfloat16 and out.loss.dtype == torch.float32
    assert abs(out.loss.item() - exact.loss.item()) < 0.05 * abs(exact.loss.item())
    out.loss.backward()
    for name, parameter in low.adapter_parameters():
        assert parameter.dtype == parameter.grad.dtype == torch.float32, name
        assert torch.isfinite(parameter.grad).all()
    assert len(low.generate(SOURCES, MIX, num_beams=2)) == 5
    assert low.embed(SOURCES).dtype == torch.float32


# ---- decoding and prediction -------------------------------------------------------------------


@each_variant
@pytest.mark.parametrize("beams", [1, 3])
def test_generating_a_mixed_batch_equals_its_rows_alone(build, options, beams, monkeypatch):
    model = build(**options)
    # a random T5 may write nothing but special tokens, and a text does not show them
    special = model.tokenizer.all_special_ids
    monkeypatch.setattr(model.t5.generation_config, "suppress_tokens", special)
    together = model.generate(SOURCES, MIX, num_beams=beams)
    alone = [
        model.generate([source], task, num_beams=beams)[0]
        for source, task in zip(SOURCES, MIX, strict=True)
    ]
    assert together == alone
    assert len(set(together)) > 1


def test_greedy_decoding_follows_the_forward_pass(build):
    model = build().eval()
    written = model.generate(SOURCES, MIX, max_new_tokens=3)
    for source, task, text in zip(SOURCES, MIX, written, strict=True):
        tokens = []
        for _ in range(3):
            shown = " ".join(WORDS[t - 3] for t in tokens)
            batch = model.batch([source], [f"{shown} yes"], task)
            best = model(batch).logits[0, len(tokens)].argmax().item()
            if best <= 1:
                break
            tokens.append(best)
            if best == 2:
                break
        assert text == " ".join(WORDS[t - 3] for t in tokens if t > 2)


def test_adapters_are_generated_once_per_call_for_distinct_tasks(build):
    model = build(encoder="generated")
    seen = []
    model.trained.hypernet.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[0]))
    model.generate(SOURCES, MIX, num_beams=3, max_new_tokens=6)
    assert seen == [3]  # three tasks for five rows, fifteen beams and up to six steps
    model(model.batch(SOURCES, TARGETS, MIX))
    model.generate(SOURCES, "mood")
    assert seen == [3, 3, 1]
    model.predict(SOURCES, MIX, labels=["yes", "no"], batch_size=5)
    assert seen == [3, 3, 1, 3]


def test_ranking_takes_the_largest_total_log_probability(build):
    model = build().eval()
    labels = ["yes", "no no good", "maybe vote", ""]
    got = model.predict(SOURCES, MIX, labels=labels)
    for source, task, answer in zip(SOURCES, MIX, got, strict=True):
        totals = []
        for label in labels:
            batch = model.batch([source], [label], task)
            log_p = model(batch).logits[0].log_softmax(dim=-1)
            totals.append(sum(log_p[i, y].item() for i, y in enumerate(batch["labels"][0])))
        assert answer == labels[totals.index(max(totals))]


@pytest.mark.parametrize("method", ["rank", "generate"])
@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_answers_keep_the_order_of_the_texts(build, method, batch_size):
    model = build()
    texts = [" ".join(WORDS[i : i + n]) for i, n in zip(range(20), itertools.cycle([1, 7, 3]))]
    tasks, labels = [TASKS[i % 3] for i in range(20)], ["yes", "no", "one", "maybe"]
    one_by_one = [
        model.predict([t], [task], labels, method)[0] for t, task in zip(texts, tasks, strict=True)
    ]
    got = model.predict(texts, tasks, labels, method, batch_size=batch_size)
    assert got == one_by_one and len(set(got)) > 1


def test_auto_ranks_exactly_when_label_words_are_known(build):
    model = build()
    rows = {"source": SOURCES, "target": ["yes", "no", "no", "yes", "no"]}
    task = Task.from_rows("mood", {"test": rows}, labels=("no", "yes"))
    assert set(model.predict(SOURCES, task)) <= {"no", "yes"}
    assert model.predict(SOURCES, task) == model.predict(SOURCES, "mood", labels=("no", "yes"))
    assert model.predict(SOURCES, "mood") == model.generate(SOURCES, "mood")
    assert model.predict(SOURCES, task, method="generate") == model.generate(SOURCES, "mood")
    assert model.predict([], "mood") == [] and model.generate([], "mood") == []


def test_inference_leaves_mode_and_gradients_alone(build):
    model = build(dropout=0.5).train()
    assert model.generate(SOURCES, MIX) == model.generate(SOURCES, MIX)  # no dropout here
    torch.testing.assert_close(model.embed(SOURCES), model.embed(SOURCES))
    assert model.training and model.t5.training and torch.is_grad_enabled()
    losses = {model(model.batch(SOURCES, TARGETS, MIX)).loss.item() for _ in range(3)}
    assert len(losses) == 3  # and dropout there
    model.eval().generate(SOURCES, MIX)
    assert not model.training


# ---- the instance space ------------------------------------------------------------------------


@each_variant
def test_embeddings_are_of_unit_length_and_know_no_task(build, options):
    model = build(**options)
    z = model.embed(SOURCES, batch_size=2)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(5))
    if model.trained.retriever is None:
        assert z.shape == (5, 32)
    else:
        for tasks in ("mood", MIX):
            out = model.eval()(model.batch(SOURCES, TARGETS, tasks))
            torch.testing.assert_close(out.embeddings, z, atol=1e-5, rtol=0)


def test_retrieval_by_prototypes(build):
    model = build()
    with torch.no_grad():  # the second task's prototype is put where the texts are
        model.trained.prototypes.vectors[1] = 3 * model.embed(SOURCES[:2]).mean(dim=0)
    for reduce in ("mean", "vote", "softmax"):
        found = model.retrieve(SOURCES[:2], k=2, reduce=reduce)
        assert len(found) == 2 and found[0][0] == "topic" and found[0][1] > found[1][1]
    assert [name for name, _ in model.retrieve(SOURCES, k=9)] != []
    assert len(model.retrieve(SOURCES, k=9)) == 3


def test_retrieval_by_instances(build):
    model = build()
    model.index_instances(SOURCES, ["v", "w", "x", "y", "z"])
    for text, task in zip(SOURCES, ["v", "w", "x", "y", "z"], strict=True):
        for reduce in ("mean", "softmax"):  # nothing is nearer to a text than itself
            assert model.retrieve([text], k=1, by="instances", reduce=reduce)[0][0] == task
    model.index_instances(SOURCES, ["x", "y", "x", "x", "x"])
    found = model.retrieve(SOURCES, by="instances", reduce="vote")
    assert found == [("x", pytest.approx(0.8)), ("y", pytest.approx(0.2))]
    with pytest.raises(PHAError, match="5 texts and 1 task names"):
        model.index_instances(SOURCES, ["x"])


def test_untrained_prototypes_are_not_searched(build):
    model = build(hyper_input="embedding")
    with pytest.raises(PHAError, match="by='instances'"):
        model.retrieve(SOURCES)
    model.index_instances(SOURCES, MIX)
    assert model.retrieve(["rain"], by="instances", reduce="softmax")[0][0] == "topic"


# ---- growth ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pha", "per task", "all generated", "embedding", "shared"])
@pytest.mark.parametrize("like", [None, "topic", "mean", "random", {"mood": 0.25, "season": 0.75}])
def test_a_new_task_leaves_the_others_as_they_were(build, name, like):
    model = build(**VARIANTS[name])
    before = copy.deepcopy(model.trained.state_dict())
    batch = model.batch(SOURCES, TARGETS, MIX)
    logits = model(batch).logits
    assert model.add_task("new", like=like) == 3
    assert model.config.tasks == [*TASKS, "new"]
    after = model.trained.state_dict()
    assert list(after) == list(before)
    for key, value in before.items():
        grown = after[key].shape != value.shape
        assert torch.equal(after[key][:3] if grown else after[key], value), key
        assert not grown or after[key].shape[0] == 4
    assert torch.equal(model(batch).logits, logits)
    assert model.generate(["rain"], "new")
    model(model.batch(SOURCES, TARGETS, "new")).loss.backward()


def test_where_a_new_task_starts(build):
    model = build(decoder="per_task")
    prototypes, per_task = model.trained.prototypes, model.trained.decoder
    model.add_task("copy", like="topic")
    assert torch.equal(prototypes.vectors[3], prototypes.vectors[1])
    assert torch.equal(per_task.up[3], per_task.up[1])
    as_copy = model(model.batch(SOURCES, TARGETS, "copy")).logits
    assert torch.equal(as_copy, model(model.batch(SOURCES, TARGETS, "topic")).logits)
    model.add_task("middle", like="mean")
    torch.testing.assert_close(prototypes.vectors[4], prototypes.vectors[:4].mean(dim=0))
    torch.testing.assert_close(per_task.down[4], per_task.down[:4].mean(dim=0))
    model.add_task("mix", like={"mood": 0.25, "season": 0.75})
    table = prototypes.vectors
    torch.testing.assert_close(table[5], 0.25 * table[0] + 0.75 * table[2])
    nearest = model.retrieve(["rain", "good film"], k=1)[0][0]
    model.add_task("texts", like=["rain", "good film"])
    assert torch.equal(prototypes.vectors[6], table[model.config.tasks.index(nearest)])


def test_a_share_may_be_a_whole_number(build):
    model = build()
    model.add_task("copy", like={"mood": 1, "season": 0})
    vectors = model.trained.prototypes.vectors
    assert torch.equal(vectors[-1], vectors[0])


def test_fresh_and_random_starts_follow_the_seed(build):
    def row(like, seed):
        model = build()
        model.add_task("new", like=like, seed=seed)
        return model.trained.prototypes.vectors[3].detach()

    assert torch.equal(row(None, 1), row(None, 1)) and not torch.equal(row(None, 1), row(None, 2))
    old = build().trained.prototypes.vectors
    drawn = {tuple(row("random", seed).tolist()) for seed in range(12)}
    assert drawn == {tuple(vector.tolist()) for vector in old}


def test_a_grown_model_trains_with_a_new_optimiser(build):
    model = build()
    model.add_task("new")
    optimizer = torch.optim.AdamW([p for _, p in model.adapter_parameters()], lr=1e-2)
    before = model.trained.prototypes.vectors.detach().clone()
    model(model.batch(SOURCES, TARGETS, "new")).loss.backward()
    optimizer.step()
    assert not torch.equal(model.trained.prototypes.vectors[3], before[3])


def test_a_clone_is_independent_and_shares_the_t5(build):
    model = build()
    model(model.batch(SOURCES, TARGETS, MIX))
    twin = model.clone()
    batch = model.batch(SOURCES, TARGETS, MIX)
    want = model(batch).logits
    assert torch.equal(twin(batch).logits, want)
    assert twin.t5.shared.weight.data_ptr() == model.t5.shared.weight.data_ptr()
    wake(twin, seed=5)
    twin.add_task("new")
    assert torch.equal(model(batch).logits, want) and model.config.tasks == TASKS
    assert not torch.equal(twin(batch).logits, want)


def test_models_on_one_backbone_do_not_meet(backbone, small_config):
    first = wake(PHAModel.from_backbone(backbone, small_config()))
    batch = first.batch(SOURCES, TARGETS, MIX)
    want = first(batch).logits
    second = wake(PHAModel.from_backbone(backbone, small_config()), seed=1)
    third = wake(PHAModel.from_backbone((first.t5, first.tokenizer), small_config()))
    assert not torch.allclose(second(batch).logits, want)
    assert torch.equal(third(batch).logits, want)  # built on a model's own T5: no adapter twice
    assert torch.equal(first(batch).logits, want)


# ---- baking ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [n for n in VARIANTS if "instance" not in n])
def test_a_baked_adapter_gives_the_same_without_a_hypernetwork(build, name, tmp_path):
    model = build(**VARIANTS[name]).eval()
    model.bake("season").save(tmp_path / "season.safetensors")
    baked = BakedAdapter.load(tmp_path / "season.safetensors")
    assert (baked.task, baked.placement) == ("season", model.config.placement)
    t5, batch = make_t5(), model.batch(SOURCES, TARGETS, "season")
    plain = t5(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}).logits
    handles = baked.attach(t5)
    got = t5(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}).logits
    torch.testing.assert_close(got, model(batch).logits, atol=1e-4, rtol=1e-3)
    written = t5.generate(
        batch["input_ids"], attention_mask=batch["attention_mask"], max_new_tokens=4, num_beams=2
    )
    texts = model.tokenizer.batch_decode(written, skip_special_tokens=True)
    assert texts == model.generate(SOURCES, "season", num_beams=2)
    for handle in handles:
        handle.remove()
    assert torch.equal(
        t5(**{k: batch[k] for k in ("input_ids", "attention_mask", "labels")}).logits, plain
    )


def test_a_baked_adapter_is_small_and_stays_as_it_was(build):
    model = build()
    baked = model.bake("mood")
    assert baked.num_parameters() == 4 * (2 * 32 * 4 + 32 + 4)
    kept = baked.encoder.up.clone()
    wake(model, seed=8)
    assert torch.equal(baked.encoder.up, kept) and not baked.decoder.up.requires_grad


def test_what_cannot_be_baked_or_attached_is_named(build, tmp_path):
    with pytest.raises(PHAError, match="nothing to bake"):
        build(hyper_input="instance").bake("mood")
    with pytest.raises(PHAError, match="2 layers of width 32, this T5 3 of 32"):
        build().bake("mood").attach(make_t5(num_layers=3))
    (tmp_path / "broken").write_bytes(b"no adapter")
    for path in ("broken", "absent"):
        with pytest.raises(PHAError, match=path):
            BakedAdapter.load(tmp_path / path)


# ---- counting ----------------------------------------------------------------------------------


def test_the_released_sizes_count_up_to_971_thousand_per_task():
    config = PHAConfig.paper(tasks=[f"task {t}" for t in range(8)])
    counts = Trained(config, d=768, layers=(12, 12)).count()
    adapter = 768 * 64 + 64 + 64 * 768 + 768
    assert counts["encoder"] == 12 * adapter == 1_189_632
    trunk = (128 * 128 + 128) + (128 * 64 + 64) + 2 * 64 + 12 * 64
    heads = 65 * (768 * 64) * 2 + 65 * 768 + 65 * 64  # 64 weights and a bias per output
    assert counts["hypernetwork"] == trunk + heads == 6_469_504
    assert counts["retriever"] == 769 * 128 + 129 * 64 == 106_688
    assert (counts["prototypes"], counts["decoder"]) == (8 * 64, 0)
    assert sum(counts.values()) / 8 == 970_792


def test_counts_of_a_model(build):
    counts = build().count_parameters()
    parts = ("encoder", "decoder", "prototypes", "hypernetwork", "retriever")
    assert counts["total"] == sum(counts[part] for part in parts)
    assert counts["total"] == sum(p.numel() for _, p in build().adapter_parameters())
    assert counts["per_task"] == counts["total"] / 3
    assert counts["per_additional_task"] == 6  # one prototype
    assert counts["backbone"] == sum(p.numel() for p in make_t5().parameters())
    alone = build(encoder="per_task", decoder="per_task", prototype_weight=0.0, instance_weight=0.0)
    assert alone.count_parameters()["per_additional_task"] == 4 * (2 * 32 * 4 + 32 + 4)
    assert alone.count_parameters()["per_task"] == 4 * (2 * 32 * 4 + 32 + 4)


def test_own_vectors_reach_the_adapters_and_no_contrastive_loss(build):
    model = build(own_dim=3)
    batch = model.batch(SOURCES[:3], ["yes", "no", "yes"], TASKS)
    out = model(batch)
    own = model.trained.own.vectors
    (through_lm,) = torch.autograd.grad(out.lm_loss, own, retain_graph=True)
    assert through_lm.abs().max() > 0
    contrast = out.ir_loss + out.pro_loss
    (none,) = torch.autograd.grad(contrast, own, allow_unused=True)
    assert none is None
    assert model.count_parameters()["own"] == own.numel() == 3 * len(TASKS)


def test_own_vectors_tell_tasks_of_one_prototype_apart(build):
    model = build(own_dim=3)
    with torch.no_grad():
        model.trained.prototypes.vectors[:] = model.trained.prototypes.vectors[0]
    one, two = (model.bake(name).decoder.down for name in TASKS[:2])
    assert not torch.allclose(one, two)
    model.add_task("new", like=TASKS[1])
    assert torch.equal(model.bake("new").decoder.down, two)


def test_without_own_vectors_a_model_starts_as_ever(build):
    plain, with_own = build(awake=False), build(awake=False, own_dim=3)
    shared = dict(with_own.adapter_parameters())
    for name, weight in plain.adapter_parameters():
        if name.startswith(("prototypes", "encoder")):
            assert torch.equal(weight, shared[name]), name
    assert build(encoder="shared", decoder="shared", own_dim=3).trained.own is None


def test_a_fresh_row_is_nobodys_start(build):
    """Not that of the model's first task, which has the same seed, nor that of another new task."""
    model = build(awake=False)
    first = model.trained.prototypes.vectors[0].detach().clone()
    model.add_task("new", seed=model.config.seed)
    model.add_task("newer", seed=model.config.seed)
    new, newer = model.trained.prototypes.vectors[-2:].detach()
    for one, other in itertools.combinations((first, new, newer), 2):
        assert not torch.allclose(one, other)
    again = build(awake=False)
    again.add_task("new", seed=model.config.seed)
    assert torch.equal(again.trained.prototypes.vectors[-1], new)
