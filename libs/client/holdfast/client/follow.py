"""Following a session or a run for ever: one cursor, as many connections as it takes.

The follower never loses and never repeats an event. It resumes from its cursor after a cut, a
silence, a gap or a restart, at whichever gateway answers. It ends with the stream (204, the run's
terminal event) or with a refusal that time won't mend.
"""

from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx2

from holdfast.client.connection import Connection, Course, Lost, connect
from holdfast.client.cursor_file import SAVE_EVERY_S, CursorFile
from holdfast.client.errors import AnswerInvalid, ClientError, ProblemError
from holdfast.client.position import Position, Reset, Signal, StreamBroken
from holdfast.client.retrying import Retrying
from holdfast.client.sse import FrameParser, FrameTooLarge
from holdfast.client.status import Counters, State, Status
from holdfast.client.wire import Wire
from holdfast.events.recorded import RecordedEvent

# The gateway's heartbeat.
HEARTBEAT_S = 15.0

# Two heartbeats may be late or lost; after two and a half the connection is dead, whatever TCP
# believes.
STALL_S = 2.5 * HEARTBEAT_S

# A gateway answers a stream request at once; one that doesn't is not waited for as long as a
# silent stream.
HANDSHAKE_S = 10.0

Followed = RecordedEvent | Reset


class Follower:
    """An async iterator over events, in seq order, each once; a `Reset` stands where the sequence
    was broken.

        async with client.follow("my-session", after=41) as events:
            async for event in events:
                print(event.seq, event.type)

    Raises ProblemError when a gateway refuses for good, AnswerInvalid when it is none. A cancelled
    wait loses nothing: iterate again. Leave the block, or call `aclose`, to give the connection
    back.

    With a cursor file the cursor of the last event that was dealt with is kept there: an event
    counts as dealt with when the next one is asked for, or the block is left without an error.
    """

    def __init__(
        self,
        wire: Wire,
        course: Course,
        *,
        after: int,
        on_status: Callable[[Status], None] | None = None,
        cursor_file: CursorFile | None = None,
        stall_s: float = STALL_S,
        handshake_s: float = HANDSHAKE_S,
    ) -> None:
        saved = cursor_file.load() if cursor_file is not None else None
        after = after if saved is None else saved
        self.cursor = after
        self.status = Status(State.CONNECTING)
        self.counters = Counters()
        self._wire, self._course = wire, course
        self._on_status, self._cursor_file = on_status, cursor_file
        self._stall_s, self._handshake_s = stall_s, handshake_s
        self._position = Position(after, run_id=course.run_id, until=course.until)
        self._retrying = Retrying(wire)
        # What one chunk brought: at most the frames of 64 KB, the size of a read.
        self._ready: deque[Followed | Status] = deque()
        self._connection: Connection | None = None
        self._parser = FrameParser()
        self._gateway = wire.gateways.current
        self._opened_at = self._saved_at = 0.0
        self._opened_cursor = self._dealt_with = after
        self._caught_up = self._worker_gone = self._draining = self._ended = False
        if self._position.ended:
            self._end("nothing to follow")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Followed:
        self._dealt_with = self.cursor
        await self._keep(SAVE_EVERY_S)
        while True:
            while self._ready:
                item = self._ready.popleft()
                if isinstance(item, Status):
                    self._tell(item)
                    continue
                self.cursor = item.seq
                self.counters.events += isinstance(item, RecordedEvent)
                return item
            self.cursor = self._position.cursor
            if self._ended:
                self._dealt_with = self.cursor
                await self._drop()
                await self._keep()
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
        if kind is None:
            self._dealt_with = self.cursor
        await self.aclose()

    async def aclose(self) -> None:
        """Stop following; `cursor` says where to go on."""
        self._ended = True
        self._ready.clear()
        await self._drop()
        await self._keep()

    def cut(self) -> None:
        """Break the connection as a network would; the follower resumes."""
        if self._connection is not None:
            self._connection.cut()

    # --- one step -------------------------------------------------------------------------------

    async def _advance(self) -> None:
        try:
            if self._connection is None:
                await self._connect()
            else:
                self._take(await self._connection.chunk())
        except Lost as lost:
            await self._lose(lost)
        except StreamBroken as error:
            if error.gap:
                self.counters.gaps += 1
            else:
                self.counters.broken += 1
            await self._lose(Lost(str(error)))
        except FrameTooLarge as error:
            self.counters.broken += 1
            await self._lose(Lost(str(error)))
        except (ProblemError, AnswerInvalid) as error:
            self._fail(error)
            raise
        except httpx2.LocalProtocolError:
            # The caller's own mistake: a header that can't be sent.
            self._fail(None)
            raise
        if self._ended:
            await self._drop()

    async def _connect(self) -> None:
        retrying = self._retrying
        if retrying.reason is not None:
            failures, reason = retrying.failures, retrying.reason
            self._tell(Status(State.WAITING, reason, retrying.wait_s, attempt=failures))
            await self._wire.clock.sleep(retrying.wait_s)
        self._tell(Status(State.CONNECTING, attempt=retrying.failures))
        self._gateway = self._wire.gateways.current
        self._connection = await connect(
            self._wire,
            self._gateway,
            self._course,
            cursor=self._position.cursor,
            stall_s=self._stall_s,
            handshake_s=self._handshake_s,
        )
        if self._connection is None:
            self._end("complete")
            return
        self.counters.connections += 1
        self.counters.resumes = self.counters.connections - 1
        self._parser = FrameParser()
        self._opened_at = self._wire.clock.monotonic()
        self._opened_cursor = self._position.cursor
        self._caught_up = self._worker_gone = self._draining = False
        self._ready.append(Status(State.CATCHING_UP))

    def _take(self, chunk: bytes) -> None:
        position = self._position
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
                self._end("complete")
                return

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
        if self._worker_gone:
            self._ready.append(Status(State.STALLED, since=self._position.stalled_since))
        else:
            self._ready.append(Status(State.LIVE if self._caught_up else State.CATCHING_UP))

    # --- between streams ------------------------------------------------------------------------

    async def _lose(self, lost: Lost) -> None:
        """There is no stream any more, or still none: plan to go on from the cursor."""
        if self._connection is None:
            self.counters.failures += 1
        else:
            self.counters.silences += lost.silent
            self._retrying.served(
                lasted_s=self._wire.clock.monotonic() - self._opened_at,
                moved=self._position.cursor != self._opened_cursor,
                retry_ms=self._parser.retry_ms,
            )
            await self._drop()
        self._retrying.plan(
            self._gateway,
            lost.reason,
            accident=not (lost.by_gateway or self._draining),
            asked_s=lost.asked_s,
        )
        self._draining = False

    async def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _keep(self, every_s: float = 0.0) -> None:
        """Save the cursor, if that is asked for and was not done within `every_s`."""
        if self._cursor_file is None:
            return
        now = self._wire.clock.monotonic()
        if every_s and now - self._saved_at < every_s:
            return
        self._saved_at = now
        await self._cursor_file.save(self._dealt_with)

    def _end(self, reason: str) -> None:
        self._ended = True
        self._ready.append(Status(State.ENDED, reason))

    def _fail(self, error: ClientError | None) -> None:
        self._ended = True
        reason = str(error) if error is not None else "the request can't be sent"
        self._tell(Status(State.FAILED, reason, attempt=self._retrying.failures, error=error))

    def _tell(self, status: Status) -> None:
        if status != self.status or status.state is State.CONNECTING:
            self.status = status
            if self._on_status is not None:
                self._on_status(status)
