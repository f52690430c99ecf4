"""What only a real database can do to a store: hold rows, hold on to old rules, hold another's schema."""

import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from holdfast.events import claims_postgres
from holdfast.events.commands import Command
from holdfast.events.errors import AppendRefused, MigrationError, SessionExists, StoreBusy
from holdfast.events.pool_postgres import Connection
from holdfast.events.store import Idempotency, Store
from holdfast.events.store_postgres import open_store
from tests.factories import (
    TENANT,
    Owner,
    ask_run,
    claim_all,
    delta,
    in_run,
    owned_session,
    running,
)
from tests.servers import create_database, drop_database

pytestmark = pytest.mark.postgres


@pytest.fixture
def store(postgres_store: Store) -> Store:
    return postgres_store


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """Somebody else in the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def held(connection: Connection, owner: Owner) -> AsyncGenerator[None]:
    """For as long as this lasts, somebody else holds the session's row."""
    async with connection.transaction():
        await connection.execute("select from sessions where id = $1 for update", owner.session)
        yield


# --- a row that somebody else holds ------------------------------------------------------------------


async def test_an_append_that_gets_no_lock_has_done_nothing(store: Store, connection: Connection):
    mine = await owned_session(store, "mine")
    stuck = await owned_session(store, "stuck")
    batches = [mine.batch(delta()), stuck.batch(delta())]

    async with held(connection, stuck):
        with pytest.raises(StoreBusy):
            await store.writer.append(batches)
        assert await store.writer.append(batches[:1]) == frozenset()

    assert await store.writer.append(batches[1:]) == frozenset()


async def test_a_renewal_passes_over_a_row_that_is_held_and_does_not_call_it_lost(
    store: Store, connection: Connection
):
    mine = await owned_session(store, "mine", lease_s=5)
    stuck = await owned_session(store, "stuck", lease_s=5)
    sessions = {owner.session: owner.epoch for owner in (mine, stuck)}
    lease = "select lease_until > now() + interval '20 s' from sessions where id = $1"

    async with held(connection, stuck):
        lost = await store.claims.renew("w1", sessions, lease_s=30)

    assert lost == frozenset()
    assert await connection.fetchval(lease, mine.session)
    assert not await connection.fetchval(lease, stuck.session)


async def test_a_session_that_was_taken_over_is_lost_though_its_row_is_held(
    store: Store, connection: Connection
):
    former = await owned_session(store)
    await running(former)
    await former.release()
    [claim] = await claim_all(store, "w2")

    async with held(connection, Owner.of(store, "w2", claim)):
        lost = await store.claims.renew("w1", {former.session: former.epoch}, lease_s=30)

    assert lost == {former.session}


# --- rows that are not as they should be -------------------------------------------------------------


async def test_what_an_index_cannot_hold_is_refused(store: Store):
    """A key over 2.7 KB, say: an error of the database that no repetition mends."""
    owner = await owned_session(store)
    long_key = "".join(f"{n:x}" for n in range(20_000))

    with pytest.raises(AppendRefused):
        await store.writer.append([owner.batch(in_run(delta(), "run_1", key=long_key))])

    await owner.append(delta())


async def test_a_command_of_a_kind_from_the_future_is_left_to_those_who_know_it(
    store: Store, connection: Connection
):
    owner = await owned_session(store)
    await ask_run(store)
    await connection.execute("alter table commands drop constraint commands_kind_check")
    await connection.execute(
        "insert into commands (command_id, session, kind) values ('cmd_new', $1, 'rename')",
        owner.session,
    )

    assert [c.kind for c in await owner.pending()] == ["start"]
    await owner.settle()
    await connection.execute("update runs set not_before = 'infinity'")
    await owner.release()
    assert list(await claim_all(store, "w2")) == []


async def test_a_claim_that_cannot_be_told_of_is_given_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Else its sessions would belong to a worker that knows nothing of them for a whole lease."""
    await store.desk.create_session(TENANT, "s")

    async def broken(connection: Connection, sessions: object) -> list[Command]:
        raise ValueError("unreadable")

    with monkeypatch.context() as patch:
        patch.setattr(claims_postgres, "open_commands", broken)
        with pytest.raises(ValueError, match="unreadable"):
            await claim_all(store)

    [claim] = await claim_all(store, "w2")
    assert (claim.epoch, claim.taken_over) == (2, False)


# --- what is forgotten -------------------------------------------------------------------------------


async def test_answers_are_kept_for_a_day(store: Store, connection: Connection):
    for n, age in enumerate(("23 hours", "25 hours")):
        await store.desk.create_session(
            TENANT, f"s{n}", idempotency=Idempotency(key=f"k{n}", request_hash=b"")
        )
        await connection.execute(
            "update idempotency set created_at = now() - $2::text::interval where key = $1",
            f"k{n}",
            age,
        )

    await store.claims.expire_due(limit=10)

    again = Idempotency(key="k0", request_hash=b"")
    assert (await store.desk.create_session(TENANT, "s0", idempotency=again)).session_id == "s0"
    with pytest.raises(SessionExists):
        await store.desk.create_session(
            TENANT, "s1", idempotency=Idempotency(key="k1", request_hash=b"")
        )


# --- the schema and the log's name -------------------------------------------------------------------


async def test_a_store_does_not_open_on_a_schema_without_its_migrations(
    database_url: str, empty_database_url: str, connection: Connection
):
    with pytest.raises(MigrationError, match="holdfast migrate"):
        await open_store(empty_database_url)

    await connection.execute("delete from migrations")
    with pytest.raises(MigrationError, match="holdfast migrate"):
        await open_store(database_url)


async def test_a_store_does_not_open_on_a_newer_schema(database_url: str, connection: Connection):
    await connection.execute("insert into migrations (name, checksum) values ('9999_x.sql', 'x')")

    with pytest.raises(MigrationError, match="newer"):
        await open_store(database_url)


async def test_a_copy_of_a_database_is_another_log(postgres_url: str, template_url: str):
    """Its events are others from here on: it must not read the original's windows, nor write into them."""
    names: list[str] = []
    for _ in range(2):
        url = create_database(postgres_url, template=template_url)
        for _ in range(2):
            store = await open_store(url)
            names.append(store.log_id[:8])
            await store.close()
        drop_database(postgres_url, url)

    assert names[0] == names[1] != names[2] == names[3]


async def test_a_role_that_may_not_ask_for_the_cluster_still_opens_the_log(
    database_url: str, connection: Connection
):
    await connection.execute(
        """revoke execute on function pg_control_system() from public;
           create role outsider login password 'outsider';
           grant select on all tables in schema public to outsider"""
    )
    names: list[str] = []
    try:
        for url in (database_url, re.sub("//.*@", "//outsider:outsider@", database_url)):
            store = await open_store(url)
            names.append(store.log_id)
            await store.close()
    finally:
        await connection.execute("drop owned by outsider; drop role outsider")

    assert len(set(names)) == 2
    assert [len(name) for name in names] == [36, 36]
