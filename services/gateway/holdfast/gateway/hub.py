"""One tail and one ring of frames per watched session, shared by every subscriber of this process.

The hub never waits for a subscriber and never queues for one. A subscriber is a cursor: one that falls behind the ring
reads pages from the store and comes back.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import structlog

from holdfast.events.clock import Clock
from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.events.store import Reader
from holdfast.events.stream import Wakes, Window
from holdfast.gateway.catchup import Catchup
from holdfast.gateway.chorus import Chorus
from holdfast.gateway.ending import Ending
from holdfast.gateway.feed import Feed
from holdfast.gateway.lookups import Lookups
from holdfast.gateway.observer import Observer, Silent
from holdfast.gateway.options import HubOptions
from holdfast.gateway.pulses import Pulses
from holdfast.gateway.request import Sources, SubscriptionRequest
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.tail import Tail
from holdfast.gateway.tasks import Flight, Tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Waves of a drain: a tenth of the clients is told at a time, so that the next replica isn't met by all of them.
DRAIN_WAVES = 10

# A subscribe is answered within a millisecond. A Redis that hangs may cost a new session's first readers this much and
# no more: what they ask for is in the store. After one that wasn't answered, others don't wait for as long: else a wave
# of clients with new sessions would come in at the pace of these deadlines.
WATCH_DEADLINE_S = 1.0
WATCH_DISTRUST_S = 5.0


@dataclass(frozen=True, slots=True)
class HubStats:
    """How much a hub holds."""

    feeds: int
    subscribers: int
    ring_events: int
    ring_bytes: int
    page_bytes: int
    stream_away: bool
    store_away: bool


class Hub:
    """Use as `async with`, or keep `run` running: its tasks live as long. The one way in is `subscribe`."""

    def __init__(
        self,
        reader: Reader,
        window: Window,
        wakes: Wakes,
        *,
        clock: Clock,
        chance: random.Random,
        options: HubOptions | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.options = options or HubOptions()
        self.draining = False
        self._wakes, self._clock, self._chance = wakes, clock, chance
        self._observer = observer or Silent()
        self._tasks = Tasks(clock)
        self._feeds: dict[int, Feed] = {}
        self._starting: dict[int, Flight[None]] = {}
        self._leaving: dict[int, asyncio.Task[None]] = {}
        # Each with what is to be done when it is over.
        self._subscriptions: dict[Subscription, Callable[[], object]] = {}
        self._watch_distrusted_until = clock.monotonic()
        self.spawn = self._tasks.spawn
        self.lookups = Lookups(self.spawn)
        self._pulses = Pulses(reader, self._tasks.spawn)
        self._catchup = Catchup(reader, self._tasks.spawn, clock, self.options, self._observer)
        self._tail = Tail(
            reader=reader,
            window=window,
            wakes=wakes,
            clock=clock,
            chance=chance,
            options=self.options,
            observer=self._observer,
            tasks=self._tasks,
            feeds=self._feeds,
        )
        self._sources = Sources(
            reader=reader,
            catchup=self._catchup,
            pulses=self._pulses,
            lookups=self.lookups,
            tail=self._tail,
            clock=clock,
            chance=chance,
            options=self.options,
            observer=self._observer,
        )

    async def __aenter__(self) -> Self:
        await self._tasks.__aenter__()
        self._tail.run()
        self._tasks.forever(self._tick_regularly)
        return self

    async def __aexit__(self, *exc: Any) -> None:
        for subscription in list(self._subscriptions):
            subscription.end(Ending.DRAIN)
        await self._tasks.__aexit__(*exc)

    async def run(self) -> None:
        """Work until cancelled."""
        async with self:
            await asyncio.get_running_loop().create_future()

    @property
    def subscribers(self) -> int:
        """How many subscriptions are open."""
        return len(self._subscriptions)

    async def subscribe(
        self, request: SubscriptionRequest, *, on_close: Callable[[], object] = lambda: None
    ) -> Subscription:
        """Begin to follow a session. Close what you get, unless you give it to an EventStreamResponse.

        `on_close` is called when it has ended, and also when it never begins.

        Raises StoreUnavailable when nothing can be told without Postgres, SessionUnknown when the session is not
        there. While the hub drains, the subscription ends as soon as it began, with the words of a drain.
        """
        try:
            feed = await self._feed(request.session)
        except BaseException:
            on_close()
            raise
        subscription = Subscription(request, feed, self._sources, self._left)
        # Join before anything is read: what is published in between then arrives twice, in the page and in the
        # ring, and the cursor drops the second copy. The other order can lose it.
        feed.join(subscription)
        self._subscriptions[subscription] = on_close
        self._observer.subscribed()
        try:
            await subscription.open()
        except BaseException:
            subscription.close()
            raise
        if self.draining:
            subscription.end(Ending.DRAIN)
        return subscription

    async def drain(self, over_s: float | None = None) -> None:
        """End all subscriptions in waves over `over_s` seconds, then let go of those that don't leave.

        Each client gets `drain` and a random `retry`, and comes back elsewhere with its cursor.
        """
        over_s, grace_s = over_s or self.options.drain_s, self.options.drain_grace_s
        self.draining = True
        waiting = list(self._subscriptions)
        self._chance.shuffle(waiting)
        size = -(-len(waiting) // DRAIN_WAVES) or 1
        for start in range(0, len(waiting), size):
            for subscription in waiting[start : start + size]:
                subscription.end(Ending.DRAIN)
            await self._clock.sleep(over_s / DRAIN_WAVES)
        for subscription in list(self._subscriptions):
            subscription.end(Ending.DRAIN)
        deadline = self._clock.monotonic() + grace_s
        while self._subscriptions and self._clock.monotonic() < deadline:
            await self._clock.sleep(grace_s / DRAIN_WAVES)
        for subscription in list(self._subscriptions):
            subscription.abort()

    def stats(self) -> HubStats:
        """Count what the hub holds."""
        rings = [feed.ring for feed in self._feeds.values()]
        return HubStats(
            feeds=len(self._feeds),
            subscribers=len(self._subscriptions),
            ring_events=sum(len(ring) for ring in rings),
            ring_bytes=sum(ring.bytes for ring in rings),
            page_bytes=self._catchup.bytes,
            stream_away=self._tail.stream_away or not self._wakes.connected,
            store_away=self._tail.store_away,
        )

    # --- feeds -------------------------------------------------------------------------------------

    async def _feed(self, session: int) -> Feed:
        # A loop, since a feed may be dropped again before its first subscriber gets its turn.
        while (feed := self._feeds.get(session)) is None:
            start = self._starting.get(session)
            if start is None:
                start = self._starting[session] = Flight()
                self._tasks.spawn(self._start(session, start))
            # All first subscribers wait for the same start; one that leaves doesn't stop it.
            await start.wait()
        return feed

    async def _start(self, session: int, start: Flight[None]) -> None:
        try:
            if (leaving := self._leaving.get(session)) is not None:
                await asyncio.wait([leaving])
            # Watch before the head is read: an event after that head then wakes us. The other order can miss it.
            await self._watch(session)
            try:
                pulse = await self._pulses.of(session)
                if pulse is None:
                    raise SessionUnknown(str(session))
            except BaseException:
                self._unwatch(session)
                raise
        except Exception as error:  # noqa: BLE001  # whoever waits gets it, whatever it is
            del self._starting[session]
            start.fail(error)
            return
        except BaseException:
            del self._starting[session]
            start.fail(StoreUnavailable("the gateway is stopping"))
            raise
        feed = Feed(
            session,
            pulse,
            self.options,
            on_removed=self._catchup.forget,
            chorus=Chorus(self._clock, self._observer),
        )
        feed.empty_since = feed.refreshed_at = self._clock.monotonic()
        self._feeds[session] = feed
        del self._starting[session]
        # A wake-up that came while the head was on its way here found no feed: look once.
        self._tail.wake(session)
        start.land(None)

    async def _watch(self, session: int) -> None:
        waits = self._clock.monotonic() >= self._watch_distrusted_until
        try:
            async with asyncio.timeout(WATCH_DEADLINE_S if waits else 0):
                await self._wakes.watch(session)
        except TimeoutError:
            # It stays asked for, and is in force when Redis answers again. Until then the head check brings the news.
            if not waits:
                return
            self._watch_distrusted_until = self._clock.monotonic() + WATCH_DISTRUST_S
            log.warning("stream.watch_unanswered", session=session)

    def _drop(self, feed: Feed) -> None:
        del self._feeds[feed.session]
        self._unwatch(feed.session)

    def _unwatch(self, session: int) -> None:
        async def unwatch() -> None:
            try:
                await self._wakes.unwatch(session)
            finally:
                del self._leaving[session]

        self._leaving[session] = self._tasks.spawn(unwatch())

    # --- subscriptions -----------------------------------------------------------------------------

    def _left(self, subscription: Subscription) -> None:
        now = self._clock.monotonic()
        subscription.feed.leave(subscription, now)
        self._subscriptions.pop(subscription)()
        ending = subscription.ending or Ending.CLIENT
        self._observer.ended(ending)
        log.info(
            "subscription.ended",
            session=subscription.feed.session,
            cursor=subscription.cursor,
            ending=ending.value,
        )

    async def _tick_regularly(self) -> None:
        while True:
            await self._clock.sleep(self.options.tick_s)
            self._tick(self._clock.monotonic())

    def _tick(self, now: float) -> None:
        for subscription in list(self._subscriptions):
            try:
                subscription.tick(now)
            except Exception:  # a mistake of ours about one of them: the others have deadlines, too
                log.exception("subscription.tick_failed", session=subscription.feed.session)
        for feed in list(self._feeds.values()):
            try:
                self._tick_feed(feed, now)
            except Exception:
                log.exception("feed.tick_failed", session=feed.session)

    def _tick_feed(self, feed: Feed, now: float) -> None:
        if feed.chorus and feed.chorus.at != feed.head:
            # A second is the most that an untold event costs them.
            self._observer.untold(len(feed.chorus))
            feed.wake()
        feed.chorus.beat(now, self.options.heartbeat_s)
        if feed.empty_since is not None and now - feed.empty_since >= self.options.linger_s:
            self._drop(feed)
        elif now - feed.refreshed_at >= self.options.rest_s and len(feed.ring):
            feed.ring.restart(feed.head)
