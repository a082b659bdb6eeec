"""Look at the built pages as a reader would: light and dark, on a desk and on a phone.

    python tools/look.py FOLDER [--site _build/html] [--pages intro chapters/ten_minutes]

Writes a picture of each page and mode into FOLDER and lists what a page failed to load, what it
asked of the network, errors of its scripts, and content wider than the screen. Ends with 1 if
there is any. Needs a chromium on the PATH and playwright, which otter-grader brings along.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

WIDTHS = {"desk": (1280, 900), "phone": (390, 844)}
DRAWN = """() => [...document.querySelectorAll(".plotly-graph-div")]
  .every(div => div.classList.contains("js-plotly-plot") && div._fullLayout)"""
WIDER = """() => document.documentElement.scrollWidth - document.documentElement.clientWidth"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def serve(site: Path) -> http.server.ThreadingHTTPServer:
    handler = functools.partial(Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def pages_of(site: Path) -> list[str]:
    skip = {"index", "genindex", "search", "prf-prf"}
    names = (p.relative_to(site).with_suffix("").as_posix() for p in site.rglob("*.html"))
    return sorted(n for n in names if n not in skip and not n.startswith(("_", "reports/")))


def settle(page) -> None:
    """Wait until every figure is drawn and the page stops growing."""
    page.wait_for_function(DRAWN)
    height = -1
    while height != (now := page.evaluate("document.documentElement.scrollHeight")):
        height = now
        page.wait_for_timeout(700)


def look(site: Path, pages: list[str], folder: Path) -> list[str]:
    from playwright.sync_api import sync_playwright

    server, found = serve(site), []
    home = f"http://127.0.0.1:{server.server_port}"
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        for theme in ("light", "dark"):
            for name, (width, height) in WIDTHS.items():
                context = browser.new_context(viewport={"width": width, "height": height})
                context.add_init_script(
                    f"localStorage.setItem('mode','{theme}');"
                    f"localStorage.setItem('theme','{theme}')"
                )
                for page_name in pages:
                    where, page = f"{page_name} ({theme}, {name})", context.new_page()

                    def note(kind, text, where=where):
                        found.append(f"{where}: {kind}: {text}")

                    def asked(request, note=note):
                        if not request.url.startswith((home, "data:", "blob:")):
                            note("asks the network", request.url)

                    def answered(response, note=note):
                        if response.status >= 400:
                            note(f"status {response.status}", response.url)

                    page.on("request", asked)
                    page.on("response", answered)
                    page.on("requestfailed", lambda r, note=note: note("failed", r.url))
                    page.on("pageerror", lambda e, note=note: note("script error", e))
                    page.on(
                        "console",
                        lambda m, note=note: m.type == "error" and note("console", m.text),
                    )
                    page.goto(f"{home}/{page_name}.html", wait_until="networkidle")
                    settle(page)
                    if (over := page.evaluate(WIDER)) > 1:
                        note("wider than the screen by", f"{over} px")
                    stem = page_name.replace("/", "-")
                    page.screenshot(path=folder / f"{stem}-{theme}-{name}.png", full_page=True)
                    page.close()
                context.close()
        browser.close()
    server.shutdown()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument("--site", type=Path, default=Path("_build/html"))
    parser.add_argument("--pages", nargs="*", help="default: all")
    args = parser.parse_args()
    if not (args.site / "index.html").is_file():
        parser.error(f"no built book in {args.site}: run make book first")
    args.folder.mkdir(parents=True, exist_ok=True)
    found = look(args.site, args.pages or pages_of(args.site), args.folder)
    print("\n".join(found) or "nothing failed, nothing asked of the network, nothing too wide")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
