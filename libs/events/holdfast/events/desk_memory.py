"""What a gateway does for its callers, in memory. Whatever is asked is decided in one turn."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from holdfast.events.commands import CommandKind, CommandState
from holdfast.events.commands_memory import (
    ask_cancel,
    ask_run,
    check_open,
    create_session,
    erasure_asked,
    make_room,
)
from holdfast.events.errors import (
    InputAnswered,
    InputUnknown,
    KeyReused,
    RunEnded,
    TooManyEvents,
)
from holdfast.events.slots_memory import held_by
from holdfast.events.state_memory import AnswerRow, MemoryState
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
        row = create_session(self._state, tenant, session_id, ttl_s, metadata or {})
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
            create_session(self._state, tenant, None, None, {})
            if new
            else self._state.session(tenant, session_id)
        )
        check_open(row)
        make_room(self._state, row, request.on_busy)
        run = ask_run(self._state, row, request, given)
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
            ask_cancel(self._state, run, reason)
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
        check_open(row)
        waiting = sum(command.kind is CommandKind.EMIT for command in row.open_commands())
        if waiting >= OPEN_EMITS_MAX:
            raise TooManyEvents(session_id, OPEN_EMITS_MAX)
        self._state.ask(row, CommandKind.EMIT, emission.body())
        self._remember(tenant, idempotency, {"session": row.id, "after": row.head})
        return self._state.describe(row)

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        await self._state.turn()
        row = self._state.session(tenant, session_id)
        if row.status is not SessionStatus.ERASED and not erasure_asked(row):
            self._state.ask(row, CommandKind.ERASE, {"reason": reason} if reason else {})
        return self._state.describe(row)

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        await self._state.turn()
        return self._state.describe(self._state.session(tenant, session_id))

    async def locate(self, names: Collection[SessionName]) -> Mapping[SessionName, Located]:
        """Look many sessions up at once."""
        await self._state.turn()
        rows = ((name, self._state.by_name.get(name)) for name in names)
        return {name: Located(row.id, row.status) for name, row in rows if row is not None}

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up; one that nobody has taken up tells what holds it."""
        now = await self._state.turn()
        run = self._state.run(tenant, run_id)
        return replace(self._state.view(run), held_by=held_by(run, self._state, now))

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
