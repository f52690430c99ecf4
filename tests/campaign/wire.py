"""A TCP proxy that does what networks do: it holds everything back, forgets connections, is slow, or is narrow."""

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

# There and back this is 200 ms ± 100 more for each round trip.
DELAY_S = (0.05, 0.15)

# A kilobyte a second, in pieces that never wait longer than a moment.
THROTTLED_BYTES, THROTTLED_EVERY_S = 100, 0.1

_CHUNK_BYTES = 64 * 1024


class Trouble(StrEnum):
    """What a network does to what is sent through it."""

    NONE = "none"
    BLACKHOLE = (
        "blackhole"  # nothing arrives, and nobody is told; what was sent arrives when it is over
    )
    HALF_OPEN = (
        "half-open"  # the other side has forgotten what was open; new connections are served
    )
    DELAY = "delay"
    THROTTLE = "throttle"


class Wire:
    """Made by `wire`; `port` is where it listens."""

    def __init__(self, host: str, port: int, chance: random.Random) -> None:
        self._target, self._chance = (host, port), chance
        self._trouble = Trouble.NONE
        self._changed = asyncio.Event()
        self._pairs: set[_Pair] = set()
        self.port = 0
        self.held_bytes = 0  # what a trouble held back, slowed down or swallowed

    def url(self, target: str) -> str:
        """Return `target` by way of this wire."""
        parts = urlsplit(target)
        user, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{self.port}"))

    def becomes(self, trouble: Trouble) -> None:
        """Do this from now on to all that comes through."""
        self._trouble = trouble
        if trouble is Trouble.HALF_OPEN:
            for pair in self._pairs:
                pair.forgotten = True
                pair.server.transport.abort()
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def leads_to(self, host: str, port: int) -> None:
        """Carry to another server from now on; what is open is broken off."""
        self._target = (host, port)
        for pair in self._pairs:
            pair.server.transport.abort()

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        try:
            while self._trouble is Trouble.BLACKHOLE:
                await self._changed.wait()
            server, requests = await asyncio.open_connection(*self._target)
        except OSError:
            answers.transport.abort()
            return
        except BaseException:
            answers.transport.abort()
            raise
        pair = _Pair(client, requests)
        self._pairs.add(pair)
        pumps = [
            asyncio.create_task(self._pump(client, requests, pair)),
            asyncio.create_task(self._pump(server, answers, pair)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            self._pairs.discard(pair)
            requests.transport.abort()
            answers.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pair: "_Pair"
    ) -> None:
        with suppress(OSError):
            while True:
                data = await source.read(_CHUNK_BYTES)
                if pair.forgotten:
                    if not data and source is not pair.client:
                        # The server's side is gone, and its client is not to know: until it gives up by itself.
                        await asyncio.Event().wait()
                    self.held_bytes += len(data)
                    if not data:
                        return
                    continue
                if not data:
                    return
                await self._carry(data, sink)

    async def _carry(self, data: bytes, sink: asyncio.StreamWriter) -> None:
        if self._trouble is not Trouble.NONE:
            self.held_bytes += len(data)
        while data:
            piece = data
            match self._trouble:
                case Trouble.BLACKHOLE:
                    await self._changed.wait()
                    continue
                case Trouble.DELAY:
                    await asyncio.sleep(self._chance.uniform(*DELAY_S))
                case Trouble.THROTTLE:
                    piece = data[:THROTTLED_BYTES]
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._changed.wait(), THROTTLED_EVERY_S)
                case _:
                    pass
            sink.write(piece)
            data = data[len(piece) :]
            await sink.drain()


class _Pair:
    """A connection and its other half."""

    def __init__(self, client: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.forgotten = False


@asynccontextmanager
async def wire(host: str, port: int, chance: random.Random) -> AsyncGenerator[Wire]:
    """Listen in front of a server for the length of a block; behind it every connection is cut."""
    line = Wire(host, port, chance)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(line.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    line.port = server.sockets[0].getsockname()[1]
    try:
        yield line
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
