"""What a follower tells of itself while it follows."""

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """Where a follower stands."""

    CONNECTING = "connecting"  # no stream at the moment; `reason` tells why
    CATCHING_UP = "catching-up"  # events that happened before are coming in
    LIVE = "live"  # every event that exists has been delivered; the next one comes as it happens
    STALLED = "stalled"  # connected, but the run's worker is gone and no other has taken over yet
    ENDED = "ended"  # nothing follows


@dataclass(frozen=True, slots=True)
class Status:
    """A follower's state, and for `connecting` after a failure: why, and how long until the next
    try.
    """

    state: State
    reason: str | None = None
    delay_s: float = 0.0


@dataclass(slots=True)
class Counters:
    """What a follower went through."""

    connections: int = 0  # streams that were opened
    resumes: int = 0  # of these, all but the first
    failures: int = 0  # tries that opened none
    silences: int = 0  # streams given up for lack of a heartbeat
    gaps: int = 0  # streams given up because events were missing from them
    broken: int = 0  # streams given up because they made no sense
    duplicates: int = 0  # events dropped because they were had before
    resets: int = 0
