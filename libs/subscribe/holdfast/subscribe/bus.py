"""This process's recorded events, handed to whoever listens, right after their commit.

The bus is for what may be lost: it tells of this worker's own commits, and forgets them when the process ends. What
must not be lost is a durable subscription. A listener that fails or is slow harms nobody: each has a queue and a task
of its own. A full queue drops its oldest event, since a late listener is better off with the news; what is dropped is
counted and logged.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.kinds import TypeFilter
from holdfast.subscribe.delivery import Delivery, Handler, Handles, as_handler, name_of

# 1,000 events of ~400 bytes a listener: 400 KB, and ten seconds of a listener that stands still at 100 events/s.
QUEUE_EVENTS_MAX = 1000

# A listener that drops thousands says so once in this time, with their number.
DROPS_LOGGED_S = 1.0

log = structlog.get_logger("holdfast.bus")


class Counts(Protocol):
    """What is counted of listeners."""

    def listened(self, listener: str, outcome: str) -> None:
        """An event was handled, failed, or dropped."""
        ...


class _Nobody:
    def listened(self, listener: str, outcome: str) -> None:
        """Count nothing."""


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A handler, and what it wants to hear. Nothing runs before it is added to a bus."""

    given: Handles | Callable[[Delivery], Any]
    types: tuple[str, ...] = ()
    concurrency: int = 1
    queue_max: int = QUEUE_EVENTS_MAX
    name: str = ""

    def __post_init__(self) -> None:
        as_handler(self.given)
        TypeFilter(self.types)
        if self.concurrency < 1 or self.queue_max < 1:
            raise ValueError("concurrency and queue_max are at least 1")


def listen(
    *types: str, **options: Any
) -> Callable[[Handles | Callable[[Delivery], Any]], Listener]:
    """Make a handler a listener: of types (`run.failed`), families (`message.*`), or everything.

    @listen("run.failed", "tool.*")
    async def look(event: Delivery) -> None: ...
    """

    def declare(given: Handles | Callable[[Delivery], Any]) -> Listener:
        return Listener(given, types, **options)

    return declare


@dataclass(slots=True, eq=False)
class _Ear:
    """A listener on a bus: its queue and its task."""

    listener: Listener
    handler: Handler
    executor: ThreadPoolExecutor
    wanted: TypeFilter
    name: str
    queue: deque[Delivery] = field(default_factory=deque[Delivery])
    news: asyncio.Event = field(default_factory=asyncio.Event)
    busy: int = 0
    dropped: int = 0  # since the last time it was logged
    logged_at: float = float("-inf")
    tasks: list[asyncio.Task[None]] = field(default_factory=list[asyncio.Task[None]])


class Bus:
    """Hands events to listeners. `publish` never waits and never fails; `run` does the work."""

    def __init__(self, *, observer: Counts | None = None, clock: Clock | None = None) -> None:
        self._observer, self._clock = observer or _Nobody(), clock or SystemClock()
        self._ears: dict[Listener, _Ear] = {}
        self._group: asyncio.TaskGroup | None = None

    def add(self, listener: Listener) -> Listener:
        """Let it listen from now on. Adding it twice changes nothing."""
        if listener not in self._ears:
            # One thread each: a function that blocks all of a shared pool's threads would silence the others.
            threads = ThreadPoolExecutor(listener.concurrency, thread_name_prefix="holdfast-bus")
            ear = self._ears[listener] = _Ear(
                listener,
                as_handler(listener.given, threads),
                threads,
                TypeFilter(listener.types),
                listener.name or name_of(listener.given),
            )
            self._begin(ear)
        return listener

    def subscribe(
        self, given: Handles | Callable[[Delivery], Any], *types: str, **options: Any
    ) -> Listener:
        """Let a handler listen; return the handle to `remove`."""
        return self.add(Listener(given, types, **options))

    def on(
        self, *types: str, **options: Any
    ) -> Callable[[Handles | Callable[[Delivery], Any]], Listener]:
        """Let the decorated handler listen."""

        def declare(given: Handles | Callable[[Delivery], Any]) -> Listener:
            return self.subscribe(given, *types, **options)

        return declare

    def remove(self, which: Listener | Handles | Callable[[Delivery], Any]) -> int:
        """Let a listener, or every listener of this handler, hear no more; return how many there were.

        What is being handled is handled to its end; what is queued is dropped.
        """
        gone = [known for known in self._ears if known is which or known.given == which]
        for listener in gone:
            ear = self._ears.pop(listener)
            ear.queue.clear()
            ear.news.set()
            ear.executor.shutdown(wait=False)
        return len(gone)

    @property
    def deserted(self) -> bool:
        """Whether nobody listens, for whatever type."""
        return not self._ears

    def wants(self, type_: str) -> bool:
        """Tell whether anybody listens for this type."""
        return any(ear.wanted.passes(type_) for ear in self._ears.values())

    def publish(self, events: Iterable[Delivery]) -> None:
        """Queue events for whoever wants them. Never waits, never fails."""
        for event in events:
            for ear in self._ears.values():
                if not ear.wanted.passes(event.type):
                    continue
                if len(ear.queue) >= ear.listener.queue_max:
                    ear.queue.popleft()
                    self._dropped(ear)
                ear.queue.append(event)
                ear.news.set()

    async def run(self) -> None:
        """Have events handled, for ever."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for ear in self._ears.values():
                    self._begin(ear)
                await asyncio.Future[None]()
        finally:
            self._group = None
            for ear in self._ears.values():
                ear.tasks.clear()
                ear.executor.shutdown(wait=False)

    async def idle(self) -> None:
        """Wait until everything that was published is handled."""
        while any(ear.queue or ear.busy for ear in self._ears.values()):
            await self._clock.sleep(0.01)

    def statistics(self) -> Sequence[tuple[str, int]]:
        """Return every listener's name and how many events wait for it."""
        return [(ear.name, len(ear.queue)) for ear in self._ears.values()]

    def _begin(self, ear: _Ear) -> None:
        if self._group is not None and not ear.tasks:
            for _ in range(ear.listener.concurrency):
                ear.tasks.append(self._group.create_task(self._hear(ear), name=f"bus:{ear.name}"))

    async def _hear(self, ear: _Ear) -> None:
        while ear.listener in self._ears:
            if not ear.queue:
                ear.news.clear()
                await ear.news.wait()
                continue
            event = ear.queue.popleft()
            ear.busy += 1
            try:
                await ear.handler(event)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                self._observer.listened(ear.name, "failed")
            except (Exception, SystemExit) as error:
                self._observer.listened(ear.name, "failed")
                log.warning("bus.failed", listener=ear.name, type=event.type, exc_info=error)
            else:
                self._observer.listened(ear.name, "handled")
            finally:
                ear.busy -= 1

    def _dropped(self, ear: _Ear) -> None:
        self._observer.listened(ear.name, "dropped")
        ear.dropped += 1
        if (now := self._clock.monotonic()) - ear.logged_at >= DROPS_LOGGED_S:
            log.error("bus.dropped", listener=ear.name, events=ear.dropped)
            ear.dropped, ear.logged_at = 0, now
