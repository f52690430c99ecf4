"""Clocks of simulated machines: the same virtual time, told differently by each."""

import asyncio
from datetime import UTC, datetime, timedelta

from tests.simulation.loop import SimulatedLoop
from tests.simulation.nap import Nap

BEGINNING = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """A `Clock` whose wall time is `skew_s` off and may jump, and whose monotonic time began at some other moment.

    Nothing may rest on the one, nor on the other being the same for two processes.
    """

    def __init__(self, loop: SimulatedLoop, *, skew_s: float = 0.0, uptime_s: float = 0.0) -> None:
        self._loop, self._uptime_s = loop, uptime_s
        self._start = BEGINNING + timedelta(seconds=skew_s)
        self._told_at, self._told = 0.0, self._start

    def now(self) -> datetime:
        """Return this machine's wall time."""
        time = self._loop.time()
        if time != self._told_at:
            self._told_at = time
            self._told = self._start + timedelta(0, 0, int(time * 1_000_000))
        return self._told

    def monotonic(self) -> float:
        """Return the seconds since this machine started."""
        return self._loop.time() + self._uptime_s

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        if seconds <= 0:
            await asyncio.sleep(0)
        else:
            await Nap(self._loop, seconds)

    def jump(self, seconds: float) -> None:
        """Set the wall time forwards or back."""
        self._start += timedelta(seconds=seconds)
        self._told += timedelta(seconds=seconds)
