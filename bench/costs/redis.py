"""What a publish takes of Redis: the trip, the event in it, whoever hears of it, and what stays in memory."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any

import redis

from bench.rig.clocks import cpu_of
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import News, Published
from holdfast.events.stream_message import Wake
from holdfast.events.stream_redis import RedisStream

# Workers that are at it at once: a Redis that one alone asks goes to sleep after each trip, and waking up is most of
# what it takes then.
WORKERS = 8

SESSIONS = 800
EVENTS = 20 * SESSIONS

# As large as a token with its envelope.
BODY = b'{"text":"' + b"x" * 210 + b'"}'
RUN_ID = "run-0192f3a4-0000-7000-8000-000000000000"

# One event in a trip, and as many as a busy worker gathers.
ALONE, GATHERED = 1, 100

# Gateways that hear of each session.
HEARING = 4

CHANNELS = 5_000
WINDOW = 500

# What is on its way to whoever hears is part of the price.
SETTLE_S = 0.5


def redis_costs(url: str, pid: int) -> Mapping[str, float]:
    """Return the model's costs of Redis by name. The Redis at `url` is nobody else's meanwhile."""
    return asyncio.run(_costs(url, pid))


async def _costs(url: str, pid: int) -> Mapping[str, float]:
    alone = await _publish_us(url, pid, "alone", group=ALONE)
    gathered = await _publish_us(url, pid, "gathered", group=GATHERED)
    heard = await _publish_us(url, pid, "heard", group=ALONE, hearing=HEARING)
    trip = (alone - gathered) / (1 / ALONE - 1 / GATHERED)
    return {
        "redis_trip_us": trip,
        "redis_publish_us": gathered - trip / GATHERED,
        "redis_wake_us": (heard - alone) / HEARING,
        "redis_event_bytes": await _event_bytes(url),
        "redis_channel_bytes": await _channel_bytes(url),
    }


async def _publish_us(url: str, pid: int, log_id: str, *, group: int, hearing: int = 0) -> float:
    """Return the CPU of Redis for each event: `group` sessions in a trip, an event each, heard by so many gateways."""
    async with AsyncExitStack() as stack:
        workers = [RedisStream.open(url, log_id=log_id) for _ in range(WORKERS)]
        for worker in workers:
            stack.push_async_callback(worker.close)
        for _ in range(hearing):
            await _hear(stack, workers[0], range(1, SESSIONS + 1))

        async def write(nth: int, seqs: Iterable[int]) -> None:
            own = range(1 + nth, SESSIONS + 1, WORKERS)
            for seq in seqs:
                for first in range(0, len(own), group):
                    news = [News(one, [_event(seq)]) for one in own[first : first + group]]
                    if set(await workers[nth].publish_all(news)) != {Published.OK}:
                        raise RuntimeError("Redis took an event for something else than a new one")

        # The first event of each opens connections and windows.
        await asyncio.gather(*(write(nth, [1]) for nth in range(WORKERS)))
        began = cpu_of([pid])
        seqs = range(2, EVENTS // SESSIONS + 2)
        await asyncio.gather(*(write(nth, seqs) for nth in range(WORKERS)))
        await asyncio.sleep(SETTLE_S)
        return (cpu_of([pid]) - began) / EVENTS * 1e6


async def _hear(stack: AsyncExitStack, stream: RedisStream, sessions: Sequence[int]) -> None:
    wakes = stream.wakes()
    for session in sessions:
        await wakes.watch(session)
    listening = asyncio.create_task(wakes.listen(_ignore))
    stack.callback(listening.cancel)


def _ignore(_: Sequence[Wake]) -> None:
    pass


async def _event_bytes(url: str) -> float:
    """Return what an event takes in a full window."""
    stream = RedisStream.open(url, log_id="bytes")
    try:
        before = _memory(url)
        for session in range(1, SESSIONS + 1):
            await stream.publish(session, [_event(seq) for seq in range(1, WINDOW + 1)])
        return (_memory(url) - before) / (SESSIONS * WINDOW)
    finally:
        await stream.close()


async def _channel_bytes(url: str) -> float:
    async with AsyncExitStack() as stack:
        stream = RedisStream.open(url, log_id="channels")
        stack.push_async_callback(stream.close)
        before = _memory(url)
        await _hear(stack, stream, range(1, CHANNELS + 1))
        return (_memory(url) - before) / CHANNELS


def _memory(url: str) -> int:
    with redis.Redis.from_url(url) as client:
        said: Any = client.info("memory")
        return said["used_memory"]


def _event(seq: int) -> RecordedEvent:
    return RecordedEvent(seq=seq, type="message.delta", run_id=RUN_ID, body=BODY)
