"""From committed to visible: the publisher keeps the stream of each owned session up to its log.

A publish follows a confirmed commit, never precedes it, and its failure never fails a run: while Redis is away the
gateways read the store, and when it comes back the window is begun anew from there.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Reader
from holdfast.events.stream import REBASE_EVENTS, Published, Publisher, Window
from holdfast.events.stream_batches import newest_call
from holdfast.orchestrator.session_log import SessionLog

# Publishes in flight at once: each is one script call of ~0.1 ms; more only queue up in Redis.
CONCURRENT_PUBLISHES = 16

# While Redis is away, or refuses a session: one try a session after 0.1 s, doubling to 2 s. Gateways ask the store
# every second meanwhile.
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 2.0

# What was published after its session's release is noted ten times a second, all sessions in one statement: before
# most of the sweeps, which would publish it again.
MARK_S = 0.1

# After these the session is at rest unless something follows, and whatever follows keeps the window.
_RESTING_TYPES = TERMINAL_TYPES | {
    "session.created",
    "session.expired",
    "session.erased",
    "command.accepted",
    "command.rejected",
}

log = structlog.get_logger("holdfast.publisher")


class Stream(Publisher, Window, Protocol):
    """The stream with both of its sides: a publisher also looks at what is there."""


class Observer(Protocol):
    """What a publisher counts."""

    def published(self, outcome: str) -> None:
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
        self.doubt_beyond: int | None = None  # an entry of a greater seq is not from this log
        self.resting = False  # until it is tried again
        self.wait = RETRY_FIRST_S

    @property
    def at_rest(self) -> bool:
        """Whether the window may expire when nothing follows."""
        return bool(self.events) and may_rest(self.events[-1])

    @property
    def erases(self) -> bool:
        """Whether it ends with the session's erasure: nothing that was published before it may stay."""
        return bool(self.events) and erases(self.events[-1])

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
        stream: Stream,
        reader: Reader,
        *,
        mark_published: Callable[[Mapping[int, int]], Awaitable[None]],
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        """`mark_published` is the claims' own; it is called for what is published after its session's release."""
        self._stream, self._reader, self._mark_published = stream, reader, mark_published
        self._observer, self._clock, self._chance = observer, clock, chance
        self._backlogs: dict[int, _Backlog] = {}
        self._marks: dict[int, int] = {}
        self._marking = asyncio.Event()
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
        async with asyncio.TaskGroup() as group:
            group.create_task(self._mark(), name="publisher.marks")
            while True:
                await self._wake.wait()
                self._wake.clear()
                taken = [backlog for backlog in self._backlogs.values() if not backlog.resting]
                for backlog in taken:
                    del self._backlogs[backlog.session.session]
                for failed in await asyncio.gather(*map(self._try, taken)):
                    if failed is not None and self._take_back(failed):
                        group.create_task(self._rest(failed), name="publisher.retry")
                if not self._backlogs:
                    self._idle.set()

    def catch_up(self, session: SessionLog) -> None:
        """Publish what an earlier owner may have left unpublished, ahead of the new owner's events.

        A database that was restored, or that failed over to a standby that lagged, may be behind its stream: what the
        window has beyond the log never happened, and is dropped.
        """
        behind = session.published < session.committed_head
        ahead = session.published > session.committed_head
        if behind or ahead or session.taken_over:
            session.published = min(session.published, session.committed_head)
            backlog = self._backlogs[session.session] = _Backlog(session, session.committed_head)
            backlog.reread = behind
            if ahead or session.taken_over:
                backlog.doubt_beyond = session.committed_head
            self._idle.clear()
            self._wake.set()

    async def forget(self, session: SessionLog) -> None:
        """Replace the window of an erased session by what is left of it. Never fails: the sweep tries again."""
        try:
            await self._wipe(session.session, session.committed_head)
        except (StreamUnavailable, StoreUnavailable) as error:
            log.warning("publish.failed", session=session.session_id, error=str(error))

    def _take_back(self, failed: _Backlog) -> bool:
        """Keep a backlog for another try; return False if a newer owner's backlog stands in its place."""
        later = self._backlogs.get(failed.session.session)
        if later is not None:
            if later.session is not failed.session:
                return False
            failed.follow(later)
        self._backlogs[failed.session.session] = failed
        failed.resting = True
        return True

    async def _rest(self, backlog: _Backlog) -> None:
        await self._clock.sleep(jittered(backlog.wait, 0.2, self._chance))
        backlog.wait = min(backlog.wait * 2, RETRY_LAST_S)
        backlog.resting = False
        self._wake.set()

    async def _mark(self) -> None:
        """Note what was published too late for its session's release to tell."""
        while True:
            await self._marking.wait()
            await self._clock.sleep(MARK_S)
            self._marking.clear()
            marks, self._marks = self._marks, {}
            try:
                await self._mark_published(marks)
            except StoreUnavailable as error:
                # The sweep finds these sessions, and that nothing is missing.
                log.warning("publish.not-marked", sessions=len(marks), error=str(error))
            except Exception:
                # Ours to mend, as in `_try`.
                log.exception("publish.not-marked", sessions=len(marks))

    async def _try(self, backlog: _Backlog) -> _Backlog | None:
        """Publish one session's backlog; return it if it has to be tried again."""
        try:
            async with self._slots:
                await self._publish(backlog)
        except (StreamUnavailable, StoreUnavailable) as error:
            self._observer.publish_failed()
            log.warning("publish.failed", session=backlog.session.session_id, error=str(error))
            return backlog
        except Exception:
            # Ours to mend. The log has everything, and readers ask the store: no reason to end the worker.
            self._observer.publish_failed()
            log.exception("publish.broke", session=backlog.session.session_id)
            return backlog
        return None

    async def _publish(self, backlog: _Backlog) -> None:
        session = backlog.session
        outcome = Published.GAP
        if backlog.erases:
            # What the window has was deleted from the log, and a rebase leaves a window that reaches as far as it is.
            await self._wipe(session.session, backlog.head)
            backlog.reread = True
        if backlog.doubt_beyond is not None:
            if await self._drop_ahead(session, backlog.doubt_beyond):
                backlog.reread = True
            backlog.doubt_beyond = None
        if not backlog.reread:
            if not backlog.events:
                return
            outcome = await self._stream.publish(
                session.session, backlog.events, at_rest=backlog.at_rest
            )
            if outcome is Published.DUP and await self._drop_ahead(session, backlog.head):
                outcome = Published.GAP
        if outcome is Published.GAP:
            await self._rebase(session.session, backlog.head, at_rest=backlog.at_rest)
        self._observer.published(outcome)
        session.published = max(session.published, backlog.head)
        if session.fenced:
            # Its release has told how far the stream was, and that was not as far.
            self._marks[session.session] = session.published
            self._marking.set()

    async def _drop_ahead(self, session: SessionLog, head: int) -> bool:
        """Drop the window if it has entries beyond `head`, which the log doesn't have; return whether it had."""
        beyond = (await self._stream.read({session.session: head}, limit=1))[session.session]
        if beyond:
            log.warning(
                "publish.ahead", session=session.session_id, head=head, window=beyond[-1].seq
            )
            await self._stream.drop(session.session)
        return bool(beyond)

    async def _wipe(self, session: int, head: int) -> None:
        """Leave nothing in an erased session's window but the event that says so."""
        events = await window_of(self._reader, session, head)
        if events:
            await self._stream.erase(session, events[-1])

    async def _rebase(self, session: int, head: int, *, at_rest: bool = False) -> None:
        """Begin the window anew with the newest committed events up to `head`."""
        events = await window_of(self._reader, session, head)
        if events:
            at_rest = at_rest or may_rest(events[-1])
            await self._stream.rebase(session, events, at_rest=at_rest)
            log.info("publish.rebased", session=session, first=events[0].seq, last=events[-1].seq)


def may_rest(last: RecordedEvent) -> bool:
    """Tell whether a window that ends with this event may expire: nothing is under way, unless something follows."""
    return last.type in _RESTING_TYPES or last.run_id is None


def erases(last: RecordedEvent) -> bool:
    """Tell whether a window that ends with this event may hold nothing but it."""
    return last.type == "session.erased"


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
