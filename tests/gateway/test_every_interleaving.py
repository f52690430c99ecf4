"""The promise that the gateway exists for, under every disorder that a seed can make.

Each call to the store and the stream stops on its way in and on its way out until a scheduler lets it go on, in any
order. In between it appends, publishes, loses wake-ups, trims and flushes windows, takes Redis and Postgres away,
lets time pass, and makes clients dawdle, leave and come back with their cursors. In the end every client must have
every event once, in order, in the bytes of the log.
"""

import asyncio
import random
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.events.errors import StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Wake
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION
from tests.gateway.worlds import make_world

EVENTS_MAX = 40
STEPS = 220

# By the head check alone a client is never later than this, once everything answers again.
PATIENCE_S = 20

TYPES = ("message.delta", "tool.started", "step.completed")


class Reader:
    """One client across all of its connections."""

    def __init__(self, request: SubscriptionRequest) -> None:
        self.request = request
        self.start = self.cursor = request.cursor
        self.bodies: list[bytes] = []
        self.client: Client | None = None
        self.connecting: asyncio.Task[Client] | None = None

    def wants(self, event: RecordedEvent) -> bool:
        if self.request.run_id is not None and event.run_id != self.request.run_id:
            return False
        return event.seq > self.start and self.request.types.passes(event.type)

    def collect(self) -> None:
        """Move what the client has got into this reader's log."""
        if self.client is not None:
            self.bodies += self.client.bodies
            self.cursor = self.client.cursor
            self.client = None


class Disorder:
    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.points: list[asyncio.Future[None]] = []
        self.calm = False
        self.world = make_world(
            self.point, seed=seed, ring_events=self.chance.choice([1, 3, 8, 64]), chunk_bytes=400
        )
        self.world.stream.bunches = self.chance.random() < 0.5
        self.world.log.page_max = self.chance.choice([1, 4, 500])
        self.unpublished: list[RecordedEvent] = []
        self.readers = [
            Reader(SubscriptionRequest(session=SESSION, cursor=0)),
            Reader(SubscriptionRequest(session=SESSION, cursor=2)),
            Reader(SubscriptionRequest(session=SESSION, types=TypeFilter.parse("tool.*"))),
            Reader(SubscriptionRequest(session=SESSION, run_id="r1")),
        ]
        self.actions = {
            self.release: 60,
            self.append: 8,
            self.publish: 8,
            self.connect: 6,
            self.leave: 2,
            self.lose_wakes: 3,
            self.trim: 3,
            self.flush: 1,
            self.toggle_stream: 1,
            self.toggle_store: 1,
            self.reconnect_wakes: 1,
            self.pass_time: 3,
        }

    async def point(self) -> None:
        if self.calm:
            await asyncio.sleep(0)
            return
        self.points.append(asyncio.get_running_loop().create_future())
        await self.points[-1]

    # --- what may happen ---------------------------------------------------------------------------

    def release(self) -> None:
        if self.points:
            held = self.points.pop(self.chance.randrange(len(self.points)))
            if not held.done():
                held.set_result(None)

    def append(self) -> None:
        for _ in range(self.chance.randint(1, 4)):
            if self.world.log.sessions[SESSION].head < EVENTS_MAX:
                run_id = self.chance.choice(["r1", "r1", "r2"])
                self.unpublished += self.world.log.append(self.chance.choice(TYPES), run_id=run_id)

    def publish(self) -> None:
        if self.unpublished:
            count = self.chance.randint(1, len(self.unpublished))
            batch, self.unpublished = self.unpublished[:count], self.unpublished[count:]
            wake, push = self.chance.random() < 0.8, self.chance.random() < 0.7
            self.world.stream.publish(batch, wake=wake, push=push)

    def connect(self) -> None:
        reader = self.chance.choice(self.readers)
        if reader.client is None and reader.connecting is None:
            self.start(reader)

    def start(self, reader: Reader) -> None:
        request = reader.request
        again = SubscriptionRequest(
            session=SESSION, cursor=reader.cursor, types=request.types, run_id=request.run_id
        )

        async def connect() -> Client:
            return await Client.connect(self.world.hub, again, self.point)

        reader.connecting = asyncio.create_task(connect())

    def leave(self) -> None:
        reader = self.chance.choice(self.readers)
        if reader.client is not None:
            reader.client.task.cancel()
            reader.client.subscription.close()
            reader.collect()
        elif reader.connecting is not None and self.chance.random() < 0.3:
            reader.connecting.cancel()

    def lose_wakes(self) -> None:
        self.world.stream.wakes.clear()

    def trim(self) -> None:
        for window in self.world.stream.windows.values():
            del window[: self.chance.randint(0, len(window))]

    def flush(self) -> None:
        self.world.stream.windows.clear()

    def toggle_stream(self) -> None:
        stream = self.world.stream
        stream.down = not stream.down
        stream.connected = not stream.down

    def toggle_store(self) -> None:
        self.world.log.down = not self.world.log.down

    def reconnect_wakes(self) -> None:
        self.world.stream.send(Wake(None))

    def pass_time(self) -> None:
        self.passing = self.chance.uniform(0.01, 2.5)

    passing = 0.0

    # --- the schedule ------------------------------------------------------------------------------

    async def run(self) -> Counter[str]:
        async with self.world.hub:
            actions, weights = list(self.actions), list(self.actions.values())
            for _ in range(STEPS):
                self.chance.choices(actions, weights)[0]()
                if self.passing:
                    await self.world.clock.advance(self.passing)
                    self.passing = 0.0
                for _ in range(self.chance.randint(0, 6)):
                    await asyncio.sleep(0)
                self.reap()
            await self.become_calm()
            self.demand()
            for reader in self.readers:
                if reader.client is not None:
                    await reader.client.leave()
        return Counter(self.world.seen.counts)

    def reap(self) -> None:
        """Take note of clients that connected, were refused, or failed."""
        for reader in self.readers:
            if reader.connecting is not None and reader.connecting.done():
                task, reader.connecting = reader.connecting, None
                if task.cancelled():
                    continue
                if (error := task.exception()) is None:
                    reader.client = task.result()
                elif not isinstance(error, StoreUnavailable):
                    raise error
            if reader.client is not None and reader.client.task.done():
                reader.client.task.result()  # no client may see anything that its checks refuse
                raise AssertionError(f"ended by itself: {reader.client.subscription.ending}")

    async def become_calm(self) -> None:
        """Everything answers again. What was not published stays so: the head check has to find it."""
        self.calm = True
        self.world.log.down = self.world.stream.down = False
        self.world.stream.connected = True
        while self.points:
            self.release()
        await self.world.settle(1)
        self.reap()
        for reader in self.readers:
            if reader.client is None and reader.connecting is None:
                self.start(reader)
        await self.world.settle(PATIENCE_S)
        self.reap()

    def demand(self) -> None:
        events = self.world.log.sessions[SESSION].events.values()
        for reader in self.readers:
            assert reader.client is not None
            got = reader.bodies + reader.client.bodies
            assert got == [event.body for event in events if reader.wants(event)]
            if reader.start <= len(events):
                assert reader.client.cursor == len(events)


async def _run(seed: int) -> Counter[str]:
    disorder = Disorder(seed)
    # One event is there from the start, so that cursor 2 is ahead only for a moment.
    for _ in range(3):
        disorder.unpublished += disorder.world.log.append("message.delta", run_id="r1")
    return await disorder.run()


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(min_value=10_000, max_value=2**32))
# protocol P1
async def test_no_interleaving_loses_or_repeats_an_event(seed: int):
    await _run(seed)


async def test_the_disorder_reaches_every_repair():
    """A checker that never saw a gap proves nothing about gaps."""
    seen: Counter[str] = Counter()
    for seed in range(120):
        try:
            seen += await _run(seed)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise

    for fact in (
        "pushed",
        "push_refused",
        "repaired.gap",
        "repaired.behind",
        "repaired.away",
        "caught_behind",
        "page.read",
        "page.shared",
        "unavailable.store",
        "unavailable.stream",
    ):
        assert seen[fact] >= 5, (fact, seen)
    assert seen["rewound"] == 0
