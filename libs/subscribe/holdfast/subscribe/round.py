"""One page of the log and the parked events that are due, handled side by side: what is done, and what has failed."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Protocol

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.subscribe.delivery import Delivery, GiveUp
from holdfast.subscribe.store import ERROR_CHARS_MAX, Failure, LogPage, Progress
from holdfast.subscribe.subscription import Subscription

# Pauses between tries are spread, so that what failed together doesn't come back together.
SPREAD = 0.2

log = structlog.get_logger("holdfast.subscribe")


class Counts(Protocol):
    """What a round counts."""

    def handled(self, subscription: str, seconds: float) -> None:
        """An event was handled."""
        ...

    def failed(self, subscription: str, *, dead: bool) -> None:
        """A try failed; `dead`: it was the last one."""
        ...


class Round:
    """Handles each event once, lane by lane. `progress` may be asked for at any time, and tells what is new."""

    def __init__(
        self,
        subscription: Subscription,
        page: LogPage,
        due: Sequence[Delivery],
        blocked: frozenset[int],
        *,
        observer: Counts,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._subscription, self._page, self._due = subscription, page, due
        # Sessions of which an event waits for its next try: what comes after it has to wait, too.
        self._blocked = set(blocked)
        self._observer, self._clock, self._chance = observer, clock, chance
        self._done = [False] * len(page.items)
        self._prefix = 0  # events of the page from its beginning that are done with
        self._saved = False  # the page as a whole
        self._new = Progress()
        self._stopping = False
        self._slots = asyncio.Semaphore(subscription.concurrency)

    def stop(self) -> None:
        """Begin no more event."""
        self._stopping = True

    async def run(self) -> None:
        """Return when every event is handled, parked or, after `stop`, left."""
        async with asyncio.TaskGroup() as group:
            for lane in self._lanes():
                group.create_task(self._lane(lane))

    def progress(self) -> Progress:
        """Return what happened since the last call."""
        while self._prefix < len(self._done) and self._done[self._prefix]:
            self._prefix += 1
        new, self._new = self._new, Progress()
        if self._prefix == len(self._done):
            # Also past what nobody wanted, behind the last wanted one.
            new.through = self._page.through
            new.erased = list(self._page.erased)
        elif self._prefix:
            new.through = self._page.items[self._prefix - 1].position
        return new

    def _lanes(self) -> Iterable[list[tuple[int | None, Delivery]]]:
        """Return what is handled one after the other: what was parked first, then what is new."""
        lanes: dict[object, list[tuple[int | None, Delivery]]] = {}
        for event in self._due:
            lanes.setdefault(self._lane_of(event), []).append((None, event))
        for index, event in enumerate(self._page.items):
            lanes.setdefault(self._lane_of(event), []).append((index, event))
        return lanes.values()

    def _lane_of(self, event: Delivery) -> object:
        return event.session if self._subscription.ordered else (event.session, event.seq)

    async def _lane(self, lane: Sequence[tuple[int | None, Delivery]]) -> None:
        failed = False
        for index, event in lane:
            if self._stopping:
                return
            if index is None:
                # Parked ones behind a failure simply stay where they are.
                failed = failed or await self._retry(event)
            else:
                await self._handle_new(event)
                self._done[index] = True

    async def _retry(self, event: Delivery) -> bool:
        failure = await self._try(event)
        if failure is None:
            self._new.handled.append((event.session, event.seq))
            return False
        self._new.failed.append(failure)
        if failure.pause_s is None or not self._subscription.ordered:
            return False  # a dead letter lets the next one of its session go on
        self._blocked.add(event.session)
        return True

    async def _handle_new(self, event: Delivery) -> None:
        if self._subscription.ordered and event.session in self._blocked:
            self._new.behind.append((event.session, event.seq))
            return
        failure = await self._try(event)
        if failure is not None:
            self._new.failed.append(failure)
            if failure.pause_s is not None:
                self._blocked.add(event.session)

    async def _try(self, event: Delivery) -> Failure | None:
        subscription = self._subscription
        async with self._slots:
            begun = self._clock.monotonic()
            try:
                async with asyncio.timeout(subscription.timeout_s):
                    await subscription.handler(event)
            except asyncio.CancelledError as error:
                # Ours, or a handler's own doing, which would leave the event neither handled nor failed.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                return self._failure(event, error)
            except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's handler
                return self._failure(event, error)
        self._observer.handled(subscription.name, self._clock.monotonic() - begun)
        return None

    def _failure(self, event: Delivery, error: BaseException) -> Failure:
        name, tries = self._subscription.name, event.tries + 1
        pause_s = None if isinstance(error, GiveUp) else self._subscription.retry.pause_s(tries)
        self._observer.failed(name, dead=pause_s is None)
        log.log(
            40 if pause_s is None else 30,
            "subscription.dead" if pause_s is None else "subscription.failed",
            subscription=name,
            session=event.session_id,
            seq=event.seq,
            type=event.type,
            tries=tries,
            exc_info=error,
        )
        return Failure(
            event.session,
            event.seq,
            tries,
            None if pause_s is None else jittered(pause_s, SPREAD, self._chance),
            told(error),
        )


def told(error: BaseException) -> str:
    """Return an error as the store keeps it. A stranger's error may not even be able to say what it is."""
    try:
        said = str(error)
    except Exception:  # noqa: BLE001 - as above
        said = "(it can't be told)"
    sentence = f"{type(error).__name__}: {said}".replace("\0", "")
    return sentence.encode(errors="replace").decode()[:ERROR_CHARS_MAX]
