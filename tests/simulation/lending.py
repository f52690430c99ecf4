"""A simulated gateway's side of a connection that a stream has for itself: what uvicorn's transport is to a `Wire`."""

from collections.abc import Callable, Iterable
from typing import Any, cast

from holdfast.gateway.wire import Wire
from tests.simulation.link import Link


class SimulatedLender:
    """Lends a link. As a server does, it tells of a full buffer in the midst of a write, and of a loss later."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._lost: Callable[[], object] | None = None
        link.on_gone = self._gone

    def hold(self) -> None:
        """Keep nothing back: a status has no bytes here."""

    def lend(self) -> Wire | None:
        """Return the connection as a wire; None when the client has left."""
        if self._link.is_gone:
            return None
        socket = _Socket(self._link)
        socket.wire = Wire(cast("Any", socket), b"", paused=False, keep_alive=False)
        self._link.lent = True
        self._link.on_gone = socket.lose
        return socket.wire

    def abort(self) -> None:
        """Break the connection off."""
        self._link.abort()

    @property
    def gone(self) -> bool:
        """Whether the client has left."""
        return self._link.is_gone

    def on_lost(self, call: Callable[[], object] | None) -> None:
        """Have `call` made when the client leaves before the connection is lent."""
        self._lost = call

    def _gone(self) -> None:
        if self._lost is not None:
            self._lost()


class _Socket:
    """The transport of a wire: takes HTTP's chunks and passes on what is in them."""

    wire: Wire

    def __init__(self, link: Link) -> None:
        self._link = link
        self._rest = b""
        self._paused = self._closing = False

    def write(self, data: bytes) -> None:
        """Take chunks, in whole or in parts."""
        if self.is_closing():
            return
        self._rest += data
        while (found := _first_chunk(self._rest)) is not None:
            body, self._rest = found
            self._link.take(body)
        if self._link.full and not self._paused:
            self._paused = True
            self._link.on_room = self.resume
            self.wire.pause_writing()

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Take them as one write."""
        self.write(b"".join(parts))

    def is_closing(self) -> bool:
        """Whether nothing is passed on any more."""
        return self._closing or self._link.is_gone

    def close(self) -> None:
        """End after what was written; the client has been told by the last chunk."""
        self._closing = True
        self._link.over()

    def abort(self) -> None:
        """End at once."""
        self._closing = True
        self._link.abort()

    def resume(self) -> None:
        """The client has read."""
        if self._paused and not self.is_closing():
            self._paused = False
            self._link.on_room = None
            self.wire.resume_writing()

    def lose(self) -> None:
        """The client has left."""
        self._closing = True
        self.wire.connection_lost(None)


def _first_chunk(data: bytes) -> tuple[bytes, bytes] | None:
    """Return the body of the first chunk and what follows it; None while it isn't whole."""
    size, lf, rest = data.partition(b"\r\n")
    if not lf:
        return None
    length = int(size, 16)
    if len(rest) < length + 2:
        return None
    assert rest[length : length + 2] == b"\r\n", "a chunk ends with a line's end"
    return rest[:length], rest[length + 2 :]
