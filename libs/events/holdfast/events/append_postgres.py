"""The write path in Postgres: one statement for many sessions, fenced by epoch and head.

The statement locks its session rows in key order, so two batches never wait for each other in a circle; it then
updates the rows that are as the writer believes, and inserts and changes things only for those. Rows of other
owners simply drop out: their neighbours commit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from holdfast.events.erasure_postgres import erase
from holdfast.events.errors import AppendRefused
from holdfast.events.pool_postgres import Connection, Pool, acquired, json_text
from holdfast.events.store import (
    CommandDone,
    Outcome,
    RunBegun,
    RunChange,
    RunStatus,
    SessionBatch,
    SessionChange,
    StepResult,
)

_BATCHES = """
with b as (
    select * from unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::int[], $5::bigint[],
                         $6::timestamptz[], $7::text[], $8::bigint[])
           as b (session, epoch, expected, n, published, last_ts, status, min_seq)
), locked as (
    select s.id from sessions s join b on b.session = s.id order by s.id for no key update of s
), u as (
    update sessions s
       set next_seq = s.next_seq + b.n,
           published_seq = greatest(s.published_seq, b.published),
           behind = s.behind or s.owner is null,
           last_ts = coalesce(b.last_ts, s.last_ts),
           status = coalesce(b.status, s.status),
           min_seq = coalesce(b.min_seq, s.min_seq),
           erased_at = case when b.status = 'erased' then clock_timestamp() else s.erased_at end,
           expires_at = case when s.ttl_s is null then s.expires_at
                             else clock_timestamp() + make_interval(secs => s.ttl_s) end
      from b join locked on locked.id = b.session
     where s.id = b.session and s.epoch = b.epoch and s.next_seq = b.expected + 1
 returning s.id, s.epoch
), e as (
    insert into events (session, seq, event_id, run_id, key, epoch, type, schema_v, ts, body)
    select e.session, e.seq, e.event_id, e.run_id, e.key, u.epoch, e.type, e.schema_v, e.ts, e.body
      from unnest($9::bigint[], $10::bigint[], $11::uuid[], $12::text[], $13::text[], $14::text[],
                  $15::smallint[], $16::timestamptz[], $17::bytea[])
           as e (session, seq, event_id, run_id, key, type, schema_v, ts, body)
      join u on u.id = e.session
)"""

_EFFECTS = """, sr as (
    insert into step_results (run_id, key, body)
    select x.run_id, x.key, x.body
      from unnest($18::bigint[], $19::text[], $20::text[], $21::bytea[]) as x (session, run_id, key, body)
      join u on u.id = x.session
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
      from unnest($22::bigint[], $23::text[], $24::text[], $25::json[], $26::float8[], $27::int[],
                  $28::text[], $29::bool[])
           as x (session, run_id, status, waiting, due_in_s, attempts, workflow_v, starts)
      join u on u.id = x.session
     -- A run that has ended stays as it ended, whatever its writer believes.
     where r.run_id = x.run_id and r.session = x.session
       and r.status not in ('completed', 'failed', 'cancelled')
), c as (
    update commands c set state = x.state
      from unnest($30::bigint[], $31::text[], $32::text[]) as x (session, command_id, state)
      join u on u.id = x.session
     where c.command_id = x.command_id and c.session = x.session
)"""

# A run that another run starts. In statements of their own, before the append, since a statement doesn't see rows that
# it inserts itself; the lock, in the append's order, keeps a fenced writer's runs out.
_LOCK = "select id from sessions where id = any($1) order by id for no key update"
_BEGIN_RUN = """
insert into runs (run_id, session, parent_run_id, workflow, workflow_v, input, status, after_seq, attempts,
                  not_before, user_id, trace_id, created_at, started_at)
select $3, s.id, $4, $5, $6, $7, 'running', $8, 1, 'infinity', $9, $10, clock_timestamp(), clock_timestamp()
  from sessions s where s.id = $1 and s.epoch = $2 and s.next_seq = $11
    on conflict do nothing
"""

_APPEND = _BATCHES + "\nselect id from u"
_APPEND_WITH_EFFECTS = _BATCHES + _EFFECTS + "\nselect id from u"


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


class PostgresWriter:
    """The fenced append over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Record every batch directly after its `expected_head`; return the sessions that refused."""
        erasing = [b.session for b in batches if any(_erases(e) for e in b.effects)]
        try:
            async with acquired(self._pool) as connection:
                if not erasing and not any(
                    isinstance(e, RunBegun) for b in batches for e in b.effects
                ):
                    taken = await _append(connection, batches)
                else:
                    async with connection.transaction():
                        await _begin_runs(connection, batches)
                        taken = await _append(connection, batches)
                        gone = [session for session in erasing if session in taken]
                        if gone:
                            await erase(connection, gone)
        except asyncpg.IntegrityConstraintViolationError as error:
            raise AppendRefused(error.constraint_name or str(error)) from error
        except asyncpg.PostgresError as error:
            # What is left is no passing trouble: a value out of range, a key that is too long for its index.
            # Said as it is, it is one run's failure; raw, it would be the end of the whole worker.
            raise AppendRefused(f"{type(error).__name__}: {error}") from error
        return frozenset(b.session for b in batches) - taken

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        """Tell what became of batches whose reply was lost, waiting for a commit still under way."""
        async with acquired(self._pool) as connection, connection.transaction():
            # The lock waits for the lost backend, if it is still committing.
            rows = await connection.fetch(
                "select id, epoch, next_seq from sessions where id = any($1) order by id for no key update",
                [b.session for b in batches],
            )
            standing = {row["id"]: (row["epoch"], row["next_seq"]) for row in rows}
            outcomes: dict[int, Outcome] = {}
            for batch in batches:
                if batch.events and await _recorded(connection, batch):
                    outcomes[batch.session] = Outcome.RECORDED
                elif standing.get(batch.session) == (batch.epoch, batch.expected_head + 1):
                    outcomes[batch.session] = Outcome.ABSENT
                else:
                    outcomes[batch.session] = Outcome.FENCED
            return outcomes


async def _begin_runs(connection: Connection, batches: Sequence[SessionBatch]) -> None:
    rows = [
        (
            batch.session,
            batch.epoch,
            e.run_id,
            e.parent_run_id,
            e.workflow,
            e.workflow_v,
            json_text(e.input),
            e.after,
            e.user_id,
            e.trace_id,
            batch.expected_head + 1,
        )
        for batch in batches
        for e in batch.effects
        if isinstance(e, RunBegun)
    ]
    if rows:
        await connection.execute(_LOCK, [batch.session for batch in batches])
        await connection.executemany(_BEGIN_RUN, rows)


def _erases(effect: object) -> bool:
    return isinstance(effect, SessionChange) and effect.erase


async def _append(connection: Connection, batches: Sequence[SessionBatch]) -> frozenset[int]:
    heads = [_head_columns(b) for b in batches]
    rows = [
        (
            b.session,
            b.expected_head + 1 + i,
            e.event_id,
            e.run_id,
            e.key,
            e.type,
            e.schema_v,
            e.ts,
            e.body,
        )
        for b in batches
        for i, e in enumerate(b.events)
    ]
    args = [*_columns(heads, 8), *_columns(rows, 9)]
    if not any(b.effects for b in batches):
        answer = await connection.fetch(_APPEND, *args)
    else:
        answer = await connection.fetch(_APPEND_WITH_EFFECTS, *args, *_effect_columns(batches))
    return frozenset(row["id"] for row in answer)


def _head_columns(batch: SessionBatch) -> tuple[Any, ...]:
    changes = [e for e in batch.effects if isinstance(e, SessionChange)]
    n = len(batch.events)
    return (
        batch.session,
        batch.epoch,
        batch.expected_head,
        n,
        batch.published,
        batch.events[-1].ts if n else None,
        changes[-1].status if changes else None,
        # The erasing event is its batch's last: nothing follows an erasure.
        batch.expected_head + n if any(c.erase for c in changes) else None,
    )


def _effect_columns(batches: Sequence[SessionBatch]) -> list[list[Any]]:
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
    return [*_columns(results, 4), *_columns(run_rows, 8), *_columns(commands, 3)]


def _columns(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return (
        [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
    )


async def _recorded(connection: Connection, batch: SessionBatch) -> bool:
    """Tell whether the batch's last event is the one at its place: a batch is recorded whole or not at all.

    The last, since an erasure deletes what came before it, in its own batch too.
    """
    event_id = await connection.fetchval(
        "select event_id from events where session = $1 and seq = $2",
        batch.session,
        batch.expected_head + len(batch.events),
    )
    return event_id == batch.events[-1].event_id
