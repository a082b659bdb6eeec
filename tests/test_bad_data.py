"""Files that are not as they should be: every message names the file and the row, and nothing is
written."""

import gzip
from pathlib import Path

import pytest
from layouts import LAYOUTS, put

from pha_lite.errors import DataError
from pha_lite.tasks import load_task


def change(path, old, new, count=1):
    """Replace bytes in a file that a layout wrote."""

    def apply(root):
        file = root / path
        data = file.read_bytes()
        packed = file.suffix == ".gz"
        data = gzip.decompress(data) if packed else data
        assert old in data
        data = data.replace(old, new, count)
        file.write_bytes(gzip.compress(data) if packed else data)

    return apply


def write(path, content):
    return lambda root: put(root / path, content)


RTE, CB, TREC = "RTE/train.tsv", "CB/val.jsonl", "trec/train_full.jsonl"
YELP, SQUAD = "yelp_review_polarity_csv/test.csv", "mrqa/train/SQuAD.jsonl.gz"
BAD = {  # what is wrong -> (benchmark, how it comes about, what the message must say)
    "no training file": (
        "glue/rte",
        lambda root: (root / RTE).unlink(),
        "no train file.*train.tsv",
    ),
    "no held-out file": (
        "superglue/cb",
        lambda root: (root / CB).unlink(),
        "val.jsonl or dev.jsonl",
    ),
    "no test file": (
        "textcls/trec",
        lambda root: (root / "trec/test.jsonl").unlink(),
        "no held-out file.*test.jsonl",
    ),
    "no file at all": (
        "superglue/cb",
        lambda root: [(root / "CB" / f).unlink() for f in ("train.jsonl", "val.jsonl")],
        "CB has none of its files",
    ),
    "a folder for a file": (
        "glue/rte",
        lambda root: ((root / RTE).unlink(), (root / RTE).mkdir()),
        "no train file",
    ),
    "no column": ("glue/rte", change(RTE, b"sentence2", b"second"), "row 2: no column 'sentence2'"),
    "no label column": ("glue/rte", change(RTE, b"label", b"gold"), "row 2: no column 'label'"),
    "no key": ("superglue/cb", change(CB, b'"premise"', b'"text"'), "row 1: no column 'premise'"),
    "no nested key": (
        "superglue/multirc",
        change("MultiRC/train.jsonl", b'"answers"', b'"choices"'),
        "row 1: no column 'answers'",
    ),
    "unknown label": ("glue/rte", change(RTE, b"\tnot_entailment", b"\tmaybe"), "row 3.*'maybe'"),
    "unknown class number": (
        "textcls/trec",
        change(TREC, b'"5"', b'"6"'),
        "row 6: unknown label '6'",
    ),
    "label of the wrong kind": ("superglue/cb", change(CB, b'"neutral"', b"[]"), "unknown label"),
    "null label": ("superglue/cb", change(CB, b'"neutral"', b"null"), "row 1: unknown label None"),
    "score off the scale": (
        "glue/stsb",
        change("STS-B/dev.tsv", b"0.370", b"5.5"),
        "row 3.*outside",
    ),
    "score that is no number": (
        "glue/stsb",
        change("STS-B/dev.tsv", b"0.370", b"x"),
        "not a number",
    ),
    "score nan": ("glue/stsb", change("STS-B/dev.tsv", b"0.370", b"nan"), "row 3: score nan"),
    "empty file": ("glue/rte", write(RTE, ""), "train.tsv: no rows"),
    "header only": ("glue/rte", write(RTE, "index\tsentence1\tsentence2\tlabel\n"), "no rows"),
    "header of MRQA only": ("mrqa/squad", write(SQUAD, '{"header": {}}\n'), "SQuAD.*: no rows"),
    "one row to halve": (
        "superglue/cb",
        write(CB, '{"premise": "p", "hypothesis": "h", "label": "neutral"}\n'),
        "superglue/cb: 1 row to divide",
    ),
    "not UTF-8": (
        "glue/rte",
        change(RTE, b"First 1.", b"Caf\xe9 1."),
        "row 3: byte 0xe9 at.*UTF-8",
    ),
    "not UTF-8 in JSON": (
        "superglue/cb",
        change(CB, b"P 2", b"\xff"),
        "val.jsonl, row 3: byte 0xff",
    ),
    "not UTF-8 in CSV": (
        "yelp_polarity",
        change(YELP, b"again", b"ag\xe9", 2),
        "test.csv, row 1: byte",
    ),
    "UTF-16": ("glue/rte", write(RTE, "index\tsentence1".encode("utf-16")), "row 1: byte 0xff"),
    "a field too many": ("glue/rte", change(RTE, b"First 2.", b"a\tb"), "row 4: 5 tab-separated"),
    "a field too few": ("glue/cola", change("CoLA/dev.tsv", b"\t*\t", b"\t"), "row 2: 3 tab-sep"),
    "broken JSON": ("superglue/cb", change(CB, b"}", b""), "row 1: not JSON"),
    "JSON that is no object": (
        "superglue/cb",
        write(CB, "[1]\n[2]\n"),
        "row 1: expected a JSON obj",
    ),
    "null text": (
        "superglue/cb",
        change(CB, b'"P 1"', b"null"),
        "row 2: column 'premise' holds None",
    ),
    "number for text": (
        "superglue/cb",
        change(CB, b'"P 1"', b"7"),
        "row 2: column 'premise' holds 7",
    ),
    "null sentence": ("textcls/trec", change(TREC, b'"label": "1"', b'"sentence": null'), "row 2"),
    "text for a passage": (
        "superglue/multirc",
        write("MultiRC/val.jsonl", '{"idx": 0, "passage": "text"}\n'),
        "row 1: not laid out as",
    ),
    "no such span": (
        "superglue/wsc",
        change("WSC/val.jsonl", b'"he"', b'"she"'),
        "row 1.*span 'she'",
    ),
    "index that is no number": (
        "superglue/wsc",
        change("WSC/val.jsonl", b'"span1_index": 0', b'"span1_index": "x"'),
        "row 1: not laid out",
    ),
    "open quote in CSV": (
        "yelp_polarity",
        change(YELP, b'again"', b"again", 9),
        "not well-formed CSV",
    ),
    "a field too many in CSV": (
        "yelp_polarity",
        change(YELP, b'"2"', b'"2","2"'),
        "row 2: 3 fields",
    ),
    "damaged gzip": (
        "mrqa/squad",
        lambda root: (root / SQUAD).write_bytes((root / SQUAD).read_bytes()[:-20]),
        "SQuAD.jsonl.gz, after row .*: cannot be read",
    ),
    "no gzip at all": (
        "mrqa/squad",
        lambda root: (root / SQUAD).write_bytes(b"plain text"),
        "SQuAD.jsonl.gz.*cannot be read",
    ),
    "question without answers": (
        "mrqa/squad",
        change(SQUAD, b'["paris 1", "the capital"]', b"[]"),
        "row 3: question 'which city 1.' has no answers",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_named_with_their_row(case, tmp_path):
    name, damage, message = BAD[case]
    LAYOUTS[name][0](tmp_path)
    load_task(name, data_dir=tmp_path)  # all is well before
    damage(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    with pytest.raises(DataError, match=message) as caught:
        load_task(name, data_dir=tmp_path)
    assert "\n" not in str(caught.value)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


@pytest.mark.parametrize(
    ("data_dir", "message"),
    [("nowhere", "nowhere does not exist"), ("file", "not a folder"), (".", "no folder RTE under")],
)
def test_bad_folders_are_named(data_dir, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(DataError, match=message):
        load_task("glue/rte", data_dir=data_dir)
