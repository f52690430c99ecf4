"""An event loop in virtual time, whose callbacks belong to processes that can be paused and killed.

When nobody has anything to do, time jumps to the next timer. Which process acts next is chosen by the seed; within a
process callbacks run in the order in which they were scheduled, as asyncio promises its users.
"""

import asyncio
import random
import warnings
from collections.abc import Callable
from contextvars import Context, copy_context
from heapq import heappop, heappush
from types import CoroutineType
from typing import Any

from tests.simulation.process import PROCESS, Process, State

# A schedule takes some 10,000 steps; a hundred times that is a process that spins.
STEPS_MAX = 1_000_000

# A schedule takes about a minute of virtual time.
SECONDS_MAX = 600.0

# Coroutines await each other, and more in their `finally`; closed one by one, but not for ever.
_CLOSINGS_MAX = 100


class Stuck(Exception):
    """The simulated world has nothing to do and nothing to wait for, or never comes to an end."""


class Handle(list[Any]):
    """A scheduled callback: when, its number, the callback, its arguments, its context, its process.

    Asyncio's own would cost a third of the simulation's time. A list is made, and ordered in a heap by its first two
    items, without a line of Python.
    """

    __slots__ = ()

    def cancel(self) -> None:
        """Do nothing when the time comes."""
        self[_CALLBACK] = None

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self[_CALLBACK] is None

    def when(self) -> float:
        """Return the virtual time that it waits for."""
        return self[_WHEN]


# The places in a handle.
_WHEN, _CALLBACK, _PROCESS = 0, 2, 5

# Read without a look at the enumeration, a million times a minute.
_RUNNING, _DEAD = State.RUNNING, State.DEAD


class _Task(asyncio.Task[Any]):
    """A task with a number as its hash: a set of tasks has the same order in every run."""

    __slots__ = ("number", "process")

    number: int
    process: Process

    def __hash__(self) -> int:
        return self.number


class _Future(asyncio.Future[Any]):
    """A future with a number as its hash."""

    __slots__ = ("number",)

    number: int

    def __hash__(self) -> int:
        return self.number


class SimulatedLoop(asyncio.BaseEventLoop):
    """Use `simulate`. `world` is the process of everything that is started outside of any."""

    def __init__(self, chance: random.Random, outside: Any = None) -> None:
        """`outside` is what workflows can reach: whatever the schedule keeps there."""
        super().__init__()
        self.outside = outside
        self.steps = 0
        self._now = 0.0
        self._random = chance.random
        self._runnable: list[Process] = []
        self._timers: list[Handle] = []
        self._numbers = 0
        self._graves: list[object] = []
        self._tasks: list[_Task] = []  # all there ever were
        self.world = Process(self, "world")

    # --- what asyncio asks of a loop -----------------------------------------------------------------

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._now

    def call_soon(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Schedule a callback in the process of its context."""
        if context is None:
            context = copy_context()
        process: Process = context.get(PROCESS) or self.world
        handle = Handle((0.0, 0, callback, args, context, process))
        # As in `_schedule`, written out: most of what is scheduled comes from here.
        ready = process.ready
        if process.state is _DEAD:
            self._graves.append(handle)
        else:
            if not ready and process.state is _RUNNING:
                self._runnable.append(process)
            ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Schedule a callback: there is one thread."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[..., Any],
        *args: Any,
        context: Context | None = None,
    ) -> Any:
        """Schedule a callback for after `delay` seconds."""
        if context is None:
            context = copy_context()
        self._numbers = number = self._numbers + 1
        handle = Handle(
            (self._now + delay, number, callback, args, context, context.get(PROCESS) or self.world)
        )
        heappush(self._timers, handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> Any:
        """Schedule a callback for a moment of virtual time."""
        if context is None:
            context = copy_context()
        self._numbers = number = self._numbers + 1
        handle = Handle((when, number, callback, args, context, context.get(PROCESS) or self.world))
        heappush(self._timers, handle)
        return handle

    def create_future(self) -> _Future:
        """Return a future with a number."""
        future = _Future(loop=self)
        future.number = self._numbers = self._numbers + 1
        return future

    def create_task(
        self,
        coro: Any,
        *,
        name: object = None,
        context: Context | None = None,
    ) -> _Task:
        """Start a coroutine in the process of its context."""
        # The hash must be there before the task is begun: asyncio puts it into a set at once.
        task = _Task.__new__(_Task)
        task.number = self._numbers = self._numbers + 1
        task.process = (
            PROCESS.get(self.world) if context is None else (context.get(PROCESS) or self.world)
        )
        task.__init__(coro, loop=self, name=str(name or ""), context=context)
        # Whoever is killed leaves tasks behind; they are cleared away in `dispose`.
        task._log_destroy_pending = False  # pyright: ignore[reportAttributeAccessIssue]
        self._tasks.append(task)
        return task

    def _run_once(self) -> None:
        """Take steps until the loop is stopped. What is written out here is nine tenths of a simulation's steps."""
        runnable, chance, jump = self._runnable, self._random, self._jump
        steps = self.steps
        try:
            while not self._stopping:  # pyright: ignore[reportAttributeAccessIssue]
                if runnable:
                    count = len(runnable)
                    place = int(chance() * count) if count > 1 else 0
                    process = runnable[place]
                    ready = process.ready
                    handle = ready.popleft()
                    if not ready:
                        runnable[place] = runnable[-1]
                        runnable.pop()
                elif (handle := jump()) is None:
                    continue
                steps += 1
                if steps > STEPS_MAX:
                    raise Stuck(f"more than {STEPS_MAX:,} steps; it is {self._now:.1f} s")
                _, _, callback, args, context, _ = handle
                if callback is not None:
                    try:
                        context.run(callback, *args)
                    except (KeyboardInterrupt, SystemExit):
                        raise
                    except BaseException as error:  # noqa: BLE001 - told to the schedule
                        self.call_exception_handler({"message": repr(callback), "exception": error})
        finally:
            self.steps = steps

    # --- processes -----------------------------------------------------------------------------------

    def _schedule(self, handle: Handle) -> None:
        process: Process = handle[_PROCESS]
        ready = process.ready
        if process.state is _DEAD:
            self._graves.append(handle)
            return
        if not ready and process.state is _RUNNING:
            self._runnable.append(process)
        ready.append(handle)

    def _jump(self) -> Handle | None:
        """Go to the next timer. Return its callback, if it is the only one and its process runs; there is no choice."""
        timers = self._timers
        while timers and timers[0][_CALLBACK] is None:
            heappop(timers)
        if not timers:
            raise Stuck(f"nobody has anything to do or to wait for; it is {self._now:.1f} s")
        first = heappop(timers)
        now = self._now
        if first[_WHEN] > now:
            now = self._now = first[_WHEN]
            if now > SECONDS_MAX:
                raise Stuck(f"not over after {SECONDS_MAX:g} s")
        if not (timers and timers[0][_WHEN] <= now) and first[_PROCESS].state is _RUNNING:
            return first
        self._schedule(first)
        while timers and timers[0][_WHEN] <= now:
            handle = heappop(timers)
            if handle[_CALLBACK] is not None:
                self._schedule(handle)
        return None

    def enter(self, process: Process) -> None:
        """Let a process be chosen."""
        self._runnable.append(process)

    def leave(self, process: Process) -> None:
        """Let a process be chosen no more."""
        if process in self._runnable:
            self._runnable.remove(process)

    def bury(self, process: Process) -> None:
        """Keep what a killed process leaves behind."""
        self._graves.append(process.ready)

    def unseen_errors(self) -> list[str]:
        """Return the errors of tasks that nobody looked at."""
        return [
            f"nobody looked at the error of {task!r}"
            for task in self._tasks
            if task.process.alive and task.done() and task._log_traceback  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
        ]

    def dispose(self) -> None:
        """End everything that still goes on, in silence and without effect, when all has been looked at."""
        create_task = asyncio.TaskGroup.create_task
        asyncio.TaskGroup.create_task = self._no_task  # pyright: ignore[reportAttributeAccessIssue]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                for task in self._tasks:
                    if not task.done():
                        _close(task.get_coro())
                self._graves.clear()
                self._timers.clear()
                self._tasks.clear()
        finally:
            asyncio.TaskGroup.create_task = create_task
        self.close()

    def _no_task(self, coro: Any, **_: Any) -> asyncio.Future[Any]:
        """Start nothing: what a `finally` wants to do is not done any more."""
        _close(coro)
        future = self.create_future()
        future.set_result(None)
        return future


def _close(coroutine: Any) -> None:
    """Close a coroutine from the inside out, so that what is awaited in a `finally` is closed as well."""
    if coroutine.cr_frame is not None and not coroutine.cr_suspended:
        # Never begun. Python 3.13 keeps what it was given to await until it is gone itself, and warns only then.
        for given in list(coroutine.cr_frame.f_locals.values()):
            if type(given) is CoroutineType:
                _close(given)
    for _ in range(_CLOSINGS_MAX):
        innermost = coroutine
        while type(inner := innermost.cr_await) is CoroutineType and inner.cr_frame is not None:
            innermost = inner
        try:  # noqa: SIM105 - sixty times in a schedule
            innermost.close()
        except BaseException:  # noqa: BLE001 - it is the end of it in any case
            pass
        if coroutine.cr_frame is None:
            break
