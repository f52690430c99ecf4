"""What the in-memory log holds: the rows of the schema as objects, shared by the twins of all five interfaces.

A twin's method lets others run first and then decides without a pause, which makes it as atomic as a transaction.
JSON is kept as text, as in the database: what isn't JSON fails at once, and no caller holds a piece of a row.
"""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import orjson

from holdfast.events.clock import Clock
from holdfast.events.commands import Command, CommandKind, CommandState
from holdfast.events.errors import RunUnknown, SessionUnknown
from holdfast.events.ids import MakeId, new_command_id
from holdfast.events.snapshots import Snapshot
from holdfast.events.store import (
    EventRow,
    Run,
    RunStatus,
    SessionInfo,
    SessionStatus,
    WorkflowInfo,
)

EMPTY = b"{}"


@dataclass(slots=True)
class CommandRow:
    """Something asked of a session."""

    command_id: str
    session: int
    run_id: str | None
    kind: CommandKind
    body: bytes
    input_id: str | None
    created_at: datetime
    state: CommandState = CommandState.OPEN

    def command(self) -> Command:
        """Return what its readers see."""
        return Command(
            self.command_id,
            self.session,
            self.run_id,
            self.kind,
            orjson.loads(self.body),
            self.created_at,
        )


@dataclass(slots=True, kw_only=True)
class RunRow:
    """A run."""

    run_id: str
    session: int
    workflow: str
    input: bytes | None
    after: int
    due_at: datetime | None  # None = not by time
    created_at: datetime
    parent_run_id: str | None = None
    workflow_v: str | None = None
    status: RunStatus = RunStatus.QUEUED
    attempts: int = 0
    strikes: int = 0
    waiting: bytes = EMPTY
    user_id: str | None = None
    trace_id: str | None = None
    priority: int = 0
    timeout_s: float | None = None
    slot_epoch: int = 0
    started_at: datetime | None = None
    ended_at: datetime | None = None

    def due(self, now: datetime) -> bool:
        """Tell whether its time has come."""
        return self.due_at is not None and self.due_at <= now


@dataclass(slots=True, kw_only=True)
class SessionRow:
    """A session with its part of the log, its runs and all that was asked of it, each in order."""

    id: int
    tenant: str
    session_id: str
    created_at: datetime
    ttl_s: int | None
    metadata: bytes
    expires_at: datetime | None
    status: SessionStatus = SessionStatus.ACTIVE
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    min_seq: int = 1
    published: int = 0
    last_ts: datetime | None = None
    erased_at: datetime | None = None
    # Contiguous from `min_seq` to the head: the event of a seq is at `seq - min_seq`.
    events: list[EventRow] = field(default_factory=list[EventRow])
    runs: list[RunRow] = field(default_factory=list[RunRow])
    # The ids of runs with step results, for the erasure.
    with_results: set[str] = field(default_factory=set[str])
    commands: list[CommandRow] = field(default_factory=list[CommandRow])
    # By fold version.
    snapshots: dict[int, Snapshot] = field(default_factory=dict[int, Snapshot])

    @property
    def head(self) -> int:
        """The last seq."""
        return self.min_seq + len(self.events) - 1

    def unowned(self, now: datetime) -> bool:
        """Tell whether no worker holds a lease that lasts."""
        return self.owner is None or self.lease_until is None or self.lease_until < now

    def open_runs(self) -> Iterator[RunRow]:
        """Yield the runs that have not ended, oldest first."""
        return (run for run in self.runs if not run.status.ended)

    def open_roots(self) -> Iterator[RunRow]:
        """Yield the runs that have not ended and belong to no other run, oldest first."""
        return (run for run in self.open_runs() if run.parent_run_id is None)

    def open_commands(self) -> Iterator[CommandRow]:
        """Yield the commands that nobody has settled, oldest first."""
        return (command for command in self.commands if command.state is CommandState.OPEN)


@dataclass(slots=True)
class Announcement:
    """One worker's word on one version of a workflow."""

    info: WorkflowInfo
    worker: str
    seen_at: datetime


@dataclass(slots=True)
class AnswerRow:
    """What was answered to a request that may come again."""

    request_hash: bytes
    response: dict[str, Any]
    given_at: datetime


@dataclass
class MemoryState:
    """The whole log and its clock, which plays the database's."""

    clock: Clock
    make_id: MakeId
    started_at: datetime
    sessions: dict[int, SessionRow] = field(default_factory=dict[int, SessionRow])
    by_name: dict[tuple[str, str], SessionRow] = field(
        default_factory=dict[tuple[str, str], SessionRow]
    )
    runs: dict[str, RunRow] = field(default_factory=dict[str, RunRow])
    # Sessions that may have something to do. Nothing begins without a command, so `ask` adds all.
    busy: set[int] = field(default_factory=set[int])
    # What is recorded of a run, whether or not it has a row: children have none.
    keys: dict[str, dict[str, tuple[int, str]]] = field(
        default_factory=dict[str, dict[str, tuple[int, str]]]
    )
    results: dict[str, dict[str, bytes]] = field(default_factory=dict[str, dict[str, bytes]])
    terminals: set[str] = field(default_factory=set[str])
    answers: dict[tuple[str, str], AnswerRow] = field(
        default_factory=dict[tuple[str, str], AnswerRow]
    )
    announcements: dict[tuple[str, str, str], Announcement] = field(
        default_factory=dict[tuple[str, str, str], Announcement]
    )

    # Every event's place in the order of commits: (tx, session, seq), as a subscription over the whole log reads it.
    commits: list[tuple[int, int, int]] = field(default_factory=list[tuple[int, int, int]])

    commit_times: list[datetime] = field(default_factory=list[datetime])  # by tx, from 1

    def commit(self, events: Iterable[tuple[int, int]]) -> None:
        """Take note of what one transaction recorded: (session, seq) each."""
        tx = len(self.commit_times) + 1
        self.commits += sorted((tx, session, seq) for session, seq in events)
        self.commit_times.append(self.clock.now())

    async def turn(self) -> datetime:
        """Let others run, as a round trip does, and return the time.

        A twin that never suspends would hide races, and a loop around it would freeze its process.
        """
        await asyncio.sleep(0)
        return self.clock.now()

    def known(self, sessions: Iterable[int]) -> Iterator[SessionRow]:
        """Yield those of the sessions that exist."""
        return (row for session in sessions if (row := self.sessions.get(session)) is not None)

    def session(self, tenant: str, session_id: str) -> SessionRow:
        """Return a tenant's session. Raises SessionUnknown; another tenant's is unknown too."""
        row = self.by_name.get((tenant, session_id))
        if row is None:
            raise SessionUnknown(session_id)
        return row

    def run(self, tenant: str, run_id: str) -> RunRow:
        """Return a tenant's run. Raises RunUnknown; another tenant's is unknown too."""
        row = self.runs.get(run_id)
        if row is None or self.sessions[row.session].tenant != tenant:
            raise RunUnknown(run_id)
        return row

    def ask(
        self,
        session: SessionRow,
        kind: CommandKind,
        body: Mapping[str, Any],
        *,
        run_id: str | None = None,
    ) -> None:
        """Add an open command, the session's newest."""
        self.busy.add(session.id)
        session.commands.append(
            CommandRow(
                new_command_id(self.make_id),
                session.id,
                run_id,
                kind,
                orjson.dumps(body),
                body.get("input_id"),
                self.clock.now(),
            )
        )

    def view(self, row: RunRow) -> Run:
        """Return what a run's readers see."""
        session = self.sessions[row.session]
        return Run(
            run_id=row.run_id,
            session=row.session,
            session_id=session.session_id,
            tenant=session.tenant,
            workflow=row.workflow,
            workflow_version=row.workflow_v,
            input=None if row.input is None else orjson.loads(row.input),
            status=row.status,
            after=row.after,
            attempts=row.attempts,
            strikes=row.strikes,
            parent_run_id=row.parent_run_id,
            user_id=row.user_id,
            trace_id=row.trace_id,
            priority=row.priority,
            timeout_s=row.timeout_s,
            waiting=orjson.loads(row.waiting),
            due_at=row.due_at,
            due=row.due(self.clock.now()),
            created_at=row.created_at,
            started_at=row.started_at,
            ended_at=row.ended_at,
            recorded=row.status is not RunStatus.QUEUED or bool(self.results.get(row.run_id)),
            seen_at=self.clock.now(),
        )

    def describe(self, row: SessionRow) -> SessionInfo:
        """Return what a session's tenant sees."""
        running = (run.run_id for run in row.open_roots() if run.status is RunStatus.RUNNING)
        return SessionInfo(
            session=row.id,
            tenant=row.tenant,
            session_id=row.session_id,
            status=row.status,
            head=row.head,
            min_seq=row.min_seq,
            created_at=row.created_at,
            expires_at=row.expires_at,
            ttl_s=row.ttl_s,
            metadata=orjson.loads(row.metadata),
            active_run=next(running, None),
        )


def later(now: datetime, seconds: float) -> datetime:
    """Return the moment `seconds` from now."""
    return now + timedelta(seconds=seconds)
