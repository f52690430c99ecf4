"""Readers that dawdle and readers that stop, over real sockets and a real uvicorn.

A client is a cursor, never a queue: what a slow one costs is bounded by the sizes of the ring, of one page and of one
write, whatever is published meanwhile, and nobody else notices.
"""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
import uvicorn
from fastapi import FastAPI, Response

from holdfast.events.clock import SystemClock
from holdfast.gateway.ending import Ending
from holdfast.gateway.hub import Hub
from holdfast.gateway.options import CHUNK_BYTES, HubOptions
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse
from tests.gateway.clients import parse
from tests.gateway.fakes import SESSION, FakeLog, FakeStream
from tests.gateway.worlds import Counting

pytestmark = pytest.mark.e2e

# uvicorn lets 64 KB wait before it makes a writer wait, and one write more gets in before it does.
HELD_MAX = 64 * 1024 + CHUNK_BYTES + 4096

TEXT = "x" * 4000
DEADLINE_S = 1.0


class Endings(Counting):
    def __init__(self) -> None:
        super().__init__()
        self.endings: list[Ending] = []

    def ended(self, ending: Ending) -> None:
        self.endings.append(ending)


@dataclass
class Gateway:
    server: uvicorn.Server
    port: int
    log: FakeLog
    stream: FakeStream
    hub: Hub
    seen: Endings
    held: list[int] = field(default_factory=list[int])

    def publish(self, count: int) -> None:
        self.stream.publish(self.log.append(*["message.delta"] * count, text=TEXT))
        del self.stream.windows[SESSION][:-256]

    def sample(self) -> None:
        """Note how much the server holds for its slowest connection."""
        for connection in self.server.server_state.connections:
            transport = connection.transport
            self.held.append(transport.get_write_buffer_size())  # type: ignore[union-attr]


@asynccontextmanager
async def gateway(http: str) -> AsyncIterator[Gateway]:
    log, stream, seen = FakeLog(), FakeStream(), Endings()
    options = HubOptions(send_deadline_s=DEADLINE_S, tick_s=0.1, ring_events=64, page_cache_s=0.2)
    hub = Hub(
        log,
        stream,
        stream,
        clock=SystemClock(),
        chance=random.Random(1),
        options=options,
        observer=seen,
    )
    app = FastAPI()

    @app.get("/stream")
    async def route(after: int) -> Response:
        subscription = await hub.subscribe(SubscriptionRequest(session=SESSION, cursor=after))
        return EventStreamResponse(subscription, retry_ms=2000)

    config = uvicorn.Config(
        app, port=0, log_config=None, lifespan="off", http=http, timeout_graceful_shutdown=1
    )  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    async with hub:
        serving = asyncio.create_task(server.serve())
        await until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            yield Gateway(server, port, log, stream, hub, seen)
        finally:
            server.should_exit = True
            await serving


async def until(condition: Callable[..., bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # a condition, not an event of ours
            await asyncio.sleep(0.01)


class Browser:
    """Reads over a plain socket, as fast as `pause_s` lets it, and decodes the chunks of HTTP by hand."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pause_s: float
    ) -> None:
        self.seqs: list[int] = []
        self.bodies: list[bytes] = []
        self.done = False
        self._reader, self._writer, self._pause_s = reader, writer, pause_s
        self._task = asyncio.create_task(self._read())

    @classmethod
    async def connect(cls, port: int, after: int, *, pause_s: float = 0.0) -> "Browser":
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**16)
        writer.write(f"GET /stream?after={after} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer, pause_s)

    async def _read(self) -> None:
        pending = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            pending += (await self._reader.readexactly(size + 2))[:-2]
            whole, _, pending = pending.rpartition(b"\n\n")
            for frame in parse(whole + b"\n\n") if whole else ():
                if frame.name is None and frame.data is not None:
                    assert frame.id is not None
                    self.seqs.append(frame.id)
                    self.bodies.append(frame.data)
            await asyncio.sleep(self._pause_s)
        self.done = True

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._writer.close()


def stalled_socket(port: int, after: int) -> socket.socket:
    """A client that asks and then never reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    sock.sendall(f"GET /stream?after={after} HTTP/1.1\r\nhost: test\r\n\r\n".encode())
    return sock


@pytest.mark.parametrize("http", ["httptools", "h11"])
async def test_a_stalled_reader_is_let_go_at_its_deadline_and_harms_nobody(http: str):
    async with gateway(http) as here:
        quick = await Browser.connect(here.port, 0)
        slow = await Browser.connect(here.port, 0, pause_s=0.02)
        stalled = stalled_socket(here.port, 0)
        await until(lambda: here.hub.subscribers == 3)
        batches, batch = 200, 20  # 16 MB: more than the kernel's buffers of a connection
        for number in range(batches):
            here.publish(batch)
            await until(lambda expected=(number + 1) * batch: len(quick.seqs) == expected, 5)
            here.sample()
        total = batches * batch
        await until(lambda: here.seen.endings == [Ending.SLOW])
        await until(lambda: len(slow.seqs) == total, 60)

        expected = [event.body for event in here.log.sessions[SESSION].events.values()]
        assert quick.bodies == slow.bodies == expected
        assert slow.seqs == list(range(1, total + 1))
        assert max(here.held) <= HELD_MAX
        assert max(here.held) > 0
        assert here.hub.stats().ring_events <= 64

        with stalled:
            got = _drain(stalled)
        cursor = max((f.id for f in got if f.id is not None), default=0)
        again = await Browser.connect(here.port, cursor)
        await until(lambda: len(again.seqs) == total - cursor)
        assert again.bodies == expected[cursor:]
        for browser in (quick, slow, again):
            await browser.close()


def _drain(sock: socket.socket):
    """Return the whole frames that reached the stalled client's kernel before the connection was broken off."""
    received = b""
    sock.settimeout(5)
    try:
        while data := sock.recv(65536):
            received += data
    except ConnectionResetError:
        pass
    body = received.partition(b"\r\n\r\n")[2]
    frames = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if not size or len(rest) < int(size, 16):
            break
        frames += rest[: int(size, 16)]
        body = rest[int(size, 16) + 2 :]
    whole = frames.rpartition(b"\n\n")[0]
    return parse(whole + b"\n\n") if whole else []


async def test_a_thousand_connections_come_and_go_without_a_trace():
    async with gateway("httptools") as here:
        warm = await Browser.connect(here.port, 0)
        await until(lambda: here.hub.subscribers == 1)
        before = len(asyncio.all_tasks())
        for _ in range(10):
            browsers = await asyncio.gather(*(Browser.connect(here.port, 0) for _ in range(100)))
            await until(lambda: here.hub.subscribers == 101)
            for browser in browsers:
                await browser.close()
            await until(lambda: here.hub.subscribers == 1)
        await until(lambda: len(asyncio.all_tasks()) <= before)

        assert set(here.seen.endings) == {Ending.CLIENT}
        await warm.close()
