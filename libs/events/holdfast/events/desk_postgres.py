"""What a gateway does for its callers, in Postgres. Whatever is asked of a session is decided under its row's lock."""

from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg

from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.commands_postgres import ask, ask_cancel, make_room
from holdfast.events.errors import (
    InputAnswered,
    InputUnknown,
    RunEnded,
    RunUnknown,
    TooManyEvents,
)
from holdfast.events.idempotency_postgres import remember, remembered
from holdfast.events.pool_postgres import Connection, Pool, acquired, storable
from holdfast.events.rows_postgres import RUN_BY_ID, RUNS_OF_SESSION, run_of, session_of
from holdfast.events.sessions_postgres import (
    SESSIONS,
    asked,
    check_name,
    check_open,
    create_session,
    locate_sessions,
    lock_session,
    open_emits,
    show_session,
)
from holdfast.events.slots_postgres import held_by
from holdfast.events.starting_postgres import ask_run, ticket_of
from holdfast.events.store import (
    OPEN_EMITS_MAX,
    Idempotency,
    Located,
    OwnEvent,
    Run,
    RunRequest,
    SessionInfo,
    SessionName,
    SessionPage,
    SessionStatus,
    Ticket,
)


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
                return await show_session(connection, tenant, answer["session_id"])
            row = await create_session(connection, tenant, session_id, ttl_s, metadata or {})
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
        if session_id is not None and request.on_busy is OnBusy.ENQUEUE:
            async with acquired(self._pool) as connection:
                return await ask_run(connection, tenant, session_id, request, idempotency)
        async with self._once(tenant, idempotency) as (connection, answer):
            if answer is not None:
                return ticket_of(answer)
            if session_id is None:
                row = await create_session(connection, tenant, None, None, {})
            else:
                row = await lock_session(connection, tenant, session_id)
                await check_open(connection, row)
                await make_room(connection, row, request.on_busy)
            ticket = await ask_run(connection, tenant, row["session_id"], request)
            answer = {**_session_answer(row), "run_id": ticket.run_id, "after": ticket.after}
            await remember(connection, tenant, idempotency, row["id"], answer)
            return ticket

    async def remembered(self, tenant: str, idempotency: Idempotency) -> Ticket | None:
        """Return the ticket that `start` gave to this very request before; None if it never did."""
        async with self._once(tenant, idempotency) as (_, answer):
            return None if answer is None else ticket_of(answer)

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
            row = await lock_session(connection, tenant, session_id)
            if answer is not None:
                return replace(session_of(row), head=answer["after"])
            await check_open(connection, row)
            if await open_emits(connection, row["id"]) >= OPEN_EMITS_MAX:
                raise TooManyEvents(session_id, OPEN_EMITS_MAX)
            await ask(connection, row["id"], None, CommandKind.EMIT, emission.body())
            told = {"after": row["next_seq"] - 1}
            await remember(connection, tenant, idempotency, row["id"], told)
            return session_of(row)

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        async with acquired(self._pool) as connection, connection.transaction():
            row = await lock_session(connection, tenant, session_id)
            erasing = await asked(connection, row["id"], CommandKind.ERASE)
            if row["status"] != SessionStatus.ERASED and not erasing:
                body = {"reason": reason} if reason else {}
                await ask(connection, row["id"], None, CommandKind.ERASE, body)
            return session_of(row)

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        async with acquired(self._pool) as connection:
            return await show_session(connection, tenant, session_id)

    async def locate(self, names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        """Look many sessions up at once."""
        async with acquired(self._pool) as connection:
            return await locate_sessions(connection, names)

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up."""
        check_name(run_id, RunUnknown)
        async with acquired(self._pool) as connection:
            row = await connection.fetchrow(RUN_BY_ID, run_id, tenant)
            if row is None:
                raise RunUnknown(run_id)
            run = run_of(row)
            if run.status.idle:
                run = replace(run, held_by=await held_by(connection, run_id))
        return run

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
            rows = await connection.fetch(SESSIONS, tenant, status, before, limit + 1)
        items = [session_of(row, active_run=row["active_run"]) for row in rows[:limit]]
        return SessionPage(items, items[-1].session if len(rows) > limit else None)

    @asynccontextmanager
    async def _once(
        self, tenant: str, idempotency: Idempotency | None
    ) -> AsyncGenerator[tuple[Connection, dict[str, Any] | None]]:
        """Open a transaction, with the answer that was given to the same request before, if any."""
        async with acquired(self._pool) as connection, connection.transaction():
            yield connection, await remembered(connection, tenant, idempotency)


def _session_answer(row: asyncpg.Record) -> dict[str, Any]:
    return {"session_id": row["session_id"], "session": str(row["id"])}


async def _locked_run(connection: Connection, tenant: str, run_id: str) -> Run:
    check_name(run_id, RunUnknown)
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
