"""One log, its subscriptions, and time: the world of every test here."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.clock_manual import ManualClock
from holdfast.events.kinds import TypeFilter
from holdfast.events.pool_postgres import Pool
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Store
from holdfast.subscribe.consumer import Consumer, ConsumerOptions
from holdfast.subscribe.delivery import ORIGIN, Delivery, Position
from holdfast.subscribe.projection import Projection, Projector
from holdfast.subscribe.store import LogPage, Subscriptions
from holdfast.subscribe.subscription import Subscription, subscription
from tests.factories import Owner, delta, make_row, owned_session

EVERYTHING = TypeFilter()
DEADLINE_S = 20.0


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until `condition` holds; fail when it doesn't in time."""
    begun = time.monotonic()
    while True:
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        assert time.monotonic() - begun < DEADLINE_S, "the condition does not come true"
        await asyncio.sleep(0.005)


class Counted:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.facts: list[tuple[str, Any]] = []

    def handled(self, subscription: str, seconds: float) -> None:
        self.facts.append(("handled", subscription))

    def failed(self, subscription: str, *, dead: bool) -> None:
        self.facts.append(("dead" if dead else "failed", subscription))

    def behind(self, subscription: str, seconds: float, parked: int) -> None:
        pass

    def held(self, subscription: str, held: bool) -> None:
        self.facts.append(("held", held))


@dataclass
class World:
    """One log and what subscriptions keep beside it."""

    store: Store
    subscriptions: Subscriptions

    async def passes(self, seconds: float) -> None:
        """Let time pass, by the store's clock."""
        raise AssertionError

    @property
    def clock(self) -> Clock:
        """The clock of consumers."""
        return SystemClock()

    async def session(self, name: str, events: int = 0) -> Owner:
        """A session with one event, and so many more."""
        owner = await owned_session(self.store, name)
        for n in range(events):
            await owner.append(delta(f"{name}-{n}"))
        return owner

    async def read(self, after: Position = ORIGIN, *types: str) -> LogPage:
        """A page of the log."""
        return await self.subscriptions.read("test", after, TypeFilter(types))

    def consumer(self, wanted: Subscription, owner: str = "c1", **options: Any) -> Consumer:
        """A consumer that looks often."""
        knobs: dict[str, Any] = {"poll_s": 0.02, "save_s": 0.05, "lease_s": 2.0} | options
        return Consumer(
            wanted,
            self.subscriptions,
            options=ConsumerOptions(owner=owner, **knobs),
            observer=Counted(),
            clock=self.clock,
            chance=random.Random(1),
        )

    def projector(self, projection: Projection, owner: str = "p1") -> Projector:
        """A projector that looks often."""
        return Projector(
            projection,
            self.subscriptions,
            options=ConsumerOptions(owner=owner, poll_s=0.02, lease_s=2.0),
            observer=Counted(),
            clock=self.clock,
            chance=random.Random(1),
        )


@dataclass
class MemoryWorld(World):
    """In memory, in virtual time."""

    manual: ManualClock

    async def passes(self, seconds: float) -> None:
        await self.manual.advance(seconds)

    @property
    def clock(self) -> Clock:
        return self.manual


@dataclass
class PostgresWorld(World):
    """In Postgres."""

    pool: Pool
    url: str

    async def passes(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Seen:
    """A handler that remembers, and fails when it is told to."""

    events: list[Delivery] = field(default_factory=list[Delivery])
    failing: Callable[[Delivery], Exception | None] = lambda _: None

    async def handle(self, event: Delivery) -> None:
        if (error := self.failing(event)) is not None:
            raise error
        self.events.append(event)

    def places(self, session: int | None = None) -> list[tuple[int, int]]:
        """What was handled, in order."""
        return [(e.session, e.seq) for e in self.events if session in (None, e.session)]

    def seqs(self, session: int) -> list[int]:
        """What of a session was handled, in order."""
        return [seq for _, seq in self.places(session)]

    def subscription(self, *types: str, name: str = "test", **options: Any) -> Subscription:
        """The durable subscription of this handler."""
        return subscription(name, *types, **options)(self)


def a_delivery(
    text: str = "hello", *, session: int = 1, seq: int = 1, at: Clock | None = None
) -> Delivery:
    """An event that no log has."""
    row = make_row(delta(text), seq=seq, ts=None if at is None else at.now())
    return Delivery(RecordedEvent(seq, row.type, None, row.body), uuid4(), session, "acme")
