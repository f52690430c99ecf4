"""The end of one owned session: events that have a seq but are not committed yet, in order.

Only the owner numbers events, so numbering needs no round trip. What is pending is bounded in bytes: whoever emits
waits when the database doesn't keep up, instead of filling memory.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from uuid import UUID

from holdfast.events.clock import Clock
from holdfast.events.codec import Encoder
from holdfast.events.errors import HoldfastError
from holdfast.events.ids import random_uuid
from holdfast.events.recorded import Emission, RecordedEvent
from holdfast.events.store import Claim, Effect, EventRow, SessionBatch, StepResult

# A run that emits without ever waiting gives the loop a turn this often, some 2 ms: or what it says, and what others
# say, would be on its way to the database only when it is done.
TURN_ENTRIES = 64

# 1 MiB not yet committed: about 2,500 events, a second of a very fast run. Beyond it the emitter waits.
PENDING_BYTES_MAX = 1024 * 1024


class Fenced(HoldfastError):
    """The session isn't ours to write any more: append nothing more, do nothing more for it."""


@dataclass(slots=True, eq=False)
class Entry:
    """Events that are recorded together with their effects, or not at all."""

    emissions: Sequence[Emission]
    effects: Sequence[Effect]
    ids: Sequence[UUID]
    ts: datetime
    first: int = 0
    bodies: list[bytes] = field(default_factory=list[bytes])
    size: int = 0
    committed: bool = False
    error: HoldfastError | None = None
    # One each, so that whoever gives up waiting cancels nobody else's; most entries have one, or none.
    waiters: list[asyncio.Future[None]] | None = None

    def settle(self, error: HoldfastError | None = None) -> None:
        """Tell whoever waits that the entry is committed, or why it never will be."""
        self.committed, self.error = error is None, error
        for waiter in self.waiters or ():
            if not waiter.done():
                # The error is read where it is waited for.
                waiter.set_result(None)
        self.waiters = None

    async def durable(self) -> None:
        """Wait until the entry is committed. Raises what kept it out of the log."""
        if not self.committed and self.error is None:
            waiter = asyncio.get_running_loop().create_future()
            if self.waiters is None:
                self.waiters = [waiter]
            else:
                self.waiters.append(waiter)
            await waiter
        if self.error is not None:
            raise self.error


class SessionLog:
    """Numbers, encodes and holds the events of one owned session until the recorder has committed them."""

    def __init__(
        self, claim: Claim, *, clock: Clock, on_fenced: Callable[[], object] | None = None
    ) -> None:
        """`on_fenced()` is called once, at the moment from which nothing can be added any more."""
        self.session, self.session_id, self.epoch = claim.session, claim.session_id, claim.epoch
        self.tenant = claim.tenant
        self.committed_head = claim.head
        self.published, self.taken_over = claim.published, claim.taken_over
        self.pending: deque[Entry] = deque()
        self.fenced = False
        self._why = ""  # it is fenced
        self._on_fenced = on_fenced
        self._next = claim.head + 1
        self._last_ts = claim.last_ts
        self._clock, self._encoder = clock, Encoder(claim.session_id)
        self._bytes = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def head(self) -> int:
        """The seq of the last event that was added, committed or not."""
        return self._next - 1

    def add(self, emissions: Sequence[Emission], effects: Sequence[Effect] = ()) -> Entry:
        """Number and encode events; they are recorded together, with `effects`, in the order of the calls.

        Raises EventInvalid or EventTooLarge for an event that can't be written (nothing is added then), and Fenced.
        """
        if self.fenced:
            raise Fenced(self._why)
        entry = Entry(emissions, effects, [random_uuid() for _ in emissions], self._now())
        self._number(entry, self._next)
        self.pending.append(entry)
        self._next += len(emissions)
        self._bytes += entry.size
        if self._bytes > PENDING_BYTES_MAX:
            self._room.clear()
        return entry

    async def room(self) -> None:
        """Wait while more than PENDING_BYTES_MAX is not committed. Raises Fenced.

        To be awaited after each entry; now and then it only gives the loop a turn.
        """
        if not self._room.is_set():
            await self._room.wait()
        elif len(self.pending) % TURN_ENTRIES == TURN_ENTRIES - 1:
            await asyncio.sleep(0)
        if self.fenced:
            raise Fenced(self._why)

    def batch(
        self, limit: int, *, limit_bytes: int = PENDING_BYTES_MAX
    ) -> tuple[SessionBatch, list[Entry]]:
        """Return the oldest entries, at least one, about `limit` events and `limit_bytes`, as a batch for the store."""
        entries: list[Entry] = []
        events: list[EventRow] = []
        size = 0
        for entry in self.pending:
            size += entry.size
            if entries and (len(events) + len(entry.emissions) > limit or size > limit_bytes):
                break
            entries.append(entry)
            events.extend(_rows(entry))
        return self.batch_of(entries, events), entries

    def batch_of(
        self, entries: Sequence[Entry], events: Sequence[EventRow] | None = None
    ) -> SessionBatch:
        """Return these entries, the oldest ones, as a batch for the store."""
        if events is None:
            events = [row for entry in entries for row in _rows(entry)]
        return SessionBatch(
            session=self.session,
            epoch=self.epoch,
            expected_head=self.committed_head,
            events=events,
            effects=[effect for entry in entries if entry.effects for effect in entry.effects],
            published=self.published,
        )

    def commit(self, entries: Sequence[Entry]) -> list[RecordedEvent]:
        """Take committed entries off; return their events for publishing."""
        recorded: list[RecordedEvent] = []
        for entry in entries:
            self._take(entry)
            recorded += [
                RecordedEvent(seq, emission.event.type, emission.context.run_id, body, event_id)
                for seq, emission, body, event_id in zip(
                    count(entry.first), entry.emissions, entry.bodies, entry.ids, strict=False
                )
            ]
            entry.settle()
        self.committed_head += len(recorded)
        return recorded

    def reject(self, entry: Entry, error: HoldfastError) -> None:
        """Take the oldest entry off as refused by the log, and number everything behind it anew."""
        self._take(entry)
        entry.settle(error)
        self._next = self.committed_head + 1
        for later in self.pending:
            self._number(later, self._next)
            self._next += len(later.emissions)
        # Another seq may be a digit shorter.
        self._bytes = sum(later.size for later in self.pending)

    def fence(self, why: str = "has another owner") -> None:
        """Give up everything that is pending: another worker owns the session, or `why` else nothing can be added."""
        if self.fenced:
            return
        self.fenced, self._why = True, f"session {self.session_id} {why}"
        for entry in self.pending:
            entry.settle(Fenced(self._why))
        self.pending.clear()
        self._room.set()
        if self._on_fenced is not None:
            self._on_fenced()

    def _take(self, entry: Entry) -> None:
        oldest = self.pending.popleft()
        assert oldest is entry, "entries are committed in order"
        self._bytes -= entry.size
        if self._bytes <= PENDING_BYTES_MAX:
            self._room.set()

    def _number(self, entry: Entry, first: int) -> None:
        encode, ts = self._encoder.encode, entry.ts
        bodies = [
            encode(e.event, e.context, seq=seq, ts=ts)
            for seq, e in enumerate(entry.emissions, first)
        ]
        size = sum(map(len, bodies))
        if entry.effects:
            # What replay must find is on its way into the database too, and may be the larger part.
            size += sum(len(e.body) for e in entry.effects if isinstance(e, StepResult))
        entry.first, entry.bodies, entry.size = first, bodies, size

    def _now(self) -> datetime:
        """Return the clock's time, never before the session's last event."""
        now = self._clock.now()
        if self._last_ts is None or now > self._last_ts:
            self._last_ts = now
        return self._last_ts


def _rows(entry: Entry) -> list[EventRow]:
    return [
        EventRow(
            event_id,
            emission.event.type,
            emission.context.run_id,
            emission.key,
            emission.event.schema_v,
            entry.ts,
            body,
        )
        for event_id, emission, body in zip(entry.ids, entry.emissions, entry.bodies, strict=True)
    ]
