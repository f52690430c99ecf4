"""The log as its users see it: six small interfaces, each for one kind of user. Postgres is the real one.

    Reader    everybody: pages of events, heads
    Writer    a session's owner: the fenced append
    Claims    workers: who owns what, and for how long
    Desk      the gateway: sessions, runs, and what is asked of them
    Registry  both: which workflows there are
    Snapshots whoever folds: where the last fold got to

A session is named by its internal number (`session: int`) once it has been looked up by tenant and id; every look-up
takes the tenant. Every implementation passes the same contract suite, `tests/contract`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from holdfast.events.append import (
    CommandDone,
    Effect,
    EventRow,
    Outcome,
    RunBegun,
    RunChange,
    SessionBatch,
    SessionChange,
    StepResult,
    Writer,
)
from holdfast.events.claims import (
    COMMANDS_AT_ONCE,
    Claim,
    Claims,
    Journal,
    Look,
)
from holdfast.events.desk import (
    ANSWER_KEPT_S,
    OPEN_EMITS_MAX,
    Desk,
    Idempotency,
    OwnEvent,
    RunRequest,
    SessionPage,
    Ticket,
)
from holdfast.events.read import (
    LINE_BYTES_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    STALLED_GRACE_S,
    Lines,
    Page,
    Pulse,
    Quiet,
    Reader,
    Stretch,
)
from holdfast.events.registry import (
    WORKER_SEEN_S,
    WORKFLOW_KEPT_S,
    Registry,
    WorkflowInfo,
)
from holdfast.events.rows import (
    ENDED,
    OPEN,
    Located,
    Run,
    RunStatus,
    SessionInfo,
    SessionName,
    SessionStatus,
)
from holdfast.events.slots import Hold
from holdfast.events.snapshots import (
    SNAPSHOT_BYTES_MAX,
    Snapshot,
    Snapshots,
)


@dataclass(frozen=True, slots=True)
class Health:
    """What an operator wants to know of the database."""

    version: str
    durable: bool
    details: Mapping[str, str]


class Store(Protocol):
    """All of it, over one pool of connections."""

    # Names this log, and no copy of it; the stream's keys carry it, so that no log reads another's window.
    log_id: str
    reader: Reader
    writer: Writer
    claims: Claims
    desk: Desk
    registry: Registry
    snapshots: Snapshots

    async def health(self) -> Health:
        """Ask the database how it is. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...


__all__ = [
    "ANSWER_KEPT_S",
    "COMMANDS_AT_ONCE",
    "ENDED",
    "LINE_BYTES_MAX",
    "OPEN",
    "OPEN_EMITS_MAX",
    "PAGE_BYTES_MAX",
    "PAGE_EVENTS_MAX",
    "SNAPSHOT_BYTES_MAX",
    "STALLED_GRACE_S",
    "WORKER_SEEN_S",
    "WORKFLOW_KEPT_S",
    "Claim",
    "Claims",
    "CommandDone",
    "Desk",
    "Effect",
    "EventRow",
    "Health",
    "Hold",
    "Idempotency",
    "Journal",
    "Lines",
    "Located",
    "Look",
    "Outcome",
    "OwnEvent",
    "Page",
    "Pulse",
    "Quiet",
    "Reader",
    "Registry",
    "Run",
    "RunBegun",
    "RunChange",
    "RunRequest",
    "RunStatus",
    "SessionBatch",
    "SessionChange",
    "SessionInfo",
    "SessionName",
    "SessionPage",
    "SessionStatus",
    "Snapshot",
    "Snapshots",
    "StepResult",
    "Store",
    "Stretch",
    "Ticket",
    "WorkflowInfo",
    "Writer",
]
