"""The real benchmarks, as a table: where each is found, how a row becomes text, how it is scored.

Prompts and label words. GLUE and SuperGLUE rows are written as T5 was trained on them (Raffel et
al. 2020, appendix D): the task's name, then every field with its name, and label *words* as
targets. HyperFormer and the released PHA code use such sources with class numbers as targets; words
suit a text-to-text model better and are what the paper describes ("labels are text"). SciTail, PAWS
and WinoGrande follow HyperFormer's field order. Our choice: the label words of these three, of Yelp
and of COPA, and all of `textcls` (SST-5 has LM-BFF's words, Gao et al. 2021).

Splits. Test labels of GLUE and SuperGLUE are not public, so a protocol makes three splits out of
the public ones (HyperFormer's, used by the release too):

    halve   small tasks: validation is split in two, validation and test
    carve   large tasks: 1,000 training rows (a tenth, where that is fewer) are validation, the
            public held-out set is test
    given   the benchmark's own three splits; MNLI: mismatched = validation, matched = test

Hub repositories hold parquet or JSON lines, no loading scripts (`datasets` 4 and later cannot run
them). Names, configurations and columns were checked against public hub pages and public code that
loads them, not by loading them here. `CogComp/trec` still is a script: TREC comes from
`SetFit/TREC-QC`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from . import rows


@dataclass(frozen=True)
class Benchmark:
    """Where one data set is found and how it is read; see the module's text for the protocols.

    Args:
        prompt: source template over a row's fields.
        hub: repository and configuration.
        hub_splits: the splits the protocol starts from: train and held-out, or all three.
        folders: names its local folder may have; `""` means the data folder itself.
        files: for each of `hub_splits`, the names its local file may have.
        labels: label words in class order; None for a number (`answers=False`) or free text.
        spellings: for each class, how files spell it, in lower case; the label word and the class
            number when left out.
        hub_spellings: the same on the hub, where that differs.
        metric, metrics: the number reported, and further ones.
        header: columns of a local file without a header line.
        rename: columns that carry another name in some layout.
        prepare: one raw row -> the flat rows it holds (a MultiRC paragraph holds many).
        skip_broken: leave out rows of a wrong width, as every known loader of this set does.
        where: a column and the value it must have, for hub sets that mix several.
    """

    prompt: str
    hub: tuple[str, str | None]
    protocol: str = "halve"
    hub_splits: tuple[str, ...] = ("train", "validation")
    folders: tuple[str, ...] = ()
    files: tuple[tuple[str, ...], ...] = (("train.tsv",), ("dev.tsv",))
    labels: tuple[str, ...] | None = None
    spellings: tuple[tuple[str, ...], ...] | None = None
    hub_spellings: tuple[tuple[str, ...], ...] | None = None
    metric: str = "accuracy"
    metrics: tuple[str, ...] = ()
    header: tuple[str, ...] | None = None
    rename: Mapping[str, str] = field(default_factory=dict)
    prepare: Callable[[dict], Iterable[dict]] = rows.as_is
    skip_broken: bool = False
    where: tuple[str, str] | None = None
    licence: str = "none stated"


# -- the table ------------------------------------------------------------------------------------

ENTAILMENT = ("entailment", "not_entailment")
PARAPHRASE = ("not_equivalent", "equivalent")
SENTIMENT = ("negative", "positive")
TRUTH = ("False", "True")


def _glue(name: str, prompt: str, *folders: str, **fields) -> Benchmark:
    return Benchmark(f"{name} {prompt}", ("nyu-mll/glue", name), folders=folders, **fields)


def _superglue(name: str, prompt: str, folder: str, config: str = "", **fields) -> Benchmark:
    return Benchmark(
        f"{name} {prompt}",
        ("aps/super_glue", config or name),
        folders=(folder,),
        files=(("train.jsonl",), ("val.jsonl", "dev.jsonl")),
        **fields,
    )


def _mrqa(name: str, file: str, subset: str) -> Benchmark:
    return Benchmark(
        f"{name} question: {{question}} context: {{context}}",
        ("mrqa-workshop/mrqa", None),
        protocol="carve",
        folders=("mrqa", ""),
        files=tuple(
            tuple(f"{split}/{file}.jsonl{end}" for split in splits for end in (".gz", ""))
            for splits in (("train",), ("dev", "validation"))
        ),
        metric="squad_f1",
        metrics=("squad_em",),
        prepare=rows.mrqa,
        where=("subset", subset),
        licence="see the six sets' own licences",
    )


def _textcls(
    name: str, prompt: str, labels: tuple[str, ...], hub: str, label: str = "label", **fields
) -> Benchmark:
    train, dev, test = (
        ("train_full.jsonl", "train.jsonl"),
        ("dev.jsonl", "val.jsonl"),
        ("test.jsonl",),
    )
    given = fields.get("protocol") == "given"
    return Benchmark(
        f"{name} {prompt}",
        (hub, None),
        **{"protocol": "carve", "hub_splits": ("train", "test")} | fields,
        folders=(name,),
        files=(train, dev, test) if given else (train, test),
        labels=labels,
        rename={"text": "sentence", label: "label"},
        prepare=rows.unquoted,
    )


BENCHMARKS: dict[str, Benchmark] = {
    # GLUE: the folder names are those of GLUE's own download
    "glue/cola": _glue(
        "cola",
        "sentence: {sentence}",
        "CoLA",
        labels=("unacceptable", "acceptable"),
        metric="matthews",
        metrics=("accuracy",),
        header=("from", "label", "mark", "sentence"),  # the one GLUE file without a header line
    ),
    "glue/sst2": _glue("sst2", "sentence: {sentence}", "SST-2", labels=SENTIMENT, protocol="carve"),
    "glue/mrpc": _glue(
        "mrpc",
        "sentence1: {sentence1} sentence2: {sentence2}",
        "MRPC",
        labels=PARAPHRASE,
        metrics=("f1",),
        rename={"#1 String": "sentence1", "#2 String": "sentence2", "Quality": "label"},
    ),
    "glue/qqp": _glue(
        "qqp",
        "question1: {question1} question2: {question2}",
        "QQP",
        labels=("not_duplicate", "duplicate"),
        metrics=("f1",),
        protocol="carve",
        rename={"is_duplicate": "label"},
        skip_broken=True,
    ),
    "glue/stsb": _glue(
        "stsb",
        "sentence1: {sentence1} sentence2: {sentence2}",
        "STS-B",
        metric="pearson",
        metrics=("spearman",),
        rename={"score": "label"},
        licence="scores CC BY-SA 4.0, texts mixed",
    ),
    "glue/mnli": _glue(
        "mnli",
        "hypothesis: {sentence2} premise: {sentence1}",
        "MNLI",
        labels=("entailment", "neutral", "contradiction"),
        protocol="given",
        hub_splits=("train", "validation_mismatched", "validation_matched"),
        files=(("train.tsv",), ("dev_mismatched.tsv",), ("dev_matched.tsv",)),
        rename={"gold_label": "label", "premise": "sentence1", "hypothesis": "sentence2"},
        licence="mostly OANC",
    ),
    "glue/qnli": _glue(
        "qnli",
        "question: {question} sentence: {sentence}",
        "QNLI",
        labels=ENTAILMENT,
        protocol="carve",
        licence="CC BY-SA 4.0",
    ),
    "glue/rte": _glue(
        "rte", "sentence1: {sentence1} sentence2: {sentence2}", "RTE", labels=ENTAILMENT
    ),
    "glue/wnli": _glue(
        "wnli",
        "sentence1: {sentence1} sentence2: {sentence2}",
        "WNLI",
        labels=("not_entailment", "entailment"),
        licence="CC BY 4.0",
    ),
    # SuperGLUE
    "superglue/boolq": _superglue(
        "boolq",
        "passage: {passage} question: {question}",
        "BoolQ",
        labels=TRUTH,
        licence="CC BY-SA 3.0",
    ),
    "superglue/cb": _superglue(
        "cb",
        "hypothesis: {hypothesis} premise: {premise}",
        "CB",
        labels=("entailment", "contradiction", "neutral"),
        metric="accuracy_macro_f1",
        metrics=("accuracy", "macro_f1"),
    ),
    "superglue/copa": _superglue(
        "copa",
        "choice1: {choice1} choice2: {choice2} premise: {premise} question: {question}",
        "COPA",
        labels=("choice1", "choice2"),
        licence="BSD-2",
    ),
    "superglue/multirc": _superglue(
        "multirc",
        "question: {question} answer: {answer} paragraph: {paragraph}",
        "MultiRC",
        labels=TRUTH,
        metric="f1a",
        metrics=("em",),
        prepare=rows.multirc,
        licence="research",
    ),
    "superglue/wic": _superglue(
        "wic",
        "sentence1: {sentence1} sentence2: {sentence2} word: {word}",
        "WiC",
        labels=TRUTH,
        licence="CC BY-NC 4.0",
    ),
    "superglue/wsc": _superglue(
        "wsc",
        "text: {text}",
        "WSC",
        "wsc.fixed",
        labels=TRUTH,
        prepare=rows.wsc,
        licence="CC BY 4.0",
    ),
    # single sets
    "scitail": Benchmark(
        "scitail sentence1: {premise} sentence2: {hypothesis}",
        ("allenai/scitail", "tsv_format"),
        protocol="given",
        hub_splits=("train", "validation", "test"),
        folders=("SciTailV1.1", "SciTail", "nli"),
        files=tuple(
            (
                f"tsv_format/scitail_1.0_{split}.tsv",
                f"scitail_1.0_{split}.tsv",
                f"scitail_{split}.jsonl",
            )
            for split in ("train", "dev", "test")
        ),
        labels=("entailment", "neutral"),
        spellings=(("entails", "entailment"), ("neutral", "not_entailment")),
        header=("premise", "hypothesis", "label"),
        licence="Apache-2.0",
    ),
    "paws": Benchmark(
        "paws sentence1: {sentence1} sentence2: {sentence2}",
        ("google-research-datasets/paws", "labeled_final"),
        protocol="given",
        hub_splits=("train", "validation", "test"),
        folders=("paws/final", "paws", "final"),
        files=(("train.tsv",), ("dev.tsv",), ("test.tsv",)),
        labels=PARAPHRASE,
        licence="free for any use, as is",
    ),
    "yelp_polarity": Benchmark(
        "yelp_polarity sentence: {text}",
        ("fancyzhx/yelp_polarity", None),
        protocol="carve",
        hub_splits=("train", "test"),
        folders=("yelp_review_polarity_csv", "yelp_polarity", "yelp"),
        files=(("train.csv",), ("test.csv",)),
        labels=SENTIMENT,
        spellings=(("1",), ("2",)),
        hub_spellings=(("0",), ("1",)),
        header=("label", "text"),
        prepare=rows.yelp,
        licence="Yelp's data set terms",
    ),
    "winogrande": Benchmark(
        "winogrande sentence: {sentence} option1: {option1} option2: {option2}",
        ("allenai/winogrande", "winogrande_xl"),
        protocol="carve",
        folders=("winogrande_1.1", "winogrande"),
        files=(("train_xl.jsonl",), ("dev.jsonl",)),
        labels=("option1", "option2"),
        spellings=(("1",), ("2",)),
        rename={"answer": "label"},
        licence="CC BY",
    ),
    # MRQA 2019, the six in-domain sets
    "mrqa/squad": _mrqa("squad", "SQuAD", "SQuAD"),
    "mrqa/newsqa": _mrqa("newsqa", "NewsQA", "NewsQA"),
    "mrqa/triviaqa": _mrqa("triviaqa", "TriviaQA-web", "TriviaQA-web"),
    "mrqa/searchqa": _mrqa("searchqa", "SearchQA", "SearchQA"),
    "mrqa/hotpotqa": _mrqa("hotpotqa", "HotpotQA", "HotpotQA"),
    "mrqa/naturalquestions": _mrqa(
        "naturalquestions", "NaturalQuestionsShort", "NaturalQuestionsShort"
    ),
    # sentence classification; local files in the JSON-lines layout of LM-BFF's splits
    "textcls/sst5": _textcls(
        "sst5",
        "sentence: {sentence}",
        ("terrible", "bad", "okay", "good", "great"),
        "SetFit/sst5",
        protocol="given",
        hub_splits=("train", "validation", "test"),
    ),
    "textcls/trec": _textcls(
        "trec",
        "question: {sentence}",
        ("description", "entity", "abbreviation", "human", "location", "number"),
        "SetFit/TREC-QC",
        label="label_coarse_original",
        hub_spellings=(("desc",), ("enty",), ("abbr",), ("hum",), ("loc",), ("num",)),
    ),
    "textcls/subj": _textcls(
        "subj",
        "sentence: {sentence}",
        ("subjective", "objective"),
        "SetFit/subj",
        label="label_text",
        hub_spellings=(("subjective", "1"), ("objective", "0")),  # numbers: not as in LM-BFF
    ),
    "textcls/mr": _textcls(
        "mr", "sentence: {sentence}", SENTIMENT, "cornell-movie-review-data/rotten_tomatoes"
    ),
}
