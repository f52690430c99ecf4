"""The hub's background tasks: one task group that nothing escapes from, and answers that many wait for."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Generic, Self, TypeVar

import structlog

from holdfast.events.clock import Clock

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

Spawn = Callable[[Coroutine[Any, Any, None]], object]
"""Starts a task that ends before the hub does."""

Answer = TypeVar("Answer")

# A loop that failed unexpectedly goes on after a second: the head check makes up for what it missed, while a dead
# tail would leave every client of the process waiting.
_RESTART_S = 1.0


class Tasks:
    """A task group whose tasks are cancelled when it is left, and whose failures are logged, never raised into it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._group = asyncio.TaskGroup()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        await self._group.__aenter__()
        return self

    async def __aexit__(self, *exc: Any) -> None:
        for task in self._tasks:
            task.cancel()
        # Not told of the body's exception, which would come out wrapped in a group: these tasks never raise.
        await self._group.__aexit__(None, None, None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Start `work`; what it raises is logged."""
        task = self._group.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def forever(self, work: Callable[[], Awaitable[None]]) -> None:
        """Start `work` and start it again whenever it ends."""
        self.spawn(self._forever(work))

    async def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await work()
            except Exception:
                log.exception("task.failed", task=getattr(work, "__qualname__", repr(work)))
            await self._clock.sleep(_RESTART_S)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception:
            log.exception("task.failed", task=getattr(work, "__qualname__", repr(work)))


class Flight(Generic[Answer]):
    """One answer that many wait for. Who leaves takes it from nobody else."""

    __slots__ = ("_landed", "_loop", "_waiting")

    def __init__(self) -> None:
        # Asked for once: until Python 3.12 it takes a system call.
        self._loop = asyncio.get_running_loop()
        self._landed: Callable[[asyncio.Future[Answer]], None] | None = None
        # One future each: one that is cancelled must not take the answer from the others.
        self._waiting: dict[asyncio.Future[Answer], None] = {}

    @property
    def wanted(self) -> bool:
        """Whether anybody still waits."""
        return bool(self._waiting)

    async def wait(self) -> Answer:
        """Return the answer. Raises what it failed with."""
        waits: asyncio.Future[Answer] = self._loop.create_future()
        if self._landed is not None:
            self._landed(waits)
        self._waiting[waits] = None
        try:
            return await waits
        finally:
            del self._waiting[waits]

    def land(self, answer: Answer) -> None:
        """Give the answer to everybody who waits."""
        self._land(lambda waits: waits.set_result(answer))

    def fail(self, error: Exception) -> None:
        """Give the error to everybody who waits; nobody waiting is fine too."""

        def tell(waits: "asyncio.Future[Answer]") -> None:
            waits.set_exception(error)
            waits.exception()  # marks it as seen: who asked may have been cancelled in this very moment

        self._land(tell)

    def _land(self, tell: "Callable[[asyncio.Future[Answer]], None]") -> None:
        if self._landed is None:
            self._landed = tell
            for waits in self._waiting:
                if not waits.done():
                    tell(waits)
