"""Following a session or a run for ever: one cursor, as many connections as it takes.

The follower never loses and never repeats an event. It resumes from its cursor after a cut, a
silence, a gap or a restart, at whichever gateway answers. It ends with the stream (204, the run's
terminal event) or with a refusal that time won't mend.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx2

from holdfast.client.backoff import MOST_S
from holdfast.client.errors import AnswerInvalid, ProblemError
from holdfast.client.position import Position, Reset, Signal, StreamBroken
from holdfast.client.sse import FrameParser, FrameTooLarge
from holdfast.client.status import Counters, State, Status
from holdfast.client.wire import (
    EVENT_STREAM,
    STRANGE_ANSWERS,
    Wire,
    describe,
    is_passing,
    retry_after_s,
)
from holdfast.events.recorded import RecordedEvent

# The gateway's heartbeat.
HEARTBEAT_S = 15.0

# Two heartbeats may be late or lost; after two and a half the connection is dead, whatever TCP
# believes.
STALL_S = 2.5 * HEARTBEAT_S

# A gateway answers a stream request at once; one that doesn't is not waited for as long as a
# silent stream.
HANDSHAKE_S = 10.0

# A connection that lasted as long as the longest wait was a good one: the next failure is a first
# one.
SETTLED_S = MOST_S

# The body of a refusal is read this far and no further.
_REFUSAL_BYTES_MAX = 64 * 1024

_OK, _NO_CONTENT = 200, 204

_READ_TIMEOUT = "no byte for {:g} s, not even a heartbeat"


Followed = RecordedEvent | Reset


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What is followed: a path, its parameters, and what ends it."""

    path: str
    params: Mapping[str, str | int]
    run_id: str | None = None
    until: int | None = None


class Follower:
    """An async iterator over events, in seq order, each once; a `Reset` stands where the sequence
    was broken.

        async with client.follow("my-session", after=41) as events:
            async for event in events:
                print(event.seq, event.type)

    Raises ProblemError when a gateway refuses for good, AnswerInvalid when it is none. A cancelled
    wait loses nothing: iterate again. Leave the block, or call `aclose`, to give the connection
    back.
    """

    def __init__(
        self,
        wire: Wire,
        course: Course,
        *,
        after: int,
        on_status: Callable[[Status], None] | None = None,
        stall_s: float = STALL_S,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        self.cursor = after
        self.status = Status(State.CONNECTING)
        self.counters = Counters()
        self._wire, self._course = wire, course
        self._on_status = on_status
        self._stall_s, self._handshake_s = stall_s, handshake_s
        self._position = Position(after, run_id=course.run_id, until=course.until)
        # What one chunk brought: at most the frames of 64 KB, the size of a read.
        self._ready: deque[Followed | Status] = deque()
        self._response: httpx2.Response | None = None
        self._chunks: AsyncGenerator[bytes, None] | None = None
        self._parser = FrameParser()
        self._gateway = wire.gateways.current
        self._failures = 0
        self._wait_s = 0.0
        self._asked_s: float | None = None  # the server's `retry:`, until it names another
        self._opened_at = 0.0
        self._opened_cursor = after
        self._caught_up = self._worker_gone = self._draining = self._ended = False
        self._reason: str | None = None
        if self._position.ended:
            self._end("nothing to follow")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        while True:
            while self._ready:
                item = self._ready.popleft()
                if isinstance(item, Status):
                    self._tell(item)
                    continue
                self.cursor = item.seq
                return item
            self.cursor = self._position.cursor
            if self._ended:
                await self._drop()
                raise StopAsyncIteration
            await self._advance()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following; `cursor` says where to go on."""
        self._ended = True
        self._ready.clear()
        await self._drop()

    # --- one step -------------------------------------------------------------------------------

    async def _advance(self) -> None:
        if self._chunks is None:
            await self._connect()
            return
        try:
            chunk = await anext(self._chunks)
        except StopAsyncIteration:
            # Its own doing (a drain, a refusal, a reader too slow): `retry:` is meant.
            await self._cut("the gateway closed the stream", by_gateway=True)
        except httpx2.ReadTimeout:
            self.counters.silences += 1
            await self._cut(_READ_TIMEOUT.format(self._stall_s))
        except (httpx2.TransportError, httpx2.DecodingError, httpx2.StreamError) as error:
            await self._cut(f"the connection was lost ({describe(error)})")
        else:
            await self._take(chunk)

    async def _connect(self) -> None:
        self._tell(Status(State.CONNECTING, self._reason, self._wait_s))
        if self._wait_s:
            await self._wire.clock.sleep(self._wait_s)
        self._gateway = self._wire.gateways.current
        try:
            async with asyncio.timeout(self._handshake_s):
                response = await self._wire.open(
                    self._gateway,
                    self._course.path,
                    params=self._course.params,
                    cursor=self._position.cursor,
                    stall_s=self._stall_s,
                )
        except httpx2.LocalProtocolError:
            self._ended = True
            raise
        except STRANGE_ANSWERS as error:
            self._ended = True
            raise AnswerInvalid(self._gateway, describe(error)) from error
        except TimeoutError:
            self._fail("no answer in time", answered=False)
            return
        except httpx2.TransportError as error:
            self._fail(f"{self._gateway}: {describe(error)}", answered=False)
            return
        self._response = response
        await self._judge(response)

    async def _judge(self, response: httpx2.Response) -> None:
        """Read the status: a stream, the end, a refusal that passes, or one that doesn't."""
        status = response.status_code
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        if status == _NO_CONTENT:
            await self._drop()
            self._end("complete")
        elif status == _OK and kind == EVENT_STREAM:
            self._open(response)
        elif is_passing(status) or status == _OK:
            # 200 of another kind is a proxy's or a portal's page: it passes, as an outage does.
            asked_s = retry_after_s(response)
            await self._drop()
            what = f"answered {status}" if status != _OK else f"sent {kind or 'no type'}"
            self._fail(f"{self._gateway} {what}", asked_s=asked_s)
        else:
            body = await self._refusal(response)
            await self._drop()
            self._ended = True
            raise ProblemError.of(status, body)

    def _open(self, response: httpx2.Response) -> None:
        self.counters.connections += 1
        self.counters.resumes = self.counters.connections - 1
        self._parser = FrameParser()
        self._chunks = response.aiter_bytes()
        self._opened_at = self._wire.clock.monotonic()
        self._opened_cursor = self._position.cursor
        self._caught_up = self._worker_gone = self._draining = False
        self._ready.append(Status(State.CATCHING_UP))

    async def _refusal(self, response: httpx2.Response) -> bytes:
        body = b""
        try:
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _REFUSAL_BYTES_MAX:
                    break
        except (httpx2.TransportError, httpx2.DecodingError):
            pass  # the status alone says enough
        return body

    async def _take(self, chunk: bytes) -> None:
        position = self._position
        try:
            for frame in self._parser.feed(chunk):
                taken = position.take(frame)
                self.counters.duplicates = position.duplicates
                if isinstance(taken, Signal):
                    self._hear(taken)
                elif taken is not None:
                    self.counters.resets += isinstance(taken, Reset)
                    self._ready.append(taken)
                # A replay says `caught-up` when it is over, even if its last events are compacted.
                over = self._course.until is not None and taken is Signal.CAUGHT_UP
                if over or position.ended:
                    await self._drop()
                    self._end("complete")
                    return
        except StreamBroken as error:
            if error.gap:
                self.counters.gaps += 1
            else:
                self.counters.broken += 1
            await self._cut(str(error))
        except FrameTooLarge as error:
            self.counters.broken += 1
            await self._cut(str(error))

    def _hear(self, signal: Signal) -> None:
        match signal:
            case Signal.CAUGHT_UP:
                self._caught_up = True
            case Signal.STALLED:
                self._worker_gone = True
            case Signal.LIVE:
                self._worker_gone = False
            case Signal.DRAIN:
                # The gateway will close the stream by itself; leaving early would only add to its
                # storm.
                self._draining = True
                return
        state = State.LIVE if self._caught_up else State.CATCHING_UP
        self._ready.append(Status(State.STALLED if self._worker_gone else state))

    # --- between streams ------------------------------------------------------------------------

    async def _cut(self, reason: str, *, by_gateway: bool = False) -> None:
        """The stream is over before its time: go on from the cursor, at another gateway if there
        is one.
        """
        if self._parser.retry_ms is not None:
            self._asked_s = self._parser.retry_ms / 1000
        lasted_s = self._wire.clock.monotonic() - self._opened_at
        if self._position.cursor != self._opened_cursor or lasted_s >= SETTLED_S:
            self._failures = 0
        await self._drop()
        self._plan(reason, accident=not (by_gateway or self._draining))

    def _fail(self, reason: str, *, asked_s: float | None = None, answered: bool = True) -> None:
        self.counters.failures += 1
        self._plan(reason, asked_s=asked_s, accident=not answered)

    def _plan(self, reason: str, *, asked_s: float | None = None, accident: bool) -> None:
        self._failures += 1
        self._wire.gateways.leave(self._gateway)
        self._reason = reason
        if asked_s is None and not (accident and self._failures < len(self._wire.gateways)):
            asked_s = self._asked_s
        # Else: `retry:` spreads the clients of a gateway that refuses or leaves, and gives one that
        # crashed time to come back. Others are there already: each is tried once before it counts.
        self._wait_s = self._wire.backoff.delay(self._failures, self._wire.chance, asked_s=asked_s)

    async def _drop(self) -> None:
        chunks, response = self._chunks, self._response
        self._chunks = self._response = None
        if chunks is not None:
            await chunks.aclose()
        if response is not None:
            await response.aclose()

    def _end(self, reason: str) -> None:
        self._ended = True
        self._ready.append(Status(State.ENDED, reason))

    def _tell(self, status: Status) -> None:
        if status != self.status or status.state is State.CONNECTING:
            self.status = status
            if self._on_status is not None:
                self._on_status(status)
