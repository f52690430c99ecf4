"""The database fails over to a standby under running services: each notices, ends, and goes on with what is there.

The standby confirms every commit, so that nothing is lost: then clients must not notice anything but a pause, while
the log goes on on another timeline, under another name in Redis.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from holdfast.local.ladder import postgres_bin_dir
from holdfast.local.postgres_server import PostgresServer
from tests.e2e.stack import Stack
from tests.faults.breaking import fault_marks, logged, stack_of, until
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(240)]

TICKS = 1500

# The services' exit status for it, which a supervisor answers by starting them again.
EXIT_LOG_CHANGED = 75

# Copying 40 MB on the same machine.
COPY_S = 60.0


@pytest.fixture
def primary(place: Path) -> Iterator[PostgresServer]:
    with PostgresServer(place / "primary", binary=postgres_bin_dir()) as server:
        yield server


@pytest.fixture
def standby(primary: PostgresServer, place: Path) -> Iterator[PostgresServer]:
    """A copy of the primary that follows it, and that every commit waits for."""
    data_dir = place / "standby"
    data_dir.mkdir(mode=0o755)
    shutil.copy(primary.data_dir / "password", data_dir / "password")
    target = urlsplit(primary.url)
    subprocess.run(
        [
            str(primary.bin_dir / "pg_basebackup"),
            *("--pgdata", str(data_dir / "cluster"), "--write-recovery-conf", "--checkpoint=fast"),
            *("--host", str(target.hostname), "--port", str(target.port)),
            *("--username", str(target.username)),
        ],
        env={**os.environ, "PGPASSWORD": str(target.password)},
        check=True,
        timeout=COPY_S,
        capture_output=True,
    )
    owner = (primary.cluster).stat()
    for path in [data_dir / "cluster", *(data_dir / "cluster").rglob("*")]:
        os.chown(path, owner.st_uid, owner.st_gid)
    with PostgresServer(data_dir, binary=primary.bin_dir) as server:
        with psycopg.connect(primary.url, autocommit=True) as connection:
            connection.execute("alter system set synchronous_standby_names = '*'")
            connection.execute("select pg_reload_conf()")
        yield server


async def test_services_notice_that_their_database_failed_over_and_go_on_with_the_new_one(
    primary: PostgresServer, standby: PostgresServer
) -> None:
    with stack_of(
        "--gateways", "2", "--orchestrators", "2", HOLDFAST_DATABASE_URL=primary.url
    ) as stack:
        before = await asyncio.to_thread(stack.start, "ticker", {"events": 10, "interval_ms": 1})
        await asyncio.to_thread(stack.ended, before["run_id"])
        prefixes = _prefixes(stack)
        run = await asyncio.to_thread(stack.start, "ticker", {"events": TICKS, "interval_ms": 10})
        clients = [
            Client(stack.gateways, f"/v1/runs/{run['run_id']}/stream", first=n) for n in (0, 1)
        ]
        services = {n: e["pid"] for n, e in stack.processes().items() if n.startswith(("o", "g"))}

        async with following(clients):
            await until(lambda: all(client.cursor > 50 for client in clients), "events are seen")
            await asyncio.to_thread(_fail_over, primary, standby)
            seen = max(client.cursor for client in clients)
            await until(
                lambda: all(client.cursor > seen + 10 for client in clients),
                "the run goes on",
                within_s=60,
            )
            await until(
                lambda: all(c.statuses[-1:] == [204] for c in clients), "the run ends", within_s=60
            )

        for name, pid in services.items():
            assert logged(stack, name, "log.changed"), name
            assert stack.pid(name) != pid, f"{name} was started again"
        history = of_run(await asyncio.to_thread(stack.history, run["session_id"]), run["run_id"])
        for client in clients:
            assert client.frames.events == history
            assert not [frame for frame in client.frames.control if b"event: reset" in frame]
        assert sum(b'"type":"message.delta"' in line for line in history) == TICKS
        # What is published from now on has another name than what was published on the other timeline.
        assert len(prefixes) == 1
        assert len(_prefixes(stack) - prefixes) == 1


def _fail_over(primary: PostgresServer, standby: PostgresServer) -> None:
    """Let the primary die and the standby take its place, at its address."""
    address = urlsplit(primary.url)
    primary.kill()
    standby.stop()
    standby.port = address.port
    standby.settings["primary_conninfo"] = ""  # it would follow itself
    standby.start()
    with psycopg.connect(standby.url, autocommit=True) as connection:
        # Services find a standby for a moment: it isn't theirs to write to, nor another log yet.
        time.sleep(1)
        connection.execute("select pg_promote()")


def _prefixes(stack: Stack) -> set[bytes]:
    """Return what the names of all windows begin with: the log's own name."""
    return {key.split(b":")[1] for key in stack.windows()}
