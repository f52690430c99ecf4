"""What the supervisor keeps running, seen from its side."""

import signal
from collections.abc import Sequence
from typing import ClassVar, Protocol


class Child(Protocol):
    """What is kept running: a server of our own, or a service."""

    name: str
    stop_signals: ClassVar[Sequence[tuple[signal.Signals, float]]]

    @property
    def pid(self) -> int | None:
        """Its process while it runs."""
        ...

    @property
    def address(self) -> str:
        """Where it listens."""
        ...

    def is_running(self) -> bool:
        """Tell whether its process lives."""
        ...

    def start(self) -> None:
        """Start it; a server returns when it answers."""
        ...

    def stop(self) -> None:
        """End it politely, within a deadline."""
        ...

    def kill_soon(self) -> None:
        """Send the SIGKILL and don't wait."""
        ...

    def give_up(self) -> None:
        """Make a start that is under way fail soon."""
        ...
