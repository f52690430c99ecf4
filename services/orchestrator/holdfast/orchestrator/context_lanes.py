"""Several things at once in one run: lanes interleave in one log, fail alone, and hold nobody up while they wait."""

import asyncio
import math
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, Self, TypeVar, cast, overload

from holdfast.events.catalog import ErrorInfo
from holdfast.events.errors import EventInvalid, HoldfastError
from holdfast.orchestrator.context_core import Core, MisplacedCall
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.waits import NOT_OURS, Waiting, cause_of

T = TypeVar("T")

# At once, unless told otherwise: as many model calls as a provider lets one key make without complaint.
LANES_AT_ONCE = 16

# Not failures of a lane, though they show in one: the log, or the code, can't go on as it is.
_NOT_THE_LANES = (*NOT_OURS, EventInvalid, MisplacedCall)


class LaneFailed(HoldfastError):
    """Somebody asked for the value of a lane that has none; `failure` tells why."""

    def __init__(self, name: str, info: ErrorInfo) -> None:
        super().__init__(f"lane {name!r} failed: {info.message}")
        self.name, self.failure = name, info
        self.code, self.retryable = info.code, info.retryable


@dataclass(frozen=True, slots=True)
class Lane(Generic[T]):
    """What became of one lane: a value, or an error."""

    name: str
    result: T | None = None
    error: ErrorInfo | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.error is None

    @property
    def value(self) -> T:
        """The value. Raises LaneFailed."""
        if self.error is not None:
            raise LaneFailed(self.name, self.error)
        return cast("T", self.result)


@dataclass(slots=True, eq=False)
class _Work(Generic[T]):
    """One lane on its way."""

    name: str
    key: str
    function: Callable[..., Awaitable[T]]
    parked: Waiting | None = None
    outcome: Lane[T] | None = None
    raised: Exception | None = field(default=None)


class Lanes(Core):
    """The parallel part of `ctx`."""

    @overload
    async def parallel(
        self,
        work: Mapping[str, Callable[[Self], Awaitable[T]]],
        *,
        limit: int = LANES_AT_ONCE,
        on_error: Literal["isolate"] = "isolate",
    ) -> dict[str, Lane[T]]: ...

    @overload
    async def parallel(
        self,
        work: Mapping[str, Callable[[Self], Awaitable[T]]],
        *,
        limit: int = LANES_AT_ONCE,
        on_error: Literal["raise"],
    ) -> dict[str, T]: ...

    @overload
    async def parallel(
        self,
        work: Sequence[Callable[[Self], Awaitable[T]]],
        *,
        limit: int = LANES_AT_ONCE,
        on_error: Literal["isolate"] = "isolate",
    ) -> list[Lane[T]]: ...

    @overload
    async def parallel(
        self,
        work: Sequence[Callable[[Self], Awaitable[T]]],
        *,
        limit: int = LANES_AT_ONCE,
        on_error: Literal["raise"],
    ) -> list[T]: ...

    async def parallel(
        self,
        work: Mapping[str, Callable[[Self], Awaitable[T]]]
        | Sequence[Callable[[Self], Awaitable[T]]],
        *,
        limit: int = LANES_AT_ONCE,
        on_error: Literal["isolate", "raise"] = "isolate",
    ) -> Any:
        """Call every function with a ctx of its own, at most `limit` at once; return what became of them, in order.

        Their events carry the lane's name (its number from 1 for a list); a lane in a lane carries a path. A lane
        that fails leaves the others alone, and is told in its `Lane`; with `on_error="raise"` the first failure stops
        the others and is raised, and plain values are returned. A lane that waits for a person or for time holds
        nobody up: it goes on as soon as it can, and the run gives its worker back when all that is left are waits.
        """
        if limit < 1:
            raise HoldfastError("ctx.parallel: limit is at least 1")
        named = cast(
            "Mapping[str, Callable[..., Awaitable[T]]]",
            work if isinstance(work, Mapping) else {str(n): f for n, f in enumerate(work, 1)},
        )
        lanes = [_Work(name, self._key(f"branch:{name}"), f) for name, f in named.items()]
        await self._all(lanes, limit, stop=on_error == "raise")
        outcomes = [cast("Lane[T]", lane.outcome) for lane in lanes]
        told = outcomes if on_error == "isolate" else [one.value for one in outcomes]
        return dict(zip(named, told, strict=True)) if isinstance(work, Mapping) else told

    async def _all(self, lanes: Sequence[_Work[T]], limit: int, *, stop: bool) -> None:
        queue, running = deque(lanes), dict[asyncio.Task[T], _Work[T]]()
        try:
            while any(lane.outcome is None for lane in lanes):
                # Looked at before anything is awaited: what comes in from here on ends the wait below.
                news = self._scribe.family.news
                queue.extend(self._ready(lane for lane in lanes if lane not in queue))
                while queue and len(running) < limit:
                    lane = queue.popleft()
                    task = asyncio.ensure_future(self._one(lane))
                    running[task] = lane
                parked = [lane.parked for lane in lanes if lane.parked is not None]
                if not running:
                    await self._give_back(parked)
                await self._next(running, news, parked)
                for task in [task for task in running if task.done()]:
                    lane = running.pop(task)
                    _settle(lane, task)
                    if stop and lane.raised is not None:
                        raise lane.raised
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def _one(self, lane: _Work[T]) -> T:
        return await lane.function(self._lane(lane.key, lane.name, held=True))

    def _ready(self, lanes: Iterable[_Work[T]]) -> list[_Work[T]]:
        """Take up the lanes whose wait is over: they are replayed to where they waited, within this attempt."""
        found: list[_Work[T]] = []
        for lane in lanes:
            parked = lane.parked
            if parked and (parked.ready() or parked.due_at <= self._scribe.clock.monotonic()):
                lane.parked = None
                found.append(lane)
        return found

    async def _next(
        self,
        running: Mapping[asyncio.Task[T], _Work[T]],
        news: asyncio.Future[None],
        parked: Sequence[Waiting],
    ) -> None:
        """Wait until a lane ends, an answer comes or the first wait is over by time."""
        due_at = min((one.due_at for one in parked), default=math.inf)
        left = due_at - self._scribe.clock.monotonic()
        timer = None if left == math.inf else asyncio.ensure_future(self._scribe.clock.sleep(left))
        wanted = {*running, news, *([timer] if timer else [])}
        try:
            await asyncio.wait(wanted, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if timer is not None:
                timer.cancel()

    async def _give_back(self, parked: Sequence[Waiting]) -> None:
        """All that is left are waits: so the run waits."""
        due_at = min(one.due_at for one in parked)
        await self._scribe.wait(
            [],
            {},
            due_in_s=due_at - self._scribe.clock.monotonic(),
            held=self._held,
            ready=lambda: any(one.ready() for one in parked),
        )


def _settle(lane: _Work[T], task: asyncio.Task[T]) -> None:
    """Note how a lane's call ended. Raises what is nobody's lane alone."""
    error = asyncio.CancelledError() if task.cancelled() else cause_of(task.exception())
    match error:
        case None:
            lane.outcome = Lane(lane.name, task.result())
        case Waiting():
            lane.parked = error
        case Exception() if not isinstance(error, _NOT_THE_LANES):
            lane.raised = error
            lane.outcome = Lane(lane.name, error=error_info(error))
        case asyncio.CancelledError():
            # Cancelled from inside: the others are not to blame.
            lane.raised = HoldfastError(f"lane {lane.name!r} was cancelled from inside")
            lane.outcome = Lane(lane.name, error=error_info(lane.raised))
        case _:
            raise error
