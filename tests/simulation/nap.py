"""Waiting in virtual time, at a third of the price of a future."""

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.simulation.loop import Handle, SimulatedLoop

Wakeup = Callable[[Any], object]
"""How a task is continued: takes what it waits for, and asks that for its result."""


class Waited:
    """What a task waits for, alone: as much of a future as asyncio asks of what is awaited.

    A future's result is set in one step and its task goes on in the next; here both are one. A fifth of a schedule's
    steps did nothing else. It is only to be awaited: to whoever waits for several it is no future.
    """

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_context", "_loop", "_wakeup")

    def __init__(self, loop: "SimulatedLoop") -> None:
        self._loop = loop
        self._asyncio_future_blocking = True
        self._wakeup: Wakeup | None = None
        self._context: Context | None = None
        self._cancelled = False

    def __await__(self) -> Generator[Self, None, Any]:
        yield self
        return self.outcome()

    def add_done_callback(self, wakeup: Wakeup, *, context: Context) -> None:
        """Be waited for by the task that `wakeup` continues; called once."""
        self._wakeup, self._context = wakeup, context
        self.begin(wakeup, context)

    def cancel(self, msg: object = None) -> bool:
        """Continue the task with a CancelledError."""
        if self._wakeup is None:
            return False
        self._cancelled = True
        self.forget()
        self.end()
        return True

    def result(self) -> None:
        """Raise what the task is to be continued with, if it isn't a result."""
        self._wakeup = None
        if self._cancelled:
            raise asyncio.CancelledError

    def end(self) -> None:
        """Continue the task soon, if it waits."""
        if self._wakeup is not None:
            self._loop.call_soon(self._wakeup, self, context=self._context)
            self._wakeup = None

    # --- what it is ----------------------------------------------------------------------------------

    def begin(self, wakeup: Wakeup, context: Context) -> None:
        """Arrange for the end; unless this does, somebody else calls `end`."""

    def forget(self) -> None:
        """It was cancelled: undo what `begin` arranged, as far as that goes."""

    def outcome(self) -> Any:
        """Return what it is awaited for, or raise."""
        return None


class Nap(Waited):
    """So many seconds."""

    __slots__ = ("_handle", "_seconds")

    def __init__(self, loop: "SimulatedLoop", seconds: float) -> None:
        super().__init__(loop)
        self._seconds = seconds
        self._handle: Handle | None = None

    def begin(self, wakeup: Wakeup, context: Context) -> None:
        """Set the timer: it continues the task by itself."""
        self._handle = self._loop.call_later(self._seconds, wakeup, self, context=context)

    def forget(self) -> None:
        """Take the timer back."""
        if self._handle is not None:
            self._handle.cancel()

    def wake(self) -> None:
        """End it now."""
        self.forget()
        self.end()
