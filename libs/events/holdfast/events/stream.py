"""The Redis window over the end of each session, and the wake-ups beside it. Everything here may be late, short,
holed or empty at any time; the store has it all.

Only committed events are published. The same interfaces are kept by Redis and by the in-memory twin, which pass one
contract suite, `tests/contract`.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from holdfast.events.recorded import RecordedEvent

# The window: 2,048 events of ~243 bytes in Redis = 0.5 MB for a session, 20 s of 100 events/s.
WINDOW_EVENTS = 2048

# A session of very large events keeps fewer: at most about 8 MiB of bodies, or two batches if those are more.
WINDOW_BYTES = 8 * 1024 * 1024

# A rebased window begins with the newest 256: enough for a ring of the gateway to fill without the store.
REBASE_EVENTS = 256

# The window of a session that is at rest goes after ten minutes; a later reader is served by the store.
REST_TTL_S = 600


class Published(StrEnum):
    """What became of a publish."""

    OK = "ok"  # appended
    DUP = "dup"  # every entry was there before
    GAP = "gap"  # nothing was written: the window ends before the entry ahead of the first one


class Publisher(Protocol):
    """The owner's (and the sweep's) side of the stream."""

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Append contiguous, committed events to the window and wake the session's readers.

        What is there already is skipped. On GAP call `rebase`. `at_rest` lets the window expire later; any other
        publish keeps it. Raises StreamUnavailable; calling again is harmless.
        """
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


@dataclass(frozen=True, slots=True)
class Wake:
    """A session has news, up to `head` if known. `session` None: wake-ups may have been lost, look at all."""

    session: int | None
    head: int | None = None


class Wakes(Protocol):
    """The wake-ups of watched sessions, over one connection."""

    async def watch(self, session: int) -> None:
        """Begin to get the session's wake-ups; returns when the subscription is in force, or Redis is away."""
        ...

    async def unwatch(self, session: int) -> None:
        """Stop getting them."""
        ...

    def listen(self) -> AsyncIterator[Wake]:
        """Yield wake-ups for ever; reconnects by itself and then yields `Wake(None)`."""
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
