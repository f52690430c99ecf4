"""Many clients at once, each as simple as a client may be: follow, come back with the last id, stop at 204.

Every frame of every client is checked as it comes (`tests.e2e.raw.Frames`): an event's id is one above the last id.
"""

import asyncio
import random
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from urllib.parse import urlsplit

from tests.e2e.raw import Frames

# Between two tries, spread like a browser's, but short: tests wait for what comes back.
RETRY_S = (0.1, 0.5)

# A server that takes a connection and says nothing at all, not even a heartbeat (every 15 s), is hung.
SILENCE_S = 20.0

_TS = re.compile(rb'"ts":"([^"]+)"')


class Client:
    """One reader of one stream, on whichever gateway its turn brings."""

    def __init__(self, gateways: Sequence[str], path: str, *, first: int = 0, timed: bool = False):
        self.frames = Frames()
        self.connections = 0
        self.retries: list[int] = []
        self.statuses: list[int] = []
        # How old each event was when it arrived, for `timed` clients: (arrived at, age).
        self.ages: list[tuple[float, float]] = []
        self._gateways, self._path, self._turn, self._timed = gateways, path, first, timed

    @property
    def cursor(self) -> int:
        """The last id seen."""
        return self.frames.cursor or 0

    async def follow(self, *, once: bool = False) -> None:
        """Read until the server says that there is no more; with `once`, until the connection ends."""
        while True:
            url = self._gateways[self._turn % len(self._gateways)]
            self._turn += 1
            # What a kill, a refused connection or a cut look like.
            with suppress(OSError, asyncio.IncompleteReadError):
                async for frame in self._frames(url):
                    self._take(frame)
            if once or self.statuses[-1:] == [204]:
                return
            await asyncio.sleep(random.uniform(*RETRY_S))

    def _take(self, frame: bytes) -> None:
        for line in frame.split(b"\n"):
            if line.startswith(b"retry: "):
                self.retries.append(int(line[7:]))
        seen = len(self.frames.events)
        self.frames.take(frame)
        if self._timed and len(self.frames.events) > seen:
            self.ages.append((time.monotonic(), age_s(self.frames.events[-1])))

    async def _frames(self, url: str) -> AsyncIterator[bytes]:
        async with connected(url) as (reader, writer):
            self.connections += 1
            resume = f"Last-Event-ID: {self.frames.cursor}\r\n" if self.frames.cursor else ""
            head = f"GET {self._path} HTTP/1.1\r\nHost: {urlsplit(url).netloc}\r\n{resume}\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(SILENCE_S):
                answer = await reader.readuntil(b"\r\n\r\n")
            status = int(answer.split(b" ", 2)[1])
            self.statuses.append(status)
            assert status in (200, 204), answer
            if b"transfer-encoding: chunked" not in answer.lower():
                # A 204, or a refusal that passes: `retry:` with a length.
                if (length := re.search(rb"content-length: (\d+)", answer.lower())) is not None:
                    for frame in (await reader.readexactly(int(length[1]))).split(b"\n\n")[:-1]:
                        yield frame
                return
            pending = b""
            while True:
                async with asyncio.timeout(SILENCE_S):
                    size = int(await reader.readuntil(b"\r\n"), 16)
                    pending += (await reader.readexactly(size + 2))[:-2]
                *frames, pending = pending.split(b"\n\n")
                for frame in frames:
                    yield frame
                if size == 0:
                    return


@asynccontextmanager
async def connected(
    url: str,
) -> AsyncGenerator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a connection to a gateway, and break it off at the end."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


@asynccontextmanager
async def following(clients: Sequence[Client]) -> AsyncGenerator[None]:
    """Let clients follow for the length of a block; a client that finds something wrong breaks it off."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(client.follow()) for client in clients]
        yield
        for task in tasks:
            task.cancel()


async def until_beyond(
    clients: Sequence[Client], heads: Sequence[int], *, within_s: float
) -> float:
    """Wait until each client has seen its head; return how long it took."""
    begun = time.monotonic()
    while behind := [
        (i, client.cursor, head)
        for i, (client, head) in enumerate(zip(clients, heads, strict=True))
        if client.cursor < head
    ]:
        took = time.monotonic() - begun
        assert took < within_s, f"{len(behind)} clients are behind after {took:.0f} s: {behind[:5]}"
        await asyncio.sleep(0.05)
    return time.monotonic() - begun


def age_s(event: bytes) -> float:
    """Return how long ago an event was made, by this machine's clock."""
    stamp = _TS.search(event)
    assert stamp is not None, event
    return (datetime.now(UTC) - datetime.fromisoformat(stamp[1].decode())).total_seconds()


def of_run(history: Sequence[bytes], run_id: str) -> list[bytes]:
    """Return a run's events out of its session's history."""
    return [line for line in history if run_id.encode() in line]


def seq_of(event: bytes) -> int:
    """Return an event's seq."""
    return int(event.partition(b'"seq":')[2].split(b",")[0])
