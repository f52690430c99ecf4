"""What a gateway does for its callers, in memory. Whatever is asked is decided in one turn."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from holdfast.events.commands import CommandKind, CommandState, OnBusy
from holdfast.events.errors import (
    InputAnswered,
    InputUnknown,
    KeyReused,
    RunEnded,
    SessionBusy,
    SessionExists,
    SessionGone,
)
from holdfast.events.ids import new_run_id, new_session_id
from holdfast.events.state_memory import AnswerRow, MemoryState, RunRow, SessionRow, later
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


class MemoryDesk:
    """Sessions, runs and commands over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

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
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        if answer is not None:
            return self._state.describe(self._state.sessions[answer["session"]])
        row = self._create(tenant, session_id, ttl_s, metadata or {})
        self._remember(tenant, idempotency, {"session": row.id})
        return self._state.describe(row)

    async def start(
        self,
        tenant: str,
        session_id: str | None,
        request: RunRequest,
        *,
        idempotency: Idempotency | None = None,
    ) -> Ticket:
        """Ask for a run in a session; without a session id, in a new session."""
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        if answer is not None:
            return answer["ticket"]
        # Before anything is changed: what isn't JSON fails, and no half of a request is left.
        given = orjson.dumps(request.input)
        new = session_id is None
        row = (
            self._create(tenant, None, None, {}) if new else self._state.session(tenant, session_id)
        )
        _check_open(row)
        self._make_room(row, request.on_busy)
        run = self._insert_run(row, request, given)
        ticket = Ticket(run.run_id, row.session_id, row.id, run.after)
        self._remember(tenant, idempotency, {"session": row.id, "ticket": ticket})
        return ticket

    async def remembered(self, tenant: str, idempotency: Idempotency) -> Ticket | None:
        """Return the ticket that `start` gave to this very request before; None if it never did."""
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        return None if answer is None else answer["ticket"]

    async def cancel(
        self,
        tenant: str,
        run_id: str,
        *,
        reason: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Ask for the end of a run; asking again while that is open changes nothing."""
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        run = self._state.run(tenant, run_id)
        if answer is None:
            if run.status.ended:
                raise RunEnded(run_id, run.status)
            self._cancel(run, reason)
            self._remember(tenant, idempotency, {"session": run.session})
        return self._state.view(run)

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
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        run = self._state.run(tenant, run_id)
        if answer is None:
            session = self._state.sessions[run.session]
            if any(
                command.kind is CommandKind.INPUT
                and (command.run_id, command.input_id) == (run_id, input_id)
                and command.state is not CommandState.REJECTED
                for command in session.commands
            ):
                raise InputAnswered(input_id)
            if run.status.ended:
                raise RunEnded(run_id, run.status)
            if input_id not in orjson.loads(run.waiting):
                raise InputUnknown(run_id, input_id)
            body = {"input_id": input_id, "value": value}
            self._state.ask(session, CommandKind.INPUT, body, run_id=run_id)
            self._remember(tenant, idempotency, {"session": run.session})
        return self._state.view(run)

    async def steer(
        self, tenant: str, run_id: str, value: Any, *, idempotency: Idempotency | None = None
    ) -> Run:
        """Tell a run something it did not ask for; it sees what it is told in the order of telling."""
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        run = self._state.run(tenant, run_id)
        if answer is None:
            if run.status.ended:
                raise RunEnded(run_id, run.status)
            session = self._state.sessions[run.session]
            self._state.ask(session, CommandKind.INPUT, {"value": value}, run_id=run_id)
            self._remember(tenant, idempotency, {"session": run.session})
        return self._state.view(run)

    async def emit(
        self,
        tenant: str,
        session_id: str,
        emission: OwnEvent,
        *,
        idempotency: Idempotency | None = None,
    ) -> SessionInfo:
        """Ask for an application's own event; the session's owner appends it after the head that is returned."""
        await self._state.turn()
        answer = self._remembered(tenant, idempotency)
        row = self._state.session(tenant, session_id)
        if answer is not None:
            return replace(self._state.describe(row), head=answer["after"])
        _check_open(row)
        self._state.ask(row, CommandKind.EMIT, emission.body())
        self._remember(tenant, idempotency, {"session": row.id, "after": row.head})
        return self._state.describe(row)

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        await self._state.turn()
        row = self._state.session(tenant, session_id)
        if row.status is not SessionStatus.ERASED and not _erasure_asked(row):
            self._state.ask(row, CommandKind.ERASE, {"reason": reason} if reason else {})
        return self._state.describe(row)

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        await self._state.turn()
        return self._state.describe(self._state.session(tenant, session_id))

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up."""
        await self._state.turn()
        return self._state.view(self._state.run(tenant, run_id))

    async def runs(self, tenant: str, session_id: str, *, limit: int = 100) -> Sequence[Run]:
        """List a session's runs, newest first."""
        await self._state.turn()
        row = self._state.by_name.get((tenant, session_id))
        return [] if row is None else [self._state.view(run) for run in row.runs[::-1][:limit]]

    async def sessions(
        self,
        tenant: str,
        *,
        status: SessionStatus | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> SessionPage:
        """List a tenant's sessions, newest first; `before` is a page's `next_cursor`."""
        await self._state.turn()
        rows = [
            row
            for row in reversed(self._state.sessions.values())
            if row.tenant == tenant
            and (status is None or row.status is status)
            and (before is None or row.id < before)
        ]
        items = [self._state.describe(row) for row in rows[:limit]]
        return SessionPage(items, items[-1].session if len(rows) > limit else None)

    def _remembered(self, tenant: str, idempotency: Idempotency | None) -> dict[str, Any] | None:
        """Return the answer given before to this request. Raises KeyReused for another request's key."""
        if idempotency is None:
            return None
        answer = self._state.answers.get((tenant, idempotency.key))
        if answer is None:
            return None
        if answer.request_hash != idempotency.request_hash:
            raise KeyReused(idempotency.key)
        return answer.response

    def _remember(
        self, tenant: str, idempotency: Idempotency | None, answer: dict[str, Any]
    ) -> None:
        if idempotency is not None:
            self._state.answers[tenant, idempotency.key] = AnswerRow(
                idempotency.request_hash, answer, self._state.clock.now()
            )

    def _create(
        self, tenant: str, session_id: str | None, ttl_s: int | None, metadata: Mapping[str, Any]
    ) -> SessionRow:
        state, now = self._state, self._state.clock.now()
        session_id = session_id or new_session_id(state.make_id)
        if (tenant, session_id) in state.by_name:
            raise SessionExists(session_id)
        row = SessionRow(
            id=len(state.sessions) + 1,
            tenant=tenant,
            session_id=session_id,
            created_at=now,
            ttl_s=ttl_s,
            metadata=orjson.dumps(metadata),
            expires_at=None if ttl_s is None else later(now, ttl_s),
        )
        state.sessions[row.id] = state.by_name[tenant, session_id] = row
        body: dict[str, Any] = {}
        if metadata:
            body["metadata"] = metadata
        if ttl_s is not None:
            body["ttl_s"] = ttl_s
        state.ask(row, CommandKind.CREATE, body)
        return row

    def _make_room(self, session: SessionRow, on_busy: OnBusy) -> None:
        busy = list(session.open_roots())
        if busy and on_busy is OnBusy.REJECT:
            raise SessionBusy(session.session_id, busy[0].run_id)
        if on_busy is OnBusy.INTERRUPT:
            for run in busy:
                self._cancel(run, "interrupted by a newer run")

    def _insert_run(self, session: SessionRow, request: RunRequest, given: bytes) -> RunRow:
        state, now = self._state, self._state.clock.now()
        run = RunRow(
            run_id=new_run_id(state.make_id),
            session=session.id,
            workflow=request.workflow,
            input=given,
            after=session.head,
            due_at=request.start_at or now,
            created_at=now,
            user_id=request.user_id,
            trace_id=request.trace_id,
        )
        session.runs.append(run)
        state.runs[run.run_id] = run
        body: dict[str, Any] = {"workflow": request.workflow}
        if request.start_at is not None:
            body["start_at"] = request.start_at.isoformat()
        state.ask(session, CommandKind.START, body, run_id=run.run_id)
        return run

    def _cancel(self, run: RunRow, reason: str | None) -> None:
        session = self._state.sessions[run.session]
        asked = any(
            command.kind is CommandKind.CANCEL and command.run_id == run.run_id
            for command in session.open_commands()
        )
        if not asked:
            body = {"reason": reason} if reason else {}
            self._state.ask(session, CommandKind.CANCEL, body, run_id=run.run_id)


def _check_open(session: SessionRow) -> None:
    """Raise SessionGone unless the session takes commands."""
    if session.status is not SessionStatus.ACTIVE:
        raise SessionGone(session.session_id, session.status)
    if _erasure_asked(session):
        raise SessionGone(session.session_id, "being erased")
    # Its time is over; what came after this could only be appended behind its last event.
    if any(command.kind is CommandKind.EXPIRE for command in session.open_commands()):
        raise SessionGone(session.session_id, SessionStatus.EXPIRED)


def _erasure_asked(session: SessionRow) -> bool:
    return any(command.kind is CommandKind.ERASE for command in session.open_commands())
