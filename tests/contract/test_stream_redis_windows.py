"""What the windows take of Redis, as an operator is told."""

import asyncio
import math

import pytest
from redis.asyncio import Redis

from holdfast.events.clock import SystemClock
from holdfast.events.stream_redis_windows import EXACT_KEYS_MAX, WindowGauge, Windows
from tests.contract.stream_rigs import QUICK, RedisRig, events, until

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = [pytest.mark.anyio, pytest.mark.redis]


class Held(SystemClock):
    """Whoever sleeps does so until it is `over`."""

    def __init__(self) -> None:
        self.sleeps, self.over = 0, asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        await self.over.wait()
        self.over.clear()


async def look(rig: RedisRig) -> Windows:
    gauge = WindowGauge(rig.server.url, log_id=rig.log_id, patience=QUICK)
    try:
        return await gauge.look()
    finally:
        await gauge.close()


async def test_few_windows_are_counted_one_by_one(redis_rig: RedisRig):
    await redis_rig.flush()
    for session, count in ((1, 10), (2, 500), (3, 1)):
        await redis_rig.stream.publish(session, events(1, count))
    await redis_rig.do("SET", "somebody:else", "x" * 100_000)

    windows = await look(redis_rig)

    sizes = [await redis_rig.do("MEMORY", "USAGE", redis_rig.key(n)) for n in (1, 2, 3)]
    assert windows == (3, sum(sizes))


async def test_of_many_windows_the_sum_is_about_right(redis_rig: RedisRig):
    """Two thirds of the keys are windows, all alike; the others are somebody's."""
    await redis_rig.flush()
    count = EXACT_KEYS_MAX
    async with Redis.from_url(redis_rig.server.url, protocol=2) as client:
        pipeline = client.pipeline(transaction=False)
        for n in range(count):
            pipeline.xadd(redis_rig.key(n), {"t": "x", "r": "", "b": "x" * 500}, id="1-0")
            if n % 2:
                pipeline.set(f"somebody:{n}", "x" * 5_000)
        await pipeline.execute()

    windows = await look(redis_rig)

    one = await redis_rig.do("MEMORY", "USAGE", redis_rig.key(0))
    assert 0.8 * count < windows.number < 1.2 * count
    assert 0.8 * count * one < windows.bytes < 1.2 * count * one


async def test_without_redis_nobody_can_tell_until_it_is_back(redis_rig: RedisRig):
    clock = Held()
    gauge = WindowGauge(redis_rig.server.url, log_id=redis_rig.log_id, patience=QUICK, clock=clock)
    await redis_rig.flush()
    await redis_rig.go_down()
    looking = asyncio.create_task(gauge.run())
    await until(lambda: clock.sleeps == 1)
    assert math.isnan(gauge.seen.bytes)

    await redis_rig.come_back()
    clock.over.set()
    await until(lambda: gauge.seen == (0, 0))

    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
