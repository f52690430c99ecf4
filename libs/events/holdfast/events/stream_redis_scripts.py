"""Calls of scripts, many in one round trip.

While a round trip is under way, the calls that are asked for gather and go together in the next:
under load 1,000 publishes cost one write and one read instead of 1,000, at rest none waits.

Not over redis-py's pipelines: those pack each argument in Python, and arm a timer for each answer.
That was a quarter of what an event cost its worker. How a trip is made: `stream_redis_trips`.
"""

import asyncio
import hashlib
from collections import deque
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import NamedTuple, Protocol

from redis.exceptions import NoScriptError

from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream_redis_link import REDIS_ERRORS, unavailable

Argument = str | bytes | int

# One round trip: 500 calls keep Redis 3 ms from everybody else, and 4 MiB pass in that time.
TRIP_CALLS_MAX = 500
TRIP_BYTES_MAX = 4 * 1024 * 1024


class Script:
    """A file of Lua beside this module."""

    def __init__(self, file: str) -> None:
        self.source = (resources.files("holdfast.events") / file).read_bytes()
        # What Redis names it by; the hash is no secret and no signature.
        self.sha = hashlib.sha1(self.source, usedforsecurity=False).hexdigest()


class Call(NamedTuple):
    """A script to run with one key; `size` is about the bytes of its arguments."""

    script: Script
    key: str
    arguments: Sequence[Argument]
    size: int


Answer = bytes | StreamUnavailable
"""What a script said, or why that isn't known: it may have run all the same."""


class _Asked:
    """Calls that one caller asked for together: one future for all of their answers."""

    __slots__ = ("answers", "done", "left")

    def __init__(self, count: int) -> None:
        self.answers: list[Answer | None] = [None] * count
        self.left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, place: int, said: Answer) -> None:
        """Take in an answer. The first one counts: what failed later had been answered before."""
        if self.answers[place] is not None:
            return
        self.answers[place] = said
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class _Waiting(NamedTuple):
    call: Call
    asked: _Asked
    place: int


class Trips(Protocol):
    """The way to Redis and back."""

    async def make(self, calls: Sequence[Call]) -> Sequence[object]:
        """Make one round trip; an answer that is an error stands in its place. Raises what the driver raises."""
        ...

    async def load(self, script: Script) -> None:
        """Let Redis know a script. Raises what the driver raises."""
        ...


class Caller:
    """Calls scripts of one key each."""

    def __init__(self, trips: Trips) -> None:
        self._way = trips
        self._waiting: deque[_Waiting] = deque()
        self._trips: asyncio.Task[None] | None = None
        self._closed = False

    async def call_one(self, call: Call) -> bytes:
        """Run a script and return its answer. Raises StreamUnavailable; the script may have run all the same."""
        [said] = await self.call_all([call])
        if isinstance(said, StreamUnavailable):
            raise said
        return said

    async def call_all(self, calls: Sequence[Call]) -> list[Answer]:
        """Run scripts, in as few round trips as they fit into; return their answers in order."""
        if self._closed:
            return [StreamUnavailable("the stream is closed") for _ in calls]
        if not calls:
            return []
        asked = _Asked(len(calls))
        self._waiting.extend(_Waiting(call, asked, place) for place, call in enumerate(calls))
        if self._trips is None or self._trips.done():
            self._trips = asyncio.create_task(self._make_trips(), name="stream-calls")
        await asked.done
        return [said for said in asked.answers if said is not None]

    async def close(self) -> None:
        """Fail the calls that wait, and let no more in."""
        self._closed = True
        if self._trips is not None:
            self._trips.cancel()
            await asyncio.gather(self._trips, return_exceptions=True)
        _fail(self._waiting, StreamUnavailable("the stream is closed"))

    async def _make_trips(self) -> None:
        trip: list[_Waiting] = []
        try:
            while trip := self._next_trip():
                try:
                    await self._make(trip)
                except REDIS_ERRORS as error:
                    _fail(trip, _wrapped(error))
        except asyncio.CancelledError:
            _fail(trip, StreamUnavailable("the stream was closed"))
            raise
        except Exception as error:  # noqa: BLE001 (whoever waits gets it)
            for waiting in (*trip, *self._waiting):
                if not waiting.asked.done.done():
                    waiting.asked.done.set_exception(error)
            self._waiting.clear()

    def _next_trip(self) -> list[_Waiting]:
        trip: list[_Waiting] = []
        size = 0
        while self._waiting and len(trip) < TRIP_CALLS_MAX:
            first = self._waiting[0]
            size += first.call.size
            if trip and size > TRIP_BYTES_MAX:
                break
            self._waiting.popleft()
            # The caller of a cancelled one has given up on it; what was asked is safe to leave out.
            if not first.asked.done.done():
                trip.append(first)
        return trip

    async def _make(self, trip: Sequence[_Waiting]) -> None:
        answers = await self._way.make([waiting.call for waiting in trip])
        unknown: list[_Waiting] = []
        for waiting, answer in zip(trip, answers, strict=True):
            if isinstance(answer, NoScriptError):
                unknown.append(waiting)
            else:
                waiting.asked.answer(waiting.place, _said(answer))
        if unknown:
            # A fresh or restarted Redis knows no scripts. Nothing of these calls has run.
            for script in {waiting.call.script for waiting in unknown}:
                await self._way.load(script)
            answers = await self._way.make([waiting.call for waiting in unknown])
            for waiting, answer in zip(unknown, answers, strict=True):
                waiting.asked.answer(waiting.place, _said(answer))


def _said(answer: object) -> Answer:
    if isinstance(answer, BaseException):
        return _wrapped(answer)
    assert isinstance(answer, bytes), answer
    return answer


def _wrapped(error: BaseException) -> StreamUnavailable:
    wrapped = unavailable(error)
    wrapped.__cause__ = error
    return wrapped


def _fail(waiting: Iterable[_Waiting], error: StreamUnavailable) -> None:
    for one in waiting:
        one.asked.answer(one.place, error)
