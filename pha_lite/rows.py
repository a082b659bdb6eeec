"""Rows that are not flat, or not plain: one raw row -> the flat rows it holds.

Both ways in meet here: SuperGLUE's and MRQA's own files nest what the hub's copies of them hold
flat.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator

from .errors import DataError


def as_is(row: dict) -> Iterable[dict]:
    """Most benchmarks: the row is flat already."""
    return (row,)


def multirc(row: dict) -> Iterator[dict]:
    """SuperGLUE's file holds one paragraph per line; the hub holds one answer per row.

    `group` names the question, over whose answers exact match is counted.
    """
    if "passage" not in row:
        index = row["idx"]
        group = f"{index['paragraph']}-{index['question']}"
        yield row | {"paragraph": _no_markup(row["paragraph"]), "group": group}
        return
    paragraph = _no_markup(row["passage"]["text"])
    for question in row["passage"]["questions"]:
        for answer in question["answers"]:
            yield {
                "paragraph": paragraph,
                "question": question["question"],
                "answer": answer["text"],
                "label": answer["label"],
                "group": f"{row['idx']}-{question['idx']}",
            }


def _no_markup(text: str) -> str:
    """Without the bold "Sent 1:" marks and line breaks of MultiRC's paragraphs, as in T5."""
    return re.sub(r"</?(?:b|br)>", " ", text)


def wsc(row: dict) -> Iterator[dict]:
    """Marks the two spans in the text, `*` the noun phrase and `#` the pronoun.

    This is WSC as a yes-or-no question, with the marks of T5's preprocessing code. (The form in the
    T5 paper marks the pronoun alone and generates the noun, which only positive rows can teach.)

    >>> spans = {"span1_text": "Mark", "span1_index": 0, "span2_text": "He", "span2_index": 3}
    >>> next(wsc({"text": "Mark told lies. He laughed.", "target": spans}))["text"]
    '*Mark* told lies. #He# laughed.'
    """
    spans = row.get("target", row)  # nested in SuperGLUE's file, flat on the hub
    words = row["text"].split()
    marks: list[list[tuple[int, int, str]]] = [[] for _ in words]  # per word: position, order, mark
    for number, mark in ((1, "*"), (2, "#")):
        span = spans[f"span{number}_text"].split()
        start, first, last = _locate(words, span, int(spans[f"span{number}_index"]))
        marks[start].append((first, number, mark))
        marks[start + len(span) - 1].append((last, -number, mark))  # ends before it opens anew
    yield row | {"text": " ".join(map(_insert, words, marks))}


def _insert(word: str, marks: list[tuple[int, int, str]]) -> str:
    for position, _, mark in sorted(marks, reverse=True):
        word = word[:position] + mark + word[position:]
    return word


def _locate(words: list[str], span: list[str], index: int) -> tuple[int, int, int]:
    """Where `span` stands: first word, where it begins in it, where it ends in its last word.

    Punctuation around the span is no part of it. One span of the public validation file is off by a
    word, so the nearest place that reads like the span is taken.
    """
    pattern = re.compile(rf"(?<!\w){re.escape(' '.join(span))}(?!\w)", re.IGNORECASE)
    for start in sorted(range(len(words) - len(span) + 1), key=lambda i: abs(i - index)):
        piece = words[start : start + len(span)]
        match = pattern.search(" ".join(piece))
        if match:
            return start, match.start(), match.end() - len(" ".join(piece)) + len(piece[-1])
    raise DataError(f"the text does not contain the span {' '.join(span)!r}")


def mrqa(row: dict) -> Iterator[dict]:
    """One question per row; the target is the first answer found in the context, as it stands.

    A file's line holds a context with its questions, and its first line a header; the hub is flat.
    """
    if "header" in row:
        return
    for question in row.get("qas", [row]):
        answers = list(question["answers"])
        found = question.get("detected_answers") or []
        texts = found["text"] if isinstance(found, dict) else [one["text"] for one in found]
        if not answers:
            raise DataError(f"question {question['question']!r} has no answers")
        yield {
            "context": row["context"],
            "question": question["question"],
            "target": (texts or answers)[0],
            "answers": answers,
        }


def unquoted(row: dict) -> Iterator[dict]:
    """LM-BFF's splits went through CSV and kept its quotes around every sentence with a comma.

    >>> next(unquoted({"sentence": '"well , quite ""fine"" ."'}))
    {'sentence': 'well , quite "fine" .'}
    """
    text = row["sentence"]
    if len(text) > 1 and text[0] == text[-1] == '"':
        fields = next(csv.reader([text]))
        text = fields[0] if len(fields) == 1 else text
    yield row | {"sentence": text}


def yelp(row: dict) -> Iterator[dict]:
    """The CSV writes a line break inside a review as backslash and n."""
    yield row | {"text": row["text"].replace("\\n", " ")}
