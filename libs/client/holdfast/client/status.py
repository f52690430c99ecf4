"""What a follower tells of itself while it follows."""

from dataclasses import dataclass
from enum import StrEnum

from holdfast.events.errors import HoldfastError


class State(StrEnum):
    """Where a follower stands."""

    CONNECTING = "connecting"  # a gateway has been asked and has not answered yet
    CATCHING_UP = "catching-up"  # events that happened before are coming in
    LIVE = "live"  # every event that exists has been delivered; the next one comes as it happens
    WAITING = "waiting"  # no stream; the next try comes after `delay_s`, and `reason` tells why
    STALLED = "stalled"  # connected, but the run's worker is gone and no other has taken over yet
    ENDED = "ended"  # nothing follows
    FAILED = "failed"  # refused for good, by `error`


@dataclass(frozen=True, slots=True)
class Status:
    """A follower's state, and what belongs to it."""

    state: State
    reason: str | None = None  # why it waits, ended or failed
    delay_s: float = 0.0  # how long it waits
    attempt: int = 0  # tries in a row that failed before this one
    since: str | None = None  # since when the worker is gone, by the gateway's word
    error: HoldfastError | None = None  # what refused it


@dataclass(slots=True)
class Counters:
    """What a follower went through."""

    events: int = 0  # handed out, each once
    connections: int = 0  # streams that were opened
    resumes: int = 0  # of these, all but the first
    failures: int = 0  # tries that opened none
    silences: int = 0  # streams given up for lack of a heartbeat
    gaps: int = 0  # streams given up because events were missing from them
    broken: int = 0  # streams given up because they made no sense
    duplicates: int = 0  # events dropped because they were had before
    resets: int = 0
