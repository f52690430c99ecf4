"""A hub over fakes, in virtual time."""

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from holdfast.events.clock_manual import ManualClock
from holdfast.events.recorded import RecordedEvent
from holdfast.gateway.hub import Hub
from holdfast.gateway.observer import Observer, Repair, Silent
from holdfast.gateway.options import HubOptions
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, FakeLog, FakeStream, no_point


class Counting(Silent, Observer):
    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def _count(self, name: str, amount: int = 1) -> None:
        self.counts[name] = self.counts.get(name, 0) + amount

    def pushed(self, events: int) -> None:
        self._count("pushed", events)

    def push_refused(self) -> None:
        self._count("push_refused")

    def repaired(self, cause: Repair) -> None:
        self._count(f"repaired.{cause}")

    def caught_behind(self, sessions: int) -> None:
        self._count("caught_behind", sessions)

    def sent(self, events: int, size: int) -> None:
        self._count("sent.events", events)
        self._count("sent.bytes", size)

    def untold(self, readers: int) -> None:
        self._count("untold", readers)

    def page(self, *, shared: bool) -> None:
        self._count("page.shared" if shared else "page.read")

    def rewound(self) -> None:
        self._count("rewound")

    def unavailable(self, what: str) -> None:
        self._count(f"unavailable.{what}")


@dataclass
class World:
    """A hub over fakes, in virtual time."""

    log: FakeLog
    stream: FakeStream
    clock: ManualClock
    hub: Hub
    seen: Counting

    def tell(self, *types: str, **given: Any) -> list[RecordedEvent]:
        """Append and publish."""
        events = self.log.append(*types, **given)
        self.stream.publish(events)
        return events

    async def client(self, cursor: int = 0, **request: Any) -> Client:
        return await Client.connect(
            self.hub, SubscriptionRequest(session=SESSION, cursor=cursor, **request)
        )

    async def settle(self, seconds: float = 0.0) -> None:
        await self.clock.advance(seconds)


def make_world(
    point: Callable[[], Awaitable[None]] = no_point,
    *,
    seed: int = 1,
    observer: Counting | None = None,
    **options: Any,
) -> World:
    log, stream, clock, seen = (
        FakeLog(point),
        FakeStream(point),
        ManualClock(),
        observer or Counting(),
    )
    hub = Hub(
        log,
        stream,
        stream,
        clock=clock,
        chance=random.Random(seed),
        options=HubOptions(**options),
        observer=seen,
    )
    return World(log, stream, clock, hub, seen)
