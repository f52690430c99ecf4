"""One per watched session: how far this process knows the session, its ring, and what its subscribers must be told.

The feed accepts events in order only. Whoever brings them learns of a gap and fills it from the store, once for all
subscribers.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from holdfast.events.clock import SystemClock
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Page, Pulse, Quiet, SessionStatus
from holdfast.gateway.chorus import Chorus
from holdfast.gateway.observer import Silent
from holdfast.gateway.options import HubOptions
from holdfast.gateway.ring import Entry, Ring


class Follower(Protocol):
    """Who stands at a feed. Both calls return at once."""

    def wake(self) -> None:
        """Look at the feed again."""
        ...

    def rewind(self, head: int) -> None:
        """Forget what lies beyond `head`: it is not in the log any more."""
        ...


class Feed:
    """What this process knows of one session. Not a queue: followers read it at their own pace or miss out."""

    def __init__(
        self,
        session: int,
        pulse: Pulse,
        options: HubOptions,
        *,
        on_removed: Callable[[int], None] = lambda session: None,
        chorus: Chorus | None = None,
    ) -> None:
        self.session = session
        # Not `or`: one without members is empty, and would be replaced by one with another clock.
        self.chorus = Chorus(SystemClock(), Silent()) if chorus is None else chorus
        self._chunk_bytes = options.chunk_bytes
        self._on_removed = on_removed  # events were erased or lost: drop other copies of them
        self.ring = Ring(pulse.head, events_max=options.ring_events, bytes_max=options.ring_bytes)
        self.heard = (
            pulse.head
        )  # the highest head that was heard of; above `head` something is owed
        self.status = pulse.status
        self.status_head = pulse.head  # the head with which the status was seen
        self.stalled_since: datetime | None = pulse.stalled_since
        self.missing = False  # the session's row is gone
        self.turns = 0  # how often there was something new; who has seen this many has seen all
        self.generation = 0  # how often the history was lost
        self.refreshed_at = 0.0  # when an event was last taken in
        self.empty_since: float | None = None  # since when nobody follows
        # Who has to be woken: all but the members of the chorus. A dict for its order: waking in order of arrival makes
        # runs repeatable.
        self.followers: dict[Follower, None] = {}

    @property
    def head(self) -> int:
        """The last seq that this feed took in."""
        return self.ring.head

    @property
    def floor(self) -> int:
        """The seq before the first frame of the ring; a cursor below it is served by the store."""
        return self.ring.floor

    @property
    def distrusts_stream(self) -> bool:
        """Whether the Redis window may hold events that the log lost: then only the store is read."""
        return self.generation > 0

    @property
    def granted(self) -> Quiet:
        """What the store need not say again, were it so; nothing while this session is anything but at rest."""
        quiet = (
            self.status is SessionStatus.ACTIVE and self.stalled_since is None and not self.missing
        )
        return Quiet(self.session, self.ring.head if quiet else -1, self.ring.floor)

    def take(self, events: Sequence[RecordedEvent]) -> bool:
        """Take in what follows the head; drop what is known. Returns whether a gap kept anything out.

        Nobody is told: that is owed, with `tell`, before the event loop turns.
        """
        ring = self.ring
        for recorded in events:
            seq, head = recorded.seq, ring.head
            if seq == head + 1:
                self._append(recorded)
            elif seq > head:
                self.heard = max(self.heard, seq)
                return True
        return False

    def admit(self, page: Page) -> None:
        """Take in an unfiltered page of the store. What is missing in it was compacted: that is no gap.

        The page must have been read from at or below the head.
        """
        before = self.head
        for recorded in page.items:
            if recorded.seq <= self.head:
                continue
            if recorded.seq > self.head + 1:
                # The ring stays contiguous: it begins anew behind the hole. Readers before it get the page.
                self.ring.restart(recorded.seq - 1)
            self._append(recorded)
        if page.through > self.head:
            self.ring.restart(page.through)
        if page.through == page.head:
            # The store has the last word on what there is; a wake-up may have promised events that were lost.
            self.heard = max(self.head, page.head)
        self.tell(before)

    def note(self, pulse: Pulse | None) -> None:
        """Note what the store says beside the events: retention, status, a stalled run."""
        if pulse is None:
            self.missing = True
            self.wake()
            return
        before = (self.status, self.stalled_since)
        self.heard = max(self.heard, pulse.head)
        # An answer that was under way while the session's last event came in is older than what is known.
        if pulse.status is not self.status and pulse.head >= self.status_head:
            self.status, self.status_head = pulse.status, pulse.head
        self.stalled_since = pulse.stalled_since
        if pulse.min_seq > self.floor + 1:
            # Retention moved on; the ring must not serve what a page would refuse.
            self.ring.forget(pulse.min_seq - 1)
        if before != (self.status, self.stalled_since):
            self.wake()

    def rewind(self, head: int) -> None:
        """Go back to `head`: the store no longer has what lies beyond."""
        self.generation += 1
        self.ring.restart(head)
        self._on_removed(self.session)
        self.chorus.disperse()
        self.heard = head
        self.status_head = min(self.status_head, head)
        for follower in list(self.followers):
            follower.rewind(head)
        self.wake()

    def wake(self) -> None:
        """Wake everybody who waits."""
        self.turns += 1
        self.chorus.disperse()
        self._wake_followers()

    def join(self, follower: Follower) -> None:
        """Begin to wake `follower`. Join first and read afterwards: nothing falls in between."""
        self.followers[follower] = None
        self.empty_since = None

    def leave(self, follower: Follower, now: float) -> None:
        """Stop waking `follower`."""
        self.followers.pop(follower, None)
        if not self.followers and not self.chorus and self.empty_since is None:
            self.empty_since = now

    def _append(self, recorded: RecordedEvent) -> None:
        if recorded.type == "session.erased":
            # Everything before is deleted for good, from here as well.
            self.ring.restart(recorded.seq - 1)
            self._on_removed(self.session)
            self.status, self.status_head = SessionStatus.ERASED, recorded.seq
        elif recorded.type == "session.expired":
            self.status, self.status_head = SessionStatus.EXPIRED, recorded.seq
        self.ring.append(Entry(recorded))

    def tell(self, before: int) -> None:
        """Tell everybody of what came after `before`, the head when they were last told."""
        self.heard = max(self.heard, self.head)
        if self.head == before:
            return
        self.turns += 1
        if self.chorus and not self._sung():
            self.chorus.disperse()
        self._wake_followers()

    def _sung(self) -> bool:
        """Tell the chorus what is new, if that is all there is to say."""
        at, ring = self.chorus.at, self.ring
        if self.status is not SessionStatus.ACTIVE or not ring.floor <= at < ring.head:
            return False
        piece = ring.joined(at, self._chunk_bytes)
        return piece.last == ring.head and self.chorus.sing(piece)

    def _wake_followers(self) -> None:
        for follower in self.followers:
            follower.wake()
