"""A primary of Redis that was cut off goes on taking writes beside the one that was promoted, until it is demoted.

A worker and a gateway stay with the old primary, others are with the new one; neither knows of it. What the old one
took in meanwhile is gone when it follows the new one: windows that were whole become short. The log had it all.
"""

import asyncio
import os
import random
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Generator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from holdfast.local.ladder import redis_binary
from holdfast.local.ports import free_port
from holdfast.local.redis_server import RedisServer
from tests.campaign.redis_harm import tell
from tests.campaign.wire import Trouble, Wire, wire
from tests.e2e.stack import Stack
from tests.faults.breaking import (
    LEASE_S,
    cancel,
    connected,
    database_url,
    fault_marks,
    stack_of,
    until,
)
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(240)]

# Cut off from the new primary, by name of its worker; and with it.
BEHIND, AHEAD = "orchestrator-1", "ahead"

INTERVAL_MS = 50

# Long after the fault; the runs are cancelled when the test has seen enough.
EVENTS = 100_000

# As without Redis: what a gateway isn't told of it finds in the log.
LATE_S = 10.0

# How long both take writes: hundreds of events, and two of the gateways' looks at the log.
SPLIT_S = 12.0

# Some kilobytes on the same machine, and a replica that looks for its primary once a second.
SYNCED_S = 30.0

# A service imports for seconds on a busy machine.
START_S = 60.0

# Each run is claimed by one of two workers: that all of ten go to the same one is a matter of one in 500.
RUNS = 10


@dataclass
class Split:
    """Two servers, the way from the one to the other, and the ways that services take to them."""

    old: RedisServer
    new: RedisServer
    replication: Wire
    behind: Wire  # leads to the old primary until that is demoted
    ahead: Wire


@pytest.fixture
def old(place: Path) -> Iterator[RedisServer]:
    with RedisServer(place / "old", binary=redis_binary()) as server:
        yield server


@pytest.fixture
def new(place: Path) -> Iterator[RedisServer]:
    with RedisServer(place / "new", binary=redis_binary()) as server:
        yield server


@pytest.fixture
async def split(old: RedisServer, new: RedisServer) -> AsyncGenerator[Split]:
    """The new server follows the old one, and all services use that."""
    port = _port(old)
    async with AsyncExitStack() as stack:
        ways = [
            await stack.enter_async_context(wire("127.0.0.1", port, random.Random(n)))
            for n in range(3)
        ]
        await tell(old, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        await tell(new, "REPLICAOF", "127.0.0.1", ways[0].port)
        yield Split(old, new, *ways)


async def test_nobody_loses_or_repeats_anything_while_two_primaries_take_writes_and_one_is_demoted(
    split: Split,
) -> None:
    await _follows(split.new)
    async with _services(split) as (stack, gateways):
        runs = [await asyncio.to_thread(_start, gateways[n % 2]) for n in range(RUNS)]
        clients = [Client([url], _path(run), timed=True) for run in runs for url in gateways]
        async with following(clients):
            await _on(clients, "all are live")
            await until(lambda: len(_owners(stack)) == 2, "each worker has sessions")

            split.replication.becomes(Trouble.BLACKHOLE)
            await tell(split.new, "REPLICAOF", "NO", "ONE")
            split.ahead.leads_to("127.0.0.1", _port(split.new))
            begun = time.monotonic()
            while (now := time.monotonic()) < begun + SPLIT_S:
                assert all(now - client.ages[-1][0] < LATE_S for client in clients), "nothing came"
                await asyncio.sleep(0.1)
            only_old, only_new = await _ends(split.old), await _ends(split.new)
            assert any(only_old[key] > only_new.get(key, 0) for key in only_old), "the old one led"
            assert any(only_new[key] > only_old.get(key, 0) for key in only_new), "so did the new"
            # Its sessions are gone on with by whoever comes first, behind windows that are not what they were told.
            stack.kill(BEHIND)
            await _on(clients, "a worker's sessions are taken over")

            await tell(split.old, "REPLICAOF", "127.0.0.1", _port(split.new))
            await _follows(split.old)
            await _on(clients, "nobody needs the old one's writes")
            split.behind.leads_to("127.0.0.1", _port(split.new))
            await _on(clients, "all are with the new one")

            for run in runs:
                await asyncio.to_thread(cancel, stack, run["run_id"])
            await until(
                lambda: all(client.statuses[-1:] == [204] for client in clients), "all clients end"
            )
        for client, run in zip(clients, [run for run in runs for _ in gateways], strict=True):
            history = of_run(stack.history(run["session_id"]), run["run_id"])
            assert client.frames.events == history
            assert not [frame for frame in client.frames.control if b"event: reset" in frame]


@asynccontextmanager
async def _services(split: Split) -> AsyncGenerator[tuple[Stack, list[str]]]:
    """Run a gateway and a worker on each side; return the stack of the old side, and both gateways' addresses."""
    # In a thread: what they ask of Redis goes through this loop.
    with ExitStack() as kept:
        enter = kept.enter_context
        try:
            behind = f"redis://127.0.0.1:{split.behind.port}"
            started = stack_of("--orchestrators", "1", HOLDFAST_REDIS_URL=behind)
            stack = await asyncio.to_thread(enter, started)
            port, ops_port = str(free_port()), str(free_port())
            ahead = {
                "HOLDFAST_DATABASE_URL": database_url(stack),
                "HOLDFAST_REDIS_URL": f"redis://127.0.0.1:{split.ahead.port}",
                "HOLDFAST_LEASE_S": str(LEASE_S),
            }
            enter(_service("gateway", **ahead, HOLDFAST_PORT=port))
            named = {"HOLDFAST_OPS_PORT": ops_port, "HOLDFAST_WORKER_NAME": AHEAD}
            enter(_service("orchestrator", **ahead, **named))
            for service in (port, ops_port):
                await until(lambda at=service: _ready(at), f"port {service}", within_s=START_S)
            yield stack, [stack.url, f"http://127.0.0.1:{port}"]
        finally:
            await asyncio.to_thread(kept.close)


@contextmanager
def _service(name: str, **environment: str) -> Generator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", f"holdfast.{name}"],
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.kill()
        process.wait()


def _ready(port: str) -> bool:
    try:
        return httpx2.get(f"http://127.0.0.1:{port}/readyz", timeout=1).status_code == 200
    except httpx2.HTTPError:
        return False


def _port(server: RedisServer) -> int:
    assert server.port is not None, "it has been started"
    return server.port


def _start(url: str) -> dict[str, Any]:
    asked = {"workflow": "ticker", "input": {"events": EVENTS, "interval_ms": INTERVAL_MS}}
    answer = httpx2.post(f"{url}/v1/runs", json=asked, timeout=10)
    assert answer.status_code == 202, answer.text
    return answer.json()


def _path(run: dict[str, Any]) -> str:
    return f"/v1/runs/{run['run_id']}/stream"


def _owners(stack: Stack) -> set[object]:
    """Return who owns sessions just now."""
    with connected(stack) as connection:
        rows = connection.execute("select distinct owner from sessions where lease_until > now()")
        return {owner for (owner,) in rows}


async def _on(clients: Sequence[Client], what: str) -> None:
    """Wait until every client has seen some more."""
    seen = [client.cursor for client in clients]
    await until(
        lambda: all(
            client.cursor > before + 20 for client, before in zip(clients, seen, strict=True)
        ),
        what,
    )


async def _follows(replica: RedisServer) -> None:
    """Wait until a replica has all that its primary has."""
    async with asyncio.timeout(SYNCED_S):
        while True:
            said = await tell(replica, "INFO", "replication")
            if said["master_link_status"] == "up":
                return
            await asyncio.sleep(0.05)


async def _ends(server: RedisServer) -> dict[bytes, int]:
    """Return where each window ends."""
    ends: dict[bytes, int] = {}
    for key in await tell(server, "KEYS", "hf:*:events"):
        [(entry, _)] = await tell(server, "XREVRANGE", key, "+", "-", "COUNT", 1)
        ends[key] = int(entry.partition(b"-")[0])
    return ends
