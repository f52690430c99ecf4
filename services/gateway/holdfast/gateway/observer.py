"""What the streaming side counts, without knowing by what means it is counted."""

from enum import StrEnum
from typing import Protocol

from holdfast.gateway.ending import Ending


class Repair(StrEnum):
    """Why a feed was filled from the store."""

    GAP = "gap"  # Redis skipped events
    BEHIND = "behind"  # Redis had less than a wake-up or the store told of
    AWAY = "away"  # Redis did not answer


class Observer(Protocol):
    """Told of facts as they happen; must return at once and never raise."""

    def subscribed(self) -> None:
        """A subscription began."""
        ...

    def ended(self, ending: Ending) -> None:
        """A subscription ended."""
        ...

    def sent(self, events: int, size: int) -> None:
        """A chunk of `size` bytes with `events` events was handed to one client's connection."""
        ...

    def tailed(self, events: int) -> None:
        """A feed took in `events` events, once for all of its subscribers."""
        ...

    def pushed(self, events: int) -> None:
        """The same, of events that a wake-up carried."""
        ...

    def push_refused(self) -> None:
        """What a wake-up carried didn't follow the feed's head, or couldn't be believed: it has to be read."""
        ...

    def repaired(self, cause: Repair) -> None:
        """A feed had to be filled from the store."""
        ...

    def caught_behind(self, sessions: int) -> None:
        """A head check found `sessions` feeds behind the store: their wake-ups were late or lost."""
        ...

    def checked(self, interval_s: float) -> None:
        """A head check compared every feed with the store, so long after the one before."""
        ...

    def page(self, *, shared: bool) -> None:
        """A catch-up page was read from the store, or shared with another subscriber."""
        ...

    def untold(self, readers: int) -> None:
        """So many readers slept with something to read: a mistake of ours, put right by the tick."""
        ...

    def rewound(self) -> None:
        """The store's head went back: history was lost in a failover."""
        ...

    def unavailable(self, what: str) -> None:
        """The `store` or the `stream` did not answer."""
        ...


class Silent:
    """An Observer that counts nothing."""

    def subscribed(self) -> None:
        """Ignore it."""

    def ended(self, ending: Ending) -> None:
        """Ignore it."""

    def sent(self, events: int, size: int) -> None:
        """Ignore it."""

    def tailed(self, events: int) -> None:
        """Ignore it."""

    def pushed(self, events: int) -> None:
        """Ignore it."""

    def push_refused(self) -> None:
        """Ignore it."""

    def repaired(self, cause: Repair) -> None:
        """Ignore it."""

    def caught_behind(self, sessions: int) -> None:
        """Ignore it."""

    def checked(self, interval_s: float) -> None:
        """Ignore it."""

    def page(self, *, shared: bool) -> None:
        """Ignore it."""

    def untold(self, readers: int) -> None:
        """Ignore it."""

    def rewound(self) -> None:
        """Ignore it."""

    def unavailable(self, what: str) -> None:
        """Ignore it."""
