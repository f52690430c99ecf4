"""One client of one session: the bytes it gets next, when it waits, when it is let go, and why it ended."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

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
    """Made by `Hub.subscribe`. Take chunks until there is None, tell of every write, and close it.

    There are two ways to take them: `chunk` waits for each. `pending` doesn't, and then `sleep` says whom to call.
    """

    __slots__ = (
        "_abort",
        "_awake",
        "_closed",
        "_drained",
        "_due",
        "_on_close",
        "_opened_at",
        "_outlet",
        "_reading",
        "_retry_at",
        "_said_at",
        "_seen_turns",
        "_sings",
        "_sources",
        "_turning",
        "_writing_since",
        "already_ended",
        "ending",
        "feed",
        "request",
    )

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
        self._said_at = self._due = sources.clock.monotonic()
        self._opened_at: float | None = None  # none before: it is whose who waits for it
        self._seen_turns = -1  # the feed's turns when it was last looked at
        self._retry_at: float | None = None  # when to ask the store again
        self._awake: Callable[[], object] | None = None  # whom to call; none while someone is at it
        self._writing_since: float | None = None
        self._abort: Callable[[], object] | None = None
        self._outlet: Outlet | None = None
        self._sings = False  # one of the feed's chorus, which has its place and wakes nobody
        self._turning = False  # a page is on its way, and with it whoever writes
        self._drained = self._closed = False

    @property
    def cursor(self) -> int:
        """The seq up to which nothing is owed to the client."""
        return self.feed.chorus.at if self._sings else self._reading.cursor

    async def open(self) -> None:
        """Judge the cursor. Raises StoreUnavailable when only the store could tell, SessionUnknown if it can't."""
        self.already_ended = await self._reading.open()
        self._opened_at = self._sources.clock.monotonic()

    async def chunk(self) -> bytes | None:
        """Return what to write next, everything pending joined; None when the stream has ended (see `ending`)."""
        while (parts := await self.pending()) is not None:
            if parts:
                return b"".join(parts)
            await self._wait()
        return None

    async def pending(self) -> Sequence[bytes] | None:
        """Return what to write now, as parts of one chunk: none of them when there is nothing, until `sleep` says so.

        None when the stream has ended (see `ending`).
        """
        reading = self._reading
        if self._retry_at is not None and self._sources.clock.monotonic() >= self._retry_at:
            self._retry_at = None
        try:
            while self.ending is None:
                if reading.examined >= FRAMES_PER_TURN and self._goes_on():
                    reading.examined = 0
                    await asyncio.sleep(0)
                elif reading.needs_page and self._retry_at is None:
                    await self._turn_page()
                elif self._seen_turns != self.feed.turns or self._goes_on():
                    if parts := self._take():
                        return parts
                elif silence := self._break_silence():
                    return self._said([silence], 0)
                else:
                    return ()
        except OrderViolated as error:
            log.error("subscription.broken", session=self.feed.session, error=str(error))
            self.end(Ending.BROKEN)
        return self._farewell()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield chunks until the stream has ended (see `ending`)."""
        while (chunk := await self.chunk()) is not None:
            yield chunk

    # --- the next chunk ----------------------------------------------------------------------------

    async def _turn_page(self) -> None:
        self._turning = True
        try:
            await self._reading.turn_page()
        except StoreUnavailable:
            self._sources.observer.unavailable("store")
        finally:
            self._turning = False
        if self._reading.needs_page:
            # The store is away, or has less than was seen before. The client waits with its heartbeats.
            self._retry_at = self._sources.clock.monotonic() + self._sources.options.retry_s

    def _take(self) -> Sequence[bytes]:
        self._seen_turns = self.feed.turns
        said, events, ending = self._reading.advance()
        if ending is not None:
            self.end(ending)
        return self._said(said, events)

    def _said(self, parts: Sequence[bytes], events: int) -> Sequence[bytes]:
        if size := sum(map(len, parts)):
            self._said_at = self._sources.clock.monotonic()
            self._sources.observer.sent(events, size)
            return parts
        return ()

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

    def _speak_meanwhile(self) -> None:
        """Break the silence in which the stream's task waits for the store: a hundred may stand in line before it.

        Nobody else writes meanwhile. A server that shows no way past it leaves its clients without.
        """
        outlet = self._outlet
        if outlet is not None and outlet.ready and (said := self._break_silence()):
            with suppress(OSError, RuntimeError):  # the task will meet it, where it is expected
                outlet.write(b"%x\r\n%b\r\n" % (len(said), said))
                self._said([said], 0)

    def sleep(self, awake: Callable[[], object]) -> None:
        """Have `awake` called, once, as soon as there may be something to write.

        To be called when `pending` had nothing, with no await in between: then no wake-up can have come.
        """
        options = self._sources.options
        silence = options.tell_s if self._reading.position.untold else options.heartbeat_s
        self._due = self._said_at + silence
        if self._retry_at is not None:
            self._due = min(self._due, self._retry_at)
        self._reading.examined = 0
        self._awake = awake
        self._join_chorus()

    async def _wait(self) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.sleep(lambda: called.done() or called.set_result(None))
        try:
            await called
        finally:
            self._awake = None
            if self._sings:
                self.feed.chorus.leave(self)

    def _farewell(self) -> Sequence[bytes] | None:
        """Return the last words once: where the client stands and, on a drain, when to come back."""
        if self._closed or self.ending in _WORDLESS:
            return None
        last = self._reading.position.tell()
        if self.ending is Ending.DRAIN and not self._drained:
            self._drained = True
            last += sse.control("drain", {})
            last += sse.retry(self._sources.chance.randint(*DRAIN_RETRY_MS))
        return [last] if last else None

    # --- called from outside -----------------------------------------------------------------------

    def wake(self) -> None:
        """Look at the feed again when it is this client's turn."""
        if self._sings:
            self.feed.chorus.leave(self)
        elif self._awake is not None:
            awake, self._awake = self._awake, None
            awake()

    def go_direct(self, outlet: Outlet | None) -> None:
        """The response has begun: from now on live events may go straight to its connection."""
        self._outlet = outlet
        if outlet is not None:
            outlet.on_full(self._hold_back)

    def step_out(self, at: int, said_at: float) -> None:
        """Go on alone from `at`: the chorus is over, or something else than its next words is due."""
        self._sings = False
        self._reading.position.stand(at)
        self._said_at = max(self._said_at, said_at)
        self._seen_turns = -1
        self.feed.join(self)
        self.wake()

    def _join_chorus(self) -> None:
        """Let the feed write what is live while the stream's task sleeps on.

        The task waits, so it is not writing, and all that it wrote before is ahead in the connection's buffer.
        """
        outlet, reading, feed = self._outlet, self._reading, self.feed
        if outlet is None or self.ending is not None or self._retry_at is not None:
            return
        if reading.abreast and feed.chorus.join(self, outlet, reading.cursor, self._said_at):
            self._sings = True
            del feed.followers[self]

    def _hold_back(self) -> None:
        """The connection takes no more for now: what is next waits for it, with a deadline."""
        if self._sings:
            self.feed.chorus.leave(self)

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
        if self._sings:
            return  # it has none of its own: see `Chorus.beat`
        if self._writing_since is not None:
            if now - self._writing_since >= self._sources.options.send_deadline_s:
                self.abort()
        elif self._awake is not None:
            if now >= self._due:
                self.wake()
            elif self._goes_on():
                # Whoever changed the feed was to tell of it.
                self._sources.observer.untold(1)
                self.wake()
        elif self._turning:
            self._speak_meanwhile()
        elif (
            self._abort is None
            and self._opened_at is not None
            and now - self._opened_at >= self._sources.options.send_deadline_s
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
        self._awake = None
        if self._sings:
            self.feed.chorus.leave(self)
        self.ending = self.ending or Ending.CLIENT
        self._reading.drop_page()
        self._on_close(self)
