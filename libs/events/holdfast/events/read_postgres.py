"""Pages and pulses from Postgres. One statement each, so that a page and its head are of one moment."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from holdfast.events.cursor import SEQ_MAX
from holdfast.events.kinds import TypeFilter
from holdfast.events.pool_postgres import Connection, Pool, acquired
from holdfast.events.recorded import RecordedEvent
from holdfast.events.slots_postgres import held_back
from holdfast.events.store import (
    LINE_BYTES_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    STALLED_GRACE_S,
    Lines,
    Page,
    Pulse,
    Quiet,
    SessionStatus,
    Stretch,
)

# One row whose columns are arrays: a row for each event costs the reader half as much again to take in.
_READ = """
select s.next_seq - 1 as head, s.min_seq, e.*
  from sessions s
  left join lateral (
        select count(*) as n,
               array_agg(seq order by seq) filter (where bytes_before < $5) as seqs,
               array_agg(type order by seq) filter (where bytes_before < $5) as types,
               array_agg(run_id order by seq) filter (where bytes_before < $5) as run_ids,
               array_agg(body order by seq) filter (where bytes_before < $5) as bodies
          from (select seq, type, run_id, body,
                       sum(length(body)) over (order by seq rows unbounded preceding) - length(body) as bytes_before
                  from events
                 where session = s.id and seq > $2 and seq >= s.min_seq and seq <= $3 {filters}
                 order by seq
                 limit $4) p
       ) e on true
 where s.id = $1
"""
_TYPES = """and (type = any((select $6::text[])::text[])
                         or split_part(type, '.', 1) = any((select $7::text[])::text[]))"""
_RUNS = "and run_id = any((select $8::text[])::text[])"

# Pages as one value each, for those who need no more than the bodies: 0.7 ms instead of 2.3, most of them the reader's.
# A running sum would be a third of Postgres' part on top, so the bound is looked at when all is joined. The sub-select
# keeps Postgres from planning each call anew (see `rows_postgres`).
_LINES = r"""
select k.*, s.next_seq - 1 as head, s.min_seq, e.n, e.first, e.last,
       case when e.last - e.first = e.n - 1 and e.bytes < $5 and e.largest <= $6 and not e.unlike then e.lines
       end as lines
  from unnest((select $1::bigint[]), $2::bigint[], $3::bigint[]) as k (session, after, most)
  join sessions s on s.id = k.session
  left join lateral (
        select count(*) as n, min(seq) as first, max(seq) as last, sum(length(body)) as bytes,
               max(length(body)) as largest, bool_or(type = any($4)) as unlike,
               string_agg(body, '\x0a' order by seq) filter (where length(body) <= $6) as lines
          from (select seq, type, body
                  from events
                 where session = s.id and seq > k.after and seq >= s.min_seq
                 order by seq
                 limit k.most) p
       ) e on true
"""

_PULSE = """
select s.id, s.next_seq - 1 as head, s.min_seq, s.status,
       case when r.status = 'running' then r.run_id end as active_run,
       case when r.not_before <= statement_timestamp()
             and coalesce(s.lease_until, r.not_before) < statement_timestamp() - make_interval(secs => $2)
            then greatest(s.lease_until, r.not_before) end as stalled_since
  from sessions s
  left join lateral (
        select run_id, status, not_before from runs
         where session = s.id and status in ('queued', 'running', 'waiting') and parent_run_id is null
         order by status = 'queued', created_at, run_id limit 1
       ) r on true
 where s.id = {session}
"""
_PULSES = _PULSE.format(session="any((select $1::bigint[])::bigint[])")

# As `Pulse.is_quiet`. The limit keeps it to one look at each session: without it the planner may join all there are.
_CHANGED = """
select k.session, p.*
  from unnest((select $1::bigint[]), $3::bigint[], $4::bigint[]) as k (session, head, floor)
  left join lateral ({pulse} limit 1) p on true
 where p.id is null or p.head <> k.head or p.min_seq > k.floor + 1 or p.status <> 'active'
    or p.stalled_since is not null
"""
_CHANGES = _CHANGED.format(pulse=_PULSE.format(session="k.session"))

_FAMILY = """
with recursive family as (
    select run_id from runs where run_id = $1
    union
    select r.run_id from runs r join family f on r.parent_run_id = f.run_id
)
select run_id from family
"""


class PostgresReader:
    """The log's pages over a pool; pulses over one of their own, where there is one."""

    def __init__(self, pool: Pool, *, pulse: Pool | None = None) -> None:
        self._pool, self._pulse = pool, pulse or pool

    async def read(
        self,
        session: int,
        *,
        after: int,
        limit: int = PAGE_EVENTS_MAX,
        until: int | None = None,
        types: TypeFilter | None = None,
        run_ids: frozenset[str] | None = None,
    ) -> Page:
        """Return the events after seq `after` (exclusive), at most `limit`, none beyond `until` (inclusive)."""
        end = SEQ_MAX if until is None else until
        args: list[Any] = [session, after, end, limit, PAGE_BYTES_MAX]
        filters = ""
        if types or run_ids is not None:
            filters = _TYPES if types else "and ($6::text[] is null or $7::text[] is null)"
            args += [sorted(types.types), sorted(types.families)] if types else [None, None]
        if run_ids is not None:
            filters += _RUNS
            args.append(sorted(run_ids))
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(_READ.format(filters=filters), *args)
        if row is None:
            return Page((), after, 0, 1)
        head, min_seq = row["head"], row["min_seq"]
        if row["seqs"] is None:
            return Page((), max(after, min(end, head)), head, min_seq)
        items = tuple(map(RecordedEvent, row["seqs"], row["types"], row["run_ids"], row["bodies"]))
        # `n` counts the page before it was cut by bytes: a page that is short of both bounds saw the end.
        whole = len(items) == row["n"] < limit
        through = min(end, head) if whole else items[-1].seq
        return Page(items, max(after, through), head, min_seq)

    async def lines(
        self, stretches: Sequence[Stretch], *, without: Collection[str]
    ) -> Mapping[Stretch, Lines]:
        """Return what `read` would, as lines; see Reader."""
        if not stretches:
            return {}
        columns = ([*column] for column in zip(*stretches, strict=True))
        bounds = (PAGE_BYTES_MAX, LINE_BYTES_MAX)
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_LINES, *columns, [*without], *bounds)
        found: dict[Stretch, Lines] = {}
        for session, after, limit, head, min_seq, n, first, last, joined in rows:
            stretch = Stretch(session, after, limit)
            if not n:
                through = max(after, head)
                found[stretch] = Lines(through + 1, (), through, head, min_seq)
            elif joined is not None and b"\r" not in joined:
                bodies = joined.split(b"\n")
                if len(bodies) == n:
                    through = head if n < limit else last
                    found[stretch] = Lines(first, bodies, max(after, through), head, min_seq)
        return found

    async def pulses(self, sessions: Sequence[int]) -> Mapping[int, Pulse]:
        """Return the pulse of each session that exists, in one query."""
        async with acquired(self._pulse) as connection:
            rows = await connection.fetch(_PULSES, list(sessions), STALLED_GRACE_S)
            return await _pulses(connection, rows)

    async def changes(self, granted: Sequence[Quiet]) -> Mapping[int, Pulse | None]:
        """Return the pulses of those sessions that are not as was taken for granted; see Reader."""
        if not granted:
            return {}
        sessions, heads, floors = ([*column] for column in zip(*granted, strict=True))
        async with acquired(self._pulse) as connection:
            rows = await connection.fetch(_CHANGES, sessions, STALLED_GRACE_S, heads, floors)
            gone = dict.fromkeys(row["session"] for row in rows if row["id"] is None)
            return gone | await _pulses(connection, [row for row in rows if row["id"] is not None])

    async def run_family(self, run_id: str) -> frozenset[str]:
        """Return the ids of the run and of all runs below it."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_FAMILY, run_id)
        return frozenset(row["run_id"] for row in rows)


async def _pulses(connection: Connection, rows: Sequence[Any]) -> dict[int, Pulse]:
    # A run that waits for others to end is nobody's fault.
    idle = [r["id"] for r in rows if r["stalled_since"] and not r["active_run"]]
    queued = await held_back(connection, idle) if idle else ()
    return {
        row["id"]: Pulse(
            head=row["head"],
            min_seq=row["min_seq"],
            status=SessionStatus(row["status"]),
            active_run=row["active_run"],
            stalled_since=None if row["id"] in queued else row["stalled_since"],
        )
        for row in rows
    }
