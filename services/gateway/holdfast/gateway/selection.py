"""Which events of a session a subscription wants, and which one ends it. Pure."""

from dataclasses import dataclass, replace

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.kinds import FILTER_TYPES_MAX, TypeFilter, is_terminal
from holdfast.gateway.ending import Ending
from holdfast.gateway.ring import Entry

EVERYTHING = TypeFilter()

LAST = {"session.expired": Ending.EXPIRED, "session.erased": Ending.GONE}
"""The events after which a session has no more, with how they end a stream."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter over one session. With a `run_id`, of the run's family: itself and the runs below it.

    A run stream always has its terminal event, whatever its other filters.
    """

    types: TypeFilter = EVERYTHING
    agent: str | None = None
    run_id: str | None = None
    family: frozenset[str] = frozenset()

    @property
    def everything(self) -> bool:
        """Whether nothing is filtered out, so that frames may be sent without a look at them."""
        return self.run_id is None and self.agent is None and not self.types

    @property
    def key(self) -> tuple[object, ...]:
        """What two subscribers must have in common to share pages."""
        return (self.types.types, self.types.families, self.agent, self.run_id, self.family)

    def wants(self, entry: Entry) -> bool:
        """Tell whether the event is part of the stream."""
        if self.run_id is not None:
            if entry.run_id not in self.family:
                return False
            if entry.run_id == self.run_id and is_terminal(entry.type):
                return True
        return self.types.passes(entry.type) and (self.agent is None or entry.agent == self.agent)

    def ending(self, entry: Entry) -> Ending | None:
        """Return how the stream ends with this event, wanted or not; None when it goes on."""
        if self.run_id is not None and entry.run_id == self.run_id and is_terminal(entry.type):
            return Ending.COMPLETE
        return LAST.get(entry.type)

    def adopting(self, entry: Entry) -> "Selection":
        """Return the selection with the entry's run in the family, if its parent is in it."""
        if self.run_id is None or entry.run_id is None or entry.run_id in self.family:
            return self
        if entry.parent_run_id not in self.family:
            return self
        return replace(self, family=self.family | {entry.run_id})

    def stored_types(self) -> TypeFilter | None:
        """Return the filter for the store's pages: the wanted types and those that end the stream."""
        if not self.types:
            return None
        last = TERMINAL_TYPES if self.run_id is not None else LAST
        names = {*self.types.types, *(f"{family}.*" for family in self.types.families), *last}
        # Three names too many for a filter: read all and drop here.
        return TypeFilter(names) if len(names) <= FILTER_TYPES_MAX else None

    def stored_runs(self) -> frozenset[str] | None:
        """Return the runs for the store's pages; None for all."""
        return self.family if self.run_id is not None else None


ALL = Selection()
"""What most subscribers want."""
