"""The statement of the fenced append, and the columns that it is given. See `append_postgres`.

It locks its session rows in key order, updates those that are as the writer believes, and inserts and changes things
only for those. What it returns are the others.
"""

# ruff: noqa: S608 - SQL made of this module's own constants, once, when it is imported

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from holdfast.events.pool_postgres import json_text
from holdfast.events.store import (
    CommandDone,
    RunBegun,
    RunChange,
    RunStatus,
    SessionBatch,
    SessionChange,
    SessionStatus,
    StepResult,
)

# Numbers and times come as text, one literal for a whole column: the driver would look at each of them by itself, at
# 0.2 to 1 µs a look, and Postgres reads the literal at a tenth of that.
_HEADS = """unnest((select $1::text)::bigint[], $2::text::bigint[], $3::text::bigint[], $4::text::int[],
                  $5::text::bigint[], $6::text::bigint[])
             as h (session, epoch, expected, n, published, last_us)"""

# Few appends have effects, and few of those change the session's own state.
_UNCHANGED = f"select h.*, null::text as status, null::bigint as min_seq from {_HEADS}"
_CHANGED = f"""select h.*, x.status, x.min_seq from {_HEADS}
      left join unnest((select $17::bigint[]), $18::text[], $19::bigint[]) as x (session, status, min_seq)
             on x.session = h.session"""

# One plan is right whatever the arrays hold: sessions are found by their key, one by one, and `in (...) is true` is a
# look into a hash table, where a join of two things of unknown size may become a loop in a loop. Where Postgres thinks
# that an array's length is worth knowing it would all the same make a plan for each commit, which takes it longer than
# the commit itself; so the first array of each is a sub-select, which it doesn't look into (see `rows_postgres`).
# Microseconds since 1970 are exact, as doubles are up to the year 2255.
_BATCHES = """
with locked as (
    select b.* from ({heads}) as b join sessions s on s.id = b.session order by s.id for no key update of s
), u as (
    update sessions s
       set next_seq = s.next_seq + b.n,
           published_seq = greatest(s.published_seq, b.published),
           behind = s.behind or s.owner is null,
           last_ts = coalesce(timestamptz 'epoch' + b.last_us * interval '1 microsecond', s.last_ts),
           status = coalesce(b.status, s.status),
           min_seq = coalesce(b.min_seq, s.min_seq),
           erased_at = case when b.status = 'erased' then clock_timestamp() else s.erased_at end,
           expires_at = case when s.ttl_s is null then s.expires_at
                             else clock_timestamp() + make_interval(secs => s.ttl_s) end
      from locked b
     where s.id = b.session and s.epoch = b.epoch and s.next_seq = b.expected + 1
 returning s.id
), e as (
    insert into events (session, seq, event_id, run_id, key, epoch, type, schema_v, ts, body)
    select e.session, e.seq, e.event_id, e.run_id, e.key, e.epoch, e.type, e.schema_v,
           timestamptz 'epoch' + e.us * interval '1 microsecond', e.body
      from unnest((select $7::text)::bigint[], $8::text::bigint[], $9::uuid[], $10::text[], $11::text[], $12::text[],
                  $13::text::smallint[], $14::text::bigint[], $15::bytea[], $16::text::bigint[])
           as e (session, seq, event_id, run_id, key, type, schema_v, us, body, epoch)
     where (e.session in (select id from u)) is true
)"""

_EFFECTS = """, sr as (
    insert into step_results (run_id, key, body)
    select x.run_id, x.key, x.body
      from unnest((select $20::bigint[]), $21::text[], $22::text[], $23::bytea[]) as x (session, run_id, key, body)
     where (x.session in (select id from u)) is true
        on conflict do nothing
 returning run_id
), r as (
    update runs r
       set status = coalesce(x.status, r.status),
           waiting = coalesce(x.waiting, r.waiting),
           not_before = case when x.due_in_s is null then r.not_before
                             when x.due_in_s = 'infinity' then 'infinity'
                             else clock_timestamp() + make_interval(secs => x.due_in_s) end,
           attempts = coalesce(x.attempts, r.attempts),
           workflow_v = coalesce(x.workflow_v, r.workflow_v),
           -- Once it runs, its status says that it holds a slot.
           slot_epoch = case when coalesce(x.status, r.status) in ('queued', 'waiting') then r.slot_epoch else 0 end,
           strikes = case when r.run_id in (select run_id from sr) then 0 else r.strikes end,
           started_at = case when x.starts then coalesce(r.started_at, clock_timestamp()) else r.started_at end,
           ended_at = case when x.status in ('completed', 'failed', 'cancelled') then clock_timestamp()
                           else r.ended_at end
      from unnest((select $24::bigint[]), $25::text[], $26::text[], $27::json[], $28::float8[], $29::int[],
                  $30::text[], $31::bool[])
           as x (session, run_id, status, waiting, due_in_s, attempts, workflow_v, starts)
     -- A run that has ended stays as it ended, whatever its writer believes.
     where r.run_id = x.run_id and r.session = x.session and (x.session in (select id from u)) is true
       and r.status not in ('completed', 'failed', 'cancelled')
), c as (
    update commands c set state = x.state
      from unnest((select $32::bigint[]), $33::text[], $34::text[]) as x (session, command_id, state)
     where c.command_id = x.command_id and c.session = x.session and (x.session in (select id from u)) is true
)"""

_REFUSED = """
select b.session from unnest((select $1::text)::bigint[]) as b (session)
 where (b.session in (select id from u)) is not true
"""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)

APPEND = _BATCHES.format(heads=_UNCHANGED) + _REFUSED
"""For events alone. Takes `columns`, returns the sessions that refused."""

APPEND_WITH_EFFECTS = _BATCHES.format(heads=_CHANGED) + _EFFECTS + _REFUSED
"""For events and all that they change. Takes `columns` and `effect_columns`."""


def columns(batches: Sequence[SessionBatch]) -> list[Any]:
    """Return what is told of each session and of each event, column by column."""
    events = [e for b in batches for e in b.events]
    return [
        _numbers([b.session for b in batches]),
        _numbers([b.epoch for b in batches]),
        _numbers([b.expected_head for b in batches]),
        _numbers([len(b.events) for b in batches]),
        _numbers([b.published for b in batches]),
        _numbers([(b.events[-1].ts - _EPOCH) // _US if b.events else None for b in batches]),
        _numbers([b.session for b in batches for _ in b.events]),
        _numbers([seq for b in batches for seq, _ in enumerate(b.events, b.expected_head + 1)]),
        [e.event_id for e in events],
        [e.run_id for e in events],
        [e.key for e in events],
        [e.type for e in events],
        _numbers([e.schema_v for e in events]),
        _numbers([(e.ts - _EPOCH) // _US for e in events]),
        [e.body for e in events],
        _numbers([b.epoch for b in batches for _ in b.events]),
    ]


def _numbers(numbers: Sequence[int | None]) -> str:
    """Return a column of numbers as the literal of an array."""
    return f"{{{','.join(['NULL' if n is None else str(n) for n in numbers])}}}"


@dataclass(slots=True)
class _RunRow:
    """All that one batch changes about one run: a statement may update a row only once."""

    session: int
    run_id: str
    status: RunStatus | None = None
    waiting: dict[str, Any] | None = None
    due_in_s: float | None = None
    attempts: int | None = None
    workflow_v: str | None = None
    starts: bool = False

    def change(self, change: RunChange) -> None:
        if self.status is not None and self.status.ended:
            return
        self.status = change.status
        self.starts = self.starts or change.status is RunStatus.RUNNING
        self.waiting = self.waiting if change.waiting is None else change.waiting
        self.due_in_s = self.due_in_s if change.due_in_s is None else change.due_in_s
        self.attempts = self.attempts if change.attempts is None else change.attempts
        self.workflow_v = self.workflow_v if change.workflow_v is None else change.workflow_v


def _change(batch: SessionBatch) -> tuple[int, SessionStatus, int | None] | None:
    changes = [e for e in batch.effects if isinstance(e, SessionChange)]
    if not changes:
        return None
    # The erasing event is its batch's last: nothing follows an erasure.
    erased = any(c.erase for c in changes)
    min_seq = batch.expected_head + len(batch.events) if erased else None
    return batch.session, changes[-1].status, min_seq


def effect_columns(batches: Sequence[SessionBatch]) -> list[list[Any]]:
    """Return what the events of batches change, column by column."""
    changes = [change for b in batches if (change := _change(b))]
    results: list[tuple[Any, ...]] = []
    commands: list[tuple[Any, ...]] = []
    runs: dict[str, _RunRow] = {}
    for batch in batches:
        for effect in batch.effects:
            match effect:
                case StepResult(run_id, key, body):
                    results.append((batch.session, run_id, key, body))
                    runs.setdefault(run_id, _RunRow(batch.session, run_id))
                case CommandDone(command_id, state):
                    commands.append((batch.session, command_id, state))
                case RunChange():
                    row = runs.setdefault(effect.run_id, _RunRow(batch.session, effect.run_id))
                    row.change(effect)
                case SessionChange() | RunBegun():
                    pass
    run_rows = [
        (
            r.session,
            r.run_id,
            r.status,
            None if r.waiting is None else json_text(r.waiting),
            r.due_in_s,
            r.attempts,
            r.workflow_v,
            r.starts,
        )
        for r in runs.values()
    ]
    return [
        *_columns(changes, 3),
        *_columns(results, 4),
        *_columns(run_rows, 8),
        *_columns(commands, 3),
    ]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return (
        [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
    )
