"""Every implementation of the store in turn, and a way for time to pass in each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.store import Store
from holdfast.events.store_memory import MemoryStore
from holdfast.events.store_postgres import open_store

Passes = Callable[[float], Awaitable[None]]
"""`await passes(0.3)`: by the store's clock, 0.3 s are over."""


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def memory_store(manual_clock: ManualClock) -> Store:
    return MemoryStore(manual_clock)


@pytest.fixture
async def postgres_store(database_url: str) -> AsyncIterator[Store]:
    store = await open_store(database_url)
    yield store
    await store.close()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest) -> Store:
    return request.getfixturevalue(f"{request.param}_store")


@pytest.fixture
def passes(store: Store, request: pytest.FixtureRequest) -> Passes:
    """Time, which a store with a clock of its own is only given by waiting."""
    if isinstance(store, MemoryStore):
        return request.getfixturevalue("manual_clock").advance
    return asyncio.sleep
