"""The log in Postgres: the adapters over one pool."""

from holdfast.events.append_postgres import PostgresWriter
from holdfast.events.claims_postgres import PostgresClaims
from holdfast.events.desk_postgres import PostgresDesk
from holdfast.events.identity_postgres import log_name
from holdfast.events.migrate import check_schema
from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS, Pool, acquired, open_pool
from holdfast.events.read_postgres import PostgresReader
from holdfast.events.registry_postgres import PostgresRegistry
from holdfast.events.store import Claims, Desk, Health, Reader, Registry, Writer

# What durable-before-visible rests on.
_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
}


class PostgresStore:
    """A `Store` over one pool of connections; open it with `open_store`."""

    def __init__(self, pool: Pool, log_id: str) -> None:
        self._pool = pool
        self.log_id = log_id
        self.reader: Reader = PostgresReader(pool)
        self.writer: Writer = PostgresWriter(pool)
        self.claims: Claims = PostgresClaims(pool)
        self.desk: Desk = PostgresDesk(pool)
        self.registry: Registry = PostgresRegistry(pool)

    async def health(self) -> Health:
        """Ask the database for its version and for the settings that durability rests on."""
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(
                """select current_setting('server_version') as server_version,
                          current_setting('fsync') as fsync,
                          current_setting('full_page_writes') as full_page_writes,
                          current_setting('synchronous_commit') as synchronous_commit,
                          current_setting('max_connections') as max_connections"""
            )
        details: dict[str, str] = dict(row or {})
        durable = all(details[name] in wanted for name, wanted in _DURABLE.items())
        return Health(details.pop("server_version"), durable, details)

    @property
    def connections(self) -> int:
        """How many connections are open now."""
        return self._pool.get_size()

    async def close(self) -> None:
        """Give back every connection."""
        await self._pool.close()


async def open_store(
    database_url: str, *, pool_max: int = GATEWAY_CONNECTIONS, application_name: str = "holdfast"
) -> PostgresStore:
    """Connect to the log. Raises StoreUnavailable, and MigrationError when the schema isn't this version's."""
    pool = await open_pool(database_url, application_name=application_name, pool_max=pool_max)
    try:
        async with acquired(pool) as connection:
            await check_schema(connection)
            name = await log_name(connection)
    except BaseException:
        await pool.close()
        raise
    return PostgresStore(pool, name)
