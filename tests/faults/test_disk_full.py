"""The database's disk is full: writers wait, bounded in memory, readers are served; then everything goes on."""

import asyncio
import shutil
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import psutil
import psycopg
import pytest

from holdfast.local.ladder import postgres_bin_dir
from holdfast.local.postgres_server import PostgresServer
from tests.e2e.stack import Stack
from tests.faults.breaking import cancel, fault_marks, logged, stack_of, until
from tests.faults.small_disk import SmallDisk, small_disk
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(180)]

# An empty cluster is some 40 MB, and the flood may run for a moment when there is room again.
DATA_MB = 240
# Two segments and what is recycled.
WAL_MB = 96
SEGMENT_SWITCHES_MAX = 64

TICKS = 800
FLOOD = 1_000_000

# A worker holds 1 MiB of a session that is not committed, twice while it encodes and sends it; the rest is Python's.
GROWTH_MAX = 64 * 1024 * 1024

# As long as a full disk lasts here: several tries of everybody, each at most 2 s after the other.
FULL_S = 6.0

WORKER = "orchestrator-1"


@pytest.fixture
def postgres(server_dir: Path) -> Iterator[PostgresServer]:
    with PostgresServer(server_dir / "small", binary=postgres_bin_dir()) as server:
        yield server


def _put(server: PostgresServer, disk: SmallDisk, *, wal: bool) -> None:
    """Move the server's data to the disk, without its log (WAL), or the log alone."""
    server.stop()
    if wal:
        _move(server.cluster / "pg_wal", disk.path / "wal")
    else:
        _move(server.cluster, disk.path / "cluster")
        _move(server.cluster / "pg_wal", server.data_dir / "wal")
    server.start()


def _move(place: Path, target: Path) -> None:
    """Leave a link behind, and everything its owner's."""
    subprocess.run(["cp", "-a", str(place), str(target)], check=True, timeout=60)
    shutil.rmtree(place)
    place.symlink_to(target)


@contextmanager
def stack_on(server: PostgresServer, disk: SmallDisk, *, wal: bool) -> Generator[Stack]:
    """Run a stack over a server with a small disk."""
    _put(server, disk, wal=wal)
    with stack_of(
        "--gateways", "2", "--orchestrators", "1", HOLDFAST_DATABASE_URL=server.url
    ) as stack:
        yield stack


@pytest.mark.parametrize("wal", [False, True], ids=["data", "wal"])
async def test_a_full_disk_stops_runs_for_as_long_as_it_is_full_and_loses_nothing(
    postgres: PostgresServer, place: Path, wal: bool
) -> None:
    """A full data disk refuses what is new; a full disk for its log stops Postgres altogether, until there is room."""
    with (
        small_disk(place / f"disk-{wal}", WAL_MB if wal else DATA_MB) as disk,
        stack_on(postgres, disk, wal=wal) as stack,
    ):
        run = await asyncio.to_thread(stack.start, "ticker", {"events": TICKS, "interval_ms": 10})
        path = f"/v1/runs/{run['run_id']}/stream"
        clients = [Client(stack.gateways, path, first=n) for n in (0, 1)]
        async with following(clients):
            await until(lambda: all(client.cursor > 50 for client in clients), "events are seen")
            flood = await asyncio.to_thread(
                stack.start, "ticker", {"events": FLOOD, "interval_ms": 0}
            )
            worker = psutil.Process(stack.pid(WORKER))
            disk.fill()
            if wal:
                await asyncio.to_thread(_until_it_stops, postgres)
            failed = len(logged(stack, WORKER, "append.failed"))
            await until(
                lambda: len(logged(stack, WORKER, "append.failed")) > failed + 2, "appends fail"
            )
            before = worker.memory_info().rss
            await asyncio.sleep(FULL_S)
            assert wal or "No space left on device" in logged(stack, WORKER, "append.failed")[-1]
            grown = worker.memory_info().rss - before
            accepted = await _asked_and_shown(stack, run["session_id"], away=wal)
            assert all(client.statuses[-1] == 200 for client in clients), "nothing has ended"

            disk.free()
            if not postgres.is_running():
                await asyncio.to_thread(postgres.start)
            await until(
                lambda: stack.get(f"/v1/runs/{flood['run_id']}")["status"] == "running", "answers"
            )
            await asyncio.to_thread(cancel, stack, flood["run_id"])
            await until(
                lambda: all(c.statuses[-1:] == [204] for c in clients), "the run ends", within_s=60
            )
            await asyncio.to_thread(stack.ended, flood["run_id"])
            if accepted is not None:
                await asyncio.to_thread(stack.ended, accepted)

        assert grown < GROWTH_MAX
        assert stack.pid(WORKER) == worker.pid, "it is the worker that it was"
        history = of_run(await asyncio.to_thread(stack.history, run["session_id"]), run["run_id"])
        for client in clients:
            assert client.frames.events == history
            assert not [frame for frame in client.frames.control if b"event: reset" in frame]
        assert sum(b'"type":"message.delta"' in line for line in history) == TICKS
        assert stack.get(f"/v1/runs/{run['run_id']}")["status"] == "completed"


def _until_it_stops(server: PostgresServer) -> None:
    """Make it begin new files of its log until there is no room for one."""
    for _ in range(SEGMENT_SWITCHES_MAX):
        try:
            with psycopg.connect(server.url, autocommit=True, connect_timeout=5) as connection:
                connection.execute("select txid_current(), pg_switch_wal()")
        except psycopg.OperationalError:
            assert "No space left on device" in server.log_path.read_text(errors="replace")
            return
    raise AssertionError("its log still finds room")


async def _asked_and_shown(stack: Stack, session: str, *, away: bool) -> str | None:
    """Ask for a run, and for what is recorded; return the id of the run if it was accepted.

    What finds room in pages that are there is taken even now: an answer is never a guess.
    """
    async with httpx2.AsyncClient(timeout=15) as http:
        asked = await http.post(f"{stack.url}/v1/runs", json={"workflow": "ticker", "input": {}})
        shown = await http.get(f"{stack.url}/v1/sessions/{session}/events?after=0&limit=10")
        alive = await http.get(f"{stack.url}/livez")
    assert alive.status_code == 200
    assert shown.status_code == (503 if away else 200)
    if asked.status_code == 202 and not away:
        return asked.json()["run_id"]
    assert asked.status_code == 503, asked.text
    assert asked.json()["code"] == "store-unavailable"
    assert int(asked.headers["retry-after"]) >= 1
    return None
