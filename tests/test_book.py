"""The book's sources, what is generated from them, its figures and the repository around it."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import load

from pha_lite import _book, plots
from pha_lite.errors import PHAError

ROOT = Path(__file__).resolve().parent.parent
CHAPTERS = sorted((ROOT / "book" / "chapters").glob("*.py"))
MARKDOWN = sorted((ROOT / "book").glob("*.md"))

for module in ("jupytext", "yaml", "pybtex", "nbformat"):
    pytest.importorskip(module, reason="the book's tools are not installed: pip install .[book]")


flatten = load("flatten", ROOT / "tools" / "flatten.py")
notebooks = load("notebooks", ROOT / "tools" / "notebooks.py")
pictures = load("pictures", ROOT / "tools" / "pictures.py")
PAGE = flatten.Page(
    folder="book/chapters",
    blob="https://example.org/blob/v1",
    raw="https://example.org/raw/v1",
    notebook="https://example.org/colab",
    works={"zhao": ("Zhao (2023)", "Zhao, 2023", "https://example.org/zhao")},
)


def cells(path: Path, kind: str) -> list[str]:
    return [c.source for c in notebooks.read(path).cells if c.cell_type == kind]


def colab(path: Path) -> dict:
    return json.loads((ROOT / "book" / "colab" / f"{path.stem}.ipynb").read_text())


each_chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda p: p.stem)


# --- generated files ------------------------------------------------------------------------------


def test_notebooks_match_their_sources():
    assert notebooks.problems() == []


def test_pictures_match_their_script():
    for name, svg in pictures.pictures().items():
        assert (ROOT / name).read_text(encoding="utf-8") == svg, f"{name}: run make sync"


def test_check_finds_an_edited_notebook(tmp_path, monkeypatch):
    (tmp_path / "book" / "chapters").mkdir(parents=True)
    source = tmp_path / "book" / "chapters" / "one.py"
    source.write_text("# %% [markdown]\n# # One\n\n# %%\n1 + 1\n")
    for name in ("_config.yml", "book/references.bib"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    assert notebooks.main(["check"]) == 1, "nothing is generated yet"
    assert notebooks.main(["sync"]) == 0
    assert notebooks.main(["check"]) == 0
    made = source.with_suffix(".ipynb")
    made.write_text(made.read_text().replace("1 + 1", "1 + 2"))
    assert notebooks.main(["check"]) == 1
    assert notebooks.main(["sync"]) == 0
    (made.parent / "two.ipynb").write_text("{}")
    assert any("has no source" in line for line in notebooks.problems())


@pytest.mark.parametrize("folder", ["chapters", "colab"])
def test_notebooks_carry_no_outputs(folder):
    for path in (ROOT / "book" / folder).glob("*.ipynb"):
        for cell in json.loads(path.read_text())["cells"]:
            assert not cell.get("outputs") and cell.get("execution_count") is None, path.name


# --- Colab copies ---------------------------------------------------------------------------------


@each_chapter
def test_no_myst_in_the_colab_copy(path):
    for cell in colab(path)["cells"]:
        if cell["cell_type"] == "markdown":
            assert flatten.leaks("".join(cell["source"])) == []


@each_chapter
def test_colab_links_lead_to_files_of_the_repository(path):
    home = notebooks.home()
    text = json.dumps(colab(path))
    own = re.findall(rf"(?:{re.escape(home.blob)}|{re.escape(home.raw)})/([^)#\"\\\s]+)", text)
    pictures = any("{figure}" in text for text in cells(path, "markdown"))
    assert own or not pictures, "the chapter's picture is linked"
    for name in own:
        assert (ROOT / name).is_file(), name


@each_chapter
def test_first_code_cell_installs_from_the_one_setting(path):
    home = notebooks.home()
    first = next(c for c in colab(path)["cells"] if c["cell_type"] == "code")
    assert f'"git+{home.url}@{home.tag}"' in "".join(first["source"])
    for text in (p.read_text() for p in CHAPTERS):
        assert home.url not in text, "a source names the repository: only _config.yml may"


def run_install(source: str, monkeypatch, colab: bool, present: bool, code: int = 0) -> list:
    calls = []

    def pip(command, **_):
        calls.append(command)
        return subprocess.CompletedProcess(command, code, b"", b"no route to host")

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if present else None)
    if colab:
        monkeypatch.setitem(sys.modules, "google.colab", object())
    exec(compile(source, "install", "exec"), {})
    return calls


def test_install_cell(monkeypatch):
    source = notebooks.INSTALL.format(wanted='{"pha_lite": "git+https://example.org@v1"}')
    assert run_install(source, monkeypatch, colab=False, present=False) == []
    assert run_install(source, monkeypatch, colab=True, present=True) == []
    (call,) = run_install(source, monkeypatch, colab=True, present=False)
    assert call[-2:] == ["--no-deps", "git+https://example.org@v1"]
    with pytest.raises(SystemExit, match="No network"):
        run_install(source, monkeypatch, colab=True, present=False, code=1)


FLAT = {
    "```{tip}\nLook.\n```": "> **Tip**\n>\n> Look.",
    "```{admonition} Predict first\n:class: tip\nGuess.\n```": "> **Predict first**\n>\n> Guess.",
    "```{note} Short.\n```": "> **Note**\n>\n> Short.",
    ":::{warning}\nHot.\n:::": "> **Warning**\n>\n> Hot.",
    "```{math}\na = b\n```": "$$\na = b\n$$",
    "```{math}\n:label: one\na = b\n```\nSee {eq}`one`.": "$$\na = b\n\\tag{1}\n$$\nSee (1).",
    "```{prf:algorithm} Find it\n:label: find\n\n1. Look.\n```": (
        "> **Algorithm: Find it**\n>\n> 1. Look."
    ),
    "```{dropdown} More\nText.\n```": (
        "<details>\n<summary><b>More</b></summary>\n\nText.\n\n</details>"
    ),
    "````{exercise} Why?\n:label: why\n\nSay why.\n````": "### Exercise 1: Why?\n\nSay why.",
    "````{solution} why\n:class: dropdown\n\n```python\nx = 1\n```\n````": (
        "<details>\n<summary><b>Solution</b></summary>\n\n```python\nx = 1\n```\n\n</details>"
    ),
    "```{figure} ../figures/a.svg\n:alt: A dot\n:name: fig-a\n\nOne *dot*.\n```": (
        "![A dot](https://example.org/raw/v1/book/figures/a.svg)\n\n*One *dot*.*"
    ),
    "(label-here)=\n# Title": "# Title",
    "by {cite:t}`zhao`": "by [Zhao (2023)](https://example.org/zhao)",
    "PHA {cite}`zhao`": "PHA ([Zhao, 2023](https://example.org/zhao))",
    "see {ref}`that part <that>`": "see that part",
    "see {doc}`two <two>`": "see [two](https://example.org/colab/two.ipynb)",
    "[front](../intro)": "[front](https://example.org/blob/v1/book/intro.md)",
    "[two](two.ipynb)": "[two](https://example.org/colab/two.ipynb)",
    "[out](https://example.org/x)": "[out](https://example.org/x)",
    "`d[0](a)` and [part](#part)": "`d[0](a)` and [part](#part)",
    "```python\n(x)=\n```": "```python\n(x)=\n```",
}


@pytest.mark.parametrize("myst", FLAT, ids=range(len(FLAT)))
def test_flatten(myst):
    assert flatten.flatten(myst, PAGE) == FLAT[myst]


@pytest.mark.parametrize(
    "myst",
    [
        "```{magic}\nx\n```",
        "{glow}`x`",
        "{cite}`nobody2020`",
        "{ref}`bare-label`",
        "{eq}`not-above`",
        "```{tip}\nnever closed",
        "```python\nnever closed",
    ],
)
def test_flatten_refuses_what_it_cannot_say(myst):
    with pytest.raises(flatten.LeakError):
        flatten.flatten(myst, PAGE)


@pytest.mark.parametrize(
    "myst", ["```{tip}\nx\n```", ":::{tip}\nx\n:::", "{term}`x`", "(a)=", "+++", ":alt: x", "[](x)"]
)
def test_leaks_are_found(myst):
    assert flatten.leaks(f"text\n\n{myst}\n")
    assert not flatten.leaks("plain *text*, `code`, $x$ and [a](b)\n\n```python\nx = {1}\n```")


def test_exercises_are_numbered_through_a_chapter():
    counter = {}
    for number in (1, 2):
        out = flatten.flatten("```{exercise}\n:label: a\nDo.\n```", PAGE, counter)
        assert out.startswith(f"### Exercise {number}\n")


# --- how chapters are written ---------------------------------------------------------------------


@each_chapter
def test_code_fits_the_page(path):
    for source in cells(path, "code"):
        lines = source.split("\n")
        assert len(lines) <= 25, lines[0]
        assert max(map(len, lines)) <= 72, max(lines, key=len)


@each_chapter
def test_seed_is_set_and_shown(path):
    code = "\n".join(cells(path, "code"))
    assert re.search(r"^SEED = \d+$", code, re.MULTILINE) and "seed {SEED}" in code


@each_chapter
def test_exercise_and_solution_share_a_cell(path):
    found = 0
    for source in cells(path, "markdown"):
        labels = re.findall(r"\{exercise\}.*\n(?:# )?:label: (\S+)", source)
        solutions = re.findall(r"\{solution\} (\S+)\n:class: dropdown", source)
        assert labels == solutions
        found += len(labels)
    assert found >= 3


@each_chapter
def test_code_in_solutions_fits_the_page(path):
    for text in cells(path, "markdown"):
        for code in re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
            assert max(map(len, code.split("\n"))) <= 72


@pytest.mark.parametrize("path", [*CHAPTERS, *MARKDOWN], ids=lambda p: p.stem)
def test_still_pictures_have_alternative_text_and_exist(path):
    texts = cells(path, "markdown") if path.suffix == ".py" else [path.read_text()]
    for text in texts:
        for name, options in re.findall(r"\{(?:figure|image)\} (\S+)\n((?::.*\n)*)", text):
            assert (path.parent / name).is_file(), name
            alt = re.search(r":alt: (.+)", options)
            assert alt and len(alt[1]) > 40, f"{name} needs an alternative text"
        assert "![](" not in text


@pytest.mark.parametrize("path", [*CHAPTERS, *MARKDOWN], ids=lambda p: p.stem)
def test_citations_are_in_the_bibliography(path):
    keys = re.findall(r"\{cite[:\w]*\}`([^`]+)`", path.read_text())
    assert {k.strip() for key in keys for k in key.split(",")} <= set(notebooks.works())


# --- figures --------------------------------------------------------------------------------------

TASKS = ["mood/inn", "mood/farm", "truth/inn", "truth/farm"]


def make(name: str):
    rng = np.random.default_rng(0)
    frames = [rng.normal(size=(8, 5)) for _ in range(3)]
    stars = [rng.normal(size=(4, 5)) for _ in range(3)]
    history = [
        {"step": s, "lm_loss": 2 / s, "ir_loss": 1 / s, "pro_loss": -0.1 * s} for s in range(1, 5)
    ]
    words = {"title": "A title", "alt": "What it shows"}
    if name == "space_slider":
        more = {"prototypes": stars, "prototype_tasks": TASKS}
        return plots.space_slider(frames, TASKS * 2, [0, 10, 20], **more, **words)
    if name == "retrieval_bars":
        return plots.retrieval_bars([("truth/inn", 0.9), ("mood/inn", -0.2)], TASKS, **words)
    if name == "intervals":
        series = {"retrieved": (80.0, 75.0, 85.0), "fresh": (50.0, 45.0, 55.0)}
        return plots.intervals({"before": series, "after": series}, chance=50, **words)
    if name == "lines":
        curves = {"PHA": {4: (70.0, 60.0, 80.0), 16: (80.0, 75.0, 85.0)}, "one": {4: (50.0,)}}
        return plots.lines(curves, xtitle="examples", chance=50, log=True, **words)
    if name == "heatmap":
        axes = {"xtitle": "key", "ytitle": "query", "unit": "weight"}
        return plots.heatmap([[0.1, 0.9], [0.5, 0.5]], ["a", "a"], ["b", "b"], **axes, **words)
    if name == "finish":
        return plots.finish(plots.losses(history, **words), **words)
    return plots.losses(history, **words)


FIGURES = ["space_slider", "retrieval_bars", "intervals", "losses", "lines", "heatmap", "finish"]


@pytest.mark.parametrize("name", FIGURES)
def test_figures_have_title_units_and_alternative_text(name):
    fig = make(name)
    assert fig.layout.title.text == "A title"
    assert fig.layout.meta["alt"] == "What it shows"
    axes = [fig.layout[key] for key in fig.layout if key.startswith("xaxis")]
    assert any(axis.title.text for axis in axes)
    for argument in ("title", "alt"):
        assert (
            inspect.signature(getattr(plots, name)).parameters[argument].default is inspect._empty
        )


@pytest.mark.parametrize("name", FIGURES)
def test_pages_show_figures_without_the_network(name):
    html = _book.figure_html(json.loads(make(name).to_json()))
    assert 'role="figure" aria-label="What it shows"' in html
    assert 'class="plotly-graph-div"' in html
    assert "cdn" not in html and "<script src" not in html


def test_a_figure_without_alternative_text_is_refused():
    fig = json.loads(make("losses").to_json())
    del fig["layout"]["meta"]
    with pytest.raises(ValueError, match="alternative text"):
        _book.figure_html(fig)
    with pytest.raises(PHAError, match="alt is empty"):
        plots.describe(make("losses"), "  ")


def test_every_figure_function_is_tested():
    public = {
        name
        for name, thing in inspect.getmembers(plots, inspect.isfunction)
        if not name.startswith("_") and "title" in inspect.signature(thing).parameters
    }
    assert public == set(FIGURES)


def test_slider_moves_every_point_of_every_frame():
    fig = make("space_slider")
    assert [frame.name for frame in fig.frames] == ["0", "10", "20"]
    assert [step.label for step in fig.layout.sliders[0].steps] == ["0", "10", "20"]
    for frame in fig.frames:
        assert sum(len(trace.x) for trace in frame.data) == 8 + 4
        for place, trace in zip(frame.traces, frame.data, strict=True):
            assert len(fig.data[place].x) == len(trace.x)


def test_one_projection_serves_all_frames():
    rng = np.random.default_rng(1)
    one, two = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    two[2] = 3 * one[2]  # the same direction: only length differs, and rows are normalised
    first, second = plots.project([one, two])
    assert np.allclose(first[2], second[2])
    assert not np.allclose(first[3], second[3])


def test_slider_refuses_lengths_that_do_not_fit():
    frames = [np.ones((4, 3)), np.ones((4, 3))]
    with pytest.raises(PHAError, match="one step per frame"):
        plots.space_slider(frames, TASKS, [0], title="t", alt="a")
    with pytest.raises(PHAError, match="prototypes"):
        plots.space_slider(
            frames, TASKS, [0, 1], prototypes=frames, prototype_tasks=["a"], title="t", alt="a"
        )


def test_intervals_end_where_scores_do():
    fig = plots.intervals({"a": {"x": (96.0, 60.0, 132.0)}}, title="t", alt="a")
    bar = fig.data[0].error_x
    assert (list(bar.arrayminus), list(bar.array)) == ([36.0], [4.0])


def test_a_curve_without_an_interval_has_no_band():
    fig = make("lines")
    assert [trace.fill for trace in fig.data] == ["toself", None, None]
    assert list(fig.layout.xaxis.tickvals) == [4, 16]


def test_heatmap_keeps_equal_labels_apart_and_refuses_missing_ones():
    fig = make("heatmap")
    assert list(fig.layout.xaxis.ticktext) == ["b", "b"]
    assert np.asarray(fig.data[0].z).shape == (2, 2)
    with pytest.raises(PHAError, match="one label per row"):
        axes = {"xtitle": "x", "ytitle": "y", "unit": "u", "title": "t", "alt": "a"}
        plots.heatmap([[1.0]], ["a", "b"], ["c"], **axes)


def test_a_rule_has_one_colour_in_every_figure():
    bars = {trace.name: trace.marker.color for trace in make("retrieval_bars").data}
    points = {trace.name: trace.marker.color for trace in make("space_slider").data}
    assert bars and all(points[name] == colour for name, colour in bars.items())


def test_colours_tell_rules_apart_and_symbols_surfaces():
    assert plots.colours(TASKS) == {"mood": plots.PALETTE[0], "truth": plots.PALETTE[1]}
    assert len(set(plots.symbols(TASKS).values())) == 2
    assert len(set(plots.PALETTE)) == len(plots.PALETTE)


# --- the repository -------------------------------------------------------------------------------


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_tag_is_the_version():
    version = project()["project"]["version"]
    assert notebooks.home().tag == f"v{version}"
    assert f"version: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert notebooks.home().url in (ROOT / "CITATION.cff").read_text()


def test_config_names_what_exists():
    import yaml

    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    book = ROOT / config["repository"]["path_to_book"]
    sphinx = config["sphinx"]["config"]
    assert config["launch_buttons"]["colab_url"]
    files = [config["logo"], config["html"]["favicon"], *config["bibtex_bibfiles"]]
    files += [f"assets/{name}" for name in sphinx["html_css_files"]]
    files += [f"assets/{name}" for name, _ in sphinx["html_js_files"]]
    files += list(sphinx["nb_ipywidgets_js"])
    for name in files:
        assert (book / name).is_file(), name
    toc = yaml.safe_load((book / "_toc.yml").read_text())
    pages = [toc["root"], *(e["file"] for part in toc["parts"] for e in part["chapters"])]
    for page in pages:
        assert any((book / f"{page}{end}").is_file() for end in (".md", ".ipynb")), page
    assert {f"chapters/{p.stem}" for p in CHAPTERS} <= set(pages)


def test_the_wheel_lists_every_package_and_every_file_of_data():
    tool = project()["tool"]["setuptools"]
    folders = {p.parent for p in (ROOT / "pha_lite").rglob("*.py")}
    assert {".".join(f.relative_to(ROOT).parts) for f in folders} <= set(tool["packages"])
    patterns = tool["package-data"]["pha_lite.data"]
    carried = {p for pattern in patterns for p in (ROOT / "data").glob(pattern)}
    files = {p for p in (ROOT / "data").rglob("*") if p.is_file()}
    assert files <= carried, f"not in the wheel: {sorted(f.name for f in files - carried)}"


def test_pins_are_exact_and_cover_what_the_package_needs():
    lines = (ROOT / "requirements.txt").read_text().split("\n")
    pins = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins.values())
    for need in project()["project"]["dependencies"]:
        name, bound = need.split(">=")
        assert name in pins, need
        assert "<" not in bound, f"{need}: no upper bounds, they downgrade Colab"


def test_cache_digest_follows_the_code(tmp_path, monkeypatch):
    pytest.importorskip("sphinx", reason="sphinx is not installed: pip install .[book]")
    assets = load("book_assets", ROOT / "book" / "_ext" / "book_assets.py")
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    (tmp_path / "pha_lite").mkdir()
    (tmp_path / "data").mkdir()
    code, card = tmp_path / "pha_lite" / "one.py", tmp_path / "data" / "README.md"
    code.write_text("x = 1")
    first = assets.digest()
    card.write_text("words")
    assert assets.digest() == first, "a card is no code"
    code.write_text("x = 2")
    second = assets.digest()
    (tmp_path / "data" / "weights.safetensors").write_bytes(b"1")
    assert len({first, second, assets.digest()}) == 3


def test_a_change_in_the_code_drops_the_execution_cache(tmp_path, monkeypatch):
    pytest.importorskip("sphinx", reason="sphinx is not installed: pip install .[book]")
    assets = load("book_assets", ROOT / "book" / "_ext" / "book_assets.py")
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    build, code = tmp_path / "_build", tmp_path / "pha_lite" / "one.py"
    code.parent.mkdir()
    code.write_text("x = 1")
    app = SimpleNamespace(
        outdir=str(build / "html"), config=SimpleNamespace(nb_execution_cache_path="")
    )
    cache = build / ".jupyter_cache"

    def build_again() -> bool:
        cache.mkdir(parents=True, exist_ok=True)
        assets.drop_stale_cache(app)
        kept = cache.is_dir()
        assets.stamp(app).write_text(app.pha_digest)
        return kept

    assert not build_again(), "a cache without a digest may be of any age"
    assert build_again()
    code.write_text("x = 2")
    assert not build_again()
    env = SimpleNamespace(found_docs={"a"})
    assert assets.read_all_again(app, env, set(), set(), set()) == {"a"}


def test_pages_that_were_not_run_spoil_no_later_build(tmp_path, monkeypatch):
    pytest.importorskip("sphinx", reason="sphinx is not installed: pip install .[book]")
    assets = load("book_assets", ROOT / "book" / "_ext" / "book_assets.py")
    monkeypatch.setattr(assets, "ROOT", tmp_path)
    monkeypatch.setattr(assets, "copy_vendored", lambda app: None)
    code = tmp_path / "pha_lite" / "one.py"
    code.parent.mkdir()
    code.write_text("x = 1")
    config = SimpleNamespace(nb_execution_cache_path="", nb_execution_mode="cache")
    html = SimpleNamespace(format="html")
    app = SimpleNamespace(
        outdir=str(tmp_path / "_build" / "html"), config=config, builder=html, _warncount=0
    )
    cache = tmp_path / "_build" / ".jupyter_cache"
    cache.mkdir(parents=True)

    def build(run: bool) -> tuple[bool, bool, str]:
        """Reads all pages again? Is the cache kept? Which mode?"""
        config.nb_execution_mode = "cache"
        monkeypatch.setenv("PHA_BOOK_RUN", "yes" if run else "no")
        assets.leave_chapters(app, config)
        assets.drop_stale_cache(app)
        kept = cache.is_dir()
        cache.mkdir(exist_ok=True)
        assets.finish(app, None)
        return app.pha_changed, kept, config.nb_execution_mode

    build(True)
    assert build(True) == (False, True, "cache")
    assert build(False) == (True, True, "off")
    assert build(True) == (True, True, "cache"), "pages read anew, from what was run before"
    assert build(True) == (False, True, "cache")
    build(False)
    code.write_text("x = 2")
    assert build(False) == (True, True, "off")
    assert build(True) == (True, False, "cache"), "the code has changed since it was run"
