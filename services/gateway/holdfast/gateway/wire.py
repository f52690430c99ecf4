"""A connection that carries one stream and nothing else, until that has ended.

HTTP is needed for the question and for the head of the answer. What it takes to speak it (a parser, the request, its
task, a second one that listens for the client's leaving) would be held for as long as the stream lasts: 9 KB for each
client. So once the head is sent, the stream asks the server for the bare connection, as one does for a WebSocket, and
gives it back at its end. It is an extension of ASGI by our own server; where it isn't offered, streams go without.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from starlette.types import Scope

# The key in a scope's `extensions` under which a server offers itself as the `Lender` of the connection.
WIRE = "holdfast.wire"

# What a client may say meanwhile: the beginning of its next request. Whoever sends more doesn't wait for an answer.
AHEAD_BYTES_MAX = 64 * 1024

# Less than this is joined into one buffer; more is handed to the kernel from where it lies, without a copy.
JOINED_BYTES_MAX = 16 * 1024


class Rider(Protocol):
    """Whose stream a wire carries."""

    def lost(self) -> None:
        """The connection is gone. Returns at once."""
        ...


class Lender(Protocol):
    """What a server offers for each request."""

    def hold(self) -> None:
        """Keep the response's head until the connection is lent: it goes out in one write with what comes first."""
        ...

    def lend(self) -> "Wire | None":
        """Return the connection of a request whose response's head is sent; None where that can't be done.

        From then on nothing may be sent or received by ASGI's means, and the application's call is to return.
        """
        ...

    def abort(self) -> None:
        """Drop the connection with all that the client has not taken."""
        ...

    @property
    def gone(self) -> bool:
        """Whether the client has left, or is about to have."""
        ...

    def on_lost(self, call: Callable[[], object] | None) -> None:
        """Have `call` made when the connection is lost before it is lent; None takes that back."""
        ...


class Wire(asyncio.Protocol):
    """One response in chunks, on a connection of its own. It is the `Outlet` of its stream, too."""

    __slots__ = (
        "_ahead",
        "_held",
        "_keep_alive",
        "_on_full",
        "_rider",
        "_room",
        "paused",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        head: bytes,
        *,
        paused: bool,
        keep_alive: bool,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """`head` goes out before all else. `loop` spares who has it asking: until Python 3.12 that is a system call."""
        self.transport = transport
        # What is sent before the event loop turns goes out in one write: each is 5 µs of kernel, and wakes the client.
        self._held: list[bytes] | None = [head]
        (loop or asyncio.get_running_loop()).call_soon(self.flush)
        self.paused = paused  # the client takes less than it is sent
        self._keep_alive = keep_alive
        self._rider: Rider | None = None
        self._on_full: Callable[[], object] | None = None
        self._room: asyncio.Future[None] | None = None
        self._ahead = b""

    def carry(self, rider: Rider) -> None:
        """Say whom to tell when the connection is lost."""
        self._rider = rider

    @property
    def write(self) -> Callable[[bytes], object]:
        """Takes an HTTP chunk, framing included, and returns at once. See `Outlet`."""
        return self.transport.write

    @property
    def ready(self) -> bool:
        """Whether it would pass on what is written, or whether it hasn't begun, is backed up or gone."""
        return not self.paused and self._held is None and not self.transport.is_closing()

    def on_full(self, call: Callable[[], object]) -> None:
        """Have `call` made when a write was one too many. That write was taken; the next must wait."""
        self._on_full = call

    def send(self, parts: Sequence[bytes]) -> None:
        """Write `parts` as one chunk; into a connection that is gone, nothing. Wait for room before."""
        size = sum(map(len, parts))
        pieces = [b"%x\r\n" % size, *parts, b"\r\n"]
        if self._held is not None:
            self._held += pieces
        else:
            self._write(pieces)

    def flush(self) -> None:
        """Write what was sent together. To be called before anybody else is to write."""
        if self._held is not None:
            held, self._held = self._held, None
            self._write(held)

    def _write(self, pieces: list[bytes]) -> None:
        if self.transport.is_closing():
            return
        if sum(map(len, pieces)) <= JOINED_BYTES_MAX:
            self.transport.write(b"".join(pieces))
        else:
            self.transport.writelines(pieces)

    async def room(self) -> None:
        """Wait until the client has taken enough of what it was sent, or is gone. For one at a time."""
        if self.paused and not self.transport.is_closing():
            self._room = asyncio.get_running_loop().create_future()
            try:
                await self._room
            finally:
                self._room = None

    def end(self, *, close: bool) -> None:
        """Complete the response. The connection goes back to whom it came from, unless it is to be closed."""
        self._rider = self._on_full = None
        self.flush()
        if self.transport.is_closing():
            return
        self.transport.write(b"0\r\n\r\n")
        if close or not self._keep_alive:
            self.transport.close()
        else:
            self.give_back(self._ahead)

    def abort(self) -> None:
        """Drop the connection with all that the client has not taken."""
        self.transport.abort()

    def give_back(self, ahead: bytes) -> None:
        """Go on with the next request, whose first bytes may be here. The server's to say how."""
        del ahead
        self.transport.close()

    # --- called by the server and the event loop ---------------------------------------------------

    def shutdown(self) -> None:
        """The server is about to end: this connection has no next request."""
        self._keep_alive = False

    def data_received(self, data: bytes) -> None:
        """Keep the beginning of a next request."""
        self._ahead += data
        if len(self._ahead) > AHEAD_BYTES_MAX:
            self.abort()

    def pause_writing(self) -> None:
        """The connection's buffer is full."""
        self.paused = True
        if self._on_full is not None:
            self._on_full()

    def resume_writing(self) -> None:
        """There is room again."""
        self.paused = False
        self._let_go()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell whose stream it was."""
        self._let_go()
        rider, self._rider, self._on_full = self._rider, None, None
        if rider is not None:
            rider.lost()

    def _let_go(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)


def lender_of(scope: Scope) -> Lender | None:
    """Return who lends the connection of a request; None where the server doesn't."""
    return (scope.get("extensions") or {}).get(WIRE)
