"""Why a subscription stopped. The words are the same in logs and metrics."""

from enum import StrEnum


class Ending(StrEnum):
    """Every way in which a subscription ends; all but the first two leave a cursor to come back with."""

    COMPLETE = "complete"  # the run's terminal event was sent
    GONE = "gone"  # the session was erased
    EXPIRED = "expired"  # the session's last event was sent
    SLOW = "slow"  # a write was not taken within its deadline
    DRAIN = "drain"  # this process is stopping
    CLIENT = "client"  # the client left
    BROKEN = "broken"  # the next frame would have been wrong, or a replay lost its store
