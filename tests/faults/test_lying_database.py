"""The positive control: over a Postgres that confirms what it may lose, the crash probe finds the loss.

Without this, "no event was lost" could mean that the probe can't see one. What is not promised for such a database is
at least noticed: the client is reset to what survived, and goes on from there.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from holdfast.local.ladder import postgres_bin_dir
from holdfast.local.postgres_server import PostgresServer
from tests.e2e.stack import Stack
from tests.faults.breaking import fault_marks, stack_of, until
from tests.faults.swarm import Client, following, of_run, seq_of

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(120)]


@pytest.fixture(scope="module")
def postgres(place: Path) -> Iterator[PostgresServer]:
    """A Postgres that confirms a commit before it is on disk, and takes its time with the disk."""
    settings = {"synchronous_commit": "off", "wal_writer_delay": "10s"}
    with PostgresServer(place / "lying", binary=postgres_bin_dir(), settings=settings) as server:
        yield server


@pytest.fixture(scope="module")
def stack(postgres: PostgresServer) -> Iterator[Stack]:
    with stack_of(
        "--gateways",
        "2",
        "--orchestrators",
        "1",
        HOLDFAST_DATABASE_URL=postgres.url,
        HOLDFAST_UNSAFE_DEV="1",
        # As shipped, a lease (15 s, and after a restart of Postgres each has to run out) is longer than a gateway
        # takes to compare its heads with the log (6 s): the loss is seen before anybody writes over it.
        HOLDFAST_LEASE_S="8",
    ) as stack:
        yield stack


async def test_a_database_that_loses_what_it_confirmed_is_found_out_and_clients_are_reset(
    stack: Stack, postgres: PostgresServer
) -> None:
    run = stack.start("ticker", {"events": 600, "interval_ms": 10})
    path = f"/v1/runs/{run['run_id']}/stream"
    clients = [Obedient(stack.gateways, path, first=n) for n in range(2)]

    async with following(clients):
        await until(lambda: all(client.cursor > 50 for client in clients), "events are seen")
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            # What is before this, the session itself above all, is on disk.
            connection.execute("checkpoint")
        await until(lambda: all(client.cursor > 150 for client in clients), "and more")
        postgres.kill(immediate=True)
        postgres.start()
        await until(lambda: all(client.lost for client in clients), "both are reset", within_s=20)
        await until(lambda: all(c.statuses[-1:] == [204] for c in clients), "the run ends")

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    for client in clients:
        assert client.lost[0] not in history
        assert client.frames.events == history
    assert stack.get(f"/v1/runs/{run['run_id']}")["status"] == "completed"


class Obedient(Client):
    """A client that does what a reset asks for: it drops what lies beyond, and goes on from there."""

    lost: Sequence[bytes] = ()

    def _take(self, frame: bytes) -> None:
        super()._take(frame)
        if b"event: reset" in frame:
            assert not self.lost, "once is enough"
            events = self.frames.events
            self.lost = [event for event in events if seq_of(event) > self.cursor]
            self.frames.events = [event for event in events if seq_of(event) <= self.cursor]
