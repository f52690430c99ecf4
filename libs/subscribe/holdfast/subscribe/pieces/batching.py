"""Several events as one: when there are enough of them, or when the first has waited long enough."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from holdfast.events.clock import Clock, SystemClock
from holdfast.subscribe.delivery import Delivery, ManyHandler

# A batch is handed over as a whole; beyond this its size is no longer what costs.
BATCH_SIZE_MAX = 1000


class Batched:
    """Gathers `size` events, or what came within `seconds` of the first, and hands them over together.

    Each caller waits for its batch and gets its error. So a batch is only ever as large as its source lets events
    wait side by side: give the subscription `ordered=False` and a `concurrency` of at least `size`.
    """

    def __init__(
        self, handler: ManyHandler, *, size: int, seconds: float, clock: Clock | None = None
    ) -> None:
        if not 1 <= size <= BATCH_SIZE_MAX or seconds < 0:
            raise ValueError(f"a batch has 1 to {BATCH_SIZE_MAX} events, and time does not go back")
        self._handler, self._size, self._seconds = handler, size, seconds
        self._clock = clock or SystemClock()
        self._events: list[Delivery] = []
        self._done: asyncio.Future[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.Task[None] | None = None

    async def __call__(self, event: Delivery) -> None:
        """Return when the batch that this event is part of was handled."""
        if self._done is None:
            self._done = asyncio.get_running_loop().create_future()
            self._timer = self._start(self._later())
        done = self._done
        self._events.append(event)
        if len(self._events) >= self._size:
            if self._timer is not None:
                self._timer.cancel()
            self._hand_over()
        try:
            # One that gives up waiting must not take the others' batch along.
            await asyncio.shield(done)
        except asyncio.CancelledError:
            if self._done is done:
                self._leave(event)
            raise

    def _leave(self, event: Delivery) -> None:
        """Take an event out that nobody waits for any more: it will be tried again, and would be here twice."""
        self._events = [one for one in self._events if one is not event]
        if not self._events:
            if self._timer is not None:
                self._timer.cancel()
            self._done = self._timer = None

    async def _later(self) -> None:
        await self._clock.sleep(self._seconds)
        self._hand_over()

    def _hand_over(self) -> None:
        events, done = tuple(self._events), self._done
        self._events, self._done, self._timer = [], None, None
        if done is not None:
            self._start(self._handle(events, done))

    async def _handle(self, events: tuple[Delivery, ...], done: asyncio.Future[None]) -> None:
        try:
            await self._handler(events)
        except Exception as error:  # noqa: BLE001 - every caller gets it
            done.set_exception(error)
            # All callers may be gone; asyncio must not call that an error nobody looked at.
            done.exception()
        except BaseException:
            done.cancel()
            raise
        else:
            done.set_result(None)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def batched(
    handler: ManyHandler, *, size: int, seconds: float, clock: Clock | None = None
) -> Batched:
    """Hand events over several at a time."""
    return Batched(handler, size=size, seconds=seconds, clock=clock)
