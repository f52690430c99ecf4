"""The rows of sessions, in Postgres: made, looked up, and held while something is asked of them."""

from collections.abc import Collection, Mapping
from typing import Any, NoReturn

import asyncpg

from holdfast.events.commands import CommandKind
from holdfast.events.commands_postgres import ask
from holdfast.events.errors import RunUnknown, SessionExists, SessionGone, SessionUnknown
from holdfast.events.ids import new_session_id
from holdfast.events.pool_postgres import Connection, json_text, storable
from holdfast.events.rows_postgres import session_of
from holdfast.events.store import (
    OPEN_EMITS_MAX,
    Located,
    SessionInfo,
    SessionName,
    SessionStatus,
)

SESSIONS = """
select s.*, (select run_id from runs r where r.session = s.id and r.status = 'running'
             and r.parent_run_id is null limit 1) as active_run
  from sessions s
 where s.tenant = $1 and ($2::text is null or s.status = $2) and ($3::bigint is null or s.id < $3)
 order by s.id desc limit $4
"""


def check_name(name: str, unknown: type[SessionUnknown] | type[RunUnknown]) -> None:
    """Raise `unknown` for a name that the database can't hold: nobody has it, as any other wrong one."""
    if not storable(name):
        raise unknown(name)


async def create_session(
    connection: Connection,
    tenant: str,
    session_id: str | None,
    ttl_s: int | None,
    metadata: Mapping[str, Any],
) -> asyncpg.Record:
    """Insert a session, and the command that asks for its first event. Raises SessionExists."""
    row = await connection.fetchrow(
        """insert into sessions (tenant, session_id, ttl_s, metadata, expires_at)
           values ($1, $2, $3::int, $4, clock_timestamp() + make_interval(secs => $3::int))
           on conflict (tenant, session_id) do nothing returning *""",
        tenant,
        session_id or new_session_id(),
        ttl_s,
        json_text(metadata),
    )
    if row is None:
        raise SessionExists(session_id or "")
    body: dict[str, Any] = {}
    if metadata:
        body["metadata"] = metadata
    if ttl_s is not None:
        body["ttl_s"] = ttl_s
    await ask(connection, row["id"], None, CommandKind.CREATE, body)
    return row


async def show_session(connection: Connection, tenant: str, session_id: str) -> SessionInfo:
    """Look a session up. Raises SessionUnknown."""
    check_name(session_id, SessionUnknown)
    row = await connection.fetchrow(
        """select s.*, (select run_id from runs r where r.session = s.id and r.status = 'running'
                        and r.parent_run_id is null limit 1) as active_run
             from sessions s where s.tenant = $1 and s.session_id = $2""",
        tenant,
        session_id,
    )
    if row is None:
        raise SessionUnknown(session_id)
    return session_of(row, active_run=row["active_run"])


async def locate_sessions(
    connection: Connection, names: Collection[SessionName]
) -> Mapping[SessionName, Located]:
    """Look sessions up by tenant and id; those that exist are in the answer."""
    known = [name for name in names if storable(name[0]) and storable(name[1])]
    rows = await connection.fetch(
        """select s.tenant, s.session_id, s.id, s.status
             from unnest((select $1::text[]), $2::text[]) as w (tenant, session_id)
             join sessions s using (tenant, session_id)""",
        [tenant for tenant, _ in known],
        [session_id for _, session_id in known],
    )
    return {
        (tenant, session_id): Located(session, SessionStatus(status))
        for tenant, session_id, session, status in rows
    }


async def lock_session(connection: Connection, tenant: str, session_id: str) -> asyncpg.Record:
    """Hold a session's row to the transaction's end, and return it. Raises SessionUnknown."""
    check_name(session_id, SessionUnknown)
    row = await connection.fetchrow(
        "select * from sessions where tenant = $1 and session_id = $2 for update",
        tenant,
        session_id,
    )
    if row is None:
        raise SessionUnknown(session_id)
    return row


async def check_open(connection: Connection, row: asyncpg.Record) -> None:
    """Raise SessionGone unless the session takes commands."""
    if row["status"] != SessionStatus.ACTIVE:
        refuse_over(row["session_id"], row["status"], ())
    rows = await connection.fetch(
        "select kind from commands where session = $1 and kind = any($2) and state = 'open'",
        row["id"],
        [CommandKind.ERASE, CommandKind.EXPIRE],
    )
    if rows:
        refuse_over(row["session_id"], row["status"], [found["kind"] for found in rows])


def refuse_over(session_id: str, status: str, closing: Collection[str]) -> NoReturn:
    """Raise SessionGone for a session that is over, or is going to be by these kinds of open commands."""
    if status != SessionStatus.ACTIVE:
        raise SessionGone(session_id, status)
    if CommandKind.ERASE in closing:
        raise SessionGone(session_id, "being erased")
    # Its time is over; what came after this could only be appended behind its last event.
    raise SessionGone(session_id, SessionStatus.EXPIRED)


async def asked(connection: Connection, session: int, kind: CommandKind) -> bool:
    """Tell whether an open command of this kind is there."""
    return await connection.fetchval(
        "select exists (select from commands where session = $1 and kind = $2 and state = 'open')",
        session,
        kind,
    )


async def open_emits(connection: Connection, session: int) -> int:
    """Return how many of an application's own events wait for the session's owner; it counts no further than needed."""
    return await connection.fetchval(
        """select count(*) from (select from commands where session = $1 and kind = 'emit' and state = 'open'
                                  limit $2) c""",
        session,
        OPEN_EMITS_MAX,
    )
