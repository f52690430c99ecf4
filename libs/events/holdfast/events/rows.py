"""A session and a run as their rows tell of them: to their owners, their callers and their readers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, TypeAlias

from holdfast.events.slots import AGEING_S, PRIORITY_MAX, Hold


class SessionStatus(StrEnum):
    """Whether a session takes commands."""

    ACTIVE = "active"
    EXPIRED = "expired"
    ERASED = "erased"


class RunStatus(StrEnum):
    """Where a run stands. The last three are for good."""

    QUEUED = "queued"
    RUNNING = "running"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether the run has its terminal event."""
        return self in ENDED

    @property
    def idle(self) -> bool:
        """Whether the run is open and nobody works on it: it holds no slot."""
        return self in (RunStatus.QUEUED, RunStatus.WAITING)


ENDED = frozenset({RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED})
OPEN = frozenset(RunStatus) - ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run's row."""

    run_id: str
    session: int
    session_id: str
    tenant: str
    workflow: str
    workflow_version: str | None
    input: Any
    status: RunStatus
    after: int  # the session's head when the run was asked for: its stream begins here
    attempts: int
    strikes: int  # takeovers in a row without a newly recorded step
    parent_run_id: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    priority: int = 0
    timeout_s: float | None = None  # what its request allows it, beside its workflow
    waiting: Mapping[str, Any] = field(default_factory=dict[str, Any])
    due_at: datetime | None = None
    due: bool = False  # whether `due_at` has come, by the database's clock
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    # Whether there may be a journal to read; False only where that was looked for (see `Claims`). No part of the row.
    recorded: bool = field(default=True, compare=False)
    # The database's time when the row was read, no earlier than `due_at` if it was due. No part of the row either.
    seen_at: datetime | None = field(default=None, compare=False)
    # What it waits for beside a worker, where that was asked for (`Desk.run`). Nor that.
    held_by: Hold | None = field(default=None, compare=False)

    @property
    def turn(self) -> datetime:
        """When its turn is, or was: what is waiting is taken in the order of these (see `slots`)."""
        due_at = max(self.created_at, self.due_at or self.created_at)
        points = PRIORITY_MAX if self.status is RunStatus.RUNNING else self.priority
        return due_at - timedelta(seconds=AGEING_S * points)


SessionName: TypeAlias = tuple[str, str]
"""A tenant, and its id for a session."""


class Located(NamedTuple):
    """Which session a name stands for, and whether it can still be read."""

    session: int
    status: SessionStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionInfo:
    """A session as its tenant sees it."""

    session: int
    tenant: str
    session_id: str
    status: SessionStatus
    head: int
    min_seq: int
    created_at: datetime
    expires_at: datetime | None
    ttl_s: int | None
    metadata: Mapping[str, Any]
    active_run: str | None = None
