"""The name of the log that a database holds: one that no copy of the database shares.

A database that was cloned from a template or restored from a backup brings `log.log_id` along, and then writes events
of its own under the same seqs. If it named its stream's windows alike, it would read the other's events from them. So
the name is made of the `log_id`, the cluster, the database in it and the cluster's timeline, which is another after
every failover and point-in-time recovery. All processes of one log agree on it, since they ask the same database.
A process keeps the name it opened the log with: after a failover it has to be started again (`log_check_postgres`).
"""

from uuid import UUID, uuid5

import asyncpg

from holdfast.events.errors import StoreUnavailable
from holdfast.events.pool_postgres import Connection

_DATABASE = "select oid::text from pg_database where datname = current_database()"
_CLUSTER = "select system_identifier::text from pg_control_system()"
# Of the log as it is being written: the control file tells of the last checkpoint's, which is late after a failover.
_TIMELINE = "select left(pg_walfile_name(pg_current_wal_lsn()), 8)"

# A managed Postgres may keep these functions to itself.
_UNTOLD = (
    asyncpg.InsufficientPrivilegeError,
    asyncpg.UndefinedFunctionError,
    asyncpg.FeatureNotSupportedError,
)


async def log_name(connection: Connection) -> str:
    """Return the log's name, a UUID. What this role may not ask for is left out of it.

    All processes of a log must therefore be of roles that may ask the same. Raises StoreUnavailable on a standby: it
    writes no log, and has another name as soon as it does.
    """
    if await connection.fetchval("select pg_is_in_recovery()"):
        raise StoreUnavailable("Postgres: it is a standby, and not promoted yet")
    log_id: UUID = await connection.fetchval("select log_id from log")
    facts = [await _told(connection, query) for query in (_CLUSTER, _DATABASE, _TIMELINE)]
    return str(uuid5(UUID(str(log_id)), ":".join(facts)))


async def _told(connection: Connection, query: str) -> str:
    try:
        # In a transaction of its own, or a savepoint: being refused must not end the caller's.
        async with connection.transaction():
            return await connection.fetchval(query)
    except _UNTOLD:
        return "?"
