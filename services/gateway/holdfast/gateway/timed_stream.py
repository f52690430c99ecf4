"""A stream by sse-starlette that lets a reader go which takes nothing, to its last byte.

For what is off the hot path (a POST that streams, a paced replay), where its comforts are worth their 42 KB. By itself
it gives up on a write with an error, on which a server closes the connection *after* the bytes that nobody reads; and
the very last write it doesn't bound at all. Here the connection is broken off instead, as on the hot routes.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Protocol

from sse_starlette.sse import AppStatus, EventSourceResponse, SendTimeoutError
from starlette.types import Message, Receive, Scope, Send

from holdfast.gateway import sse
from holdfast.gateway.ending import Ending
from holdfast.gateway.response import STREAM_HEADERS, ReaderStalled
from holdfast.gateway.transport import close_afterwards, find_abort

# sse-starlette would cut its streams on SIGTERM by itself, in the middle of a chunk. Ours end by the drain,
# with a word about when to come back.
AppStatus.disable_automatic_graceful_drain()


class Source(Protocol):
    """Where the chunks come from, and why there are no more of them."""

    ending: Ending | None

    def chunks(self) -> AsyncIterable[bytes]:
        """Yield what to write, until it has ended."""
        ...

    def on_overdue(self, abort: Callable[[], object]) -> None:
        """Its response begins, and says how to break it off."""
        ...

    def abort(self) -> None:
        """Let a client go that doesn't take what it is sent: break off, whatever the ending was going to be."""
        ...

    def close(self) -> None:
        """Let go of everything and log the ending. Calling again changes nothing."""
        ...


class TimedStream(EventSourceResponse):
    """Sends a source until it ends, each write within `deadline_s`, and closes it whatever happens."""

    def __init__(
        self,
        source: Source,
        *,
        retry_ms: int,
        deadline_s: float,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            _begun(source, retry_ms),
            headers={**STREAM_HEADERS, **(headers or {})},
            sep="\n",
            ping=0,  # the sources send heartbeats of ours: theirs are CRLF and show the time of day
        )
        # Whether the connection is kept is the server's to say: where it says no, there would be two answers.
        del self.headers["connection"]
        self._source, self._deadline_s = source, deadline_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the stream."""
        source, loop = self._source, asyncio.get_running_loop()
        abort = find_abort(send)
        if abort is None:
            # This server doesn't show its connection: the bound of sse-starlette is what is left.
            self.send_timeout = self._deadline_s

        async def send_in_time(message: Message) -> None:
            if source.ending is Ending.DRAIN and not message.get("more_body", True):
                close_afterwards(send)
            timer = loop.call_later(self._deadline_s, source.abort)
            try:
                await send(message)
            finally:
                timer.cancel()

        stalled = False
        # The server then resumes the write that waits, and reports the client as gone.
        source.on_overdue(abort or (lambda: None))
        try:
            await super().__call__(scope, receive, send_in_time)
        except* SendTimeoutError:  # alone, or in a group with what else went wrong
            stalled = True
            source.abort()
        finally:
            source.close()
        if stalled:
            # A plain return would look like a complete response to such a server.
            raise ReaderStalled("the client did not take a write in time")


async def _begun(source: Source, retry_ms: int) -> AsyncIterator[bytes]:
    yield sse.retry(retry_ms)
    async for chunk in source.chunks():
        yield chunk
