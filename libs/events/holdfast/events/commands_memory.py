"""The rows that ask something of a session, in memory: sessions, runs and commands, inserted in one turn."""

from collections.abc import Mapping
from typing import Any

import orjson

from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.errors import SessionBusy, SessionExists, SessionGone
from holdfast.events.ids import new_run_id, new_session_id
from holdfast.events.state_memory import MemoryState, RunRow, SessionRow, later
from holdfast.events.store import RunRequest, SessionStatus


def create_session(
    state: MemoryState,
    tenant: str,
    session_id: str | None,
    ttl_s: int | None,
    metadata: Mapping[str, Any],
) -> SessionRow:
    """Insert a session, and the command that asks for its first event. Raises SessionExists."""
    now = state.clock.now()
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


def make_room(state: MemoryState, session: SessionRow, on_busy: OnBusy) -> None:
    """Do what `on_busy` says about the session's unfinished runs. Raises SessionBusy."""
    busy = list(session.open_roots())
    if busy and on_busy is OnBusy.REJECT:
        raise SessionBusy(session.session_id, busy[0].run_id)
    if on_busy is OnBusy.INTERRUPT:
        for run in busy:
            ask_cancel(state, run, "interrupted by a newer run")


def ask_run(state: MemoryState, session: SessionRow, request: RunRequest, given: bytes) -> RunRow:
    """Insert a run, and the command that asks for its start."""
    now = state.clock.now()
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
        priority=request.priority,
        timeout_s=request.timeout_s,
    )
    session.runs.append(run)
    state.runs[run.run_id] = run
    body: dict[str, Any] = {"workflow": request.workflow}
    if request.start_at is not None:
        body["start_at"] = request.start_at.isoformat()
    state.ask(session, CommandKind.START, body, run_id=run.run_id)
    return run


def ask_cancel(state: MemoryState, run: RunRow, reason: str | None) -> None:
    """Ask for the end of a run, unless that is asked already."""
    session = state.sessions[run.session]
    asked = any(
        command.kind is CommandKind.CANCEL and command.run_id == run.run_id
        for command in session.open_commands()
    )
    if not asked:
        body = {"reason": reason} if reason else {}
        state.ask(session, CommandKind.CANCEL, body, run_id=run.run_id)


def check_open(session: SessionRow) -> None:
    """Raise SessionGone unless the session takes commands."""
    if session.status is not SessionStatus.ACTIVE:
        raise SessionGone(session.session_id, session.status)
    if erasure_asked(session):
        raise SessionGone(session.session_id, "being erased")
    # Its time is over; what came after this could only be appended behind its last event.
    if any(command.kind is CommandKind.EXPIRE for command in session.open_commands()):
        raise SessionGone(session.session_id, SessionStatus.EXPIRED)


def erasure_asked(session: SessionRow) -> bool:
    """Tell whether somebody asked for the session's erasure."""
    return any(command.kind is CommandKind.ERASE for command in session.open_commands())
