"""What came in and nobody has looked at yet: hints of work, each session once, and wake-ups, in order."""

import asyncio
from collections.abc import Sequence

from holdfast.events.stream import Wake

# 65,536 sessions of ~100 bytes = 7 MB. Beyond it the sessions are forgotten, and all are looked at.
INBOX_SESSIONS_MAX = 65_536


# Unread wake-ups with their events: a second of 20,000 ordinary events/s. Beyond it, too, all are looked at.
MAILBOX_WAKES_MAX = 65_536
MAILBOX_BYTES_MAX = 8 * 1024 * 1024


class InboxClosed(Exception):
    """Nothing will come any more."""


class _Box:
    """Something to wait for, that may be closed."""

    def __init__(self) -> None:
        self._closed = False
        self._failure: BaseException | None = None
        self._filled = asyncio.Event()
        self._over = asyncio.Event()

    def close(self, failure: BaseException | None = None) -> None:
        """Let who waits get InboxClosed from now on, or `failure`."""
        self._closed = True
        self._failure = failure
        self._filled.set()
        self._over.set()

    async def until_closed(self) -> None:
        """Wait for the end, whatever comes in. Raises what it was closed with."""
        await self._over.wait()
        if self._failure is not None:
            raise self._failure

    async def _wait(self) -> None:
        await self._filled.wait()
        if self._closed:
            raise self._failure or InboxClosed


class Inbox(_Box):
    """One listener's unread hints. Putting never waits, so that a slow listener slows nobody."""

    def __init__(self, *, sessions_max: int = INBOX_SESSIONS_MAX) -> None:
        super().__init__()
        self._sessions_max = sessions_max
        self._sessions: dict[int, None] = {}
        self._lost = False

    def put(self, session: int) -> None:
        """Note that a session has work."""
        self._sessions[session] = None
        if len(self._sessions) > self._sessions_max:
            self.lose()
        self._filled.set()

    def lose(self) -> None:
        """Note that hints may have been lost. A look at all sessions covers every unread one."""
        self._sessions.clear()
        self._lost = True
        self._filled.set()

    async def take(self) -> int | None:
        """Wait for a hint and return its session, the oldest first; None when some were lost. Raises InboxClosed."""
        await self._wait()
        if self._lost:
            session = None
            self._lost = False
        else:
            session = next(iter(self._sessions))
            del self._sessions[session]
        if not self._sessions:
            self._filled.clear()
        return session


class Mailbox(_Box):
    """One listener's unread wake-ups, bounded by number and bytes."""

    def __init__(
        self, *, wakes_max: int = MAILBOX_WAKES_MAX, bytes_max: int = MAILBOX_BYTES_MAX
    ) -> None:
        super().__init__()
        self._wakes_max, self._bytes_max = wakes_max, bytes_max
        self._wakes: list[Wake] = []
        self._bytes = 0

    def put(self, wake: Wake) -> None:
        """Keep a wake-up. What is too much is forgotten, and that it was is told."""
        self._wakes.append(wake)
        self._bytes += sum(len(event.body) for event in wake.events)
        if len(self._wakes) > self._wakes_max or self._bytes > self._bytes_max:
            self.lose()
        self._filled.set()

    def lose(self) -> None:
        """Note that wake-ups may have been lost. A look at all sessions covers every unread one."""
        self._wakes = [Wake(None)]
        self._bytes = 0
        self._filled.set()

    def empty(self) -> Sequence[Wake]:
        """Return all that is there, and keep none of it."""
        wakes, self._wakes = self._wakes, []
        self._bytes = 0
        if not self._closed:
            self._filled.clear()
        return wakes

    async def take(self) -> Sequence[Wake]:
        """Wait for wake-ups and return all there are, the oldest first. Raises InboxClosed."""
        await self._wait()
        return self.empty()
