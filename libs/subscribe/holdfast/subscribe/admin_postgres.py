"""What operators ask of durable subscriptions, in Postgres."""

from collections.abc import Sequence

from holdfast.events.pool_postgres import Connection, Pool, acquired
from holdfast.subscribe.delivery import ORIGIN, Position
from holdfast.subscribe.store import (
    LAG_EVENTS_MAX,
    Apply,
    DeadLetter,
    SubscriptionInfo,
    SubscriptionUnknown,
)
from holdfast.subscribe.subscription import Start

_LIST = """
select s.name, s.after_tx::text::bigint as tx, s.after_session, s.after_seq, s.error, s.moved_at, s.dropped,
       case when s.lease_until >= clock_timestamp() then s.owner end as owner,
       l.n as lag, coalesce(extract(epoch from clock_timestamp() - l.oldest), 0)::float8 as lag_s,
       (select count(*) from parked_events p where p.subscription = s.name and p.dead_at is null) as waiting,
       (select count(*) from parked_events p where p.subscription = s.name and p.dead_at is not null) as dead
  from subscriptions s
 cross join lateral (
        select count(*) as n, min(recorded_at) as oldest
          from (select recorded_at from events
                 where (tx, session, seq) > (s.after_tx, s.after_session, s.after_seq)
                 order by tx, session, seq limit $1) e) l
 order by s.name
"""
_DEAD = """
select p.session, p.seq, p.tries, p.dead_at, coalesce(p.error, '') as error, s.tenant, s.session_id, e.type
  from parked_events p
  join sessions s on s.id = p.session
  left join events e on e.session = p.session and e.seq = p.seq
 where p.subscription = $1 and p.dead_at is not null
 order by p.dead_at, p.session, p.seq limit $2
"""
_REPLAY = """
with again as (
    update parked_events p set dead_at = null, tries = 0, due_at = clock_timestamp()
     where p.subscription = $1 and p.dead_at is not null
       and ($2::bigint[] is null or (p.session, p.seq) in (select * from unnest($2, $3::bigint[])))
    returning 1)
select count(*) from again
"""
_DISCARD = """
with gone as (
    delete from parked_events p
     where p.subscription = $1 and p.dead_at is not null
       and ($2::bigint[] is null or (p.session, p.seq) in (select * from unnest($2, $3::bigint[])))
    returning 1)
select count(*) from gone
"""
# The holder finds its epoch gone at its next save, and begins anew from here.
_RESET = """
update subscriptions
   set epoch = epoch + 1, owner = null, lease_until = null, error = null, moved_at = clock_timestamp(),
       after_tx = case when $2 then pg_snapshot_xmin(pg_current_snapshot()) else $3::text::xid8 end,
       after_session = $4, after_seq = $5
 where name = $1
returning after_tx::text::bigint as tx, after_session, after_seq
"""


class SubscriptionsAdmin:
    """The operators' half of `Subscriptions`."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def all(self) -> Sequence[SubscriptionInfo]:
        """Return every subscription, by name."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_LIST, LAG_EVENTS_MAX + 1)
        return [
            SubscriptionInfo(
                name=row["name"],
                position=Position(row["tx"], row["after_session"], row["after_seq"]),
                owner=row["owner"],
                lag=row["lag"],
                lag_s=row["lag_s"],
                waiting=row["waiting"],
                dead=row["dead"],
                dropped=row["dropped"],
                error=row["error"],
                moved_at=row["moved_at"],
            )
            for row in rows
        ]

    async def dead_letters(self, name: str, *, limit: int = 100) -> Sequence[DeadLetter]:
        """Return a subscription's dead letters, oldest first. Raises SubscriptionUnknown."""
        async with acquired(self._pool) as connection:
            await _check_known(connection, name)
            rows = await connection.fetch(_DEAD, name, limit)
        return [DeadLetter(**row) for row in rows]

    async def replay(self, name: str, keys: Sequence[tuple[int, int]] | None = None) -> int:
        """Have dead letters tried anew, these or all; return how many. Raises SubscriptionUnknown."""
        return await self._change(_REPLAY, name, keys)

    async def discard(self, name: str, keys: Sequence[tuple[int, int]] | None = None) -> int:
        """Forget dead letters, these or all; return how many. Raises SubscriptionUnknown."""
        return await self._change(_DISCARD, name, keys)

    async def reset(
        self, name: str, to: Position | Start, *, apply: Apply | None = None
    ) -> Position:
        """Move a subscription, drop what is parked, and take it from its holder, together with `apply`'s writes."""
        place = to if isinstance(to, Position) else ORIGIN
        async with acquired(self._pool) as connection, connection.transaction():
            row = await connection.fetchrow(
                _RESET, name, to is Start.NOW, str(place.tx), place.session, place.seq
            )
            if row is None:
                raise SubscriptionUnknown(name)
            await connection.execute("delete from parked_events where subscription = $1", name)
            if apply is not None:
                await apply(connection)
        return Position(row["tx"], row["after_session"], row["after_seq"])

    async def _change(
        self, statement: str, name: str, keys: Sequence[tuple[int, int]] | None
    ) -> int:
        columns = (None, None) if keys is None else ([k[0] for k in keys], [k[1] for k in keys])
        async with acquired(self._pool) as connection:
            await _check_known(connection, name)
            return await connection.fetchval(statement, name, *columns)


async def _check_known(connection: Connection, name: str) -> None:
    if not await connection.fetchval(
        "select exists (select from subscriptions where name = $1)", name
    ):
        raise SubscriptionUnknown(name)
