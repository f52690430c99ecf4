"""Runs one subscription: holds it, reads the log after its position, has every event handled, and saves how far it is.

At least once: what a process had handled but not saved when it died is handled again by the next one. A round takes
one page of the log and the parked events that are due; a session's events are a lane, and lanes run side by side.
"""

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import LogChanged, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.subscribe.delivery import Position
from holdfast.subscribe.round import Round, told
from holdfast.subscribe.store import (
    ERROR_CHARS_MAX,
    Hold,
    HoldLost,
    LogAhead,
    LogPage,
    PositionAhead,
    Progress,
    Subscriptions,
    Waiting,
)
from holdfast.subscribe.subscription import Subscription

# A process that died is replaced after this; as long as a session's lease.
LEASE_S = 15.0

# Two looks a second for each subscription of a process that has nothing to do: two index scans, 0.2 ms each, and no
# commit. A hint over Redis would save half a second and cost every commit a message.
POLL_S = 0.5

# What a crash has handled again is at most what was handled in this time; also how often the lease is renewed.
SAVE_S = 1.0

# While Postgres is away.
STORE_RETRY_S = 1.0

# A subscription that can't read at all says so again this often.
STUCK_RETRY_S = 30.0

# Events that wait for another try or behind one. Beyond it nothing new is read: a handler that fails for everything
# would otherwise move the whole log into the parking lot.
PARKED_MAX = 10_000

# Parked events taken up in one round.
DUE_MAX = 200

log = structlog.get_logger("holdfast.subscribe")


class Observer(Protocol):
    """What is counted."""

    def handled(self, subscription: str, seconds: float) -> None:
        """An event was handled."""
        ...

    def failed(self, subscription: str, *, dead: bool) -> None:
        """A try failed; `dead`: it was the last one."""
        ...

    def behind(self, subscription: str, seconds: float, parked: int) -> None:
        """How old the newest event taken up is (0: there is no newer one), and how many wait for another try."""
        ...

    def held(self, subscription: str, held: bool) -> None:
        """Whether this process is the holder."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumerOptions:
    """How a process runs its subscriptions."""

    owner: str  # what people call it; nothing keeps two processes from having one name
    lease_s: float = LEASE_S
    poll_s: float = POLL_S
    save_s: float = SAVE_S
    process: str = field(default_factory=lambda: uuid4().hex[:8])

    @property
    def lease_owner(self) -> str:
        """Who holds a lease: this very process, and none that merely has its name and would take it over at once."""
        return f"{self.owner}/{self.process}"

    @property
    def renew_s(self) -> float:
        """When a lease is renewed though there is nothing to save: two renewals may fail before it is over."""
        return self.lease_s / 3


class Consumer:
    """One process's share in one subscription: it is the holder, or stands by to become it."""

    def __init__(
        self,
        subscription: Subscription,
        subscriptions: Subscriptions,
        *,
        options: ConsumerOptions,
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self.subscription, self._subscriptions = subscription, subscriptions
        self._options, self._observer = options, observer
        self._clock, self._chance = clock, chance
        self._types = TypeFilter(subscription.types)
        self._news = asyncio.Event()
        self._stopping = False
        self._round: Round | None = None
        self._complained: bool | None = (
            None  # whether operators are shown why it stands still; None: not known
        )
        self._saved_at = 0.0

    def wake(self) -> None:
        """Look at the log now: there may be something new."""
        self._news.set()

    def stop(self) -> None:
        """Begin no more event; `run` returns when those under way are handled and saved."""
        self._stopping = True
        if self._round is not None:
            self._round.stop()
        self._news.set()

    async def run(self) -> None:
        """Consume until stopped. Nothing that a handler or the store raises ends this."""
        name = self.subscription.name
        hold: Hold | None = None
        while not self._stopping:
            try:
                hold = await self._subscriptions.acquire(
                    name,
                    self._options.lease_owner,
                    lease_s=self._options.lease_s,
                    start=self.subscription.start,
                )
                if hold is None:
                    await self._pause(self._options.poll_s)
                    continue
                log.info("subscription.held", subscription=name, position=str(hold.position))
                self._observer.held(name, True)
                try:
                    await self._consume(hold)
                finally:
                    self._observer.held(name, False)
                await self._subscriptions.release(hold)
            except LogChanged:
                raise  # for good: only a process that begins anew can go on
            except HoldLost:
                log.warning("subscription.lost", subscription=name)
                # Whoever took it has to come to something before it is asked for again.
                await self._pause(self._options.poll_s)
            except (LogAhead, PositionAhead) as error:
                log.error("subscription.ahead", subscription=name, error=str(error))
                await self._show(hold, error)
                await self._pause(STUCK_RETRY_S)
            except StoreUnavailable as error:
                log.warning("subscription.later", subscription=name, error=str(error))
                await self._pause(STORE_RETRY_S)
            except Exception as error:
                # It must not take along the other subscriptions of this process.
                log.exception("subscription.stuck", subscription=name)
                await self._show(hold, error)
                await self._pause(STUCK_RETRY_S)

    async def _show(self, hold: Hold | None, error: Exception) -> None:
        """Let operators see why it stands still, and somebody else try."""
        if hold is None:
            return
        try:
            await self._subscriptions.complain(hold, told(error))
            await self._subscriptions.release(hold)
        except Exception:
            log.exception("subscription.later", subscription=hold.name)

    async def _consume(self, hold: Hold) -> None:
        position = hold.position
        # What an earlier holder complained of is over, or is said again.
        self._complained, self._saved_at = None, self._clock.monotonic()
        while not self._stopping:
            subscription = self.subscription
            waiting = await self._subscriptions.waiting(
                hold, ordered=subscription.ordered, limit=DUE_MAX
            )
            page = await self._page(hold, position, waiting)
            if page.items or waiting.due:
                await self._take(hold, page, waiting)
            elif page.through != position or self._lease_is_old():
                # Nothing to do is progress too: the position, or the lease.
                await self._save(hold, Progress(page.through, erased=list(page.erased)))
            if self._stopping:
                return
            position = page.through
            self._tell_lag(page, waiting)
            if not page.more and not waiting.due:
                await self._pause(min(self._options.poll_s, self._options.renew_s))

    async def _page(self, hold: Hold, position: Position, waiting: Waiting) -> LogPage:
        if waiting.total < PARKED_MAX:
            if self._complained is not False:
                self._complained = False
                await self._subscriptions.complain(hold, None)
            return await self._subscriptions.read(hold.name, position, self._types)
        if not self._complained:
            self._complained = True
            sentence = f"{waiting.total} events wait for another try: nothing new is taken up"
            log.error("subscription.clogged", subscription=hold.name, waiting=waiting.total)
            await self._subscriptions.complain(hold, sentence[:ERROR_CHARS_MAX])
        return LogPage((), position, more=False)

    async def _take(self, hold: Hold, page: LogPage, waiting: Waiting) -> None:
        """Have a page and what is due handled, saving as it goes."""
        self._round = Round(
            self.subscription,
            page,
            waiting.due,
            # Asked for before this page was read: whatever failed until then is among them.
            waiting.blocked,
            observer=self._observer,
            clock=self._clock,
            chance=self._chance,
        )
        work = asyncio.create_task(self._round.run(), name=f"round:{hold.name}")
        try:
            while not work.done():
                tick = asyncio.create_task(self._clock.sleep(self._options.save_s))
                try:
                    await asyncio.wait([work, tick], return_when=asyncio.FIRST_COMPLETED)
                finally:
                    tick.cancel()
                if not work.done():
                    await self._save(hold, self._round.progress())
            work.result()
            await self._save(hold, self._round.progress())
        finally:
            work.cancel()
            await asyncio.wait([work])
            self._round = None

    async def _save(self, hold: Hold, progress: Progress) -> None:
        await self._subscriptions.save(hold, progress, lease_s=self._options.lease_s)
        self._saved_at = self._clock.monotonic()

    def _lease_is_old(self) -> bool:
        return self._clock.monotonic() - self._saved_at >= self._options.renew_s

    async def _pause(self, seconds: float) -> None:
        """Wait, give or take 20 %, or until there may be something new."""
        if self._stopping:
            return
        await _first(self._news.wait(), self._clock.sleep(jittered(seconds, 0.2, self._chance)))
        self._news.clear()

    def _tell_lag(self, page: LogPage, waiting: Waiting) -> None:
        age_s = 0.0
        if page.more and page.items:
            age_s = max(0.0, (self._clock.now() - page.items[-1].ts).total_seconds())
        self._observer.behind(self.subscription.name, age_s, waiting.total)


async def _first(*waits: Coroutine[Any, Any, object]) -> None:
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
