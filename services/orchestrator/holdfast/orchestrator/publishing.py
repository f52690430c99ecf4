"""From committed to visible: the publisher keeps the stream of each owned session up to its log.

A publish follows a confirmed commit, never precedes it, and its failure never fails a run: while Redis is away the
gateways read the store, and when it comes back the window is begun anew from there.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Reader
from holdfast.events.stream import REBASE_EVENTS, Published, Publisher, Window
from holdfast.events.stream_batches import newest_call
from holdfast.orchestrator.backlog import Backlog, may_rest
from holdfast.orchestrator.session_log import SessionLog

# Of those that take more than an append to the window: each is some calls of ~0.1 ms; more only queue up in Redis.
CONCURRENT_PUBLISHES = 16

# What was published after its session's release is noted ten times a second, all sessions in one statement: before
# most of the sweeps, which would publish it again.
MARK_S = 0.1

log = structlog.get_logger("holdfast.publisher")


class Stream(Publisher, Window, Protocol):
    """The stream with both of its sides: a publisher also looks at what is there."""


class Observer(Protocol):
    """What a publisher counts."""

    def published(self, outcome: str, sessions: int = 1) -> None:
        """Publishes of so many sessions went through with this outcome."""
        ...

    def publish_failed(self) -> None:
        """Redis was away or refused."""
        ...


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
        self._backlogs: dict[int, Backlog] = {}
        self._awaited: dict[SessionLog, asyncio.Future[None]] = {}  # by who gives it back
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
            backlog = self._backlogs[session.session] = Backlog(session, events[-1].seq)
        backlog.add(events)
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything committed is published."""
        await self._idle.wait()

    async def caught_up(self, session: SessionLog, *, within_s: float) -> None:
        """Wait until all that is committed of the session is published, `within_s` at most."""
        if session.published >= session.committed_head:
            return
        loop = asyncio.get_running_loop()
        waiter = self._awaited[session] = loop.create_future()
        limit = loop.call_later(within_s, _settle, waiter)
        try:
            await waiter
        finally:
            limit.cancel()
            del self._awaited[session]

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
                for failed in await self._publish_all(taken):
                    if self._take_back(failed):
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
            backlog = self._backlogs[session.session] = Backlog(session, session.committed_head)
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

    def _take_back(self, failed: Backlog) -> bool:
        """Keep a backlog for another try; return False if a newer owner's backlog stands in its place."""
        later = self._backlogs.get(failed.session.session)
        if later is not None:
            if later.session is not failed.session:
                return False
            failed.follow(later)
        self._backlogs[failed.session.session] = failed
        failed.resting = True
        return True

    async def _rest(self, backlog: Backlog) -> None:
        await self._clock.sleep(jittered(backlog.again(), 0.2, self._chance))
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

    async def _publish_all(self, taken: Sequence[Backlog]) -> list[Backlog]:
        """Publish what sessions have; return those that have to be tried again."""
        plain = [backlog for backlog in taken if backlog.plain]
        special: list[tuple[Backlog, Published | None]] = [
            (backlog, None) for backlog in taken if not backlog.plain
        ]
        failed: list[Backlog] = []
        try:
            outcomes = await self._stream.publish_all([backlog.news() for backlog in plain])
        except Exception:
            # Whose fault it is shows when they are tried one by one.
            log.exception("publish.broke", sessions=len(plain))
            special += [(backlog, None) for backlog in plain]
            plain, outcomes = [], ()
        done = 0
        for backlog, outcome in zip(plain, outcomes, strict=True):
            match outcome:
                case Published.OK:
                    self._reached(backlog)
                    done += 1
                case StreamUnavailable():
                    self._failed(backlog, outcome)
                    failed.append(backlog)
                case _:
                    special.append((backlog, outcome))
        if done:
            self._observer.published(Published.OK, done)
        if special:
            failed += filter(None, await asyncio.gather(*(self._try(*one) for one in special)))
        return failed

    async def _try(self, backlog: Backlog, outcome: Published | None) -> Backlog | None:
        """Publish one session's backlog; return it if it has to be tried again.

        `outcome` is that of a try to append to the window, if that was made.
        """
        try:
            async with self._slots:
                await self._publish(backlog, outcome)
        except (StreamUnavailable, StoreUnavailable) as error:
            self._failed(backlog, error)
            return backlog
        except Exception:
            # Ours to mend. The log has everything, and readers ask the store: no reason to end the worker.
            self._observer.publish_failed()
            log.exception("publish.broke", session=backlog.session.session_id)
            return backlog
        return None

    def _failed(self, backlog: Backlog, error: Exception) -> None:
        self._observer.publish_failed()
        log.warning("publish.failed", session=backlog.session.session_id, error=str(error))

    async def _publish(self, backlog: Backlog, outcome: Published | None) -> None:
        session = backlog.session
        if backlog.erases:
            # What the window has was deleted from the log, and a rebase leaves a window that reaches as far as it is.
            await self._wipe(session.session, backlog.head)
            backlog.reread = True
        if backlog.doubt_beyond is not None:
            if await self._drop_ahead(session, backlog.doubt_beyond):
                backlog.reread = True
            backlog.doubt_beyond = None
        if backlog.reread:
            outcome = Published.GAP
        elif not backlog.events:
            return
        elif outcome is None:
            outcome = await self._stream.publish(
                session.session, backlog.events, at_rest=backlog.at_rest
            )
        if outcome is Published.DUP and await self._drop_ahead(session, backlog.head):
            outcome = Published.GAP
        if outcome is Published.GAP:
            await self._rebase(session.session, backlog.head, at_rest=backlog.at_rest)
        self._observer.published(outcome)
        self._reached(backlog)

    def _reached(self, backlog: Backlog) -> None:
        """Take note of how far the stream is."""
        session = backlog.session
        session.published = max(session.published, backlog.head)
        if session in self._awaited and session.published >= session.committed_head:
            _settle(self._awaited[session])
        if session.fenced:
            self.note(session)

    def note(self, session: SessionLog) -> None:
        """Tell the store how far the stream is: the session's release told less."""
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


def _settle(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_result(None)


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
