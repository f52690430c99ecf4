"""A session and a run as their rows tell of them: to their owners, their callers and their readers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


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
    waiting: Mapping[str, Any] = field(default_factory=dict[str, Any])
    due_at: datetime | None = None
    due: bool = False  # whether `due_at` has come, by the database's clock
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    # The database's time when the row was read, no earlier than `due_at` if it was due. No part of what the row says.
    seen_at: datetime | None = field(default=None, compare=False)


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
