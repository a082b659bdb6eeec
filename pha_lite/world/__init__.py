"""A small world that writes readable English from known facts.

Everything embedded stands on it: the suite's labelled examples and the text on which
the embedded backbone was pretrained. `lexicon` holds the words, `sentences` puts facts into
sentences, `documents` makes unlabelled text and reading exercises for pretraining. The rules that
label examples live one level up, in `pha_lite.suite`.
"""
