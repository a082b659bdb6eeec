"""Small files in each benchmark's own layout, written by the tests of the loaders."""

import gzip
import json


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def tsv(rows, header=True):
    lines = ["\t".join(rows[0])] if header else []
    return "\n".join(lines + ["\t".join(map(str, row.values())) for row in rows]) + "\n"


def jsonl(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def pair(i, label):
    return {"index": i, "sentence1": f"First {i}.", "sentence2": f"Second {i}.", "label": label}


def write_glue(root, folder, make, train=10, held=4, names=("train.tsv", "dev.tsv"), header=True):
    for name, size in zip(names, (train, held, held), strict=False):
        put(root / folder / name, tsv([make(i) for i in range(size)], header))


def write_jsonl(root, folder, make, train=10, held=4, names=("train.jsonl", "val.jsonl")):
    for name, size in zip(names, (train, held, held), strict=False):
        put(root / folder / name, jsonl([make(i) for i in range(size)]))


def mrpc(i):
    strings = {"#1 String": f'He said "{i}.', "#2 String": f"Second {i}."}
    return {"Quality": i % 2, "#1 ID": i, "#2 ID": i} | strings


def mnli(i):
    label = ("neutral", "entailment", "contradiction")[i % 3]
    texts = {"sentence1": f"Premise {i}", "sentence2": f"Hypothesis {i}"}
    return {"index": i, "promptID": 7} | texts | {"label1": "entailment", "gold_label": label}


def stsb(i):
    texts = {"sentence1": f"First {i}.", "sentence2": f"Second {i}."}
    return {"index": i, "genre": "news"} | texts | {"score": f"{i * 0.37 % 5:.3f}"}


def multirc(i):
    answers = [{"text": f"answer {a}", "idx": a, "label": a % 2} for a in range(3)]
    questions = [{"question": f"why {q}?", "idx": q, "answers": answers} for q in range(2)]
    text = f"<b>Sent 1: </b>Story {i}.<br><b>Sent 2: </b>The end."
    return {"idx": i, "version": 1.1, "passage": {"text": text, "questions": questions}}


def wsc(i):
    spans = {"span1_index": 0, "span1_text": "Mark", "span2_index": 5, "span2_text": "he"}
    return {"text": "Mark met Pete, and then (he) left.", "target": spans, "idx": i, "label": i < 2}


def mrqa_line(i):
    detected = [{"text": f"Paris {i}", "char_spans": [[0, 4]]}]
    answers = [f"paris {i}", "the capital"]
    qa = {"qid": f"q{i}", "question": f"which city {i}?", "answers": answers}
    return {
        "id": str(i),
        "context": f"Paris {i} is big.",
        "qas": [qa | {"detected_answers": detected}],
    }


def write_mrqa(root, file, train=10, held=4):
    for part, size in (("train", train), ("dev", held)):
        lines = [{"header": {"dataset": file, "split": part}}, *map(mrqa_line, range(size))]
        put(root / "mrqa" / part / f"{file}.jsonl.gz", jsonl(lines))


def write_scitail(root):
    for part in ("train", "dev", "test"):
        rows = [{"p": f"Premise {i}", "h": f"Fact {i}", "l": "entails"} for i in range(3)]
        put(root / f"SciTailV1.1/tsv_format/scitail_1.0_{part}.tsv", tsv(rows, header=False))


def write_yelp(root):
    for part, size in (("train", 10), ("test", 4)):
        rows = [f'"{1 + i % 2}","Great, ""really"" {i}.\\n\\nCome again"' for i in range(size)]
        put(root / f"yelp_review_polarity_csv/{part}.csv", "\n".join(rows) + "\n")


def textcls(labels):
    return lambda i: {"sentence": f'"well , ""film"" {i} ."', "label": str(i % labels)}


def choice(i):
    texts = {"premise": f"It rained {i}.", "choice1": "He got wet.", "choice2": "He sang."}
    return texts | {"question": "effect", "label": i % 2, "idx": i}


def wic(i):
    texts = {"word": "bank", "sentence1": f"The bank {i}.", "sentence2": "A river bank."}
    return texts | {"idx": i, "label": bool(i % 2), "start1": 4, "version": 1.1}


def winogrande(i):
    texts = {"sentence": f"The cup fell off the shelf as _ {i} shook.", "option1": "cup"}
    return {"qID": str(i)} | texts | {"option2": "shelf", "answer": str(1 + i % 2)}


NLI = ("train.tsv", "dev_mismatched.tsv", "dev_matched.tsv")
THREE_TSV = ("train.tsv", "dev.tsv", "test.tsv")
LMBFF = ("train_full.jsonl", "test.jsonl")
TRUTH = ("entailment", "not_entailment")

# name -> how its own files are written, and its first training row
LAYOUTS = {
    "glue/cola": (
        lambda root: write_glue(
            root,
            "CoLA",
            lambda i: {
                "from": "gj04",
                "label": 1 - i % 2,
                "mark": "*" * (i % 2),
                "text": f"It {i}.",
            },
            header=False,
        ),
        ("cola sentence: It 0.", "acceptable"),
    ),
    "glue/sst2": (
        lambda root: write_glue(
            root, "SST-2", lambda i: {"sentence": f'a " quote {i} \x85 and on ', "label": i % 2}
        ),
        ('sst2 sentence: a " quote 0 and on', "negative"),
    ),
    "glue/mrpc": (
        lambda root: write_glue(root, "MRPC", mrpc),
        ('mrpc sentence1: He said "0. sentence2: Second 0.', "not_equivalent"),
    ),
    "glue/qqp": (
        lambda root: write_glue(
            root,
            "QQP",
            lambda i: {
                "id": i,
                "question1": f"Q{i}?",
                "question2": "R?",
                "is_duplicate": 1 - i % 2,
            },
        ),
        ("qqp question1: Q0? question2: R?", "duplicate"),
    ),
    "glue/stsb": (
        lambda root: write_glue(root, "STS-B", stsb),
        ("stsb sentence1: First 0. sentence2: Second 0.", "0.0"),
    ),
    "glue/mnli": (
        lambda root: write_glue(root, "MNLI", mnli, names=NLI),
        ("mnli hypothesis: Hypothesis 0 premise: Premise 0", "neutral"),
    ),
    "glue/qnli": (
        lambda root: write_glue(
            root,
            "QNLI",
            lambda i: {
                "index": i,
                "question": f"Who {i}?",
                "sentence": "He.",
                "label": TRUTH[i % 2],
            },
        ),
        ("qnli question: Who 0? sentence: He.", "entailment"),
    ),
    "glue/rte": (
        lambda root: write_glue(root, "RTE", lambda i: pair(i, TRUTH[i % 2])),
        ("rte sentence1: First 0. sentence2: Second 0.", "entailment"),
    ),
    "glue/wnli": (
        lambda root: write_glue(root, "WNLI", lambda i: pair(i, i % 2)),
        ("wnli sentence1: First 0. sentence2: Second 0.", "not_entailment"),
    ),
    "superglue/boolq": (
        lambda root: write_jsonl(
            root, "BoolQ", lambda i: {"question": "is it", "passage": f"It is {i}.", "label": i > 4}
        ),
        ("boolq passage: It is 0. question: is it", "False"),
    ),
    "superglue/cb": (
        lambda root: write_jsonl(
            root, "CB", lambda i: {"premise": f"P {i}", "hypothesis": "H", "label": "neutral"}
        ),
        ("cb hypothesis: H premise: P 0", "neutral"),
    ),
    "superglue/copa": (
        lambda root: write_jsonl(root, "COPA", choice),
        (
            "copa choice1: He got wet. choice2: He sang. premise: It rained 0. question: effect",
            "choice1",
        ),
    ),
    "superglue/multirc": (
        lambda root: write_jsonl(root, "MultiRC", multirc),
        (
            "multirc question: why 0? answer: answer 0 "
            "paragraph: Sent 1: Story 0. Sent 2: The end.",
            "False",
        ),
    ),
    "superglue/wic": (
        lambda root: write_jsonl(root, "WiC", wic),
        ("wic sentence1: The bank 0. sentence2: A river bank. word: bank", "False"),
    ),
    "superglue/wsc": (
        lambda root: write_jsonl(root, "WSC", wsc),
        ("wsc text: *Mark* met Pete, and then (#he#) left.", "True"),
    ),
    "scitail": (
        write_scitail,
        ("scitail sentence1: Premise 0 sentence2: Fact 0", "entailment"),
    ),
    "paws": (
        lambda root: write_glue(
            root,
            "paws/final",
            lambda i: {"id": i, "sentence1": "A", "sentence2": f"B {i}", "label": i % 2},
            names=THREE_TSV,
        ),
        ("paws sentence1: A sentence2: B 0", "not_equivalent"),
    ),
    "yelp_polarity": (
        write_yelp,
        ('yelp_polarity sentence: Great, "really" 0. Come again', "negative"),
    ),
    "winogrande": (
        lambda root: write_jsonl(
            root, "winogrande_1.1", winogrande, names=("train_xl.jsonl", "dev.jsonl")
        ),
        (
            "winogrande sentence: The cup fell off the shelf as _ 0 shook. "
            "option1: cup option2: shelf",
            "option1",
        ),
    ),
    **{
        f"mrqa/{name}": (
            lambda root, file=file: write_mrqa(root, file),
            (f"{name} question: which city 0? context: Paris 0 is big.", "Paris 0"),
        )
        for name, file in {
            "squad": "SQuAD",
            "newsqa": "NewsQA",
            "triviaqa": "TriviaQA-web",
            "searchqa": "SearchQA",
            "hotpotqa": "HotpotQA",
            "naturalquestions": "NaturalQuestionsShort",
        }.items()
    },
    "textcls/sst5": (
        lambda root: write_jsonl(
            root, "sst5", textcls(5), names=("train_full.jsonl", "dev.jsonl", "test.jsonl")
        ),
        ('sst5 sentence: well , "film" 0 .', "terrible"),
    ),
    "textcls/trec": (
        lambda root: write_jsonl(root, "trec", textcls(6), names=LMBFF),
        ('trec question: well , "film" 0 .', "description"),
    ),
    "textcls/subj": (
        lambda root: write_jsonl(root, "subj", textcls(2), names=LMBFF),
        ('subj sentence: well , "film" 0 .', "subjective"),
    ),
    "textcls/mr": (
        lambda root: write_jsonl(root, "mr", textcls(2), names=LMBFF),
        ('mr sentence: well , "film" 0 .', "negative"),
    ),
}
