"""The embedded suite: same seed, same bytes; labels that follow from the text; no leaks."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pha_lite.errors import PHAError
from pha_lite.suite import RULES, load_suite
from pha_lite.world import sentences as say
from pha_lite.world.documents import document, exercise
from pha_lite.world.lexicon import EXERCISES, HELD_OUT, NUMBERS, SURFACES, TRAINING
from pha_lite.world.rng import Rng

DIGEST = "4c0866f6124c6e21dd9e55b154c808799ab60499db8f12dd607282db864bb8dd"
SMALL = {"train": 60, "validation": 20, "test": 40}


@pytest.fixture(scope="module")
def suite():
    return load_suite(sizes=SMALL)


def rows(task, split="train"):
    return list(zip(task[split]["source"], task[split]["target"], strict=True))


def digest(suite, names) -> str:
    h = hashlib.sha256()
    for name in names:
        for split in SMALL:
            for source, target in rows(suite[name], split):
                h.update(f"{name}\t{split}\t{source}\t{target}\n".encode())
    return h.hexdigest()


def test_grid_has_training_and_held_out_tasks_of_every_kind(suite):
    assert len(suite.train_tasks) >= 24 and len(suite.held_out) >= 8
    cells = [suite.cells[name] for name in suite.held_out]
    kinds = {(c.new_rule, c.new_surface) for c in cells}
    assert kinds == {(False, True), (True, False), (True, True)}
    assert set(suite.train_tasks).isdisjoint(suite.held_out)
    assert len(suite.half("related")) == len(suite.half("conflicting")) == 12


def test_same_seed_same_bytes_whatever_is_asked_first(suite):
    names = list(suite)[::7]
    again = load_suite(sizes=SMALL)
    for name in reversed(list(again)[::3]):
        again[name]
    assert digest(suite, names) == digest(again, names)
    assert digest(load_suite(seed=1, sizes=SMALL), names) != digest(suite, names)


def test_bytes_are_those_that_the_recorded_results_were_made_with(suite):
    # A change of the generator changes every recorded figure: change this digest with them only.
    assert digest(suite, list(suite)) == DIGEST


def test_no_example_stands_twice_in_a_task(suite):
    for name in suite:
        sources = [s for split in SMALL for s, _ in rows(suite[name], split)]
        assert len(sources) == len(set(sources)), name


def test_no_example_of_the_default_suite_stands_twice():
    full = load_suite()
    for name in ("acceptability/hotel", "comparison/museum", "first-witness/school"):
        sources = [s for split in full.sizes for s, _ in rows(full[name], split)]
        assert len(sources) == 1600 == len(set(sources))


def test_labels_are_balanced_and_match_their_words(suite):
    for name in suite:
        task = suite[name]
        for split, n in SMALL.items():
            assert list(task[split]["label"]).count(1) == n // 2
            assert [task.labels[i] for i in task[split]["label"]] == list(task[split]["target"])


def test_conflicting_rules_share_prompt_and_label_words_but_not_answers():
    for one, two in (("sentiment", "time"), ("first-witness", "last-witness")):
        assert RULES[one].prompt == RULES[two].prompt and RULES[one].labels == RULES[two].labels
        r = Rng(0, "conflict", one)
        drawn = [RULES[one].kind(r, SURFACES["hotel"])[1] for _ in range(400)]
        agree = sum(a[one] == a[two] for a in drawn) / 400
        assert 0.4 < agree < 0.6  # knowing one answer says nothing of the other


# --- every label follows from the text, read by a second, independent reader ----------------------

PLACES = {noun for s in SURFACES.values() for _, noun in s.places}


def likes(clause: str) -> bool:
    words = set(re.findall(r"[a-z]+", clause.lower()))
    good = set(say.GOOD) | {w for pair in say.LIKE for w in pair}
    bad = set(say.BAD) | {w for pair in say.HATE for w in pair}
    assert bool(words & good) != bool(words & bad), clause
    return bool(words & good) != (" not " in clause)


def writers(text: str) -> tuple[str, str]:
    """(the writer's clause, the other's)."""
    clauses = re.findall(r"[^.]+\.", text)
    mine = [c for c in clauses if re.search(r"\b(I|We|me|us)\b", c)]
    assert len(mine) == 1 and len(clauses) == 2, text
    return mine[0], next(c for c in clauses if c is not mine[0])


def gift(text: str) -> tuple:
    """(giver, receiver, what)."""
    a, b = (w for w in re.findall(r"\w+", text) if w in say.NAMES)
    what = re.search(r"the (\w+ \w+)", text, re.I).group(1)
    passive = " by " in text  # both passives name the receiver first
    return (b, a, what) if passive else (a, b, what)


def event(text: str) -> dict[str, str]:
    who = next(w for w in re.findall(r"\w+", text) if w in say.NAMES)
    colour, thing = re.search(r"[Tt]he (\w+) (\w+)", text).groups()
    place = re.search(r"to the (\w+)", text)[1]
    return {"who": who, "colour": colour, "thing": thing, "place": place}


def read(rule: str, source: str) -> bool:
    text = source.split(": ", 1)[1]
    if rule in ("sentiment", "time", "other"):
        mine, other = writers(text)
        if rule == "time":
            return " will " not in mine
        return likes(mine if rule == "sentiment" else other)
    if rule in ("first-witness", "last-witness"):
        told, claim = text.split(" claim: ")
        place = re.compile(r"(?:in|at|on) the (\w+)\.")
        said = place.findall(told)
        return said[0 if rule == "first-witness" else 1] == place.findall(claim)[0]
    if rule == "comparison":
        told, asked = text.split(" compare: ")
        number = {who: NUMBERS.index(n) for who, n in re.findall(r"(\w+) \w+ (\w+) \w+\.", told)}
        one, two = asked.split(" with ")
        return number[one] > number[two]
    if rule == "paraphrase":
        one, two = text.split(" second: ")
        return gift(one) == gift(two)
    passage, asked = re.split(r" (?:hypothesis|question): ", text)
    facts = [event(s) for s in re.findall(r"[^.]+\.", passage)]
    if rule == "reading":
        return any(f" {f['thing']}" in asked for f in facts)
    fact = next(f for f in facts if re.search(rf"\b{f['thing']}\b", asked))
    said = set(re.findall(r"\w+", asked)) & (set(say.NAMES) | set(say.COLOURS) | PLACES)
    return said <= set(fact.values())


@pytest.mark.parametrize("rule", [r for r in RULES if r != "acceptability"])
def test_labels_agree_with_an_independent_reading(suite, rule):
    for surface in (*TRAINING, *HELD_OUT):
        task = suite[f"{rule}/{surface}"]
        for source, target in rows(task):
            assert task.labels[read(rule, source)] == target, source


def test_broken_sentences_differ_from_the_whole_by_one_fault():
    r = Rng(0, "grammar")
    for _ in range(500):
        words = say.well_formed(r, SURFACES["school"])
        broken = say.break_grammar(r, words)
        assert broken != words
        assert abs(len(broken) - len(words)) <= 1
        changed = sum(a != b for a, b in zip(words, broken, strict=False))
        assert len(broken) < len(words) or changed <= 2


# --- knobs ---------------------------------------------------------------------------------------


def test_relatedness_exchanges_label_words_on_some_surfaces(suite):
    none = load_suite(relatedness=0.0, sizes=SMALL)
    assert all(none.cell(name).reversed for name in none)
    assert none["entailment/hotel"].labels == ("true", "false")
    some = load_suite(relatedness=0.6, sizes=SMALL)
    assert sum(c.reversed for c in some.cells.values()) == 2 * len(RULES)
    same, other = rows(suite["entailment/hotel"]), rows(none["entailment/hotel"])
    assert [s for s, _ in same] == [s for s, _ in other]
    assert all(a != b for (_, a), (_, b) in zip(same, other, strict=True))


def test_conflict_zero_tells_the_question():
    told = load_suite(conflict=0.0, sizes=SMALL)
    one, two = told["sentiment/hotel"], told["time/hotel"]
    assert one.prompt != two.prompt and set(one.labels).isdisjoint(two.labels)


def test_noise_spoils_training_labels_only():
    noisy = load_suite(noise=0.3, sizes={**SMALL, "train": 400})
    wrong = {"train": [], "test": []}
    for rule in ("sentiment", "comparison", "paraphrase"):
        task = noisy[f"{rule}/hotel"]
        for split, found in wrong.items():
            found += [task.labels[read(rule, s)] != t for s, t in rows(task, split)]
    assert not any(wrong["test"])
    assert 0.25 < sum(wrong["train"]) / len(wrong["train"]) < 0.35


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"relatedness": 1.2}, "relatedness=1.2"),
        ({"conflict": -0.1}, "conflict=-0.1"),
        ({"noise": 0.7}, "noise=0.7"),
        ({"sizes": {"dev": 5}}, "dev"),
        ({"sizes": {"train": -1}}, "-1"),
    ],
)
def test_bad_knobs_are_named(arguments, named):
    with pytest.raises(PHAError, match=re.escape(named)):
        load_suite(**arguments)


def test_unknown_task_is_named(suite):
    with pytest.raises(PHAError, match="sentiment/moon"):
        suite["sentiment/moon"]


# --- what pretraining reads ------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
@example(53732)  # "tickets": goods of the museum, and the plural of a thing at the station
def test_exercises_never_touch_the_suites_surfaces_prompts_or_labels(seed):
    """But for words that an exercise's own surface has, too, in singular or plural."""
    source, target = exercise(Rng(seed, "test"))
    own, free = set(), set()
    for names, found in (((*TRAINING, *HELD_OUT), own), (EXERCISES, free)):
        for name in names:
            s = SURFACES[name]
            found |= {*s.aspects, *s.things, *s.goods, *s.people, *(noun for _, noun in s.places)}
    free |= {f"{word}s" for word in free}
    assert not (own - free) & set(re.findall(r"\w+", source))
    labels = {w for rule in RULES.values() for w in (*rule.labels, *(rule.told or ("", ()))[1])}
    assert target not in labels
    assert not source.startswith(tuple(rule.prompt.split("{")[0] for rule in RULES.values()))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_documents_are_sentences(seed):
    text = document(Rng(seed, "test"))
    assert text[0].isupper() and text[-1] in ".?"
    assert "  " not in text and "{" not in text


@given(st.integers(0, 2**40), st.integers(1, 50))
@settings(max_examples=50, deadline=None)
def test_rng_repeats_and_stays_in_range(seed, n):
    one, two = Rng(seed, "k"), Rng(seed, "k")
    assert [one.below(n) for _ in range(5)] == [two.below(n) for _ in range(5)]
    assert sorted(one.shuffled(range(n))) == list(range(n))
