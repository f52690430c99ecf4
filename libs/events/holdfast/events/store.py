"""The log as its users see it: five small interfaces, each for one kind of user. Postgres is the real one.

    Reader    everybody: pages of events, heads
    Writer    a session's owner: the fenced append
    Claims    workers: who owns what, and for how long
    Desk      the gateway: sessions, runs, and what is asked of them
    Registry  both: which workflows there are

A session is named by its internal number (`session: int`) once it has been looked up by tenant and id; every look-up
takes the tenant. Every implementation passes the same contract suite, `tests/contract`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from holdfast.events.commands import Command, CommandState, OnBusy
from holdfast.events.kinds import TypeFilter
from holdfast.events.recorded import RecordedEvent

# One page of events: 500 × ~400 bytes = 200 KB, one round trip of about 2 ms.
PAGE_EVENTS_MAX = 500

# A page also ends at 1 MiB of bodies, so that four of the largest events don't become 128 MB.
PAGE_BYTES_MAX = 1024 * 1024


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


# --- reading ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """Events in seq order, and how far this page accounts for.

    Every wanted event with `after < seq <= through` is in `items`; `through` may lie beyond the last item, when
    later events were filtered out. `head` is the last seq when the page was read: `through == head` means no more.
    """

    items: Sequence[RecordedEvent]
    through: int
    head: int
    min_seq: int


# Nobody owns a session for some milliseconds of every ordinary hand-over; that is not shown to every client.
STALLED_GRACE_S = 2.0


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a gateway must know of a session to tell its readers the truth.

    A session is stalled when a run of it should be worked on (it is running, or queued and due) and nobody has owned
    the session for STALLED_GRACE_S.
    """

    head: int
    min_seq: int
    status: SessionStatus
    active_run: str | None  # a run that is running, whoever works on it
    stalled_since: datetime | None  # since the lease ran out or was given back, or the run was due


class Reader(Protocol):
    """Pages of the log. A page is authoritative: what isn't in it isn't in the log."""

    async def read(
        self,
        session: int,
        *,
        after: int,
        limit: int = PAGE_EVENTS_MAX,
        until: int | None = None,
        types: TypeFilter | None = None,
        run_ids: frozenset[str] | None = None,
    ) -> Page:
        """Return the events after seq `after` (exclusive), at most `limit`, none beyond `until` (inclusive).

        Raises StoreUnavailable.
        """
        ...

    async def pulses(self, sessions: Sequence[int]) -> Mapping[int, Pulse]:
        """Return the pulse of each session that exists, in one query. Raises StoreUnavailable."""
        ...

    async def run_family(self, run_id: str) -> frozenset[str]:
        """Return the ids of the run and of all runs below it."""
        ...


# --- appending -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EventRow:
    """One row to insert; its seq is its place in the batch."""

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

    A running run must stay due: that is how a dead worker's run is found.
    """

    run_id: str
    status: RunStatus
    waiting: dict[str, Any] | None = None  # what it waits for; replaced as a whole
    due_in_s: float | None = (
        None  # when it is next due, on the database's clock; inf = when something happens
    )
    attempts: int | None = None
    workflow_v: str | None = None


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


Effect = RunChange | CommandDone | StepResult | SessionChange


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionBatch:
    """Events of one session, to be recorded directly after `expected_head`, with all that they change."""

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
        unknown: ask `resolve`, then send what is absent again, the same bytes. Raises AppendRefused when a row breaks
        a rule of the log: then nothing of any batch is recorded.
        """
        ...

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        """Tell what became of batches whose reply was lost, waiting for a commit still under way."""
        ...


# --- owning ----------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A session that this worker now owns, until the lease runs out."""

    session: int
    tenant: str
    session_id: str
    epoch: int
    head: int
    published: int
    last_ts: datetime | None
    metadata: Mapping[str, Any]
    ttl_s: int | None
    taken_over: bool  # the last owner did not release it
    commands: Sequence[Command]
    runs: Sequence[Run]  # those that have not ended, oldest first


@dataclass(frozen=True, slots=True)
class Journal:
    """What is recorded of a run: the keys of its events with their seqs, and its steps' results."""

    keys: Mapping[str, tuple[int, str]]  # key → (seq, type)
    results: Mapping[str, bytes]


class Claims(Protocol):
    """Who owns which session. All times are the database's."""

    async def claim(
        self, worker: str, *, workflows: Sequence[str], lease_s: float, limit: int
    ) -> Sequence[Claim]:
        """Own up to `limit` sessions with something to do: an open command, a due run, a lease that ran out.

        Each gets epoch + 1. A lease that ran out is taken over only one lease after Postgres started, so that owners
        can come back first. Never two workers at once for one session.
        """
        ...

    async def renew(
        self, worker: str, sessions: Mapping[int, int], *, lease_s: float
    ) -> frozenset[int]:
        """Extend the leases of session → epoch; return those still owned. The others are fenced."""
        ...

    async def release(self, sessions: Mapping[int, int], *, published: Mapping[int, int]) -> None:
        """Give up sessions (session → epoch) so that anybody may claim them at once."""
        ...

    async def pending(self, sessions: Sequence[int]) -> Sequence[Command]:
        """Return the open commands of these sessions, oldest first."""
        ...

    async def open_runs(self, session: int) -> Sequence[Run]:
        """Return the session's runs that have not ended, oldest first."""
        ...

    async def journal(self, run_id: str) -> Journal:
        """Return what is recorded of a run."""
        ...

    async def strike(self, run_id: str) -> int:
        """Count a takeover of the run that brought no new step yet; return how many there were in a row."""
        ...

    async def unpublished(self, *, limit: int) -> Sequence[tuple[int, int, int]]:
        """Return (session, published, head) of unowned sessions whose stream is behind, for the sweep."""
        ...

    async def mark_published(self, published: Mapping[int, int]) -> None:
        """Note how far the streams of these sessions are."""
        ...

    async def expire_due(self, *, limit: int) -> int:
        """Ask for the expiry of sessions whose time to live ran out; return how many."""
        ...


# --- asking ----------------------------------------------------------------------------------------


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """A caller's word that two requests are the same one; `request_hash` tells whether they are."""

    key: str
    request_hash: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A run that is asked for."""

    workflow: str
    input: Any
    on_busy: OnBusy = OnBusy.ENQUEUE
    start_at: datetime | None = None
    user_id: str | None = None
    trace_id: str | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """The answer to a request for a run: follow the session after `after` and nothing of it is missed."""

    run_id: str
    session_id: str
    session: int
    after: int


@dataclass(frozen=True, slots=True)
class SessionPage:
    """Sessions, newest first, and the cursor of the next page, if there is one."""

    items: Sequence[SessionInfo]
    next_cursor: int | None


class Desk(Protocol):
    """What a gateway does for its callers. Everything asked becomes a command row under the session's lock.

    Raises Refused (see `errors`) for what can't be done and StoreUnavailable when Postgres is away. With an
    Idempotency, the same request again returns the first answer.
    """

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
        ...

    async def start(
        self,
        tenant: str,
        session_id: str | None,
        request: RunRequest,
        *,
        idempotency: Idempotency | None = None,
    ) -> Ticket:
        """Ask for a run in a session; without a session id, in a new session."""
        ...

    async def cancel(
        self,
        tenant: str,
        run_id: str,
        *,
        reason: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Run:
        """Ask for the end of a run; asking again while that is open changes nothing."""
        ...

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
        ...

    async def erase(
        self, tenant: str, session_id: str, *, reason: str | None = None
    ) -> SessionInfo:
        """Ask for the erasure of a session; asking again changes nothing."""
        ...

    async def session(self, tenant: str, session_id: str) -> SessionInfo:
        """Look a session up."""
        ...

    async def run(self, tenant: str, run_id: str) -> Run:
        """Look a run up."""
        ...

    async def runs(self, tenant: str, session_id: str, *, limit: int = 100) -> Sequence[Run]:
        """List a session's runs, newest first."""
        ...

    async def sessions(
        self,
        tenant: str,
        *,
        status: SessionStatus | None = None,
        limit: int = 50,
        before: int | None = None,
    ) -> SessionPage:
        """List a tenant's sessions, newest first; `before` is a page's `next_cursor`."""
        ...


# --- workflows -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkflowInfo:
    """A workflow that some worker knows, or failed to load."""

    name: str
    version: str
    input_schema: Mapping[str, Any] | None
    description: str | None = None
    load_error: str | None = None
    workers: Sequence[str] = ()  # those seen lately


# A worker that has not been seen for three of its ten-second rounds is not counted as live.
WORKER_SEEN_S = 30.0


class Registry(Protocol):
    """The table in which workers announce what they can run."""

    async def announce(self, worker: str, workflows: Sequence[WorkflowInfo]) -> None:
        """Replace what this worker announced; also its sign of life."""
        ...

    async def withdraw(self, worker: str) -> None:
        """Say that this worker is gone: what it announced stays known, without a live worker."""
        ...

    async def workflows(self) -> Sequence[WorkflowInfo]:
        """Return every workflow, by name, with the workers seen within WORKER_SEEN_S."""
        ...


@dataclass(frozen=True, slots=True)
class Health:
    """What an operator wants to know of the database."""

    version: str
    durable: bool
    details: Mapping[str, str]


class Store(Protocol):
    """All of it, over one pool of connections."""

    log_id: str  # names this log; the stream's keys carry it, so that no log reads another's window
    reader: Reader
    writer: Writer
    claims: Claims
    desk: Desk
    registry: Registry

    async def health(self) -> Health:
        """Ask the database how it is. Raises StoreUnavailable."""
        ...

    async def close(self) -> None:
        """Give back every connection."""
        ...
