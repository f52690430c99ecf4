"""A browser's own EventSource follows a run through cuts, and stops at its end."""

from urllib.parse import quote, urlsplit

import pytest

from tests.e2e.browser import CuttingProxy, chromium
from tests.e2e.stack import Stack, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.browser, pytest.mark.postgres, pytest.mark.redis]


def test_an_event_source_follows_a_run_through_reconnects_and_stops_at_its_end(
    stack: Stack, page_origin: str
) -> None:
    """The page never opens a second EventSource: the browser resumes by Last-Event-ID, and 204 ends it."""
    gateways = [urlsplit(url) for url in stack.gateways]
    proxy = CuttingProxy(gateways[0].hostname or "", gateways[0].port or 0)
    run = stack.start("ticker", {"events": 800, "interval_ms": 20})
    url = f"http://127.0.0.1:{proxy.port}/v1/runs/{run['run_id']}/stream"

    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"{page_origin}/?stream={quote(url, safe='')}")
        for cut in range(1, 4):
            seen = int(page.evaluate("seen.length"))
            eventually(
                f"the page sees more before cut {cut}",
                lambda seen=seen: int(page.evaluate("seen.length")) > seen + 5,
            )
            # The next connection arrives at the other gateway: no replica knows this client.
            proxy.retarget(gateways[cut % 2].hostname or "", gateways[cut % 2].port or 0)
            assert proxy.cut() >= 1
        stack.ended(run["run_id"])
        eventually(
            "the EventSource is closed for good",
            lambda: page.evaluate("source.readyState") == 2,
        )
        lines = [line.encode() for line in page.evaluate("seen")]
        opens, connections = page.evaluate("opens"), proxy.connections
    proxy.close()

    history = [line for line in stack.history(run["session_id"]) if run["run_id"].encode() in line]
    assert lines == history
    assert opens >= 4
    assert connections >= 4
