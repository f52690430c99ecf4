"""Two hundred clients follow twenty running sessions while everything under them is killed, one after the other.

No client may see a gap or a repetition at any time; in the end each has exactly the bytes of the log.
"""

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.e2e.stack import Stack
from tests.faults.breaking import (
    THOROUGH,
    connected,
    fault_marks,
    logged,
    restarted,
    stack_of,
    until,
)
from tests.faults.swarm import Client, following, of_run, until_beyond

pytestmark = [*fault_marks, pytest.mark.long, pytest.mark.timeout(1200 if THOROUGH else 240)]

SESSIONS = 20
CLIENTS_EACH = 10

# 20 sessions × 8 events/s × 10 clients = 1,600 frames/s, a third of a core here and as much in the gateways.
INTERVAL_MS = 125

# Nine faults at some four seconds each. The test fails if the runs end before the last fault.
ROUNDS = 10 if THOROUGH else 1
EVENTS = 256 * ROUNDS

# A takeover (lease 3 s, plus 2 s), a restart of what was killed and a catch-up, on a busy machine.
RECOVERY_S = 30.0


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with stack_of("--gateways", "2", "--orchestrators", "2") as stack:
        yield stack


async def kill_a_gateway(stack: Stack) -> None:
    await restarted(stack, "gateway-2")


async def kill_redis(stack: Stack) -> None:
    await restarted(stack, "redis")


async def flush_redis(stack: Stack) -> None:
    await asyncio.to_thread(stack.redis, "FLUSHALL")


async def delete_one_window(stack: Stack) -> None:
    assert await asyncio.to_thread(lambda: stack.redis("DEL", stack.windows()[0])) == 1


async def trim_one_window(stack: Stack) -> None:
    await asyncio.to_thread(lambda: stack.redis("XTRIM", stack.windows()[1], "MAXLEN", 0))


async def crash_postgres(stack: Stack) -> None:
    """As `pg_ctl stop -m immediate`: no checkpoint, recovery from the WAL."""
    await restarted(stack, "postgres", signal.SIGQUIT)


async def kill_postgres(stack: Stack) -> None:
    await restarted(stack, "postgres", signal.SIGKILL)


async def kill_the_writing_backend(stack: Stack) -> None:
    def terminate() -> int:
        with connected(stack) as connection:
            return connection.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where application_name like 'holdfast-worker%' order by state_change desc limit 1"
            ).rowcount

    assert await asyncio.to_thread(terminate) == 1


async def kill_an_orchestrator(stack: Stack) -> None:
    await restarted(stack, "orchestrator-1")


FAULTS: list[Callable[[Stack], Awaitable[None]]] = [
    kill_a_gateway,
    flush_redis,
    kill_an_orchestrator,
    kill_redis,
    delete_one_window,
    crash_postgres,
    trim_one_window,
    kill_the_writing_backend,
    kill_postgres,
]


async def test_no_client_sees_a_gap_or_a_repetition_whatever_is_killed_under_it(
    stack: Stack,
) -> None:
    runs = [
        stack.start("ticker", {"events": EVENTS, "interval_ms": INTERVAL_MS})
        for _ in range(SESSIONS)
    ]
    clients = [
        Client(stack.gateways, f"/v1/runs/{run['run_id']}/stream", first=n)
        for run, n in itertools.product(runs, range(CLIENTS_EACH))
    ]

    def heads() -> dict[str, int]:
        with connected(stack) as connection:
            rows = connection.execute("select session_id, next_seq - 1 from sessions").fetchall()
        return {str(session): int(str(head)) for session, head in rows}

    async def recovered() -> None:
        """Every run goes on, and every client sees it."""
        before = await asyncio.to_thread(heads)

        def all_went_on() -> bool:
            now = heads()
            return all(now[run["session_id"]] > before[run["session_id"]] + 1 for run in runs)

        await until(all_went_on, "all runs go on", within_s=RECOVERY_S)
        now = await asyncio.to_thread(heads)
        wanted = [now[run["session_id"]] for run in runs for _ in range(CLIENTS_EACH)]
        await until_beyond(clients, wanted, within_s=RECOVERY_S)

    async with following(clients):
        await recovered()
        for fault in FAULTS * ROUNDS:
            begun = time.monotonic()
            await fault(stack)
            await recovered()
            print(f"{fault.__name__}: all well after {time.monotonic() - begun:.1f} s")
        ended = [stack.get(f"/v1/runs/{run['run_id']}")["status"] for run in runs]
        assert ended == ["running"] * SESSIONS, "the faults came after the end: raise EVENTS"
        await until(
            lambda: all(client.statuses[-1:] == [204] for client in clients),
            "every client is told that there is no more",
            within_s=EVENTS * INTERVAL_MS / 1000 * 1.5,
        )

    for i, run in enumerate(runs):
        history = of_run(stack.history(run["session_id"]), run["run_id"])
        assert stack.get(f"/v1/runs/{run['run_id']}")["status"] == "completed"
        assert sum(b'"type":"message.delta"' in line for line in history) == EVENTS
        assert sum(b'"type":"run.completed"' in line for line in history) == 1
        for client in clients[i * CLIENTS_EACH : (i + 1) * CLIENTS_EACH]:
            assert client.frames.events == history
            assert not [frame for frame in client.frames.control if b"event: reset" in frame]
    # Each of these would be missing if a fault had done no harm.
    assert all(client.connections >= 2 for client in clients)
    workers = ("orchestrator-1", "orchestrator-2")
    for fact in ("publish.failed", "publish.rebased", "append.resolved"):
        assert any(logged(stack, worker, fact) for worker in workers), fact
    claims = [line for worker in workers for line in logged(stack, worker, "session.claimed")]
    assert any('"taken_over": true' in line for line in claims)
