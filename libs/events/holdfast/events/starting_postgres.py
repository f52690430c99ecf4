"""Asking for a run, in Postgres: one statement, so one round trip, in which nothing waits for the caller."""

from typing import Any

from holdfast.events.commands import CommandKind
from holdfast.events.errors import SessionUnknown
from holdfast.events.idempotency_postgres import answer_of, number_of
from holdfast.events.ids import new_command_id, new_run_id
from holdfast.events.pool_postgres import Connection, json_text
from holdfast.events.sessions_postgres import check_name, refuse_over
from holdfast.events.store import Idempotency, RunRequest, Ticket

# The functions look anew after each lock that they take (see the migration that makes them). The session is held, and
# anything inserted, only if the key is free and new.
_ASK_RUN = """
with k as materialized (
    select * from recall_answer($14, $1, $15)
), s as materialized (
    select h.*, h.status = 'active' and h.closing = '{}' as open
      from k cross join lateral hold_session($1, case when k.free and k.response is null then $2 end) h
), run as (
    insert into runs (run_id, session, workflow, input, after_seq, not_before, user_id, trace_id, priority, timeout_s,
                      created_at)
    select $3, s.id, $4, $5, s.head, coalesce($6, now()), $7, $8, $9, $10, clock_timestamp() from s where s.open
), start as (
    insert into commands (command_id, session, run_id, kind, body)
    select $11, s.id, $3, $12, $13 from s where s.open
), kept as (
    insert into idempotency (tenant, key, request_hash, session, response)
    select $1, $15, $16, s.id,
           json_build_object('session_id', s.session_id, 'session', s.id::text, 'run_id', $3::text, 'after', s.head)
      from s where s.open and $15 is not null
)
select k.*, s.* from k left join s on true
"""


async def ask_run(
    connection: Connection,
    tenant: str,
    session_id: str,
    request: RunRequest,
    idempotency: Idempotency | None = None,
) -> Ticket:
    """Insert a run, the command that asks for its start, and the answer to the same request.

    Raises as `Desk.start` does.
    """
    check_name(session_id, SessionUnknown)
    body: dict[str, Any] = {"workflow": request.workflow}
    if request.start_at is not None:
        body["start_at"] = request.start_at.isoformat()
    run_id, key = new_run_id(), idempotency
    row = await connection.fetchrow(
        _ASK_RUN,
        tenant,
        session_id,
        run_id,
        request.workflow,
        json_text(request.input),
        request.start_at,
        request.user_id,
        request.trace_id,
        request.priority,
        request.timeout_s,
        new_command_id(),
        CommandKind.START,
        json_text(body),
        None if key is None else number_of(tenant, key),
        None if key is None else key.key,
        None if key is None else key.request_hash,
    )
    assert row is not None, "there is a row for the key, whatever it tells"
    if key is not None and (answer := answer_of(key, row)) is not None:
        return ticket_of(answer)
    if row["id"] is None:
        raise SessionUnknown(session_id)
    if not row["open"]:
        refuse_over(session_id, row["status"], row["closing"])
    return Ticket(run_id, row["session_id"], row["id"], row["head"])


def ticket_of(answer: dict[str, Any]) -> Ticket:
    """Return the ticket that was given before."""
    return Ticket(answer["run_id"], answer["session_id"], int(answer["session"]), answer["after"])
