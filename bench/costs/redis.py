"""What a publish takes of Redis: the trip, the call, the event, whoever hears of it, and what stays in memory."""

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
ROUNDS = 20

# Of one session in one call.
EVENTS_OF_MANY = 10

# As large as a token with its envelope.
BODY = b'{"text":"' + b"x" * 210 + b'"}'
RUN_ID = "run-0192f3a4-0000-7000-8000-000000000000"

# One session in a trip, and as many as a busy worker gathers.
ALONE, GATHERED = 1, 100

# Gateways that hear of each session.
HEARING = 4

CHANNELS = 5_000
WINDOW = 500

# What is on its way to whoever hears is part of the price.
HEARD_S = 10.0


def redis_costs(url: str, pid: int) -> Mapping[str, float]:
    """Return the model's costs of Redis by name. The Redis at `url` is nobody else's meanwhile."""
    return asyncio.run(_costs(url, pid))


async def _costs(url: str, pid: int) -> Mapping[str, float]:
    alone = await _call_us(url, pid, "alone", group=ALONE)
    gathered = await _call_us(url, pid, "gathered", group=GATHERED)
    larger = await _call_us(url, pid, "larger", group=GATHERED, events=EVENTS_OF_MANY)
    heard = await _call_us(url, pid, "heard", group=ALONE, hearing=HEARING)
    trip = (alone - gathered) / (1 / ALONE - 1 / GATHERED)
    event = (larger - gathered) / (EVENTS_OF_MANY - 1)
    return {
        "redis_trip_us": trip,
        "redis_call_us": gathered - trip / GATHERED - event,
        "redis_event_us": event,
        "redis_wake_us": (heard - alone) / HEARING,
        "redis_event_bytes": await _event_bytes(url),
        "redis_channel_bytes": await _channel_bytes(url),
    }


async def _call_us(
    url: str, pid: int, log_id: str, *, group: int, events: int = 1, hearing: int = 0
) -> float:
    """Return the CPU of Redis for a session's call: `group` of them in a trip, so many events each, so many hear it."""
    async with AsyncExitStack() as stack:
        workers = [RedisStream.open(url, log_id=log_id) for _ in range(WORKERS)]
        for worker in workers:
            stack.push_async_callback(worker.close)
        ears = [
            await _hear(stack, workers[0], range(1, SESSIONS + 1), ends_with=(ROUNDS + 1) * events)
            for _ in range(hearing)
        ]

        async def write(nth: int, rounds: Iterable[int]) -> None:
            own = range(1 + nth, SESSIONS + 1, WORKERS)
            for first_seq in (1 + turn * events for turn in rounds):
                said = [_event(seq) for seq in range(first_seq, first_seq + events)]
                for first in range(0, len(own), group):
                    news = [News(session, said) for session in own[first : first + group]]
                    if set(await workers[nth].publish_all(news)) != {Published.OK}:
                        raise RuntimeError("Redis took an event for something else than a new one")

        # The first round opens connections and windows.
        await asyncio.gather(*(write(nth, [0]) for nth in range(WORKERS)))
        began = cpu_of([pid])
        await asyncio.gather(*(write(nth, range(1, ROUNDS + 1)) for nth in range(WORKERS)))
        async with asyncio.timeout(HEARD_S):
            for ear in ears:
                await ear.wait()
        return (cpu_of([pid]) - began) / (ROUNDS * SESSIONS) * 1e6


async def _hear(
    stack: AsyncExitStack, stream: RedisStream, sessions: Sequence[int], *, ends_with: int = 0
) -> asyncio.Event:
    """Hear of all sessions, as a gateway does; return what is set once each was heard with the head `ends_with`."""
    wakes = stream.wakes()
    for session in sessions:
        await wakes.watch(session)
    missing, all_heard = set(sessions), asyncio.Event()

    def hear(some: Sequence[Wake]) -> None:
        missing.difference_update(wake.session for wake in some if wake.head == ends_with)
        if not missing:
            all_heard.set()

    listening = asyncio.create_task(wakes.listen(hear))
    stack.callback(listening.cancel)
    return all_heard


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
