"""Wake-ups that came in and nobody has looked at yet: each session once, however often it woke."""

import asyncio

from holdfast.events.stream import Wake

# 65,536 sessions of ~100 bytes = 7 MB. Beyond it the sessions are forgotten, and all are looked at.
INBOX_SESSIONS_MAX = 65_536


class InboxClosed(Exception):
    """No wake-up will come any more."""


class Inbox:
    """One listener's unread wake-ups. Putting never waits, so that a slow listener slows nobody."""

    def __init__(self, *, sessions_max: int = INBOX_SESSIONS_MAX) -> None:
        self._sessions_max = sessions_max
        self._heads: dict[int, int | None] = {}
        self._lost = False
        self._closed = False
        self._failure: BaseException | None = None
        self._filled = asyncio.Event()

    def put(self, session: int, head: int | None = None) -> None:
        """Note that a session has news; the highest head stands."""
        known = self._heads.get(session)
        self._heads[session] = head if known is None or head is None else max(known, head)
        if len(self._heads) > self._sessions_max:
            self.lose()
        self._filled.set()

    def lose(self) -> None:
        """Note that wake-ups may have been lost. A look at all sessions covers every unread one."""
        self._heads.clear()
        self._lost = True
        self._filled.set()

    def close(self, failure: BaseException | None = None) -> None:
        """Let `take` raise InboxClosed from now on, or `failure`."""
        self._closed = True
        self._failure = failure
        self._filled.set()

    async def take(self) -> Wake:
        """Wait for a wake-up and return it, oldest session first. Raises InboxClosed."""
        await self._filled.wait()
        if self._closed:
            raise self._failure or InboxClosed
        if self._lost:
            wake = Wake(None)
            self._lost = False
        else:
            session = next(iter(self._heads))
            wake = Wake(session, self._heads.pop(session))
        if not self._heads:
            self._filled.clear()
        return wake
