"""One showing of recorded events to one client, at their own pace. It follows the rules of cursors like any stream."""

from collections.abc import AsyncIterator, Callable

import structlog

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Page, SessionInfo
from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.pace import Pace
from holdfast.gateway.seats import Seat

# As fast as possible still means a write and a turn of the loop for each so many frames.
FRAMES_PER_WRITE = 50

# A pause is slept in slices, so that a drain doesn't wait for the longest of 100 s.
PAUSE_SLICE_S = 1.0

log: structlog.stdlib.BoundLogger = structlog.get_logger("holdfast.gateway")


class Replay:
    """Counts as a stream, whose seat it gives back at its end."""

    def __init__(
        self, here: Gateway, session: SessionInfo, seat: Seat, *, after: int, until: int, pace: Pace
    ) -> None:
        self.ending: Ending | None = None
        self.cursor = after  # the last id that was sent
        self._here, self._session, self._pace = here, session, pace
        self._seat = seat
        self._until = until
        self._pending: list[bytes] = []
        self._open = False
        self._abort: Callable[[], object] | None = None

    def on_overdue(self, abort: Callable[[], object]) -> None:
        """The response begins, and says how to break it off."""
        self._open, self._abort = True, abort
        self._here.metrics.subscribed()

    def end(self, ending: Ending) -> None:
        """Stop; the first reason counts."""
        self.ending = self.ending or ending

    def abort(self) -> None:
        """Let a client go that doesn't take what it is sent."""
        self.ending = Ending.SLOW
        if self._abort is not None:
            self._abort()

    def close(self) -> None:
        """Stop counting. Calling again changes nothing."""
        self._seat.leave()
        if not self._open:
            return
        self._open = False
        ending = self.ending or Ending.CLIENT
        self._here.metrics.ended(ending)
        log.info(
            "subscription.ended",
            session=self._session.session,
            cursor=self.cursor,
            ending=ending.value,
            replay=True,
        )

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield what to write until everything was shown, or something ended it before."""
        head = self._session.head
        if self.cursor > head:
            self._reset(head, "ahead", head=head)
            self._until = head
        after = self.cursor
        while after < self._until and self._goes_on():
            try:
                page = await self._here.store.reader.read(
                    self._session.session, after=after, until=self._until
                )
            except StoreUnavailable:
                self.end(Ending.BROKEN)  # the client comes back with its cursor
                break
            if page.min_seq > after + 1:
                self._reset(page.min_seq - 1, "retention", earliest=page.min_seq)
            async for chunk in self._shown(page):
                yield chunk
            if page.through <= after:
                break
            after = page.through
        if self._goes_on():
            if after >= self._until:
                self._conclude()
            self.end(Ending.COMPLETE)
        if chunk := self._taken():
            yield chunk

    async def _shown(self, page: Page) -> AsyncIterator[bytes]:
        for recorded in page.items:
            pause = self._pace.pause_before(recorded.ts)
            if self._pending and (pause or len(self._pending) >= FRAMES_PER_WRITE):
                yield self._taken()
                # After a disconnect a write no longer waits: without this turn of the loop
                # nobody would ever learn of it.
                await self._here.clock.sleep(0)
            silent = 0.0
            while pause > 0:
                await self._here.clock.sleep(min(pause, PAUSE_SLICE_S))
                pause -= PAUSE_SLICE_S
                silent += PAUSE_SLICE_S
                if not self._goes_on():
                    return
                if silent >= self._here.settings.heartbeat_s:
                    silent = 0.0
                    yield sse.HEARTBEAT
            if recorded.seq > self.cursor + 1:
                # Compacted: an id may only jump in a frame that says so.
                self._pending.append(sse.id_only(recorded.seq - 1))
            self._pending.append(sse.frame(recorded))
            self.cursor = recorded.seq

    def _goes_on(self) -> bool:
        if self._here.draining:
            self.end(Ending.DRAIN)
        return self.ending is None

    def _reset(self, seq: int, reason: str, **details: int) -> None:
        self._pending.append(sse.reset(seq, reason, **details))
        self.cursor = seq

    def _conclude(self) -> None:
        if self.cursor < self._until:
            # The cursor first: an EventSource that comes back from here must be told that this was all.
            self._pending.append(sse.id_only(self._until))
            self.cursor = self._until
        self._pending.append(sse.control("caught-up", {"head": self._until}))

    def _taken(self) -> bytes:
        taken = b"".join(self._pending)
        self._pending.clear()
        return taken
