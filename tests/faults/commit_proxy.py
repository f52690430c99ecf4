"""A TCP proxy before Postgres that loses one append's reply, or one append before it gets there.

To the writer both look the same: the connection ended while a commit was under way.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

# In the parameters of an append that records a ticker's tick, and of no other statement.
_APPEND = b'"type":"message.delta"'


class Lose(StrEnum):
    """What gets lost."""

    REPLY = "reply"  # the commit is done, and nobody hears of it
    REQUEST = "request"  # it never gets there


class CommitProxy:
    """Made by `commit_proxy`; passes everything on until told to lose something."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._next: Lose | None = None
        self.lost: list[Lose] = []
        self.port = 0

    @property
    def url(self) -> str:
        """The database's address, by way of the proxy."""
        user, _, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def lose(self, what: Lose) -> None:
        """Lose this of the next append."""
        self._next = what

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Pass one connection on to its end."""
        host, port = self._target.hostname, self._target.port
        server, requests = await asyncio.open_connection(host, port)
        # Of the losing connection: its append's reply is on its way, and is for nobody.
        deaf = False

        async def forth() -> None:
            nonlocal deaf
            while data := await client.read(1 << 20):
                if self._next is not None and _APPEND in data:
                    what, self._next = self._next, None
                    self.lost.append(what)
                    if what is Lose.REQUEST:
                        return
                    deaf = True
                requests.write(data)

        async def back() -> None:
            while data := await server.read(1 << 20):
                if deaf:
                    # It is recorded: Postgres answers when it has committed.
                    return
                answers.write(data)

        pumps = [asyncio.create_task(pump()) for pump in (forth, back)]
        try:
            with suppress(OSError):
                done, _ = await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                for pump in done:
                    await pump
        finally:
            for pump in pumps:
                pump.cancel()
            requests.transport.abort()
            answers.transport.abort()


@asynccontextmanager
async def commit_proxy(target: str) -> AsyncGenerator[CommitProxy]:
    """Listen before the database at `target`."""
    proxy = CommitProxy(target)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(proxy.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
