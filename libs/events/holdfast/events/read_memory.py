"""Pages and pulses from memory."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice

from holdfast.events.kinds import TypeFilter
from holdfast.events.read import lines_of
from holdfast.events.recorded import RecordedEvent
from holdfast.events.slots_memory import held_by, in_turn
from holdfast.events.state_memory import MemoryState, SessionRow, later
from holdfast.events.store import (
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    STALLED_GRACE_S,
    Lines,
    Page,
    Pulse,
    Quiet,
    RunStatus,
    Stretch,
)


class MemoryReader:
    """The log's pages over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def read(
        self,
        session: int,
        *,
        after: int,
        limit: int = PAGE_EVENTS_MAX,
        until: int | None = None,
        types: TypeFilter | None = None,
        run_ids: frozenset[str] | None = None,
    ) -> Page:
        """Return the events after seq `after` (exclusive), at most `limit`, none beyond `until` (inclusive)."""
        await self._state.turn()
        row = self._state.sessions.get(session)
        if row is None:
            return Page((), after, 0, 1)
        end = row.head if until is None else min(until, row.head)
        items: list[RecordedEvent] = []
        size = 0
        first = max(after + 1, row.min_seq)
        for seq, event in enumerate(islice(row.events, first - row.min_seq, None), first):
            if seq > end:
                break
            if types and not types.passes(event.type):
                continue
            if run_ids is not None and event.run_id not in run_ids:
                continue
            if size >= PAGE_BYTES_MAX:
                return Page(tuple(items), items[-1].seq, row.head, row.min_seq)
            items.append(RecordedEvent(seq, event.type, event.run_id, event.body))
            size += len(event.body)
            if len(items) == limit:
                # What lies beyond was not looked at, even if nothing of it is wanted.
                return Page(tuple(items), seq, row.head, row.min_seq)
        return Page(tuple(items), max(after, end), row.head, row.min_seq)

    async def lines(
        self, stretches: Sequence[Stretch], *, without: Collection[str]
    ) -> Mapping[Stretch, Lines]:
        """Return what `read` would, as lines; see Reader."""
        found: dict[Stretch, Lines] = {}
        for stretch in stretches:
            session, after, limit = stretch
            page = await self.read(session, after=after, limit=limit)
            lines = lines_of(page, without)
            if lines is not None and session in self._state.sessions:
                found[stretch] = lines
        return found

    async def pulses(self, sessions: Sequence[int]) -> Mapping[int, Pulse]:
        """Return the pulse of each session that exists."""
        now = await self._state.turn()
        return {row.id: _pulse(row, now, self._state) for row in self._state.known(sessions)}

    async def changes(self, granted: Sequence[Quiet]) -> Mapping[int, Pulse | None]:
        """Return the pulses of those sessions that are not as was taken for granted; see Reader."""
        pulses = await self.pulses([one.session for one in granted])
        found = ((one, pulses.get(one.session)) for one in granted)
        return {
            one.session: pulse for one, pulse in found if pulse is None or not pulse.is_quiet(one)
        }

    async def run_family(self, run_id: str) -> frozenset[str]:
        """Return the ids of the run and of all runs below it."""
        await self._state.turn()
        run = self._state.runs.get(run_id)
        if run is None:
            return frozenset()
        family = {run_id}
        # Oldest first: a parent is older than its children, so one pass finds all generations.
        for other in self._state.sessions[run.session].runs:
            if other.parent_run_id in family:
                family.add(other.run_id)
        return frozenset(family)


def _pulse(row: SessionRow, now: datetime, state: MemoryState) -> Pulse:
    # The one that is being worked on or waits, else the oldest that wants to begin.
    runs = sorted(row.open_roots(), key=lambda run: run.status is RunStatus.QUEUED)
    run = runs[0] if runs else None
    stalled_since = None
    if run is not None and run.due_at is not None and run.due(now):
        free_since = row.lease_until or run.due_at
        if free_since < later(now, -STALLED_GRACE_S):
            stalled_since = max(free_since, run.due_at)
    next_run = in_turn(row, now) if stalled_since else None
    if next_run is not None and held_by(next_run, state, now) is not None:
        stalled_since = None  # it waits for others to end: nobody's fault
    return Pulse(
        head=row.head,
        min_seq=row.min_seq,
        status=row.status,
        active_run=run.run_id if run is not None and run.status is RunStatus.RUNNING else None,
        stalled_since=stalled_since,
    )
