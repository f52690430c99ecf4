"""Who owns which session, in memory, on the state's clock."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import islice

from holdfast.events.commands import Command, CommandKind
from holdfast.events.state_memory import MemoryState, RunRow, SessionRow, later
from holdfast.events.store import (
    ANSWER_KEPT_S,
    COMMANDS_AT_ONCE,
    WORKFLOW_KEPT_S,
    Claim,
    Journal,
    Run,
    RunStatus,
    SessionStatus,
)


class MemoryClaims:
    """Claims, leases and what their holders need to know, over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def claim(
        self, worker: str, *, workflows: Sequence[str], lease_s: float, limit: int
    ) -> Sequence[Claim]:
        """Own up to `limit` sessions with something to do."""
        now = await self._state.turn()
        loaded = frozenset(workflows)
        # Owners of before a restart have one lease's time to come back first.
        takeover = now > later(self._state.started_at, lease_s)
        free = [
            row
            for row in self._busy()
            if (row.owner is None or (takeover and row.unowned(now)))
            and _has_work(row, loaded, now)
        ]
        # Those that were free longest come first; never owned is longest of all.
        free.sort(key=lambda row: (row.lease_until is not None, row.lease_until or now, row.id))
        return [self._own(row, worker, later(now, lease_s)) for row in free[:limit]]

    async def renew(
        self, worker: str, sessions: Mapping[int, int], *, lease_s: float
    ) -> frozenset[int]:
        """Extend the leases of session → epoch; return those that are lost."""
        now = await self._state.turn()
        owned = {row.id for row in self._at_epoch(sessions) if row.owner == worker}
        for session in owned:
            self._state.sessions[session].lease_until = later(now, lease_s)
        return frozenset(sessions) - owned

    async def release(self, sessions: Mapping[int, int], *, published: Mapping[int, int]) -> None:
        """Give up sessions so that anybody may claim them at once."""
        now = await self._state.turn()
        for row in self._at_epoch(sessions):
            row.owner, row.lease_until = None, now
            row.published = max(row.published, published.get(row.id, 0))

    async def pending(self, sessions: Sequence[int]) -> Sequence[Command]:
        """Return the open commands of these sessions, oldest first."""
        await self._state.turn()
        return [c for row in self._state.known(sessions) for c in _first_commands(row)]

    async def open_runs(self, session: int) -> Sequence[Run]:
        """Return the session's runs that have not ended, oldest first."""
        await self._state.turn()
        return [
            self._state.view(run) for row in self._state.known([session]) for run in row.open_runs()
        ]

    async def journal(self, run_id: str) -> Journal:
        """Return what is recorded of a run."""
        await self._state.turn()
        keys, results = self._state.keys.get(run_id, {}), self._state.results.get(run_id, {})
        return Journal(dict(keys), dict(results))

    async def strike(self, run_id: str, *, session: int, epoch: int) -> int:
        """Count a takeover of the run that brought no new step yet; return how many there were in a row."""
        await self._state.turn()
        run = self._state.runs.get(run_id)
        owned = any(row.owner is not None for row in self._at_epoch({session: epoch}))
        if run is None or run.session != session or not owned:
            return 0
        run.strikes += 1
        return run.strikes

    async def unpublished(self, *, limit: int) -> Sequence[tuple[int, int, int]]:
        """Return (session, published, head) of unowned sessions whose stream is behind, for the sweep."""
        now = await self._state.turn()
        behind = [
            (row.id, row.published, row.head)
            for row in self._state.sessions.values()
            if row.published < row.head and row.unowned(now)
        ]
        return behind[:limit]

    async def mark_published(self, published: Mapping[int, int]) -> None:
        """Note how far the streams of these sessions are."""
        await self._state.turn()
        for row in self._state.known(published):
            row.published = max(row.published, published[row.id])

    async def expire_due(self, *, limit: int) -> int:
        """Ask for the expiry of sessions whose time to live ran out; return how many."""
        now = await self._state.turn()
        over = [
            (row.expires_at, row.id)
            for row in self._state.sessions.values()
            if row.status is SessionStatus.ACTIVE
            and row.expires_at is not None
            and row.expires_at < now
            and not any(row.open_runs())
            and not any(row.open_commands())
        ]
        over.sort()
        for _, session in over[:limit]:
            self._state.ask(self._state.sessions[session], CommandKind.EXPIRE, {})
        self._forget(now, limit)
        return len(over[:limit])

    def _forget(self, now: datetime, limit: int) -> None:
        """Drop what was only kept for a time; answers are in the order in which they were given."""
        answers, announcements = self._state.answers, self._state.announcements
        for name, answer in list(islice(answers.items(), limit)):
            if answer.given_at >= later(now, -ANSWER_KEPT_S):
                break
            del answers[name]
        for name, word in list(announcements.items()):
            if word.seen_at < later(now, -WORKFLOW_KEPT_S):
                del announcements[name]

    def _busy(self) -> list[SessionRow]:
        """The sessions that are not at rest: those cost a claim nothing, however many there are."""
        busy = self._state.busy
        for row in list(self._state.known(busy)):
            if not any(row.open_commands()) and not any(row.open_runs()):
                busy.discard(row.id)
        return list(self._state.known(busy))

    def _at_epoch(self, sessions: Mapping[int, int]) -> list[SessionRow]:
        return [row for row in self._state.known(sessions) if row.epoch == sessions[row.id]]

    def _own(self, row: SessionRow, worker: str, lease_until: datetime) -> Claim:
        taken_over = row.owner is not None
        row.epoch += 1
        row.owner, row.lease_until = worker, lease_until
        described = self._state.describe(row)
        return Claim(
            session=row.id,
            tenant=row.tenant,
            session_id=row.session_id,
            status=row.status,
            epoch=row.epoch,
            head=row.head,
            published=row.published,
            last_ts=row.last_ts,
            metadata=described.metadata,
            ttl_s=row.ttl_s,
            taken_over=taken_over,
            commands=_first_commands(row),
            runs=[self._state.view(run) for run in row.open_runs()],
        )


def _first_commands(row: SessionRow) -> list[Command]:
    return [command.command() for command in islice(row.open_commands(), COMMANDS_AT_ONCE)]


def _has_work(row: SessionRow, loaded: frozenset[str], now: datetime) -> bool:
    if any(row.open_commands()):
        return True
    return any(run.workflow in loaded for run in _due_runs(row, now))


def _due_runs(row: SessionRow, now: datetime) -> list[RunRow]:
    """The runs that a worker could go on with now: of the queued roots only the one whose turn it is."""
    due = [run for run in row.open_runs() if run.due(now)]
    begun = any(run.status is not RunStatus.QUEUED for run in row.open_roots())
    queued = [r for r in due if r.status is RunStatus.QUEUED and r.parent_run_id is None]
    out_of_turn = queued if begun else queued[1:]
    return [run for run in due if run not in out_of_turn]
