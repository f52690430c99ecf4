"""Group commit: while one commit is in flight, everything else gathers for the next. No window, no timer.

One recorder per process appends for all its sessions. An event that the store has confirmed, and only such a one,
goes on to the publisher.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import AppendRefused, StoreUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Outcome, SessionBatch, Writer
from holdfast.orchestrator.session_log import Entry, SessionLog

# A few hundred events a commit: at 200 producers that is 156,000 events/s, and a poisoned batch is soon taken apart.
BATCH_EVENTS_MAX = 400

# While Postgres is away: 0.1 s, doubling to 2 s, each give or take 20 %.
RETRY_FIRST_S = 0.1
RETRY_LAST_S = 2.0

log = structlog.get_logger("holdfast.recorder")


class Announcer(Protocol):
    """Takes what is committed, in order, and makes it known."""

    def committed(self, session: SessionLog, events: Sequence[RecordedEvent]) -> None:
        """Publish these soon. Never fails, never waits."""
        ...


class Guard(Protocol):
    """Knows whether this worker may append at all."""

    async def active(self) -> None:
        """Wait while the worker's leases are in doubt."""
        ...


class Observer(Protocol):
    """What a recorder counts."""

    def appended(self, events: int, seconds: float) -> None:
        """A commit went through."""
        ...

    def refused(self, sessions: int) -> None:
        """Sessions turned out to have another owner."""
        ...


class Recorder:
    """Appends what the process's sessions have pending, many sessions to a commit, one commit at a time."""

    def __init__(
        self,
        writer: Writer,
        announcer: Announcer,
        guard: Guard,
        *,
        observer: Observer,
        clock: Clock,
        chance: random.Random,
    ) -> None:
        self._writer, self._announcer, self._guard = writer, announcer, guard
        self._observer, self._clock, self._chance = observer, clock, chance
        self._dirty: dict[int, SessionLog] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    def submit(self, session: SessionLog) -> None:
        """Let the session's pending entries be recorded."""
        self._dirty[session.session] = session
        self._idle.clear()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until nothing is pending."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit whatever is pending, for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._dirty:
                await self._guard.active()
                await self._commit(self._gather())
            self._idle.set()

    def _gather(self) -> list[tuple[SessionLog, SessionBatch, list[Entry]]]:
        """Take the next batch: sessions in the order in which they became dirty, the rest keeps its place."""
        gathered: list[tuple[SessionLog, SessionBatch, list[Entry]]] = []
        room = BATCH_EVENTS_MAX
        for session in list(self._dirty.values()):
            if room <= 0:
                break
            if not session.pending:
                del self._dirty[session.session]
                continue
            batch, entries = session.batch(room)
            gathered.append((session, batch, entries))
            room -= max(1, len(batch.events))
            del self._dirty[session.session]
            if len(entries) < len(session.pending):
                self._dirty[session.session] = session
        return gathered

    async def _commit(
        self,
        gathered: Sequence[tuple[SessionLog, SessionBatch, list[Entry]]],
        *,
        unknown: bool = False,
    ) -> None:
        if not gathered:
            return
        started = self._clock.monotonic()
        try:
            refused = await self._append([batch for _, batch, _ in gathered], unknown=unknown)
        except AppendRefused as error:
            await self._take_apart(gathered, error)
            return
        for session, batch, entries in gathered:
            if session.session in refused:
                self._fence(session)
            elif not session.fenced:
                recorded = session.commit(entries)
                self._observer.appended(len(batch.events), self._clock.monotonic() - started)
                self._announcer.committed(session, recorded)
                if session.pending:
                    self.submit(session)

    async def _append(self, batches: Sequence[SessionBatch], *, unknown: bool) -> frozenset[int]:
        """Append until the outcome is known: a lost reply is looked up, and what is absent is sent again as it was."""
        refused: frozenset[int] = frozenset()
        wait = RETRY_FIRST_S
        while batches:
            try:
                if unknown:
                    outcomes = await self._writer.resolve(batches)
                    refused |= {s for s, o in outcomes.items() if o is Outcome.FENCED}
                    batches = [b for b in batches if outcomes[b.session] is Outcome.ABSENT]
                    unknown = False
                    log.info(
                        "append.resolved", **{o: list(outcomes.values()).count(o) for o in Outcome}
                    )
                    continue
                return refused | await self._writer.append(batches)
            except StoreUnavailable as error:
                log.warning("append.unknown", sessions=len(batches), error=str(error))
                unknown = True
                await self._clock.sleep(jittered(wait, 0.2, self._chance))
                wait = min(wait * 2, RETRY_LAST_S)
                await self._guard.active()
        return refused

    async def _take_apart(
        self, gathered: Sequence[tuple[SessionLog, SessionBatch, list[Entry]]], error: AppendRefused
    ) -> None:
        """Find the entry that the log refuses: it fails alone, loudly, and its neighbours are recorded."""
        if len(gathered) > 1:
            # Some may be recorded: by a first try whose reply was lost, before a second one was refused.
            for one in gathered:
                await self._commit([one], unknown=True)
            return
        session, batch, entries = gathered[0]
        if session.fenced:
            return  # meanwhile its lease was found to be lost: nothing of it is pending any more
        if len(entries) > 1:
            for entry in entries:
                if session.fenced:
                    return
                await self._commit([(session, session.batch_of([entry]), [entry])])
            return
        log.error(
            "append.refused",
            session=session.session_id,
            rule=error.rule,
            types=[e.type for e in batch.events],
            keys=[e.key for e in batch.events],
        )
        session.reject(entries[0], error)
        if session.pending:
            self.submit(session)

    def _fence(self, session: SessionLog) -> None:
        log.warning("append.fenced", session=session.session_id, epoch=session.epoch)
        self._observer.refused(1)
        session.fence()
