"""The audit chapter: each of its tests must fail where it should, and only there."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite.hypernet import HyperNetwork
from pha_lite.losses import lm_loss, prototype_loss
from pha_lite.sampling import mixing

SOURCE = Path(__file__).resolve().parent.parent / "book" / "chapters" / "released_code.py"

TEXTS = (["a film", "a team", "cold rain"], ["good", "bad", "yes"])


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("released_code")


@pytest.fixture(scope="module")
def net() -> HyperNetwork:
    return HyperNetwork(2, 6, 3, prototype_dim=5, layer_dim=4, hidden=7, out=8)


@pytest.fixture(scope="module")
def pairs(chapter, net) -> dict:
    """Test -> (released form, mended form), for all that needs no trained model."""
    k = torch.randn(4, 5)
    rows, words = (
        [lambda ids, write=chapter[name]: write(net, k, ids) for name in ("per_row", "per_task")],
        [lambda n, speak=chapter[name]: speak(net, k, n) for name in ("speak_again", "speak_once")],
    )
    checks = [
        lambda names, check=chapter[name]: chapter["in_batches"](names, check)
        for name in ("three_names", "all_names")
    ]
    files = chapter["SHIPPED"], chapter["REPAIRED"]
    chapter["longer_answer"] = lambda speak: chapter["test_longer_answer"](net, speak)
    forms = {
        "test_twice_the_rows": rows,
        "longer_answer": words,
        "test_knob": ("draw_released", "draw_mended"),
        "test_negatives": ("draw_single", "draw_mended"),
        "test_each_row_twice": ("lm_sum", "lm_mean"),
        "test_by_hand": ("pro_released", "pro_mended"),
        "test_two_models": ("GlobalStack", "OwnStack"),
        "test_every_size": checks,
        "test_mixed": checks,
        "test_two_processes": ("SET", "LIST"),
        "test_every_branch": ("rows_released", "rows_mended"),
        "test_every_file": files,
        "test_as_many_as_asked": [chapter["asked_of"](f) for f in files],
    }
    return {
        test: [chapter[f] if isinstance(f, str) else f for f in both]
        for test, both in forms.items()
    }


@pytest.mark.parametrize(
    ("test", "message"),
    [
        ("test_twice_the_rows", "numbers became"),
        ("longer_answer", "2 calls, then 12"),
        ("test_knob", "the same batch"),
        ("test_negatives", "not one negative"),
        ("test_each_row_twice", "2.0 times"),
        ("test_by_hand", "by code -10"),
        ("test_two_models", "the second one's result"),
        ("test_every_size", "[1, 5, 9]"),
        ("test_mixed", "row [2]"),
        ("test_two_processes", "of 12 tasks have moved"),
        ("test_every_branch", "NameError: name 'n'"),
        ("test_every_file", "few_1000.json"),
        ("test_as_many_as_asked", "100 for 2000, 100 for 4000"),
    ],
)
def test_each_test_fails_on_the_released_form_and_holds_for_the_mended(
    chapter, pairs, test, message
):
    released, mended = pairs[test]
    assert message in (chapter["verdict"](chapter[test], released) or "passes")
    assert chapter["verdict"](chapter[test], mended) is None


def test_an_audit_notes_every_form(chapter, pairs):
    released, mended = pairs["test_each_row_twice"]
    told = chapter["audit"]("a", "b", chapter["test_each_row_twice"], one=released, other=mended)
    noted = chapter["CAUGHT"].pop("a")
    assert noted["probe"] == "b" and noted["one"] and noted["other"] is None
    assert "- one: caught, `AssertionError: 2.0 times`" in told.data
    assert "- other: passes" in told.data


def test_the_list_names_exactly_what_is_audited():
    text = SOURCE.read_text(encoding="utf-8")
    listed = re.findall(r"^# \| ([^|]+?) \| (?:silent|crash|waste|style)", text, re.MULTILINE)
    audited = re.findall(r'^audit\(\n    "([^"]+)",', text, re.MULTILINE)
    traps = [name for name in audited if not name.startswith("reading: ")]
    assert listed == traps and len(traps) == 15 and len(audited) == 19


def test_losses_are_those_of_the_package(chapter):
    z, k, tasks = torch.randn(7, 5), torch.randn(4, 5), torch.tensor([0, 3, 1, 1, 2, 0, 3])
    for name, form in (("pro_released", "released"), ("pro_mended", "standard")):
        wanted = prototype_loss(z, k, tasks, form=form)
        torch.testing.assert_close(chapter[name](z, k, tasks), wanted)
    logits, labels = torch.randn(3, 4, 9), torch.randint(9, (3, 4))
    for reduction in ("mean", "sum"):
        wanted = lm_loss(logits, labels, 0.0, reduction)
        torch.testing.assert_close(chapter[f"lm_{reduction}"](logits, labels), wanted)


def test_rows_are_drawn_in_the_shares_of_the_text(chapter):
    sizes = [10_000, 40_000, 150_000]
    for name, temperature in (("draw_released", 1.0), ("draw_mended", 10.0)):
        rng, counts = np.random.default_rng(0), np.zeros(3)
        for _ in range(200):
            counts += np.bincount(chapter[name](sizes, 10.0, rng), minlength=3)
        np.testing.assert_allclose(counts / counts.sum(), mixing(sizes, temperature), atol=0.01)


def test_the_chance_to_be_alone(chapter):
    rng, share = np.random.default_rng(0), 0.01
    others = rng.random((20_000, chapter["BATCH"] - 1)) < share
    found = (~others.any(axis=1)).mean()
    assert math.isclose(chapter["alone"](share), found, abs_tol=0.02)


def test_sizes_that_stop_are_those_at_which_the_check_crashes(chapter):
    # The check itself, on small sets: a stop exactly where the rule says so.
    for size in range(2, 7):
        for rows in range(1, 14):
            try:
                chapter["in_batches"](["a"] * rows, chapter["three_names"], size)
                stopped = False
            except IndexError:
                stopped = True
            assert stopped == ((rows - 1) % size == 0)
    sets = dict(chapter["evaluated"]())
    assert len(chapter["evaluated"]()) == 14 and sets["CoLA"] == 522
    assert chapter["stops"](520) == ["CoLA"] and chapter["stops"](128) == []


def test_every_trained_tensor_is_watched(chapter, build):
    model = build(label_smoothing=0.1)
    batch = model.batch(*TEXTS, model.config.tasks)
    for form in ("mended", "package"):
        chapter["test_all_learn"](chapter[f"loss_{form}"], model, batch)
    with pytest.raises(AssertionError, match=r"at 0\.0: retriever"):
        chapter["test_all_learn"](chapter["loss_released"], model, batch)
    assert model.config.label_smoothing == 0.1, "the knob was put back"


def test_mended_loss_is_the_models(chapter, build):
    model = build(label_smoothing=0.1).eval()
    batch = model.batch(*TEXTS, model.config.tasks)
    torch.testing.assert_close(chapter["loss_mended"](model, batch, 0.1), model(batch).loss)
    torch.testing.assert_close(chapter["loss_released"](model, batch, 0.1), model(batch).loss)


def test_a_file_is_counted_to_the_last_number(chapter):
    linear = torch.nn.Linear(3, 2)
    state = linear.state_dict()
    chapter["test_only_trained"](state, 8)
    chapter["test_only_trained"]({**state, "tied": state["weight"]}, 8)
    with pytest.raises(AssertionError, match="5 of 13 numbers"):
        chapter["test_only_trained"]({**state, "frozen": torch.zeros(5)}, 8)
    with pytest.raises(AssertionError, match="-2 of 6"):
        chapter["test_only_trained"]({"weight": state["weight"]}, 8)


def test_undefined_names_are_found_without_running(chapter):
    assert chapter["unknown_names"](chapter["rows_released"]) == ["n"]
    assert chapter["unknown_names"](chapter["rows_mended"]) == []
    assert chapter["unknown_names"](chapter["test_every_branch"]) == []


def test_a_global_outlives_the_model_that_wrote_it(chapter):
    chapter.pop("latest", None)
    plain = chapter["GlobalStack"](5, mode="plain")
    plain.run(torch.ones(2))
    with pytest.raises(NameError):
        plain.result()
    chapter["GlobalStack"](2).run(torch.ones(2))
    assert plain.result().tolist() == [2.0, 2.0]


def test_the_price_of_a_task_in_the_released_configuration(chapter):
    assert chapter["total"](9) - chapter["total"](8) == 64
