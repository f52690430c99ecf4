"""Lets so many in at once and the others wait in order, up to a deadline. What waits is one small object.

Pure but for the clock: nothing here knows what is done inside.
"""

import asyncio

from holdfast.events.clock import Clock
from holdfast.gateway.tasks import Spawn


class Turn:
    """A place in the line, or inside. Leave it when done, whatever came of it."""

    __slots__ = ("_called", "_turnstile", "admitted", "due", "inside")

    def __init__(self, turnstile: "Turnstile", due: float) -> None:
        self._turnstile = turnstile
        self._called: asyncio.Future[bool] | None = None
        self.due = due
        self.inside = False
        self.admitted: bool | None = None  # set once; None while in line

    @property
    def called(self) -> asyncio.Future[bool]:
        """Tells whether it was let in, as soon as that is known."""
        if self._called is None:
            self._called = asyncio.get_running_loop().create_future()
            if self.admitted is not None:
                self._called.set_result(self.admitted)
        return self._called

    def tell(self, admitted: bool) -> None:
        """Decide it."""
        if self.admitted is None:
            self.admitted = admitted
            # Done already: whoever waited for it was cancelled, and is about to leave.
            if self._called is not None and not self._called.done():
                self._called.set_result(admitted)

    def leave(self) -> None:
        """Give the place up, in the line or inside. Calling again changes nothing."""
        self._turnstile.left(self)


class Turnstile:
    """At most `inside_max` inside, at most `waiting_max` in line, none of them longer than `patience_s`."""

    def __init__(
        self, clock: Clock, spawn: Spawn, *, inside_max: int, waiting_max: int, patience_s: float
    ) -> None:
        self._clock, self._spawn = clock, spawn
        self._inside_max, self._waiting_max, self._patience_s = inside_max, waiting_max, patience_s
        self._waiting: dict[Turn, None] = {}  # in order, and out of it at once
        self._inside = 0
        self._watching = self._closed = False

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._waiting)

    @property
    def inside(self) -> int:
        """How many are inside."""
        return self._inside

    def come(self) -> Turn:
        """Stand in line; `called` tells at once, or later, whether the turn has come or will not."""
        turn = Turn(self, self._clock.monotonic() + self._patience_s)
        if self._closed or len(self._waiting) >= self._waiting_max:
            turn.tell(False)
            return turn
        self._waiting[turn] = None
        self._call()
        if self._waiting and not self._watching:
            self._watching = True
            self._spawn(self._watch())
        return turn

    def left(self, turn: Turn) -> None:
        """Take a turn out; the next one in line is called. See `Turn.leave`."""
        if turn.inside:
            turn.inside = False
            self._inside -= 1
            self._call()
        elif turn in self._waiting:
            del self._waiting[turn]
            turn.tell(False)

    def close(self) -> None:
        """Turn everybody away who waits or comes; who is inside stays as long as it takes."""
        self._closed = True
        waiting, self._waiting = self._waiting, {}
        for turn in waiting:
            turn.tell(False)

    def _call(self) -> None:
        while self._waiting and self._inside < self._inside_max:
            turn = next(iter(self._waiting))
            del self._waiting[turn]
            # Counted here and not by the one who was called: that may have given up in this very moment, and leaves.
            turn.inside = True
            self._inside += 1
            turn.tell(True)

    async def _watch(self) -> None:
        """Turn away whose time is over. All have the same patience, so the first in line is the first to go."""
        try:
            while self._waiting:
                await self._clock.sleep(next(iter(self._waiting)).due - self._clock.monotonic())
                now = self._clock.monotonic()
                while self._waiting and (turn := next(iter(self._waiting))).due <= now:
                    del self._waiting[turn]
                    turn.tell(False)
        finally:
            self._watching = False
