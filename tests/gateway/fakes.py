"""A log and a stream that fail, forget and dawdle on command."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.read import lines_of
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import PAGE_EVENTS_MAX, Lines, Page, Pulse, Quiet, SessionStatus, Stretch
from holdfast.events.stream import Hear, Wake

SESSION = 7


async def no_point() -> None:
    """Go on at once."""


def recorded(
    seq: int, type_: str = "message.delta", run_id: str | None = None, **envelope: Any
) -> RecordedEvent:
    body = {"v": 1, "seq": seq, "type": type_, "session_id": "s", "run_id": run_id, **envelope}
    body = {k: v for k, v in body.items() if v is not None} | {"data": {"text": f"t{seq}"}}
    return RecordedEvent(seq, type_, run_id, orjson.dumps(body))


@dataclass
class FakeSession:
    events: dict[int, RecordedEvent] = field(default_factory=dict[int, RecordedEvent])
    head: int = 0
    min_seq: int = 1
    status: SessionStatus = SessionStatus.ACTIVE
    stalled_since: datetime | None = None


class FakeLog:
    """A Reader over dicts. `point` is awaited on the way in and on the way out of every call."""

    def __init__(self, point: Callable[[], Awaitable[None]] = no_point) -> None:
        self.sessions = {SESSION: FakeSession()}
        self.parents: dict[str, str | None] = {}
        self.down = False
        self.page_max = PAGE_EVENTS_MAX
        self.reads: list[tuple[int, int]] = []
        self.lines_asked: list[int] = []  # how many pages each question was for
        self.pulse_calls = 0
        self._point = point

    def append(
        self, *types: str, session: int = SESSION, run_id: str | None = None, **envelope: Any
    ) -> list[RecordedEvent]:
        state = self.sessions[session]
        made: list[RecordedEvent] = []
        for type_ in types:
            state.head += 1
            event = recorded(state.head, type_, run_id, **envelope)
            state.events[state.head] = event
            made.append(event)
        if run_id is not None:
            self.parents.setdefault(run_id, envelope.get("parent_run_id"))
        return made

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
        await self._answering()
        self.reads.append((session, after))
        state = self.sessions.get(session, FakeSession())
        limit = min(limit, self.page_max)
        end = state.head if until is None else min(until, state.head)
        wanted = [
            event
            for seq, event in sorted(state.events.items())
            if max(after, state.min_seq - 1) < seq <= end
            and (types is None or types.passes(event.type))
            and (run_ids is None or event.run_id in run_ids)
        ]
        items = wanted[:limit]
        through = end if len(wanted) < limit else items[-1].seq
        page = Page(tuple(items), max(after, through), state.head, state.min_seq)
        await self._point()
        return page

    async def lines(
        self, stretches: Sequence[Stretch], *, without: Collection[str]
    ) -> Mapping[Stretch, Lines]:
        self.lines_asked.append(len(stretches))
        found: dict[Stretch, Lines] = {}
        for stretch in stretches:
            session, after, limit = stretch
            page = await self.read(session, after=after, limit=limit)
            lines = lines_of(page, without)
            if lines is not None and session in self.sessions:
                found[stretch] = lines
        return found

    async def pulses(self, sessions: Sequence[int]) -> Mapping[int, Pulse]:
        await self._answering()
        self.pulse_calls += 1
        pulses = {
            session: Pulse(state.head, state.min_seq, state.status, None, state.stalled_since)
            for session in sessions
            if (state := self.sessions.get(session)) is not None
        }
        await self._point()
        return pulses

    async def changes(self, granted: Sequence[Quiet]) -> Mapping[int, Pulse | None]:
        pulses = await self.pulses([one.session for one in granted])
        found = {one.session: pulses.get(one.session) for one in granted}
        quiet = {one.session: one for one in granted}
        return {
            session: pulse
            for session, pulse in found.items()
            if pulse is None or not pulse.is_quiet(quiet[session])
        }

    async def run_family(self, run_id: str) -> frozenset[str]:
        await self._answering()
        family = {run_id}
        while new := {r for r, p in self.parents.items() if p in family} - family:
            family |= new
        await self._point()
        return frozenset(family)

    async def _answering(self) -> None:
        await self._point()
        if self.down:
            raise StoreUnavailable("the fake store is down")


class FakeStream:
    """A Window and its Wakes. Nothing here is promised to be complete."""

    def __init__(self, point: Callable[[], Awaitable[None]] = no_point) -> None:
        self.windows: dict[int, list[RecordedEvent]] = {}
        self.watched: set[int] = set()
        self.unwatched: list[int] = []
        self.down = False
        self.connected = True
        self.reads = 0
        self.bunches = False  # whether wake-ups are heard together, or each by itself
        self.wakes: list[Wake] = []
        self._news = asyncio.Event()
        self._point = point

    def publish(
        self,
        events: Sequence[RecordedEvent],
        *,
        session: int = SESSION,
        wake: bool = True,
        push: bool = False,
    ) -> None:
        """As the real publisher: contiguous, or the window begins anew. `push`: told with its events."""
        if self.down:
            return
        window = self.windows.setdefault(session, [])
        appended: list[RecordedEvent] = []
        for event in events:
            if window and event.seq <= window[-1].seq:
                continue
            if window and event.seq > window[-1].seq + 1:
                window.clear()
                push = False
            window.append(event)
            appended.append(event)
        if wake and session in self.watched:
            carried = tuple(appended) if push else ()
            self.send(Wake(session, window[-1].seq, carried))

    def send(self, wake: Wake) -> None:
        self.wakes.append(wake)
        self._news.set()

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        await self._point()
        if self.down:
            raise StreamUnavailable("the fake stream is down")
        self.reads += 1
        found = {
            session: [e for e in self.windows.get(session, []) if e.seq > cursor][:limit]
            for session, cursor in cursors.items()
        }
        await self._point()
        return found

    async def watch(self, session: int) -> None:
        await self._point()
        self.watched.add(session)
        await self._point()

    async def unwatch(self, session: int) -> None:
        await self._point()
        self.watched.discard(session)
        self.unwatched.append(session)

    async def listen(self, hear: Hear) -> None:
        while True:
            while self.wakes:
                count = len(self.wakes) if self.bunches else 1
                together, self.wakes[:count] = self.wakes[:count], []
                hear(together)
                await self._point()
            self._news.clear()
            await self._news.wait()
