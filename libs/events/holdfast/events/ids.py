"""Names that Holdfast makes: UUIDs of version 7, which sort by the time of their making, under a prefix that tells
what they name.
"""

import os
import random
import time
from collections.abc import Callable
from uuid import UUID, SafeUUID

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


class _Chance:
    """Random numbers of 128 bits, 256 of them for one call of the kernel."""

    AT_ONCE = 256

    def __init__(self) -> None:
        self._bytes, self._at = b"", 0

    def next(self) -> int:
        at = self._at
        if at >= len(self._bytes):
            self._bytes, at = os.urandom(16 * self.AT_ONCE), 0
        self._at = at + 16
        return int.from_bytes(self._bytes[at : at + 16])

    def forget(self) -> None:
        """A forked process must not draw the numbers that its parent draws."""
        self._bytes, self._at = b"", 0


_chance = _Chance()
os.register_at_fork(after_in_child=_chance.forget)

# Of version 4: 122 random bits, and the version and variant where RFC 9562 wants them.
_V4_MASK = ~(0xF000 << 64 | 0xC000 << 48)
_V4_BITS = 4 << 76 | 0b10 << 62


def random_uuid() -> UUID:
    """Return what `uuid.uuid4()` would, at a quarter of the price: each event has one."""
    made = object.__new__(UUID)
    # As UUID.__setstate__ does it: __init__ would look at six ways to say what is known here.
    object.__setattr__(made, "int", _chance.next() & _V4_MASK | _V4_BITS)
    object.__setattr__(made, "is_safe", SafeUUID.unknown)
    return made


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
