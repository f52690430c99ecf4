"""The log in memory: the whole `Store` without a database, for tests and simulations.

It keeps every rule that the one in Postgres keeps (they pass the same suite) except the one that matters in
production: it is gone when its process is.
"""

from holdfast.events.append_memory import MemoryWriter
from holdfast.events.claims_memory import MemoryClaims
from holdfast.events.clock import Clock, SystemClock
from holdfast.events.desk_memory import MemoryDesk
from holdfast.events.ids import MakeId, uuid7
from holdfast.events.read_memory import MemoryReader
from holdfast.events.registry_memory import MemoryRegistry
from holdfast.events.snapshots_memory import MemorySnapshots
from holdfast.events.state_memory import MemoryState
from holdfast.events.store import Claims, Desk, Health, Reader, Registry, Snapshots, Writer


class MemoryStore:
    """A `Store` over one shared state. `clock` plays the database's; `make_id` names what has no name yet.

    Everybody who shall see the same log shares one MemoryStore.
    """

    def __init__(self, clock: Clock | None = None, *, make_id: MakeId = uuid7) -> None:
        clock = clock or SystemClock()
        self._state = MemoryState(clock, make_id, clock.now())
        self.log_id = str(make_id())
        self.reader: Reader = MemoryReader(self._state)
        self.writer: Writer = MemoryWriter(self._state)
        self.claims: Claims = MemoryClaims(self._state)
        self.desk: Desk = MemoryDesk(self._state)
        self.registry: Registry = MemoryRegistry(self._state)
        self.snapshots: Snapshots = MemorySnapshots(self._state)

    async def health(self) -> Health:
        """Say that nothing here outlives the process."""
        await self._state.turn()
        return Health("memory", durable=False, details={})

    async def close(self) -> None:
        """Do nothing: there is no connection to give back."""

    def restarted(self) -> None:
        """Act as a database that was restarted just now: leases that ran out are not taken over for one lease."""
        self._state.started_at = self._state.clock.now()
