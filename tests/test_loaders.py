"""Real benchmarks from small files in each set's own layout, from a stand-in for the hub, and from
the real files where they are at hand."""

from pathlib import Path

import pytest
from layouts import LAYOUTS, mnli, mrpc, pair, put, stsb, tsv, winogrande, write_glue

from pha_lite.benchmarks import BENCHMARKS
from pha_lite.errors import DataError, PHAError
from pha_lite.evaluate import METRICS, scores
from pha_lite.loaders import _classes, load_benchmark, split
from pha_lite.tasks import load_task

REAL = Path(__file__).resolve().parents[2] / "shared" / "realdata"
needs_real = pytest.mark.skipif(
    not REAL.is_dir(), reason="the real benchmark files are not beside this repository"
)


@pytest.fixture(autouse=True)
def no_data_folder_from_outside(monkeypatch):
    monkeypatch.delenv("PHA_DATA_DIR", raising=False)


def rows_of(task, part="train"):
    return list(zip(task[part]["source"], task[part]["target"], strict=True))


def test_every_benchmark_has_a_layout_here():
    assert set(LAYOUTS) == set(BENCHMARKS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_files_in_the_benchmarks_own_layout(name, tmp_path):
    write, first = LAYOUTS[name]
    write(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    task = load_task(name, data_dir=tmp_path)
    assert list(task.splits) == ["train", "validation", "test"]
    everything = rows_of(task) + rows_of(task, "validation") + rows_of(task, "test")
    assert first in rows_of(task) + rows_of(task, "validation")  # carve may move it
    assert all(source.split()[0] == first[0].split()[0] for source, _ in everything)
    assert task.metric in METRICS and set(task.card["metrics"]) <= set(METRICS)
    targets = task["test"]["target"]
    if len(set(targets)) > 1:  # with a single class a correlation says nothing
        assert scores(task, list(targets)) == pytest.approx(
            dict.fromkeys(task.card["metrics"], 1), abs=0.01
        )
    assert sorted(tmp_path.rglob("*")) == before  # nothing written


def test_the_protocols():
    rows = [{"source": str(i)} for i in range(3000)]
    halves = split({"train": rows, "held-out": rows[:9]}, "halve", seed=0)
    assert [len(halves[s]) for s in ("train", "validation", "test")] == [3000, 4, 5]
    sources = [r["source"] for s in ("validation", "test") for r in halves[s]]
    assert sorted(sources) == [str(i) for i in range(9)]
    carved = split({"train": rows * 5, "held-out": rows[:9]}, "carve", seed=0)
    assert [len(carved[s]) for s in ("train", "validation", "test")] == [14000, 1000, 9]
    assert len(split({"train": rows, "held-out": rows}, "carve", 0)["validation"]) == 300
    again, other = (split({"held-out": rows}, "halve", seed=s) for s in (0, 1))
    assert again == split({"held-out": rows}, "halve", 0) != other


@pytest.mark.parametrize(
    ("name", "protocol", "metric"),
    [
        *((f"glue/{t}", "halve", "accuracy") for t in ("mrpc", "rte", "wnli")),
        *((f"glue/{t}", "carve", "accuracy") for t in ("sst2", "qqp", "qnli")),
        ("glue/cola", "halve", "matthews"),
        ("glue/stsb", "halve", "pearson"),
        ("glue/mnli", "given", "accuracy"),
        ("superglue/cb", "halve", "accuracy_macro_f1"),
        ("superglue/multirc", "halve", "f1a"),
        ("mrqa/squad", "carve", "squad_f1"),
    ],
)
def test_the_protocol_and_metric_of_the_release(name, protocol, metric):
    assert (BENCHMARKS[name].protocol, BENCHMARKS[name].metric) == (protocol, metric)


# Class numbers as the hub's own cards list them: a number means what its place here says.
HUB_CLASSES = {
    "glue/cola": ("unacceptable", "acceptable"),
    "glue/sst2": ("negative", "positive"),
    "glue/mrpc": ("not_equivalent", "equivalent"),
    "glue/qqp": ("not_duplicate", "duplicate"),
    "glue/mnli": ("entailment", "neutral", "contradiction"),
    "glue/qnli": ("entailment", "not_entailment"),
    "glue/rte": ("entailment", "not_entailment"),
    "glue/wnli": ("not_entailment", "entailment"),
    "superglue/boolq": ("False", "True"),
    "superglue/cb": ("entailment", "contradiction", "neutral"),
    "superglue/copa": ("choice1", "choice2"),
    "superglue/multirc": ("False", "True"),
    "superglue/wic": ("False", "True"),
    "superglue/wsc": ("False", "True"),
    "paws": ("not_equivalent", "equivalent"),
    "yelp_polarity": ("negative", "positive"),
    "textcls/subj": ("objective", "subjective"),  # the other way round in LM-BFF's files
    "textcls/mr": ("negative", "positive"),
}


@pytest.mark.parametrize("name", HUB_CLASSES)
def test_class_numbers_of_the_hub(name):
    bench = BENCHMARKS[name]
    classes = _classes(bench, bench.hub_spellings or bench.spellings)
    assert (
        tuple(bench.labels[classes[str(c)]] for c in range(len(bench.labels))) == HUB_CLASSES[name]
    )


def test_mnli_takes_mismatched_for_validation_and_matched_for_test(tmp_path):
    LAYOUTS["glue/mnli"][0](tmp_path)
    put(tmp_path / "MNLI/dev_matched.tsv", tsv([mnli(i + 50) for i in range(2)]))
    task = load_task("glue/mnli", data_dir=tmp_path)
    assert rows_of(task, "test")[0][0].endswith("Premise 50")
    assert rows_of(task, "validation")[0][0].endswith("Premise 0")
    assert BENCHMARKS["glue/mnli"].hub_splits == (
        "train",
        "validation_mismatched",
        "validation_matched",
    )


def test_scores_are_written_in_steps_of_a_fifth_and_kept_exactly(tmp_path):
    LAYOUTS["glue/stsb"][0](tmp_path)
    train = load_task("glue/stsb", data_dir=tmp_path)["train"]
    exact = [round(i * 0.37 % 5, 3) for i in range(10)]
    assert train["label"] == exact
    for target, value in zip(train["target"], exact, strict=True):
        assert abs(float(target) - value) <= 0.1 + 1e-9
        assert round(float(target) * 5) == pytest.approx(float(target) * 5)


def test_questions_of_multirc_are_not_torn_apart(tmp_path):
    LAYOUTS["superglue/multirc"][0](tmp_path)
    task = load_task("superglue/multirc", data_dir=tmp_path)
    groups = {part: set(task[part]["group"]) for part in ("validation", "test")}
    assert len(groups["validation"]) == len(groups["test"]) == 4
    assert not groups["validation"] & groups["test"]
    assert task.sizes == {"train": 60, "validation": 12, "test": 12}


def test_mrqa_keeps_every_answer_and_trains_on_the_one_in_the_text(tmp_path):
    LAYOUTS["mrqa/squad"][0](tmp_path)
    test = load_task("mrqa/squad", data_dir=tmp_path)["test"]
    assert test[0]["target"] == "Paris 0"
    assert test[0]["answers"] == ["paris 0", "the capital"]


def test_folders_are_found_in_any_case_and_at_any_level(tmp_path, monkeypatch):
    deep = tmp_path / "data" / "GLUE_data"
    write_glue(deep, "sts_b", stsb)
    expected = rows_of(load_task("glue/stsb", data_dir=deep / "sts_b"))
    assert rows_of(load_task("glue/stsb", data_dir=deep)) == expected
    assert rows_of(load_task("glue/stsb", data_dir=tmp_path / "data")) == expected
    monkeypatch.setenv("PHA_DATA_DIR", str(deep))
    assert rows_of(load_task("glue/stsb")) == expected
    monkeypatch.chdir(deep / "sts_b")
    assert rows_of(load_task("glue/stsb", data_dir=".")) == expected


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    content = tsv([mrpc(i) for i in range(10)]).replace("\n", "\r\n")
    for name in ("train.tsv", "dev.tsv"):
        put(tmp_path / "MRPC" / name, b"\xef\xbb\xbf" + content.encode())
    assert rows_of(load_task("glue/mrpc", data_dir=tmp_path))[0][0].endswith("Second 0.")


def test_broken_rows_of_qqp_are_left_out_as_everywhere(tmp_path):
    LAYOUTS["glue/qqp"][0](tmp_path)
    path = tmp_path / "QQP/dev.tsv"
    path.write_text(path.read_text() + "4\thalf a row\n")
    assert load_task("glue/qqp", data_dir=tmp_path).sizes["test"] == 4


@pytest.mark.parametrize(
    ("name", "missing", "left"),
    [
        ("glue/qnli", "QNLI/train.tsv", ["test"]),
        ("glue/sst2", "SST-2/dev.tsv", ["train", "validation"]),
        ("superglue/boolq", "BoolQ/train.jsonl", ["validation", "test"]),
        ("glue/mnli", "MNLI/dev_mismatched.tsv", ["train", "test"]),
    ],
)
def test_partial_makes_the_splits_that_can_be_made(name, missing, left, tmp_path):
    LAYOUTS[name][0](tmp_path)
    (tmp_path / missing).unlink()
    with pytest.raises(DataError, match="partial=True"):
        load_task(name, data_dir=tmp_path)
    assert list(load_task(name, data_dir=tmp_path, partial=True).splits) == left


def test_nested_spans_of_wsc():
    from pha_lite.rows import wsc as mark

    def marked(text, noun, i, pronoun, j):
        spans = {"span1_text": noun, "span1_index": i, "span2_text": pronoun, "span2_index": j}
        return next(iter(mark({"text": text, **spans})))["text"]

    assert marked("(She met his mother.)", "his mother", 2, "his", 2) == "(She met *#his# mother*.)"
    assert (
        marked("Ann's dog saw Ann. She sat.", "Ann", 0, "she", 4)
        == "*Ann*'s dog saw Ann. #She# sat."
    )
    assert marked("He saw his mother.", "his mother", 2, "mother", 3) == "He saw *his #mother#*."
    # the index of one span in the public validation file is off by one
    assert (
        marked("Use it or see if it fits.", "Use it", 0, "it", 6) == "*Use it* or see if #it# fits."
    )


# -- the hub -------------------------------------------------------------------------------------


def hub_pair(label):
    return lambda i: {"sentence1": f"First {i}.", "sentence2": f"Second {i}.", "label": label(i)}


HUB = {  # name -> a row as the hub holds it, equal in content to the file's row
    "glue/rte": lambda i: {**pair(i, i % 2), "idx": i},
    "glue/mnli": lambda i: {
        "premise": f"Premise {i}",
        "hypothesis": f"Hypothesis {i}",
        "label": (1, 0, 2)[i % 3],
        "idx": i,
    },
    "glue/stsb": lambda i: {**hub_pair(lambda i: float(f"{i * 0.37 % 5:.3f}"))(i), "idx": i},
    "glue/mrpc": lambda i: {
        "sentence1": f'He said "{i}.',
        "sentence2": f"Second {i}.",
        "label": i % 2,
    },
    "superglue/wsc": lambda i: {
        "text": "Mark met Pete, and then (he) left.",
        "span1_index": 0,
        "span2_index": 5,
        "span1_text": "Mark",
        "span2_text": "he",
        "label": int(i < 2),
    },
    "yelp_polarity": lambda i: {"text": f'Great, "really" {i}.\n\nCome again', "label": i % 2},
    "winogrande": winogrande,
    "scitail": lambda i: {"premise": f"Premise {i}", "hypothesis": f"Fact {i}", "label": "entails"},
    "textcls/trec": lambda i: {
        "text": f'well , "film" {i} .',
        "label": 17,
        "label_coarse": 3,
        "label_coarse_original": ("DESC", "ENTY", "ABBR", "HUM", "LOC", "NUM")[i % 6],
    },
    "textcls/subj": lambda i: {
        "text": f'well , "film" {i} .',
        "label": 1 - i % 2,
        "label_text": ("subjective", "objective")[i % 2],
    },
    "textcls/sst5": lambda i: {"text": f'well , "film" {i} .', "label": i % 5, "label_text": "x"},
    "mrqa/squad": lambda i: {
        "subset": "SQuAD",
        "context": f"Paris {i} is big.",
        "qid": f"q{i}",
        "question": f"which city {i}?",
        "detected_answers": {"text": [f"Paris {i}"], "char_spans": [{"start": [0], "end": [4]}]},
        "answers": [f"paris {i}", "the capital"],
    },
}


def stand_in(make, calls, bench):
    """`datasets.load_dataset` with the sizes of the small files, noting how it was called."""

    def load_dataset(repository, configuration=None, split=None, **options):
        from datasets import Dataset

        calls.append((repository, configuration, split, options))
        three = 3 if bench is BENCHMARKS["scitail"] else None
        size = three or (10 if split == "train" else 4)
        return Dataset.from_list([make(i) for i in range(size)])

    return load_dataset


@pytest.mark.parametrize("name", HUB)
def test_the_hub_gives_the_same_task_as_the_files(name, tmp_path, monkeypatch):
    LAYOUTS[name][0](tmp_path)
    calls, bench = [], BENCHMARKS[name]
    monkeypatch.setattr("datasets.load_dataset", stand_in(HUB[name], calls, bench))
    hub, local = load_task(name, seed=5), load_task(name, data_dir=tmp_path, seed=5)
    for part in ("train", "validation", "test"):
        assert hub.columns(part) == local.columns(part)
    assert [(c[0], c[1]) for c in calls] == [bench.hub] * len(bench.hub_splits)
    assert [c[2] for c in calls] == list(bench.hub_splits)
    assert hub.card["source"].startswith("hub ") and local.card["source"].startswith("local")


def test_multirc_from_the_hub(monkeypatch):
    def row(i):
        index = {"paragraph": i // 4, "question": i // 2 % 2, "answer": i % 2}
        return {
            "paragraph": "<b>Sent 1: </b>Story.",
            "question": "why?",
            "answer": f"answer {i}",
            "idx": index,
            "label": i % 2,
        }

    bench = BENCHMARKS["superglue/multirc"]
    monkeypatch.setattr("datasets.load_dataset", stand_in(row, [], bench))
    train = load_task("superglue/multirc")["train"]
    assert train["group"][:5] == ["0-0", "0-0", "0-1", "0-1", "1-0"]
    assert train["source"][0] == "multirc question: why? answer: answer 0 paragraph: Sent 1: Story."


def test_mrqa_asks_the_hub_for_its_subset_only(monkeypatch):
    calls, bench = [], BENCHMARKS["mrqa/squad"]
    monkeypatch.setattr("datasets.load_dataset", stand_in(HUB["mrqa/squad"], calls, bench))
    load_task("mrqa/squad")
    assert all(call[3]["filters"] == [("subset", "==", "SQuAD")] for call in calls)


def test_a_repository_that_is_still_a_script_is_read_from_its_parquet_copy(monkeypatch):
    calls, bench = [], BENCHMARKS["glue/rte"]
    plain = stand_in(HUB["glue/rte"], calls, bench)

    def load_dataset(*args, **options):
        if "revision" not in options:
            raise RuntimeError("Dataset scripts are no longer supported, but found glue.py")
        return plain(*args, **options)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    assert load_task("glue/rte").sizes["train"] == 10
    assert {call[3]["revision"] for call in calls} == {"refs/convert/parquet"}


def test_no_hub_is_one_sentence_that_names_the_way_out(monkeypatch, capfd):
    def load_dataset(*args, **options):
        raise ConnectionError("Couldn't reach the Hub\nand a page of details")

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    with pytest.raises(DataError) as caught:
        load_task("glue/rte")
    message = str(caught.value)
    assert "glue/rte" in message and "nyu-mll/glue/rte" in message and "data_dir=" in message
    assert "Couldn't reach the Hub" in message and "\n" not in message
    assert capfd.readouterr() == ("", "")


def test_bars_are_off_during_the_download_and_as_before_afterwards(monkeypatch):
    import datasets

    seen, plain = [], stand_in(HUB["glue/rte"], [], BENCHMARKS["glue/rte"])

    def load_dataset(*args, **options):
        seen.append(datasets.are_progress_bars_disabled())
        return plain(*args, **options)

    monkeypatch.setattr("datasets.load_dataset", load_dataset)
    before = datasets.are_progress_bars_disabled()
    load_task("glue/rte")
    assert seen == [True, True] and datasets.are_progress_bars_disabled() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": -1}, "row 3: unknown label -1"),  # an unlabelled row, as in GLUE's test sets
        ({"sentence1": None}, "row 3: column 'sentence1' holds None"),
    ],
)
def test_rows_of_the_hub_are_named_too(change, message, monkeypatch):
    def row(i):
        return {**HUB["glue/rte"](i), **(change if i == 2 else {})}

    monkeypatch.setattr("datasets.load_dataset", stand_in(row, [], BENCHMARKS["glue/rte"]))
    with pytest.raises(DataError, match=f"hub nyu-mll/glue/rte, train, {message}"):
        load_task("glue/rte")


def test_the_wrong_name_is_answered_with_the_right_one():
    with pytest.raises(PHAError, match="did you mean 'superglue/boolq'"):
        load_benchmark("superglue/bolq")


# -- the real files ------------------------------------------------------------------------------


@needs_real
@pytest.mark.parametrize(
    ("name", "sizes", "source", "target"),
    [
        ("glue/cola", (8551, 522, 521), "cola sentence: Our friends won't buy this", "acceptable"),
        ("glue/stsb", (5749, 750, 750), "stsb sentence1: A plane is taking off.", "5.0"),
        ("glue/rte", (2490, 138, 139), "rte sentence1: No Weapons of Mass", "not_entailment"),
        ("glue/wnli", (635, 36, 35), "wnli sentence1: I stuck a pin through", "entailment"),
        ("superglue/cb", (250, 28, 28), "cb hypothesis: the language was peeled", "entailment"),
        ("superglue/copa", (400, 50, 50), "copa choice1: The sun was rising.", "choice1"),
        ("superglue/wsc", (554, 52, 52), "wsc text: *Mark* told Pete many", "False"),
        ("textcls/sst5", (8544, 1101, 2210), "sst5 sentence: a stirring , funny", "great"),
        ("textcls/trec", (4907, 545, 500), "trec question: How did serfdom", "description"),
    ],
)
def test_real_files(name, sizes, source, target):
    task = load_task(name, data_dir=REAL)
    assert tuple(task.sizes.values()) == sizes
    assert task["train"][0]["source"].startswith(source)
    assert task["train"][0]["target"] == target
    if task.labels:
        assert {t for part in task.splits for t in task[part]["target"]} == set(task.labels)


@needs_real
@pytest.mark.parametrize("name", ["glue/qnli", "superglue/boolq", "scitail"])
def test_real_sets_of_which_only_a_part_is_there(name):
    with pytest.raises(DataError, match="has no train file.*partial=True"):
        load_task(name, data_dir=REAL)
    task = load_task(name, data_dir=REAL, partial=True)
    assert "train" not in task.splits and task.sizes["test"] > 1000


@needs_real
def test_real_spans_of_wsc_are_marked_once_each():
    task = load_task("superglue/wsc", data_dir=REAL)
    for part in task.splits:
        assert all(s.count("*") == s.count("#") == 2 for s in task[part]["source"])
