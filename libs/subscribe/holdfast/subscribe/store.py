"""What durable subscriptions ask of the log's store: the log in commit order, and where each one stands.

Two implementations, `store_postgres` and `store_memory`, pass one suite, `tests/subscribe/test_store.py`.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from holdfast.events.errors import HoldfastError, Refused
from holdfast.events.kinds import TypeFilter
from holdfast.subscribe.delivery import Delivery, Position
from holdfast.subscribe.subscription import Start

# Events looked at in one read: 500 rows without the bodies that nobody wants are 40 KB and 2 ms.
PAGE_EVENTS_MAX = 500

# And their bodies: the largest single event is larger than this, and comes alone then.
PAGE_BYTES_MAX = 1024 * 1024

# What is told of a failure; the traceback is in the log.
ERROR_CHARS_MAX = 500

# Dead letters of one subscription: more than anybody looks through, 5 MB of errors. A handler that fails for all
# events would fill the database; the newest tell most of why.
DEAD_LETTERS_MAX = 10_000

# How far lag is counted: past it "more than 10,000" says as much, and counting costs.
LAG_EVENTS_MAX = 10_000


class HoldLost(HoldfastError):
    """Another process holds the subscription, or it was reset: nothing was saved."""


class SubscriptionUnknown(Refused):
    """No subscription of this name has ever run here."""

    code = "subscription-unknown"

    def __init__(self, name: str) -> None:
        super().__init__(f"no subscription {name!r}")
        self.name = name


class PositionAhead(HoldfastError):
    """The subscription stands where the database has not been yet: the log was restored, or copied row by row."""

    def __init__(self, name: str, position: Position) -> None:
        super().__init__(
            f"subscription {name!r} stands at {position}, beyond this database's newest transaction: the log was"
            " restored from a dump or a backup; see what was handled, then `holdfast subscriptions reset`"
        )


class LogAhead(HoldfastError):
    """The log has events of transactions that this database has not had: it was restored from a dump."""

    def __init__(self) -> None:
        super().__init__(
            "the log was restored from a dump: its events are of transactions that are yet to come here, and can't be"
            " read in order; give them one of this database, as docs/subscriptions.md tells"
        )


@dataclass(frozen=True, slots=True)
class Hold:
    """One process's right to a subscription. `epoch` fences what an earlier holder still saves."""

    name: str
    owner: str
    epoch: int
    position: Position


@dataclass(frozen=True, slots=True)
class LogPage:
    """Events in commit order. Every wanted one after the position and up to `through` is in `items`."""

    items: Sequence[Delivery]
    through: Position
    more: bool  # the page ended at one of its bounds
    erased: Sequence[tuple[int, int]] = ()  # sessions erased in it, and the seq of `session.erased`


@dataclass(frozen=True, slots=True)
class Failure:
    """An event's handler raised. `pause_s` is None when it was the last try."""

    session: int
    seq: int
    tries: int
    pause_s: float | None
    error: str


@dataclass(slots=True)
class Progress:
    """What happened since the last save; recorded as one."""

    through: Position | None = None
    handled: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])  # parked no more
    failed: list[Failure] = field(default_factory=list[Failure])
    behind: list[tuple[int, int]] = field(
        default_factory=list[tuple[int, int]]
    )  # wait for one of their session
    erased: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])


@dataclass(frozen=True, slots=True)
class Waiting:
    """Parked events whose time has come, a session's in order; how many wait in all, and of which sessions."""

    due: Sequence[Delivery]
    total: int
    blocked: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionInfo:
    """A subscription as an operator sees it."""

    name: str
    position: Position
    owner: str | None
    lag: int  # events after its position, LAG_EVENTS_MAX + 1 for more; also those of no type that it wants
    lag_s: float  # how long ago the oldest of them was recorded
    waiting: int
    dead: int
    dropped: int  # dead letters that made room for newer ones, beyond DEAD_LETTERS_MAX
    error: str | None
    moved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that failed too often."""

    session: int
    tenant: str
    session_id: str
    seq: int
    type: str | None  # None: the event was erased, or removed by retention
    tries: int
    dead_at: datetime
    error: str

    @property
    def key(self) -> str:
        """How to name it to `replay` and `discard`."""
        return f"{self.session}.{self.seq}"


Apply = Callable[[Any], Awaitable[None]]
"""Writes within the transaction that saves; its argument is the connection (None in memory)."""


class Subscriptions(Protocol):
    """Where subscriptions stand. All calls raise StoreUnavailable when the database is away."""

    async def acquire(self, name: str, owner: str, *, lease_s: float, start: Start) -> Hold | None:
        """Become the holder of a subscription, which is made if it is new; None while another one holds it."""
        ...

    async def release(self, hold: Hold) -> None:
        """Let somebody else hold it at once. Harmless when it is lost already."""
        ...

    async def read(self, name: str, after: Position, types: TypeFilter) -> LogPage:
        """Return the next events of all sessions in commit order, as far as nothing can appear before them any more.

        Raises PositionAhead or LogAhead.
        """
        ...

    async def waiting(self, hold: Hold, *, ordered: bool, limit: int) -> Waiting:
        """Return parked events that are due: with `ordered`, from each session's oldest on, up to one not due."""
        ...

    async def save(
        self, hold: Hold, progress: Progress, *, lease_s: float, apply: Apply | None = None
    ) -> None:
        """Record progress and renew the lease, in one transaction, together with what `apply` writes.

        Of dead letters DEAD_LETTERS_MAX are kept, the newest; those that go are counted. Raises HoldLost, and then
        nothing is recorded.
        """
        ...

    async def complain(self, hold: Hold, error: str | None) -> None:
        """Show why the subscription stands still; None: it doesn't."""
        ...

    # --- for operators ----------------------------------------------------------------------------

    async def all(self) -> Sequence[SubscriptionInfo]:
        """Return every subscription, by name."""
        ...

    async def dead_letters(self, name: str, *, limit: int = 100) -> Sequence[DeadLetter]:
        """Return a subscription's dead letters, oldest first. Raises SubscriptionUnknown."""
        ...

    async def replay(self, name: str, keys: Sequence[tuple[int, int]] | None = None) -> int:
        """Have dead letters tried anew, these or all; return how many. Raises SubscriptionUnknown."""
        ...

    async def discard(self, name: str, keys: Sequence[tuple[int, int]] | None = None) -> int:
        """Forget dead letters, these or all; return how many. Raises SubscriptionUnknown."""
        ...

    async def reset(
        self, name: str, to: Position | Start, *, apply: Apply | None = None
    ) -> Position:
        """Move a subscription, drop what is parked, and take it from its holder, together with `apply`'s writes.

        Raises SubscriptionUnknown.
        """
        ...
