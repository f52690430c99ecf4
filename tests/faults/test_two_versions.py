"""A deployment that rolls: two versions of every service on one log, taking each other's runs over under load.

The older one is this tree. The newer one (`tests.faults.mixed`) has migrated the database, runs another version of the
workflow, writes events of a type that the older one has never heard of, and wakes gateways in words they don't know.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Generator, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest

from holdfast.events import migrate as migrations
from holdfast.events.migrate import migrate
from holdfast.local.ports import free_port
from tests.e2e.stack import Stack
from tests.faults.breaking import (
    LEASE_S,
    connected,
    database_url,
    fault_marks,
    restarted,
    stack_of,
    until,
)
from tests.faults.mixed import MIGRATION
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(240)]

_ROOT = Path(__file__).parents[2]

RUNS = 8
# 45 s of work: two takeovers of a lease each, and the start of a worker between them.
TICKS, PAUSE_MS = 1500, 30

OLDER, NEWER = "orchestrator-1", "newer"

# A service imports for seconds on a busy machine.
START_S = 60.0

# The rest of the runs, with a takeover before it.
RUN_ENDS_S = 120.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    path = os.pathsep.join([str(_ROOT), os.environ.get("PYTHONPATH", "")])
    with stack_of(
        "--gateways",
        "1",
        "--orchestrators",
        "1",
        HOLDFAST_WORKFLOWS="tests.faults.mixed",
        PYTHONPATH=path,
    ) as stack:
        yield stack


@contextmanager
def newer(stack: Stack, service: str, port: int) -> Generator[subprocess.Popen[bytes]]:
    """Run a service of the newer version beside the stack; at the end it is killed."""
    name = "HOLDFAST_OPS_PORT" if service == "worker" else "HOLDFAST_PORT"
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.mixed", service],
        cwd=_ROOT,
        env=os.environ
        | {
            "HOLDFAST_DATABASE_URL": database_url(stack),
            "HOLDFAST_REDIS_URL": f"redis://{stack.processes()['redis']['address']}",
            "HOLDFAST_WORKFLOWS": "tests.faults.mixed",
            "HOLDFAST_LEASE_S": str(LEASE_S),
            "HOLDFAST_WORKER_NAME": NEWER,
            name: str(port),
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _ready(address: str) -> bool:
    try:
        return httpx2.get(f"http://{address}/readyz", timeout=1).status_code == 200
    except httpx2.HTTPError:
        return False


def _owners(stack: Stack) -> list[str]:
    """Return who owns the sessions of runs that have not ended."""
    with connected(stack) as connection:
        rows = connection.execute(
            """select s.owner from sessions s join runs r on r.session = s.id
                where r.ended_at is null and s.owner is not null and s.lease_until > now()"""
        ).fetchall()
    return [str(row[0]) for row in rows]


def _start(url: str) -> dict[str, str]:
    asked = {"workflow": "mixed", "input": {"ticks": TICKS, "pause_ms": PAUSE_MS}}
    answer = httpx2.post(f"{url}/v1/runs", json=asked, timeout=10)
    assert answer.status_code == 202, answer.text
    return answer.json()


async def test_two_versions_side_by_side_take_each_others_runs_over_and_every_client_sees_all(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        known = migrations.migrations()
        patch.setattr(migrations, "migrations", lambda: [*known, MIGRATION])
        assert await migrate(database_url(stack)) == [MIGRATION.name]

    ports = {"gateway": free_port(), "worker": free_port()}
    gateways = [stack.url, f"http://127.0.0.1:{ports['gateway']}"]
    async with AsyncExitStack() as closing:
        closing.enter_context(newer(stack, "gateway", ports["gateway"]))
        with newer(stack, "worker", ports["worker"]) as worker:
            for port in ports.values():
                await _until_ready(f"127.0.0.1:{port}")
            # Asked for through both gateways, while only the older worker can hear of them.
            os.kill(worker.pid, signal.SIGSTOP)
            runs = [await asyncio.to_thread(_start, gateways[n % 2]) for n in range(RUNS)]
            await until(lambda: _owners(stack) == [OLDER] * RUNS, "the older one owns them all")
            os.kill(worker.pid, signal.SIGCONT)

            paths = [f"/v1/runs/{run['run_id']}/stream" for run in runs]
            clients = [[Client([gateway], path) for gateway in gateways] for path in paths]
            everybody = [client for pair in clients for client in pair]
            await closing.enter_async_context(following(everybody))
            await until(lambda: all(client.cursor > 10 for client in everybody), "events are seen")
            # The older worker dies, and comes back on a schema newer than its own.
            await restarted(stack, OLDER)
            await until(lambda: NEWER in _owners(stack), "the newer one takes over")
            seen = [client.cursor for client in everybody]
            await until(
                lambda: all(c.cursor > s + 20 for c, s in zip(everybody, seen, strict=True)),
                "the runs go on",
            )
            await _until_ready(stack.processes()[OLDER]["address"])
        # The newer worker has died: the older one goes on with what it has written.
        await until(
            lambda: all(client.statuses[-1:] == [204] for client in everybody),
            "the runs end",
            within_s=RUN_ENDS_S,
        )

    weather = 0
    for run, pair in zip(runs, clients, strict=True):
        bodies, version = await asyncio.to_thread(_recorded, stack, run["run_id"])
        for client in pair:
            assert client.frames.events == bodies
        ticks = sum(b'"type":"message.delta"' in body for body in bodies)
        assert ticks == TICKS, "each once, whoever it was that told it"
        weather += sum(b'"type":"weather.observed"' in body for body in bodies)
        assert of_run(stack.history(run["session_id"]), run["run_id"]) == bodies
        assert stack.get(f"/v1/runs/{run['run_id']}")["status"] == "completed"
        assert version == "1", "the older one ended it"
    assert weather > 0


async def _until_ready(address: str) -> None:
    await until(lambda: _ready(address), f"{address} is ready", within_s=START_S)


def _recorded(stack: Stack, run_id: str) -> tuple[list[bytes], str]:
    """Return a run's events as they are in the log, and the version of the workflow that ended it."""
    with connected(stack) as connection:
        rows = connection.execute(
            "select body from events where run_id = %s order by seq", [run_id]
        ).fetchall()
        version = connection.execute(
            "select workflow_v from runs where run_id = %s", [run_id]
        ).fetchone()
    assert version is not None
    return [bytes(body) for (body,) in rows if isinstance(body, bytes)], str(version[0])
