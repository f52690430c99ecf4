"""A client that reads nothing, or ten bytes a second, until it wakes up and reads on as others do."""

import asyncio
import socket
from urllib.parse import urlsplit

from holdfast.verify.history import Want
from holdfast.verify.reader import Reader
from holdfast.verify.wire import BROKEN, RawStream
from tests.campaign.round import Round

# What the kernel takes for us: as little as it lets us ask for, so that the gateway is who waits.
RECEIVE_BYTES = 4_096

DRIP_BYTES, DRIP_EVERY_S = 10, 1.0


class _Slow(asyncio.StreamReader):
    """Hands out what came, but not before somebody is awake; or in drips."""

    def __init__(self, awake: asyncio.Event, *, drips: bool) -> None:
        super().__init__(limit=RECEIVE_BYTES)
        self._awake, self._drips = awake, drips

    async def readexactly(self, n: int) -> bytes:
        got = b""
        while not self._awake.is_set() and len(got) < n:
            if self._drips:
                got += await super().readexactly(min(DRIP_BYTES, n - len(got)))
            try:
                await asyncio.wait_for(self._awake.wait(), DRIP_EVERY_S)
            except TimeoutError:
                continue
        return got + await super().readexactly(n - len(got))

    async def read(self, n: int = -1) -> bytes:
        if self._awake.is_set():
            return await super().read(n)
        return await self.readexactly(1)


class Dawdler(Reader):
    """Follows a session; its first connection is slow until `awake` is set."""

    awake: asyncio.Event
    drips: bool

    async def follow(self) -> None:
        """Dawdle, then read on, over the same connection while that lasts."""
        asked = self._timeline.now()
        url = self._gateways[self._turn % len(self._gateways)]
        try:
            stream = await self._open(url)
        except BROKEN:
            self.refusals += 1
        else:
            try:
                await self._read(stream, url, asked)
            finally:
                stream.abort()
        await super().follow()

    async def _open(self, url: str) -> RawStream:
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        plug = socket.socket()
        plug.setblocking(False)
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        await loop.sock_connect(plug, (parts.hostname, parts.port))
        reader = _Slow(self.awake, drips=self.drips)
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.create_connection(lambda: protocol, sock=plug)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        lines = (f"GET {self.path} HTTP/1.1", f"Host: {parts.netloc}", "Last-Event-ID: 0", "", "")
        writer.write("\r\n".join(lines).encode())
        return RawStream(reader, writer, await reader.readuntil(b"\r\n\r\n"))


def dawdler(round_: Round, session: str, awake: asyncio.Event, *, drips: bool) -> Dawdler:
    """Let one come to a session."""
    reader = Dawdler(
        f"slow-{len(round_.crowd.readers)}",
        session,
        Want(),
        after=0,
        gateways=round_.field.gateways,
        churn=0.0,
        chance=round_.chance,
        timeline=round_.field.timeline,
    )
    reader.awake, reader.drips = awake, drips
    task = asyncio.create_task(reader.follow(), name=reader.client.name)
    round_.crowd.readers.append((reader, task))
    return reader
