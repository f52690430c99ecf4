"""What a pool of connections promises to whoever is lent one after somebody else."""

import asyncio

import asyncpg
import pytest

from holdfast.events import pool_postgres
from holdfast.events.errors import StoreUnavailable
from holdfast.events.pool_postgres import Pool, acquired, open_pool

pytestmark = [pytest.mark.anyio, pytest.mark.postgres]


async def test_what_others_code_set_is_gone_when_the_connection_is_lent_again(database_url: str):
    """A projection may SET what it likes: it must be nobody else's."""
    pool = await open_pool(database_url, application_name="tests", pool_max=1, lends_out=True)
    try:
        async with acquired(pool) as connection:
            own = await connection.fetchval("show search_path")
            await connection.execute("set search_path to elsewhere")
            await connection.execute("set statement_timeout to '90s'")
            await connection.execute("create temp table left_behind (x int)")
            await connection.fetchval("select pg_advisory_lock(7)")

        async with acquired(pool) as connection:
            assert await connection.fetchval("show search_path") == own
            assert await connection.fetchval("show statement_timeout") == "5s"
            held = "select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid()"
            assert await connection.fetchval(held) == 0
    finally:
        await pool.close()


async def test_a_transaction_that_was_left_open_is_rolled_back_in_every_pool(database_url: str):
    pool = await open_pool(database_url, application_name="tests", pool_max=1)
    try:
        async with acquired(pool) as connection:
            await connection.execute("begin")
            await connection.execute("create table half_done (x int)")

        async with acquired(pool) as connection:
            assert not connection.is_in_transaction()
            with pytest.raises(asyncpg.UndefinedTableError):
                await connection.fetchval("select count(*) from half_done")
    finally:
        await pool.close()


async def test_whoever_waits_for_a_connection_gets_the_next_one_that_is_given_back(
    database_url: str,
):
    pool = await open_pool(database_url, application_name="tests", pool_max=1)
    order: list[str] = []

    async def another() -> None:
        async with acquired(pool) as connection:
            order.append(await connection.fetchval("select 'another'"))

    try:
        async with acquired(pool):
            waiting = asyncio.create_task(another())
            await asyncio.sleep(0.05)
            order.append("first")
        async with asyncio.timeout(5):
            await waiting
    finally:
        await pool.close()
    assert order == ["first", "another"]


async def test_as_many_as_the_pool_holds_are_lent_at_once_whatever_was_lent_before(
    database_url: str,
):
    pool = await open_pool(database_url, application_name="tests", pool_max=3)
    try:
        for _ in range(2):
            together = asyncio.Barrier(3)

            async def one(together: asyncio.Barrier = together) -> int:
                async with acquired(pool) as connection:
                    await together.wait()
                    return await connection.fetchval("select pg_backend_pid()")

            async with asyncio.timeout(5):
                pids = await asyncio.gather(*(one() for _ in range(3)))
            assert len(set(pids)) == 3
        assert pool.get_size() == 3
    finally:
        await pool.close()


async def test_a_connection_that_died_while_nobody_had_it_is_lent_to_nobody(database_url: str):
    pool = await open_pool(database_url, application_name="tests", pool_max=2)
    own = "select pg_backend_pid()"
    try:
        async with acquired(pool) as connection:
            gone = await connection.fetchval(own)
        killer = await asyncpg.connect(database_url)
        await killer.execute("select pg_terminate_backend($1, 5000)", gone)
        await killer.close()
        async with asyncio.timeout(5):
            while pool.get_size():  # noqa: ASYNC110 - until its end has arrived here, which tells nobody
                await asyncio.sleep(0.01)
        async with acquired(pool) as connection:
            assert await connection.fetchval(own) != gone
        assert pool.get_size() == 1
    finally:
        await pool.close()


async def test_what_broke_off_in_the_midst_leaves_nothing_on_a_connection(database_url: str):
    pool = await open_pool(database_url, application_name="tests", pool_max=1)
    try:
        with pytest.raises(ZeroDivisionError):
            await _break_off(pool)
        task = asyncio.create_task(_sleep(pool))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(5), acquired(pool) as connection:
            assert not connection.is_in_transaction()
            assert await connection.fetchval("select 1") == 1
    finally:
        await pool.close()


async def _break_off(pool: Pool) -> None:
    async with acquired(pool) as connection:
        await connection.execute("begin")
        raise ZeroDivisionError


async def _sleep(pool: Pool) -> None:
    async with acquired(pool) as connection:
        await connection.execute("select pg_sleep(60)")


async def test_a_service_waits_for_a_postgres_that_is_on_its_way_up(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(pool_postgres, "START_RETRY_S", 0.01)
    tried: list[int] = []

    async def open_() -> str:
        tried.append(1)
        if len(tried) < 3:
            raise StoreUnavailable("starting up")
        return "opened"

    assert await pool_postgres.reached(open_) == "opened"
    assert len(tried) == 3


async def test_a_service_says_so_when_no_postgres_comes_up(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(pool_postgres, "START_RETRY_S", 0.01)
    monkeypatch.setattr(pool_postgres, "START_WAIT_S", 0.05)

    async def open_() -> None:
        raise StoreUnavailable("nobody there")

    with pytest.raises(StoreUnavailable, match="nobody there"):
        await pool_postgres.reached(open_)
