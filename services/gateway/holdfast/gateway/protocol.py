"""HTTP/1.1 below the application: uvicorn's protocol, with an end to patience.

By itself it waits for ever for the rest of a header, keeps any amount of it, and answers nonsense in plain text.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from holdfast.gateway.outlet import Flow
from holdfast.gateway.problems import Problem
from holdfast.gateway.verdict import VERDICT, Verdict
from holdfast.gateway.wire import WIRE, Wire

# A header is one packet. Also how long a new connection may say nothing.
HEADER_TIMEOUT_S = 10.0

# Four times what the application accepts, so that it can answer 431 properly to what is a little too much.
HEADER_BYTES_HARD_MAX = 64 * 1024

# What answers are written in. The parser takes 0.9 and 2.0 as well, whose clients would not understand them.
_VERSIONS = ("1.1", "1.0")


class PatientProtocol(HttpToolsProtocol):
    """A connection whose headers arrive in time and within bounds, or that is closed."""

    _running: RequestResponseCycle | None = None
    _header_timer: asyncio.TimerHandle | None = None
    _on_lost: Callable[[], object] | None = None
    _verdict: Verdict | None = None
    _header_bytes = 0
    _in_header = True

    def answer_with(self, verdict: Verdict | None, *, until: float) -> None:
        """Answer the request that is parsed next with `verdict`, if there is one. Its header has time `until` then."""
        self._verdict = verdict
        self._await_header(until)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first header."""
        super().connection_made(transport)
        self.flow = Flow(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell whatever is being answered on it.

        By itself the server tells only the last request that it read: a stream with another request behind it on the
        same connection would go on for ever, to nobody.
        """
        self._header_arrived()
        scope: Any = self.scope
        if scope is not None:
            # Else it would hold this object, which holds it.
            scope["extensions"].clear()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()
        if self._on_lost is not None:
            self._on_lost()
            self._on_lost = None

    def data_received(self, data: bytes) -> None:
        """Count what belongs to a header and parse it."""
        if self._in_header:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_header and self._header_bytes > HEADER_BYTES_HARD_MAX:
            self.send_400_response("The header is too large.")

    def on_message_begin(self) -> None:
        """Begin to wait for the rest of a header (of a later request on the connection, too)."""
        super().on_message_begin()
        scope: Any = self.scope
        scope["extensions"] = {WIRE: self}
        if self._verdict is not None:
            scope["extensions"][VERDICT], self._verdict = self._verdict, None
        if not self._in_header:
            self._await_header()

    def on_headers_complete(self) -> None:
        """Stop waiting and serve the request."""
        self._header_arrived()
        assert self.parser is not None, "it is calling"
        if self.parser.get_http_version() not in _VERSIONS:
            # The parser makes an error of it, which is answered as every other one.
            raise ValueError("not a version of HTTP that is spoken here")
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what isn't HTTP with a problem document and close."""
        if self.transport.is_closing():
            return
        response = Problem(400, "http-invalid", msg).response({})
        lines = [b"HTTP/1.1 400 Bad Request", b"connection: close"]
        lines += [name + b": " + value for name, value in response.raw_headers]
        self.transport.write(b"\r\n".join([*lines, b"", bytes(response.body)]))
        self.transport.close()

    def hold(self) -> None:
        """Keep the response's head until the connection is lent."""
        if self._running is not None:
            self._running.transport = _Held(self.transport)  # pyright: ignore[reportAttributeAccessIssue]

    def _released(self) -> bytes:
        """Return what was kept."""
        cycle = self._running
        if cycle is None or not isinstance(cycle.transport, _Held):
            return b""
        head, cycle.transport = cycle.transport.head, self.transport
        return head

    def lend(self) -> Wire | None:
        """Hand the connection over to the stream that is being answered, and be done. See `wire.Lender`."""
        cycle, head = self._running, self._released()
        if (
            cycle is None
            or cycle is not self.cycle  # another request waits behind it
            or self._in_header  # or begins to arrive
            or cycle.more_body
            or not cycle.response_started
            or cycle.response_complete
            or cycle.chunked_encoding is not True
            or cycle.scope["method"] == "HEAD"
            or cycle.disconnected
            or self.transport.is_closing()
        ):
            if head and not self.transport.is_closing():
                self.transport.write(head)
            return None
        wire = Lent(
            self.transport,
            head,
            Server(self.config, self.server_state, self.app_state),
            paused=self.flow.write_paused,
            keep_alive=cycle.keep_alive,
        )
        # As far as HTTP goes this is the end of it: whoever still listens is told so, and nothing more can be sent.
        cycle.response_complete = True
        cycle.message_event.set()
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        connections: set[Any] = self.connections
        connections.discard(self)
        connections.add(wire)
        self.transport.set_protocol(wire)
        # They hold each other: let go of here, they are gone at once and not when the collector comes by.
        del self.parser, self.cycle, self._running, self.scope, self.headers
        return wire

    def abort(self) -> None:
        """Drop the connection with all that the client has not taken."""
        self.transport.abort()

    @property
    def gone(self) -> bool:
        """Whether the client has left, or is about to have."""
        return self.transport.is_closing()

    def on_lost(self, call: Callable[[], object] | None) -> None:
        """Have `call` made when the connection is lost before it is lent; None takes that back."""
        self._on_lost = call

    def take_back(self, ahead: bytes) -> None:
        """Go on where a stream has ended, on a new object for its connection: as after any other response."""
        self._header_arrived()
        self.timeout_keep_alive_task = self.loop.call_later(
            self.timeout_keep_alive, self.timeout_keep_alive_handler
        )
        if ahead:
            self.data_received(ahead)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _await_header(self, until: float | None = None) -> None:
        self._header_arrived()
        self._in_header = True
        until = self.loop.time() + HEADER_TIMEOUT_S if until is None else until
        self._header_timer = self.loop.call_at(until, self._give_up)

    def _header_arrived(self) -> None:
        self._in_header = False
        self._header_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()


class _Held:
    """A transport that keeps what is written to it."""

    __slots__ = ("_transport", "head")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self.head = b""

    def write(self, data: bytes) -> None:
        self.head += data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


class Server(NamedTuple):
    """What uvicorn gives to each connection's protocol."""

    config: Config
    state: ServerState
    app_state: dict[str, Any]

    def protocol(self) -> PatientProtocol:
        """Return one that speaks HTTP on another connection, or on one that was a stream's."""
        return PatientProtocol(self.config, self.state, self.app_state)


class Lent(Wire):
    """A connection on loan from this server."""

    __slots__ = ("_server",)

    def __init__(
        self,
        transport: asyncio.Transport,
        head: bytes,
        server: Server,
        *,
        paused: bool,
        keep_alive: bool,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(transport, head, paused=paused, keep_alive=keep_alive, loop=loop)
        self._server = server

    def connection_lost(self, exc: Exception | None) -> None:
        """Be none of the server's any more, and tell whose stream it was."""
        self._server.state.connections.discard(self)
        super().connection_lost(exc)

    def give_back(self, ahead: bytes) -> None:
        """Speak HTTP on it again."""
        self._server.state.connections.discard(self)
        protocol = self._server.protocol()
        self.transport.set_protocol(protocol)
        protocol.connection_made(self.transport)
        if self.paused:
            protocol.pause_writing()
        protocol.take_back(ahead)
