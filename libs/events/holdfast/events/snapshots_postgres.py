"""Snapshots in Postgres."""

from holdfast.events.pool_postgres import Pool, acquired
from holdfast.events.snapshots import SNAPSHOT_BYTES_MAX, Snapshot

_LATEST = """
select seq, body from snapshots
 where session = $1 and fold_version = $2 and seq <= $3
 order by seq desc limit 1
"""

_INSERT = """
insert into snapshots (session, seq, fold_version, body)
select $1, $2, $3, $4
 where exists (select from sessions where id = $1)
   and not exists (select from snapshots where session = $1 and fold_version = $3 and seq >= $2)
on conflict do nothing
returning seq
"""

_REPLACED = """
delete from snapshots
 where session = $1 and (fold_version < $3 or (fold_version = $3 and seq < $2))
"""

# An erasure that commits between our insert and this lock has not seen our row: then it must not stay. One that comes
# after the lock waits for our commit and deletes it. Last, so that the session's owner, whose appends wait for this
# lock as well, waits for a commit and not for megabytes.
_STANDS = "select status <> 'erased' from sessions where id = $1 for share"


class PostgresSnapshots:
    """Snapshots over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def latest(self, session: int, *, fold_version: int, until: int) -> Snapshot | None:
        """Return the session's snapshot by this very version of the fold, if it isn't beyond seq `until`."""
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(_LATEST, session, fold_version, until)
        return None if row is None else Snapshot(row["seq"], row["body"])

    async def keep(self, session: int, *, seq: int, fold_version: int, body: bytes) -> bool:
        """Keep a snapshot instead of the session's earlier ones, and of those of older versions."""
        if len(body) > SNAPSHOT_BYTES_MAX:
            return False
        async with acquired(self._pool) as connection:
            transaction = connection.transaction()
            await transaction.start()
            kept = False
            try:
                if await connection.fetchval(_INSERT, session, seq, fold_version, body) is not None:
                    await connection.execute(_REPLACED, session, seq, fold_version)
                    kept = bool(await connection.fetchval(_STANDS, session))
            finally:
                await (transaction.commit() if kept else transaction.rollback())
            return kept
