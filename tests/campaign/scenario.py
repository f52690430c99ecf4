"""What a scenario is: so many units of one kind of harm, some in each round, and what must have happened by the end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from tests.campaign.round import Round


@dataclass(frozen=True, slots=True)
class Setting:
    """The stack that a scenario wants, and the load on it."""

    spared: int = 2
    gateways: int = 2
    in_flight: int = 8
    clients_max: int = 30
    churn: float = 0.1
    env: Mapping[str, str] = field(default_factory=dict[str, str])
    redis: Mapping[str, str] = field(default_factory=dict[str, str])
    mix: Mapping[str, int] | None = None
    whole_windows: bool = True  # whether Redis keeps together what was published together


class Scenario(Protocol):
    """One kind of harm, done in units."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""
        ...

    @property
    def title(self) -> str:
        """What it is called in a report."""
        ...

    @property
    def ci(self) -> int:
        """Units in a pull request."""
        ...

    @property
    def units(self) -> int:
        """Units in a campaign."""
        ...

    @property
    def batch(self) -> int:
        """Units in a round."""
        ...

    @property
    def setting(self) -> Setting:
        """The stack that it wants."""
        ...

    @property
    def must_fire(self) -> tuple[str, ...]:
        """Counters that may not be silent at the end: what it is there to provoke."""
        ...

    async def hurt(self, round_: Round, first: int, count: int) -> None:
        """Do units `first` to `first + count - 1` to a running stack; count each in `round_.done` when it is done.

        What goes wrong in itself goes into `round_.broken`. Everything is whole again when this returns: servers up,
        nobody stopped, no armed process left.
        """
        ...
