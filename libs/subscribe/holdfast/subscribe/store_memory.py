"""Durable subscriptions in memory: for tests and simulations, over the same state as the log's other twins."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from holdfast.events.kinds import TypeFilter
from holdfast.events.recorded import RecordedEvent
from holdfast.events.state_memory import MemoryState, later
from holdfast.events.store import EventRow
from holdfast.subscribe.delivery import ORIGIN, Delivery, Position
from holdfast.subscribe.store import (
    DEAD_LETTERS_MAX,
    LAG_EVENTS_MAX,
    PAGE_BYTES_MAX,
    PAGE_EVENTS_MAX,
    Apply,
    DeadLetter,
    Hold,
    HoldLost,
    LogPage,
    PositionAhead,
    Progress,
    SubscriptionInfo,
    SubscriptionUnknown,
    Waiting,
)
from holdfast.subscribe.subscription import Start

_Key = tuple[int, int]


@dataclass(slots=True)
class _Parked:
    due_at: datetime
    tries: int = 0
    dead_at: datetime | None = None
    error: str = ""


@dataclass(slots=True)
class _Row:
    position: Position
    moved_at: datetime
    epoch: int = 0
    owner: str | None = None
    lease_until: datetime | None = None
    error: str | None = None
    dropped: int = 0
    parked: dict[_Key, _Parked] = field(default_factory=dict[_Key, _Parked])

    def waiting(self) -> list[_Key]:
        """The parked events that aren't dead, in the order of their sessions."""
        return sorted(key for key, parked in self.parked.items() if parked.dead_at is None)


class MemorySubscriptions:
    """Where subscriptions stand, over a shared state."""

    def __init__(self, state: MemoryState) -> None:
        self._state = state
        self._rows: dict[str, _Row] = {}

    async def acquire(self, name: str, owner: str, *, lease_s: float, start: Start) -> Hold | None:
        """Become the holder of a subscription, which is made if it is new; None while another one holds it."""
        now = await self._state.turn()
        row = self._rows.get(name)
        if row is None:
            row = self._rows[name] = _Row(self._place(start), now)
        if row.owner != owner and row.lease_until is not None and row.lease_until >= now:
            return None
        row.epoch += 1
        row.owner, row.lease_until = owner, later(now, lease_s)
        return Hold(name, owner, row.epoch, row.position)

    async def release(self, hold: Hold) -> None:
        """Let somebody else hold it at once."""
        await self._state.turn()
        row = self._rows.get(hold.name)
        if row is not None and row.epoch == hold.epoch:
            row.owner = row.lease_until = None

    async def read(self, name: str, after: Position, types: TypeFilter) -> LogPage:
        """Return the next events of all sessions in commit order."""
        await self._state.turn()
        commits = self._state.commits
        if after.tx > len(self._state.commit_times) + 1:
            raise PositionAhead(name, after)
        first = bisect_right(commits, tuple(after))
        items: list[Delivery] = []
        erased: list[_Key] = []
        through, size, looked = after, 0, 0
        for place in commits[first : first + PAGE_EVENTS_MAX]:
            if size >= PAGE_BYTES_MAX:
                break
            through, looked = Position(*place), looked + 1
            event = self._event(place[1], place[2])
            if event is None:
                continue
            if event.type == "session.erased":
                erased.append((place[1], place[2]))
            if types.passes(event.type):
                items.append(self._delivery(event, through))
                size += len(event.body)
        more = looked == PAGE_EVENTS_MAX or size >= PAGE_BYTES_MAX
        return LogPage(items, through, more, erased)

    async def waiting(self, hold: Hold, *, ordered: bool, limit: int) -> Waiting:
        """Return parked events that are due: with `ordered`, from each session's oldest on, up to one not due."""
        now = await self._state.turn()
        row = self._rows[hold.name]
        total, blocked = len(row.waiting()), frozenset(session for session, _ in row.waiting())
        due: list[Delivery] = []
        held: set[int] = set()
        for key in row.waiting():
            event = self._event(*key)
            if event is None:
                del row.parked[key]
            elif row.parked[key].due_at > now:
                held.add(key[0])
            elif not (ordered and key[0] in held):
                due.append(self._delivery(event, Position(0, *key), row.parked[key].tries))
        return Waiting(due[:limit], total, blocked)

    async def save(
        self, hold: Hold, progress: Progress, *, lease_s: float, apply: Apply | None = None
    ) -> None:
        """Record progress and renew the lease, together with what `apply` does."""
        now = await self._state.turn()
        row = self._rows.get(hold.name)
        if row is None or row.epoch != hold.epoch:
            raise HoldLost(f"subscription {hold.name!r} has another holder, or was reset")
        if apply is not None:
            await apply(None)
        row.lease_until = later(now, lease_s)
        if progress.through is not None:
            row.position, row.moved_at = progress.through, now
        for failure in progress.failed:
            dead_at = now if failure.pause_s is None else None
            row.parked[failure.session, failure.seq] = _Parked(
                later(now, failure.pause_s or 0), failure.tries, dead_at, failure.error
            )
        letters = [(p.dead_at, key) for key, p in row.parked.items() if p.dead_at is not None]
        for _, key in sorted(letters)[: max(0, len(letters) - DEAD_LETTERS_MAX)]:
            del row.parked[key]
            row.dropped += 1
        for key in progress.behind:
            row.parked.setdefault(key, _Parked(now))
        for key in progress.handled:
            row.parked.pop(key, None)
        for session, before in progress.erased:
            for key in [k for k in row.parked if k[0] == session and k[1] < before]:
                del row.parked[key]

    async def complain(self, hold: Hold, error: str | None) -> None:
        """Show why the subscription stands still; None: it doesn't."""
        await self._state.turn()
        row = self._rows[hold.name]
        if row.epoch == hold.epoch:
            row.error = error

    async def all(self) -> Sequence[SubscriptionInfo]:
        """Return every subscription, by name."""
        now = await self._state.turn()
        return [self._info(name, row, now) for name, row in sorted(self._rows.items())]

    async def dead_letters(self, name: str, *, limit: int = 100) -> Sequence[DeadLetter]:
        """Return a subscription's dead letters, oldest first. Raises SubscriptionUnknown."""
        await self._state.turn()
        letters: list[DeadLetter] = []
        for (session, seq), parked in self._row(name).parked.items():
            if parked.dead_at is None:
                continue
            event, owner = self._event(session, seq), self._state.sessions[session]
            letters.append(
                DeadLetter(
                    session=session,
                    tenant=owner.tenant,
                    session_id=owner.session_id,
                    seq=seq,
                    type=event.type if event else None,
                    tries=parked.tries,
                    dead_at=parked.dead_at,
                    error=parked.error,
                )
            )
        letters.sort(key=lambda letter: (letter.dead_at, letter.session, letter.seq))
        return letters[:limit]

    async def replay(self, name: str, keys: Sequence[_Key] | None = None) -> int:
        """Have dead letters tried anew, these or all; return how many. Raises SubscriptionUnknown."""
        now = await self._state.turn()
        row = self._row(name)
        chosen = self._dead(row, keys)
        for key in chosen:
            row.parked[key] = _Parked(now)
        return len(chosen)

    async def discard(self, name: str, keys: Sequence[_Key] | None = None) -> int:
        """Forget dead letters, these or all; return how many. Raises SubscriptionUnknown."""
        await self._state.turn()
        row = self._row(name)
        chosen = self._dead(row, keys)
        for key in chosen:
            del row.parked[key]
        return len(chosen)

    async def reset(
        self, name: str, to: Position | Start, *, apply: Apply | None = None
    ) -> Position:
        """Move a subscription, drop what is parked, and take it from its holder, together with what `apply` does."""
        now = await self._state.turn()
        row = self._row(name)
        if apply is not None:
            await apply(None)
        place = to if isinstance(to, Position) else self._place(to)
        self._rows[name] = _Row(place, now, epoch=row.epoch + 1)
        return place

    def _place(self, start: Start) -> Position:
        if start is Start.BEGINNING:
            return ORIGIN
        return Position(len(self._state.commit_times) + 1, 0, 0)

    def _row(self, name: str) -> _Row:
        if name not in self._rows:
            raise SubscriptionUnknown(name)
        return self._rows[name]

    @staticmethod
    def _dead(row: _Row, keys: Sequence[_Key] | None) -> list[_Key]:
        dead = [key for key, parked in row.parked.items() if parked.dead_at is not None]
        return dead if keys is None else [key for key in dead if key in set(keys)]

    def _event(self, session: int, seq: int) -> EventRow | None:
        row = self._state.sessions[session]
        place = seq - row.min_seq
        return row.events[place] if 0 <= place < len(row.events) else None

    def _delivery(self, event: EventRow, position: Position, tries: int = 0) -> Delivery:
        recorded = RecordedEvent(position.seq, event.type, event.run_id, event.body)
        tenant = self._state.sessions[position.session].tenant
        return Delivery(recorded, event.event_id, position.session, tenant, position, tries)

    def _info(self, name: str, row: _Row, now: datetime) -> SubscriptionInfo:
        commits = self._state.commits
        late = commits[bisect_right(commits, tuple(row.position)) :]
        times = [
            self._state.commit_times[tx - 1]
            for tx, session, seq in late
            if self._event(session, seq) is not None
        ]
        held = row.lease_until is not None and row.lease_until >= now
        return SubscriptionInfo(
            name=name,
            position=row.position,
            owner=row.owner if held else None,
            lag=min(len(times), LAG_EVENTS_MAX + 1),
            lag_s=(now - times[0]).total_seconds() if times else 0.0,
            waiting=len(row.waiting()),
            dead=len(row.parked) - len(row.waiting()),
            dropped=row.dropped,
            error=row.error,
            moved_at=row.moved_at,
        )
