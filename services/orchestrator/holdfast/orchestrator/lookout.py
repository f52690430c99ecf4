"""What makes a worker look for work: somebody's hint, something that it has done itself, or the poll's turn."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterable
from typing import Protocol

from holdfast.events.clock import Clock
from holdfast.orchestrator.racing import first_of


class WorkHints(Protocol):
    """The ear for hints that there is work."""

    def listen(self) -> AsyncIterator[int | None]:
        """Yield sessions with work; None when hints may have been lost."""
        ...


class Lookout:
    """When to look next, and for which of the sessions that one owns: most hints are of others."""

    def __init__(self, clock: Clock, *, poll_s: float) -> None:
        """A hint may be lost: every `poll_s` seconds at the latest all that is owned is looked at."""
        self._clock, self._poll_s = clock, poll_s
        self._all_at = 0.0  # not moved by hints: those of others may never cease
        self._look = asyncio.Event()
        self._hinted: set[int] | None = None  # None: it may be any

    def now(self) -> None:
        """Look at once."""
        self._look.set()

    async def listen(self, hints: WorkHints) -> None:
        """Look at once whenever something was asked of a session, whoever owns it: one look finds it."""
        async for session in hints.listen():
            if session is None or self._hinted is None:
                self._hinted = None
            else:
                self._hinted.add(session)
            self._look.set()

    def begin(self) -> None:
        """A look begins; what comes from now on makes for another."""
        self._look.clear()

    def take(self, owned: Iterable[int]) -> list[int]:
        """Return those of the owned sessions of which something may have been asked since they were last taken."""
        hinted, self._hinted = self._hinted, set()
        now = self._clock.monotonic()
        if now >= self._all_at:
            hinted = None
        if hinted is None:
            self._all_at = now + self._poll_s
        return [session for session in owned if hinted is None or session in hinted]

    def failed(self) -> None:
        """What was taken has not been looked at."""
        self._hinted = None

    async def asked(self) -> None:
        """Wait until it is time to look."""
        await self._look.wait()

    async def asked_before(self, pause: Awaitable[None]) -> None:
        """Wait until it is time to look, or `pause` is over: then anything may have been asked, and its hint lost."""
        if await first_of(self._look.wait(), pause) == 1:
            self._hinted = None
