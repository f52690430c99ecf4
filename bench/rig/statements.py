"""Counts what a process asks of Postgres: a proxy between them that reads the frontend's messages as they pass.

`pg_stat_statements` counts for a database; this counts for a process, and needs no extension.
"""

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Coroutine, Generator
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

# What comes before the first typed message has a length and a code.
SSL_REQUEST = 80877103

_PIECE = 65536


class Statements:
    """A proxy to the Postgres at `database_url`; `url` is what the process under measurement is given.

    A statement is one Execute of the extended protocol or one Query of the simple one: a COMMIT counts.
    """

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 5432
        self._counts: Counter[str] = Counter()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0))
        port = self._server.sockets[0].getsockname()[1]
        account = f"{parts.username}:{parts.password}@" if parts.username else ""
        self.url = urlunsplit(parts._replace(netloc=f"{account}127.0.0.1:{port}"))

    def taken(self) -> Counter[str]:
        """Return how often each statement was sent since the last call."""

        async def take() -> Counter[str]:
            counts, self._counts = self._counts, Counter()
            return counts

        return self._call(take())

    def close(self) -> None:
        """End the proxy and what goes through it."""

        async def end() -> None:
            self._server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._call(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            theirs, ours = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        back = asyncio.create_task(_copy(theirs, writer))
        try:
            with suppress(asyncio.IncompleteReadError, OSError):
                await self._forth(reader, ours)
        finally:
            ours.close()
            writer.close()
            back.cancel()

    async def _forth(self, reader: asyncio.StreamReader, ours: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readexactly(4)
            rest = await reader.readexactly(int.from_bytes(head) - 4)
            ours.write(head + rest)
            if int.from_bytes(rest[:4]) != SSL_REQUEST:
                break
            # The answer is one byte, N here, and the startup message follows.
        texts: dict[bytes, str] = {}
        portal = ""
        while True:
            head = await reader.readexactly(5)
            body = await reader.readexactly(int.from_bytes(head[1:]) - 4)
            ours.write(head + body)
            match head[:1]:
                case b"P":
                    name, text = body.split(b"\0", 2)[:2]
                    texts[name] = _short(text)
                case b"B":
                    portal = texts.get(body.split(b"\0", 2)[1], "?")
                case b"E":
                    self._counts[portal] += 1
                case b"Q":
                    self._counts[_short(body.rstrip(b"\0"))] += 1
                case _:
                    pass
            await ours.drain()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
        writer.close()


def _short(text: bytes) -> str:
    return re.sub(r"\s+", " ", text.decode(errors="replace")).strip()[:100]


@contextmanager
def counted(database_url: str) -> Generator[Statements]:
    """Count for the length of a with block."""
    statements = Statements(database_url)
    try:
        yield statements
    finally:
        statements.close()
