"""Time and chance, as things that are passed in, so that a simulator can drive the code that decides."""

import asyncio
import random
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Wall time for timestamps, monotonic time for bounds, and a way to wait."""

    def now(self) -> datetime:
        """Return the wall time, aware and in UTC. Informative only: no decision may rest on it."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, for deadlines and durations."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        ...


class SystemClock:
    """The machine's clocks and the running event loop's timers."""

    def now(self) -> datetime:
        """Return the system's wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the system's monotonic time in seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(seconds)


def jittered(seconds: float, spread: float, chance: random.Random) -> float:
    """Return `seconds` give or take up to `spread` (a fraction), so that many processes don't move as one."""
    return seconds * (1 + spread * (2 * chance.random() - 1))
