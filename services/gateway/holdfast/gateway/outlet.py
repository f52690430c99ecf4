"""Straight to the connection: what a live reader gets costs no task switch and no walk through middleware.

Under uvicorn's httptools protocol a response in chunks is framed bytes on a transport once its head is sent.
So a reader that stands at the head, and whose connection takes what it is given, is written to by whoever brings the
event: 4 µs, nearly all of it the kernel's, where resuming a task and passing a message down costs as much again. No
server promises any of this. It is looked for once, piece by piece, and where something is missing, or the connection is
backed up, or anything but the next frames is due, the ordinary way is taken.
"""

from typing import Any, Protocol

from holdfast.gateway.transport import find_owner


class Outlet(Protocol):
    """Takes framed chunks of a response at once, or not at all."""

    def write(self, chunk: bytes) -> bool:
        """Write an HTTP chunk, framing included; False, and nothing is written, when the ordinary way must be taken."""
        ...


class _Direct:
    __slots__ = ("_cycle", "_flow", "_transport")

    def __init__(self, cycle: Any) -> None:
        self._cycle, self._flow, self._transport = cycle, cycle.flow, cycle.transport

    def write(self, chunk: bytes) -> bool:
        # A paused flow is a reader that doesn't keep up: the ordinary way waits for it, with a deadline.
        if self._flow.write_paused or self._cycle.disconnected or self._transport.is_closing():
            return False
        try:
            self._transport.write(chunk)
        except (OSError, RuntimeError):
            # Whoever brings the event has other readers to serve. The stream's own task will meet it and end.
            return False
        return True


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
        and isinstance(getattr(getattr(cycle, "flow", None), "write_paused", None), bool)
        and callable(getattr(transport, "write", None))
        and callable(getattr(transport, "is_closing", None))
        and isinstance(scope, dict)
        and scope.get("method") == "GET"  # HEAD has no body
    )
    return _Direct(cycle) if usable else None
