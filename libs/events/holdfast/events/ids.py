"""Names that Holdfast makes: UUIDs of version 7, which sort by the time of their making, under a prefix that tells
what they name.
"""

import os
import random
import time
from collections.abc import Callable
from uuid import UUID

from holdfast.events.clock import Clock

MakeId = Callable[[], UUID]
"""Where fresh ids come from; a simulator passes one of its own (see `seeded_uuid7`)."""

# Version 7: 48 bits of milliseconds, then 74 random bits. Two ids of one millisecond are equal once in 2**74.
_RANDOM_BITS = 74
_TAIL_BITS = 62
_TAIL_MASK = (1 << _TAIL_BITS) - 1
_VERSION, _VARIANT = 7, 0b10


def uuid7() -> UUID:
    """Return a fresh id from the machine's clock and randomness."""
    chance = int.from_bytes(os.urandom(10)) & ((1 << _RANDOM_BITS) - 1)
    return _uuid7(time.time_ns() // 1_000_000, chance)


def seeded_uuid7(clock: Clock, chance: random.Random) -> MakeId:
    """Return a maker of ids that gives the same ids for the same clock and seed."""
    return lambda: _uuid7(int(clock.now().timestamp() * 1000), chance.getrandbits(_RANDOM_BITS))


def new_session_id(make: MakeId = uuid7) -> str:
    """Return the id of a session whose caller named none."""
    return f"ses_{make().hex}"


def new_run_id(make: MakeId = uuid7) -> str:
    """Return the id of a run."""
    return f"run_{make().hex}"


def new_command_id(make: MakeId = uuid7) -> str:
    """Return the id of a command."""
    return f"cmd_{make().hex}"


def _uuid7(ms: int, chance: int) -> UUID:
    head, tail = chance >> _TAIL_BITS, chance & _TAIL_MASK
    return UUID(int=ms << 80 | _VERSION << 76 | head << 64 | _VARIANT << 62 | tail)
