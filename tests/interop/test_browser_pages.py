"""The pages of docs/browser.md, as they stand, in a real browser that loses its connection."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.browser import CuttingProxy, chromium
from tests.e2e.stack import Stack, eventually
from tests.interop.pages import GATEWAY, Pages, block

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]

ROOT = Path(__file__).parents[2]
TICKS = "".join(f"tick {n}\n" for n in range(1, 101))
PAGE = '<!doctype html><meta charset="utf-8"><title>reader</title><div id="root"></div>'


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page()
    yield page
    page.close()


@pytest.fixture
def proxy(stack: Stack) -> Iterator[CuttingProxy]:
    gateway = urlsplit(stack.url)
    proxy = CuttingProxy(gateway.hostname or "", gateway.port or 0)
    yield proxy
    proxy.close()


def bundled(source: str, directory: Path, *, kind: str) -> str:
    """Return `source` and all that it imports as one script, as an application's build makes it."""
    entry = directory / f"entry.{kind}"
    entry.write_text(source)
    built = subprocess.run(
        [
            str(ROOT / "node_modules/.bin/esbuild"), str(entry), "--bundle", "--format=esm",
            "--jsx=automatic", "--conditions=holdfast-source", "--log-level=error",
        ],
        # From a directory of its own it would not find what is installed here.
        env={**os.environ, "NODE_PATH": str(ROOT / "node_modules")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    inert = built.stdout.replace("</script", "<\\/script")
    return f'{PAGE}<script type="module">{inert}</script>'


def text(page: Page) -> str:
    """Return what the page shows of the message."""
    return str(page.evaluate("(document.querySelector('pre') ?? document.body).textContent"))


def show_and_cut(page: Page, url: str, proxy: CuttingProxy) -> None:
    """Show a page, break all its connections when it has begun to tell, and wait for the last tick."""
    page.goto(url)
    eventually("the page shows a tick", lambda: "tick 3\n" in text(page))
    assert proxy.cut() >= 1
    eventually("the page shows the last tick", lambda: "tick 100\n" in text(page))


@pytest.mark.parametrize("way", ["EventSource", "fetch"])
def test_a_page_without_a_library_shows_every_tick_once(
    way: str, stack: Stack, page: Page, proxy: CuttingProxy, pages: Pages
) -> None:
    """It starts a run, is cut in the middle, and shows what the run said."""
    html = block("browser.md", way, "html")
    assert html.count(GATEWAY) == 1
    html = html.replace(GATEWAY, f"http://127.0.0.1:{proxy.port}")

    show_and_cut(page, pages.put(way, html), proxy)

    assert text(page) == TICKS


def test_the_client_shows_every_tick_once(
    stack: Stack, page: Page, proxy: CuttingProxy, pages: Pages, tmp_path: Path
) -> None:
    source = block("browser.md", "@holdfast/client", "js")
    source = source.replace(GATEWAY, f"http://127.0.0.1:{proxy.port}")

    show_and_cut(page, pages.put("client", bundled(source, tmp_path, kind="js")), proxy)

    shown = str(page.evaluate("document.body.lastChild.parentNode.textContent"))
    assert shown[shown.rindex("tick 1\n") :] == TICKS


def test_the_hook_shows_what_is_said_and_stops_when_told(
    stack: Stack, page: Page, proxy: CuttingProxy, pages: Pages, tmp_path: Path
) -> None:
    session = stack.start("ticker", {"events": 0})["session_id"]
    source = block("browser.md", "React", "jsx")
    source = source.replace(GATEWAY, f"http://127.0.0.1:{proxy.port}")
    source += f"""
import {{ createRoot }} from "react-dom/client";
createRoot(document.getElementById("root")).render(<Chat sessionId={{{json.dumps(session)}}} />);
"""
    page.goto(pages.put("react", bundled(source, tmp_path, kind="jsx")))

    def shown() -> str:
        return str(page.evaluate("document.querySelector('main')?.innerText ?? ''"))

    def press(label: str) -> None:
        page.get_by_role("button", name=label, exact=True).click()

    eventually("the session is there, and live", lambda: "live" in shown())
    press("Tick")
    eventually("it ticks", lambda: "tick 3\n" in shown())
    assert proxy.cut() >= 1
    eventually("it ticks on", lambda: "tick 60\n" in shown())
    press("Stop")
    eventually("it has stopped", lambda: "Stop" not in shown())
    runs = stack.get(f"/v1/sessions/{session}")["runs"]

    assert sorted(run["status"] for run in runs) == ["cancelled", "completed"]
