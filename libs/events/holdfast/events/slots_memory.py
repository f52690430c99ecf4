"""Turns and slots in memory: what `slots_postgres` and `claiming_postgres` say in SQL."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from holdfast.events.commands import CommandKind
from holdfast.events.slots import AGEING_S, PRIORITY_MAX, Hold
from holdfast.events.state_memory import CommandRow, MemoryState, RunRow, SessionRow, later
from holdfast.events.store import WORKER_SEEN_S, RunStatus

_FIRST = timedelta(seconds=AGEING_S * PRIORITY_MAX)


def turn_of(run: RunRow) -> datetime:
    """Return when the run's turn is, see `Run.turn`."""
    if run.status is RunStatus.RUNNING:
        return (run.due_at or run.created_at) - _FIRST
    due_at = max(run.created_at, run.due_at or run.created_at)
    return due_at - timedelta(seconds=AGEING_S * run.priority)


def in_turn(row: SessionRow, now: datetime) -> RunRow | None:
    """Return the one of a session's due runs to work on: one that has begun, else the first of the queue."""
    roots = list(row.open_roots())
    if begun := [run for run in roots if run.status is not RunStatus.QUEUED]:
        return next((run for run in begun if run.due(now)), None)
    due = [run for run in roots if run.due(now)]
    return min(due, key=turn_of, default=None)


def asked_at(commands: Iterable[CommandRow], state: MemoryState) -> datetime | None:
    """Return the turn of what was asked of a session; None for nothing."""
    turns: list[datetime] = []
    created: list[datetime] = []
    for command in commands:
        if command.kind is CommandKind.CREATE:
            created.append(command.created_at)
        elif command.kind is CommandKind.START and command.run_id in state.runs:
            turns.append(turn_of(state.runs[command.run_id]))
        else:
            turns.append(command.created_at - _FIRST)
    return min(turns or created, default=None)


class Slots:
    """The slots that are left at one moment."""

    def __init__(self, state: MemoryState, now: datetime, worker: str | None) -> None:
        """`worker` is whose own word counts at any age."""
        self._state = state
        since = later(now, -WORKER_SEEN_S)
        self._most: dict[str, int] = {}
        of_tenant: list[int] = []
        for word in state.announcements.values():
            info = word.info
            if info.max_concurrent is None and info.tenant_max_runs is None:
                continue
            if word.worker != worker and word.seen_at <= since:
                continue
            if info.max_concurrent is not None:
                most = self._most.get(info.name, info.max_concurrent)
                self._most[info.name] = min(most, info.max_concurrent)
            if info.tenant_max_runs is not None:
                of_tenant.append(info.tenant_max_runs)
        self._most_of_tenant = min(of_tenant, default=None)
        at_work = list(_at_work(state))
        self._of_workflow = Counter(run.workflow for run in at_work)
        self._of_tenant = Counter(state.sessions[run.session].tenant for run in at_work)

    def limits(self, workflow: str) -> bool:
        """Tell whether a run of this workflow needs a slot."""
        return workflow in self._most or self._most_of_tenant is not None

    def lacks(self, run: RunRow) -> Hold | None:
        """Return the limit that keeps a run from beginning."""
        most = self._most.get(run.workflow)
        if most is not None and self._of_workflow[run.workflow] >= most:
            return Hold.WORKFLOW_LIMIT
        tenant = self._state.sessions[run.session].tenant
        if self._most_of_tenant is not None and self._of_tenant[tenant] >= self._most_of_tenant:
            return Hold.TENANT_LIMIT
        return None

    def take(self, run: RunRow) -> bool:
        """Take a slot for a run, unless it has one; return whether it has one now."""
        if has_slot(run, self._state):
            return True
        if self.lacks(run) is not None:
            return False
        self._of_workflow[run.workflow] += 1
        self._of_tenant[self._state.sessions[run.session].tenant] += 1
        return True


def has_slot(run: RunRow, state: MemoryState) -> bool:
    """Tell whether the run is at work, or was given the slot for it."""
    row = state.sessions[run.session]
    given = run.slot_epoch > 0 and run.slot_epoch == row.epoch and row.owner is not None
    return run.status is RunStatus.RUNNING or (run.status.idle and given)


def held_by(run: RunRow, state: MemoryState, now: datetime) -> Hold | None:
    """Return what a run that nobody has taken up waits for, beside a worker."""
    if run.parent_run_id is not None or not run.status.idle:
        return None
    if not run.due(now):
        return Hold.TIME if run.status is RunStatus.QUEUED else None
    if in_turn(state.sessions[run.session], now) is not run:
        return Hold.TURN
    return None if has_slot(run, state) else Slots(state, now, None).lacks(run)


def _at_work(state: MemoryState) -> Iterator[RunRow]:
    for row in state.known(state.busy):
        for run in row.open_roots():
            if has_slot(run, state):
                yield run
