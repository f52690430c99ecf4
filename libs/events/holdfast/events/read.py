"""Pages of the log and the pulse of a session: what everybody may know."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol

from holdfast.events.kinds import TypeFilter
from holdfast.events.recorded import RecordedEvent
from holdfast.events.rows import SessionStatus

# One page of events: 500 × ~400 bytes = 200 KB, one round trip of about 2 ms.
PAGE_EVENTS_MAX = 500

# A page also ends at 1 MiB of bodies, so that four of the largest events don't become 128 MB.
PAGE_BYTES_MAX = 1024 * 1024

# Of lines: Postgres joins before it knows how much that is. 500 of these are 8 MB for a moment; what is larger than
# PAGE_BYTES_MAX in all is not sent.
LINE_BYTES_MAX = 16 * 1024


@dataclass(frozen=True, slots=True)
class Page:
    """Events in seq order, and how far this page accounts for.

    Every wanted event with `after < seq <= through` is in `items`; `through` may lie beyond the last item, when
    later events were filtered out. `head` is the last seq when the page was read: `through == head` means no more.
    """

    items: Sequence[RecordedEvent]
    through: int
    head: int
    min_seq: int


class Stretch(NamedTuple):
    """Events of a session: those after seq `after` (exclusive), at most `limit`."""

    session: int
    after: int
    limit: int = PAGE_EVENTS_MAX


@dataclass(frozen=True, slots=True)
class Lines:
    """A page whose events follow each other without a gap, as nothing but their bodies, each of them one line.

    `bodies[i]` is that of seq `first + i`. `through`, `head` and `min_seq` are those of a Page.
    """

    first: int
    bodies: Sequence[bytes]
    through: int
    head: int
    min_seq: int


def lines_of(page: Page, without: Collection[str]) -> Lines | None:
    """Return a page as lines; None for one that can't be told so, or is too large. See `Reader.lines`."""
    items = page.items
    first = items[0].seq if items else page.through + 1
    bodies = [item.body for item in items]
    if (
        any(item.seq != seq or item.type in without for seq, item in enumerate(items, first))
        or any(b"\n" in body or b"\r" in body or len(body) > LINE_BYTES_MAX for body in bodies)
        or sum(map(len, bodies)) >= PAGE_BYTES_MAX
    ):
        return None
    return Lines(first, bodies, page.through, page.head, page.min_seq)


class Quiet(NamedTuple):
    """What a gateway takes for granted of a session: its head, and that nothing after `floor` was removed.

    Besides, that it is there, active and not stalled. `head` -1 takes nothing for granted.
    """

    session: int
    head: int
    floor: int


# Nobody owns a session for some milliseconds of every ordinary hand-over; that is not shown to every client.
STALLED_GRACE_S = 1.5


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a gateway must know of a session to tell its readers the truth.

    A session is stalled when a run of it should be worked on (it is running, or due and no limit holds it back) and
    nobody has owned the session for STALLED_GRACE_S.
    """

    head: int
    min_seq: int
    status: SessionStatus
    active_run: str | None  # a run that is running, whoever works on it
    stalled_since: datetime | None  # since the lease ran out or was given back, or the run was due

    def is_quiet(self, granted: Quiet) -> bool:
        """Tell whether the session is as was taken for granted."""
        return (
            self.head == granted.head
            and self.min_seq <= granted.floor + 1
            and self.status is SessionStatus.ACTIVE
            and self.stalled_since is None
        )


class Reader(Protocol):
    """Pages of the log. A page is authoritative: what isn't in it isn't in the log."""

    async def read(
        self,
        session: int,
        *,
        after: int,
        limit: int = PAGE_EVENTS_MAX,
        until: int | None = None,
        types: TypeFilter | None = None,
        run_ids: frozenset[str] | None = None,
    ) -> Page:
        """Return the events after seq `after` (exclusive), at most `limit`, none beyond `until` (inclusive).

        Raises StoreUnavailable.
        """
        ...

    async def lines(
        self, stretches: Sequence[Stretch], *, without: Collection[str]
    ) -> Mapping[Stretch, Lines]:
        """Return what `read` would, as lines: a fifth of the work for whoever passes events on without a look at them.

        One query. What is not in the answer only `read` can tell: there is no such session, a seq is missing, an event
        is of a type in `without`, a body is not one line, one is above LINE_BYTES_MAX or all reach PAGE_BYTES_MAX.
        Raises StoreUnavailable.
        """
        ...

    async def pulses(self, sessions: Sequence[int]) -> Mapping[int, Pulse]:
        """Return the pulse of each session that exists, in one query. Raises StoreUnavailable."""
        ...

    async def changes(self, granted: Sequence[Quiet]) -> Mapping[int, Pulse | None]:
        """Return the pulses of those sessions that are not as was taken for granted, None for those that are gone.

        One query; of 10,000 sessions at rest nothing comes back. Raises StoreUnavailable.
        """
        ...

    async def run_family(self, run_id: str) -> frozenset[str]:
        """Return the ids of the run and of all runs below it."""
        ...
