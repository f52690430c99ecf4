"""The rhythm of a replay: how long to wait before each event, from the times at which they were recorded."""

from datetime import datetime

# An hour in which nothing happened is shown as ten seconds.
PAUSE_MAX_S = 10.0

# Slower than a tenth nobody watches; faster than a thousandfold is what 0 is for.
SPEED_MIN, SPEED_MAX = 0.1, 1000.0


class Pace:
    """Pauses between events at `speed` times the original; 0 is as fast as possible."""

    def __init__(self, speed: float) -> None:
        self._speed = speed
        self._last: datetime | None = None

    def pause_before(self, ts: datetime) -> float:
        """Return the seconds to wait before showing an event of this time, after the last one asked for."""
        last, self._last = self._last, ts
        if last is None or not self._speed:
            return 0.0
        # Clocks of workers are clamped per session, but an old log may hold a step back.
        gap = max(0.0, (ts - last).total_seconds())
        return min(gap, PAUSE_MAX_S) / self._speed
