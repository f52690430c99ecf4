"""The heads and states of sessions, asked for together."""

from holdfast.events.store import Pulse, Reader
from holdfast.gateway.tasks import Spawn
from holdfast.gateway.together import KEYS_MAX, Together

# Of the head check's queries, too.
PULSES_MAX = KEYS_MAX


class Pulses(Together[int, Pulse]):
    """`of(session)` returns its pulse, read after this call; None if there is no such session."""

    def __init__(self, reader: Reader, spawn: Spawn) -> None:
        super().__init__(lambda sessions: reader.pulses(sessions), spawn)
