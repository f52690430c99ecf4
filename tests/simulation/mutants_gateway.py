"""Deliberate bugs of the gateway: see `mutants`."""

# pyright: reportPrivateUsage=false

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from holdfast.events.recorded import RecordedEvent
from holdfast.gateway.catchup import Catchup, Key, Leaf
from holdfast.gateway.chorus import Chorus, Voice
from holdfast.gateway.feed import Feed
from holdfast.gateway.outlet import Outlet
from holdfast.gateway.reading import Reading
from holdfast.gateway.request import Sources, SubscriptionRequest
from holdfast.gateway.ring import Piece
from holdfast.gateway.selection import Selection
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.tail import Tail
from holdfast.gateway.tasks import Flight

Patches = Iterable[tuple[type | Any, str, Any]]
"""What a mutant puts in the place of what: owner, name, mutation."""


class _Holes:
    """Feeds with events missing, which their readers pass over."""

    def __init__(self) -> None:
        self._holes: dict[Feed, tuple[int, int]] = {}

    def take(self, feed: Feed, events: Sequence[RecordedEvent]) -> None:
        for recorded in events:
            if recorded.seq > feed.head:
                if recorded.seq > feed.head + 1:
                    self._holes[feed] = (feed.head, recorded.seq - 1)
                    feed.ring.restart(recorded.seq - 1)
                feed._append(recorded)

    def needs_page(self, reading: Reading) -> bool:
        begin, end = self._holes.get(reading._feed, (0, 0))
        if reading._leaf is None and begin <= reading.position.accounted < end:
            reading.position.account(end)
        return reading._leaf is None and reading.position.accounted < reading._ring.floor


def gap_ignored() -> Patches:
    """What comes from the window is taken as it comes, and whoever stood before a hole goes on behind it."""
    holes = _Holes()

    def offer(self: Tail, feed: Feed, events: Sequence[RecordedEvent]) -> bool:
        before = feed.head
        holes.take(feed, events)
        feed.tell(before)
        return False

    yield Tail, "_offer", offer
    yield Reading, "needs_page", property(holes.needs_page)


def push_unchecked() -> Patches:
    """What a wake-up carries is taken as it comes, wherever the feed stands."""
    holes = _Holes()

    def pushed(
        self: Tail, feed: Feed, events: Sequence[RecordedEvent], told: dict[Feed, int]
    ) -> bool:
        told.setdefault(feed, feed.head)
        holes.take(feed, events)
        return True

    yield Tail, "_pushed", pushed
    yield Reading, "needs_page", property(holes.needs_page)


def from_the_end() -> Patches:
    """The stream begins with what comes next, as XREAD does from `$`."""
    init = Reading.__init__

    def begin(self: Reading, request: SubscriptionRequest, feed: Feed, sources: Sources) -> None:
        init(self, request, feed, sources)
        if request.cursor < feed.head:
            self.position.account(feed.head)

    yield Reading, "__init__", begin


def inclusive_after() -> Patches:
    """A resumed stream begins with the event at its cursor."""
    init = Reading.__init__

    def begin(self: Reading, request: SubscriptionRequest, feed: Feed, sources: Sources) -> None:
        init(self, replace(request, cursor=max(0, request.cursor - 1)), feed, sources)

    yield Reading, "__init__", begin


def cursor_ignored() -> Patches:
    """Whatever a client has, it gets everything."""
    init = Reading.__init__

    def begin(self: Reading, request: SubscriptionRequest, feed: Feed, sources: Sources) -> None:
        init(self, replace(request, cursor=0), feed, sources)

    yield Reading, "__init__", begin


def id_on_heartbeat() -> Patches:
    """A sign of life carries the head that was heard of as its id."""
    silence = Subscription._break_silence

    def break_silence(self: Subscription) -> bytes:
        said = silence(self)
        return said and said + b"id: %d\n\n" % (self.feed.heard + 1)

    yield Subscription, "_break_silence", break_silence


def slow_client_skips() -> Patches:
    """A reader that fell out of the ring goes on at its floor."""

    def needs_page(self: Reading) -> bool:
        if self._leaf is None and 0 < self.position.accounted < self._ring.floor:
            self.position.account(self._ring.floor)
        return self._leaf is None and self.position.accounted < self._ring.floor

    yield Reading, "needs_page", property(needs_page)


def chorus_forgotten() -> Patches:
    """Who leaves the chorus goes on from where it joined."""
    step_out = Subscription.step_out

    def begin_again(self: Subscription, at: int, said_at: float) -> None:
        step_out(self, min(at, self._reading.cursor), said_at)

    yield Subscription, "step_out", begin_again


def chorus_skips() -> Patches:
    """Several events that come at once are told to nobody in a chorus."""
    sing = Chorus.sing

    def passed_over(self: Chorus, piece: Piece) -> bool:
        if piece.events > 1:
            self.at = piece.last
            return True
        return sing(self, piece)

    yield Chorus, "sing", passed_over


def chorus_joined_anywhere() -> Patches:
    """Who joins the chorus is taken to stand where the others do."""
    join = Chorus.join

    def unasked(self: Chorus, voice: Voice, outlet: Outlet, at: int, said_at: float) -> bool:
        return join(self, voice, outlet, self.at if self else at, said_at)

    yield Chorus, "join", unasked
    yield Reading, "abreast", property(_nearly_abreast)


def _nearly_abreast(reading: Reading) -> bool:
    return reading._selection.everything and reading._leaf is None and not reading._resets


def chorus_falls_silent() -> Patches:
    """Who stands at a head gets events and nothing else."""

    def beat(self: Chorus, now: float, heartbeat_s: float) -> None:
        return None

    yield Chorus, "beat", beat


def wake_up_lost() -> Patches:
    """Readers that sleep alone are told of what is new by the next sign of life, or never."""

    def nobody(self: Feed) -> None:
        return None

    yield Feed, "_wake_followers", nobody


def pages_of_others() -> Patches:
    """Pages are shared by their cursor alone."""
    fly = Catchup._fly

    async def leaf(
        self: Catchup, session: int, selection: Selection, *, after: int, until: int | None = None
    ) -> Leaf:
        key: Key = (0, after, until, *selection.key)
        if (kept := self._kept.get(key)) is not None:
            return kept[1]
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            self._spawn(fly(self, key, flight, session, selection, after, until))
        return await flight.wait()

    yield Catchup, "leaf", leaf
