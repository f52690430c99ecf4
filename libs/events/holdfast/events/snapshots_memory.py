"""Snapshots in memory."""

from holdfast.events.rows import SessionStatus
from holdfast.events.snapshots import SNAPSHOT_BYTES_MAX, Snapshot
from holdfast.events.state_memory import MemoryState


class MemorySnapshots:
    """Snapshots over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def latest(self, session: int, *, fold_version: int, until: int) -> Snapshot | None:
        """Return the session's snapshot by this very version of the fold, if it isn't beyond seq `until`."""
        await self._state.turn()
        row = self._state.sessions.get(session)
        found = None if row is None else row.snapshots.get(fold_version)
        return found if found is not None and found.seq <= until else None

    async def keep(self, session: int, *, seq: int, fold_version: int, body: bytes) -> bool:
        """Keep a snapshot instead of the session's earlier ones, and of those of older versions."""
        await self._state.turn()
        row = self._state.sessions.get(session)
        if row is None or row.status is SessionStatus.ERASED or len(body) > SNAPSHOT_BYTES_MAX:
            return False
        there = row.snapshots.get(fold_version)
        if there is not None and there.seq >= seq:
            return False
        for version in [version for version in row.snapshots if version < fold_version]:
            del row.snapshots[version]
        row.snapshots[fold_version] = Snapshot(seq, body)
        return True
