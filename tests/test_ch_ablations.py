"""What the chapter on ablations computes is what numpy, scipy and the package compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

pytest.importorskip("jupytext", reason="the book's tools are not installed")
from test_chapters import lift

from pha_lite import PHAConfig, load_suite
from pha_lite.experiments import ablations, other_tasks, setting
from pha_lite.fewshot import swap_test
from pha_lite.losses import prototype_loss

FORMS = ("released", "standard")


@pytest.fixture(scope="module")
def chapter() -> dict:
    return lift("ablations")


def rows_of(**scores):
    """Rows of `ablations`: name -> accuracy of the related half, by seed."""
    return [
        {"name": name, "seed": seed, "test": {"related": value}}
        for name, values in scores.items()
        for seed, value in enumerate(values)
    ]


# --- differences ----------------------------------------------------------------------------------


def test_compare_is_the_paired_t_test(chapter):
    rng = np.random.default_rng(0)
    a, b = rng.normal(70, 5, 6), rng.normal(65, 5, 6)
    gap, theirs = chapter["compare"](a, b), stats.ttest_rel(a, b)
    assert gap.mean == pytest.approx(a.mean() - b.mean())
    assert gap.p == pytest.approx(theirs.pvalue)
    assert (gap.low, gap.high) == pytest.approx(tuple(theirs.confidence_interval()))


@pytest.mark.parametrize("shift", [0.0, 3.0, 9.0, 30.0])
def test_interval_and_p_value_say_the_same(chapter, shift):
    rng = np.random.default_rng(int(shift))
    gap = chapter["compare"](rng.normal(shift, 4, 5), np.zeros(5))
    assert (gap.p < 0.05) == (gap.low > 0 or gap.high < 0)


def test_without_spread_nothing_is_claimed(chapter):
    gap = chapter["compare"]([90.0, 90.0], [80.0, 80.0])
    assert (gap.mean, gap.p) == (10.0, 1.0)
    assert chapter["verdict"](gap, gap.p) == "not told apart"


def test_verdicts_follow_the_corrected_p_value(chapter):
    gap = chapter["Gap"]
    family = chapter["corrected"](
        {
            "up": gap(5.0, 4.0, 6.0, 0.001),
            "down": gap(-5.0, -6.0, -4.0, 0.002),
            "by luck": gap(3.0, 0.5, 5.5, 0.04),
            "none": gap(0.1, -5.0, 5.2, 0.9),
        }
    )
    assert [said for *_, said in family.values()] == [
        "better",
        "worse",
        "not told apart",
        "not told apart",
    ]
    assert "**2 of 4**" in chapter["tally"](family) and "3 before" in chapter["tally"](family)
    assert "| up | +5.0 | +4.0 to +6.0 | < 0.01 | **better** |" in chapter["table"](family)
    assert chapter["spread_of"](family) == "1 of 4 better, 1 of 4 worse, 2 of 4 not told apart"


@pytest.mark.parametrize("seeds", [2, 3, 10])
def test_a_difference_of_the_needed_size_is_just_told_apart(chapter, seeds):
    noise = np.random.default_rng(seeds).normal(size=seeds)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    for tests, level in ((1, 0.05), (6, 0.05 / 6)):
        size = chapter["needed"](seeds, tests)
        assert stats.ttest_1samp(noise + size, 0).pvalue == pytest.approx(level)


def test_seeds_are_paired_by_number_and_not_by_place(chapter):
    rows = rows_of(PHA=[0.7, 0.8, 0.9], other=[0.6, 0.7, 0.8])[::-1]
    rows = [r for r in rows if (r["name"], r["seed"]) != ("PHA", 1)]
    path = ("test", "related")
    mine, theirs = (chapter["by_seed"](rows, path, name=n) for n in ("PHA", "other"))
    assert set(mine) == {0, 2}
    assert chapter["gap_of"](mine, theirs).mean == pytest.approx(10)
    assert chapter["by_seed"](rows, ("swap",), name="PHA") == {}, "not measured is not zero"
    assert chapter["change_of"](rows, "other", "swap test") is None


# --- figures --------------------------------------------------------------------------------------


def test_marks_draw_the_interval_and_leave_gaps(chapter):
    drawn = chapter["marks"]([(5.0, 3.0, 9.0), None], "y")
    assert drawn == {
        "y": [5.0, None],
        "error_y.array": [4.0, None],
        "error_y.arrayminus": [2.0, None],
    }


def test_knobs_are_those_of_the_experiment(chapter):
    names = {chapter["run_at"](k, v) for k, values in chapter["KNOBS"].items() for v in values}
    assert names | set(chapter["PARTS"]) | set(chapter["BACK"]) == set(ablations.CHANGES)
    usual = PHAConfig.tiny()
    for knob, field in chapter["FIELDS"].items():
        assert chapter["OWN"][knob] == getattr(usual, field)


# --- tasks ----------------------------------------------------------------------------------------

TASKS = [f"{rule}/{place}" for place in ("hotel", "school") for rule in ("acceptability", "time")]


def around():
    """Rows of changed tasks, PHA ahead of shared by 10 points times the conflict."""
    rows = []
    for seed in range(3):
        for method, lead in (("pha", 0.1), ("shared_adapter", 0.0), ("adapter_per_task", 0.05)):
            for what, value in (("usual", 1), ("conflict", 0.0), ("source tasks", 2)):
                names = TASKS[: value if what == "source tasks" else None]
                gain = lead * (what != "conflict") + 0.01 * seed * (method == "pha")
                scores = {name: 0.6 + gain + 0.2 * (name in TASKS[:2]) for name in names}
                row = {"changed": what, "value": value, "method": method, "seed": seed}
                if (what, method) != ("source tasks", "adapter_per_task"):
                    rows.append(row | {"tasks": scores})
    return rows


@pytest.fixture
def told(chapter):
    chapter["suite"] = load_suite()
    return chapter


def test_source_tasks_are_compared_on_the_tasks_of_every_set(told):
    rows = around()
    assert told["smallest"](rows) == sorted(TASKS[:2])
    assert told["points"](rows, "source tasks") == {2: "source tasks", 4: "usual"}
    assert told["points"](rows, "conflict") == {0.0: "conflict", 1: "usual"}
    both = [told["scores"](rows, "source tasks", at, "pha", "related")[1] for at in (2, 4)]
    assert both == pytest.approx([91, 91]), "the easier two tasks, in both"
    assert told["scores"](rows, "conflict", 1, "pha", "related")[1] == pytest.approx(81)
    assert not told["scores"](rows, "source tasks", 2, "adapter_per_task", "related")


def test_rules_one_by_one_and_the_seeds_that_learnt_them(told):
    rows = around()
    both = told["by_rule"](rows, changed="usual", method="shared_adapter")
    assert both == pytest.approx({"acceptability": 70, "time": 70}), "80 % on hotel, 60 % on school"
    rows[0]["tasks"] = dict.fromkeys(rows[0]["tasks"], 0.5)
    assert (rows[0]["method"], rows[0]["changed"]) == ("pha", "usual")
    assert told["lucky"](rows, "time", "pha") == "2 of 3"
    assert told["lucky"](rows, "time", "shared_adapter") == "3 of 3"


def test_ends_of_the_knobs_as_theory_wants_them(chapter):
    family = {
        f"{end}, {half} half": (None, 0, "not told apart")
        for end, half in (
            ("relatedness 1", "related"),
            ("relatedness 0.6", "related"),
            ("conflict 1", "conflicting"),
            ("conflict 0", "conflicting"),
        )
    }
    assert chapter["as_theory"](family) == "0 of 3 shown"
    family["relatedness 1, related half"] = (None, 0, "better")
    family["conflict 1, conflicting half"] = (None, 0, "better")
    assert chapter["as_theory"](family) == "1 of 3 shown", "rivals that profit are no such end"


def test_lead_and_its_shift(told):
    rows = around()
    lead = told["lead"](rows, "conflict", 1, "conflicting", "shared_adapter")
    assert lead.mean == pytest.approx(11)
    shift = told["shift"](rows, "conflict", "conflicting", "shared_adapter", (0.0, 1))
    assert shift.mean == pytest.approx(10)
    assert told["lead"](rows, "source tasks", 2, "related", "adapter_per_task") is None


def test_dose_counts_the_tasks_that_a_knob_touches(chapter):
    rules = other_tasks.RULES
    assert chapter["dose"](rules) == ("0 of 6", "0 of 6", "0 of 6")
    assert chapter["dose"](rules, conflict=0.0) == ("6 of 6", "0 of 6", "0 of 6")
    suite = load_suite(relatedness=0.6)
    turned = {
        half: sum(suite.cells[t].reversed for t in suite.half(half) if t.split("/")[0] in rules)
        for half in ("related", "conflicting")
    }
    assert chapter["dose"](rules, relatedness=0.6) == (
        "0 of 6",
        f"{turned['related']} of 6",
        f"{turned['conflicting']} of 6",
    )


# --- the collapse ---------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("tasks", "tau"), [(2, 0.1), (5, 0.5)])
def test_the_pull_by_hand_is_minus_the_gradient(chapter, form, tasks, tau):
    source = torch.Generator().manual_seed(tasks)
    z, k = torch.randn(9, 6, generator=source), 3 * torch.randn(tasks, 6, generator=source)
    owner = torch.randint(tasks, (9,), generator=source)
    wanted = k.clone().requires_grad_()
    prototype_loss(z, wanted, owner, tau, form).backward()
    mine = chapter["pull_by_hand"](z, k, owner, tau, form)
    assert torch.allclose(mine, -wanted.grad, atol=1e-5)
    assert torch.allclose(chapter["pull_by_autograd"](z, k, owner, tau, form), -wanted.grad)


def test_the_equation_of_the_pull(chapter):
    """Shared texts by 1 - p, strangers' by -q, for both rivals; nothing where there are none."""
    source = torch.Generator().manual_seed(3)
    z, y, k = (torch.randn(n, 6, generator=source) for n in (8, 5, 4))
    owner = torch.cat([torch.arange(2).repeat_interleave(8), torch.full((5,), 3)])
    pull = chapter["weights_by_hand"](torch.cat([z, z, y]), k, owner, tau=0.2)
    share = torch.nn.functional.cosine_similarity(z[:, None], k[None], dim=-1) / 0.2
    for mine, rival in ((0, 1), (1, 0)):
        others = [t for t in range(4) if t != rival]
        p = share[:, others].softmax(1)[:, others.index(mine)]
        assert torch.allclose((pull[:8] + pull[8:16])[:, mine], (1 - p) / 0.2 / 21, atol=1e-6)
    assert (pull[16:, :3] < 0).all() and (pull[16:, 3] > 0).all()
    alone = chapter["weights_by_hand"](torch.cat([z, z]), k[:2], owner[:16])
    assert torch.allclose(alone[:8] + alone[8:], torch.zeros(8, 2), atol=1e-6)


def test_left_alone_rivals_meet_and_in_the_released_form_on_one_spot(chapter):
    ends = {form: [chapter["left_alone"](0.0, form, s)[-1] for s in range(3)] for form in FORMS}
    starts = [chapter["left_alone"](0.0, "released", s)[0] for s in range(3)]
    assert min(ends["released"]) > 0.95 > np.mean(ends["standard"]) > np.mean(starts)


def test_watch_is_the_packages_swap_test(chapter, build):
    from pha_lite import Task

    names = ["mood", "topic"]
    model = build().eval()
    texts = [f"the {a} was {b}" for a in ("film", "hotel", "book") for b in ("dull", "slow", "bad")]
    answers = {"mood": ["yes", "no", "no"] * 3, "topic": ["no", "no", "yes"] * 3}
    live = {
        name: Task.from_rows(
            name, {"test": {"source": texts, "target": answers[name]}}, labels=("no", "yes")
        )
        for name in names
    }
    pairs = [("mood", "topic"), ("topic", "mood")]
    chapter.update(LIVE=live, PAIRS=pairs, LIMIT=7)
    seen = chapter["watch"](model, "test")
    drops = swap_test(model, live, pairs, "test", 7)
    assert seen["swap test"] == pytest.approx(100 * np.mean(list(drops.values())))


# --- the prize ------------------------------------------------------------------------------------


def forms_record():
    """Two forms, two sizes; ours 5 points better on the conflicting half at n = 16."""
    rng, rows, curve = np.random.default_rng(0), [], []
    for n, seed in ((n, s) for n in (16, 100) for s in range(5)):
        for form in ("usual", "own vectors"):
            test = {part: 0.7 + 0.001 * rng.normal() for part in ("related", "retrieved", "loss")}
            test["conflicting"] = 0.7 + 0.05 * (form != "usual" and n == 16) + 0.001 * seed
            test["conflicting"] += 0.0005 * rng.normal()
            rows.append({"form": form, "n": n, "lr": 1e-3, "seed": seed, "test": test, "swap": 0.1})
    for form, lr, score in (
        ("usual", 1e-3, 0.6),
        ("usual", 3e-3, 0.7),
        ("own vectors", 1e-3, 0.8),
    ):
        for suite in (1, 2):
            cell = dict.fromkeys(("related", "conflicting", "retrieved", "loss", "swap"), score)
            curve.append(
                {"form": form, "n": 16, "lr": lr, "suite_seed": suite, "all": score, **cell}
            )
    settings = {"chosen": "own vectors"}
    return {"rows": rows, "curve": curve, "settings": settings, "forms": setting.FORMS}


def test_forms_are_shown_at_their_best_rate(chapter):
    best = chapter["chosen_rates"](forms_record()["curve"])
    assert {row["lr"] for row in best["usual", 16]} == {3e-3}
    assert len(best["own vectors", 16]) == 2


def test_the_prize_is_judged_from_its_comparisons(chapter):
    family = chapter["prize"](forms_record())
    assert len(family) == 8
    assert family["n = 16, conflicting"][2] == "better"
    assert chapter["judged"](family).startswith("better somewhere")
    gap = chapter["Gap"]
    worse = family | {"x": (gap(-9.0, -10.0, -8.0, 0.0), 0.001, "worse")}
    assert chapter["judged"](worse).startswith("not won")
    tied = {"x": (gap(-1.0, -4.0, 2.0, 0.5), 0.5, "not told apart")}
    assert "up to 4 points" in chapter["judged"](tied)


def test_a_method_is_met_only_at_sizes_that_both_records_have(chapter):
    record = forms_record()
    wide = [
        {"method": m, "n": n, "seed": s, "test": {"related": 0.6 + 0.001 * s, "conflicting": 0.7}}
        for m in chapter["OTHERS"]
        for n in (16, 128)
        for s in range(10)
    ]
    found = chapter["field"](record, {"rows": wide})
    assert len(found) == 6 and all(label.startswith("n = 16") for label in found)
    assert found["n = 16, related, minus shared adapter"][0].mean == pytest.approx(10, abs=0.5)


def two_rounds(first, last):
    """A record of two rounds that chose these two forms, each with seeds of its own."""
    record = forms_record()
    ours = [r for r in record["rows"] if r["form"] != "usual"]
    usual = [r for r in record["rows"] if r["form"] == "usual"]
    rows = []
    for chosen, later in ((first, 0), (last, 5)):
        rows += [r | {"form": chosen, "seed": r["seed"] + later} for r in ours]
        rows += [r | {"seed": r["seed"] + later} for r in usual]
    rounds = {
        name: {"forms": ["usual", first, last], "chosen": chosen, "seeds": seeds}
        for name, chosen, seeds in (
            ("first", first, [0, 1, 2, 3, 4]),
            ("second", last, [5, 6, 7, 8, 9]),
        )
    }
    settings = {"chosen": last, "rounds": rounds, "seeds": list(range(10))}
    return record | {"rows": rows, "settings": settings}


def test_a_round_is_reported_with_its_own_choice_and_seeds(chapter):
    record = two_rounds("small start", "own vectors")
    for name, form, seeds in (("first", "small start", 0), ("second", "own vectors", 5)):
        found = chapter["of_round"](record, name)
        assert found["settings"]["chosen"] == form and list(found["forms"])[0] == "usual"
        assert {row["seed"] for row in found["rows"]} == set(range(seeds, seeds + 5))
        assert chapter["prize"](found)["n = 16, conflicting"][2] == "better"
    names = list(chapter["reports"](record))
    assert names == ["first round: small start", "second round: own vectors"]
    assert "different forms" in chapter["agreement"](record)


def test_a_form_chosen_twice_is_judged_on_all_seeds(chapter):
    record = two_rounds("own vectors", "own vectors")
    for row in record["rows"]:  # in the second round the sign of one row is another
        if row["seed"] > 4 and row["form"] != "usual" and row["n"] == 16:
            row["test"] = row["test"] | {"conflicting": row["test"]["conflicting"] - 0.08}
    found = chapter["reports"](record)
    assert list(found)[-1] == "all seeds" and len(found) == 3
    first, second, every = (
        chapter["prize"](r)["n = 16, conflicting"][0].mean for r in found.values()
    )
    assert first == pytest.approx(5, abs=0.2) and second == pytest.approx(-3, abs=0.2)
    assert every == pytest.approx((first + second) / 2)
    assert "7 of 8" in chapter["agreement"](record)


def test_pairs_are_seeds_whatever_their_order(chapter):
    record = forms_record()
    record["rows"] = [r for r in record["rows"] if r["n"] == 16][::-1]
    first = record["rows"].pop(0)
    record["rows"].append(first)  # now the two forms have their seeds in different orders
    figure = chapter["pairs_figure"](record)
    score = {(r["form"], r["seed"]): r["test"]["conflicting"] for r in record["rows"]}
    (trace,) = [t for t in figure.data if t.name == "conflicting"]
    for x, y, text in zip(trace.x, trace.y, trace.text, strict=True):
        seed = int(text.removeprefix("seed "))
        assert (x, y) == pytest.approx(
            (100 * score["usual", seed], 100 * score["own vectors", seed])
        )


def test_a_score_is_the_mean_over_sizes_at_the_best_rates(chapter):
    record = forms_record()
    record["forms"] = {"usual": {}, "own vectors": {}}
    for row in list(record["curve"]):
        record["curve"].append(row | {"n": 100, "all": row["all"] - 0.2})
    found = chapter["scored"](record)
    assert list(found) == ["own vectors", "usual"]
    assert found["usual"][0] == pytest.approx(60), "70 and 50, at the better of two rates"
    assert found["usual"][1] == [(3e-3, pytest.approx(70)), (3e-3, pytest.approx(50))]
