"""A log and what subscriptions keep beside it, in memory and in real Postgres: one suite holds for both."""

# pyright: reportPrivateUsage=false

from collections.abc import AsyncIterator

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.pool_postgres import open_pool
from holdfast.events.store_memory import MemoryStore
from holdfast.events.store_postgres import open_store
from holdfast.subscribe.store_memory import MemorySubscriptions
from holdfast.subscribe.store_postgres import PostgresSubscriptions
from tests.subscribe.worlds import MemoryWorld, PostgresWorld, World


@pytest.fixture
async def memory_world() -> World:
    clock = ManualClock()
    store = MemoryStore(clock)
    return MemoryWorld(store, MemorySubscriptions(store._state), clock)


@pytest.fixture
async def postgres_world(database_url: str) -> AsyncIterator[PostgresWorld]:
    store = await open_store(database_url, pool_max=6)
    pool = await open_pool(database_url, application_name="tests", pool_max=6)
    yield PostgresWorld(store, PostgresSubscriptions(pool), pool, database_url)
    await pool.close()
    await store.close()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def world(request: pytest.FixtureRequest) -> World:
    return request.getfixturevalue(f"{request.param}_world")
