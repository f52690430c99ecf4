"""HTTP/1.1 below the application: uvicorn's protocol, with an end to patience.

By itself it waits for ever for the rest of a header, keeps any amount of it, and answers nonsense in plain text.
"""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from holdfast.gateway.problems import Problem

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
    _header_bytes = 0
    _in_header = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first header."""
        super().connection_made(transport)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, and tell whatever is being answered on it.

        By itself the server tells only the last request that it read: a stream with another request behind it on the
        same connection would go on for ever, to nobody.
        """
        self._header_arrived()
        super().connection_lost(exc)
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

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

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._running = cycle
        super()._start_asgi_task(cycle, app)

    def _await_header(self) -> None:
        self._header_arrived()
        self._in_header = True
        self._header_timer = self.loop.call_later(HEADER_TIMEOUT_S, self._give_up)

    def _header_arrived(self) -> None:
        self._in_header = False
        self._header_bytes = 0
        if self._header_timer is not None:
            self._header_timer.cancel()
            self._header_timer = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
