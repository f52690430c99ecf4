"""Redis is a wake-up and a window: without it, or with a wrong one, events come later, never twice and never not."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from holdfast.local.ladder import redis_binary
from holdfast.local.redis_server import RedisServer
from tests.e2e.stack import Stack
from tests.faults.breaking import THOROUGH, cancel, connected, fault_marks, stack_of, until
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(600 if THOROUGH else 180)]

DOWN_S = {"frozen": 60.0, "stopped": 60.0} if THOROUGH else {"frozen": 15.0, "stopped": 8.0}

# What is promised: with Redis down, committed events still reach clients within ten seconds.
LATE_S = 10.0

# With Redis, an event takes milliseconds; a second is a machine that is busy.
PROMPT_S = 1.0

SESSIONS = 5
INTERVAL_MS = 100

# Long after the fault; the run is cancelled when the test has seen enough.
EVENTS = 100_000

# Takes the last five entries away, as a failover to a replica that hadn't got them yet.
LOSE_TAIL = """
local entries = redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('DEL', KEYS[1])
for i = 1, #entries - 5 do
  redis.call('XADD', KEYS[1], entries[i][1], unpack(entries[i][2]))
end
return #entries
"""


@pytest.fixture(scope="module")
def redis(place: Path) -> Iterator[RedisServer]:
    """A Redis that no supervisor brings back."""
    with RedisServer(place / "redis", binary=redis_binary()) as server:
        yield server


@pytest.fixture(scope="module")
def stack(redis: RedisServer) -> Iterator[Stack]:
    with stack_of("--gateways", "2", "--orchestrators", "2", HOLDFAST_REDIS_URL=redis.url) as stack:
        yield stack


@asynccontextmanager
async def watched(stack: Stack) -> AsyncGenerator[tuple[list[dict[str, Any]], list[Client]]]:
    """Followed tickers, all live; in the end they are cancelled, and every client has exactly the log."""
    runs = [
        stack.start("ticker", {"events": EVENTS, "interval_ms": INTERVAL_MS})
        for _ in range(SESSIONS)
    ]
    clients = [
        Client(stack.gateways[gateway : gateway + 1], path_of(run), timed=True)
        for run in runs
        for gateway in range(2)
    ]
    async with following(clients):
        await prompt(clients)
        yield runs, clients
        for run in runs:
            await asyncio.to_thread(cancel, stack, run["run_id"])
        await until(
            lambda: all(client.statuses[-1:] == [204] for client in clients), "all clients end"
        )
    for client, run in zip(clients, [run for run in runs for _ in range(2)], strict=True):
        history = of_run(stack.history(run["session_id"]), run["run_id"])
        assert client.frames.events == history
        assert not [frame for frame in client.frames.control if b"event: reset" in frame]


def path_of(run: dict[str, Any]) -> str:
    return f"/v1/runs/{run['run_id']}/stream"


async def prompt(clients: Sequence[Client]) -> None:
    """Wait until each client gets several events in a row at once."""

    def each() -> bool:
        return all(
            len(client.ages) >= 5 and max(age for _, age in client.ages[-5:]) < PROMPT_S
            for client in clients
        )

    await until(each, "delivery is prompt", within_s=20)


def worst_since(clients: Sequence[Client], begun: float) -> float:
    """The age of the oldest event that any client got after `begun`."""
    return max(age for client in clients for at, age in client.ages if at >= begun)


async def endured(clients: Sequence[Client], begun: float, seconds: float) -> None:
    """Let time pass, and see that nobody waits for an event longer than is promised."""
    while (now := time.monotonic()) < begun + seconds:
        for client in clients:
            assert now - client.ages[-1][0] < LATE_S, "nothing came"
        await asyncio.sleep(0.1)
    worst = worst_since(clients, begun)
    print(f"the latest of all came after {worst:.1f} s")
    assert worst < LATE_S


@pytest.mark.parametrize("how", ["frozen", "stopped"])
async def test_events_come_within_ten_seconds_while_redis_is_away(
    stack: Stack, redis: RedisServer, how: str
) -> None:
    """Frozen, it keeps its connections and answers nothing; stopped, it refuses them."""
    async with watched(stack) as (runs, clients):
        if how == "frozen":
            os.kill(redis.pid or 0, signal.SIGSTOP)
        else:
            await asyncio.to_thread(redis.kill)
        try:
            begun = time.monotonic()
            newcomers = [Client(stack.gateways, path_of(run), timed=True) for run in runs]
            async with following(newcomers):
                await until(
                    lambda: all(len(one.frames.events) >= 5 for one in newcomers),
                    "new clients are served",
                    within_s=LATE_S,
                )
                print(f"new clients had events after {time.monotonic() - begun:.1f} s")
                late = await asyncio.to_thread(
                    stack.start, "ticker", {"events": 3, "interval_ms": 1}
                )
                await endured([*clients, *newcomers], begun, DOWN_S[how])
                assert stack.get(f"/v1/runs/{late['run_id']}")["status"] == "completed"
        finally:
            if how == "frozen":
                os.kill(redis.pid or 0, signal.SIGCONT)
            else:
                await asyncio.to_thread(redis.start)
        await prompt(clients)
        await until(lambda: windows_are_whole(stack, runs), "the windows are rebased")


@pytest.mark.parametrize(
    ("harm", "cure"),
    [
        (("CONFIG", "SET", "maxmemory", "1mb"), ("CONFIG", "SET", "maxmemory", "0")),
        # A replica of nobody who answers: it serves what it has and takes no writes.
        (("REPLICAOF", "127.0.0.1", "1"), ("REPLICAOF", "NO", "ONE")),
    ],
    ids=["OOM", "READONLY"],
)
async def test_a_redis_that_takes_no_writes_costs_time_only(
    stack: Stack, harm: Sequence[str], cure: Sequence[str]
) -> None:
    async with watched(stack) as (runs, clients):
        await asyncio.to_thread(stack.redis, *harm)
        try:
            await endured(clients, time.monotonic(), 8)
        finally:
            await asyncio.to_thread(stack.redis, *cure)
        await prompt(clients)
        await until(lambda: windows_are_whole(stack, runs), "the windows are rebased")


async def test_a_failover_that_lost_the_tail_makes_no_gap_and_no_repetition(stack: Stack) -> None:
    """The new primary ends before what clients have seen; the next publish finds that and begins the window anew."""
    async with watched(stack) as (runs, clients):
        for _ in range(10):
            for window in stack.windows():
                await asyncio.to_thread(stack.redis, "EVAL", LOSE_TAIL, 1, window)
            await asyncio.sleep(INTERVAL_MS / 1000)  # an event or two in between
        await prompt(clients)
        await until(lambda: windows_are_whole(stack, runs), "the windows are rebased")


def windows_are_whole(stack: Stack, runs: Sequence[dict[str, Any]]) -> bool:
    """Tell whether each running session's window ends at its head, or at what was its head a moment ago."""
    ends = {
        int(window.partition(b"{")[2].partition(b"}")[0]): stack.redis(
            "XREVRANGE", window, "+", "-", "COUNT", 1
        )
        for window in stack.windows()
    }
    with connected(stack) as connection:
        rows = connection.execute(
            "select id, next_seq - 1 from sessions where session_id = any(%s)",
            [[run["session_id"] for run in runs]],
        ).fetchall()
    for session, head in rows:
        if not (end := ends.get(int(str(session)))):
            return False
        if int(str(head)) - int(end[0][0].partition(b"-")[0]) > 5:
            return False
    return True
