"""Brings a database to the schema that this version needs: numbered plain SQL, applied once each, in order.

Safe to run from any number of processes at once: an advisory lock lets one of them do the work. A file that was
changed after it was applied is refused, since nobody could say any more what the database holds.
"""

import hashlib
import os
from dataclasses import dataclass
from importlib import resources

import asyncpg

from holdfast.events.errors import MigrationError, StoreUnavailable
from holdfast.events.pool_postgres import Connection

# Any number will do as long as nobody else in the database uses it: the letters of "hold".
_LOCK = 0x686F6C64

_TABLE = """
create table if not exists migrations (
    name       text        primary key,
    checksum   text        not null,
    applied_at timestamptz not null default now()
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the schema."""

    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """What the file's text hashes to."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return the schema's files in the order in which they apply."""
    folder = resources.files("holdfast.events") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [Migration(name, (folder / name).read_text("utf-8")) for name in names]


async def migrate(database_url: str) -> list[str]:
    """Apply what is missing; return the names of the files that were applied, none when up to date.

    Raises MigrationError when the database holds a schema that this version can't continue, and StoreUnavailable
    when it can't be reached.
    """
    connection = await _connect(database_url)
    try:
        await connection.execute("select pg_advisory_lock($1)", _LOCK)
        await connection.execute(_TABLE)
        applied: list[str] = []
        for migration in await _missing(connection):
            async with connection.transaction():
                await connection.execute(migration.sql)
                await connection.execute(
                    "insert into migrations (name, checksum) values ($1, $2)",
                    migration.name,
                    migration.checksum,
                )
            applied.append(migration.name)
        return applied
    finally:
        await connection.close()


async def status(database_url: str) -> dict[str, bool]:
    """Return every schema file's name and whether it has been applied."""
    connection = await _connect(database_url)
    try:
        missing = {m.name for m in await _missing(connection)}
        return {m.name: m.name not in missing for m in migrations()}
    finally:
        await connection.close()


async def check_schema(connection: Connection) -> None:
    """Raise MigrationError unless the database holds exactly the schema of this version."""
    if missing := await _missing(connection):
        names = ", ".join(m.name for m in missing)
        raise MigrationError(f"the database lacks {names}; run `holdfast migrate`")


async def _missing(connection: Connection) -> list[Migration]:
    if not await connection.fetchval("select to_regclass('migrations') is not null"):
        return migrations()
    rows = await connection.fetch("select name, checksum from migrations")
    applied: dict[str, str] = {row["name"]: row["checksum"] for row in rows}
    files = migrations()
    if strangers := applied.keys() - {m.name for m in files}:
        raise MigrationError(
            f"the database is newer than this version: it holds {', '.join(sorted(strangers))}"
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
