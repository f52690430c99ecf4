"""What handlers are put together from, each in virtual time."""

import asyncio
import itertools
import random
from collections.abc import Awaitable
from datetime import timedelta

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.subscribe.delivery import Delivery, GiveUp
from holdfast.subscribe.pieces import (
    at_once,
    batched,
    by_priority,
    retrying,
    transformed,
    where,
    window,
)
from holdfast.subscribe.pieces.choosing import enriched
from holdfast.subscribe.subscription import Retry
from tests.subscribe.worlds import Seen, a_delivery


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def seen() -> Seen:
    return Seen()


class Together:
    """A handler of several events that remembers."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls: list[list[int]] = []
        self.error = error

    async def __call__(self, events: tuple[Delivery, ...]) -> None:
        self.calls.append([e.seq for e in events])
        if self.error:
            raise self.error


def start(*calls: Awaitable[None]) -> list["asyncio.Future[None]"]:
    return [asyncio.ensure_future(call) for call in calls]


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_where_passes_what_is_wanted(seen: Seen) -> None:
    handler = where(lambda e: e.seq % 2 == 0, seen.handle)

    for seq in range(1, 5):
        await handler(a_delivery(seq=seq))

    assert seen.seqs(1) == [2, 4]


async def test_transformed_passes_on_what_was_made_and_drops_none(seen: Seen) -> None:
    async def change(event: Delivery) -> Delivery | None:
        return None if event.seq == 1 else enriched(event, region="eu")

    handler = transformed(change, seen.handle)
    await handler(a_delivery(seq=1))
    await handler(a_delivery(seq=2))

    [event] = seen.events
    assert event.envelope["metadata"] == {"region": "eu"}
    assert event.data == {"message_id": "m1", "text": "hello"}


async def test_a_batch_is_handed_over_when_it_is_full(clock: ManualClock) -> None:
    together = Together()
    batch = batched(together, size=3, seconds=60, clock=clock)

    calls = start(*(batch(a_delivery(seq=n)) for n in range(1, 8)))
    await asyncio.gather(*calls[:6])

    assert together.calls == [[1, 2, 3], [4, 5, 6]]
    assert not calls[6].done()
    await clock.advance(60)
    await calls[6]
    assert together.calls[2] == [7]


async def test_a_batch_is_handed_over_when_its_first_event_waited_long_enough(
    clock: ManualClock,
) -> None:
    together = Together()
    batch = batched(together, size=10, seconds=5, clock=clock)

    first = start(batch(a_delivery(seq=1)))
    await clock.advance(4)
    second = start(batch(a_delivery(seq=2)))
    await clock.advance(0.9)
    assert together.calls == []
    await clock.advance(0.2)

    await asyncio.gather(*first, *second)
    assert together.calls == [[1, 2]]


async def test_everybody_in_a_batch_gets_its_error(clock: ManualClock) -> None:
    batch = batched(Together(RuntimeError("no")), size=2, seconds=5, clock=clock)

    calls = start(batch(a_delivery(seq=1)), batch(a_delivery(seq=2)))
    results = await asyncio.gather(*calls, return_exceptions=True)

    assert [str(r) for r in results] == ["no", "no"]


async def test_who_leaves_a_batch_takes_its_own_event_along_and_nothing_else(
    clock: ManualClock,
) -> None:
    """It is tried again, and would be in the batch twice."""
    together = Together()
    batch = batched(together, size=3, seconds=5, clock=clock)

    gone, stays = start(batch(a_delivery(seq=1)), batch(a_delivery(seq=2)))
    await turns()
    gone.cancel()
    await turns()
    again = start(batch(a_delivery(seq=1)), batch(a_delivery(seq=3)))
    await asyncio.gather(stays, *again)

    assert together.calls == [[2, 1, 3]]


async def test_a_batch_that_all_have_left_is_not_handed_over(clock: ManualClock) -> None:
    together = Together()
    batch = batched(together, size=3, seconds=5, clock=clock)

    [gone] = start(batch(a_delivery(seq=1)))
    await turns()
    gone.cancel()
    await clock.advance(4)
    [later] = start(batch(a_delivery(seq=2)))
    await clock.advance(2)
    assert together.calls == []
    await clock.advance(4)
    await later

    assert together.calls == [[2]]


async def test_who_leaves_a_batch_under_way_does_not_take_it_along(clock: ManualClock) -> None:
    done: list[int] = []

    async def slow(events: tuple[Delivery, ...]) -> None:
        await clock.sleep(1)
        done.extend(e.seq for e in events)

    batch = batched(slow, size=2, seconds=5, clock=clock)
    gone, stays = start(batch(a_delivery(seq=1)), batch(a_delivery(seq=2)))
    await turns()
    gone.cancel()
    await clock.advance(2)
    await stays

    assert done == [1, 2]


async def test_a_window_tells_once_the_threshold_is_reached(clock: ManualClock) -> None:
    together = Together()
    count = window(together, seconds=10, threshold=3)

    for seq, pause_s in enumerate((0, 6, 6, 3, 1, 1, 1), 1):
        await clock.advance(pause_s)
        await count(a_delivery(seq=seq, at=clock))

    # 1 is too old for 3; after 4 the count begins anew.
    assert together.calls == [[2, 3, 4], [5, 6, 7]]


async def test_a_window_counts_keys_apart_and_no_event_twice(clock: ManualClock) -> None:
    together = Together()
    count = window(together, seconds=10, threshold=2, by=lambda e: e.session)
    twice = a_delivery(session=1, seq=1, at=clock)

    for event in (twice, twice, a_delivery(session=2, at=clock)):
        await count(event)
    assert together.calls == []
    await count(a_delivery(session=2, seq=9, at=clock))

    assert together.calls == [[1, 9]]


async def test_a_window_whose_handler_failed_is_told_again(clock: ManualClock) -> None:
    together = Together(RuntimeError("no"))
    count = window(together, seconds=10, threshold=2)
    last = a_delivery(seq=2, at=clock)
    await count(a_delivery(seq=1, at=clock))

    with pytest.raises(RuntimeError):
        await count(last)
    together.error = None
    await count(last)

    assert together.calls == [[1, 2], [1, 2]]


async def test_a_window_forgets_the_key_not_seen_for_longest(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.subscribe.pieces.windows.KEYS_MAX", 2)
    together = Together()
    count = window(together, seconds=10, threshold=2, by=lambda e: e.session)

    for session in (1, 2, 3, 1):
        await count(a_delivery(session=session, at=clock))

    assert together.calls == []


async def test_at_once_bounds_what_is_handled_and_keeps_each_sessions_order(
    clock: ManualClock,
) -> None:
    now = most = 0
    order: list[tuple[int, int]] = []

    async def handle(event: Delivery) -> None:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await clock.sleep(1 if event.seq % 2 else 0.1)
        order.append((event.session, event.seq))
        now -= 1

    lanes = at_once(handle, limit=2)
    calls = start(*(lanes(a_delivery(session=s, seq=n)) for n in range(1, 5) for s in (1, 2, 3)))
    await clock.advance(60)
    await asyncio.gather(*calls)

    assert most == 2
    for session in (1, 2, 3):
        assert [n for s, n in order if s == session] == [1, 2, 3, 4]


async def test_who_gives_up_waiting_in_a_lane_keeps_the_order_behind_it(clock: ManualClock) -> None:
    order: list[int] = []

    async def handle(event: Delivery) -> None:
        await clock.sleep(1)
        order.append(event.seq)

    lanes = at_once(handle, limit=5)
    first, gone, last = start(*(lanes(a_delivery(seq=n)) for n in (1, 2, 3)))
    await turns()
    gone.cancel()
    await clock.advance(1.5)
    assert order == [1]
    await clock.advance(2)
    await asyncio.gather(first, last)

    assert order == [1, 3]


async def test_the_most_important_is_next(clock: ManualClock) -> None:
    order: list[int] = []

    async def handle(event: Delivery) -> None:
        await clock.sleep(1)
        order.append(event.seq)

    queue = by_priority(handle, lambda e: e.seq)
    calls = start(*(queue(a_delivery(seq=n)) for n in (1, 2, 9, 5)))
    await turns()
    calls[3].cancel()
    await clock.advance(10)
    await asyncio.gather(*calls[:3])

    assert order == [1, 9, 2]


async def test_retrying_tries_again_with_growing_pauses(clock: ManualClock) -> None:
    times: list[float] = []

    async def handle(_: Delivery) -> None:
        times.append(clock.monotonic())
        if len(times) < 4:
            raise RuntimeError("not yet")

    retry = Retry(tries=5, first_s=1, last_s=3)
    [call] = start(retrying(handle, retry, clock=clock, chance=random.Random(1))(a_delivery()))
    await clock.advance(timedelta(minutes=1).total_seconds())
    await call

    pauses = [b - a for a, b in itertools.pairwise(times)]
    for pause, wanted in zip(pauses, (1, 2, 3), strict=True):
        assert wanted * 0.8 <= pause <= wanted * 1.2


async def test_retrying_ends_with_the_last_error_and_at_once_when_told_to(
    clock: ManualClock,
) -> None:
    tries = 0

    async def handle(event: Delivery) -> None:
        nonlocal tries
        tries += 1
        raise GiveUp("useless") if event.seq == 2 else RuntimeError(f"try {tries}")

    handler = retrying(handle, Retry(tries=2, first_s=1), clock=clock)
    [call] = start(handler(a_delivery(seq=1)))
    await clock.advance(5)
    with pytest.raises(RuntimeError, match="try 2"):
        await call
    with pytest.raises(GiveUp):
        await handler(a_delivery(seq=2))
    assert tries == 3
