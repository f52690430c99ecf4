"""Whatever comes and goes leaves nothing behind: no task, no socket, no connection.

A gateway that keeps one descriptor for each client that breaks off is dead after a day of mobile phones.
"""

import asyncio
import os
import random
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx2
import pytest

from tests.e2e.stack import Stack
from tests.faults.breaking import THOROUGH, cancel, fault_marks, logged, stack_of, until
from tests.faults.swarm import connected

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(600 if THOROUGH else 150)]

CYCLES = 20_000 if THOROUGH else 1_000
RUNS = 600 if THOROUGH else 30
AT_ONCE = 50

# A feed outlives its last reader by ten seconds, and is looked for every second.
SETTLES_S = 30.0

# Pools open what they need when they need it: a gateway's 6 and a worker's 5 to Postgres, 4 and an ear to Redis.
POOLS_MAX = {"holdfast_postgres_connections": 6, "holdfast_redis_connections": 5}

# Sent with the close, so that no FIN and no farewell comes: what a phone in a tunnel does.
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of("--gateways", "1", "--orchestrators", "1") as stack:
        yield stack


def metrics(url: str) -> dict[str, float]:
    """Return the unlabelled metrics of a service."""
    text = httpx2.get(f"{url}/metrics", timeout=5).text
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.MULTILINE)}


def held(stack: Stack, name: str) -> dict[str, float]:
    """Return what a process holds beside its pools, by its own word and by the kernel's."""
    process = stack.processes()[name]
    counted = metrics(f"http://{process['address']}")
    sockets = sum(place.startswith("socket:") for place in descriptors(process["pid"]))
    for pool, most in POOLS_MAX.items():
        assert 1 <= counted[pool] <= most, (pool, counted[pool])
    pooled = sum(counted[pool] for pool in POOLS_MAX)
    return {
        "tasks": counted["holdfast_asyncio_tasks"],
        "fds": counted["holdfast_open_fds"] - pooled,
        "sockets": sockets - pooled,
        "streams": counted.get("holdfast_sse_connections", 0),
        "owned": counted.get("holdfast_sessions_owned", 0),
    }


def descriptors(pid: int) -> list[str]:
    """Return what a process has open; what it closes while we look isn't."""
    places: list[str] = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            places.append(os.readlink(f"/proc/{pid}/fd/{fd}"))
    return places


def back_at(stack: Stack, name: str, before: dict[str, float]) -> Callable[[], bool]:
    """Tell whether a process holds no more than it did."""

    def look() -> bool:
        now = held(stack, name)
        return all(now[what] <= before[what] for what in before)

    return look


async def test_a_thousand_clients_that_break_off_leave_nothing_in_the_gateway(stack: Stack) -> None:
    run = stack.start("ticker", {"events": 100_000, "interval_ms": 20})
    paths = [f"/v1/runs/{run['run_id']}/stream", f"/v1/sessions/{run['session_id']}/stream"]
    chance = random.Random(11)
    places = asyncio.Semaphore(AT_ONCE)

    async def come_and_go(n: int) -> None:
        """Break off somewhere: before the answer, in its head, in the catch-up, live."""
        async with places, connected(stack.url) as (reader, writer):
            sock: Any = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.write(f"GET {paths[n % 2]} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            for _ in range(chance.randrange(4)):
                await reader.read(chance.choice((50, 500, 50_000)))

    # Warm: pools and caches are as full as they get.
    await asyncio.gather(*map(come_and_go, range(AT_ONCE)))
    await until(lambda: held(stack, "gateway-1")["streams"] == 0, "the first have left")
    before = held(stack, "gateway-1")

    await asyncio.gather(*map(come_and_go, range(CYCLES)))

    await _returns(stack, "gateway-1", before)
    cancel(stack, run["run_id"])
    stack.ended(run["run_id"])
    assert not logged(stack, "gateway-1", "request.failed")
    assert not logged(stack, "gateway-1", "task.failed")


async def test_runs_that_end_and_runs_that_are_cancelled_leave_nothing_in_the_worker(
    stack: Stack,
) -> None:
    async def run_through(n: int) -> None:
        quick = n % 2 == 0
        asked = {"events": 5 if quick else 100_000, "interval_ms": 1}
        run = await asyncio.to_thread(stack.start, "ticker", asked)
        if not quick:
            await asyncio.to_thread(cancel, stack, run["run_id"])
        ended = await asyncio.to_thread(stack.ended, run["run_id"])
        assert ended["status"] == ("completed" if quick else "cancelled")

    await asyncio.gather(*map(run_through, range(10)))
    await until(lambda: held(stack, "orchestrator-1")["owned"] == 0, "all are given back")
    before = held(stack, "orchestrator-1")

    for first in range(0, RUNS, 10):
        await asyncio.gather(*map(run_through, range(first, first + 10)))

    await _returns(stack, "orchestrator-1", before)


async def _returns(stack: Stack, name: str, before: dict[str, float]) -> None:
    """Wait until a process holds no more than before; say what it holds when it doesn't."""
    try:
        await until(back_at(stack, name, before), f"{name} is as before", within_s=SETTLES_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\nbefore: {before}\nnow:    {held(stack, name)}") from None
