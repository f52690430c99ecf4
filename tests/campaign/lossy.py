"""A TCP proxy before Postgres that loses the reply to a commit of events, or the request before it gets there.

An append may be a statement that commits itself, or stand in a transaction: what is lost is what commits it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit, urlunsplit

# In the parameters of an append that records a piece of a message, and of no other statement that changes anything.
_EVENT = b'"type":"message.delta"'

# What the driver sends around statements that belong together.
_BEGIN, _COMMIT, _ROLLBACK = b"BEGIN", b"COMMIT;", b"ROLLBACK;"

_CHUNK_BYTES = 1 << 20


class Lose(StrEnum):
    """What gets lost."""

    REPLY = "reply"  # the commit is done, and nobody hears of it
    REQUEST = "request"  # it never gets there


class LossyProxy:
    """Made by `lossy_proxy`; passes everything on until told to lose something."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._next: Lose | None = None
        self.lost: Counter[Lose] = Counter()
        self.port = 0

    @property
    def url(self) -> str:
        """The database's address, by way of the proxy."""
        user, _, _ = self._target.netloc.rpartition("@")
        return urlunsplit(self._target._replace(netloc=f"{user}@127.0.0.1:{self.port}"))

    def lose(self, what: Lose) -> None:
        """Lose this of the next commit of events."""
        self._next = what

    async def serve(self, client: asyncio.StreamReader, answers: asyncio.StreamWriter) -> None:
        """Pass one connection on to its end."""
        try:
            server, requests = await asyncio.open_connection(
                self._target.hostname, self._target.port
            )
        except OSError:
            answers.transport.abort()
            return
        deaf = False

        async def forth() -> None:
            nonlocal deaf
            within = holds = False  # a transaction is open; events are in it
            while data := await client.read(_CHUNK_BYTES):
                within = within or _BEGIN in data
                holds = holds or _EVENT in data
                commits = holds and (_COMMIT in data or not within)
                if commits and self._next is not None:
                    what, self._next = self._next, None
                    self.lost[what] += 1
                    if what is Lose.REQUEST:
                        return
                    deaf = True
                if commits or _COMMIT in data or _ROLLBACK in data:
                    within = holds = False
                requests.write(data)

        async def back() -> None:
            while data := await server.read(_CHUNK_BYTES):
                if deaf:
                    return  # it is recorded: Postgres answers when it has committed
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
            await asyncio.gather(*pumps, return_exceptions=True)
            requests.transport.abort()
            answers.transport.abort()


@asynccontextmanager
async def lossy_proxy(target: str) -> AsyncGenerator[LossyProxy]:
    """Listen before the database at `target`."""
    proxy = LossyProxy(target)
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
