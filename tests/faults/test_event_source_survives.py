"""A browser's own EventSource, opened once by a page that knows nothing, through everything that can be killed."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import quote

import pytest
from selenium.webdriver import Chrome

from tests.e2e.browser import chromium, page_server
from tests.e2e.stack import Stack
from tests.faults.breaking import fault_marks, locked, logged, restarted, stack_of, until
from tests.faults.swarm import of_run

pytestmark = [*fault_marks, pytest.mark.browser, pytest.mark.timeout(180)]

# Five faults; a reconnect of the browser waits for up to four seconds (`streaming.RETRY_MS`).
EVENTS = 450
INTERVAL_MS = 50

RECOVERY_S = 30.0


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

    def opens() -> int:
        return int(browser.execute_script("return opens"))

    async def a_gateway_that_comes_back_without_postgres() -> None:
        """What the browser opens meanwhile is refused, in the one way that it survives: 200, `retry:`, end."""
        with locked(stack):
            before = opens()
            await restarted(stack, "gateway-1")
            await until(lambda: opens() > before, "the browser is refused")

    faults: list[Callable[[], Awaitable[object]]] = [
        lambda: restarted(stack, "redis"),
        lambda: asyncio.to_thread(stack.redis, "FLUSHALL"),
        a_gateway_that_comes_back_without_postgres,
        lambda: restarted(stack, "postgres", signal.SIGQUIT),
        lambda: restarted(stack, "orchestrator-1"),
        lambda: restarted(stack, "orchestrator-2"),
    ]

    with chromium() as browser:
        browser.get(f"{page_origin}/?stream={stream}")
        await sees_more(browser)
        for fault in faults:
            await fault()
            await sees_more(browser)
        still = stack.get(f"/v1/runs/{run['run_id']}")["status"]
        assert still == "running", "the faults came after the end: raise EVENTS"
        await until(
            lambda: browser.execute_script("return source.readyState") == 2,
            "the EventSource is closed for good, by 204",
            within_s=90,
        )
        lines = [line.encode() for line in browser.execute_script("return seen")]
        ids = browser.execute_script("return ids")
        opened = opens()

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    assert lines == history
    assert ids == sorted(set(ids))
    assert sum(b'"type":"message.delta"' in line for line in lines) == EVENTS
    # At first, to be refused, and then to the end: no other fault cost the page its connection.
    assert 3 <= opened <= 5
    assert not logged(stack, "gateway-1", "request.failed")


async def sees_more(browser: Chrome) -> None:
    """Wait until the page has seen events after this moment."""
    seen = int(browser.execute_script("return seen.length"))
    await until(
        lambda: int(browser.execute_script("return seen.length")) > seen + 3,
        "the page sees more",
        within_s=RECOVERY_S,
    )
