"""One per process: brings the news of all watched sessions to their feeds.

A wake-up carries what was just appended to a session's Redis window, or says that there is news: then one targeted
read of all such windows brings it, as it does when what was carried doesn't follow the feed's head. Whatever is missing
comes from the store. Wake-ups are hints: every few seconds one query compares the heads of all feeds with the store,
and this alone keeps clients live when Redis is gone.
"""

import asyncio
import random
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import StoreUnavailable, StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Pulse, Reader
from holdfast.events.stream import Wake, Wakes, Window
from holdfast.gateway.feed import Feed
from holdfast.gateway.observer import Observer, Repair
from holdfast.gateway.options import HubOptions
from holdfast.gateway.pulses import PULSES_MAX
from holdfast.gateway.tasks import Tasks

log: structlog.stdlib.BoundLogger = structlog.get_logger(__name__)

# Streams in one read: XREAD over 1,000 keys costs Redis 0.3 ms, during which it serves nobody else.
WINDOW_SESSIONS_MAX = 1000

# Entries in one read of all its streams: 20,000 × ~400 bytes = 8 MB. One stream alone gives at most a quarter of a
# default window's 2,048, so that one hot session doesn't make the others wait for the parsing of it all.
WINDOW_ENTRIES_MAX = 20_000
WINDOW_ENTRIES_EACH_MAX = 512
WINDOW_ENTRIES_EACH_MIN = 16

# Feeds being filled from the store at once. As catch-up: the pool has as many connections.
FILLS_MAX = 4

# A Redis that neither answers nor refuses counts as away: well under the promised 10 s, and 1,000 times a usual read.
WINDOW_DEADLINE_S = 2.0

_JITTER = 0.2


class Tail:
    """Feeds are added and removed by the hub; everything else happens by itself once `run` was called."""

    def __init__(
        self,
        *,
        reader: Reader,
        window: Window,
        wakes: Wakes,
        clock: Clock,
        chance: random.Random,
        options: HubOptions,
        observer: Observer,
        tasks: Tasks,
        feeds: Mapping[int, Feed],
    ) -> None:
        self._reader, self._window, self._wakes = reader, window, wakes
        self._clock, self._chance = clock, chance
        self._options, self._observer, self._tasks = options, observer, tasks
        self._feeds = feeds
        self._woken: dict[int, None] = {}  # sessions with news, in order
        self._news = asyncio.Event()
        self._check_wanted = asyncio.Event()
        self._checking = asyncio.Lock()
        self._checked_at = self._compared_at = clock.monotonic()
        self._filling: dict[Feed, bool] = {}  # whether to begin again when done
        self._fills = asyncio.Semaphore(FILLS_MAX)
        # Half a ring: what readers aren't told of in time falls out of it, and costs them a page.
        self._told_at = max(1, options.ring_events // 2)
        self.stream_away = False
        self.store_away = False

    def run(self) -> None:
        """Start the loops."""
        for loop in (self._listen, self._read_news, self._check_regularly, self._check_soon):
            self._tasks.forever(loop)

    def wake(self, session: int, head: int | None = None) -> None:
        """Read the session's window soon; with `head`, only if that is news, and until it is reached."""
        feed = self._feeds.get(session)
        if feed is None:
            return
        if head is not None:
            if head <= feed.head:
                return
            feed.heard = max(feed.heard, head)
        self._woken[session] = None
        self._news.set()

    def check_soon(self) -> None:
        """Compare all heads with the store without waiting for the next round."""
        self._check_wanted.set()

    # --- news from Redis ---------------------------------------------------------------------------

    async def _listen(self) -> None:
        await self._wakes.listen(self._hear)

    def _hear(self, wakes: Sequence[Wake]) -> None:
        """Take in what wake-ups carry, and see to the rest. Called as they come from the socket, many at a time."""
        told: dict[Feed, int] = {}  # the head that each feed's readers know of
        for session, head, events in wakes:
            if session is None:
                self._look_at_all()
            elif (feed := self._feeds.get(session)) is None:
                continue
            elif not events or not self._pushed(feed, events, told):
                self.wake(session, head)
        # Each feed once: what came together goes out in one write to each reader.
        self._tell(told)

    def _pushed(self, feed: Feed, events: Sequence[RecordedEvent], told: dict[Feed, int]) -> bool:
        """Take in events that a wake-up carried, believing them as the window; return whether that was all of it."""
        before = feed.head
        gap = feed.distrusts_stream or self._take(feed, events)
        if feed.head > before:
            self._observer.pushed(feed.head - before)
            if feed.head - told.setdefault(feed, before) >= self._told_at:
                self._tell({feed: told.pop(feed)})
        if gap:
            self._observer.push_refused()
        return not gap

    def _tell(self, told: Mapping[Feed, int]) -> None:
        now = self._clock.monotonic() if told else 0.0
        for feed, before in told.items():
            feed.refreshed_at = now
            try:
                feed.tell(before)
            except Exception:
                # A mistake of ours about one session; the others have been given their events, too.
                log.exception("feed.untold", session=feed.session, head=feed.head)

    def _look_at_all(self) -> None:
        # Some may have been lost. Both ways at once: the window serves hot sessions even while the store is away, the
        # store knows those whose window has gone.
        for session in list(self._feeds):
            self.wake(session)
        self.check_soon()

    async def _read_news(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            woken, self._woken = self._woken, {}
            sessions = iter(woken)
            answering = True
            while batch := list(islice(sessions, WINDOW_SESSIONS_MAX)):
                # A Redis that hangs makes this round wait once, not once for every thousand sessions.
                answering = await self._read(batch, ask=answering)
            await asyncio.sleep(0)

    async def _read(self, sessions: Iterable[int], *, ask: bool) -> bool:
        """Bring news of the sessions, from the window if it may be asked; return whether it may be asked again."""
        feeds = {session: feed for session in sessions if (feed := self._feeds.get(session))}
        trusting = {s: feed for s, feed in feeds.items() if not feed.distrusts_stream}
        for feed in feeds.values():
            if feed.distrusts_stream:
                self.fill(feed, Repair.GAP)
        if not trusting:
            return ask
        limit = WINDOW_ENTRIES_MAX // len(trusting)
        limit = max(WINDOW_ENTRIES_EACH_MIN, min(WINDOW_ENTRIES_EACH_MAX, limit))
        heads = {session: feed.head for session, feed in trusting.items()}
        owed = {session: feed.heard for session, feed in trusting.items()}
        entries = await self._read_window(heads, limit) if ask else None
        for session, feed in trusting.items():
            # Dropped, or rewound, while the answer was under way: it is about another feed or another history.
            if self._feeds.get(session) is not feed or feed.distrusts_stream:
                continue
            if entries is None:
                # Known to be behind: at once. Perhaps behind: one query for all of these beats a page for each.
                if feed.head < feed.heard:
                    self.fill(feed, Repair.AWAY)
                else:
                    self.check_soon()
                continue
            news = entries.get(session, ())
            if self._offer(feed, news):
                self.fill(feed, Repair.GAP)
            elif len(news) >= limit:
                self.wake(session)
            elif feed.head < owed[session]:
                # Trimmed, flushed or never published: whoever woke us knows of more than the window has. What was
                # heard of while the answer was under way is read next.
                self.fill(feed, Repair.BEHIND)
        return entries is not None

    async def _read_window(
        self, cursors: Mapping[int, int], limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]] | None:
        try:
            async with asyncio.timeout(WINDOW_DEADLINE_S):
                entries = await self._window.read(cursors, limit=limit)
        except (StreamUnavailable, TimeoutError) as error:
            if not self.stream_away:
                log.warning("stream.unavailable", error=str(error) or "no answer")
            self._observer.unavailable("stream")
            self.stream_away = True
            return None
        if self.stream_away:
            log.info("stream.available")
        self.stream_away = False
        return entries

    def _offer(self, feed: Feed, events: Sequence[RecordedEvent]) -> bool:
        before = feed.head
        gap = self._take(feed, events)
        if feed.head > before:
            self._tell({feed: before})
            self._observer.tailed(feed.head - before)
        return gap

    def _take(self, feed: Feed, events: Sequence[RecordedEvent]) -> bool:
        try:
            return feed.take(events)
        except Exception:
            # An entry that can't be framed is not by our codec, or the mistake is ours: the store decides, what was
            # taken before it is told, and the other feeds go on.
            log.exception("feed.untaken", session=feed.session, head=feed.head)
            return True

    # --- the truth from the store ------------------------------------------------------------------

    def fill(self, feed: Feed, cause: Repair) -> None:
        """Bring the feed to the store's head, once for all its subscribers."""
        if feed in self._filling:
            # The page under way may be older than what is asked for now.
            self._filling[feed] = True
            return
        self._filling[feed] = False
        self._observer.repaired(cause)
        log.debug("feed.fill", session=feed.session, after=feed.head, heard=feed.heard, cause=cause)
        self._tasks.spawn(self._fill(feed))

    async def _fill(self, feed: Feed) -> None:
        try:
            async with self._fills:
                whole = False
                while not whole and self._feeds.get(feed.session) is feed:
                    self._filling[feed] = False
                    generation, before = feed.generation, feed.head
                    page = await self._reader.read(feed.session, after=before)
                    if feed.generation == generation:
                        feed.admit(page)
                        feed.refreshed_at = self._clock.monotonic()
                        self._observer.tailed(len(page.items))
                        if page.head < before:
                            self.check_soon()  # history was lost; the check judges
                    whole = page.through >= page.head and not self._filling[feed]
                    await asyncio.sleep(0)
            self._store_answered()
        except StoreUnavailable as error:
            # The session waits for the next check, which comes within a second while the store is away.
            self._store_failed(error)
        finally:
            del self._filling[feed]

    async def _check_regularly(self) -> None:
        # Short sleeps, so that a Redis that goes away in the middle of a round shortens that round.
        patience = jittered(self._options.check_s, _JITTER, self._chance)
        while True:
            step = min(self._options.check_s, self._options.check_away_s)
            await self._clock.sleep(jittered(step, _JITTER, self._chance))
            away = self.stream_away or self.store_away or not self._wakes.connected
            if away or self._clock.monotonic() - self._checked_at >= patience:
                await self.check()
                patience = jittered(self._options.check_s - step, _JITTER, self._chance)

    async def _check_soon(self) -> None:
        while True:
            await self._check_wanted.wait()
            self._check_wanted.clear()
            await self.check()

    async def check(self) -> None:
        """Compare every feed with the store and act on what differs, at the first sighting."""
        async with self._checking:
            feeds = list(self._feeds.values())
            behind = 0
            for start in range(0, len(feeds), PULSES_MAX):
                behind += await self._check(feeds[start : start + PULSES_MAX])
            self._checked_at = self._clock.monotonic()
            if not self.store_away:
                self._observer.checked(self._checked_at - self._compared_at)
                self._compared_at = self._checked_at
            if behind:
                self._observer.caught_behind(behind)
        if self.stream_away and self._wakes.connected and self._feeds:
            # A quiet process would not notice that reads work again. After the comparison: what a Redis that hangs
            # takes to say nothing must not keep clients waiting.
            session, feed = next(iter(self._feeds.items()))
            await self._read_window({session: feed.head}, 1)

    async def _check(self, feeds: Sequence[Feed]) -> int:
        # What was known before the query, the head above all: compared with the heads of after it, news from Redis that
        # overtook the query would look like lost history.
        before = {feed.session: (feed, feed.head, feed.generation) for feed in feeds}
        try:
            changes = await self._reader.changes([feed.granted for feed in feeds])
        except StoreUnavailable as error:
            self._store_failed(error)
            return 0
        self._store_answered()
        behind = 0
        for session, pulse in changes.items():
            feed, head, generation = before[session]
            if self._feeds.get(session) is feed and feed.generation == generation:
                behind += self._compare(feed, head, pulse)
        return behind

    def _compare(self, feed: Feed, known: int, pulse: Pulse | None) -> bool:
        if pulse is not None and pulse.head < known:
            log.error("feed.rewound", session=feed.session, head=feed.head, store_head=pulse.head)
            self._observer.rewound()
            feed.rewind(pulse.head)
        feed.note(pulse)
        if pulse is None or pulse.head <= feed.head:
            return False
        if self.stream_away or not self._wakes.connected:
            self.fill(feed, Repair.AWAY)
        else:
            self.wake(feed.session, pulse.head)
        return True

    def _store_answered(self) -> None:
        if self.store_away:
            log.info("store.available")
        self.store_away = False

    def _store_failed(self, error: StoreUnavailable) -> None:
        if not self.store_away:
            log.warning("store.unavailable", error=str(error))
        self._observer.unavailable("store")
        self.store_away = True
