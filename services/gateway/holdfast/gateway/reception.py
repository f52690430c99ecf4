"""A connection until it is known what it is for: a stream that is opened here (see `express`), or anything else.

What is anything else is handed to the web server's own protocol with every byte that came, and nobody can tell.
"""

import asyncio
from typing import Any

import structlog
from starlette.responses import Response
from uvicorn.config import Config
from uvicorn.server import ServerState

from holdfast.gateway import protocol, sse
from holdfast.gateway.express import Express, Plain
from holdfast.gateway.following import Following
from holdfast.gateway.protocol import Lent, Server
from holdfast.gateway.streaming import retry_ms
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.turnstile import Turn
from holdfast.gateway.verdict import Verdict
from holdfast.gateway.wire import AHEAD_BYTES_MAX


class Reception(asyncio.Protocol):
    """Speaks until the first request is understood; then the connection has another protocol."""

    __slots__ = (
        "_ahead",
        "_express",
        "_keep_alive",
        "_loop",
        "_request",
        "_server",
        "_timer",
        "_turn",
        "_until",
        "transport",
    )

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        express: Express,
    ) -> None:
        self._server = Server(config, server_state, app_state)
        self._express = express
        self._request = self._ahead = b""  # what is being opened, and what came behind it
        self._keep_alive = True
        self._turn: Turn | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        self.transport = transport
        self._server.state.connections.add(self)  # type: ignore[arg-type]
        self._loop = asyncio.get_running_loop()
        self._until = self._loop.time() + protocol.HEADER_TIMEOUT_S
        self._timer = self._loop.call_at(self._until, transport.close)

    def data_received(self, data: bytes) -> None:
        """Look at a request, or keep the beginning of the next one."""
        if self._request:
            self._ahead += data
            if len(self._ahead) > AHEAD_BYTES_MAX:
                self.transport.abort()
            return
        plain = self._express.read(data)
        if plain is None:
            self._hand_over(data)
            return
        self._timer.cancel()
        self._request, self._turn = data, plain.here.admission.come()
        task = self._loop.create_task(self._serve(plain, self._turn))
        self._server.state.tasks.add(task)
        task.add_done_callback(self._server.state.tasks.discard)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give up the place in line; whatever is being opened is let go of as soon as it is there."""
        self._timer.cancel()
        self._server.state.connections.discard(self)  # type: ignore[arg-type]
        # Inside it stays counted until the work is done, wanted or not.
        if self._turn is not None and self._turn.admitted is None:
            self._turn.leave()

    def shutdown(self) -> None:
        """The server is about to end: this connection has no next request."""
        self._keep_alive = False
        if not self._request:
            self.transport.close()

    async def _serve(self, plain: Plain, turn: Turn) -> None:
        structlog.contextvars.bind_contextvars(request_id=plain.request_id)
        try:
            opened = await self._open(plain, turn)
        except Exception as error:  # noqa: BLE001  # answered as every other, which logs those that are bugs
            opened = error
        except BaseException:
            self.transport.close()
            raise
        finally:
            turn.leave()
        if isinstance(opened, Subscription):
            await self._follow(opened, plain)
        elif opened is not None and not self.transport.is_closing():
            self._hand_over(self._request, opened)

    async def _open(self, plain: Plain, turn: Turn) -> Subscription | Response | None:
        if turn.admitted is None:
            await turn.called
        if self.transport.is_closing():
            return None
        if not turn.admitted:
            return self._express.turned_away(plain)
        return await self._express.open(plain, _client_of(self.transport))

    async def _follow(self, subscription: Subscription, plain: Plain) -> None:
        transport, state = self.transport, self._server.state
        if transport.is_closing():
            subscription.close()
            return
        try:
            head = self._express.head(plain, state.default_headers)
            wire = Lent(
                transport,
                head,
                self._server,
                paused=False,
                keep_alive=self._keep_alive,
                loop=self._loop,
            )
            state.total_requests += 1
            state.connections.discard(self)  # type: ignore[arg-type]
            state.connections.add(wire)  # type: ignore[arg-type]
            transport.set_protocol(wire)
            wire.send([sse.retry(retry_ms(plain.here))])
            following = Following(subscription, wire, request_id=plain.request_id)
        except BaseException:
            subscription.close()
            transport.abort()
            raise
        if self._ahead:
            wire.data_received(self._ahead)
        await following.run()

    def _hand_over(self, request: bytes, verdict: Verdict | None = None) -> None:
        """Let the web server's protocol have the connection; with a verdict it need not be judged again."""
        self._timer.cancel()
        self._server.state.connections.discard(self)  # type: ignore[arg-type]
        ordinary = self._server.protocol()
        self.transport.set_protocol(ordinary)
        ordinary.connection_made(self.transport)
        ordinary.answer_with(verdict, until=self._until)
        ordinary.data_received(request)
        if not self._keep_alive:
            ordinary.shutdown()
        elif self._ahead:
            ordinary.data_received(self._ahead)


def _client_of(transport: asyncio.Transport) -> tuple[str, int] | None:
    """Return a connection's other end; None where it has no address, as on a Unix socket.

    What the event loop took note of at the accept: uvicorn's own function makes a socket object of each connection.
    """
    peer = transport.get_extra_info("peername")
    return (str(peer[0]), int(peer[1])) if isinstance(peer, tuple) else None
