"""A browser's own EventSource, opened once by a page that knows nothing, through everything that can be killed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.async_api import Page

from tests.e2e.browser import chromium_beside, page_server
from tests.e2e.stack import Stack
from tests.faults.breaking import fault_marks, locked, logged, restarted, stack_of
from tests.faults.swarm import of_run

pytestmark = [*fault_marks, pytest.mark.browser, pytest.mark.timeout(180)]

# Five faults; a reconnect of the browser waits for up to four seconds (`streaming.RETRY_MS`).
EVENTS = 450
INTERVAL_MS = 50

RECOVERY_MS = 30_000
PATIENCE_MS = 40_000


@pytest.fixture(scope="module")
def page_origin() -> Iterator[str]:
    with page_server() as origin:
        yield origin


@pytest.fixture(scope="module")
def stack(page_origin: str) -> Iterator[Stack]:
    with stack_of(
        "--gateways", "1", "--orchestrators", "2", HOLDFAST_CORS_ORIGINS=page_origin
    ) as stack:
        yield stack


async def test_an_event_source_survives_the_death_of_everything_without_being_reopened(
    stack: Stack, page_origin: str
) -> None:
    run = stack.start("ticker", {"events": EVENTS, "interval_ms": INTERVAL_MS})
    stream = quote(f"{stack.url}/v1/runs/{run['run_id']}/stream", safe="")

    async def opens() -> int:
        return int(await page.evaluate("opens"))

    async def a_gateway_that_comes_back_without_postgres() -> None:
        """What the browser opens meanwhile is refused, in the one way that it survives: 200, `retry:`, end."""
        with locked(stack):
            before = await opens()
            await restarted(stack, "gateway-1")
            # The browser is refused.
            await page.wait_for_function(
                "before => opens > before", arg=before, timeout=PATIENCE_MS
            )

    faults: list[Callable[[], Awaitable[object]]] = [
        lambda: restarted(stack, "redis"),
        lambda: asyncio.to_thread(stack.redis, "FLUSHALL"),
        a_gateway_that_comes_back_without_postgres,
        lambda: restarted(stack, "postgres", signal.SIGQUIT),
        lambda: restarted(stack, "orchestrator-1"),
        lambda: restarted(stack, "orchestrator-2"),
    ]

    async with chromium_beside() as browser:
        page = await browser.new_page()
        await page.goto(f"{page_origin}/?stream={stream}")
        await sees_more(page)
        for fault in faults:
            await fault()
            await sees_more(page)
        still = stack.get(f"/v1/runs/{run['run_id']}")["status"]
        assert still == "running", "the faults came after the end: raise EVENTS"
        # The EventSource is closed for good, by 204.
        await page.wait_for_function("source.readyState === 2", timeout=90_000)
        lines = [line.encode() for line in await page.evaluate("seen")]
        ids = await page.evaluate("ids")
        opened = await opens()

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    assert lines == history
    assert ids == sorted(set(ids))
    assert sum(b'"type":"message.delta"' in line for line in lines) == EVENTS
    # At first, to be refused, and then to the end: no other fault cost the page its connection.
    assert 3 <= opened <= 5
    assert not logged(stack, "gateway-1", "request.failed")


async def sees_more(page: Page) -> None:
    """Wait until the page has seen events after this moment."""
    seen = await page.evaluate("seen.length")
    await page.wait_for_function("seen_ => seen.length > seen_ + 3", arg=seen, timeout=RECOVERY_MS)
