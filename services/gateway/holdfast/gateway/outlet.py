"""Straight to the connection: what a live reader gets costs no task switch and no walk through middleware.

Under uvicorn's httptools protocol a response in chunks is framed bytes on a transport once its head is sent.
So a reader that stands at the head, and whose connection takes what it is given, is written to by whoever brings the
event: 4 µs, nearly all of it the kernel's, where resuming a task and passing a message down costs as much again. No
server promises any of this. It is looked for once, piece by piece, and where something is missing, or the connection is
backed up, or anything but the next frames is due, the ordinary way is taken.
"""

from collections.abc import Callable
from typing import Any, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from holdfast.gateway.transport import find_owner


class Flow(FlowControl):
    """uvicorn's flow control of one connection, which also tells when it is backed up: nobody has to keep asking."""

    on_full: Callable[[], object] | None = None

    def pause_writing(self) -> None:
        """Take no more for now; called by the transport, in the midst of the write that was one too many."""
        super().pause_writing()
        if self.on_full is not None:
            self.on_full()


class Outlet(Protocol):
    """A connection in the midst of a response. It is written to by whoever knows that nobody else is writing."""

    @property
    def write(self) -> Callable[[bytes], object]:
        """Takes an HTTP chunk, framing included, and returns at once. Raises OSError or RuntimeError if it can't.

        What is written to a connection that has just gone is lost with it.
        """
        ...

    @property
    def ready(self) -> bool:
        """Whether it would pass on what is written, or whether it is backed up or gone."""
        ...

    def on_full(self, call: Callable[[], object]) -> None:
        """Have `call` made when a write was one too many. That write was taken; the next must wait."""
        ...


class _Direct:
    __slots__ = ("_cycle", "write")

    def __init__(self, cycle: Any) -> None:
        self._cycle = cycle
        self.write = cycle.transport.write

    @property
    def ready(self) -> bool:
        cycle = self._cycle
        return not (cycle.flow.write_paused or cycle.disconnected or cycle.transport.is_closing())

    def on_full(self, call: Callable[[], object]) -> None:
        self._cycle.flow.on_full = call


def find_outlet(send: object) -> Outlet | None:
    """Return the way past an ASGI `send` whose response has begun; None where the server doesn't show one.

    Asks for each thing that it is going to rely on, so that another server, or another version, is simply slower.
    """
    cycle = find_owner(send)
    transport = getattr(cycle, "transport", None)
    scope = getattr(cycle, "scope", None)
    usable = (
        getattr(cycle, "chunked_encoding", None) is True
        and getattr(cycle, "response_started", None) is True
        and getattr(cycle, "response_complete", None) is False
        and isinstance(getattr(cycle, "disconnected", None), bool)
        and isinstance(getattr(cycle, "flow", None), Flow)
        and callable(getattr(transport, "write", None))
        and callable(getattr(transport, "is_closing", None))
        and isinstance(scope, dict)
        and scope.get("method") == "GET"  # HEAD has no body
    )
    return _Direct(cycle) if usable else None
