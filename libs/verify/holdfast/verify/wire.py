"""One request for a stream over a socket of its own: nothing between the bytes and whoever looks at them."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any
from urllib.parse import urlsplit

# A dial and the answer's head: one round trip each; beyond 5 s another gateway is the better choice.
ANSWER_S = 5.0

# Heartbeats come every 15 s; after two and a half without one the connection is dead, whatever TCP believes.
SILENCE_S = 37.5

# What a gateway answers stays far below; anything longer is no head.
_HEAD_BYTES_MAX = 64 * 1024

# What the network, a killed gateway or a thing that is no gateway look like.
BROKEN = (OSError, EOFError, ValueError, TimeoutError, asyncio.LimitOverrunError)


class RawStream:
    """The response to a GET. `abort` breaks it off wherever it is, as a lost network would."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes
    ) -> None:
        self._reader, self._writer = reader, writer
        status, *lines = head.decode("latin-1").split("\r\n")
        self.status = int(status.split(" ", 2)[1])
        self.headers = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines if line)
        }

    @classmethod
    async def open(
        cls, url: str, path: str, *, cursor: int | None, headers: Mapping[str, str]
    ) -> "RawStream":
        """Ask for the stream at `path` after `cursor`. Raises one of BROKEN."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        async with asyncio.timeout(ANSWER_S):
            reader, writer = await asyncio.open_connection(
                parts.hostname, parts.port or (443 if secure else 80), ssl=secure or None
            )
            try:
                lines = [
                    f"GET {parts.path.rstrip('/')}{path} HTTP/1.1",
                    f"Host: {parts.netloc.rpartition('@')[2]}",
                    "Accept: text/event-stream",
                    "Accept-Encoding: identity",
                    *(f"{name}: {value}" for name, value in headers.items()),
                    *([] if cursor is None else [f"Last-Event-ID: {cursor}"]),
                ]
                writer.write("\r\n".join([*lines, "", ""]).encode())
                head = await reader.readuntil(b"\r\n\r\n")
                if len(head) > _HEAD_BYTES_MAX:
                    raise ValueError("the answer's head has no end")
                return cls(reader, writer, head)
            except BaseException:
                writer.transport.abort()
                raise

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, to its end. Raises one of BROKEN when it breaks off or falls silent."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while size := int(
                (await self._in_time(self._reader.readuntil(b"\r\n"))).split(b";")[0], 16
            ):
                yield (await self._in_time(self._reader.readexactly(size + 2)))[:-2]
        elif (length := self.headers.get("content-length")) is not None:
            if int(length):
                yield await self._in_time(self._reader.readexactly(int(length)))
        else:
            while chunk := await self._in_time(self._reader.read(64 * 1024)):
                yield chunk

    def abort(self) -> None:
        """Break the connection off."""
        self._writer.transport.abort()

    async def _in_time(self, read: Coroutine[Any, Any, bytes]) -> bytes:
        async with asyncio.timeout(SILENCE_S):
            return await read
