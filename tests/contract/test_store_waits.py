"""Nobody waits for Postgres without bound, whatever it is stuck in: each wait ends at its stated time, as passing."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Collection

import asyncpg
import psutil
import pytest

from holdfast.events.errors import StoreUnavailable
from holdfast.events.migrate import migrate
from holdfast.events.pool_postgres import (
    ACQUIRE_TIMEOUT_S,
    ANSWER_TIMEOUT_S,
    STATEMENT_TIMEOUT_S,
    acquired,
)
from holdfast.events.store import Outcome, Store
from holdfast.events.store_postgres import PostgresStore, open_store
from holdfast.local.postgres_server import PostgresServer
from tests.factories import TENANT, delta, owned_session

pytestmark = pytest.mark.postgres

# What a machine with two busy cores adds to a wait of seconds.
SLACK_S = 2.0


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[PostgresStore]:
    store = await open_store(database_url, pool_max=2)
    yield store
    await store.close()


async def test_a_statement_that_gets_stuck_is_given_up_and_has_done_nothing(
    store: Store, database_url: str
) -> None:
    """A full disk, a trigger, a lock nobody thought of: its outcome can be asked for, and it is sent again."""
    owner = await owned_session(store)
    batch = owner.batch(delta())
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        """create function stuck() returns trigger language plpgsql as
             $$ begin perform pg_sleep(600); return new; end $$;
           create trigger stuck before insert on events for each row execute function stuck()"""
    )

    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        await store.writer.append([batch])
    took = time.monotonic() - begun

    assert took < STATEMENT_TIMEOUT_S + SLACK_S
    await connection.execute("drop trigger stuck on events")
    await connection.close()
    assert await store.writer.resolve([batch]) == {owner.session: Outcome.ABSENT}
    assert await store.writer.append([batch]) == frozenset()


async def test_who_finds_no_free_connection_is_told_in_time_and_the_next_one_gets_it(
    store: PostgresStore,
) -> None:
    pool = store._pool  # pyright: ignore[reportPrivateUsage]
    async with acquired(pool), acquired(pool):
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(store.reader.pulses([n]) for n in range(50)), return_exceptions=True
        )
        took = time.monotonic() - begun

    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert took < ACQUIRE_TIMEOUT_S + SLACK_S
    assert await store.reader.pulses([1]) == {}


async def test_a_postgres_that_says_nothing_at_all_is_given_up_in_time(
    own_postgres: PostgresServer,
) -> None:
    """Frozen, or behind a network that drops everything: no timeout of the server's own can end the wait."""
    await migrate(own_postgres.url)
    store = await open_store(own_postgres.url, pool_max=2)
    await store.desk.create_session(TENANT, "s")
    [session] = (await store.desk.sessions(TENANT)).items
    assert own_postgres.pid is not None
    postmaster = psutil.Process(own_postgres.pid)
    frozen = [postmaster, *postmaster.children(recursive=True)]
    for process in frozen:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        answers = await asyncio.gather(
            *(store.reader.pulses([session.session]) for _ in range(4)), return_exceptions=True
        )
        took = time.monotonic() - begun
    finally:
        for process in frozen:
            os.kill(process.pid, signal.SIGCONT)

    assert {type(answer) for answer in answers} == {StoreUnavailable}
    assert took < ANSWER_TIMEOUT_S + ACQUIRE_TIMEOUT_S + SLACK_S
    assert set(await _soon(store, session.session)) == {session.session}
    await store.close()


async def test_a_cancel_that_comes_as_a_connection_is_had_is_not_lost() -> None:
    """asyncio.wait_for, under which the driver lends connections, forgets it (Python 3.11): a task would never end."""
    outer: list[asyncio.Task[None]] = []

    class Pool:
        async def lend(self, *, timeout: float) -> None:
            await asyncio.wait_for(self._connect(), timeout)

        async def give_back(self, connection: None, *, in_order: bool) -> None:
            pass

        async def _connect(self) -> None:
            # Between its end and the moment at which that is heard of.
            asyncio.get_running_loop().call_soon(outer[0].cancel)

    async def call() -> None:
        async with acquired(Pool()):  # pyright: ignore[reportArgumentType]
            pass
        await asyncio.sleep(5)

    outer.append(asyncio.create_task(call()))
    begun = time.monotonic()
    await asyncio.wait(outer)
    assert outer[0].cancelled()
    assert time.monotonic() - begun < SLACK_S


async def _soon(store: Store, session: int) -> Collection[int]:
    """Ask until there is an answer: what was given up is cleared away by then."""
    deadline = time.monotonic() + 30
    while True:
        try:
            return await store.reader.pulses([session])
        except StoreUnavailable:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
