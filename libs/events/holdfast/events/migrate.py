"""Brings a database to the schema that this version needs: numbered plain SQL, applied once each, in order.

Safe to run from any number of processes at once: an advisory lock lets one of them do the work. A file that was
changed after it was applied is refused, since nobody could say any more what the database holds.

Deployments roll: the database is migrated first, and older processes go on working on it for a while, also when they
reconnect. A migration that only adds (tables, columns with defaults, indexes) is for all of them. One that older code
can't live with says so in a line of its own, and older code then refuses the database:

    -- compatible from: 0007

names the oldest schema whose code may still work here: most often the file's own number.
"""

import hashlib
import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

import asyncpg

from holdfast.events.errors import MigrationError, StoreUnavailable
from holdfast.events.pool_postgres import Connection

# Any number will do as long as nobody else in the database uses it: the letters of "hold".
_LOCK = 0x686F6C64

_TABLE = """
create table if not exists migrations (
    name            text        primary key,
    checksum        text        not null,
    applied_at      timestamptz not null default now()
)
"""

# Since 0002. Looked for first: even where there is nothing to add, `alter table` locks everybody out.
_COLUMN = "alter table migrations add column compatible_from integer not null default 1"
_HAS_COLUMN = """
select exists (select from pg_attribute where attrelid = to_regclass('migrations')
                  and attname = 'compatible_from' and not attisdropped)
"""

# A migration that waits for a table dams up everybody who comes for it after; behind a dump, for hours. Below the 5 s
# that a statement of a service may take, so that none fails because of it.
LOCK_TIMEOUT_S = 3.0

_COMPATIBLE_FROM = re.compile(r"^-- compatible from: (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What the file's text hashes to."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def number(self) -> int:
        """Its place in the order."""
        return int(self.name.partition("_")[0])

    @property
    def compatible_from(self) -> int:
        """The oldest schema whose code may still work on a database that has this one; 1 for all there ever was."""
        found = _COMPATIBLE_FROM.search(self.sql)
        return 1 if found is None else int(found[1])


def migrations() -> list[Migration]:
    """Return the schema's files in the order in which they apply."""
    folder = resources.files("holdfast.events") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [Migration(name, (folder / name).read_text("utf-8")) for name in names]


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing; return the names of the files that were applied, none when up to date.

    Raises MigrationError when the database holds a schema that this version can't continue, and StoreUnavailable
    when it can't be reached, or somebody holds a table for longer than LOCK_TIMEOUT_S; what was applied until then
    stays.
    """
    connection = await _connect(database_url)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(f"set lock_timeout = {int(LOCK_TIMEOUT_S * 1000)}")
        applied: list[str] = []
        with _not_held("migrations"):
            await connection.execute(_TABLE)
            if not await connection.fetchval(_HAS_COLUMN):
                await connection.execute(_COLUMN)
        for migration in await _missing(connection):
            with _not_held(migration.name):
                await _apply(connection, migration)
            applied.append(migration.name)
        return applied
    finally:
        await connection.close()


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into migrations (name, checksum, compatible_from) values ($1, $2, $3)",
            migration.name,
            migration.checksum,
            migration.compatible_from,
        )


@contextmanager
def _not_held(name: str) -> Generator[None]:
    try:
        yield
    except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
        raise StoreUnavailable(
            f"{name} could not be applied, somebody holds what it changes ({error}); run it again"
        ) from error


async def status(database_url: str) -> dict[str, bool]:
    """Return every schema file's name and whether it has been applied."""
    connection = await _connect(database_url)
    try:
        missing = {m.name for m in await _missing(connection)}
        return {m.name: m.name not in missing for m in migrations()}
    finally:
        await connection.close()


async def check_schema(connection: Connection) -> None:
    """Raise MigrationError unless this version can work with the schema: its own, or a newer one that allows it."""
    if missing := await _missing(connection):
        names = ", ".join(m.name for m in missing)
        raise MigrationError(f"the database lacks {names}; run `holdfast migrate`")


async def _missing(connection: Connection) -> list[Migration]:
    if not await connection.fetchval("select to_regclass('migrations') is not null"):
        return migrations()
    # Whatever columns there are: those of the first release have no `compatible_from`.
    rows = await connection.fetch("select * from migrations")
    applied: dict[str, str] = {row["name"]: row["checksum"] for row in rows}
    files = migrations()
    ours = max(migration.number for migration in files)
    known = {migration.name for migration in files}
    newer = [row for row in rows if row["name"] not in known]
    if breaking := sorted(row["name"] for row in newer if row.get("compatible_from", 1) > ours):
        raise MigrationError(
            f"the database is newer than this version, which knows schema {ours:04} and can't work with"
            f" {', '.join(breaking)}: run a newer version"
        )
    for migration in files:
        if applied.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(f"{migration.name} was changed after it was applied")
    return [m for m in files if m.name not in applied]


async def _connect(database_url: str) -> Connection:
    try:
        return await asyncpg.connect(
            database_url, timeout=float(os.environ.get("PGCONNECT_TIMEOUT", "10"))
        )
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise StoreUnavailable(f"cannot connect to Postgres: {error}") from error
