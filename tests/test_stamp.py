"""One address: every copy is that of _config.yml, and every launch button opens what exists."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import load

ROOT = Path(__file__).resolve().parent.parent
for module in ("jupytext", "yaml", "pybtex", "nbformat"):
    pytest.importorskip(module, reason="the book's tools are not installed: pip install .[book]")

load("flatten", ROOT / "tools" / "flatten.py")
notebooks = load("notebooks", ROOT / "tools" / "notebooks.py")
stamp = load("stamp", ROOT / "tools" / "stamp.py")

HUB, RAW = "https://github.com", "https://raw.githubusercontent.com"
COLAB = "https://colab.research.google.com/github"
OURS, NEW = "ours/book", notebooks.Home(f"{HUB}/new/home", "v2.0")
OLD = notebooks.Home(f"{HUB}/{OURS}", "v1.0")


def copies(slug: str, tag: str) -> list[str]:
    """Every form in which an address may stand in a text."""
    return [
        f"repository-code: {HUB}/{slug}\n",
        f"Clone {HUB}/{slug}.git, or read {HUB}/{slug}.",
        f"git clone git@github.com:{slug}.git\n",
        f'"pha_lite": "git+{HUB}/{slug}@{tag}",\n',
        f"pip install git+{HUB}/{slug}@{tag}.",
        f"[a chapter]({HUB}/{slug}/blob/{tag}/book/chapters/adapters.py#part)",
        f"![one]({RAW}/{slug}/{tag}/book/figures/a.svg)",
        f"[open]({COLAB}/{slug}/blob/{tag}/book/colab/adapters.ipynb)",
        f"{HUB}/{slug}/archive/refs/tags/{tag}.zip and {HUB}/{slug}/issues",
    ]


def write(folder: Path, texts: list[str]) -> None:
    (folder / "book").mkdir()
    for number, text in enumerate(texts):
        name = "CITATION.cff" if number == 0 else f"book/{number}.md"
        (folder / name).write_text(text)


def test_every_address_in_the_repository_is_the_setting():
    assert stamp.problems() == []
    assert stamp.before() == notebooks.home().slug


def test_the_search_sees_the_copies_that_are_known():
    """It would be silent if it looked nowhere."""
    seen = {path.relative_to(ROOT).as_posix() for path, text in stamp.texts() if "github" in text}
    colab = {f"book/colab/{path.stem}.ipynb" for path in notebooks.sources()}
    assert {"CITATION.cff", *colab} <= seen


@pytest.mark.parametrize("place", range(len(copies(OURS, "v1.0"))))
def test_any_copy_that_differs_is_found(place, tmp_path):
    texts = copies(OURS, "v1.0")
    write(tmp_path, texts)
    assert stamp.problems(OLD, tmp_path) == []
    for wrong in (copies("ours/boook", "v1.0"), copies(OURS, "v1.1")):
        (tmp_path / "book" / "new.md").write_text(f"One line.\n{wrong[place]}")
        found = stamp.problems(OLD, tmp_path)
        assert bool(found) == (wrong[place] != texts[place])
        assert all(line.startswith("book/new.md:2 names") for line in found)


def test_sync_writes_the_new_setting_everywhere(tmp_path, monkeypatch):
    write(tmp_path, [*copies(OURS, "v1.0"), f"{HUB}/somebody/else/blob/main/x.py"])
    monkeypatch.setattr(stamp, "ROOT", tmp_path)
    monkeypatch.setattr(stamp, "home", lambda: NEW)
    monkeypatch.setattr(stamp.problems, "__defaults__", (None, tmp_path))
    monkeypatch.setattr(stamp.texts, "__defaults__", (tmp_path,))
    monkeypatch.setattr(stamp.before, "__defaults__", (tmp_path,))
    assert stamp.main(["--check"]) == 1
    assert stamp.main([]) == 1, "the foreign address is not ours to change, and not yet named"
    wanted = copies("new/home", "v2.0")
    names = ["CITATION.cff", *(f"book/{number}.md" for number in range(1, len(wanted)))]
    assert [(tmp_path / name).read_text() for name in names] == wanted
    assert "somebody/else/blob/main" in (tmp_path / f"book/{len(wanted)}.md").read_text()
    monkeypatch.setattr(stamp, "FOREIGN", ("somebody/else",))
    assert stamp.main(["--check"]) == 0


def test_binary_files_and_other_builds_are_left_alone(tmp_path):
    write(tmp_path, copies(OURS, "v1.0"))
    for name in ("_build/a.md", "book/vendor/a.js", ".git/a.md", "book/b.safetensors"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"{HUB}/who/knows".encode() + b"\xff")
    assert stamp.problems(OLD, tmp_path) == []


# --- launch buttons -------------------------------------------------------------------------------


def buttons(pages: list[str]) -> dict[str, str]:
    """Page -> where its Colab button leads: the theme's own code, on the configuration it gets."""
    config_of = pytest.importorskip("jupyter_book.config", reason="jupyter-book is not installed")
    from sphinx_book_theme.header_buttons import update_context_with_repository_info
    from sphinx_book_theme.header_buttons.launch import add_launch_buttons

    assets = load("book_assets", ROOT / "book" / "_ext" / "book_assets.py")
    final = config_of.get_final_config(
        user_yaml=ROOT / "_config.yml",
        sourcedir=ROOT / "book",
        cli_config={"latex_individualpages": False},
    )[0]

    class Config(SimpleNamespace):
        __getitem__ = SimpleNamespace.__getattribute__

    theme = final["html_theme_options"]
    config = Config(html_theme_options=theme, html_context=final.get("html_context", {}))
    env = SimpleNamespace(
        metadata={page: {"kernelspec": {}} for page in pages},
        doc2path=lambda page: str(ROOT / "book" / f"{page}.ipynb"),
    )
    builder = SimpleNamespace(theme_options=theme)
    app = SimpleNamespace(config=config, env=env, outdir="html", builder=builder)
    update_context_with_repository_info(app)
    found = {}
    for page in pages:
        context = {"pagename": page, "header_buttons": [], "sourcename": f"{page}.ipynb"}
        context |= {"page_source_suffix": ".ipynb", **config.html_context}
        add_launch_buttons(app, page, "page.html", context, None)
        assets.on_page(app, page, "page.html", context, None)
        (group,) = context["header_buttons"]
        (found[page],) = [b["url"] for b in group["buttons"] if b.get("text") == "Colab"]
    return found


def test_each_chapter_opens_its_own_colab_copy():
    where = notebooks.home()
    names = [path.stem for path in notebooks.sources()]
    for page, url in buttons([f"chapters/{name}" for name in names]).items():
        name = Path(page).name
        assert url == f"{where.colab}/{name}.ipynb"
        path = url.removeprefix(f"{COLAB}/{where.slug}/blob/{where.tag}/")
        assert (ROOT / path).is_file(), "the button opens a notebook that is not there"
        assert f'"name": "{name}.ipynb"' in (ROOT / path).read_text()
