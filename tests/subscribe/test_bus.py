"""What the bus promises to whoever listens, and to whom it must not harm."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from holdfast.subscribe.bus import Bus, Listener, listen
from holdfast.subscribe.delivery import Delivery
from tests.subscribe.worlds import Seen, a_delivery, until


class Counts:
    def __init__(self) -> None:
        self.facts: list[tuple[str, str]] = []

    def listened(self, listener: str, outcome: str) -> None:
        self.facts.append((listener, outcome))


@pytest.fixture
def counts() -> Counts:
    return Counts()


@pytest.fixture
async def bus(counts: Counts) -> AsyncIterator[Bus]:
    bus = Bus(observer=counts)
    task = asyncio.create_task(bus.run())
    yield bus
    task.cancel()
    await asyncio.wait([task])


async def test_handlers_hear_a_type_a_family_or_everything(bus: Bus) -> None:
    one, family, all_ = Seen(), Seen(), Seen()
    bus.subscribe(one, "message.delta", "run.completed")
    bus.subscribe(family, "message.*")
    bus.subscribe(all_)
    nothing = Seen()
    bus.subscribe(nothing, "run.*")

    bus.publish([a_delivery()])
    await bus.idle()

    assert [len(s.events) for s in (one, family, all_, nothing)] == [1, 1, 1, 0]


def _sync(seen: list[int]) -> Callable[[Delivery], Any]:
    return lambda event: seen.append(event.seq)


async def test_a_handler_may_be_a_function_or_an_object_async_or_not(bus: Bus) -> None:
    seen: list[int] = []

    @bus.on("message.*")
    async def one(event: Delivery) -> None:
        seen.append(event.seq)

    class Two:
        def handle(self, event: Delivery) -> None:
            seen.append(event.seq)

    bus.subscribe(Two())
    bus.subscribe(_sync(seen))
    bus.publish([a_delivery(seq=5)])
    await bus.idle()

    assert isinstance(one, Listener)
    assert seen == [5, 5, 5]


async def test_one_that_fails_harms_nobody(bus: Bus, counts: Counts) -> None:
    async def broken(_: Delivery) -> None:
        raise RuntimeError("broken")

    seen = Seen()
    bus.subscribe(broken)
    bus.subscribe(seen)

    bus.publish([a_delivery(seq=1), a_delivery(seq=2)])
    await bus.idle()

    assert seen.seqs(1) == [1, 2]
    assert [outcome for name, outcome in counts.facts if "broken" in name] == ["failed"] * 2


async def test_one_that_blocks_its_thread_holds_up_nobody(bus: Bus) -> None:
    bus.subscribe(lambda _: time.sleep(0.5))
    seen = Seen()
    bus.subscribe(seen)

    begun = time.monotonic()
    bus.publish([a_delivery()])
    await until(lambda: len(seen.events) == 1)

    assert time.monotonic() - begun < 0.4


async def test_one_that_is_slow_loses_its_oldest_and_is_counted(bus: Bus, counts: Counts) -> None:
    go, seen = asyncio.Event(), Seen()

    async def slow(event: Delivery) -> None:
        await go.wait()
        await seen.handle(event)

    other = Seen()
    bus.subscribe(slow, queue_max=3)
    bus.subscribe(other)
    bus.publish([a_delivery(seq=1)])
    await until(lambda: bus.statistics()[0][1] == 0)

    bus.publish([a_delivery(seq=n) for n in range(2, 8)])
    go.set()
    await bus.idle()

    assert seen.seqs(1) == [1, 5, 6, 7]
    assert other.seqs(1) == [1, 2, 3, 4, 5, 6, 7]
    assert sum(outcome == "dropped" for _, outcome in counts.facts) == 3


async def test_it_can_stop_listening_by_its_handle_or_by_its_handler(bus: Bus) -> None:
    seen = Seen()
    handle = bus.subscribe(seen, "message.*")
    bus.subscribe(seen, "message.delta")
    bus.subscribe(seen, "tool.*")

    assert bus.remove(handle) == 1
    bus.publish([a_delivery()])
    await bus.idle()
    assert len(seen.events) == 1
    assert bus.remove(seen) == 2
    bus.publish([a_delivery()])

    assert len(seen.events) == 1
    assert not bus.wants("message.delta")


async def test_what_is_declared_may_be_added_before_the_bus_runs() -> None:
    seen: list[int] = []

    @listen("message.*", concurrency=2)
    async def look(event: Delivery) -> None:
        seen.append(event.seq)

    bus = Bus()
    bus.add(look)
    bus.add(look)
    bus.publish([a_delivery(seq=3)])
    task = asyncio.create_task(bus.run())
    await until(lambda: seen == [3])
    task.cancel()
    await asyncio.wait([task])


def test_what_is_no_handler_is_refused() -> None:
    with pytest.raises(TypeError, match="no handler"):
        listen("run.*")(object())  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="family"):
        listen("run.step.*")(lambda _: None)
