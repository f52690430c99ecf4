"""Where one client stands in its session, what it wants, and what it gets next. No clock, no waiting, no connection.

Below the ring it reads the store, in the ring it reads memory; one that falls out of the ring is simply below it again.
"""

from dataclasses import replace

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import Reader, SessionStatus
from holdfast.gateway.catchup import Leaf, scan_end
from holdfast.gateway.commentary import Commentary
from holdfast.gateway.ending import Ending
from holdfast.gateway.feed import Feed
from holdfast.gateway.position import Position
from holdfast.gateway.request import Sources, SubscriptionRequest
from holdfast.gateway.selection import ALL, EVERYTHING, Selection
from holdfast.gateway.sift import sift

# Frames between two turns of the event loop: writes to a connection that is gone return without suspending, and a
# long replay to one would otherwise freeze the process.
FRAMES_PER_TURN = 50

# A page's frames were joined for everybody who reads it: so many of them, or so many bytes, cost this client what one
# does that it looks at itself. Two pages of 500 and what came after them go out in one turn, so in one write: 50 × 8
# KiB and the piece of 256 KiB that passes them are 656 KiB at most, mostly shared with whoever else reads the same.
PAGE_FRAMES_AS_ONE = 25
PAGE_BYTES_AS_ONE = 8 * 1024

# How a session's status ends a stream that has everything.
_STATUS_ENDINGS = {
    SessionStatus.EXPIRED: Ending.EXPIRED,
    SessionStatus.ERASED: Ending.GONE,
}


class Reading:
    """Moves on by at most one piece at a time; holds a cursor and at most one page, never a queue."""

    def __init__(self, request: SubscriptionRequest, feed: Feed, sources: Sources) -> None:
        self.position = Position(request.cursor)
        self.examined = 0  # entries since the caller last let the event loop turn
        self._request, self._feed, self._sources = request, feed, sources
        self._ring = feed.ring
        self._selection = (
            ALL
            if request.types is EVERYTHING and request.agent is None and request.run_id is None
            else Selection(request.types, request.agent, request.run_id)
        )
        self._over_at: int | None = (
            None  # where the stream of a run ends whose terminal event is behind or gone
        )
        self._family_head = -1  # the head for which the run's family is complete
        self._leaf: Leaf | None = None
        self._turned = 0  # pieces of the leaf already taken
        self._rewound: int | None = None
        self._resets: list[bytes] = []
        self._commentary = Commentary()

    @property
    def cursor(self) -> int:
        """The seq up to which nothing is owed to the client."""
        return self.position.accounted

    @property
    def needs_page(self) -> bool:
        """Whether only the store has what comes next."""
        return self._leaf is None and self.position.accounted < self._ring.floor

    @property
    def has_more(self) -> bool:
        """Whether there is something to take without waiting for news."""
        owes = self._leaf is not None or self._rewound is not None
        return owes or self.position.accounted < self._ring.head

    async def open(self) -> bool:
        """Judge the cursor; return whether nothing is owed and nothing will come.

        Raises StoreUnavailable when only the store could tell, SessionUnknown when it knows no such session.
        """
        request, feed = self._request, self._feed
        if request.run_id is not None:
            await self._find_family(feed.head)
        head = feed.head
        if request.cursor > head:
            # This process may be behind; a client that was elsewhere before is not wrong for that.
            pulse = await self._sources.pulses.of(request.session)
            if pulse is None:
                raise SessionUnknown(str(request.session))
            feed.note(pulse)
            head = max(pulse.head, feed.head)
            self._sources.tail.wake(request.session, head)
            if request.cursor > head:
                self._resets.append(self.position.reset(head, "ahead", head=head))
        elif request.cursor < feed.floor:
            await self.turn_page()
            if self._leaf is None:
                raise StoreUnavailable("the store has less than this process has seen")
            if request.run_id is None:
                head = max(head, self._leaf.head)
        self._commentary.connected(head)
        if request.run_ended and not await self._has_terminal():
            self._over_at = head
        below = self._leaf is not None and self._leaf.min_seq > self.cursor + 1
        over = self._over_at is not None or self._ending() is not None
        return over and not self._resets and not below

    async def turn_page(self) -> None:
        """Get the next page from the store, if it has one. Raises StoreUnavailable."""
        feed, after, until = self._feed, self.cursor, None
        generation = feed.generation
        if self._request.run_id is not None:
            if self._family_head <= after:
                await self._find_family(feed.head)
            # Beyond it there may be events of runs that the family doesn't have yet.
            until = self._family_head
        leaf = await self._sources.catchup.leaf(
            feed.session, self._selection, after=after, until=until
        )
        if leaf.through <= after:
            # The store has less than this process has seen: whether history was lost is for the head check to say.
            self._sources.tail.check_soon()
        elif feed.generation == generation:
            self._leaf, self._turned = leaf, 0
            self._sources.tail.wake(feed.session, leaf.head)

    def advance(self) -> tuple[list[bytes], int, Ending | None]:
        """Return what to say now (nothing, or about one piece), how many events are in it, and whether it is all."""
        said = self._take_resets()
        events = 0
        ending: Ending | None = None
        if self._leaf is not None:
            events, ending = self._from_leaf(self._leaf, said)
        elif self._ring.floor <= self.position.accounted < self._ring.head:
            events, ending = self._from_ring(said)
        if comments := self._commentary.due(self.position, self._feed.stalled_since):
            said += comments
        return said, events, ending or self._ending()

    @property
    def abreast(self) -> bool:
        """Whether this client stands at the head, wants everything, and nothing but the next event is due to it."""
        feed, at = self._feed, self.position.accounted
        return (
            self._selection.everything
            and at == self.position.told == self._ring.head
            and self._leaf is None
            and self._rewound is None
            and not self._resets
            and not feed.missing
            and feed.status is SessionStatus.ACTIVE
            and self._commentary.silent(feed.stalled_since)
        )

    def rewind(self, head: int) -> None:
        """Forget what lies beyond `head`: the log lost it. The client is told with a `reset`."""
        self._rewound = head if self._rewound is None else min(self._rewound, head)
        self._leaf = None

    def drop_page(self) -> None:
        """Hold nothing any more."""
        self._leaf = None

    async def _has_terminal(self) -> bool:
        """Whether the terminal event of a run that has ended is still to come for this cursor."""
        assert self._request.run_id is not None
        session, run_id, cursor = self._feed.session, self._request.run_id, self.cursor
        return await self._sources.lookups.ask(
            ("terminal", session, run_id, cursor),
            lambda: has_terminal(self._sources.reader, session, run_id, cursor=cursor),
        )

    async def _find_family(self, head: int) -> None:
        # A head first, the family afterwards: every run with an event up to this head was there to be found.
        assert self._request.run_id is not None
        run_id = self._request.run_id
        family = await self._sources.lookups.ask(
            ("family", run_id), lambda: self._sources.reader.run_family(run_id)
        )
        family |= self._selection.family | {run_id}
        self._selection = replace(self._selection, family=family)
        self._family_head = head

    def _take_resets(self) -> list[bytes]:
        if not self._resets and self._rewound is None:
            return []
        said, self._resets = self._resets, []
        if self._rewound is not None:
            head, self._rewound = self._rewound, None
            if self.cursor > head:
                said.append(self.position.reset(head, "ahead", head=head))
            self._commentary.rewind(head)
        return said

    def _from_leaf(self, leaf: Leaf, said: list[bytes]) -> tuple[int, Ending | None]:
        if self._turned == 0 and leaf.min_seq > self.cursor + 1:
            earliest = leaf.min_seq
            said.append(self.position.reset(earliest - 1, "retention", earliest=earliest))
        events = 0
        if self._turned < len(leaf.pieces):
            piece = leaf.pieces[self._turned]
            self._turned += 1
            said.append(self.position.take(piece))
            events = piece.events
            of_bytes = len(piece.frames) // PAGE_BYTES_AS_ONE
            self.examined += max(1 + of_bytes, -(-events // PAGE_FRAMES_AS_ONE))
        if self._turned < len(leaf.pieces):
            return events, None
        self.position.account(leaf.through)
        self._leaf = None
        if not leaf.pieces:
            # A page without a wanted event counts as well: a filter that matches nothing may turn thousands of them.
            self.examined += FRAMES_PER_TURN
        return events, leaf.ending

    def _from_ring(self, said: list[bytes]) -> tuple[int, Ending | None]:
        ring, chunk_bytes = self._ring, self._sources.options.chunk_bytes
        if self._selection.everything:
            piece = ring.joined(self.cursor, chunk_bytes)
            said.append(self.position.take(piece))
            self.examined += piece.events
            return piece.events, None  # the feed's status tells of the events that end a session
        sifted = sift(
            ring.entries(self.cursor),
            self._selection,
            after=self.cursor,
            bytes_max=chunk_bytes,
            pieces_max=1,
        )
        said += map(self.position.take, sifted.pieces)
        self.position.account(sifted.through)
        self._selection = sifted.selection
        self.examined += sifted.examined
        return sum(piece.events for piece in sifted.pieces), sifted.ending

    def _ending(self) -> Ending | None:
        """Return how the stream ends without an event that says so; None while it goes on."""
        feed, cursor = self._feed, self.position.accounted
        if self._rewound is not None:
            return None
        if self._over_at is not None and cursor >= self._over_at:
            return Ending.COMPLETE
        if self._leaf is not None:
            return None
        if feed.missing:
            return Ending.GONE
        if feed.status is SessionStatus.ACTIVE or cursor < feed.status_head:
            return None
        return _STATUS_ENDINGS[feed.status]


async def has_terminal(reader: Reader, session: int, run_id: str, *, cursor: int) -> bool:
    """Tell whether the run's terminal event is in the log after `cursor`, looking through bounded parts of it."""
    after, through = -1, cursor
    while after < through:
        after = through
        page = await reader.read(
            session,
            after=after,
            until=scan_end(after),
            limit=1,
            types=TypeFilter(TERMINAL_TYPES),
            run_ids=frozenset({run_id}),
        )
        if page.items or page.through >= page.head:
            return bool(page.items)
        through = page.through
    return False
