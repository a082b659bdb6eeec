"""Metrics of predicted text.

A metric takes `(predictions, references, labels)`: predicted strings, the test split as a dict of
columns (see `tasks`), and the label words in class order or None. It returns a fraction, 1.0 =
perfect. The numbers come from scikit-learn and scipy; what is ours is only the way from text to
numbers:

- text is compared in lower case with single spaces, because a tokenizer may fold case;
- an answer that is no label word is *wrong*: with two classes it counts as the other one, with more
  as a class of its own (T5's rule). Dropping such rows, as is sometimes done, would reward silence.
"""

from __future__ import annotations

import re
import string
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from .errors import DataError, PHAError, unknown
from .stats import Interval, Paired, interval, paired

if TYPE_CHECKING:
    from .tasks import Task

__all__ = ["METRICS", "Interval", "Paired", "interval", "paired", "score", "scores"]

References = Mapping[str, list]
Labels = Sequence[str] | None


def folded(text: str) -> str:
    """Lower case, single spaces: the form in which answers are compared."""
    return " ".join(text.lower().split())


# -- label words ----------------------------------------------------------------------------------


def accuracy(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Share of rows whose text is the target.

    >>> accuracy(["yes", "No ", "what"], {"target": ["yes", "no", "yes"]})
    0.6666666666666666
    """
    hits = [folded(p) == folded(t) for p, t in zip(predictions, references["target"], strict=True)]
    return float(np.mean(hits))


def matthews(predictions: Sequence[str], references: References, labels: Labels) -> float:
    """Matthews correlation (CoLA): 0 for chance and for a constant answer."""
    from sklearn.metrics import matthews_corrcoef

    gold, predicted = _classes(predictions, references, labels)
    if np.ptp(gold) == 0 or np.ptp(predicted) == 0:
        return 0.0
    return float(matthews_corrcoef(gold, predicted))


def f1(predictions: Sequence[str], references: References, labels: Labels) -> float:
    """F1 of the second label word, the positive class: `equivalent` in MRPC, `True` in MultiRC."""
    from sklearn.metrics import f1_score

    gold, predicted = _classes(predictions, references, labels)
    return float(f1_score(gold, predicted, labels=[1], average="macro", zero_division=0))


def macro_f1(predictions: Sequence[str], references: References, labels: Labels) -> float:
    """Unweighted mean of the classes' F1 (CB).

    Over the classes that occur in the references or the predictions, as scikit-learn and SuperGLUE
    do.
    """
    from sklearn.metrics import f1_score

    gold, predicted = _classes(predictions, references, labels)
    present = [c for c in range(len(labels)) if c in gold or c in predicted]
    return float(f1_score(gold, predicted, labels=present, average="macro", zero_division=0))


def accuracy_macro_f1(predictions: Sequence[str], references: References, labels: Labels) -> float:
    """The mean of accuracy and macro F1: SuperGLUE's single number for CB."""
    return (accuracy(predictions, references) + macro_f1(predictions, references, labels)) / 2


def group_em(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Share of groups without a wrong row (MultiRC: questions with every answer judged right)."""
    right = defaultdict(lambda: True)
    for prediction, target, group in zip(
        predictions, _column(references, "target"), _column(references, "group"), strict=True
    ):
        right[group] &= folded(prediction) == folded(target)
    return float(np.mean(list(right.values())))


def _classes(
    predictions: Sequence[str], references: References, labels: Labels
) -> tuple[np.ndarray, np.ndarray]:
    """Gold and predicted class index per row."""
    if not labels:
        raise PHAError("this metric counts classes: give the task its label words")
    index = {folded(word): c for c, word in enumerate(labels)}
    gold = np.array([index[folded(t)] for t in references["target"]])
    predicted = np.array([index.get(folded(p), len(labels)) for p in predictions])
    if len(labels) == 2:
        predicted = np.where(predicted == 2, 1 - gold, predicted)
    return gold, predicted


# -- numbers --------------------------------------------------------------------------------------


def pearson(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Pearson correlation with the gold numbers (STS-B); 0 where the predictions do not vary."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, references)


def spearman(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Spearman rank correlation, STS-B's second number."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, references)


def _correlation(statistic: Callable, predictions: Sequence[str], references: References) -> float:
    gold = [float(value) for value in references.get("label") or references["target"]]
    predicted = [_number(text) for text in predictions]
    if len(set(gold)) < 2 or len(set(predicted)) < 2:
        return 0.0
    return float(statistic(predicted, gold).statistic)


def _number(text: str) -> float:
    """The number that `text` is, or -1 (T5's rule): off the scale, so no answer is a bad answer."""
    match = re.match(r"\s*([+-]?\d+(?:\.\d+)?)\s*$", text)
    return float(match.group(1)) if match else -1.0


# -- question answering ---------------------------------------------------------------------------


def normal_answer(text: str) -> str:
    """SQuAD's normal form: lower case, no punctuation, no articles, single spaces.

    >>> normal_answer("The  Eiffel-Tower!")
    'eiffeltower'
    """
    text = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


def squad_em(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Share of predictions that equal one of the accepted answers, in normal form."""
    return _best_answer(lambda predicted, gold: float(predicted == gold), predictions, references)


def squad_f1(predictions: Sequence[str], references: References, labels: Labels = None) -> float:
    """Mean word overlap (F1) with the best accepted answer, in normal form: MRQA's metric."""
    return _best_answer(_overlap, predictions, references)


def _best_answer(similarity: Callable, predictions: Sequence[str], references: References) -> float:
    best = []
    for prediction, answers in zip(predictions, _column(references, "answers"), strict=True):
        predicted = normal_answer(prediction)
        best.append(max(similarity(predicted, normal_answer(answer)) for answer in answers))
    return float(np.mean(best))


def _overlap(predicted: str, gold: str) -> float:
    words, gold_words = predicted.split(), gold.split()
    shared = (Counter(words) & Counter(gold_words)).total()
    return 2 * shared / (len(words) + len(gold_words)) if shared else 0.0


# -- scoring a task -------------------------------------------------------------------------------

METRICS: dict[str, Callable[[Sequence[str], References, Labels], float]] = {
    "accuracy": accuracy,
    "matthews": matthews,
    "f1": f1,
    "f1a": f1,  # MultiRC's name for F1 over all answers of all questions
    "macro_f1": macro_f1,
    "accuracy_macro_f1": accuracy_macro_f1,
    "em": group_em,
    "pearson": pearson,
    "spearman": spearman,
    "squad_em": squad_em,
    "squad_f1": squad_f1,
}


def score(
    task: Task, predictions: Sequence[str], split: str = "test", metric: str | None = None
) -> float:
    """The task's metric of `predictions`, one per row of `split`; `metric` asks for another one.

    Raises:
        PHAError: an unknown metric, or not one prediction per row.
    """
    metric = metric or task.metric
    if metric not in METRICS:
        raise PHAError(unknown("metric", metric, METRICS))
    if len(predictions) != len(task[split]):
        raise PHAError(
            f"{task.name}: {len(predictions)} predictions for {len(task[split])} rows of {split!r}"
        )
    return METRICS[metric](list(predictions), task.columns(split), task.labels)


def scores(task: Task, predictions: Sequence[str], split: str = "test") -> dict[str, float]:
    """The task's metric first, then the further ones that its card lists under `"metrics"`."""
    names = dict.fromkeys([task.metric, *task.card.get("metrics", ())])
    return {name: score(task, predictions, split, name) for name in names}


def _column(references: References, name: str) -> list:
    if name not in references:
        raise DataError(
            f"this metric reads the column {name!r}, and the split has only {sorted(references)}"
        )
    return references[name]
