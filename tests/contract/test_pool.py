"""What a pool of connections promises to whoever is lent one after somebody else."""

import asyncpg
import pytest

from holdfast.events import pool_postgres
from holdfast.events.errors import StoreUnavailable
from holdfast.events.pool_postgres import acquired, open_pool

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
