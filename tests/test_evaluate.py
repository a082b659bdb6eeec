"""Metrics against scikit-learn, scipy and hand-made values; intervals against scipy."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats

from pha_lite.errors import DataError, PHAError
from pha_lite.evaluate import METRICS, normal_answer, score, scores
from pha_lite.stats import interval, paired
from pha_lite.tasks import Task

WORDS = ("no", "yes")
THREE = ("entailment", "contradiction", "neutral")
PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=40)


def metric(name, predictions, targets, labels=None, **columns):
    return METRICS[name](predictions, {"target": targets, **columns}, labels)


# -- label words ---------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_three_classes_agree_with_scikit_learn(pairs):
    gold, guess = (list(column) for column in zip(*pairs, strict=True))
    targets, predictions = ([THREE[c] for c in column] for column in (gold, guess))
    assert metric("accuracy", predictions, targets) == pytest.approx(sk.accuracy_score(gold, guess))
    macro = sk.f1_score(gold, guess, average="macro", zero_division=0)
    assert metric("macro_f1", predictions, targets, THREE) == pytest.approx(macro)
    assert metric("accuracy_macro_f1", predictions, targets, THREE) == pytest.approx(
        (macro + sk.accuracy_score(gold, guess)) / 2
    )


@settings(max_examples=60, deadline=None)
@given(PAIRS)
def test_two_classes_agree_with_scikit_learn(pairs):
    gold, guess = ([c % 2 for c in column] for column in zip(*pairs, strict=True))
    targets, predictions = ([WORDS[c] for c in column] for column in (gold, guess))
    if len({*gold, *guess}) > 1:  # with a single class scikit-learn warns and says 0
        assert metric("matthews", predictions, targets, WORDS) == pytest.approx(
            sk.matthews_corrcoef(gold, guess)
        )
    for name in ("f1", "f1a"):
        assert metric(name, predictions, targets, WORDS) == pytest.approx(
            sk.f1_score(gold, guess, zero_division=0)
        )


def test_case_and_spaces_do_not_count_but_words_do():
    assert metric("accuracy", [" Not_Entailment", "yes  sir"], ["not_entailment", "yes sir"]) == 1
    assert metric("accuracy", ["entail"], ["entailment"]) == 0


def test_an_answer_that_is_no_label_word_is_wrong():
    targets = ["yes", "no", "yes", "no"]
    good, bad = ["yes", "no", "yes", "no"], ["yes", "no", "hm", "no"]
    flipped = ["yes", "no", "no", "no"]
    for name in ("accuracy", "matthews", "f1"):
        assert metric(name, bad, targets, WORDS) == metric(name, flipped, targets, WORDS)
        assert metric(name, bad, targets, WORDS) < metric(name, good, targets, WORDS) == 1
    # with three classes it is a class of its own: wrong, and nobody's false positive
    value = metric("macro_f1", ["neutral", "hm"], ["neutral", "entailment"], THREE)
    assert value == pytest.approx((1 + 0) / 2)


def test_a_constant_answer_has_no_correlation():
    assert metric("matthews", ["yes"] * 4, ["yes", "no", "yes", "no"], WORDS) == 0


def test_multirc_exact_match_counts_whole_questions():
    columns = dict(targets=["True", "False", "True", "True"], group=["0-0", "0-0", "0-1", "0-2"])
    assert metric("em", ["true", "false", "true", "false"], **columns) == pytest.approx(2 / 3)
    assert metric("em", ["true", "true", "true", "true"], **columns) == pytest.approx(2 / 3)


# -- numbers -------------------------------------------------------------------------------------


def test_correlations_agree_with_scipy_and_read_the_exact_score():
    exact, predicted = [3.8, 0.25, 2.6, 5.0, 1.75], [3.0, 1.0, 2.4, 4.6, 2.8]
    texts, rounded = [f"{p:.1f}" for p in predicted], ["3.8", "0.2", "2.6", "5.0", "1.8"]
    for name, function in (("pearson", scipy_stats.pearsonr), ("spearman", scipy_stats.spearmanr)):
        assert metric(name, texts, rounded, label=exact) == pytest.approx(
            function(predicted, exact).statistic
        )
    assert metric("pearson", texts, rounded) == pytest.approx(
        np.corrcoef(predicted, [float(t) for t in rounded])[0, 1]
    )


def test_text_that_is_no_number_counts_as_minus_one():
    gold = ["5.0", "0.0", "4.0"]
    expected = np.corrcoef([4.8, -1, 4.0], [5, 0, 4])[0, 1]
    assert metric("pearson", ["4.8", "three", "4.0"], gold) == pytest.approx(expected)


def test_predictions_that_do_not_vary_score_zero_without_a_warning(recwarn):
    assert metric("pearson", ["3.0"] * 3, ["1.0", "2.0", "3.0"]) == 0
    assert metric("spearman", ["3.0"] * 3, ["1.0", "2.0", "3.0"]) == 0
    assert not recwarn


# -- question answering --------------------------------------------------------------------------


def test_the_normal_form_of_answers():
    assert normal_answer("The  Quick, brown fox!") == "quick brown fox"
    assert normal_answer("an A-team") == "ateam"
    assert normal_answer("Theatre") == "theatre"  # an article inside a word stays


def test_squad_metrics_take_the_best_answer():
    answers = [["the cat", "a black cat"], ["1912"]]
    predictions = ["black cat sat", "1913"]
    # black cat sat / black cat: 2 shared words of 3 and 2, so 2 * 2 / 5
    assert metric("squad_f1", predictions, ["", ""], answers=answers) == pytest.approx(0.8 / 2)
    assert metric("squad_em", ["Black cat", "1912."], ["", ""], answers=answers) == 1
    assert metric("squad_em", predictions, ["", ""], answers=answers) == 0
    assert metric("squad_f1", ["", ""], ["", ""], answers=answers) == 0
    # a repeated word counts as often as it is shared
    assert metric("squad_f1", ["cat cat"], [""], answers=[["cat"]]) == pytest.approx(2 / 3)


# -- scoring a task ------------------------------------------------------------------------------


def make_task(name="accuracy", **card):
    rows = {"source": ["x", "y", "z"], "target": ["yes", "no", "yes"]}
    return Task.from_rows(
        "mine/t", {"test": rows, "validation": rows}, labels=WORDS, metric=name, card=card
    )


def test_score_reads_the_split_and_scores_adds_the_further_metrics():
    task = make_task(metrics=["accuracy", "f1"])
    assert score(task, ["yes", "no", "no"]) == pytest.approx(2 / 3)
    assert score(task, ["yes", "no", "yes"], split="validation", metric="f1") == 1
    values = scores(task, ["yes", "no", "no"])
    assert list(values) == ["accuracy", "f1"]
    assert values["f1"] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score(make_task("bleu"), ["yes"] * 3), "unknown metric 'bleu'"),
        (lambda: score(make_task(), ["yes"]), "1 predictions for 3 rows"),
        (lambda: score(make_task(), ["yes"] * 3, split="train"), "no split 'train'"),
        (lambda: score(make_task("squad_f1"), ["yes"] * 3), "'answers'"),
        (lambda: score(make_task("em"), ["yes"] * 3), "'group'"),
        (lambda: metric("f1", ["yes"], ["yes"]), "label words"),
        (lambda: interval([]), "non-empty"),
        (lambda: interval([0.5, float("nan")]), "finite"),
        (lambda: interval([0.5, 0.6], level=95), "level=95"),
        (lambda: interval([0.5, 0.6], method="magic"), "unknown method"),
        (lambda: paired([0.5, 0.6], [0.5]), "2 values against 1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(PHAError, match=message):
        call()


def test_a_missing_column_is_a_matter_of_data():
    with pytest.raises(DataError):
        score(make_task("squad_em"), ["yes"] * 3)


# -- how sure ------------------------------------------------------------------------------------

FEW = [0.81, 0.84, 0.79, 0.88, 0.83]
MANY = np.random.default_rng(0).normal(0.7, 0.05, 40).tolist()


def test_a_few_values_get_students_interval():
    result = interval(FEW)
    expected = scipy_stats.ttest_1samp(FEW, 0).confidence_interval(0.95)
    assert result == pytest.approx((np.mean(FEW), expected.low, expected.high))
    assert interval(FEW, level=0.5).low > result.low
    assert str(result) == "0.830 [0.788, 0.872]"


def test_many_values_get_scipys_bootstrap():
    result = interval(MANY, seed=3)
    expected = scipy_stats.bootstrap((MANY,), np.mean, rng=np.random.default_rng(3))
    assert result[1:] == pytest.approx(tuple(expected.confidence_interval))
    assert result == interval(MANY, seed=3) != interval(MANY, seed=4)
    assert result.low < np.mean(MANY) == result.mean < result.high


def test_values_without_spread_have_no_width():
    assert interval([0.5]) == (0.5, 0.5, 0.5) == interval([0.5] * 30)


def test_paired_is_the_sign_flip_test():
    a, b = [0.9, 0.8, 0.85, 0.7], [0.8, 0.75, 0.9, 0.6]
    difference = np.subtract(a, b)
    flips = np.array(np.meshgrid(*[[1, -1]] * 4)).reshape(4, -1)  # all 16 sign patterns
    means = (flips * difference[:, None]).mean(axis=0)
    expected = np.mean(np.abs(means) >= abs(difference.mean()) - 1e-12)
    result = paired(a, b)
    assert result.p == pytest.approx(expected)
    assert result.difference == pytest.approx(0.05)
    assert result[1:3] == pytest.approx(interval(difference)[1:])


def test_paired_is_symmetric_and_modest():
    a, b = FEW, [v - 0.05 for v in FEW]
    assert paired(a, b).p == paired(b, a).p == pytest.approx(2**-4)  # the least five pairs allow
    assert paired(a, a) == (0, 0, 0, 1)
    assert paired([0.7], [0.6]).p == 1
