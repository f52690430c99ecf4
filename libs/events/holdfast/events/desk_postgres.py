"""What a gateway does for its callers, in Postgres. Whatever is asked of a session is decided under its row's lock."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from holdfast.events.commands import CommandKind
from holdfast.events.commands_postgres import ask, ask_cancel, ask_run, make_room
from holdfast.events.errors import (
    InputAnswered,
    InputUnknown,
    RunEnded,
    RunUnknown,
    SessionExists,
    SessionGone,
    SessionUnknown,
)
from holdfast.events.idempotency_postgres import remember, remembered
from holdfast.events.ids import new_run_id, new_session_id
from holdfast.events.pool_postgres import Connection, Pool, acquired, json_text, storable
from holdfast.events.rows_postgres import RUN_BY_ID, RUNS_OF_SESSION, run_of, session_of
from holdfast.events.store import (
    Idempotency,
    OwnEvent,
    Run,
    RunRequest,
    SessionInfo,
    SessionPage,
    SessionStatus,
    Ticket,
)

_SESSIONS = """
select s.*, (select run_id from runs r where r.session = s.id and r.status = 'running'
             and r.parent_run_id is null limit 1) as active_run
  from sessions s
 where s.tenant = $1 and ($2::text is null or s.status = $2) and ($3::bigint is null or s.id < $3)
 order by s.id desc limit $4
"""


class PostgresDesk:
    """Sessions, runs and commands over a pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def create_session(
        self,
        tenant: str,
        session_id: str | None,
        *,
        ttl_s: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency: Idempotency | None = None,
    ) -> SessionInfo:
        """Create a session; without an id, one is made."""
        async with self._once(tenant, idempotency) as (connection, answer):
            if answer is not None:
                return await _session(connection, tenant, answer["session_id"])
            row = await _create(connection, tenant, session_id, ttl_s, metadata or {})
            await remember(connection, tenant, idempotency, row["id"], _session_answer(row))
            return session_of(row)

    async def start(
        self,
        tenant: str,
        session_id: str | None,
        request: RunRequest,
        *,
        idempotency: Idempotency | None = None,
    ) -> Ticket:
        """Ask for a run in a session; without a session id, in a new session."""
        async with self._once(tenant, idempotency) as (connection, answer):
            if answer is not None:
                return _ticket(answer)
            if session_id is None:
                row = await _create(connection, tenant, None, None, {})
            else:
                row = await _locked(connection, tenant, session_id)
            await _check_open(connection, row)
            await make_room(connection, row, request.on_busy)
            ticket = Ticket(new_run_id(), row["session_id"], row["id"], row["next_seq"] - 1)
            await ask_run(connection, ticket, request)
            answer = {**_session_answer(row), "run_id": ticket.run_id, "after": ticket.after}
            await remember(connection, tenant, idempotency, row["id"], answer)
            return ticket

    async def remembered(self, tenant: str, idempotency: Idempotency) -> Ticket | None:
        """Return the ticket that `start` gave to this very request before; None if it never did."""
        async with self._once(tenant, idempotency) as (_, answer):
            return None if answer is None else _ticket(answer)

    async def cancel(
        self,
        tenant: str,
        run_id: str,
        *,
        reason: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Ask for the end of a run; asking again while that is open changes nothing."""
        async with self._once(tenant, idempotency) as (connection, answer):
            run = await _locked_run(connection, tenant, run_id)
            if answer is None:
                if run.status.ended:
                    raise RunEnded(run_id, run.status)
                await ask_cancel(connection, run.session, run_id, reason)
                await remember(connection, tenant, idempotency, run.session, {})
            return run

    async def answer(
        self,
        tenant: str,
        run_id: str,
        input_id: str,
        value: Any,
        *,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Answer a run's request for input; the first answer counts."""
        async with self._once(tenant, idempotency) as (connection, answer):
            run = await _locked_run(connection, tenant, run_id)
            if answer is not None:
                return run
            answered = await connection.fetchval(
                """select exists (select from commands where run_id = $1 and kind = 'input'
                                  and input_id = $2 and state <> 'rejected')""",
                run_id,
                input_id,
            )
            if answered:
                raise InputAnswered(input_id)
            if run.status.ended:
                raise RunEnded(run_id, run.status)
            if input_id not in run.waiting:
                raise InputUnknown(run_id, input_id)
            body = {"input_id": input_id, "value": value}
            await ask(connection, run.session, run_id, CommandKind.INPUT, body)
            await remember(connection, tenant, idempotency, run.session, {})
            return run

    async def steer(
        self, tenant: str, run_id: str, value: Any, *, idempotency: Idempotency | None = None
    ) -> Run:
        """Tell a run something it did not ask for; it sees what it is told in the order of telling."""
        async with self._once(tenant, idempotency) as (connection, answer):
            run = await _locked_run(connection, tenant, run_id)
            if answer is None:
                if run.status.ended:
                    raise RunEnded(run_id, run.status)
                body = {"value": value}
                await ask(connection, run.session, run_id, CommandKind.INPUT, body)
                await remember(connection, tenant, idempotency, run.session, {})
            return run

    async def emit(
        self,
        tenant: str,
        session_id: str,
        emission: OwnEvent,
        *,
        idempotency: Idempotency | None = None,
    ) -> SessionInfo:
        """Ask for an application's own event; the session's owner appends it after the head that is returned."""
        async with self._once(tenant, idempotency) as (connection, answer):
            row = await _locked(connection, tenant, session_id)
            if answer is not None:
                return replace(session_of(row), head=answer["after"])
            await _check_open(connection, row)
            await ask(connection, row["id"], None, CommandKind.EMIT, emission.body())
            told = {"after": row["next_seq"] - 1}
            await remember(connection, tenant, idempotency, row["id"], told)
            return session_of(row)

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        async with acquired(self._pool) as connection, connection.transaction():
            row = await _locked(connection, tenant, session_id)
            asked = await _asked(connection, row["id"], CommandKind.ERASE)
            if row["status"] != SessionStatus.ERASED and not asked:
                body = {"reason": reason} if reason else {}
                await ask(connection, row["id"], None, CommandKind.ERASE, body)
            return session_of(row)

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        async with acquired(self._pool) as connection:
            return await _session(connection, tenant, session_id)

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up."""
        _check_name(run_id, RunUnknown)
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(RUN_BY_ID, run_id, tenant)
        if row is None:
            raise RunUnknown(run_id)
        return run_of(row)

    async def runs(self, tenant: str, session_id: str, *, limit: int = 100) -> Sequence[Run]:
        """List a session's runs, newest first."""
        if not storable(session_id):
            return []
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(RUNS_OF_SESSION, tenant, session_id, limit)
        return [run_of(row) for row in rows]

    async def sessions(
        self,
        tenant: str,
        *,
        status: SessionStatus | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> SessionPage:
        """List a tenant's sessions, newest first; `before` is a page's `next_cursor`."""
        async with acquired(self._pool) as connection:
            rows = await connection.fetch(_SESSIONS, tenant, status, before, limit + 1)
        items = [session_of(row, active_run=row["active_run"]) for row in rows[:limit]]
        return SessionPage(items, items[-1].session if len(rows) > limit else None)

    @asynccontextmanager
    async def _once(
        self, tenant: str, idempotency: Idempotency | None
    ) -> AsyncGenerator[tuple[Connection, dict[str, Any] | None]]:
        """Open a transaction, with the answer that was given to the same request before, if any."""
        async with acquired(self._pool) as connection, connection.transaction():
            yield connection, await remembered(connection, tenant, idempotency)


def _check_name(name: str, unknown: type[SessionUnknown] | type[RunUnknown]) -> None:
    """Nobody has a name that the database can't hold: it is unknown like any other wrong one."""
    if not storable(name):
        raise unknown(name)


def _session_answer(row: asyncpg.Record) -> dict[str, Any]:
    return {"session_id": row["session_id"], "session": str(row["id"])}


def _ticket(answer: dict[str, Any]) -> Ticket:
    return Ticket(answer["run_id"], answer["session_id"], int(answer["session"]), answer["after"])


async def _create(
    connection: Connection,
    tenant: str,
    session_id: str | None,
    ttl_s: int | None,
    metadata: Mapping[str, Any],
) -> asyncpg.Record:
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


async def _session(connection: Connection, tenant: str, session_id: str) -> SessionInfo:
    _check_name(session_id, SessionUnknown)
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


async def _locked(connection: Connection, tenant: str, session_id: str) -> asyncpg.Record:
    _check_name(session_id, SessionUnknown)
    row = await connection.fetchrow(
        "select * from sessions where tenant = $1 and session_id = $2 for update",
        tenant,
        session_id,
    )
    if row is None:
        raise SessionUnknown(session_id)
    return row


async def _locked_run(connection: Connection, tenant: str, run_id: str) -> Run:
    _check_name(run_id, RunUnknown)
    await connection.execute(
        """select from sessions where tenant = $2 and id = (select session from runs where run_id = $1)
           for update""",
        run_id,
        tenant,
    )
    # Read after the lock, in a statement of its own: under READ COMMITTED this sees what the last holder did.
    row = await connection.fetchrow(RUN_BY_ID, run_id, tenant)
    if row is None:
        raise RunUnknown(run_id)
    return run_of(row)


async def _check_open(connection: Connection, row: asyncpg.Record) -> None:
    """Raise SessionGone unless the session takes commands."""
    if row["status"] != SessionStatus.ACTIVE:
        raise SessionGone(row["session_id"], row["status"])
    if await _asked(connection, row["id"], CommandKind.ERASE):
        raise SessionGone(row["session_id"], "being erased")
    # Its time is over; what came after this could only be appended behind its last event.
    if await _asked(connection, row["id"], CommandKind.EXPIRE):
        raise SessionGone(row["session_id"], SessionStatus.EXPIRED)


async def _asked(connection: Connection, session: int, kind: CommandKind) -> bool:
    return await connection.fetchval(
        "select exists (select from commands where session = $1 and kind = $2 and state = 'open')",
        session,
        kind,
    )
