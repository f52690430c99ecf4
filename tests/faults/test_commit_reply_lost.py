"""A commit whose reply is lost is looked up, never guessed: what is recorded is not recorded twice, what isn't is.

The worker is this process's own, over a proxy that cuts its connection around the commit.
"""

import asyncio
import random
import time
from typing import Any

import pytest
import structlog
from pydantic import SecretStr

from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import RunRequest, Store
from holdfast.events.store_postgres import open_store
from holdfast.orchestrator.app import open_orchestrator
from holdfast.orchestrator.settings import OrchestratorSettings
from tests.factories import TENANT
from tests.faults.breaking import THOROUGH
from tests.faults.commit_proxy import CommitProxy, Lose, commit_proxy

pytestmark = [pytest.mark.fault, pytest.mark.postgres, pytest.mark.redis]

LOSSES_EACH = 500 if THOROUGH else 8


@pytest.mark.timeout(900 if THOROUGH else 120)
async def test_every_event_is_recorded_once_however_often_the_reply_of_its_commit_is_lost(
    database_url: str, redis_url: str
) -> None:
    losses = [*Lose] * LOSSES_EACH
    random.Random(4).shuffle(losses)
    # Each loss costs the worker a pause of 0.1 s, some 20 ticks; the last one must come before the end.
    ticks = 80 * len(losses)

    async with commit_proxy(database_url) as proxy:
        with structlog.testing.capture_logs() as logs:
            events = await _ticked(database_url, redis_url, proxy, losses, ticks)

    assert proxy.lost == losses
    texts = [e.envelope["data"]["text"] for e in events if e.type == "message.delta"]
    assert texts == [f"tick {n}\n" for n in range(1, ticks + 1)]
    assert [e.seq for e in events] == list(range(1, len(events) + 1))
    assert events[-1].type == "run.completed"
    resolved = [line for line in logs if line["event"] == "append.resolved"]
    assert sum(line["recorded"] for line in resolved) == LOSSES_EACH
    assert sum(line["absent"] for line in resolved) == LOSSES_EACH
    assert sum(line["fenced"] for line in resolved) == 0


async def _ticked(
    database_url: str, redis_url: str, proxy: CommitProxy, losses: list[Lose], ticks: int
) -> list[RecordedEvent]:
    """Run a ticker under all of the losses; return its session's log."""
    settings: dict[str, Any] = {
        "database_url": SecretStr(proxy.url),
        "redis_url": SecretStr(redis_url),
        "worker_name": "cut-off",
        "workflows": ("holdfast.orchestrator.workflows.ticker",),
        "poll_s": 0.1,
    }
    store = await open_store(database_url, pool_max=2)
    try:
        async with open_orchestrator(OrchestratorSettings(**settings)) as orchestrator:
            working = asyncio.create_task(orchestrator.run())
            request = RunRequest(workflow="ticker", input={"events": ticks, "interval_ms": 5})
            ticket = await store.desk.start(TENANT, None, request)
            for lost, what in enumerate(losses):
                # Not before the last one is dealt with: its session's head moves again.
                head = await _head(store, ticket.session)
                await _until(lambda n=lost: len(proxy.lost) == n)
                await _head_beyond(store, ticket.session, head + 2)
                proxy.lose(what)
            deadline = time.monotonic() + 60
            while not (await store.desk.run(TENANT, ticket.run_id)).status.ended:
                assert not working.done()
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            orchestrator.drain()
            await working
        found: list[RecordedEvent] = []
        while (page := await store.reader.read(ticket.session, after=len(found))).items:
            found.extend(page.items)
        return found
    finally:
        await store.close()


async def _head(store: Store, session: int) -> int:
    return (await store.reader.pulses([session]))[session].head


async def _head_beyond(store: Store, session: int, head: int) -> None:
    deadline = time.monotonic() + 20
    while await _head(store, session) <= head:
        assert time.monotonic() < deadline, "the run doesn't go on"
        await asyncio.sleep(0.005)


async def _until(condition: Any) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)
