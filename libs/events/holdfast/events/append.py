"""The fenced append: events and all that they change, recorded together or not at all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from holdfast.events.commands import CommandState
from holdfast.events.rows import RunStatus, SessionStatus


@dataclass(slots=True)
class EventRow:
    """One row to insert; its seq is its place in the batch."""

    # Not frozen: one is made for every event, and that would make each field's assignment a call.

    event_id: UUID
    type: str
    run_id: str | None
    key: str | None
    schema_v: int
    ts: datetime
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunChange:
    """What an event changes about a run's row. Fields that are None stay as they are.

    A running run must stay due: that is how a dead worker's run is found. A run that has ended stays as it ended: a
    change of it is passed over.
    """

    run_id: str
    status: RunStatus
    waiting: dict[str, Any] | None = None  # what it waits for; replaced as a whole
    due_in_s: float | None = (
        None  # when it is next due, on the database's clock; inf = when something happens
    )
    attempts: int | None = None
    workflow_v: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunBegun:
    """An event starts a run that another one of the session asked for: its row, running from now on.

    It is never due: it goes on when its parent does. The same run begun twice is begun once.
    """

    run_id: str
    parent_run_id: str
    workflow: str
    workflow_v: str
    input: Any
    after: int  # a seq before its first event
    user_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class CommandDone:
    """An event settles a command."""

    command_id: str
    state: CommandState


@dataclass(frozen=True, slots=True)
class StepResult:
    """A value that replay must find again. A newly recorded step also clears the run's strikes."""

    run_id: str
    key: str
    body: bytes


@dataclass(frozen=True, slots=True)
class SessionChange:
    """What an event changes about its session's row; `erase` also deletes every earlier event and result."""

    status: SessionStatus
    erase: bool = False


Effect = RunChange | RunBegun | CommandDone | StepResult | SessionChange


@dataclass(slots=True, kw_only=True)
class SessionBatch:
    """Events of one session, to be recorded directly after `expected_head`, with all that they change."""

    # Not frozen, as above: nobody changes one.

    session: int
    epoch: int
    expected_head: int
    events: Sequence[EventRow]
    effects: Sequence[Effect] = ()
    published: int = 0  # how far the stream is known to be: a hint for the sweep


class Outcome(StrEnum):
    """What became of a batch whose reply was lost."""

    RECORDED = "recorded"
    ABSENT = "absent"
    FENCED = "fenced"


class Writer(Protocol):
    """The fenced append."""

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Record every batch directly after its `expected_head`; return the sessions that refused.

        One transaction for all. A session's events and effects are recorded together or not at all. A refused
        session has another owner: stop its runs, append nothing more. Raises StoreUnavailable when the outcome is
        unknown: ask `resolve`, then send what is absent again, the same bytes. Its kind StoreBusy is known, though:
        a row was held by somebody else and nothing of any batch is recorded; send the same again, session by session,
        and those that nobody holds are recorded. Raises AppendRefused when a row breaks a rule of the log or can't be
        stored: then too nothing of any batch is recorded.
        """
        ...

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        """Tell what became of batches whose reply was lost, waiting for a commit still under way."""
        ...
