"""Group commit: while two commits are in flight, everything else gathers for the next. No window, no timer.

One recorder per process appends for all its sessions. A session is in one commit at a time, so that two of them have
nothing in common; the database works at one while the worker prepares and settles the other. An event that the store
has confirmed, and only such a one, goes on to the publisher. Sessions that can't be recorded together are recorded
aside, each by itself and at its own pace: a row that is locked, an entry that is huge or that the log refuses holds up
its own session and no other.
"""

import asyncio
import random
from collections.abc import Sequence
from typing import Protocol

import structlog

from holdfast.events.clock import Clock, jittered
from holdfast.events.errors import AppendRefused, StoreBusy, StoreUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Outcome, Writer
from holdfast.orchestrator.session_log import SessionLog
from holdfast.orchestrator.work import Work

# One that Postgres works at and one in the worker's hands: a third would wait for either.
COMMITS = 2

# A few hundred events a commit: at 200 producers that is 156,000 events/s, and a poisoned batch is soon taken apart.
BATCH_EVENTS_MAX = 400

# While no other commit is in flight, a crowd of sessions is shared out over two: else all who wait for a commit would
# wait for the same one and be settled at the same time, with the database idle meanwhile.
SHARE_EVENTS = 64

# 4 MiB a commit: some 50 ms of Postgres. A single entry may be larger; it is recorded aside then.
BATCH_BYTES_MAX = 4 * 1024 * 1024

# With the two commits four of the worker's five connections: each of these may wait for a lock for 2 s.
ASIDE_APPENDS = 2

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
        """A commit went through, with so many events of all its sessions."""
        ...

    def refused(self, sessions: int) -> None:
        """Sessions turned out to have another owner."""
        ...


class Recorder:
    """Appends what the process's sessions have pending, many sessions to a commit."""

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
        # In a commit or aside: what is added meanwhile is looked at when they come back.
        self._taken: set[SessionLog] = set()
        self._in_flight = 0
        self._aside_slots = asyncio.Semaphore(ASIDE_APPENDS)
        self._wake = asyncio.Event()

    def submit(self, session: SessionLog) -> None:
        """Let the session's pending entries be recorded."""
        if session not in self._taken:
            self._dirty[session.session] = session
            self._wake.set()

    async def run(self) -> None:
        """Commit whatever is pending, for ever. Nothing that the store raises ends this."""
        async with asyncio.TaskGroup() as group:
            for n in range(COMMITS):
                group.create_task(self._keep_committing(group), name=f"recorder:{n}")

    async def _keep_committing(self, group: asyncio.TaskGroup) -> None:
        while True:
            if not self._dirty:
                self._wake.clear()
                await self._wake.wait()
            await self._guard.active()
            together, alone = self._gather()
            if together:
                self._in_flight += 1
                try:
                    aside = await self._commit(together)
                finally:
                    self._in_flight -= 1
                alone += aside
                for work in together:
                    if work not in aside:
                        self._give_back(work.session)
            for work in alone:
                group.create_task(self._alone(work), name=f"append:{work.session.session_id}")

    def _gather(self) -> tuple[list[Work], list[Work]]:
        """Take the next batch, sessions in the order in which they became dirty.

        Beside it come those whose oldest entry is too large to be recorded with others.
        """
        together: list[Work] = []
        alone: list[Work] = []
        room, room_bytes = self._share(), BATCH_BYTES_MAX
        while self._dirty and room > 0:
            session = next(iter(self._dirty.values()))
            if not session.pending:
                del self._dirty[session.session]
                continue
            first = session.pending[0]
            if first.size > BATCH_BYTES_MAX:
                alone.append(Work(session, session.batch_of([first]), [first]))
            elif first.size > room_bytes:
                break
            else:
                batch, entries = session.batch(room, limit_bytes=room_bytes)
                together.append(Work(session, batch, entries))
                room -= max(1, len(batch.events))
                room_bytes -= sum(entry.size for entry in entries)
            del self._dirty[session.session]
            self._taken.add(session)
        return together, alone

    def _share(self) -> int:
        """Return how many events the next commit should take."""
        waiting = len(self._dirty)
        if self._in_flight or waiting < SHARE_EVENTS:
            return BATCH_EVENTS_MAX
        return min(waiting // COMMITS, BATCH_EVENTS_MAX)

    def _give_back(self, session: SessionLog) -> None:
        """Let the session be recorded with others again."""
        self._taken.discard(session)
        if session.pending:
            self.submit(session)

    async def _commit(self, works: Sequence[Work]) -> list[Work]:
        """Append together; return those that have to be appended one by one."""
        for pause in (RETRY_FIRST_S, None):
            try:
                works = await self._try(works)
            except StoreUnavailable as error:
                log.warning("append.failed", sessions=len(works), error=str(error))
                # Two failures in a row: Postgres is away, or one session keeps the others from being recorded.
                if pause is None or isinstance(error, StoreBusy):
                    break
                await self._clock.sleep(jittered(pause, 0.2, self._chance))
                await self._guard.active()
            except AppendRefused:
                break
            except Exception:
                # Whose fault it is shows when they are tried one by one.
                log.exception("append.broke", sessions=len(works))
                break
            works = [work for work in works if not work.done]
            if not works:
                break
        return [work for work in works if not work.done]

    async def _try(self, works: Sequence[Work]) -> list[Work]:
        """Append once, what is absent as it was; return those whose outcome is still to be asked for.

        Raises what the store raises; what is known by then is settled.
        """
        works = [work for work in works if not work.done]
        if any(work.unknown for work in works):
            works = await self._resolve(works)
        if not works:
            return []
        started = self._clock.monotonic()
        try:
            refused = await self._writer.append([work.batch for work in works])
        except (AppendRefused, StoreBusy):
            raise  # nothing was executed
        except BaseException:
            for work in works:
                work.doubt()
            raise
        again: list[Work] = []
        events = 0
        for work in works:
            if work.session.session not in refused:
                events += self._settle(work)
            elif work.doubtful:
                # Perhaps it was refused because the lost try came through after it had been looked for.
                work.doubt()
                again.append(work)
            else:
                self._fence(work)
        if events:
            self._observer.appended(events, self._clock.monotonic() - started)
        return again

    async def _resolve(self, works: Sequence[Work]) -> list[Work]:
        """Look up what became of tries whose reply was lost; return those that are to be sent again."""
        started = self._clock.monotonic()
        outcomes = await self._writer.resolve([work.batch for work in works])
        log.info("append.resolved", **{o: list(outcomes.values()).count(o) for o in Outcome})
        absent: list[Work] = []
        events = 0
        for work in works:
            match outcomes[work.session.session]:
                case Outcome.RECORDED:
                    events += self._settle(work)
                case Outcome.FENCED:
                    self._fence(work)
                case Outcome.ABSENT:
                    work.unknown = False
                    absent.append(work)
        if events:
            self._observer.appended(events, self._clock.monotonic() - started)
        return absent

    async def _alone(self, work: Work) -> None:
        """Record one session's entries by themselves; then it is among the others again."""
        session = work.session
        try:
            try:
                await self._until_known(work)
            except AppendRefused as error:
                await self._take_apart(work, error)
        except Exception as error:
            # Nothing passing, and no rule of the log: trying again would break again.
            log.exception("append.broke", session=session.session_id, epoch=session.epoch)
            session.fence(f"can't be recorded: {error!r}")
        finally:
            self._give_back(session)

    async def _until_known(self, work: Work) -> None:
        """Append one session's entries until the outcome is known. Raises AppendRefused, and what is unexpected."""
        wait = RETRY_FIRST_S
        while not (work.done or work.session.fenced):
            await self._guard.active()
            try:
                async with self._aside_slots:
                    if not await self._try([work]):
                        return
            except StoreUnavailable as error:
                log.warning("append.failed", session=work.session.session_id, error=str(error))
            await self._clock.sleep(jittered(wait, 0.2, self._chance))
            wait = min(wait * 2, RETRY_LAST_S)

    async def _take_apart(self, work: Work, error: AppendRefused) -> None:
        """Find the entry that the log refuses: it fails alone, loudly, and those behind it are recorded."""
        if len(work.entries) == 1:
            self._reject(work, error)
            return
        session = work.session
        for entry in work.entries:
            if session.fenced:
                return
            one = Work(session, session.batch_of([entry]), [entry], doubtful=work.doubtful)
            try:
                await self._until_known(one)
            except AppendRefused as refusal:
                self._reject(one, refusal)

    def _settle(self, work: Work) -> int:
        """Make known what is in the log now; return how many events."""
        work.done = True
        session = work.session
        if session.fenced:
            return 0  # meanwhile its lease was found to be lost: nothing of it is pending any more
        recorded = session.commit(work.entries)
        self._announcer.committed(session, recorded)
        return len(recorded)

    def _reject(self, work: Work, error: AppendRefused) -> None:
        if work.session.fenced:
            return
        log.error(
            "append.refused",
            session=work.session.session_id,
            rule=error.rule,
            types=[e.type for e in work.batch.events],
            keys=[e.key for e in work.batch.events],
        )
        work.session.reject(work.entries[0], error)

    def _fence(self, work: Work) -> None:
        work.done = True
        session = work.session
        log.warning("append.fenced", session=session.session_id, epoch=session.epoch)
        self._observer.refused(1)
        session.fence()
