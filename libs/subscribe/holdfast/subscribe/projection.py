"""Read models: tables made from the log, and nothing else, so that they can be made again from nothing.

A projection's writes and its position are one transaction. Whatever is killed, and whenever, each event has its
effect exactly once.
"""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import LogChanged, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.pool_postgres import Connection
from holdfast.subscribe.consumer import (
    STORE_RETRY_S,
    STUCK_RETRY_S,
    ConsumerOptions,
    Observer,
)
from holdfast.subscribe.delivery import Delivery, Position
from holdfast.subscribe.round import told
from holdfast.subscribe.store import (
    ERROR_CHARS_MAX,
    Hold,
    HoldLost,
    LogAhead,
    LogPage,
    PositionAhead,
    Progress,
    Subscriptions,
)
from holdfast.subscribe.subscription import Retry, Start, check_name

# What stands still says why, and tries again: soon at first, as most failures pass.
_RETRY = Retry(tries=2**31, first_s=1.0, last_s=STUCK_RETRY_S)

log = structlog.get_logger("holdfast.subscribe")


class Projection(ABC):
    """The base of a read model. `name` is also its subscription's: it is listed, reset and rebuilt under it."""

    name: ClassVar[str]
    types: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    async def create(self, connection: Connection) -> None:
        """Make its tables, where they are missing."""

    @abstractmethod
    async def clear(self, connection: Connection) -> None:
        """Empty its tables: it is made again from the first event."""

    @abstractmethod
    async def apply(self, connection: Connection, events: Sequence[Delivery]) -> None:
        """Write what these events mean, within the caller's transaction.

        What is written may depend on the events and on the tables alone, never on the time or on anything outside:
        else a rebuild would tell something different. An exception holds the projection up, for a read model with
        a hole is a lie; it is shown in `holdfast subscriptions`.
        """


class Projector:
    """One process's share in one projection: it is the holder, or stands by to become it."""

    def __init__(
        self,
        projection: Projection,
        subscriptions: Subscriptions,
        *,
        options: ConsumerOptions,
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        check_name(projection.name)
        self.projection, self._subscriptions = projection, subscriptions
        self._options, self._observer = options, observer
        self._clock, self._chance = clock, chance
        self._types = TypeFilter(projection.types)
        self._stopping = asyncio.Event()

    @property
    def name(self) -> str:
        """The subscription's name."""
        return self.projection.name

    def stop(self) -> None:
        """Begin no more page; `run` returns when the one under way is written."""
        self._stopping.set()

    async def run(self) -> None:
        """Project until stopped. Nothing that the projection or the store raises ends this."""
        failures = 0
        while not self._stopping.is_set():
            hold: Hold | None = None
            try:
                options = self._options
                hold = await self._subscriptions.acquire(
                    self.name, options.lease_owner, lease_s=options.lease_s, start=Start.BEGINNING
                )
                if hold is None:
                    await self._pause(options.poll_s)
                    continue
                self._observer.held(self.name, True)
                # With the right to do so checked in the same transaction.
                await self._subscriptions.save(
                    hold, Progress(), lease_s=options.lease_s, apply=self.projection.create
                )
                await self._project(hold)
                await self._subscriptions.release(hold)
                failures = 0
            except LogChanged:
                raise
            except HoldLost:
                log.warning("subscription.lost", subscription=self.name)
                await self._pause(self._options.poll_s)
            except (LogAhead, PositionAhead) as error:
                log.error("subscription.ahead", subscription=self.name, error=str(error))
                if hold is not None:
                    await self._show(hold, error)
                await self._pause(STUCK_RETRY_S)
            except StoreUnavailable as error:
                log.warning("subscription.later", subscription=self.name, error=str(error))
                await self._pause(STORE_RETRY_S)
            except Exception as error:
                failures += 1
                self._observer.failed(self.name, dead=False)
                log.exception("projection.stuck", subscription=self.name, failures=failures)
                if hold is not None:
                    await self._show(hold, error)
                await self._pause(_RETRY.pause_s(failures) or STUCK_RETRY_S)
            finally:
                self._observer.held(self.name, False)

    async def _project(self, hold: Hold) -> None:
        position, stuck = hold.position, True
        saved_at = self._clock.monotonic()
        while not self._stopping.is_set():
            page = await self._subscriptions.read(self.name, position, self._types)
            renew = self._clock.monotonic() - saved_at >= self._options.renew_s
            if page.through != position or renew:
                await self._write(hold, page)
                saved_at = self._clock.monotonic()
            if stuck:
                await self._subscriptions.complain(hold, None)
                stuck = False
            position = page.through
            age_s = 0.0
            if page.more and page.items:
                age_s = max(0.0, (self._clock.now() - page.items[-1].ts).total_seconds())
            self._observer.behind(self.name, age_s, 0)
            if not page.more:
                await self._pause(min(self._options.poll_s, self._options.renew_s))

    async def _write(self, hold: Hold, page: LogPage) -> None:
        try:
            await self._write_events(hold, page.items, page.through)
        except (HoldLost, StoreUnavailable):
            raise
        except Exception:
            if len(page.items) < 2:
                raise
            # One by one: all before the one that fails is written, and the error is that one's.
            for event in page.items:
                assert event.position is not None
                await self._write_events(hold, [event], event.position)
            await self._write_events(hold, [], page.through)

    async def _write_events(
        self, hold: Hold, events: Sequence[Delivery], through: Position
    ) -> None:
        async def apply(connection: Connection) -> None:
            try:
                await self.projection.apply(connection, events)
            except Exception as error:
                first = events[0]
                error.add_note(f"at {first.type}, session {first.session_id!r}, seq {first.seq}")
                raise

        begun = self._clock.monotonic()
        await self._subscriptions.save(
            hold,
            Progress(through),
            lease_s=self._options.lease_s,
            apply=apply if events else None,
        )
        for _ in events:
            self._observer.handled(self.name, (self._clock.monotonic() - begun) / len(events))

    async def _show(self, hold: Hold, error: Exception) -> None:
        where = "".join(f" {note}" for note in getattr(error, "__notes__", ())[:1])
        try:
            sentence = f"{told(error)}{where}"[:ERROR_CHARS_MAX]
            await self._subscriptions.complain(hold, sentence.replace("\0", ""))
            await self._subscriptions.release(hold)
        except StoreUnavailable:
            log.warning("subscription.later", subscription=self.name, error=str(error))

    async def _pause(self, seconds: float) -> None:
        if self._stopping.is_set():
            return
        waits = [
            asyncio.ensure_future(self._stopping.wait()),
            asyncio.ensure_future(self._clock.sleep(jittered(seconds, 0.2, self._chance))),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def rebuild(projection: Projection, subscriptions: Subscriptions) -> None:
    """Empty a projection and send it back to the first event, as one; whoever runs it makes it again.

    Raises SubscriptionUnknown when it never ran.
    """

    async def clear(connection: Connection) -> None:
        await projection.create(connection)
        await projection.clear(connection)

    await subscriptions.reset(projection.name, Start.BEGINNING, apply=clear)
