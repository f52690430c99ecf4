"""Gateways behind one port and workers under one supervisor, as they are started by the command line."""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import httpx2
import psutil
import pytest

from holdfast.local.ports import free_port
from tests.e2e.stack import eventually
from tests.faults.swarm import Client, following, until_beyond

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.redis]

T = TypeVar("T")

ROOT = Path(__file__).parents[2]
START_S = 60.0

# Enough that each of two processes has some: that one has none of 24 happens once in eight million times.
CLIENTS = 24

DRAINING = '"event": "gateway.draining"'


class Service:
    """`holdfast gateway` or `holdfast orchestrator` with two processes."""

    def __init__(self, name: str, log: Path, *words: str, **variables: str) -> None:
        self._log = log
        env = {
            name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")
        }
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "holdfast.cli", name, "--processes", "2", *words],
                env={**env, "HOLDFAST_UNSAFE_DEV": "1", "HOLDFAST_DRAIN_S": "1", **variables},
                cwd=ROOT,
                stdout=out,
                stderr=out,
            )

    @property
    def said(self) -> str:
        return self._log.read_text()

    def ready(self) -> "Service":

        def settled() -> bool:
            return "supervisor.ready" in self.said or self.process.poll() is not None

        eventually("all serve", settled, within_s=START_S)
        assert self.process.poll() is None, self.said
        return self

    def pids(self) -> list[int]:
        """The processes, the first one first; the supervisor aside."""
        children = psutil.Process(self.process.pid).children()
        return [child.pid for child in sorted(children, key=lambda child: child.create_time())]

    def end(self) -> int:
        self.process.terminate()
        return self.process.wait(30)


@contextmanager
def started(name: str, log: Path, *words: str, **variables: str) -> Generator[Service]:
    service = Service(name, log, *words, **variables)
    try:
        yield service.ready()
    finally:
        if service.process.poll() is None:
            service.end()


@pytest.fixture
def where(database_url: str, redis_url: str) -> dict[str, str]:
    return {
        "HOLDFAST_DATABASE_URL": database_url,
        "HOLDFAST_REDIS_URL": redis_url,
        "HOLDFAST_WORKFLOWS": "holdfast.orchestrator.workflows.ticker",
    }


async def until(what: str, check: Callable[[], Awaitable[T]], *, within_s: float = 60) -> T:
    """Return the first true answer; fail after a while."""
    async with asyncio.timeout(within_s):
        while True:
            if found := await check():
                return found
            await asyncio.sleep(0.05)
    raise AssertionError(what)


async def completed(http: httpx2.AsyncClient, run_id: str) -> None:
    async def look() -> bool:
        try:
            answer = await http.get(f"/v1/runs/{run_id}")
        except httpx2.TransportError:
            return False  # it was with the gateway that was killed; the next one is with another
        return answer.json()["status"] == "completed"

    await until(f"{run_id} completes", look)


async def until_told(clients: list[Client], word: bytes) -> None:
    async def told() -> bool:
        return all(any(word in frame for frame in client.frames.control) for client in clients)

    await until(f"all are told {word!r}", told)


async def fresh_status(base: str) -> int:
    """Ask over a connection of its own, which the kernel gives to whom it will."""
    async with httpx2.AsyncClient(base_url=base, trust_env=False) as http:
        return (await http.get("/livez")).status_code


def per_process(metrics: str, name: str) -> dict[str, float]:
    found = re.findall(rf'^{name}{{process="(\d+)"}} (\S+)$', metrics, re.MULTILINE)
    return {number: float(value) for number, value in found}


async def test_a_killed_gateways_clients_come_back_to_the_port_and_miss_nothing(
    where: dict[str, str], tmp_path: Path
):
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with (
        started("orchestrator", tmp_path / "workers.log", **where),
        started("gateway", tmp_path / "gateways.log", f"--port={port}", **where) as gateways,
    ):
        async with httpx2.AsyncClient(base_url=url, trust_env=False, timeout=20) as http:
            run = await http.post(
                "/v1/runs", json={"workflow": "ticker", "input": {"events": 60, "interval_ms": 50}}
            )
            ids = run.json()
            session = ids["session_id"]
            clients = [
                Client([url], f"/v1/sessions/{session}/stream?after=0") for _ in range(CLIENTS)
            ]
            async with following(clients):
                await until_beyond(clients, [5] * CLIENTS, within_s=30)
                before = per_process((await http.get("/metrics")).text, "holdfast_sse_connections")
                os.kill(gateways.pids()[0], signal.SIGKILL)
                await completed(http, ids["run_id"])
                head = (await http.get(f"/v1/sessions/{session}/events?limit=1")).json()["head"]
                await until_beyond(clients, [head] * CLIENTS, within_s=30)
                status = await asyncio.to_thread(gateways.end)
                await until_told(clients, b"drain")

        assert status == 0
        assert all(count > 0 for count in before.values())
        assert sum(before.values()) == CLIENTS
        # Clients check every frame; here, that all have the same and that only some had to come back.
        assert len({tuple(client.frames.events) for client in clients}) == 1
        assert {client.connections for client in clients} == {1, 2}
        assert gateways.said.count("gateway.stopped") >= 1


async def test_a_gateway_that_ends_by_itself_leaves_the_port_to_the_other(
    where: dict[str, str], tmp_path: Path
):
    """It drains for a while and accepts nothing: what the kernel would still give it goes to the other one."""
    port = free_port()
    drain = {**where, "HOLDFAST_DRAIN_S": "30"}
    with started("gateway", tmp_path / "gateways.log", f"--port={port}", **drain) as gateways:
        base = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=20) as http:
            created = (await http.post("/v1/sessions", json={})).json()["session_id"]
            path = f"/v1/sessions/{created}/stream?after=0"
            clients = [Client([base], path) for _ in range(CLIENTS)]
            async with following(clients):
                await until_told(clients, b"caught-up")
                first, second = gateways.pids()
                os.kill(first, signal.SIGTERM)
                await asyncio.to_thread(eventually, "it drains", lambda: DRAINING in gateways.said)
                answers = [await fresh_status(base) for _ in range(20)]
                alive = gateways.pids()

        assert answers == [200] * 20
        assert alive == [first, second]
        gateways.process.send_signal(signal.SIGTERM)
        eventually("all drain", lambda: "supervisor.draining" in gateways.said)
        gateways.process.send_signal(signal.SIGTERM)
        assert gateways.process.wait(20) == 0


async def test_workers_under_one_supervisor_share_the_work_and_one_page_tells_of_both(
    where: dict[str, str], tmp_path: Path
):
    ops, port = free_port(), free_port()
    names = {"HOLDFAST_OPS_PORT": str(ops), "HOLDFAST_WORKER_NAME": "w", "HOLDFAST_LEASE_S": "2"}
    with (
        started("orchestrator", tmp_path / "workers.log", **where, **names) as workers,
        started("gateway", tmp_path / "gateways.log", f"--port={port}", **where),
    ):
        base = f"http://127.0.0.1:{port}"
        async with httpx2.AsyncClient(base_url=base, trust_env=False, timeout=20) as http:
            body = {"workflow": "ticker", "input": {"events": 40, "interval_ms": 100}}
            runs = [(await http.post("/v1/runs", json=body)).json() for _ in range(24)]
            ready = httpx2.get(f"http://127.0.0.1:{ops}/readyz", trust_env=False)
            owned: dict[str, float] = {}

            async def all_owned() -> bool:
                metrics = httpx2.get(f"http://127.0.0.1:{ops}/metrics", trust_env=False).text
                owned.update(per_process(metrics, "holdfast_sessions_owned"))
                return sum(owned.values()) == len(runs)

            await until("all are owned", all_owned)
            os.kill(workers.pids()[0], signal.SIGKILL)
            for run in runs:
                await completed(http, run["run_id"])

        assert workers.end() == 0
        assert ready.status_code == 200
        assert all(count > 0 for count in owned.values())
        assert {'"worker": "w-1"', '"worker": "w-2"'} <= set(
            re.findall(r'"worker": "[^"]+"', workers.said)
        )
