"""Which database a process works on: one whose schema its version can live with, and the one log that it opened."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import asyncpg
import pytest

from holdfast.events import migrate as migrations
from holdfast.events.errors import LogChanged, MigrationError, StoreUnavailable
from holdfast.events.migrate import Migration, migrate
from holdfast.events.pool_postgres import Connection
from holdfast.events.store_postgres import PostgresStore, open_store
from tests.factories import delta, owned_session
from tests.servers import create_database, drop_database

pytestmark = pytest.mark.postgres

_OURS = migrations.migrations()
_BREAKING = "-- What this is.\n-- compatible from: 9999\nalter table events drop column ts;\n"
_WAITS = """select exists (select from pg_locks l join pg_stat_activity a using (pid)
                        where not l.granted and a.datname = current_database())"""


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """Somebody else in the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


Release = Callable[..., Awaitable[None]]


@pytest.fixture
def release(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Release:
    """`await release(Migration(…))`: a newer version with this migration brings the database up to date."""

    async def release(*newer: Migration) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(migrations, "migrations", lambda: [*_OURS, *newer])
            assert await migrate(database_url) == [migration.name for migration in newer]

    return release


# --- the schema ------------------------------------------------------------------------------------


async def test_a_store_does_not_open_on_a_schema_without_its_migrations(
    database_url: str, empty_database_url: str, connection: Connection
):
    with pytest.raises(MigrationError, match="holdfast migrate"):
        await open_store(empty_database_url)

    await connection.execute("delete from migrations")
    with pytest.raises(MigrationError, match="holdfast migrate"):
        await open_store(database_url)


async def test_an_older_version_works_on_a_newer_schema_that_only_added_to_its_own(
    database_url: str, release: Release
):
    """A deployment rolls: the database is migrated first, and older workers and gateways reconnect meanwhile."""
    await release(Migration("9998_more.sql", "alter table events add column note text default 'x'"))

    store = await open_store(database_url)
    owner = await owned_session(store)
    await owner.append(delta())
    page = await store.reader.read(owner.session, after=0)
    await store.close()

    assert [event.seq for event in page.items] == [1, 2]
    assert await migrate(database_url) == [], "and has nothing to bring up to date"


async def test_an_older_version_refuses_a_newer_schema_that_it_can_not_work_with(
    database_url: str, release: Release
):
    """Whatever came after it: what breaks older code stays broken for it."""
    await release(Migration("9999_other.sql", _BREAKING), Migration("10000_more.sql", "select 1"))

    for refused in (open_store(database_url), migrate(database_url)):
        with pytest.raises(MigrationError, match=r"9999_other\.sql.*newer version"):
            await refused


async def test_a_process_that_reconnects_after_such_a_migration_is_told_to_go(
    database_url: str, connection: Connection, release: Release
):
    told: list[LogChanged] = []
    store = await open_store(database_url, on_changed=told.append)
    await release(Migration("9999_other.sql", _BREAKING))
    await _disconnect(connection)

    with pytest.raises(LogChanged):
        await _call_until(store, LogChanged)
    await store.close()
    assert "9999_other.sql" in str(told[0])


def test_every_migration_of_ours_has_a_number_of_its_own_and_none_is_compatible_with_later_code_only():
    numbers = [migration.number for migration in _OURS]
    assert numbers == list(range(1, len(numbers) + 1))
    assert all(migration.compatible_from <= migration.number for migration in _OURS)


# --- the log's name --------------------------------------------------------------------------------


async def test_a_process_whose_database_became_another_log_does_nothing_in_it_and_is_told_to_go(
    database_url: str, connection: Connection
):
    """As after a failover: the connections break, and the ones that replace them lead elsewhere."""
    told: list[LogChanged] = []
    store = await open_store(database_url, pool_max=2, on_changed=told.append)
    owner = await owned_session(store)
    await connection.execute("update log set log_id = gen_random_uuid()")
    await _disconnect(connection)

    for call in (
        lambda: store.reader.read(owner.session, after=0),
        lambda: store.writer.append([owner.batch(delta())]),
        lambda: store.claims.renew("w1", {owner.session: owner.epoch}, lease_s=30),
    ):
        for _ in range(3):
            with pytest.raises(StoreUnavailable):
                await call()
    with pytest.raises(LogChanged, match="failed over"):
        await store.reader.pulses([owner.session])
    await store.close()

    assert len(told) == 1
    assert await connection.fetchval("select count(*) from events") == 1


async def test_a_connection_that_breaks_is_replaced_while_the_log_is_the_same(
    database_url: str, connection: Connection
):
    told: list[LogChanged] = []
    store = await open_store(database_url, on_changed=told.append)
    await _disconnect(connection)
    deadline = asyncio.get_running_loop().time() + 10
    while True:
        try:
            assert await store.reader.pulses([1]) == {}
            break
        except StoreUnavailable:
            assert asyncio.get_running_loop().time() < deadline
    await store.close()
    assert told == []


async def test_a_store_that_is_told_its_log_opens_no_other(database_url: str):
    with pytest.raises(LogChanged):
        await open_store(database_url, log_id="another")


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


async def _disconnect(connection: Connection) -> None:
    """End every connection to the database but this one."""
    await connection.execute(
        """select pg_terminate_backend(pid, 5000) from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'"""
    )


async def _call_until(store: PostgresStore, error: type[Exception]) -> None:
    """Call until a new connection is opened: one that was ended is noticed by its next user."""
    for _ in range(5):
        try:
            await store.reader.pulses([1])
        except error:
            raise
        except StoreUnavailable:
            continue


# --- migrating beside others -----------------------------------------------------------------------


async def as_of_the_first_release(database_url: str) -> Connection:
    """Bring an empty database to what 0001 alone made of it, and stay connected."""
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "create table migrations (name text primary key, checksum text not null,"
        " applied_at timestamptz not null default now())"
    )
    first = _OURS[0]
    await connection.execute(first.sql)
    await connection.execute(
        "insert into migrations (name, checksum) values ($1, $2)", first.name, first.checksum
    )
    return connection


async def test_a_database_of_the_first_release_is_told_what_it_lacks(empty_database_url: str):
    connection = await as_of_the_first_release(empty_database_url)
    try:
        with pytest.raises(MigrationError, match=r"0002.*holdfast migrate"):
            await open_store(empty_database_url)
        applied = await migrations.status(empty_database_url)
        assert [name for name, is_applied in applied.items() if not is_applied] == [
            migration.name for migration in _OURS[1:]
        ]
    finally:
        await connection.close()
    assert await migrate(empty_database_url) == [migration.name for migration in _OURS[1:]]


async def test_migrating_what_is_up_to_date_locks_nobody_out(
    database_url: str, connection: Connection
):
    """A dump holds every table for as long as it takes."""
    async with connection.transaction():
        await connection.fetch("select * from migrations")
        async with asyncio.timeout(10):
            assert await migrate(database_url) == []


async def test_a_migration_gives_up_soon_where_somebody_holds_the_table(
    database_url: str, connection: Connection, monkeypatch: pytest.MonkeyPatch
):
    """Whoever comes behind its lock waits as long as it does itself."""
    newer = Migration("9998_more.sql", "alter table events add column note text")
    monkeypatch.setattr(migrations, "migrations", lambda: [*_OURS, newer])
    monkeypatch.setattr(migrations, "LOCK_TIMEOUT_S", 0.2)
    async with connection.transaction():
        await connection.fetch("select * from events")
        async with asyncio.timeout(10):
            with pytest.raises(StoreUnavailable, match=r"9998_more\.sql.*run it again"):
                await migrate(database_url)
    assert await migrate(database_url) == [newer.name]


async def test_sessions_are_created_while_a_database_is_migrated(empty_database_url: str):
    """Its locks are taken in the order in which everybody takes theirs: nobody waits in a circle."""
    connection = await as_of_the_first_release(empty_database_url)
    statement = "insert into sessions (tenant, session_id) values ('t', $1) returning id"
    command = "insert into commands (command_id, session, kind) values ($1, $2, 'create')"
    migrating: asyncio.Task[list[str]] | None = None
    other = await asyncpg.connect(empty_database_url)
    try:
        async with connection.transaction():
            session = await connection.fetchval(statement, "s")
            migrating = asyncio.create_task(migrate(empty_database_url))
            async with asyncio.timeout(10):
                while not await other.fetchval(_WAITS):  # noqa: ASYNC110 - somebody else waits
                    await asyncio.sleep(0.01)
            await connection.execute(command, "c", session)
        assert await migrating == [migration.name for migration in _OURS[1:]]
    finally:
        if migrating is not None:
            await asyncio.wait([migrating])
        await other.close()
        await connection.close()
