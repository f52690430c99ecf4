"""A lean HTTP client for the loads that start runs: raw sockets, so that it measures the servers and not itself.

It checks what it reads: on each stream every event's id is one above the last.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson

HOST = "127.0.0.1"

Seen = Callable[[str, dict[str, Any], float], None]
"""Is given a session, an event of it, and when it came (time.monotonic())."""


class OutOfOrder(RuntimeError):
    """A stream had a gap or a duplicate."""


class Poster:
    """One keep-alive connection; requests go one after the other."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post JSON; return the answer's. Raises RuntimeError for any status but 201 and 202."""
        if self._streams is None:
            self._streams = await asyncio.open_connection(HOST, self._port)
        reader, writer = self._streams
        given = orjson.dumps(body)
        writer.write(
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (path.encode(), len(given), given)
        )
        head = await reader.readuntil(b"\r\n\r\n")
        size = int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])
        answer = await reader.readexactly(size)
        if head.split(b" ", 2)[1] not in (b"201", b"202"):
            raise RuntimeError(f"{path}: {head.decode()}{answer.decode()}")
        return orjson.loads(answer)

    def close(self) -> None:
        """Let go of the connection."""
        if self._streams is not None:
            self._streams[1].close()


class Follower:
    """One open stream of a session."""

    def __init__(self, port: int, session: str, seen: Seen) -> None:
        self._port, self._session, self._seen = port, session, seen
        self.last = 0
        self._open = asyncio.Event()
        self._task = asyncio.create_task(self._follow())

    async def opened(self) -> None:
        """Wait until it has told all that was there before. Raises what went wrong."""
        opening = asyncio.ensure_future(self._open.wait())
        await asyncio.wait([opening, self._task], return_when=asyncio.FIRST_COMPLETED)
        opening.cancel()
        self.check()

    def check(self) -> None:
        """Raise what went wrong, if anything did."""
        if self._task.done():
            self._task.result()
            raise OutOfOrder(f"{self._session}: the stream ended")

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        reader, writer = await asyncio.open_connection(HOST, self._port, limit=1 << 20)
        try:
            path = f"/v1/sessions/{self._session}/stream?after=0"
            writer.write(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n".encode()
            )
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{path}: {head.decode()}")
            while line := await reader.readline():
                # Lines of a chunked body: sizes and ends of chunks are none of ours.
                if line.startswith(b"event: caught-up"):
                    self._open.set()
                elif line.startswith(b"data: {") and b'"seq":' in line[:30]:
                    self._take(line[6:], time.monotonic())
        finally:
            writer.close()

    def _take(self, data: bytes, at: float) -> None:
        event = orjson.loads(data)
        if event["seq"] != self.last + 1:
            raise OutOfOrder(f"{self._session}: {event['seq']} after {self.last}")
        self.last = event["seq"]
        self._seen(self._session, event, at)
