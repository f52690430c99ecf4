"""A small real HTTP server whose every answer is written in the test: raw sockets, so that it can also misbehave."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from holdfast.events.clock import SystemClock


@dataclass(frozen=True)
class Request:
    """What a client sent."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return {k: v[0] for k, v in parse_qs(urlsplit(self.target).query).items()}

    @property
    def cursor(self) -> int:
        return int(self.headers["last-event-id"])

    @property
    def session(self) -> str:
        return unquote(self.path.split("/")[3])

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Reply:
    """The connection, from the server's side."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def raw(self, text: bytes) -> None:
        """Send bytes that need not be HTTP."""
        self._writer.write(text)
        await self._writer.drain()

    async def stream(self, content_type: str = "text/event-stream") -> None:
        """Begin a stream."""
        self._writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: %b\r\ntransfer-encoding: chunked\r\n\r\n"
            % content_type.encode()
        )
        await self._writer.drain()

    async def send(self, body: bytes) -> None:
        """Send bytes of the stream, as one chunk."""
        if body:
            self._writer.write(b"%x\r\n%b\r\n" % (len(body), body))
            await self._writer.drain()

    async def end(self) -> None:
        """End the stream as HTTP wants it."""
        self._writer.write(b"0\r\n\r\n")
        await self._writer.drain()

    async def cut(self) -> None:
        """Break off in the middle, as a crash would, after what was sent has gone out."""
        self._writer.close()

    async def status(
        self, status: int, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> None:
        """Answer without a stream."""
        # Said, or else a client may send its next request into a connection that is about to be closed.
        lines = [f"HTTP/1.1 {status} X", "connection: close"]
        lines += [f"{k}: {v}" for k, v in (headers or {}).items()]
        if status != 204:
            lines.append(f"content-length: {len(body)}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()

    async def json(self, value: Any, status: int = 200) -> None:
        """Answer with JSON."""
        await self.status(status, json.dumps(value).encode(), {"content-type": "application/json"})

    async def problem(self, status: int, code: str, detail: str, **members: Any) -> None:
        """Refuse."""
        body = {"title": code, "status": status, "code": code, "detail": detail, **members}
        await self.status(
            status, json.dumps(body).encode(), {"content-type": "application/problem+json"}
        )

    async def gone(self) -> None:
        """Wait until the client has closed its side."""
        with suppress(ConnectionError):
            while await self._reader.read(1024):
                pass


Handler = Callable[[Request, Reply], Awaitable[None]]


class Scripted:
    """A server that answers each request with `handler`, one request a connection."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[Request] = []
        self.url = ""

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["Scripted"]:
        tasks: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                request = await _read(reader)
                self.requests.append(request)
                await self._handler(request, Reply(reader, writer))
            except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                pass
            finally:
                tasks.discard(task)
                writer.close()
                with suppress(ConnectionError):
                    await writer.wait_closed()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        try:
            yield self
        finally:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def in_thread(handler: Handler) -> Iterator[Scripted]:
    """Serve from another thread, for commands that run a loop of their own."""
    scripted = Scripted(handler)
    ready, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        async with scripted.serve():
            ready.set()
            await stop.wait()

    def run() -> None:
        loop.run_until_complete(serve())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield scripted
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ")
    headers = {
        name.lower(): value.strip() for name, _, value in (h.partition(":") for h in head[1:] if h)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method, target, headers, body)


class QuickClock(SystemClock):
    """Waits are written down and not waited."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


def body(seq: int, type_: str = "notification.sent", *, run_id: str = "r1", **data: Any) -> bytes:
    """An event as it is recorded."""
    if type_ == "notification.sent" and not data:
        data = {"text": f"number {seq} ümläut"}
    envelope = {"v": 1, "seq": seq, "type": type_, "session_id": "s", "run_id": run_id}
    envelope |= {"ts": "2026-11-21T09:00:00.000Z", "data": data}
    return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def frame(seq: int, type_: str = "notification.sent", **data: Any) -> bytes:
    """An event as it is framed."""
    return b"id: %d\ndata: %b\n\n" % (seq, body(seq, type_, **data))


def control(name: str, **data: Any) -> bytes:
    """A control frame."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps(data).encode())
