"""How rows of the schema become the store's records."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from holdfast.events.commands import Command, CommandKind
from holdfast.events.pool_postgres import Connection, json_value
from holdfast.events.store import COMMANDS_AT_ONCE, Run, RunStatus, SessionInfo, SessionStatus

_RUN = """
select r.*, s.session_id, s.tenant,
       isfinite(r.not_before) as timed, r.not_before <= clock_timestamp() as due,
       clock_timestamp() as seen_at
  from runs r join sessions s on s.id = r.session
"""
RUN_BY_ID = _RUN + " where r.run_id = $1 and s.tenant = $2"
RUNS_OF_SESSION = (
    _RUN
    + " where s.tenant = $1 and s.session_id = $2 order by r.created_at desc, r.run_id desc limit $3"
)
RUNS_OPEN = (
    _RUN
    + " where r.session = any($1) and r.status in ('queued', 'running', 'waiting')"
    + " order by r.created_at, r.run_id"
)
_COMMANDS = """
select c.* from unnest($1::bigint[]) as s (id)
 cross join lateral (
    select * from commands where session = s.id and state = 'open' and kind = any($2)
     order by n limit $3) c
 order by c.session, c.n
"""

log = structlog.get_logger("holdfast.store")


def run_of(row: asyncpg.Record) -> Run:
    """Return the run that a row of `_RUN` describes."""
    return Run(
        run_id=row["run_id"],
        session=row["session"],
        session_id=row["session_id"],
        tenant=row["tenant"],
        workflow=row["workflow"],
        workflow_version=row["workflow_v"],
        input=json_value(row["input"]),
        status=RunStatus(row["status"]),
        after=row["after_seq"],
        attempts=row["attempts"],
        strikes=row["strikes"],
        parent_run_id=row["parent_run_id"],
        user_id=row["user_id"],
        trace_id=row["trace_id"],
        priority=row["priority"],
        timeout_s=row["timeout_s"],
        waiting=json_value(row["waiting"]),
        due_at=row["not_before"] if row["timed"] else None,
        due=row["due"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        seen_at=row["seen_at"],
    )


def session_of(row: asyncpg.Record, *, active_run: str | None = None) -> SessionInfo:
    """Return the session that a row describes."""
    return SessionInfo(
        session=row["id"],
        tenant=row["tenant"],
        session_id=row["session_id"],
        status=SessionStatus(row["status"]),
        head=row["next_seq"] - 1,
        min_seq=row["min_seq"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        ttl_s=row["ttl_s"],
        metadata=json_value(row["metadata"]),
        active_run=active_run,
    )


async def open_commands(
    connection: Connection, sessions: Sequence[int]
) -> tuple[list[Command], frozenset[int]]:
    """Return the open commands of these sessions, oldest first; those of unknown kinds are for newer versions.

    With them come the sessions that have one which can't be read; of those nothing is returned.
    """
    commands: list[Command] = []
    unreadable: set[int] = set()
    for row in await connection.fetch(
        _COMMANDS, list(sessions), list(CommandKind), COMMANDS_AT_ONCE
    ):
        try:
            commands.append(_command(row))
        except Exception as error:  # noqa: BLE001 - whatever stands there: it costs its own session only
            log.error("command.unreadable", command=row["command_id"], error=repr(error))
            unreadable.add(row["session"])
    return [c for c in commands if c.session not in unreadable], frozenset(unreadable)


def _command(row: asyncpg.Record) -> Command:
    body: dict[str, Any] = json_value(row["body"])
    created_at: datetime = row["created_at"]
    return Command(
        row["command_id"], row["session"], row["run_id"], CommandKind(row["kind"]), body, created_at
    )
