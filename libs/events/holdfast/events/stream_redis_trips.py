"""Round trips to Redis with calls of scripts: over a connection of their own, or the driver's way.

The driver takes a connection from its pool, arms two timers and reads each answer with a coroutine of its own. Here a
trip is one write, one timer, and one call when the last answer is in: a tenth of a worker's CPU for each event.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import InvalidResponse, NoScriptError, ResponseError

from holdfast.events.cancels import cancel_kept
from holdfast.events.stream_redis_line import Line
from holdfast.events.stream_redis_link import REDIS_ERRORS
from holdfast.events.stream_redis_scripts import Call, Script, Trips


class LineTrips:
    """Round trips over one connection, one at a time. It is made when it is needed, and again when it was lost.

    Made, greeted and closed by the driver, which has no public way to its transport: where that isn't found as it is
    looked for, `otherwise` makes the trips.
    """

    def __init__(
        self,
        make_connection: Callable[[], AbstractConnection],
        *,
        otherwise: Trips,
        answer_s: float,
    ) -> None:
        """`answer_s` is how long a round trip may take before Redis counts as away."""
        self._make_connection, self._otherwise = make_connection, otherwise
        self._answer_s = answer_s
        self._connection: AbstractConnection | None = None
        self._line: Line | None = None
        self._hidden = False  # the driver doesn't show its transport
        self._demoted = False  # Redis is a replica now
        self._due = 0
        self._answers: list[object] = []
        self._answered: asyncio.Future[None] | None = None

    @property
    def connected(self) -> bool:
        """Whether its connection is open."""
        return self._line is not None and not self._line.is_lost

    async def make(self, calls: Sequence[Call]) -> Sequence[object]:
        """Make one round trip; an answer that is an error stands in its place. Raises what is in REDIS_ERRORS."""
        line = await self._connected_line()
        if line is None:
            return await self._otherwise.make(calls)
        return await self._trip(line, b"".join(map(packed, calls)), len(calls))

    async def load(self, script: Script) -> None:
        """Let Redis know a script: the one at the end of this line, wherever others of this process lead to."""
        line = await self._connected_line()
        if line is None:
            await self._otherwise.load(script)
            return
        command = hiredis.pack_command(("SCRIPT", "LOAD", script.source))  # pyright: ignore[reportArgumentType] - as in `packed`
        [said] = await self._trip(line, command, 1)
        if isinstance(said, Exception):
            raise said

    async def close(self) -> None:
        """Drop the connection, whatever it is at; the next trip makes another."""
        line, self._line = self._line, None
        connection, self._connection = self._connection, None
        if line is not None:
            line.abort()
        if connection is not None:
            with suppress(*REDIS_ERRORS):  # it is gone either way
                await connection.disconnect(nowait=True)

    async def _trip(self, line: Line, sent: bytes, due: int) -> Sequence[object]:
        loop = asyncio.get_running_loop()
        self._due, self._answers = due, []
        self._answered = loop.create_future()
        limit = loop.call_later(self._answer_s, _too_late, self._answered)
        try:
            line.write(sent)
            await self._answered
        except BaseException:
            # Answers may still be on their way: nobody else may take them for theirs.
            await self.close()
            raise
        finally:
            limit.cancel()
            self._answered = None
        if self._demoted:
            # It was the primary. The same name may lead to its successor.
            await self.close()
        return self._answers

    async def _connected_line(self) -> Line | None:
        """Return the line, connected anew if need be; None where the driver hides its transport."""
        if self.connected or self._hidden:
            return self._line
        await self.close()
        connection = self._connection = self._make_connection()
        with cancel_kept():
            await connection.connect()
        line = Line.take_over(connection, self._hear, refused=self._refused)
        if line is None:
            self._hidden = True
            await self.close()
            return None
        line.lost.add_done_callback(partial(self._fail, line))
        self._line, self._demoted = line, False
        return line

    def _hear(self, replies: Sequence[Any]) -> None:
        self._answers += replies
        if len(self._answers) > self._due:
            raise InvalidResponse("Redis answered what nobody asked")
        answered = self._answered
        if len(self._answers) == self._due and answered and not answered.done():
            answered.set_result(None)

    def _refused(self, text: str) -> ResponseError:
        if text.startswith("NOSCRIPT"):
            return NoScriptError(text)
        self._demoted = self._demoted or text.startswith("READONLY")
        return ResponseError(text)

    def _fail(self, line: Line, lost: asyncio.Future[None]) -> None:
        error = lost.exception()
        # The end of a line that was dropped comes a little later, and is nothing to the trips over its successor.
        if line is self._line and error and self._answered and not self._answered.done():
            self._answered.set_exception(error)


class DriverTrips:
    """Round trips over one connection at a time of a client's pool, as the driver makes them."""

    def __init__(self, client: Redis, *, answer_s: float) -> None:
        """`answer_s` is how long a round trip may take before Redis counts as away."""
        self._client, self._answer_s = client, answer_s

    async def make(self, calls: Sequence[Call]) -> Sequence[object]:
        """Make one round trip; an answer that is an error stands in its place."""
        sent = b"".join(map(packed, calls))
        pool = self._client.connection_pool
        connection: AbstractConnection = await pool.get_connection()
        try:
            async with asyncio.timeout(self._answer_s):
                await connection.send_packed_command(sent)
                return [await _answer(connection) for _ in calls]
        except BaseException:
            # Answers may still be on their way: nobody else may take them for theirs.
            await connection.disconnect(nowait=True)
            raise
        finally:
            await pool.release(connection)

    async def load(self, script: Script) -> None:
        """Let Redis know a script."""
        await self._client.execute_command("SCRIPT LOAD", script.source)


def packed(call: Call) -> bytes:
    """Return a call as Redis reads it."""
    command = ("EVALSHA", call.script.sha, 1, call.key, *call.arguments)
    return hiredis.pack_command(command)  # pyright: ignore[reportArgumentType] - the stub takes one word only


async def _answer(connection: AbstractConnection) -> Any:
    try:
        # No timer for each: the round trip as a whole has one.
        return await connection.read_response(timeout=math.inf)
    except ResponseError as error:
        return error


def _too_late(answered: asyncio.Future[None]) -> None:
    if not answered.done():
        answered.set_exception(TimeoutError("no answer"))
