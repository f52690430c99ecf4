"""Turns and slots in Postgres: the pieces that the claim is made of, and what decides outside of it.

Slots are given one statement at a time: whoever gives any holds an advisory lock to the end of its transaction, taken
in a statement before, so that the count sees what the last holder did. Nobody waits for it: where no limit is in
force it isn't taken, and who doesn't get it leaves the runs that need a slot to the next look.
"""

# ruff: noqa: S608 - SQL made of this package's own constants, once, when it is imported

import asyncio
from collections.abc import Sequence

from holdfast.events.pool_postgres import Connection
from holdfast.events.slots import AGEING_S, PRIORITY_MAX, Hold
from holdfast.events.store import WORKER_SEEN_S

# Any number will do as long as nobody else in the database uses it: the letters of "slot".
_LOCK = 0x736C6F74

# A claim holds it for some milliseconds; who finds it taken asks again this often.
_LOCK_TRIES = 4
_LOCK_PAUSE_S = 0.01

# Of the worker's own word no age is asked: it may have been kept from renewing it.
_SAID = f"(seen_at > statement_timestamp() - make_interval(secs => {WORKER_SEEN_S}) or worker = $1)"

# When the turn of run `r` is, see `Run.turn`.
TURN = f"greatest(r.created_at, r.not_before) - r.priority * interval '{AGEING_S} seconds'"
FIRST = f"interval '{AGEING_S * PRIORITY_MAX} seconds'"

# Run `r` of session `s` was given a slot that it has not begun to use.
RESERVED = "(r.slot_epoch > 0 and r.slot_epoch = s.epoch and s.owner is not null)"

# Of the runs of a session that are due the one to work on: one that has begun, else the queued one whose turn is first,
# and among equals the oldest: the very one that the session's owner is going to take.
IN_TURN = f"""
    r.parent_run_id is null and r.status in ('queued', 'running', 'waiting') and r.not_before <= statement_timestamp()
    and (r.status <> 'queued' or not exists (
            select from runs o
             where o.session = r.session and o.parent_run_id is null
               and (o.status in ('running', 'waiting')
                    or (o.status = 'queued' and o.not_before <= statement_timestamp()
                        and ({TURN.replace("r.", "o.")}, o.created_at, o.run_id) < ({TURN}, r.created_at, r.run_id)))))
"""

# What is limited, to how much ($1 is a worker, or null), and who is at work there.
LIMITS = f"""
limits as materialized (
    select name, min(max_concurrent) as most from workflows where max_concurrent is not null and {_SAID} group by name
), tenants as materialized (
    select min(tenant_max_runs) as most from workflows where tenant_max_runs is not null and {_SAID}
), at_work as materialized (
    select r.session, r.workflow, s.tenant
      from runs r join sessions s on s.id = r.session
     where r.parent_run_id is null and r.status in ('queued', 'running', 'waiting')
       and (r.status = 'running' or {RESERVED})
       and ((select most from tenants) is not null or r.workflow in (select name from limits))
)
"""

# Whether there is a limit for one of these workflows ($2), or for tenants.
LIMITED = f"""
select exists (select from workflows
                where (tenant_max_runs is not null or (max_concurrent is not null and name = any($2))) and {_SAID})
"""

# Where nothing more may begin, counted once: a gateway asks for all the sessions that it watches in one statement.
_FULL_ONES = f"""
{LIMITS}, full_workflows as materialized (
    select l.name from limits l where l.most <= (select count(*) from at_work a where a.workflow = l.name)
), full_tenants as materialized (
    select tenant from at_work group by tenant having count(*) >= (select most from tenants)
)
"""
_FULL = "r.workflow in (select name from full_workflows)"
_TENANT_FULL = "s.tenant in (select tenant from full_tenants)"

_HELD_BY = f"""
with {_FULL_ONES}
select case when r.status = 'queued' and r.not_before > statement_timestamp() then '{Hold.TIME}'
            when r.not_before > statement_timestamp() then null
            when not ({IN_TURN}) then '{Hold.TURN}'
            when {RESERVED} then null
            when {_FULL} then '{Hold.WORKFLOW_LIMIT}'
            when {_TENANT_FULL} then '{Hold.TENANT_LIMIT}' end
  from runs r join sessions s on s.id = r.session
 where r.run_id = $2 and r.parent_run_id is null and r.status in ('queued', 'waiting')
"""

_HELD_BACK = f"""
with {_FULL_ONES}
select r.session
  from runs r join sessions s on s.id = r.session
 where r.session = any($2) and r.status <> 'running' and not {RESERVED} and {IN_TURN}
   and ({_FULL} or {_TENANT_FULL})
"""


async def limited(connection: Connection, worker: str, workflows: Sequence[str]) -> bool:
    """Tell whether a limit is in force for any of these workflows, or for tenants."""
    return await connection.fetchval(LIMITED, worker, list(workflows))


async def give_alone(connection: Connection) -> bool:
    """Be the only one who gives slots, to the transaction's end; False when somebody else is for too long."""
    for tries in range(_LOCK_TRIES):
        if tries:
            await asyncio.sleep(_LOCK_PAUSE_S)
        if await connection.fetchval("select pg_try_advisory_xact_lock($1)", _LOCK):
            return True
    return False


async def held_by(connection: Connection, run_id: str) -> Hold | None:
    """Return what a run that nobody has taken up waits for, beside a worker."""
    found = await connection.fetchval(_HELD_BY, None, run_id)
    return None if found is None else Hold(found)


async def held_back(connection: Connection, sessions: Sequence[int]) -> frozenset[int]:
    """Return those of the sessions whose run can't begin, or go on, because of a limit."""
    rows = await connection.fetch(_HELD_BACK, None, list(sessions))
    return frozenset(row["session"] for row in rows)
