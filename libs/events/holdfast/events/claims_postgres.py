"""Who owns which session, in Postgres. Every time is the database's own."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

import asyncpg
import structlog

from holdfast.events import claiming_postgres, erasure_postgres, slots_postgres
from holdfast.events.commands import Command
from holdfast.events.errors import StoreError
from holdfast.events.housekeeping_postgres import expire_due
from holdfast.events.pool_postgres import Connection, Pool, acquired, json_value
from holdfast.events.rows_postgres import look_at, open_commands, open_runs
from holdfast.events.store import Claim, Journal, Look, Run, SessionStatus

# Passes over rows that somebody holds: one that is stuck must not cost all others their leases. Whether such a
# session still stands is read without its lock; an epoch that was seen to be another's never comes back.
#
# Sub-selects here and below keep Postgres from planning each call anew (see `rows_postgres`). What is locked is carried
# on: a join of two things that are taken for ten rows each would be a loop in a loop, while rows are locked. And so it
# would be with `owner = $1`, which lets Postgres go through the index of leased sessions: at night it counted none.
_RENEW = """
with b as (
    select * from unnest((select $2::bigint[]), $3::bigint[]) as b (session, epoch)
), locked as (
    select b.* from sessions s join b on b.session = s.id
     where s.epoch = b.epoch and s.owner is not distinct from $1
     order by s.id for no key update of s skip locked
), u as (
    update sessions s set lease_until = clock_timestamp() + make_interval(secs => $4)
      from locked b
     where s.id = b.session and s.epoch = b.epoch and s.owner is not distinct from $1
 returning s.id
)
select b.session, s.owner is distinct from $1 or s.epoch <> b.epoch as lost
  from b left join sessions s on s.id = b.session
 where b.session not in (select id from u)
"""

# A row that is held is most often held by this worker's own append, for a few milliseconds: ask four times more.
_RENEW_TRIES = 5
_RENEW_PAUSE_S = 0.05

_RELEASE = """
with b as (
    select * from unnest((select $1::bigint[]), $2::bigint[], $3::bigint[]) as b (session, epoch, published)
), locked as (
    select b.* from sessions s join b on b.session = s.id order by s.id for update of s
)
update sessions s
   set owner = null, lease_until = clock_timestamp(), published_seq = greatest(s.published_seq, b.published),
       behind = greatest(s.published_seq, b.published) < s.next_seq - 1
  from locked b
 where s.id = b.session and s.epoch = b.epoch
"""

_LET_GO = "select let_go_of_session($1, $2, $3)"

# Two small indexes instead of one over `published_seq < next_seq - 1`: an index that names a column which every
# append changes would make every append write all of the row's index entries anew.
_UNPUBLISHED = """
select id, published_seq, next_seq - 1 as head from sessions
 where behind and owner is null and published_seq < next_seq - 1
union all
select id, published_seq, next_seq - 1 from sessions
 where owner is not null and lease_until < statement_timestamp() and published_seq < next_seq - 1
 order by id limit $1
"""

# In key order, as everybody locks sessions: two statements that each hold what the other waits for would stand still
# for a second, and one of them, perhaps an append, would be thrown out.
_PUBLISHED = """
with b as (
    select * from unnest((select $1::bigint[]), $2::bigint[]) as b (session, published)
), locked as (
    select b.* from sessions s join b on b.session = s.id order by s.id for no key update of s
)
update sessions s
   set published_seq = greatest(s.published_seq, b.published),
       behind = s.behind and greatest(s.published_seq, b.published) < s.next_seq - 1
  from locked b
 where s.id = b.session
"""

_STRIKE = """
with s as (
    select id from sessions where id = $2 and epoch = $3 and owner is not null for no key update
)
update runs r set strikes = strikes + 1 from s where r.run_id = $1 and r.session = s.id returning strikes
"""

# Keys of events, and results, which have no seq.
_JOURNAL = """
select key, seq, type, null::bytea as body from events where run_id = $1 and key is not null
union all
select key, null, null, body from step_results where run_id = $1
"""

log = structlog.get_logger("holdfast.claims")

_ERASED = """
select id, next_seq - 1 as head from sessions
 where erased_at is not null and erased_at > clock_timestamp() - make_interval(secs => $1)
 order by erased_at desc limit $2
"""


class PostgresClaims:
    """Claims, leases and what their holders need to know, over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def claim(
        self, worker: str, *, workflows: Sequence[str], lease_s: float, limit: int
    ) -> Sequence[Claim]:
        """Own up to `limit` sessions with something to do."""
        async with acquired(self._pool) as connection:
            rows = await claiming_postgres.claim(connection, worker, workflows, lease_s, limit)
        if not rows:
            return ()
        try:
            # Read after the claim has committed: whatever was asked before is seen now, and
            # whatever is asked from now on finds an owner and comes through `pending`.
            return await self._told(rows)
        except BaseException:
            # Nobody would know of these sessions for a whole lease; if this fails too, they wait for its end.
            with suppress(StoreError):
                await self.release({row["id"]: row["epoch"] for row in rows}, published={})
            raise

    async def _told(self, rows: Sequence[asyncpg.Record]) -> list[Claim]:
        """Return what there is to know of claimed sessions; one that can't be read is left out."""
        try:
            async with acquired(self._pool) as connection:
                return await _claims(connection, rows)
        except StoreError:
            raise
        except Exception:
            if len(rows) > 1:
                # One of them is to blame, and costs only itself.
                return [claim for row in rows for claim in await self._told([row])]
            # It stays ours in name, and nobody renews it: so it is tried once a lease, by whoever comes first. Given
            # back, it would be claimed by everybody all the time.
            [row] = rows
            log.exception("session.unreadable", session=row["session_id"], n=row["id"])
            return []

    async def limited(self, worker: str, workflow: str) -> bool:
        """Tell whether a run of this workflow needs a slot, which a claim gives and nobody else."""
        async with acquired(self._pool) as connection:
            return await slots_postgres.limited(connection, worker, [workflow])

    async def renew(
        self, worker: str, sessions: Mapping[int, int], *, lease_s: float
    ) -> frozenset[int]:
        """Extend the leases of session → epoch; return those that are lost."""
        left, lost = dict(sessions), set[int]()
        for tries in range(_RENEW_TRIES):
            if tries:
                await asyncio.sleep(_RENEW_PAUSE_S)
            async with acquired(self._pool) as connection:
                rows = await connection.fetch(
                    _RENEW, worker, list(left), list(left.values()), lease_s
                )
            lost |= {row["session"] for row in rows if row["lost"]}
            left = {row["session"]: left[row["session"]] for row in rows if not row["lost"]}
            if not left:
                break
        return frozenset(lost)

    async def release(self, sessions: Mapping[int, int], *, published: Mapping[int, int]) -> None:
        """Give up sessions so that anybody may claim them at once."""
        known = [published.get(session, 0) for session in sessions]
        async with acquired(self._pool) as connection:
            await connection.execute(_RELEASE, list(sessions), list(sessions.values()), known)

    async def let_go(self, session: int, *, epoch: int, published: int) -> bool:
        """Release the session if nothing is to be done in it; False if there is something."""
        async with acquired(self._pool) as connection:
            return await connection.fetchval(_LET_GO, session, epoch, published)

    async def look(self, session: int) -> Look:
        """Return what is open in the session."""
        async with acquired(self._pool) as connection:
            looks, _ = await look_at(connection, [session])
        return looks[session]

    async def pending(self, sessions: Sequence[int]) -> Sequence[Command]:
        """Return the open commands of these sessions, oldest first."""
        async with acquired(self._pool) as connection:
            commands, _ = await open_commands(connection, sessions)
        # What can't be read stays open: whoever claims its session next comes to `_told`.
        return commands

    async def open_runs(self, session: int) -> Sequence[Run]:
        """Return the session's runs that have not ended, oldest first."""
        async with acquired(self._pool) as connection:
            return await open_runs(connection, session)

    async def journal(self, run_id: str) -> Journal:
        """Return what is recorded of a run."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_JOURNAL, run_id)
        return Journal(
            {row["key"]: (row["seq"], row["type"]) for row in rows if row["seq"] is not None},
            {row["key"]: row["body"] for row in rows if row["seq"] is None},
        )

    async def strike(self, run_id: str, *, session: int, epoch: int) -> int:
        """Count a takeover of the run that brought no new step yet; return how many there were in a row."""
        async with acquired(self._pool) as connection:
            return await connection.fetchval(_STRIKE, run_id, session, epoch) or 0

    async def erase_some(self, session: int, *, epoch: int, limit: int) -> bool:
        """Delete the oldest of what an erasure deletes, `limit` rows of each kind; return whether to go on."""
        async with acquired(self._pool) as connection, connection.transaction():
            return await erasure_postgres.erase_some(connection, session, epoch, limit)

    async def unpublished(self, *, limit: int) -> Sequence[tuple[int, int, int]]:
        """Return (session, published, head) of unowned sessions whose stream is behind, for the sweep."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_UNPUBLISHED, limit)
        return [(row["id"], row["published_seq"], row["head"]) for row in rows]

    async def mark_published(self, published: Mapping[int, int]) -> None:
        """Note how far the streams of these sessions are."""
        async with acquired(self._pool) as connection:
            await connection.execute(_PUBLISHED, list(published), list(published.values()))

    async def erased(self, *, within_s: float, limit: int) -> Mapping[int, int]:
        """Return the sessions erased in the last `within_s` seconds, newest first, each with its head."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_ERASED, within_s, limit)
        return {row["id"]: row["head"] for row in rows}

    async def expire_due(self, *, limit: int) -> int:
        """Ask for the expiry of sessions whose time to live ran out; return how many."""
        async with acquired(self._pool) as connection:
            return await expire_due(connection, limit)


async def _claims(connection: Connection, rows: Sequence[asyncpg.Record]) -> list[Claim]:
    looks, unreadable = await look_at(connection, [row["id"] for row in rows])
    if unreadable:
        raise ValueError(f"commands of sessions {sorted(unreadable)} can't be read")
    return [
        Claim(
            session=row["id"],
            tenant=row["tenant"],
            session_id=row["session_id"],
            status=SessionStatus(row["status"]),
            epoch=row["epoch"],
            head=row["head"],
            published=row["published_seq"],
            last_ts=row["last_ts"],
            metadata=json_value(row["metadata"]),
            ttl_s=row["ttl_s"],
            taken_over=row["taken_over"],
            commands=looks[row["id"]].commands,
            runs=looks[row["id"]].runs,
            slot=row["slot"],
            limited=row["limited"],
        )
        for row in rows
    ]
