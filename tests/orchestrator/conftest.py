"""A world for workers, in memory and in real Postgres and Redis: one suite holds for both."""

# pyright: reportPrivateUsage=false

from collections.abc import AsyncIterator, Iterator

import pytest
import structlog

from holdfast.events.store_memory import MemoryStore
from holdfast.events.store_postgres import open_store
from holdfast.events.stream_memory import MemoryStream
from holdfast.events.stream_redis import RedisStream
from holdfast.orchestrator.app import PostgresClaimsConnection
from holdfast.orchestrator.lease import SharedClaims
from tests.orchestrator.harness import World


@pytest.fixture(autouse=True)
def _plain_tracebacks() -> Iterator[None]:
    """With every local of a graph's frames in it, structlog's own form of one blocks the event loop for seconds."""
    before = structlog.get_config()
    renderer = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.configure(**before)


@pytest.fixture
async def memory_world() -> AsyncIterator[World]:
    store, stream = MemoryStore(), MemoryStream()
    # A database that was started long ago: leases that ran out may be taken over at once.
    store._state.started_at = store._state.started_at.replace(year=2000)
    world = World(store, stream, lambda _: SharedClaims(store.claims))
    yield world
    await world.close()
    await stream.close()


@pytest.fixture
async def real_world(database_url: str, redis_url: str) -> AsyncIterator[World]:
    store = await open_store(database_url, pool_max=6)
    stream = RedisStream.open(redis_url, log_id=store.log_id)
    world = World(store, stream, lambda name: PostgresClaimsConnection(database_url, name))
    yield world
    await world.close()
    await stream.close()
    await store.close()


@pytest.fixture(
    params=["memory", pytest.param("real", marks=[pytest.mark.postgres, pytest.mark.redis])]
)
def world(request: pytest.FixtureRequest) -> World:
    return request.getfixturevalue(f"{request.param}_world")
