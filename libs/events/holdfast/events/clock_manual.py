"""Time that moves only when told to: a day of leases and deadlines passes in a millisecond of a test."""

import asyncio
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush

# Turns of the event loop that woken sleepers get before time moves on. A round trip to a twin takes one or two;
# a task that needs more finds that time went on meanwhile, as on a slow machine.
SETTLE_TURNS = 25

_BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class ManualClock:
    """A `Clock` in virtual time. Sleepers wake, in order, while `advance` passes the times they wait for."""

    def __init__(self, start: datetime = _BEGINNING) -> None:
        self._start = start
        # Whole microseconds: a sum of floats would wake some sleepers one step late.
        self._elapsed_us = 0
        self._sleepers: list[tuple[int, int, asyncio.Future[None]]] = []
        self._asleep = 0

    def now(self) -> datetime:
        """Return the virtual wall time."""
        return self._start + timedelta(microseconds=self._elapsed_us)

    def monotonic(self) -> float:
        """Return the virtual seconds since this clock was made."""
        return self._elapsed_us / 1_000_000

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was advanced by `seconds`."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # The count keeps those who wake at one moment in the order in which they went to sleep.
        self._asleep += 1
        heappush(self._sleepers, (self._elapsed_us + _us(seconds), self._asleep, woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass, stopping at every sleeper's time so that it acts, and sleeps again, when it should."""
        end = self._elapsed_us + _us(seconds)
        await _settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, woken = heappop(self._sleepers)
            if woken.done():
                continue
            self._elapsed_us = max(self._elapsed_us, due)
            woken.set_result(None)
            await _settle()
        self._elapsed_us = max(self._elapsed_us, end)
        await _settle()


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)


async def _settle() -> None:
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)
