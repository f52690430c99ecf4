"""One client of one session: the bytes it gets next, when it waits, when it is let go, and why it ended."""

import asyncio
from collections.abc import AsyncIterator, Callable

import structlog

from holdfast.events.errors import StoreUnavailable
from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.feed import Feed
from holdfast.gateway.outlet import Outlet
from holdfast.gateway.position import OrderViolated
from holdfast.gateway.reading import FRAMES_PER_TURN, Reading
from holdfast.gateway.request import Sources, SubscriptionRequest

__all__ = ["Subscription", "SubscriptionRequest"]

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# After a drain clients come back over 14 s instead of all at once.
DRAIN_RETRY_MS = (1_000, 15_000)

# Nothing is written to these any more.
_WORDLESS = frozenset({Ending.SLOW, Ending.CLIENT, Ending.BROKEN})


class Subscription:
    """Made by `Hub.subscribe`. Take chunks until there is None, tell of every write, and close it."""

    def __init__(
        self,
        request: SubscriptionRequest,
        feed: Feed,
        sources: Sources,
        on_close: "Callable[[Subscription], None]",
    ) -> None:
        self.request, self.feed = request, feed
        self.ending: Ending | None = None
        self.already_ended = False  # nothing is owed and nothing will come: the answer is 204
        self._sources, self._on_close = sources, on_close
        self._reading = Reading(request, feed, sources)
        self._said_at = self._created_at = self._due = sources.clock.monotonic()
        self._seen_turns = -1  # the feed's turns when it was last looked at
        self._retry_at: float | None = None  # when to ask the store again
        self._waiter: asyncio.Future[None] | None = None
        self._writing_since: float | None = None
        self._abort: Callable[[], object] | None = None
        self._outlet: Outlet | None = None
        self._drained = self._closed = False

    @property
    def cursor(self) -> int:
        """The seq up to which nothing is owed to the client."""
        return self._reading.cursor

    async def open(self) -> None:
        """Judge the cursor. Raises StoreUnavailable when only the store could tell, SessionUnknown if it can't."""
        self.already_ended = await self._reading.open()

    async def chunk(self) -> bytes | None:
        """Return what to write next, everything pending joined; None when the stream has ended (see `ending`)."""
        reading = self._reading
        try:
            while self.ending is None:
                if reading.examined >= FRAMES_PER_TURN:
                    reading.examined = 0
                    await asyncio.sleep(0)
                elif reading.needs_page and self._retry_at is None:
                    await self._turn_page()
                elif self._seen_turns != self.feed.turns or self._goes_on():
                    if chunk := self._take():
                        return chunk
                elif chunk := self._break_silence():
                    return self._said(chunk, 0)
                else:
                    await self._wait()
        except OrderViolated as error:
            log.error("subscription.broken", session=self.feed.session, error=str(error))
            self.end(Ending.BROKEN)
        return self._farewell()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while (chunk := await self.chunk()) is not None:
            yield chunk

    def chunks(self) -> AsyncIterator[bytes]:
        """Yield chunks until the stream has ended (see `ending`)."""
        return self.__aiter__()

    # --- the next chunk ----------------------------------------------------------------------------

    async def _turn_page(self) -> None:
        try:
            await self._reading.turn_page()
        except StoreUnavailable:
            self._sources.observer.unavailable("store")
        if self._reading.needs_page:
            # The store is away, or has less than was seen before. The client waits with its heartbeats.
            self._retry_at = self._sources.clock.monotonic() + self._sources.options.retry_s

    def _take(self) -> bytes:
        self._seen_turns = self.feed.turns
        said, events, ending = self._reading.advance()
        if ending is not None:
            self.end(ending)
        return self._said(b"".join(said), events) if said else b""

    def _said(self, chunk: bytes, events: int) -> bytes:
        if chunk:
            self._said_at = self._sources.clock.monotonic()
            self._sources.observer.sent(events, len(chunk))
        return chunk

    def _goes_on(self) -> bool:
        return self._reading.has_more and not (
            self._reading.needs_page and self._retry_at is not None
        )

    def _break_silence(self) -> bytes:
        """Return what silence asks for: the cursor that a filtered stream moved unseen, or a sign of life."""
        position, options = self._reading.position, self._sources.options
        silent_s = self._sources.clock.monotonic() - self._said_at
        if silent_s >= options.heartbeat_s:
            return position.tell() + sse.HEARTBEAT
        if silent_s >= options.tell_s:
            return position.tell()
        return b""

    async def _wait(self) -> None:
        options = self._sources.options
        silence = options.tell_s if self._reading.position.untold else options.heartbeat_s
        self._due = self._said_at + silence
        if self._retry_at is not None:
            self._due = min(self._due, self._retry_at)
        self._reading.examined = 0
        # No await since the feed was looked at: a wake-up can't have come in between.
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None
        if self._retry_at is not None and self._sources.clock.monotonic() >= self._retry_at:
            self._retry_at = None

    def _farewell(self) -> bytes | None:
        """Return the last words once: where the client stands and, on a drain, when to come back."""
        if self._closed or self.ending in _WORDLESS:
            return None
        last = self._reading.position.tell()
        if self.ending is Ending.DRAIN and not self._drained:
            self._drained = True
            last += sse.control("drain", {})
            last += sse.retry(self._sources.chance.randint(*DRAIN_RETRY_MS))
        return last or None

    # --- called from outside -----------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the feed again: at once where the connection takes it, else when it is this client's turn."""
        waiter = self._waiter
        if waiter is not None and not waiter.done() and not self._pushed():
            waiter.set_result(None)

    def go_direct(self, outlet: Outlet | None) -> None:
        """The response has begun: from now on live events may go straight to its connection."""
        self._outlet = outlet

    def _pushed(self) -> bool:
        """Write what is live while the stream's task sleeps on; False if it has to wake up for whatever there is.

        The task waits, so it is not writing, and all that it wrote before is ahead in the connection's buffer.
        """
        outlet = self._outlet
        if outlet is None or self.ending is not None or self._retry_at is not None:
            return False
        piece = self._reading.live_piece()
        if piece is None or not outlet.write(piece.chunk):
            return False
        self._seen_turns = self.feed.turns
        self._reading.taken(piece)
        self._said(piece.frames, piece.events)
        return True

    def rewind(self, head: int) -> None:
        """Forget what lies beyond `head`: the log lost it."""
        self._reading.rewind(head)

    def end(self, ending: Ending) -> None:
        """Stop, with what is left to say; the first reason counts."""
        if self.ending is None:
            self.ending = ending
        self.wake()

    def on_overdue(self, abort: Callable[[], object]) -> None:
        """Say how to break off a write that is not taken."""
        self._abort = abort

    def begin_write(self) -> None:
        """A write begins: its deadline runs."""
        self._writing_since = self._sources.clock.monotonic()

    def end_write(self) -> None:
        """The write was taken."""
        self._writing_since = None

    def tick(self, now: float) -> None:
        """Look at this subscription's deadlines; called about once a second."""
        if self._writing_since is not None:
            if now - self._writing_since >= self._sources.options.send_deadline_s:
                self.abort()
        elif self._waiter is not None:
            if now >= self._due:
                self.wake()
        elif (
            self._abort is None and now - self._created_at >= self._sources.options.send_deadline_s
        ):
            self.close()  # its response was never started

    def abort(self) -> None:
        """Let a client go that doesn't take what it is sent. Nothing is lost: its cursor lets it come back."""
        self.ending = Ending.SLOW
        self._writing_since = None
        self.wake()
        if self._abort is not None:
            self._abort()

    def close(self) -> None:
        """Leave the feed. Calling again changes nothing."""
        if self._closed:
            return
        self._closed = True
        self.ending = self.ending or Ending.CLIENT
        self._reading.drop_page()
        self._on_close(self)
