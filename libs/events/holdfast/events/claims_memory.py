"""Who owns which session, in memory, on the state's clock."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from holdfast.events.catalog import TERMINAL_TYPES
from holdfast.events.commands import Command, CommandKind
from holdfast.events.slots_memory import Slots, asked_at, in_turn, turn_of
from holdfast.events.state_memory import MemoryState, RunRow, SessionRow, later
from holdfast.events.store import (
    ANSWER_KEPT_S,
    COMMANDS_AT_ONCE,
    WORKFLOW_KEPT_S,
    Claim,
    Journal,
    Look,
    Run,
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
        free = [row for row in self._busy() if row.owner is None or (takeover and row.unowned(now))]
        if not free:
            return []
        slots = Slots(self._state, now, worker)
        begins = self._begins(free, loaded, slots, now)
        work: list[tuple[datetime, int]] = []
        for row in free:
            turns = [turn_of(begins[row.id])] if row.id in begins else []
            if (asked := asked_at(row.open_commands(), self._state)) is not None:
                turns.append(asked)
            if turns:
                work.append((min(turns), row.id))
        limited = any(slots.limits(workflow) for workflow in loaded)
        return [
            replace(
                self._own(self._state.sessions[n], worker, later(now, lease_s), begins.get(n)),
                limited=limited,
            )
            for _, n in sorted(work)[:limit]
        ]

    async def limited(self, worker: str, workflow: str) -> bool:
        """Tell whether a run of this workflow needs a slot, which a claim gives and nobody else."""
        now = await self._state.turn()
        return Slots(self._state, now, worker).limits(workflow)

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

    async def let_go(self, session: int, *, epoch: int, published: int) -> bool:
        """Release the session if nothing is to be done in it; False if there is something."""
        now = await self._state.turn()
        for row in self._at_epoch({session: epoch}):
            if any(row.open_commands()) or any(run.due(now) for run in row.open_roots()):
                return False
            row.owner, row.lease_until = None, now
            row.published = max(row.published, published)
        return True

    async def look(self, session: int) -> Look:
        """Return what is open in the session."""
        await self._state.turn()
        rows = list(self._state.known([session]))
        return Look(
            [command for row in rows for command in _first_commands(row)],
            [self._state.view(run) for row in rows for run in row.open_runs()],
        )

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

    async def erase_some(self, session: int, *, epoch: int, limit: int) -> bool:
        """Delete the oldest events of a session that is going to be erased; return whether to go on."""
        await self._state.turn()
        owned = [row for row in self._at_epoch({session: epoch}) if row.owner is not None]
        if not owned or len(owned[0].events) <= limit:
            return False
        state, row = self._state, owned[0]
        gone, row.events = row.events[:limit], row.events[limit:]
        row.min_seq += len(gone)
        row.snapshots.clear()
        for event in gone:
            if event.run_id is None:
                continue
            if event.key is not None:
                del state.keys[event.run_id][event.key]
            if event.type in TERMINAL_TYPES:
                state.terminals.discard(event.run_id)
            if event.run_id in row.with_results:
                row.with_results.discard(event.run_id)
                del state.results[event.run_id]
        return True

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

    async def erased(self, *, within_s: float, limit: int) -> Mapping[int, int]:
        """Return the sessions erased in the last `within_s` seconds, newest first, each with its head."""
        since = later(await self._state.turn(), -within_s)
        found = [
            (row.erased_at, row.id, row.head)
            for row in self._state.sessions.values()
            if row.erased_at is not None and row.erased_at > since
        ]
        found.sort(reverse=True)
        return {session: head for _, session, head in found[:limit]}

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
        answers_since, words_since = later(now, -ANSWER_KEPT_S), later(now, -WORKFLOW_KEPT_S)
        for name, answer in list(islice(answers.items(), limit)):
            if answer.given_at >= answers_since:
                break
            del answers[name]
        for name in [name for name, word in announcements.items() if word.seen_at < words_since]:
            del announcements[name]

    def _busy(self) -> list[SessionRow]:
        """The sessions that are not at rest: those cost a claim nothing, however many there are."""
        busy = self._state.busy
        for row in list(self._state.known(busy)):
            if not any(row.open_commands()) and not any(row.open_runs()):
                busy.discard(row.id)
        return list(self._state.known(busy))

    def _begins(
        self, free: Sequence[SessionRow], loaded: frozenset[str], slots: Slots, now: datetime
    ) -> dict[int, RunRow]:
        """Return, by session, the run that its next owner may begin or go on with: as many as there are slots."""
        due = [
            run for row in free if (run := in_turn(row, now)) is not None and run.workflow in loaded
        ]
        if not due:
            return {}
        due.sort(key=turn_of)
        return {run.session: run for run in due if slots.take(run)}

    def _at_epoch(self, sessions: Mapping[int, int]) -> list[SessionRow]:
        return [row for row in self._state.known(sessions) if row.epoch == sessions[row.id]]

    def _own(
        self, row: SessionRow, worker: str, lease_until: datetime, slot: RunRow | None
    ) -> Claim:
        taken_over = row.owner is not None
        row.epoch += 1
        row.owner, row.lease_until = worker, lease_until
        if slot is not None and slot.status.idle:
            slot.slot_epoch = row.epoch
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
            slot=None if slot is None else slot.run_id,
        )


def _first_commands(row: SessionRow) -> list[Command]:
    return [command.command() for command in islice(row.open_commands(), COMMANDS_AT_ONCE)]
