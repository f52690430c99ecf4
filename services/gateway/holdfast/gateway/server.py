"""uvicorn, told how to end: not ready, no new connections, streams sent elsewhere, and a hard cap."""

import asyncio
import socket
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import Any

import structlog
import uvicorn

from holdfast.gateway.express import express_of
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.protocol import PatientProtocol
from holdfast.gateway.reception import Reception
from holdfast.gateway.settings import Settings

# The kernel's queue of a wave of reconnects: 4,096 arrive in under a second and are accepted in half of one.
BACKLOG = 4096

# Longer than the idle limit of common load balancers (60 s), or they reuse a connection that is just closing.
KEEP_ALIVE_S = 75

# After the drain only ordinary requests are left, and none of them takes this long.
GRACE_S = 5

# What the kernel may hold for a reader that stalls, beside the 320 KB of ours. Left alone it grows the buffer of a
# connection up to 4 MB: 10,000 stalled readers would be 40 GB. 64 KB, which Linux doubles for its own bookkeeping, are
# 1.3 GB, and still 160 ordinary events on their way at once: at 50 ms to the client, 1.3 MB/s.
SEND_BUFFER_BYTES = 64 * 1024

log = structlog.get_logger("holdfast.gateway")


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the maker of the fastest event loop of this platform; None for the standard one."""
    if sys.platform == "win32":
        return None
    import uvloop  # not to be had on Windows

    return uvloop.new_event_loop


def server_config(settings: Settings, app: Any) -> uvicorn.Config:
    """Return uvicorn's configuration. It logs nothing of requests and says nothing of itself."""
    return uvicorn.Config(
        app,
        host=settings.host.strip("[]"),
        port=settings.port,
        loop="none",  # it runs inside of ours
        http=_protocol(app),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
    )


def _protocol(app: Any) -> Any:
    express = express_of(app)
    return PatientProtocol if express is None else partial(Reception, express=express)


class GatewayServer(uvicorn.Server):
    """A server that drains before it closes, and ends with exit code 0 when it was asked to end."""

    def __init__(
        self,
        config: uvicorn.Config,
        gateway: Callable[[], Gateway],
        *,
        on_started: Callable[[], object] = lambda: None,
        on_draining: Callable[[], object] = lambda: None,
    ) -> None:
        super().__init__(config)
        self._gateway = gateway
        self._on_started, self._on_draining = on_started, on_draining
        self._signalled = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at the second signal, at once.

        uvicorn's own raises the signal again at the very end, so that an orderly end would look like a killed process.
        Signals are counted apart from `should_exit`: a supervisor may have asked for the end before the first one.
        """
        del sig, frame
        self.force_exit = self._signalled
        self._signalled = self.should_exit = True

    def leave(self) -> None:
        """End at once, streams or not; from any thread."""
        self.force_exit = self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, and say where."""
        await super().startup(sockets)
        if self.started:
            for server in self.servers:
                for listening in server.sockets:
                    # Accepted connections inherit it.
                    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            log.info("gateway.listening", host=self.config.host, port=self.port)
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop accepting, drain the streams, then close what is left."""
        gateway = self._gateway()
        gateway.draining = True
        for server in self.servers:
            server.close()
        self._on_draining()
        log.info("gateway.draining", streams=gateway.streams)
        drain = asyncio.ensure_future(gateway.drain())
        while not drain.done() and not self.force_exit:
            await asyncio.wait([drain], timeout=0.1)
        drain.cancel()
        await super().shutdown(sockets)
        log.info("gateway.stopped")

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self.servers[0].sockets[0].getsockname()[1]
