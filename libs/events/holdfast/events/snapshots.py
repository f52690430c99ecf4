"""States of sessions that somebody folded before, so that the next fold needn't begin with the first event.

A cache that may forget anything at any time: whoever doesn't find what it looks for folds from the beginning. It never
outlives what it was made of: an erasure takes it along.
"""

from dataclasses import dataclass
from typing import Protocol

# The heaviest state (see `fold.state`): 5 Mi units of three bytes each, where texts aren't ASCII. An ordinary long one
# is 4 to 5 MB, written once in thousands of events.
SNAPSHOT_BYTES_MAX = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the events up to `seq` added up to, in the form that its maker chose."""

    seq: int
    body: bytes


class Snapshots(Protocol):
    """At most one snapshot for each session and fold version: the one of the highest seq."""

    async def latest(self, session: int, *, fold_version: int, until: int) -> Snapshot | None:
        """Return the session's snapshot by this very version of the fold, if it isn't beyond seq `until`.

        Raises StoreUnavailable.
        """
        ...

    async def keep(self, session: int, *, seq: int, fold_version: int, body: bytes) -> bool:
        """Keep a snapshot instead of the session's earlier ones, and of those of older versions.

        Returns False where nothing is kept: the body is larger than SNAPSHOT_BYTES_MAX, one of a later seq is there,
        the session is unknown, or it was erased meanwhile. Raises StoreUnavailable.
        """
        ...
