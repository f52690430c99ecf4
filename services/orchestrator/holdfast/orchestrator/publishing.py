"""From committed to visible: the publisher keeps the stream of each owned session up to its log.

A publish follows a confirmed commit, never precedes it, and its failure never fails a run: while Redis is away the
gateways read the store, and when it comes back the window is begun anew from there.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Reader
from holdfast.events.stream import REBASE_EVENTS, Published, Publisher
from holdfast.events.stream_batches import newest_call
from holdfast.orchestrator.session_log import SessionLog

# Publishes in flight at once: each is one script call of ~0.1 ms; more only queue up in Redis.
CONCURRENT_PUBLISHES = 16

# While Redis is away: one try after 0.1 s, doubling to 2 s. Gateways ask the store every second meanwhile.
BREAKER_FIRST_S = 0.1
BREAKER_LAST_S = 2.0

log = structlog.get_logger("holdfast.publisher")


class Observer(Protocol):
    """What a publisher counts."""

    def published(self, outcome: str, events: int) -> None:
        """A publish went through with this outcome."""
        ...

    def publish_failed(self) -> None:
        """Redis was away or refused."""
        ...


class _Backlog:
    """What a session has committed but not published; more than a window's worth is read from the store again."""

    def __init__(self, session: SessionLog, head: int) -> None:
        self.session, self.head = session, head
        self.events: list[RecordedEvent] = []
        self.reread = False

    @property
    def at_rest(self) -> bool:
        """Whether the last event ended a run: the window may expire when nothing follows."""
        return bool(self.events) and self.events[-1].type in TERMINAL_TYPES

    def add(self, events: Sequence[RecordedEvent]) -> None:
        if not events:
            return
        self.events.extend(events)
        self.head = events[-1].seq
        if len(self.events) > REBASE_EVENTS:
            self.reread = True
        if self.reread:
            del self.events[:-1]

    def follow(self, later: "_Backlog") -> None:
        """Take in what was committed while this was tried; `later` may have dropped its first events already."""
        self.reread = self.reread or later.reread
        self.add(later.events)


class StreamPublisher:
    """Publishes what the recorder has committed, per session in order, many sessions at once."""

    def __init__(
        self,
        publisher: Publisher,
        reader: Reader,
        *,
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._publisher, self._reader = publisher, reader
        self._observer, self._clock, self._chance = observer, clock, chance
        self._backlogs: dict[int, _Backlog] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._slots = asyncio.Semaphore(CONCURRENT_PUBLISHES)

    def committed(self, session: SessionLog, events: Sequence[RecordedEvent]) -> None:
        """Publish these soon. Never fails, never waits."""
        if not events:
            return
        backlog = self._backlogs.get(session.session)
        if backlog is None or backlog.session is not session:
            backlog = self._backlogs[session.session] = _Backlog(session, events[-1].seq)
        backlog.add(events)
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything committed is published."""
        await self._idle.wait()

    async def run(self) -> None:
        """Publish whatever is committed, for ever; keep trying while Redis is away."""
        wait = BREAKER_FIRST_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            taken, self._backlogs = self._backlogs, {}
            failed = [
                b for b in await asyncio.gather(*map(self._try, taken.values())) if b is not None
            ]
            for backlog in failed:
                later = self._backlogs.get(backlog.session.session)
                if later is None or later.session is backlog.session:
                    if later is not None:
                        backlog.follow(later)
                    self._backlogs[backlog.session.session] = backlog
            if failed:
                await self._clock.sleep(jittered(wait, 0.2, self._chance))
                wait = min(wait * 2, BREAKER_LAST_S)
                self._wake.set()
            else:
                wait = BREAKER_FIRST_S
                if not self._backlogs:
                    self._idle.set()

    def catch_up(self, session: SessionLog) -> None:
        """Publish what an earlier owner may have left unpublished, ahead of the new owner's events."""
        if session.published < session.committed_head:
            backlog = self._backlogs[session.session] = _Backlog(session, session.committed_head)
            backlog.reread = True
            self._idle.clear()
            self._wake.set()

    async def forget(self, session: SessionLog) -> None:
        """Replace the window of an erased session by what is left of it. Never fails: the sweep tries again."""
        try:
            await self._publisher.drop(session.session)
            await self._rebase(session.session, session.committed_head, at_rest=True)
        except (StreamUnavailable, StoreUnavailable) as error:
            log.warning("publish.failed", session=session.session_id, error=str(error))

    async def _try(self, backlog: _Backlog) -> _Backlog | None:
        """Publish one session's backlog; return it if it has to be tried again."""
        try:
            async with self._slots:
                await self._publish(backlog)
        except (StreamUnavailable, StoreUnavailable) as error:
            self._observer.publish_failed()
            log.warning("publish.failed", session=backlog.session.session_id, error=str(error))
            return backlog
        return None

    async def _publish(self, backlog: _Backlog) -> None:
        session = backlog.session
        outcome = Published.GAP
        if not backlog.reread:
            outcome = await self._publisher.publish(
                session.session, backlog.events, at_rest=backlog.at_rest
            )
        if outcome is Published.GAP:
            await self._rebase(session.session, backlog.head, at_rest=backlog.at_rest)
        self._observer.published(outcome, len(backlog.events))
        session.published = max(session.published, backlog.head)

    async def _rebase(self, session: int, head: int, *, at_rest: bool = False) -> None:
        """Begin the window anew with the newest committed events up to `head`."""
        events = await window_of(self._reader, session, head)
        if events:
            await self._publisher.rebase(session, events, at_rest=at_rest)
            log.info("publish.rebased", session=session, first=events[0].seq, last=events[-1].seq)


async def window_of(reader: Reader, session: int, head: int) -> Sequence[RecordedEvent]:
    """Return the newest committed events up to `head` that a window can be begun with, none if there are none.

    A page ends at a size too, so that large events take several: what counts is the end, not the beginning.
    """
    events: Sequence[RecordedEvent] = ()
    after = max(0, head - REBASE_EVENTS)
    while after < head:
        page = await reader.read(session, after=after, until=head, limit=REBASE_EVENTS)
        # Retention may cut a hole between two pages: the window begins behind it then.
        joins = events and page.items and page.items[0].seq == events[-1].seq + 1
        events = newest_call([*events, *page.items] if joins else page.items or events)
        if page.through <= after:
            break
        after = page.through
    return events
