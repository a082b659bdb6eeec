"""Notebooks for Colab alone: their code runs here on a small random T5 and on local files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from conftest import load, make_t5, make_tokenizer
from layouts import LAYOUTS
from test_chapters import pieces, quickened, read

pytest.importorskip("pybtex", reason="the book's tools are not installed: pip install .[book]")
ROOT = Path(__file__).resolve().parent.parent
load("flatten", ROOT / "tools" / "flatten.py")
notebooks = load("notebooks", ROOT / "tools" / "notebooks.py")
each = pytest.mark.parametrize("path", notebooks.colab_only(), ids=lambda p: p.stem)


@each
def test_the_code_runs_with_a_stand_in_for_the_hub(path, tmp_path, monkeypatch, capsys):
    """Only its constants and where the data come from differ; conftest keeps the hub away."""
    make_t5().save_pretrained(tmp_path / "t5")
    make_tokenizer().save_pretrained(tmp_path / "t5")
    for name in ("glue/cola", "glue/sst2", "glue/rte", "superglue/cb"):
        LAYOUTS[name][0](tmp_path / "data")
    monkeypatch.setenv("PHA_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    quick = read(path).metadata["pha"]["quick"] | {"BACKBONE": str(tmp_path / "t5")}
    space, replaced = {"__name__": "__main__"}, set()
    for what, code in pieces(path):
        source, done = quickened(code, quick)
        replaced |= done
        exec(compile(source, what, "exec"), space)
    assert replaced == set(quick), "the header names constants that no cell sets"
    text = capsys.readouterr().out
    assert re.search(r"glue/rte +\d\.\d+ +\d\.\d+", text) and "This took" in text


@each
def test_what_it_names_exists_and_what_was_not_measured_is_said(path):
    from pha_lite.benchmarks import BENCHMARKS

    text = path.read_text(encoding="utf-8")
    (backbone,) = re.findall(r'^BACKBONE = "(.+)"$', text, re.MULTILINE)
    assert backbone == "google-t5/t5-small"
    assert set(re.findall(r'"((?:super)?glue/\w+)"', text)) <= set(BENCHMARKS)
    assert "On a CPU: not measured. On a T4: not measured." in text.replace("\n# ", " ")


@each
def test_it_is_a_colab_copy_and_no_page(path):
    made = notebooks.products()
    assert ROOT / "book" / "colab" / f"{path.stem}.ipynb" in made
    assert path.with_suffix(".ipynb") not in made
    assert path.stem not in (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    for source in (c.source for c in notebooks.read(path).cells if c.cell_type == "code"):
        lines = source.split("\n")
        assert len(lines) <= 25 and max(map(len, lines)) <= 72, lines[0]
