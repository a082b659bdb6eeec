"""What the pages need to work with no internet, and a cache that notices the code it ran.

- plotly.min.js from the installed package, on pages with a figure only;
- MathJax from sphinx-mathjax-offline; ipywidgets' html-manager from book/vendor;
- launch buttons that open a chapter's Colab copy;
- a digest of pha_lite/ and data/: when it changes, every page is executed again;
- with PHA_BOOK_RUN=no in the environment (`make pages`) no chapter is run: text without outputs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
from pathlib import Path

from sphinx.util import logging
from sphinx.util.fileutil import copy_asset

LOG = logging.getLogger(__name__)
ROOT = Path(__file__).resolve().parents[2]
FIGURE = 'class="plotly-graph-div"'
# The SVG output needs no font files, and Plotly draws its own TeX labels with it.
MATHJAX = ("tex-svg.js", "input/tex/extensions")
# What a chapter's outputs depend on beside its own cells.
UNREAD = "pages-without-outputs"
CODE = ("pha_lite/**/*.py", "data/**/*", "requirements.txt")


def package(name: str) -> Path:
    return Path(
        importlib.util.find_spec(name).submodule_search_locations[0]
    )


def digest() -> str:
    """One hash over the names and bytes of all that the chapters import and read."""
    paths = {
        p for pattern in CODE for p in ROOT.glob(pattern) if p.is_file()
    }
    total = hashlib.sha256()
    for path in sorted(paths):
        if path.suffix == ".md" or "__pycache__" in path.parts:
            continue
        total.update(path.relative_to(ROOT).as_posix().encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def not_run() -> bool:
    return os.environ.get("PHA_BOOK_RUN") == "no"


def leave_chapters(app, config) -> None:
    if not_run():
        config.nb_execution_mode = "off"


def stamp(app) -> Path:
    return Path(app.outdir).parent / "pha_digest"


def drop_stale_cache(app) -> None:
    """The execution cache looks at cells only; forget it when the code behind them changed."""
    app.pha_digest = digest()
    mark = stamp(app)
    known = mark.read_text().split() if mark.is_file() else [""]
    valid = known[0] == app.pha_digest
    app.pha_changed = not_run() or known != [app.pha_digest]
    if not_run():
        if valid:  # the next whole build reads all pages again, and what was run before serves it
            mark.write_text(f"{app.pha_digest} {UNREAD}")
    elif not valid:
        cache = Path(
            app.config.nb_execution_cache_path
            or mark.with_name(".jupyter_cache")  # myst-nb's default
        )
        if cache.is_dir():
            LOG.info(
                "pha_lite or data changed: the execution cache is dropped"
            )
            shutil.rmtree(cache)
        mark.unlink(missing_ok=True)


def read_all_again(app, env, added, changed, removed):
    return env.found_docs if app.pha_changed else []


def on_page(app, pagename, templatename, context, doctree) -> None:
    if FIGURE in (context.get("body") or ""):
        app.add_js_file("vendor/plotly.min.js", priority=100)
    # sphinx-thebe adds its inline script twice; the second one is a syntax error.
    seen, keep = set(), []
    for script in context.get("script_files", []):
        body = getattr(script, "attributes", {}).get("body")
        if body is None or body not in seen:
            keep.append(script)
        seen.add(body)
    context["script_files"] = keep
    # The book's page and the notebook for Colab are two files: the button opens the second.
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button.get("text") == "Colab":
                folder, _, name = button["url"].rpartition("/")
                button["url"] = (
                    f"{folder.rpartition('/')[0]}/colab/{name}"
                )


def copy_vendored(app) -> None:
    static = Path(app.outdir) / "_static" / "vendor"
    static.mkdir(parents=True, exist_ok=True)
    copy_asset(
        str(package("plotly") / "package_data" / "plotly.min.js"),
        str(static),
    )
    mathjax = package("sphinx-mathjax-offline") / "static" / "mathjax"
    for part in MATHJAX:
        target = (
            static
            / "mathjax"
            / (part if (mathjax / part).is_dir() else "")
        )
        copy_asset(str(mathjax / part), str(target))
    copy_asset(
        str(Path(app.srcdir) / "vendor" / "html-manager"),
        str(static / "html-manager"),
    )


def finish(app, problem) -> None:
    if problem is not None or app.builder.format != "html":
        return
    copy_vendored(app)
    # After a warning the next build starts afresh: a page read with a
    # failed cell would otherwise pass the second time.
    if not app._warncount and not not_run():
        stamp(app).write_text(app.pha_digest)


def setup(app):
    # The kernels that run the chapters inherit these: no bars, and figures as plain JSON.
    for name in (
        "HF_HUB_DISABLE_PROGRESS_BARS",
        "HF_DATASETS_DISABLE_PROGRESS_BARS",
    ):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("PLOTLY_RENDERER", "plotly_mimetype")
    app.connect("config-inited", leave_chapters)
    app.connect("builder-inited", drop_stale_cache)
    app.connect("env-get-outdated", read_all_again)
    app.connect("html-page-context", on_page, priority=900)
    app.connect("build-finished", finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
