"""What a contender has to be able to do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Pace:
    """Events to each session: how many, how far apart (0: as fast as they are taken), and from when.

    Sessions take turns: the rate of all together is even, and nobody is offered a burst that others aren't.
    """

    events: int
    every_us: int
    begin_ns: int = 0  # CLOCK_MONOTONIC; 0: at once
    pad: int = 0

    def begin_of(self, nth: int, sessions: int) -> int:
        """Return when the nth of so many sessions, counted from 0, has its first event."""
        return self.begin_ns and self.begin_ns + nth * self.every_us * 1000 // sessions


class Contender(Protocol):
    """A server under load."""

    name: str
    port: int

    @property
    def pids(self) -> Sequence[int]:
        """The processes that serve readers."""
        ...

    @property
    def beside(self) -> Sequence[int]:
        """The Redis that belongs to the price, if there is one."""
        ...

    def sessions(self, count: int) -> Sequence[str]:
        """Make fresh sessions."""
        ...

    def path(self, session: str) -> str:
        """The request target at which a session is read from its first event."""
        ...

    def publish(self, sessions: Sequence[str], pace: Pace) -> None:
        """Begin to publish to all of them; return at once."""
        ...

    def settle(self, timeout_s: float) -> None:
        """Wait until all that was to be published is published."""
        ...

    def stop(self) -> None:
        """End everything that was started."""
        ...
