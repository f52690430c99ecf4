"""The receiving end of a connection, without the driver: bytes in, replies out, in one call.

The driver reads with a task, a future and a timer for each message, some 15 µs; here all complete messages of a
wake-up of the socket are handed over at once. It has no public way to its connection's transport: where that isn't
found as it is looked for, the driver's own way is taken.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self

import hiredis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import InvalidResponse, ResponseError

SILENT = "silent for longer than a ping takes"

_NOT_YET = object()


class Line(asyncio.Protocol):
    """Hands replies to `hear` as they come in. What the driver's protocol must know is passed on to it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        before: Any,
        hear: Callable[[Sequence[Any]], None],
        refused: Callable[[str], ResponseError] = ResponseError,
    ) -> None:
        self._transport, self._before, self._hear = transport, before, hear
        self._parser = hiredis.Reader(
            protocolError=InvalidResponse,
            replyError=refused,
            notEnoughData=_NOT_YET,
        )
        self._loop = asyncio.get_running_loop()
        self._heard_at = self._loop.time()
        self.lost: asyncio.Future[None] = self._loop.create_future()  # fails, when it is

    @classmethod
    def take_over(
        cls,
        connection: AbstractConnection,
        hear: Callable[[Sequence[Any]], None],
        *,
        refused: Callable[[str], ResponseError] = ResponseError,
    ) -> Self | None:
        """Let a connected connection's bytes come here from now on; None if it doesn't show its transport.

        Nothing may be on its way: what the driver has read already is lost. It writes, and closes, as before.
        `refused` makes of an answer that is an error what stands in its place.
        """
        transport: Any = getattr(getattr(connection, "_writer", None), "transport", None)
        if not callable(getattr(transport, "set_protocol", None)):
            return None
        line = cls(transport, transport.get_protocol(), hear, refused)
        transport.set_protocol(line)
        return line

    @property
    def is_lost(self) -> bool:
        """Whether nothing will be heard any more."""
        return self.lost.done() or self._transport.is_closing()

    def write(self, data: bytes) -> None:
        """Send bytes past the driver, which must have nothing to say then. Returns at once."""
        self._transport.write(data)

    def abort(self) -> None:
        """Drop the connection with all that was not sent."""
        self._transport.abort()

    async def until_lost(self, silence_s: float) -> NoReturn:
        """Wait until the connection is lost. Raises what it was lost by, and when nothing came for so long."""
        while True:
            left_s = self._heard_at + silence_s - self._loop.time()
            if left_s <= 0:
                raise RedisConnectionError(SILENT)
            await asyncio.wait([self.lost], timeout=left_s)
            if self.lost.done():
                self.lost.result()

    # --- called by the event loop ------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Take what came in."""
        self._heard_at = self._loop.time()
        parser = self._parser
        try:
            parser.feed(data)
            replies: list[Any] = []
            while (reply := parser.gets()) is not _NOT_YET:
                replies.append(reply)
            self._hear(replies)
        except Exception as error:  # noqa: BLE001  # whoever waits for the end of the line gets it
            self._fail(error)
            if not self._transport.is_closing():
                self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell both sides of the end."""
        self._fail(exc or RedisConnectionError("closed by Redis"))
        self._before.connection_lost(exc)

    def pause_writing(self) -> None:
        """Pass it on to the side that writes."""
        self._before.pause_writing()

    def resume_writing(self) -> None:
        """Pass it on to the side that writes."""
        self._before.resume_writing()

    def _fail(self, error: Exception) -> None:
        if not self.lost.done():
            self.lost.set_exception(error)
            self.lost.exception()  # marks it as seen: the ear may have been told to stop
