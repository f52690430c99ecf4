"""The rows that ask something of a session, in Postgres: runs and commands, inserted under the session row's lock."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.errors import SessionBusy
from holdfast.events.ids import new_command_id
from holdfast.events.pool_postgres import Connection, json_text


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
