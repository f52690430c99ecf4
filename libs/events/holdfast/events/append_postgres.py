"""The write path in Postgres: one statement for many sessions, fenced by epoch and head.

The statement locks its session rows in key order, so two batches never wait for each other in a circle; it then
updates the rows that are as the writer believes, and inserts and changes things only for those. Rows of other
owners simply drop out: their neighbours commit.
"""

from collections.abc import Mapping, Sequence

import asyncpg

from holdfast.events.append_postgres_statement import (
    APPEND,
    APPEND_WITH_EFFECTS,
    columns,
    effect_columns,
)
from holdfast.events.erasure_postgres import erase
from holdfast.events.errors import AppendRefused
from holdfast.events.pool_postgres import Connection, Pool, acquired, json_text
from holdfast.events.store import Outcome, RunBegun, SessionBatch, SessionChange

# Before what takes several statements, in the append's order. All sessions of the batches, or two writers could wait
# for each other in a circle. What it returns stays so until the append.
_LOCK = "select id, min_seq from sessions where id = any($1) order by id for no key update"

# A run that another run starts. In statements of their own, before the append, since a statement doesn't see rows that
# it inserts itself; the lock keeps a fenced writer's runs out.
_BEGIN_RUN = """
insert into runs (run_id, session, parent_run_id, workflow, workflow_v, input, status, after_seq, attempts,
                  not_before, user_id, trace_id, created_at, started_at)
select $3, s.id, $4, $5, $6, $7, 'running', $8, 1, 'infinity', $9, $10, clock_timestamp(), clock_timestamp()
  from sessions s where s.id = $1 and s.epoch = $2 and s.next_seq = $11
    on conflict do nothing
"""


class PostgresWriter:
    """The fenced append over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Record every batch directly after its `expected_head`; return the sessions that refused."""
        effects = [e for b in batches for e in b.effects]
        begins = any(isinstance(e, RunBegun) for e in effects)
        erasing = [b for b in batches if any(_erases(e) for e in b.effects)] if effects else []
        try:
            async with acquired(self._pool) as connection:
                if not erasing and not begins:
                    return await _append(connection, batches)
                async with connection.transaction():
                    locked = await connection.fetch(_LOCK, [b.session for b in batches])
                    await _begin_runs(connection, batches)
                    refused = await _append(connection, batches)
                    # The append has moved these to the erasing event, the last of its batch.
                    oldest = {row["id"]: row["min_seq"] for row in locked}
                    rests = {
                        b.session: range(oldest[b.session], b.expected_head + len(b.events))
                        for b in erasing
                        if b.session not in refused
                    }
                    if rests:
                        await erase(connection, rests)
                    return refused
        except asyncpg.IntegrityConstraintViolationError as error:
            raise AppendRefused(error.constraint_name or str(error)) from error
        except asyncpg.PostgresError as error:
            # What is left is no passing trouble: a value out of range, a key that is too long for its index.
            # Said as it is, it is one run's failure; raw, it would be the end of the whole worker.
            raise AppendRefused(f"{type(error).__name__}: {error}") from error

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
        await connection.executemany(_BEGIN_RUN, rows)


def _erases(effect: object) -> bool:
    return isinstance(effect, SessionChange) and effect.erase


async def _append(connection: Connection, batches: Sequence[SessionBatch]) -> frozenset[int]:
    """Append; return the sessions that refused."""
    args = columns(batches)
    if any(b.effects for b in batches):
        rows = await connection.fetch(APPEND_WITH_EFFECTS, *args, *effect_columns(batches))
    else:
        rows = await connection.fetch(APPEND, *args)
    return frozenset([row[0] for row in rows])


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
