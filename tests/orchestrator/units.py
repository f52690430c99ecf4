"""The parts of a worker one by one, over a store in memory whose calls can be held, lost and refused."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from holdfast.events.catalog import Event, NotificationSent
from holdfast.events.clock import SystemClock
from holdfast.events.errors import StoreBusy, StoreUnavailable
from holdfast.events.recorded import Context, Emission, RecordedEvent
from holdfast.events.store import Claim, Outcome, SessionBatch, SessionStatus, Writer
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.session_log import SessionLog

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def note(text: str = "news") -> NotificationSent:
    """An ordinary event."""
    return NotificationSent(text=text)


def emission(text: str = "news", *, key: str | None = None, run_id: str | None = None) -> Emission:
    """An ordinary event on its way into the log."""
    return Emission(note(text), Context(run_id=run_id), key)


def make_claim(session: int = 1, *, epoch: int = 1, head: int = 0, published: int = 0) -> Claim:
    """A claim of a session that has nothing to do."""
    return Claim(
        session=session,
        tenant="acme",
        session_id=f"s{session}",
        status=SessionStatus.ACTIVE,
        epoch=epoch,
        head=head,
        published=published,
        last_ts=None,
        metadata={},
        ttl_s=None,
        taken_over=False,
        commands=(),
        runs=(),
    )


class Instant:
    """A clock that waits for nobody."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.stopped = False

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return SystemClock().monotonic()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(3600 if self.stopped else 0.001)


class Active:
    """A guard that can be closed."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()

    async def active(self) -> None:
        await self.open.wait()


@dataclass
class Heard:
    """What was announced, per session."""

    events: dict[int, list[RecordedEvent]] = field(default_factory=dict[int, list[RecordedEvent]])

    def committed(self, session: SessionLog, events: Sequence[RecordedEvent]) -> None:
        self.events.setdefault(session.session, []).extend(events)

    def texts(self, session: int) -> list[str]:
        return [e.envelope["data"]["text"] for e in self.events.get(session, [])]


class Counted:
    """An observer of everything."""

    def __init__(self) -> None:
        self.commits: list[int] = []
        self.fenced = 0
        self.outcomes: list[str] = []
        self.failures = 0

    def appended(self, events: int, seconds: float) -> None:
        self.commits.append(events)

    def refused(self, sessions: int) -> None:
        self.fenced += sessions

    def published(self, outcome: str, sessions: int = 1) -> None:
        self.outcomes += [outcome] * sessions

    def publish_failed(self) -> None:
        self.failures += 1


class Faulty:
    """A writer in front of another one that can be held, and whose calls can be lost on their way there or back."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.calls: list[list[SessionBatch]] = []
        self.resolved: list[Mapping[int, Outcome]] = []
        self.held = asyncio.Event()
        self.held.set()
        self.lose_request = 0  # so many appends don't arrive
        self.lose_reply = 0  # so many arrive, and nobody hears what became of them
        self.late = 0  # so many are lost, and arrive after they were looked for
        self.resolve_fails = 0
        self.locked: set[int] = set()  # sessions whose row somebody has locked
        self.lock_error: type[StoreUnavailable] = StoreBusy
        self.slow: set[int] = set()  # sessions whose append takes until `hurried`
        self.hurried = asyncio.Event()
        self.broken: set[int] = set()  # sessions that nobody can append to
        self._late: list[SessionBatch] = []

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        self.calls.append(list(batches))
        await self.held.wait()
        sessions = {batch.session for batch in batches}
        if sessions & self.slow:
            await self.hurried.wait()
        if sessions & self.broken:
            raise RuntimeError("nobody thought of this")
        if sessions & self.locked:
            raise self.lock_error("canceling statement due to lock timeout")
        if self.late:
            self.late -= 1
            self._late.extend(batches)
            raise StoreUnavailable("lost for the moment")
        if self.lose_request:
            self.lose_request -= 1
            raise StoreUnavailable("lost on the way there")
        refused = await self._writer.append(batches)
        if self.lose_reply:
            self.lose_reply -= 1
            raise StoreUnavailable("lost on the way back")
        return refused

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        if self.resolve_fails:
            self.resolve_fails -= 1
            raise StoreUnavailable("still away")
        if {batch.session for batch in batches} & self.locked:
            raise StoreUnavailable("canceling statement due to lock timeout")
        outcomes = await self._writer.resolve(batches)
        self.resolved.append(outcomes)
        if self._late:
            late, self._late = self._late, []
            await self._writer.append(late)
        return outcomes

    @property
    def ids(self) -> list[list[UUID]]:
        """The event ids of every call."""
        return [[e.event_id for b in call for e in b.events] for call in self.calls]


def make_recorder(writer: Writer, heard: Heard, counted: Counted, guard: Active) -> Recorder:
    """A recorder that never waits between tries."""
    return Recorder(
        writer, heard, guard, observer=counted, clock=Instant(), chance=random.Random(1)
    )


def texts(events: Sequence[Event]) -> list[str]:
    """The texts of notices or deltas."""
    return [getattr(event, "text") for event in events]  # noqa: B009 - of several types
