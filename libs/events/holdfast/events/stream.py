"""The Redis window over the end of each session, and the wake-ups beside it. Everything here may be late, short,
holed or empty at any time; the store has it all.

Only committed events are published. The same interfaces are kept by Redis and by the in-memory twin, which pass one
contract suite, `tests/contract`.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from holdfast.events.errors import StreamUnavailable
from holdfast.events.recorded import RecordedEvent

# The window: 2,048 events of ~243 bytes in Redis = 0.5 MB for a session, 20 s of 100 events/s.
WINDOW_EVENTS = 2048

# A session of very large events keeps fewer: at most about 8 MiB of bodies, or two batches if those are more.
WINDOW_BYTES = 8 * 1024 * 1024

# A rebased window begins with the newest 256: enough for a ring of the gateway to fill without the store.
REBASE_EVENTS = 256

# The window of a session that is at rest goes after ten minutes; a later reader is served by the store.
REST_TTL_S = 600

# Any other goes an hour after its last event: its run waits for somebody, or its worker is gone. So the windows that
# there are at any time are those of the sessions of the last hour, however many wait; the next event begins one anew.
ACTIVE_TTL_S = 3_600


class Published(StrEnum):
    """What became of a publish."""

    OK = "ok"  # appended
    DUP = "dup"  # every entry was there before
    GAP = "gap"  # nothing was written: the window ends before the entry ahead of the first one


class News(NamedTuple):
    """Contiguous, committed events of one session, for its window; `at_rest` as in `Publisher.publish`."""

    session: int
    events: Sequence[RecordedEvent]
    at_rest: bool = False


class Publisher(Protocol):
    """The owner's (and the sweep's) side of the stream."""

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Append contiguous, committed events to the window and wake the session's readers.

        What is there already is skipped. On GAP call `rebase`. The window lives for ACTIVE_TTL_S from now, or for
        REST_TTL_S `at_rest`. Raises StreamUnavailable; calling again is harmless.
        """
        ...

    async def publish_all(self, news: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        """Do what `publish` does for many sessions, each by itself; return what came of it, in order."""
        ...

    async def rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Begin the window anew with these, unless it already reaches as far: a window never goes back."""
        ...

    async def erase(self, session: int, last: RecordedEvent) -> Published:
        """Leave `last`, the event that erased the session, in the window and nothing else; DUP if it was so.

        Never leaves the window empty, so that what is still on its way to it from before comes too late.
        Raises StreamUnavailable; calling again is harmless.
        """
        ...

    async def drop(self, session: int) -> None:
        """Delete the window, which has what the log doesn't have. Raises StreamUnavailable."""
        ...

    async def hint_work(self, session: int) -> None:
        """Tell the workers that something was asked of a session. A lost hint costs a poll's interval."""
        ...


class Window(Protocol):
    """The reading side: from explicit cursors only."""

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        """Return for each session the entries after its cursor, at most `limit` each, in one call, without blocking.

        The first entry may lie beyond cursor + 1: that is a gap, to be filled from the store. A window that can't be
        made sense of counts as empty and harms no other. Raises StreamUnavailable.
        """
        ...


class Wake(NamedTuple):
    """A session has news, up to `head` if known. `session` None: wake-ups may have been lost, look at all.

    `events` are what was just appended to the window, the last of them `head`, if they are few; else the window has
    them. They are to be believed as the window is: whoever can't continue with them reads.
    """

    # A tuple, since one is made for every event that passes: a frozen dataclass costs four times as much.
    session: int | None
    head: int | None = None
    events: Sequence[RecordedEvent] = ()


Hear = Callable[[Sequence[Wake]], None]
"""Is given the wake-ups that came in together, in order; returns at once."""


class Wakes(Protocol):
    """The wake-ups of watched sessions, over one connection."""

    async def watch(self, session: int) -> None:
        """Begin to get the session's wake-ups; returns when the subscription is in force, or Redis is away."""
        ...

    async def unwatch(self, session: int) -> None:
        """Stop getting them."""
        ...

    async def listen(self, hear: Hear) -> None:
        """Have `hear` called with wake-ups for ever; reconnects by itself, and then there is a `Wake(None)`.

        Called rather than iterated over, so that an event costs no task a turn. One listener at a time. What came
        before it listens is kept for it, or replaced by a `Wake(None)`. Returns when the stream is closed.
        """
        ...

    @property
    def connected(self) -> bool:
        """Whether wake-ups are coming in; while not, readers ask the store every second."""
        ...


class Hints(Protocol):
    """The worker's ear for `hint_work`."""

    def listen(self) -> AsyncIterator[int | None]:
        """Yield sessions with work for ever; None when hints may have been lost."""
        ...


async def publish_each(
    publisher: Publisher, news: Sequence[News]
) -> Sequence[Published | StreamUnavailable]:
    """Do what `Publisher.publish_all` promises one by one, for a publisher that knows no better."""
    found: list[Published | StreamUnavailable] = []
    for one in news:
        try:
            found.append(await publisher.publish(one.session, one.events, at_rest=one.at_rest))
        except StreamUnavailable as error:
            found.append(error)
    return found
