"""Postgres crashes, stands still or has no connection to give: nothing seen is lost, and nobody hangs."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.stack import Stack
from tests.faults.breaking import (
    THOROUGH,
    cancel,
    connected,
    fault_marks,
    locked,
    stack_of,
    until,
)
from tests.faults.swarm import Client, following, of_run

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(900 if THOROUGH else 150)]

CRASHES = 100 if THOROUGH else 4

# Some 330 a second while all is well, 3 s of which are between two crashes at most.
EVENTS = 2_000 * CRASHES

# With a lease of 3 s: a restart, a takeover and a service that gathers itself.
RECOVERY_S = 30.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of("--gateways", "2", "--orchestrators", "2") as stack:
        yield stack


class Assassin(Client):
    """A client that kills Postgres at the very receipt of an event."""

    def __init__(self, stack: Stack, path: str) -> None:
        super().__init__(stack.gateways, path)
        self._stack = stack
        self.armed_at: int | None = None
        self.seen_at_death: list[int] = []

    def arm(self, seq: int) -> None:
        """Strike at the first event at or after `seq`."""
        self.armed_at = seq

    def _take(self, frame: bytes) -> None:
        super()._take(frame)
        if self.armed_at is not None and self.cursor >= self.armed_at:
            self.armed_at = None
            # In turns: with and without a word to the backends, which may be in the middle of the next commit.
            number = (signal.SIGQUIT, signal.SIGKILL)[len(self.seen_at_death) % 2]
            os.kill(self._stack.pid("postgres"), number)
            self.seen_at_death.append(self.cursor)


async def test_an_event_that_a_client_saw_is_in_the_log_after_a_crash_at_that_moment(
    stack: Stack,
) -> None:
    """Durable before visible: the crash is triggered by the receipt itself."""
    # More than it can say in that time: it ticks on while Postgres is away, until too much waits to be committed.
    run = stack.start("ticker", {"events": EVENTS, "interval_ms": 3})
    client = Assassin(stack, f"/v1/runs/{run['run_id']}/stream")

    def head() -> int:
        with connected(stack) as connection:
            row = connection.execute(
                "select next_seq - 1 from sessions where session_id = %s", [run["session_id"]]
            ).fetchone()
        assert row is not None
        return int(str(row[0]))

    async with following([client]):
        for crash in range(1, CRASHES + 1):
            await until(lambda: client.cursor > 10, "the client sees events")
            old = stack.pid("postgres")
            client.arm(client.cursor + 20)
            await until(
                lambda n=crash: len(client.seen_at_death) == n, "the client strikes", within_s=20
            )
            await until(lambda old=old: _pid(stack) not in (None, old), "Postgres is back")
            survived = await asyncio.to_thread(head)
            assert survived >= client.seen_at_death[-1], "seen by a client, and lost"
            mark = client.cursor
            await until(
                lambda mark=mark: client.cursor > mark + 10, "the run goes on", within_s=RECOVERY_S
            )
        await asyncio.to_thread(cancel, stack, run["run_id"])
        await until(lambda: client.statuses[-1:] == [204], "the run ends", within_s=60)

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    assert b'"type":"run.cancelled"' in history[-1]
    assert client.frames.events == history
    assert not [frame for frame in client.frames.control if b"event: reset" in frame]


def _pid(stack: Stack) -> Any:
    return stack.processes()["postgres"]["pid"]


async def test_a_session_whose_row_is_locked_waits_and_goes_on(stack: Stack) -> None:
    """Appends run into the lock's timeout: their outcome is looked up, their events wait in order."""
    run = stack.start("ticker", {"events": 400, "interval_ms": 20})
    client = Client(stack.gateways, f"/v1/runs/{run['run_id']}/stream")

    def lock_for(seconds: float) -> tuple[int, int]:
        with connected(stack) as connection, connection.transaction():
            row = connection.execute(
                "select id, next_seq - 1 from sessions where session_id = %s for update",
                [run["session_id"]],
            ).fetchone()
            assert row is not None
            time.sleep(seconds)
            after = connection.execute(
                "select max(seq) from events where session = %s", [row[0]]
            ).fetchone()
            assert after is not None
            return int(str(row[1])), int(str(after[0]))

    async with following([client]):
        await until(lambda: client.cursor > 10, "the client sees events")
        before, during = await asyncio.to_thread(lock_for, 3.0)
        assert during == before
        await until(lambda: client.cursor > before + 50, "the run goes on", within_s=RECOVERY_S)
        await until(lambda: client.statuses[-1:] == [204], "the run ends", within_s=60)

    history = of_run(stack.history(run["session_id"]), run["run_id"])
    assert client.frames.events == history
    assert sum(b'"type":"message.delta"' in line for line in history) == 400


async def test_a_gateway_without_a_free_connection_refuses_in_time_and_hangs_nobody(
    stack: Stack,
) -> None:
    """Every query waits behind a lock: JSON routes answer 503, streams 200 with when to come back."""
    run = stack.start("ticker", {"events": 10, "interval_ms": 0})
    stack.ended(run["run_id"])
    url, session = stack.gateways[1], run["session_id"]
    slow = httpx2.Timeout(12)

    with locked(stack):
        begun = time.monotonic()
        async with httpx2.AsyncClient(timeout=slow) as http:
            answers = await asyncio.gather(
                *(http.get(f"{url}/v1/sessions/{session}") for _ in range(20)),
                *(http.get(f"{url}/v1/runs/{run['run_id']}") for _ in range(20)),
                http.post(f"{url}/v1/runs", json={"workflow": "ticker", "input": {}}),
            )
            streams = await asyncio.gather(
                *(http.get(f"{url}/v1/sessions/{session}/stream") for _ in range(20)),
                *(http.get(f"{url}/v1/runs/{run['run_id']}/stream") for _ in range(20)),
            )
            # Nothing of it is a question to Postgres.
            alive = await http.get(f"{url}/livez")
            ready = await http.get(f"{url}/readyz")
        took = time.monotonic() - begun

    assert {answer.status_code for answer in answers} == {503}
    for answer in answers:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "store-unavailable"
        assert int(answer.headers["retry-after"]) >= 1
    assert {stream.status_code for stream in streams} == {200}
    for stream in streams:
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.text.startswith("retry: ")
        assert stream.text.count("\n\n") == 1
    assert alive.status_code == 200
    assert ready.status_code == 200
    # Two waves of at most 2 s for a connection and 2 s for the lock.
    assert took < 11

    async with httpx2.AsyncClient(timeout=slow) as http:
        answer = await http.get(f"{url}/v1/sessions/{session}")
    assert answer.status_code == 200
    assert json.loads(answer.content)["session_id"] == session
