"""The time by the database's clock, which is the same for every worker."""

from datetime import datetime, timedelta

from holdfast.events.clock import Clock


class StoreTime:
    """What the database's clock said, carried on by this process's monotonic one.

    Deadlines of runs are set by one worker and judged by another, whose own wall clocks may be hours apart. This time
    may lag, by as long as an answer of the database was under way, and it never leads: that a row was due, which the
    database judges, is never taken back here.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._zero: datetime | None = None  # when this process's monotonic clock was at zero

    def learn(self, said: datetime | None) -> None:
        """Take in what an answer that has just come says of the time. The answer that came fastest counts."""
        if said is None:
            return
        zero = said - timedelta(seconds=self._clock.monotonic())
        self._zero = zero if self._zero is None else max(self._zero, zero)

    def now(self) -> datetime:
        """Return the database's time; this machine's, before the database said anything."""
        if self._zero is None:
            return self._clock.now()
        return self._zero + timedelta(seconds=self._clock.monotonic())
