"""How many streams may be open at once: in this process, of one address, of one principal, and of one in a session.

Nobody who is known by nothing is held against a limit: not the local principal that everybody is while there are no
users, not what comes from this machine.
"""

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from holdfast.gateway.principal import Principal
from holdfast.gateway.refusals import Why


class NoSeat(Exception):
    """A stream is over a limit; `why` says over which one."""

    def __init__(self, why: Why) -> None:
        super().__init__(f"too many streams: {why}")
        self.why = why


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who asks for a stream, and from where as far as that is known."""

    principal: Principal
    address: str | None = None


class Seat:
    """One open stream. Leave it when it has ended."""

    __slots__ = ("_keys", "_seats")

    def __init__(self, seats: "Seats", keys: tuple[Hashable, ...]) -> None:
        self._seats: Seats | None = seats
        self._keys = keys

    def leave(self) -> None:
        """Count it no more. Calling again changes nothing."""
        if self._seats is not None:
            self._seats.left(self._keys)
            self._seats = None


@dataclass(slots=True)
class Seats:
    """Counts open streams. Each limit but the first is off at 0; nobody without a stream is remembered."""

    process_max: int
    address_max: int
    principal_max: int
    session_max: int
    taken: int = 0
    _counts: Counter[Hashable] = field(default_factory=Counter[Hashable])

    @property
    def full(self) -> bool:
        """Whether the process has as many as it takes."""
        return self.taken >= self.process_max

    @property
    def counted(self) -> int:
        """How many addresses, principals and their sessions are counted; none of those that have no stream."""
        return len(self._counts)

    def take(self, visitor: Visitor, session: int) -> Seat:
        """Count one more stream of a session. Raises NoSeat, and then nothing was counted."""
        if self.full:
            raise NoSeat(Why.FULL)
        keys: list[Hashable] = []
        for why, most, key in self._held_against(visitor, session):
            if most:
                if self._counts[key] >= most:
                    raise NoSeat(why)
                keys.append(key)
        for key in keys:  # mostly none at all, where `update` is 2 µs
            self._counts[key] += 1
        self.taken += 1
        return Seat(self, tuple(keys))

    def left(self, keys: tuple[Hashable, ...]) -> None:
        """Count one stream less. See `Seat.leave`."""
        self.taken -= 1
        for key in keys:
            self._counts[key] -= 1
            if not self._counts[key]:
                del self._counts[key]

    def _held_against(
        self, visitor: Visitor, session: int
    ) -> list[tuple[Why, int, tuple[Hashable, ...]]]:
        found: list[tuple[Why, int, tuple[Hashable, ...]]] = []
        if visitor.address is not None:
            found.append((Why.ADDRESS, self.address_max, ("address", visitor.address)))
        who = visitor.principal
        if who.subject is not None:
            found.append((Why.PRINCIPAL, self.principal_max, (who.tenant, who.subject)))
            found.append((Why.SESSION, self.session_max, (who.tenant, who.subject, session)))
        return found
