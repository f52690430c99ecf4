import asyncio
from datetime import UTC, datetime, timedelta

from holdfast.events.clock_manual import ManualClock


async def test_time_moves_only_when_told_to():
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    now, monotonic = clock.now(), clock.monotonic()
    await asyncio.sleep(0.001)
    assert (clock.now(), clock.monotonic()) == (now, monotonic)

    await clock.advance(1.5)

    assert clock.now() - now == timedelta(seconds=1.5)
    assert clock.monotonic() - monotonic == 1.5


async def test_sleepers_wake_in_the_order_of_their_times_each_at_its_own():
    clock = ManualClock()
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((name, clock.monotonic()))

    async with asyncio.TaskGroup() as group:
        for name, seconds in (("c", 3), ("a", 1), ("late", 9), ("b", 2), ("b2", 2)):
            group.create_task(sleep(name, seconds))
        await clock.advance(5)
        assert woken == [("a", 1), ("b", 2), ("b2", 2), ("c", 3)]
        await clock.advance(4)

    assert woken[-1] == ("late", 9)


async def test_a_sleeper_that_sleeps_again_wakes_as_often_as_it_should():
    """A heartbeat of 5 s beats twelve times in a minute that passes at once."""
    clock = ManualClock()
    beats: list[float] = []

    async def beat() -> None:
        while True:
            await clock.sleep(5)
            beats.append(clock.monotonic())

    task = asyncio.create_task(beat())
    await clock.advance(60)
    task.cancel()

    assert beats == [5.0 * n for n in range(1, 13)]


async def test_many_small_steps_are_one_large_one():
    clock = ManualClock()
    task = asyncio.create_task(clock.sleep(0.8))

    for _ in range(8):
        await clock.advance(0.1)

    assert task.done()
    assert clock.monotonic() == 0.8


async def test_a_cancelled_sleeper_holds_nobody_up():
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep(1))
    stays = asyncio.create_task(clock.sleep(2))
    await clock.advance(0)
    gone.cancel()

    await clock.advance(3)

    assert gone.cancelled()
    assert stays.done()


async def test_a_sleep_of_nothing_lets_others_run():
    clock = ManualClock()
    async with asyncio.timeout(1):
        await clock.sleep(0)
        await clock.sleep(-1)
