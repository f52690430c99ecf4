"""The stream in memory: the same promises as Redis, and switches for everything that Redis does.

For tests and simulation; one process, one log.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import (
    ACTIVE_TTL_S,
    REST_TTL_S,
    WINDOW_EVENTS,
    Hear,
    News,
    Published,
    Wake,
    publish_each,
)
from holdfast.events.stream_batches import (
    calls,
    check_contiguous,
    entries_to_keep,
    newest_call,
)
from holdfast.events.stream_inbox import (
    INBOX_SESSIONS_MAX,
    MAILBOX_WAKES_MAX,
    Inbox,
    InboxClosed,
    Mailbox,
)
from holdfast.events.stream_message import version_for


@dataclass(slots=True)
class _Window:
    entries: list[RecordedEvent] = field(default_factory=list[RecordedEvent])
    expires_at: float | None = None


class MemoryStream:
    """Publisher and Window over a dict. Its switches:

    `down`        every call raises StreamUnavailable and wake-ups are lost; back up, all are told
    `lose_wakes`  wake-ups vanish, silently
    `room`        so many entries still fit, then Redis is out of memory; None = no end of it
    """

    def __init__(self, clock: Clock | None = None, *, window_events: int = WINDOW_EVENTS) -> None:
        self._clock = clock or SystemClock()
        self._window_events = window_events
        self._windows: dict[int, _Window] = {}
        self._wakes: list[MemoryWakes] = []
        self._hints: list[MemoryHints] = []
        self._down = self._closed = False
        self.lose_wakes = False
        self.room: int | None = None

    # --- the stream --------------------------------------------------------------------------------

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Append contiguous, committed events to the window; see Publisher."""
        check_contiguous(events)
        self._check_up()
        window = self._window(session) or _Window()
        last = window.entries[-1].seq if window.entries else 0
        if events and last < events[0].seq - 1:
            return Published.GAP
        fresh = [event for event in events if event.seq > last]
        if fresh:
            self._windows[session] = window
            self._make_room(window, len(fresh))
            for event in fresh:
                self._take_room()  # what fitted stays: the next call finds a prefix and goes on
                window.entries.append(event)
        window.expires_at = self._expiry(at_rest)
        if not fresh:
            return Published.DUP
        self.trim(session, entries_to_keep(calls(events)[-1], window_events=self._window_events))
        carried = tuple(fresh) if version_for(fresh) else ()
        self._wake(Wake(session, fresh[-1].seq, carried))
        return Published.OK

    async def publish_all(self, news: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        """Publish to many sessions, each by itself; see Publisher."""
        return await publish_each(self, news)

    async def rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Begin the window anew with the newest of these that fit into one call; see Publisher."""
        newest = newest_call(events)
        self._check_up()
        if not newest:
            return Published.DUP
        window = self._window(session)
        if window and window.entries and window.entries[-1].seq >= newest[-1].seq:
            window.expires_at = self._expiry(at_rest)
            return Published.DUP
        for _ in newest:
            self._take_room()
        self._windows[session] = _Window(list(newest), self._expiry(at_rest))
        self._wake(Wake(session, newest[-1].seq))
        return Published.OK

    async def erase(self, session: int, last: RecordedEvent) -> Published:
        """Leave nothing in the window but the event that erased the session; see Publisher."""
        self._check_up()
        window = self._window(session)
        if window is not None and [entry.seq for entry in window.entries] == [last.seq]:
            window.expires_at = self._expiry(at_rest=True)
            return Published.DUP
        self._take_room()
        self._windows[session] = _Window([last], self._expiry(at_rest=True))
        self._wake(Wake(session, last.seq))
        return Published.OK

    async def drop(self, session: int) -> None:
        """Delete the window. Raises StreamUnavailable."""
        self._check_up()
        self._windows.pop(session, None)

    async def hint_work(self, session: int) -> None:
        """Tell the workers that something was asked of a session. Raises StreamUnavailable."""
        self._check_up()
        if not self.lose_wakes:
            for hints in self._hints:
                hints.put(session)

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        """Return the entries after each cursor; see Window."""
        if cursors:
            self._check_up()
        return {session: self._after(session, after)[:limit] for session, after in cursors.items()}

    def wakes(self) -> "MemoryWakes":
        """Return the wake-ups of sessions yet to be watched; closed with the stream."""
        wakes = MemoryWakes(up=not self._down)
        self._wakes.append(wakes)
        return wakes

    def hints(self) -> "MemoryHints":
        """Return the ear for `hint_work`; closed with the stream."""
        hints = MemoryHints()
        self._hints.append(hints)
        return hints

    async def close(self) -> None:
        """End every `listen`."""
        self._closed = True
        for ear in (*self._wakes, *self._hints):
            ear.close()

    # --- the switches ------------------------------------------------------------------------------

    @property
    def down(self) -> bool:
        """Whether the stream is away."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        for wakes in self._wakes:
            wakes.set_up(not down)
        if not down:
            for hints in self._hints:
                hints.lose()

    def flush(self) -> None:
        """Lose every window at once, as FLUSHALL or a restart without a file does."""
        self._windows.clear()

    def lose(self, session: int) -> None:
        """Lose one window, as eviction does."""
        self._windows.pop(session, None)

    def trim(self, session: int, keep: int) -> None:
        """Keep the newest entries of a window."""
        window = self._windows.get(session)
        if window is not None:
            del window.entries[: max(0, len(window.entries) - keep)]

    def lose_tail(self, session: int, entries: int) -> None:
        """Lose the newest entries, as failover to a replica that lags does."""
        window = self._windows.get(session)
        if window is not None and entries > 0:
            del window.entries[-entries:]
            if not window.entries:
                del self._windows[session]

    def break_connections(self) -> None:
        """Cut every listener off and let it come back: unread and passing wake-ups are lost."""
        for ear in (*self._wakes, *self._hints):
            ear.lose()

    def expires_in(self, session: int) -> float | None:
        """Return the seconds until a window expires; None if it stays, or is not there."""
        window = self._window(session)
        if window is None or window.expires_at is None:
            return None
        return window.expires_at - self._clock.monotonic()

    # --- within ------------------------------------------------------------------------------------

    def _check_up(self) -> None:
        if self._closed:
            raise StreamUnavailable("the stream is closed")
        if self._down:
            raise StreamUnavailable("Redis is away: switched off")

    def _make_room(self, window: _Window, entries: int) -> None:
        """Out of memory, let a window's older half go if that makes room for what is to come, as publish.lua does."""
        half = len(window.entries) // 2
        if self.room is not None and self.room <= 0 and half >= entries:
            del window.entries[: len(window.entries) - half]
            self.room += half

    def _take_room(self) -> None:
        if self.room is None:
            return
        if self.room <= 0:
            raise StreamUnavailable("Redis refused: out of memory")
        self.room -= 1

    def _window(self, session: int) -> _Window | None:
        window = self._windows.get(session)
        if window is None or window.expires_at is None:
            return window
        if window.expires_at <= self._clock.monotonic():
            del self._windows[session]
            return None
        return window

    def _expiry(self, at_rest: bool) -> float:
        return self._clock.monotonic() + (REST_TTL_S if at_rest else ACTIVE_TTL_S)

    def _after(self, session: int, after: int) -> list[RecordedEvent]:
        window = self._window(session)
        if window is None or not window.entries:
            return []
        # Entries are contiguous: publish and rebase see to it, and only ends are ever lost.
        return window.entries[max(0, after + 1 - window.entries[0].seq) :]

    def _wake(self, wake: Wake) -> None:
        if not self.lose_wakes:
            for wakes in self._wakes:
                wakes.put(wake)


class MemoryWakes:
    """Wake-ups of watched sessions, for one listener."""

    def __init__(self, *, up: bool = True, wakes_max: int = MAILBOX_WAKES_MAX) -> None:
        self._up = up
        self._watched: set[int] = set()
        self._mailbox = Mailbox(wakes_max=wakes_max)

    @property
    def connected(self) -> bool:
        """Whether wake-ups are coming in."""
        return self._up

    async def watch(self, session: int) -> None:
        """Begin to get the session's wake-ups."""
        self._watched.add(session)

    async def unwatch(self, session: int) -> None:
        """Stop getting them."""
        self._watched.discard(session)

    async def listen(self, hear: Hear) -> None:
        """Have `hear` called with wake-ups, in the listener's own task, until closed."""
        while True:
            try:
                wakes = await self._mailbox.take()
            except InboxClosed:
                return
            hear(wakes)

    def put(self, wake: Wake) -> None:
        """Wake the listener, if it watches the session."""
        if wake.session in self._watched:
            self._mailbox.put(wake)

    def set_up(self, up: bool) -> None:
        """Go away or come back; back again, the listener is told to look at all."""
        if up and not self._up:
            self._mailbox.lose()
        self._up = up

    def lose(self) -> None:
        """Lose unread wake-ups, and say so."""
        self._mailbox.lose()

    def close(self) -> None:
        """End `listen`."""
        self._up = False
        self._mailbox.close()


class MemoryHints:
    """The sessions that workers are told of, for one listener."""

    def __init__(self, *, sessions_max: int = INBOX_SESSIONS_MAX) -> None:
        self._inbox = Inbox(sessions_max=sessions_max)

    async def listen(self) -> AsyncIterator[int | None]:
        """Yield sessions with work until closed; None when hints may have been lost."""
        while True:
            try:
                session = await self._inbox.take()
            except InboxClosed:
                return
            yield session

    def put(self, session: int) -> None:
        """Tell of a session with work."""
        self._inbox.put(session)

    def lose(self) -> None:
        """Lose unread hints, and say so."""
        self._inbox.lose()

    def close(self) -> None:
        """End `listen`."""
        self._inbox.close()
