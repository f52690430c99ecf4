"""A provider on loopback that speaks the streaming chat-completions format, byte by byte.

Each request takes the next behaviour of the script; the last one stays. A behaviour writes what it
wants to the socket, so that cuts, stalls and garbage are real ones.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

MODEL = "test-model-1"
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}


@dataclass
class Exchange:
    """One request and the ways to answer it."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    writer: asyncio.StreamWriter
    arrived_at: float
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    disconnected_at: float | None = None

    def gone(self) -> None:
        """Note that the client has left, whether reading or writing noticed it first."""
        if not self.disconnected.is_set():
            self.disconnected_at = time.monotonic()
            self.disconnected.set()

    async def head(
        self,
        status: int = 200,
        kind: str = "text/event-stream",
        *,
        chunked: bool = True,
        **more: str,
    ) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"content-type: {kind}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in more.items()]
        if chunked:
            lines.append("transfer-encoding: chunked")
        self.writer.write("\r\n".join([*lines, "", ""]).encode())
        await self.writer.drain()

    async def raw(self, data: str, *, chunked: bool = True) -> None:
        body = data.encode()
        self.writer.write(b"%x\r\n%s\r\n" % (len(body), body) if chunked else body)
        await self.writer.drain()

    async def packet(self, delta: dict[str, Any], finish: str | None = None, **kw: Any) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await self.data({**_frame(), "choices": [choice]}, **kw)

    async def data(self, value: object, **kw: Any) -> None:
        await self.raw(f"data: {json.dumps(value)}\n\n", **kw)

    async def usage(self) -> None:
        if (self.body.get("stream_options") or {}).get("include_usage"):
            await self.data({**_frame(), "choices": [], "usage": USAGE})

    async def done(self) -> None:
        await self.raw("data: [DONE]\n\n")
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()

    async def words(self, texts: Sequence[str], **kw: Any) -> None:
        await self.packet({"role": "assistant", "content": ""}, **kw)
        for text in texts:
            await self.packet({"content": text}, **kw)

    async def json(self, status: int, value: object, **headers: str) -> None:
        text = json.dumps(value)
        await self.head(
            status, "application/json", chunked=False, content_length=str(len(text)), **headers
        )
        await self.raw(text, chunked=False)


Behaviour = Callable[[Exchange], Awaitable[None]]


def _frame() -> dict[str, Any]:
    return {"id": "c-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}


class OpenAIServer:
    """Answers on `base_url`; `requests` holds every exchange, in order of arrival."""

    def __init__(self) -> None:
        self.requests: list[Exchange] = []
        self.arrived = asyncio.Event()
        self.port = 0
        self._script: list[Behaviour] = []
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def script(self, *behaviours: Behaviour) -> None:
        self._script = list(behaviours)

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._handlers.add(task)
        watcher: asyncio.Task[None] | None = None
        try:
            exchange = await _read_request(reader, writer)
            self.requests.append(exchange)
            self.arrived.set()
            behave = self._script[min(len(self.requests), len(self._script)) - 1]
            watcher = asyncio.create_task(_watch(reader, exchange))
            try:
                await behave(exchange)
            except ConnectionError:
                exchange.gone()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            pass  # the server stops; asyncio would report a cancelled handler as an error
        finally:
            if watcher is not None:
                watcher.cancel()
            writer.close()
            self._handlers.discard(task)

    async def stop(self) -> None:
        for task in list(self._handlers):
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)


async def _read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Exchange:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, path, _ = first.split(" ")
    return Exchange(method, path, headers, json.loads(body or b"{}"), writer, time.monotonic())


async def _watch(reader: asyncio.StreamReader, exchange: Exchange) -> None:
    try:
        while await reader.read(1024):
            pass
    except ConnectionError:
        pass
    exchange.gone()


@asynccontextmanager
async def openai_server() -> AsyncGenerator[OpenAIServer, None]:
    """Serve on a free port of loopback."""
    server = OpenAIServer()
    listener = await asyncio.start_server(server.handle, "127.0.0.1", 0)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        await server.stop()
        await listener.wait_closed()
