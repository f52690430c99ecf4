"""The claim in Postgres: which sessions have something to do, whose turn is first, and which runs get a slot.

Work is found from what is open, never by looking at sessions at rest: ten thousand of those cost nothing.
"""

# ruff: noqa: S608 - SQL made of this package's own constants, once, when it is imported

from collections.abc import Sequence

import asyncpg

from holdfast.events.commands import CommandKind
from holdfast.events.pool_postgres import Connection
from holdfast.events.slots_postgres import (
    FIRST,
    IN_TURN,
    LIMITED,
    LIMITS,
    RESERVED,
    TURN,
    give_alone,
)

# Conditions take statement_timestamp(): clock_timestamp() may differ from row to row, so no index serves it.
# An owner that released its session has no name on it any more; a lease with a name on it has to run out, and
# after a restart of Postgres its owner gets one lease's time to come back first.
_FREE = """
(s.owner is null
 or (s.lease_until < statement_timestamp()
     and statement_timestamp() > pg_postmaster_start_time() + make_interval(secs => $3)))
"""

# `has_slot`: it needs none. It runs, or a dead owner had its slot already, which passes on with the session.
_DUE = f"""
due as (
    select r.run_id, r.session, r.workflow, s.tenant, r.status = 'running' or {RESERVED} as has_slot,
           case when r.status = 'running' then r.not_before - {FIRST} else {TURN} end as turn
      from runs r join sessions s on s.id = r.session
     where r.workflow = any($2) and {_FREE} and {IN_TURN}
)
"""

# Only commands of a known kind are work: a newer gateway's are for newer workers. What is said to a run is urgent, its
# start is as urgent as it is itself, and a session's beginning only if there is nothing else.
_ASKED = f"""
asked as (
    select c.session,
           coalesce(min(case c.kind when 'start' then {TURN} else c.created_at - {FIRST} end)
                        filter (where c.kind <> 'create'), min(c.created_at)) as turn
      from commands c left join runs r on r.run_id = c.run_id
     where c.state = 'open' and c.kind = any($5)
     group by c.session
)
"""

_ALL_BEGIN = "begins as (select run_id, session, turn from due)"
_NONE_BEGINS = "begins as (select run_id, session, turn from due where has_slot)"

# Of a full workflow, or tenant, nothing is a candidate, so that it stands in nobody's way. Among the rest as many are
# taken as there are slots left; who has a place in its workflow but none with its tenant leaves that place empty this
# once: the first of all candidates has both, so every look brings somebody on.
_AS_MANY_BEGIN = f"""
{LIMITS}, left_of_workflow as (
    select l.name, l.most - (select count(*) from at_work a where a.workflow = l.name) as slots from limits l
), left_of_tenant as (
    select a.tenant, t.most - count(*) as slots from at_work a cross join tenants t
     where t.most is not null group by a.tenant, t.most
), candidates as (
    select d.run_id, d.session, d.turn, w.slots as w_slots,
           coalesce(t.slots, (select most from tenants)) as t_slots,
           row_number() over (partition by d.workflow order by d.turn, d.run_id) as of_workflow,
           row_number() over (partition by d.tenant order by d.turn, d.run_id) as of_tenant
      from due d
      left join left_of_workflow w on w.name = d.workflow
      left join left_of_tenant t on t.tenant = d.tenant
     where not d.has_slot and coalesce(w.slots > 0, true) and coalesce(t.slots > 0, true)
), begins as (
    select run_id, session, turn from due where has_slot
    union all
    select run_id, session, turn from candidates
     where of_workflow <= coalesce(w_slots, of_workflow) and of_tenant <= coalesce(t_slots, of_tenant)
)
"""

_CLAIM = f"""
with l (limited) as materialized ({{limited}}), {_DUE}, {_ASKED}, {{begins}}, work as (
    select session, min(turn) as turn, min(run_id) as run_id
      from (select session, turn, run_id from begins union all select session, turn, null from asked) x
     group by session
), free as (
    select s.id, s.owner is not null as taken_over, w.run_id as slot
      from sessions s join work w on w.session = s.id
     where {_FREE}{{only}}
     order by w.turn, s.id
     limit $4
       for update of s skip locked
), owned as (
    update sessions s
       set epoch = s.epoch + 1, owner = $1, lease_until = clock_timestamp() + make_interval(secs => $3)
      from free
     where s.id = free.id
    returning s.id, s.tenant, s.session_id, s.status, s.epoch, s.next_seq - 1 as head, s.published_seq, s.last_ts,
              s.metadata, s.ttl_s, free.taken_over, free.slot
){{slots}}
select * from l left join owned on true
"""

# Where nothing is limited no slot is noted: each would cost a row's change.
_GIVE = """, given as (
    update runs r set slot_epoch = owned.epoch from owned
     where r.run_id = owned.slot and r.status in ('queued', 'waiting')
)"""

# The first one claims nothing where a limit is in force, and says so: then slots have to be counted.
_CLAIM_ANY = _CLAIM.format(
    limited=LIMITED, begins=_ALL_BEGIN, only=" and not (select limited from l)", slots=""
)
_CLAIM_LIMITED = _CLAIM.format(limited="select true", begins=_AS_MANY_BEGIN, only="", slots=_GIVE)
_CLAIM_REST = _CLAIM.format(limited="select true", begins=_NONE_BEGINS, only="", slots=_GIVE)


async def claim(
    connection: Connection, worker: str, workflows: Sequence[str], lease_s: float, limit: int
) -> Sequence[asyncpg.Record]:
    """Own up to `limit` sessions with something to do; return their rows, with the run that was given its `slot`."""
    args = (worker, list(workflows), lease_s, limit, list(CommandKind))
    rows = await connection.fetch(_CLAIM_ANY, *args)
    if rows[0]["limited"]:
        async with connection.transaction():
            statement = _CLAIM_LIMITED if await give_alone(connection) else _CLAIM_REST
            rows = await connection.fetch(statement, *args)
    return [row for row in rows if row["id"] is not None]
