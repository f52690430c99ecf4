"""How rows of the schema become the store's records."""

# ruff: noqa: S608 - SQL made of this package's own constants, once, when it is imported

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import asyncpg
import structlog

from holdfast.events.commands import Command, CommandKind
from holdfast.events.pool_postgres import Connection, json_value
from holdfast.events.store import (
    COMMANDS_AT_ONCE,
    Look,
    Run,
    RunStatus,
    SessionInfo,
    SessionStatus,
)

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

# Behind a `select` Postgres doesn't see how many sessions they are: so it has no reason to plan each call anew, which
# takes it longer than the statement itself. It takes them for ten then; where several arrays are unnested together it
# goes by the longest, so one of them is enough. Other kinds of commands are for newer versions.
_SESSIONS = "unnest((select $1::bigint[])) as x (id)"
_COMMANDS_OPEN = f"""
select c.* from {_SESSIONS}
 cross join lateral (
    select * from commands
     where session = x.id and state = 'open' and kind in ({", ".join(f"'{kind}'" for kind in CommandKind)})
     order by n limit {COMMANDS_AT_ONCE}) c
"""
_COMMANDS = _COMMANDS_OPEN + " order by c.session, c.n"

# Of a run in the queue something is recorded only if it was told something: that left a result. (`offset 0`: session by
# session, as the commands, and not all open runs of the table beside them.)
_RUNS_OPEN = f"""
select r.*, s.session_id, s.tenant,
       isfinite(r.not_before) as timed, r.not_before <= clock_timestamp() as due, clock_timestamp() as seen_at,
       r.status <> 'queued' or exists (select from step_results where run_id = r.run_id) as recorded
  from {_SESSIONS} join sessions s on s.id = x.id
 cross join lateral (
    select * from runs where session = x.id and status in ('queued', 'running', 'waiting') offset 0) r
"""
_RUNS = _RUNS_OPEN + " order by r.created_at, r.run_id"

# Both in one answer: the commands, without a run beside them, and the runs.
_LOOK = f"""
select c.n, c.command_id, c.session as of_session, c.run_id as of_run, c.kind, c.body, c.created_at as asked_at, r.*
  from ({_COMMANDS_OPEN}) c left join ({_RUNS_OPEN}) r on false
union all
select null, null, null, null, null, null, null, r.* from ({_RUNS_OPEN}) r
 order by n, created_at, run_id
"""

log = structlog.get_logger("holdfast.store")


def run_of(row: asyncpg.Record) -> Run:
    """Return the run that a row of `_RUN`, or of `_RUNS_OPEN`, describes."""
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
        recorded=row.get("recorded", True),
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
    rows = await connection.fetch(_COMMANDS, list(sessions))
    return _commands(
        (r["command_id"], r["session"], r["run_id"], r["kind"], r["body"], r["created_at"])
        for r in rows
    )


async def open_runs(connection: Connection, session: int) -> list[Run]:
    """Return a session's runs that have not ended, oldest first."""
    return [run_of(row) for row in await connection.fetch(_RUNS, [session])]


async def look_at(
    connection: Connection, sessions: Sequence[int]
) -> tuple[dict[int, Look], frozenset[int]]:
    """Return what is open in each of these sessions, as of one moment; and those of `open_commands` beside them."""
    rows = await connection.fetch(_LOOK, list(sessions))
    commands, unreadable = _commands(
        (r["command_id"], r["of_session"], r["of_run"], r["kind"], r["body"], r["asked_at"])
        for r in rows
        if r["command_id"] is not None
    )
    asked: dict[int, list[Command]] = {session: [] for session in sessions}
    runs: dict[int, list[Run]] = {session: [] for session in sessions}
    for command in commands:
        asked[command.session].append(command)
    for row in rows:
        if row["run_id"] is not None:
            runs[row["session"]].append(run_of(row))
    return {session: Look(asked[session], runs[session]) for session in sessions}, unreadable


def _commands(
    rows: Iterable[tuple[str, int, str | None, str, str, datetime]],
) -> tuple[list[Command], frozenset[int]]:
    commands: list[Command] = []
    unreadable: set[int] = set()
    for command_id, session, run_id, kind, body, created_at in rows:
        try:
            told: dict[str, Any] = json_value(body)
            commands.append(
                Command(command_id, session, run_id, CommandKind(kind), told, created_at)
            )
        except Exception as error:  # noqa: BLE001 - whatever stands there: it costs its own session only
            log.error("command.unreadable", command=command_id, error=repr(error))
            unreadable.add(session)
    return [c for c in commands if c.session not in unreadable], frozenset(unreadable)
