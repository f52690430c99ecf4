"""The twins behind their wires: what a process of the simulation is given as its store and its stream.

What passes is noted on the server's side, at the moment of the effect: who recorded an event and when, and that
nothing is published which is not in the log.
"""

# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from holdfast.events.append_memory import MemoryWriter
from holdfast.events.clock import Clock
from holdfast.events.errors import AppendRefused, StoreBusy, StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Claim, Health, Outcome, SessionBatch
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream import News, Published, Wake
from holdfast.events.stream_memory import MemoryHints, MemoryStream, MemoryWakes
from tests.simulation.ports import Remote, Seen, Server, Wire
from tests.simulation.process import Process
from tests.simulation.records import Recorded, Records


@dataclass(slots=True)
class Backend:
    """Both servers, what they hold, and the notes about it."""

    store: MemoryStore
    stream: MemoryStream
    postgres: Server
    redis: Server
    clock: Clock
    records: Records
    chance: random.Random

    def store_for(self, process: Process) -> "SimulatedStore":
        """Return the store as a process reaches it."""
        return SimulatedStore(self, process)

    def stream_for(self, process: Process) -> "SimulatedStream":
        """Return the stream as a process reaches it."""
        return SimulatedStream(self, process)

    @property
    def seen(self) -> Seen | None:
        """What traces a call, in a schedule that is traced."""
        return None if self.records.trace is None else self._see

    def _see(self, process: str, what: str, how: str) -> None:
        if self.records.trace is not None:
            self.records.trace.append(f"{self.clock.monotonic():9.4f} {process:12} {what} {how}")


class SimulatedStore:
    """A `Store` over one wire."""

    def __init__(self, backend: Backend, process: Process) -> None:
        self._backend = backend
        self.wire = Wire(process, backend.postgres, backend.seen)
        store = backend.store
        self.log_id = store.log_id
        self.reader: Any = Remote(self.wire, "reader", store.reader)
        self.writer: Any = _Writer(self.wire, backend)
        self.claims: Any = _Claims(self.wire, backend)
        self.desk: Any = Remote(self.wire, "desk", store.desk)
        self.registry: Any = Remote(self.wire, "registry", store.registry)
        self.snapshots: Any = Remote(self.wire, "snapshots", getattr(store, "snapshots", None))

    async def health(self) -> Health:
        """Ask the twin."""
        return await self.wire.call("health", self._backend.store.health)

    async def close(self) -> None:
        """Do nothing."""


class _Writer:
    """The fenced append over a wire, with a producer's log."""

    def __init__(self, wire: Wire, backend: Backend) -> None:
        self._wire, self._records, self._clock = wire, backend.records, backend.clock
        twin = backend.store.writer
        assert isinstance(twin, MemoryWriter)
        self._twin = twin

    async def append(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """Append; whatever the caller learns of it is noted."""
        tried = self._records.asked(self._wire.process.name, batches, self._clock.monotonic())
        tried.sent()
        try:
            refused = await self._wire.call("writer.append", self._record, batches)
        except (AppendRefused, StoreBusy):
            tried.nothing_done()
            raise
        tried.done(refused)
        return refused

    async def resolve(self, batches: Sequence[SessionBatch]) -> Mapping[int, Outcome]:
        """Look batches up whose reply was lost."""
        tried = self._records.asked(self._wire.process.name, batches, self._clock.monotonic())
        outcomes = await self._wire.call("writer.resolve", self._twin.resolve, batches)
        tried.resolved(outcomes)
        for outcome in outcomes.values():
            self._records.count(f"commit unknown, {outcome}")
        return outcomes

    async def _record(self, batches: Sequence[SessionBatch]) -> frozenset[int]:
        """At the server: append, and note who did."""
        refused = await self._twin.append(batches)
        now = self._clock.monotonic()
        for batch in batches:
            if batch.session in refused:
                self._records.count("append refused")
                continue
            if (claimed := self._records.claimed.get(batch.session, 0)) != batch.epoch:
                self._records.wrong(
                    f"I8 single writer: {self._wire.process.name} appended as epoch {batch.epoch} to session"
                    f" {batch.session}, which was claimed with epoch {claimed} before"
                )
            for seq, event in enumerate(batch.events, batch.expected_head + 1):
                self._records.recorded[batch.session, seq] = Recorded(
                    batch.epoch, now, event.event_id, event.key
                )
        return refused


class _Claims(Remote):
    """Claims over a wire; takeovers are counted where they happen."""

    def __init__(self, wire: Wire, backend: Backend) -> None:
        super().__init__(wire, "claims", backend.store.claims)
        self._records = backend.records

    async def claim(self, worker: str, **kwargs: Any) -> Sequence[Claim]:
        """Claim."""
        return await self._wire.call("claims.claim", self._claim, worker, **kwargs)

    async def _claim(self, worker: str, **kwargs: Any) -> Sequence[Claim]:
        claims = await self._twin.claim(worker, **kwargs)
        for claim in claims:
            self._records.claimed[claim.session] = claim.epoch
        self._records.count("takeover", sum(claim.taken_over for claim in claims))
        return claims


class SimulatedStream:
    """Publisher and Window over one wire; its ears are the twin's, with messages that take their time."""

    def __init__(self, backend: Backend, process: Process) -> None:
        self._backend = backend
        self._wire = Wire(process, backend.redis, backend.seen)
        self._twin = backend.stream

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Publish."""
        call = self._wire.call
        return await call("stream.publish", self._publish, session, events, at_rest=at_rest)

    async def publish_all(self, news: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        """Publish to many sessions, over as many wires: each may be lost by itself."""
        if len(news) == 1:
            return [await self._publish_one(news[0])]
        return await asyncio.gather(*(self._publish_one(one) for one in news))

    async def _publish_one(self, one: News) -> Published | StreamUnavailable:
        try:
            return await self.publish(one.session, one.events, at_rest=one.at_rest)
        except StreamUnavailable as error:
            return error

    async def rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        """Begin a window anew."""
        task = asyncio.current_task()
        what = "sweep" if task is not None and task.get_name() == "sweeper" else "rebase"
        call = self._wire.call
        return await call("stream.rebase", self._rebase, session, events, at_rest=at_rest, by=what)

    async def erase(self, session: int, last: RecordedEvent) -> Published:
        """Leave only the word of an erasure."""
        return await self._wire.call("stream.erase", self._erase, session, last)

    async def drop(self, session: int) -> None:
        """Delete a window."""
        await self._wire.call("stream.drop", self._twin.drop, session)

    async def hint_work(self, session: int) -> None:
        """Hint at work."""
        await self._wire.call("stream.hint_work", self._twin.hint_work, session)

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        """Read windows."""
        return await self._wire.call("stream.read", self._twin.read, cursors, limit=limit)

    def hints(self) -> "SimulatedHints":
        """Return an ear for hints."""
        return SimulatedHints(self._backend)

    def wakes(self) -> "SimulatedWakes":
        """Return an ear for wake-ups."""
        return SimulatedWakes(self._backend, self._wire)

    async def _publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool
    ) -> Published:
        self._check_recorded(session, events)
        outcome = await self._twin.publish(session, events, at_rest=at_rest)
        self._backend.records.count(f"publish {outcome}")
        return outcome

    async def _rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool, by: str
    ) -> Published:
        self._check_recorded(session, events)
        outcome = await self._twin.rebase(session, events, at_rest=at_rest)
        if outcome is Published.OK:
            self._backend.records.count(by)
        return outcome

    async def _erase(self, session: int, last: RecordedEvent) -> Published:
        self._check_recorded(session, [last])
        outcome = await self._twin.erase(session, last)
        self._backend.records.count(f"erase {outcome}")
        return outcome

    def _check_recorded(self, session: int, events: Sequence[RecordedEvent]) -> None:
        """Nothing is published that is not in the log, byte for byte."""
        row = self._backend.store._state.sessions[session]
        for event in events:
            place = event.seq - row.min_seq
            if place >= len(row.events) or (place >= 0 and row.events[place].body != event.body):
                self._backend.records.wrong(
                    f"{self._wire.process.name} published event {event.seq} of session"
                    f" {row.session_id}, which is not in the log"
                )


class SimulatedWakes(MemoryWakes):
    """Wake-ups that take their time; watching is a call."""

    def __init__(self, backend: Backend, wire: Wire) -> None:
        super().__init__(up=not backend.stream.down)
        self._backend, self._wire = backend, wire
        backend.stream._wakes.append(self)

    async def watch(self, session: int) -> None:
        """Begin to get the session's wake-ups; returns at once while Redis is away."""
        self._watched.add(session)
        if self.connected:
            await _quietly(self._wire)

    async def unwatch(self, session: int) -> None:
        """Stop getting them."""
        self._watched.discard(session)

    def put(self, wake: Wake) -> None:
        """Have the message arrive in a moment."""
        redis = self._backend.redis
        redis.loop.call_later(redis.trip_s(), super().put, wake)


async def _quietly(wire: Wire) -> None:
    with suppress(wire.server.error):
        await wire.call("wakes.watch", _nothing)


async def _nothing() -> None:
    pass


class SimulatedHints(MemoryHints):
    """Hints that take their time."""

    def __init__(self, backend: Backend) -> None:
        super().__init__()
        self._backend = backend
        backend.stream._hints.append(self)

    def put(self, session: int) -> None:
        """Have the message arrive in a moment."""
        redis = self._backend.redis
        redis.loop.call_later(redis.trip_s(), super().put, session)
