"""Durable subscriptions in Postgres.

The one delicate thing is the order of the whole log. Sequence numbers and timestamps are given out before a commit,
so whoever goes by them skips what commits late. Here the order is (tx, session, seq), read only below the oldest
transaction that is still under way (`pg_snapshot_xmin`): every transaction below that has ended, so what is visible of
them is all there will ever be. Within a session transactions are in the order of seqs, as an append is only sent
after the one before it was confirmed.

The price: a transaction that writes and stays open, in any database of the server, holds every subscription up.
"""

from typing import Any

from holdfast.events.kinds import TypeFilter
from holdfast.events.pool_postgres import Pool, acquired
from holdfast.events.recorded import RecordedEvent
from holdfast.subscribe.admin_postgres import SubscriptionsAdmin
from holdfast.subscribe.delivery import Delivery, Position
from holdfast.subscribe.store import (
    DEAD_LETTERS_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    Apply,
    Hold,
    HoldLost,
    LogAhead,
    LogPage,
    PositionAhead,
    Progress,
    Waiting,
)
from holdfast.subscribe.subscription import Start

_CREATE = """
insert into subscriptions (name, after_tx)
values ($1, case when $2 then pg_snapshot_xmin(pg_current_snapshot()) else '0'::xid8 end)
on conflict do nothing
"""
_ACQUIRE = """
update subscriptions
   set epoch = epoch + 1, owner = $2, lease_until = clock_timestamp() + make_interval(secs => $3)
 where name = $1 and (lease_until is null or lease_until < clock_timestamp() or owner = $2)
returning epoch, after_tx::text::bigint as tx, after_session, after_seq
"""
_READ = """
select p.* from (
    select e.*, coalesce(sum(length(e.body)) over (order by e.tx, e.session, e.seq), 0)
                - coalesce(length(e.body), 0) as bytes_before
      from (select e.tx, e.session, e.seq, e.type, e.event_id, e.run_id, s.tenant,
                   case when $6 or e.type = any($7) or split_part(e.type, '.', 1) = any($8) then e.body end as body
              from (select * from events
                     where (tx, session, seq) > ($1::text::xid8, $2, $3)
                       and tx < pg_snapshot_xmin(pg_current_snapshot())
                     order by tx, session, seq limit $4) e
              join sessions s on s.id = e.session) e
     ) p where p.bytes_before < $5 order by p.tx, p.session, p.seq
"""
# The first row of an index, if any: what is visible was written by transactions below, unless it was restored.
_AHEAD = """
select $1::text::xid8 > pg_snapshot_xmax(pg_current_snapshot()) as position,
       exists (select from events where tx >= pg_snapshot_xmax(pg_current_snapshot())) as log
"""

# PARKED_MAX rows of an index at most.
_PARKED = """
select session, count(*) as n from parked_events
 where subscription = $1 and dead_at is null group by session
"""
_ORPHANS = """
delete from parked_events p where subscription = $1 and dead_at is null
   and not exists (select from events e where e.session = p.session and e.seq = p.seq)
"""
_WAITING = """
select p.session, p.seq, p.tries, e.type, e.event_id, e.run_id, e.body, e.tx, s.tenant
  from (select *, bool_or(due_at > clock_timestamp()) over (partition by case when $2 then session end,
                          case when not $2 then (session, seq)::text end order by seq) as held
          from parked_events where subscription = $1 and dead_at is null) p
  join events e on e.session = p.session and e.seq = p.seq
  join sessions s on s.id = p.session
 where not p.held
 order by p.session, p.seq limit $3
"""
_SAVE = """
update subscriptions
   set after_tx = coalesce($3::text::xid8, after_tx), after_session = coalesce($4, after_session),
       after_seq = coalesce($5, after_seq), lease_until = clock_timestamp() + make_interval(secs => $6),
       moved_at = case when $3::text is null then moved_at else clock_timestamp() end
 where name = $1 and epoch = $2
returning true
"""
_FAILED = """
insert into parked_events (subscription, session, seq, tries, due_at, dead_at, error)
select $1, f.session, f.seq, f.tries, clock_timestamp() + make_interval(secs => coalesce(f.pause_s, 0)),
       case when f.pause_s is null then clock_timestamp() end, f.error
  from unnest($2::bigint[], $3::bigint[], $4::int[], $5::float8[], $6::text[])
       as f (session, seq, tries, pause_s, error)
on conflict (subscription, session, seq) do update
   set tries = excluded.tries, due_at = excluded.due_at, dead_at = excluded.dead_at, error = excluded.error
"""
_BOUND = """
with gone as (
    delete from parked_events where subscription = $1 and (session, seq) in (
        select session, seq from parked_events where subscription = $1 and dead_at is not null
         order by dead_at desc, session desc, seq desc offset $2)
    returning 1)
update subscriptions set dropped = dropped + (select count(*) from gone)
 where name = $1 and exists (select from gone)
"""
_BEHIND = """
insert into parked_events (subscription, session, seq)
select $1, b.session, b.seq from unnest($2::bigint[], $3::bigint[]) as b (session, seq)
on conflict do nothing
"""
_HANDLED = """
delete from parked_events p using unnest($2::bigint[], $3::bigint[]) as h (session, seq)
 where p.subscription = $1 and p.session = h.session and p.seq = h.seq
"""
_ERASED = """
delete from parked_events p using unnest($2::bigint[], $3::bigint[]) as x (session, seq)
 where p.subscription = $1 and p.session = x.session and p.seq < x.seq
"""


class PostgresSubscriptions(SubscriptionsAdmin):
    """Where subscriptions stand, over a pool."""

    def __init__(self, pool: Pool) -> None:
        super().__init__(pool)
        self._pool = pool

    async def acquire(self, name: str, owner: str, *, lease_s: float, start: Start) -> Hold | None:
        """Become the holder of a subscription, which is made if it is new; None while another one holds it."""
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(_ACQUIRE, name, owner, lease_s)
            if row is None:
                await connection.execute(_CREATE, name, start is Start.NOW)
                row = await connection.fetchrow(_ACQUIRE, name, owner, lease_s)
            if row is None:
                return None
        position = Position(row["tx"], row["after_session"], row["after_seq"])
        return Hold(name, owner, row["epoch"], position)

    async def release(self, hold: Hold) -> None:
        """Let somebody else hold it at once."""
        async with acquired(self._pool) as connection:
            await connection.execute(
                """update subscriptions set owner = null, lease_until = null
                    where name = $1 and epoch = $2""",
                hold.name,
                hold.epoch,
            )

    async def read(self, name: str, after: Position, types: TypeFilter) -> LogPage:
        """Return the next events of all sessions in commit order, as far as nothing can appear before them."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(
                _READ,
                str(after.tx),
                after.session,
                after.seq,
                PAGE_EVENTS_MAX,
                PAGE_BYTES_MAX,
                not types,
                sorted(types.types),
                sorted(types.families),
            )
            ahead = None if rows else await connection.fetchrow(_AHEAD, str(after.tx))
        if ahead is not None and ahead["log"]:
            raise LogAhead
        if ahead is not None and ahead["position"]:
            raise PositionAhead(name, after)
        if not rows:
            return LogPage((), after, more=False)
        last = rows[-1]
        # A page that was cut by its bytes holds PAGE_BYTES_MAX of them.
        size = sum(len(row["body"] or b"") for row in rows)
        return LogPage(
            [_delivery(row) for row in rows if row["body"] is not None],
            Position(int(last["tx"]), last["session"], last["seq"]),
            more=len(rows) == PAGE_EVENTS_MAX or size >= PAGE_BYTES_MAX,
            erased=[(r["session"], r["seq"]) for r in rows if r["type"] == "session.erased"],
        )

    async def waiting(self, hold: Hold, *, ordered: bool, limit: int) -> Waiting:
        """Return parked events that are due: with `ordered`, from each session's oldest on, up to one not due."""
        async with acquired(self._pool) as connection:
            parked = await connection.fetch(_PARKED, hold.name)
            if not parked:
                return Waiting((), 0)
            # What was erased, or removed by retention, will never be handled, and must hold up nothing.
            await connection.execute(_ORPHANS, hold.name)
            rows = await connection.fetch(_WAITING, hold.name, ordered, limit)
        return Waiting(
            [_delivery(row, tries=row["tries"]) for row in rows],
            sum(row["n"] for row in parked),
            frozenset(row["session"] for row in parked),
        )

    async def save(
        self, hold: Hold, progress: Progress, *, lease_s: float, apply: Apply | None = None
    ) -> None:
        """Record progress and renew the lease, in one transaction, together with what `apply` writes."""
        async with acquired(self._pool) as connection, connection.transaction():
            through = progress.through
            place = (None, None, None) if through is None else (str(through[0]), *through[1:])
            # First: it locks the row, so that a holder that was overtaken writes nothing at all.
            held = await connection.fetchval(_SAVE, hold.name, hold.epoch, *place, lease_s)
            if not held:
                raise HoldLost(f"subscription {hold.name!r} has another holder, or was reset")
            if apply is not None:
                await apply(connection)
            if progress.failed:
                columns = zip(
                    *((f.session, f.seq, f.tries, f.pause_s, f.error) for f in progress.failed),
                    strict=True,
                )
                await connection.execute(_FAILED, hold.name, *map(list, columns))
            if any(failure.pause_s is None for failure in progress.failed):
                await connection.execute(_BOUND, hold.name, DEAD_LETTERS_MAX)
            for statement, pairs in (
                (_BEHIND, progress.behind),
                (_HANDLED, progress.handled),
                (_ERASED, progress.erased),
            ):
                if pairs:
                    sessions, seqs = zip(*pairs, strict=True)
                    await connection.execute(statement, hold.name, list(sessions), list(seqs))

    async def complain(self, hold: Hold, error: str | None) -> None:
        """Show why the subscription stands still; None: it doesn't."""
        async with acquired(self._pool) as connection:
            await connection.execute(
                "update subscriptions set error = $3 where name = $1 and epoch = $2",
                hold.name,
                hold.epoch,
                error,
            )


def _delivery(row: Any, *, tries: int = 0) -> Delivery:
    recorded = RecordedEvent(row["seq"], row["type"], row["run_id"], row["body"])
    position = Position(int(row["tx"]), row["session"], row["seq"])
    return Delivery(recorded, row["event_id"], row["session"], row["tenant"], position, tries)
