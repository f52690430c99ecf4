"""The log in Postgres: the adapters over one pool."""

from holdfast.events.append_postgres import PostgresWriter
from holdfast.events.claims_postgres import PostgresClaims
from holdfast.events.desk_postgres import PostgresDesk
from holdfast.events.log_check_postgres import LogCheck, OnChanged
from holdfast.events.pool_postgres import GATEWAY_CONNECTIONS, Pool, acquired, open_pool
from holdfast.events.read_postgres import PostgresReader
from holdfast.events.registry_postgres import PostgresRegistry
from holdfast.events.snapshots_postgres import PostgresSnapshots
from holdfast.events.store import Claims, Desk, Health, Reader, Registry, Snapshots, Writer

# What durable-before-visible rests on.
_DURABLE = {
    "fsync": ("on",),
    "full_page_writes": ("on",),
    "synchronous_commit": ("on", "remote_apply"),
}


class PostgresStore:
    """A `Store` over one pool of connections, and perhaps a small one aside; open it with `open_store`."""

    def __init__(self, pool: Pool, log_id: str, *, vital: Pool | None = None) -> None:
        self._pool, self._vital = pool, vital or pool
        self.log_id = log_id
        self.reader: Reader = PostgresReader(pool, pulse=self._vital)
        self.writer: Writer = PostgresWriter(pool)
        self.claims: Claims = PostgresClaims(pool)
        self.desk: Desk = PostgresDesk(pool)
        self.registry: Registry = PostgresRegistry(pool)
        self.snapshots: Snapshots = PostgresSnapshots(pool)

    async def health(self) -> Health:
        """Ask the database for its version and for the settings that durability rests on."""
        async with acquired(self._vital) as connection:
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
        return sum(pool.get_size() for pool in {self._pool, self._vital})

    async def close(self) -> None:
        """Give back every connection."""
        for pool in {self._pool, self._vital}:
            await pool.close()


async def open_store(
    database_url: str,
    *,
    pool_max: int = GATEWAY_CONNECTIONS,
    reserved: int = 0,
    application_name: str = "holdfast",
    log_id: str | None = None,
    on_changed: OnChanged | None = None,
) -> PostgresStore:
    """Connect to the log, with at most `pool_max` connections.

    `reserved` of them serve `pulses` and `health` alone: what a gateway's life hangs on never waits for its clients.
    Every connection is made sure to lead to one and the same log (to `log_id`, if given): when the address leads to
    another one some day, `on_changed(error)` is called once, and every call raises that LogChanged from then on.
    Raises StoreUnavailable, and MigrationError when this version can't work with the schema.
    """
    check = LogCheck(log_id=log_id, on_changed=on_changed)
    pool = await open_pool(
        database_url,
        application_name=application_name,
        pool_max=pool_max - reserved,
        check=check,
    )
    try:
        async with acquired(pool):
            assert check.log_id is not None, "the first connection tells"
        vital = None
        if reserved:
            vital = await open_pool(
                database_url, application_name=application_name, pool_max=reserved, check=check
            )
    except BaseException:
        await pool.close()
        raise
    return PostgresStore(pool, check.log_id, vital=vital)
