"""One stack for all browser tests of a pytest process, and a browser for each of their files."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.browser.console import Console
from tests.browser.watched import Watched
from tests.e2e.browser import chromium
from tests.e2e.stack import Stack, running
from tests.interop.pages import Pages, pages_server
from tests.servers import make_server_dir

WORKFLOWS = Path(__file__).parent / "workflows.py"

# Slow enough that a run is still going when its reader has been cut five times.
TOKEN_DELAY_S = "0.02"


@pytest.fixture(scope="session")
def pages() -> Iterator[Pages]:
    """Pages of an application that isn't the gateway's, and that it allows."""
    with pages_server() as pages:
        yield pages


@pytest.fixture(scope="session")
def stack(pages: Pages) -> Iterator[Stack]:
    """A stack with the workflows of these tests; who kills a part of it waits until it is back."""
    root = make_server_dir()
    with running(
        root / "stack",
        "--gateways",
        "2",
        str(WORKFLOWS),
        HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S=TOKEN_DELAY_S,
        HOLDFAST_CORS_ORIGINS=pages.origin,
    ) as stack:
        yield stack
    shutil.rmtree(root, ignore_errors=True)


# Not for the whole session: Playwright's loop would stand in the way of other tests' loops.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium of this file's own."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def watched(browser: Browser) -> Iterator[Callable[..., Watched]]:
    """Opens contexts; at the end nothing may have gone wrong in any."""
    opened: list[Watched] = []

    def open_(**options: Any) -> Watched:
        opened.append(Watched(browser, **options))
        return opened[-1]

    yield open_
    failures = [failure for one in opened for failure in one.failures]
    for one in opened:
        one.close()
    assert not failures


@pytest.fixture
def console(stack: Stack, watched: Callable[..., Watched]) -> Console:
    """The console of the first gateway, on a desk."""
    return Console(watched().page(), stack.url)
