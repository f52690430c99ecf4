"""The readers that stand at the head of one session, want all of it and take what they are given: one loop for all.

They have the same place, so it is kept once; what is said to them is said to all, so it is counted and dated once.
What is left to do for each is one call of its connection's `write`. Whoever is owed anything but the next frames steps
out first, and goes on alone from the place that all had.
"""

from collections.abc import Callable
from typing import Protocol

import structlog

from holdfast.events.clock import Clock
from holdfast.gateway import sse
from holdfast.gateway.observer import Observer
from holdfast.gateway.outlet import Outlet
from holdfast.gateway.ring import Piece

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

_HEARTBEAT = b"%x\r\n%b\r\n" % (len(sse.HEARTBEAT), sse.HEARTBEAT)


class Voice(Protocol):
    """Who can be in a chorus. The call returns at once."""

    def step_out(self, at: int, said_at: float) -> None:
        """Be alone again, at seq `at`, last told something at `said_at`; there is something to look at."""
        ...


class Chorus:
    """Members are exactly at `at`, or they aren't members. A member is not woken, and keeps no place of its own."""

    __slots__ = ("_clock", "_full", "_observer", "_singing", "_writes", "at", "said_at")

    def __init__(self, clock: Clock, observer: Observer) -> None:
        self.at = 0
        self.said_at = 0.0
        self._clock, self._observer = clock, observer
        # Only what the loop needs: at a thousand members every object that it touches is a miss of the cache.
        self._writes: dict[Voice, Callable[[bytes], object]] = {}
        self._singing = False
        self._full: list[Voice] = []

    def __len__(self) -> int:
        return len(self._writes)

    def join(self, voice: Voice, outlet: Outlet, at: int, said_at: float) -> bool:
        """Take `voice` in, if its connection is ready and it stands where the others do.

        `said_at` is when it was last told something: none of them waits longer than it may for a sign of life.
        """
        if not outlet.ready:
            return False
        if not self._writes:
            self.at, self.said_at = at, said_at
        elif at != self.at:
            return False
        self._writes[voice] = outlet.write
        self.said_at = min(self.said_at, said_at)
        return True

    def leave(self, voice: Voice) -> None:
        """Let one go, and go on alone."""
        if self._singing:
            # In the midst of its own write: it was one too many, and was taken.
            self._full.append(voice)
            return
        del self._writes[voice]
        voice.step_out(self.at, self.said_at)

    def sing(self, piece: Piece) -> bool:
        """Write `piece` to all of them; whose connection breaks steps out at the place before it.

        Returns False, and nothing is written, unless the piece begins where all of them are: alone, each of them finds
        out what is wrong.
        """
        if piece.after != self.at or piece.first != self.at + 1 or piece.last < piece.first:
            return False
        self._tell(piece.chunk, piece.last)
        served = len(self._writes)
        self._observer.sent(piece.events * served, len(piece.frames) * served)
        self._let_the_full_go()
        return True

    def beat(self, now: float, heartbeat_s: float) -> None:
        """Give all of them a sign of life, if nothing was said to them for so long."""
        if self._writes and now - self.said_at >= heartbeat_s:
            self._tell(_HEARTBEAT, self.at)
            self._observer.sent(0, len(sse.HEARTBEAT) * len(self._writes))
            self._let_the_full_go()

    def _tell(self, chunk: bytes, at: int) -> None:
        """Write one chunk to all of them, who then stand at `at`."""
        broken: list[Callable[[bytes], object]] = []
        self._singing = True
        try:
            for write in self._writes.values():
                try:
                    write(chunk)
                except Exception as error:  # there are others to serve
                    # The stream's own task will meet it, where it is expected.
                    broken.append(write)
                    if not isinstance(error, OSError | RuntimeError):
                        log.exception("chorus.write_failed")
        finally:
            self._singing = False
        for voice in [voice for voice, write in self._writes.items() if write in broken]:
            self.leave(voice)
        self.at, self.said_at = at, self._clock.monotonic()

    def _let_the_full_go(self) -> None:
        full, self._full = self._full, []
        for voice in full:
            if voice in self._writes:
                self.leave(voice)

    def disperse(self) -> None:
        """Have all of them go on alone."""
        for voice in list(self._writes):
            self.leave(voice)
