"""The rows that ask something of a session, in Postgres: runs and commands, inserted under the session row's lock."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.errors import SessionBusy
from holdfast.events.ids import new_command_id
from holdfast.events.pool_postgres import Connection, json_text
from holdfast.events.store import RunRequest, Ticket


async def make_room(connection: Connection, session: asyncpg.Record, on_busy: OnBusy) -> None:
    """Do what `on_busy` says about the session's unfinished runs. Raises SessionBusy."""
    if on_busy is OnBusy.ENQUEUE:
        return
    rows = await connection.fetch(
        """select run_id from runs where session = $1 and parent_run_id is null
              and status in ('queued', 'running', 'waiting') order by created_at, run_id""",
        session["id"],
    )
    if rows and on_busy is OnBusy.REJECT:
        raise SessionBusy(session["session_id"], rows[0]["run_id"])
    for row in rows:
        await ask_cancel(connection, session["id"], row["run_id"], "interrupted by a newer run")


async def ask_run(connection: Connection, ticket: Ticket, request: RunRequest) -> None:
    """Insert a run, and the command that asks for its start."""
    body: dict[str, Any] = {"workflow": request.workflow}
    if request.start_at is not None:
        body["start_at"] = _iso(request.start_at)
    # One statement: each is a round trip during which the session's row is held.
    await connection.execute(
        """with run as (
               insert into runs (run_id, session, workflow, input, after_seq, not_before, user_id, trace_id, priority,
                                 timeout_s, created_at)
               values ($1, $2, $3, $4, $5, coalesce($6, now()), $7, $8, $9, $10, clock_timestamp())
           )
           insert into commands (command_id, session, run_id, kind, body) values ($11, $2, $1, $12, $13)""",
        ticket.run_id,
        ticket.session,
        request.workflow,
        json_text(request.input),
        ticket.after,
        request.start_at,
        request.user_id,
        request.trace_id,
        request.priority,
        request.timeout_s,
        new_command_id(),
        CommandKind.START,
        json_text(body),
    )


async def ask_cancel(connection: Connection, session: int, run_id: str, reason: str | None) -> None:
    """Ask for the end of a run, unless that is asked already."""
    asked = await connection.fetchval(
        "select exists (select from commands where run_id = $1 and kind = 'cancel' and state = 'open')",
        run_id,
    )
    if not asked:
        await ask(
            connection, session, run_id, CommandKind.CANCEL, {"reason": reason} if reason else {}
        )


async def ask(
    connection: Connection,
    session: int,
    run_id: str | None,
    kind: CommandKind,
    body: Mapping[str, Any],
) -> None:
    """Insert one command. The caller holds the session's row."""
    await connection.execute(
        """insert into commands (command_id, session, run_id, kind, input_id, body)
           values ($1, $2, $3, $4, $5, $6)""",
        new_command_id(),
        session,
        run_id,
        kind,
        body.get("input_id"),
        json_text(body),
    )


def _iso(moment: datetime) -> str:
    return moment.isoformat()
