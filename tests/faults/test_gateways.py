"""A gateway goes, politely or not: its clients are told, come back elsewhere, and have missed nothing."""

import asyncio
import signal
import socket
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from tests.e2e.stack import Stack
from tests.faults.breaking import fault_marks, restarted, stack_of, until
from tests.faults.swarm import Client, connected, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(150)]

# What the supervisor gives a gateway by itself is the same.
DRAIN_S = 3

# The drain, a second for the last wave's last words, five for ordinary requests (`server.GRACE_S`), and a slow machine.
ENDS_WITHIN_S = DRAIN_S + 1 + 5 + 3

STREAMS = 100

# 30,000 events of some 300 bytes: twice what the kernel takes on both sides of a connection that nobody reads.
STALLED_EVENTS = 30_000


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of(
        "--gateways", "2", "--orchestrators", "1", HOLDFAST_DRAIN_S=str(DRAIN_S)
    ) as stack:
        yield stack


class Keeper:
    """One connection that is kept, and asks what a load balancer asks."""

    def __init__(self, url: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter):
        self._netloc, self._reader, self._writer = urlsplit(url).netloc, reader, writer

    async def readyz(self) -> int | None:
        """Return the status; None when the gateway has gone."""
        try:
            self._writer.write(f"GET /readyz HTTP/1.1\r\nHost: {self._netloc}\r\n\r\n".encode())
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
            await self._reader.readexactly(length)
        except (OSError, asyncio.IncompleteReadError):
            return None
        return int(head.split(b" ", 2)[1])


@asynccontextmanager
async def kept(url: str) -> AsyncGenerator[Keeper]:
    async with connected(url) as (reader, writer):
        yield Keeper(url, reader, writer)


def stalled(url: str, session: str) -> socket.socket:
    """Open a stream with a long history, and never read a byte of it."""
    parts = urlsplit(url)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect((parts.hostname, parts.port))
    client.sendall(
        f"GET /v1/sessions/{session}/stream HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    )
    return client


def unsent(client: socket.socket) -> bool:
    """Tell whether the server has more for this client than the kernel takes."""
    address = client.getsockname()
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[2].endswith(f":{address[1]:04X}"):
                return int(fields[4].partition(":")[0], 16) > 0
    return False


async def test_a_drain_sends_every_client_elsewhere_in_time_with_one_that_never_reads(
    stack: Stack,
) -> None:
    """A hundred streams and a stalled one: `drain` and `retry` for each, 503 first, and an end within the limit."""
    long = stack.start("ticker", {"events": STALLED_EVENTS, "interval_ms": 0})
    stack.ended(long["run_id"], within_s=60)
    run = stack.start("ticker", {"events": 200, "interval_ms": 100})
    path = f"/v1/runs/{run['run_id']}/stream"
    clients = [Client(stack.gateways, path) for _ in range(STREAMS)]
    pid = stack.pid("gateway-1")

    async with kept(stack.gateways[0]) as probe, following(clients):
        await until(lambda: all(client.cursor > 3 for client in clients), "all clients are live")
        lazy = await asyncio.to_thread(stalled, stack.gateways[0], long["session_id"])
        await until(lambda: unsent(lazy), "the stalled client's write waits")
        assert await probe.readyz() == 200
        gateway = psutil.Process(pid)
        begun = time.monotonic()
        stack.kill("gateway-1", signal.SIGTERM)
        first_503 = told_first = None
        while gateway.is_running() and gateway.status() != psutil.STATUS_ZOMBIE:
            status = await probe.readyz()
            told = sum(drained(client) for client in clients)
            if status == 503 and first_503 is None:
                first_503, told_first = time.monotonic() - begun, told
            assert time.monotonic() - begun < ENDS_WITHIN_S
            await asyncio.sleep(0.02)
        took = time.monotonic() - begun
        lazy.close()
        print(f"not ready after {first_503} s, gone after {took:.1f} s")
        await until(lambda: all(c.statuses[-1:] == [204] for c in clients), "all clients end")

    assert first_503 is not None
    assert first_503 < 2
    # A wave of ten every 0.3 s: most had not been told yet when the load balancer could know.
    assert told_first is not None
    assert told_first <= STREAMS // 2
    history = of_run(stack.history(run["session_id"]), run["run_id"])
    for client in clients:
        assert client.frames.events == history
        assert sum(b"event: drain" in frame for frame in client.frames.control) == 1
        # One at the beginning of each connection, and one with the drain: the spread of a wave of reconnects.
        assert len(client.retries) >= client.connections + 1 - client.statuses.count(204)
        # On another gateway, by its own second try.
        assert client.connections >= 2
    assert len({client.retries[1] for client in clients}) > STREAMS // 2
    assert all(1_000 <= client.retries[1] <= 15_000 for client in clients)


def drained(client: Client) -> bool:
    return any(b"event: drain" in frame for frame in client.frames.control)


async def test_a_killed_gateways_clients_go_on_elsewhere_and_miss_nothing(stack: Stack) -> None:
    await until(lambda: _serves(stack), "the drained gateway is back")
    run = stack.start("ticker", {"events": 150, "interval_ms": 50})
    clients = [
        Client(stack.gateways, f"/v1/runs/{run['run_id']}/stream", first=n) for n in range(STREAMS)
    ]

    async with following(clients):
        for gateway in ("gateway-1", "gateway-2"):
            marks = [client.cursor + 5 for client in clients]
            await until(
                lambda marks=marks: all(  # pyright: ignore[reportUnknownLambdaType]
                    client.cursor > mark for client, mark in zip(clients, marks, strict=True)
                ),
                "all clients are live",
            )
            await restarted(stack, gateway)
        await until(lambda: all(c.statuses[-1:] == [204] for c in clients), "all clients end")

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    assert all(client.frames.events == history for client in clients)
    assert all(client.connections >= 2 for client in clients)


def _serves(stack: Stack) -> Any:
    try:
        return stack.get("/readyz")["status"] == "ready"
    except OSError:
        return False
