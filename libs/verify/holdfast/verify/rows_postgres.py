"""The truth past everything that is checked: the rows of Postgres, read by a statement each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import asyncpg

from holdfast.events.errors import StoreUnavailable
from holdfast.events.identity_postgres import log_name
from holdfast.events.pool_postgres import store_errors
from holdfast.verify.history import CommandRow, RunRow
from holdfast.verify.log import LogEvent, SessionLog

TIMEOUT_S = 30.0

# 1,000 events are about half a megabyte.
ROWS_AT_ONCE = 1_000

_SESSIONS = "select id, session_id, epoch, next_seq - 1 as head, min_seq from sessions where session_id = any($1)"
_EVENTS = """
select seq, epoch, key, event_id, recorded_at, body from events where session = $1 and seq >= $2 order by seq
"""
_RUNS = "select run_id, status, attempts from runs where session = $1 order by created_at, run_id"
_COMMANDS = "select command_id, kind, state, run_id from commands where session = $1 order by n"


@dataclass(frozen=True, slots=True)
class Rows:
    """All rows about some sessions; `numbers` are the sessions' own in this log."""

    log_id: str
    numbers: Mapping[str, int]
    logs: Sequence[SessionLog]
    runs: Sequence[RunRow]
    commands: Sequence[CommandRow]


async def read_rows(database_url: str, sessions: Sequence[str]) -> Rows:
    """Read everything about `sessions`, in one snapshot. Raises StoreUnavailable."""
    try:
        with store_errors():
            connection = await asyncpg.connect(
                database_url, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S
            )
            try:
                async with connection.transaction(isolation="repeatable_read", readonly=True):
                    return await _read(connection, sessions)
            finally:
                await connection.close(timeout=TIMEOUT_S)
    except (asyncpg.PostgresError, ValueError) as error:
        # The URL holds a password and is never shown.
        raise StoreUnavailable(f"Postgres: {type(error).__name__}: {error}") from error


async def _read(connection: "asyncpg.Connection[asyncpg.Record]", sessions: Sequence[str]) -> Rows:
    log_id = await log_name(connection)
    numbers: dict[str, int] = {}
    logs: list[SessionLog] = []
    runs: list[RunRow] = []
    commands: list[CommandRow] = []
    for row in await connection.fetch(_SESSIONS, list(sessions)):
        session = row["session_id"]
        numbers[session] = row["id"]
        events = [
            LogEvent.of(
                bytes(event["body"]),
                seq=event["seq"],
                at=event["recorded_at"].timestamp(),
                epoch=event["epoch"],
                key=event["key"],
                event_id=str(event["event_id"]),
            )
            # Bit by bit: what is kept of an event is a digest, and a session may be larger than memory.
            async for event in connection.cursor(
                _EVENTS, row["id"], row["min_seq"], prefetch=ROWS_AT_ONCE
            )
        ]
        logs.append(
            SessionLog(
                session=session,
                events=events,
                head=row["head"],
                min_seq=row["min_seq"],
                epoch=row["epoch"],
            )
        )
        runs += [
            RunRow(run_id=r["run_id"], session=session, status=r["status"], attempts=r["attempts"])
            for r in await connection.fetch(_RUNS, row["id"])
        ]
        commands += [
            CommandRow(
                command_id=c["command_id"],
                session=session,
                kind=c["kind"],
                state=c["state"],
                run_id=c["run_id"],
            )
            for c in await connection.fetch(_COMMANDS, row["id"])
        ]
    return Rows(log_id, numbers, logs, runs, commands)
