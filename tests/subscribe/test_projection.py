"""A read model is its log, however often whatever makes it is killed."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from holdfast.events.catalog import AgentCompleted, AgentFailed, ErrorInfo
from holdfast.events.pool_postgres import Connection
from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.projection import rebuild
from holdfast.subscribe.run_statistics import AgentStatistics, RunStatistics, read_statistics
from tests.factories import Owner
from tests.subscribe.worlds import PostgresWorld, until

pytestmark = pytest.mark.postgres

KILLS = 100
PROCESS_KILLS = 4
AGENTS = ("planner", "writer", "critic")


def turn(agent: str, duration_ms: int, *, failed: bool = False) -> AgentCompleted | AgentFailed:
    """An agent's turn that is over."""
    if failed:
        error = ErrorInfo(code="tool-error", message="no")
        return AgentFailed(name=agent, duration_ms=duration_ms, error=error)
    return AgentCompleted(name=agent, duration_ms=duration_ms)


async def write(owners: Sequence[Owner], chance: random.Random, events: int) -> None:
    """Record turns, in commits of different sizes."""
    left = events
    while left:
        n = min(left, chance.randint(1, 5))
        await chance.choice(owners).append(
            *(
                turn(chance.choice(AGENTS), chance.randint(0, 9999), failed=chance.random() < 0.2)
                for _ in range(n)
            )
        )
        left -= n


async def test_it_counts_what_agents_did(postgres_world: PostgresWorld) -> None:
    world = postgres_world
    one = await world.session("one")
    await one.append(turn("a", 10), turn("a", 30), turn("b", 5, failed=True), turn("a", 20))
    projector = world.projector(RunStatistics())
    task = asyncio.create_task(projector.run())

    await until(lambda: _caught_up(world))
    projector.stop()
    await task

    assert await read_statistics(world.pool) == [
        AgentStatistics("acme", "a", 3, 0, 10, 20.0, 30),
        AgentStatistics("acme", "b", 1, 1, 5, 5.0, 5),
    ]


async def test_killed_a_hundred_times_it_equals_one_rebuilt_from_zero(
    postgres_world: PostgresWorld,
) -> None:
    world, chance = postgres_world, random.Random(11)
    owners = [await world.session(f"s{n}") for n in range(4)]
    writing = asyncio.create_task(write(owners, chance, 3000))
    kills = 0
    while kills < KILLS:
        task = asyncio.create_task(world.projector(RunStatistics(), owner="p").run())
        # At any await: between statements, in the middle of one, right before or after the commit.
        await asyncio.sleep(chance.random() * 0.03)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        kills += 1
    await writing
    survived = await _finish(world)

    await rebuild(RunStatistics(), world.subscriptions)
    assert await read_statistics(world.pool) == []
    rebuilt = await _finish(world)

    assert survived == rebuilt
    assert sum(row.count for row in rebuilt) == 3000


async def test_killed_as_a_process_it_equals_one_rebuilt_from_zero(
    postgres_world: PostgresWorld, tmp_path: Path
) -> None:
    """kill -9 of a real `holdfast subscribe`, while it projects."""
    world, chance = postgres_world, random.Random(5)
    owners = [await world.session(f"s{n}") for n in range(3)]
    written = 0
    for _ in range(PROCESS_KILLS):
        process = _subscriber(world.url)
        try:
            await write(owners, chance, 200)
            written += 200
            await until(lambda: _some_progress(world))
            await asyncio.sleep(chance.random() * 0.1)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    survived = await _finish(world)

    await rebuild(RunStatistics(), world.subscriptions)
    rebuilt = await _finish(world)

    assert survived == rebuilt
    assert sum(row.count for row in rebuilt) == written


async def test_one_that_fails_stands_still_says_why_and_goes_on(
    postgres_world: PostgresWorld,
) -> None:
    """A hole in a read model would be a lie that nobody sees."""
    world = postgres_world
    one = await world.session("one")
    await one.append(*(turn("a", 1) for _ in range(5)))
    broken = True

    class Fragile(RunStatistics):
        async def apply(self, connection: Connection, events: Sequence[Delivery]) -> None:
            if broken and any(e.seq == 4 for e in events):
                raise RuntimeError("cannot read this")
            await super().apply(connection, events)

    task = asyncio.create_task(world.projector(Fragile()).run())
    await until(lambda: _error(world))
    [info] = await world.subscriptions.all()
    assert info.error == ("RuntimeError: cannot read this at agent.completed, session 'one', seq 4")
    assert [row.count for row in await read_statistics(world.pool)] == [2]

    broken = False
    await until(lambda: _caught_up(world))
    task.cancel()
    await asyncio.wait([task])
    assert [row.count for row in await read_statistics(world.pool)] == [5]


def _subscriber(url: str) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "HOLDFAST_DATABASE_URL": url,
        "HOLDFAST_SUBSCRIBERS": "holdfast.subscribe.run_statistics",
        "HOLDFAST_LEASE_S": "1",
        "HOLDFAST_POLL_S": "0.05",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "holdfast.subscribe"], env=environment, stdout=subprocess.DEVNULL
    )


async def _finish(world: PostgresWorld) -> list[AgentStatistics]:
    projector = world.projector(RunStatistics(), owner="p")
    task = asyncio.create_task(projector.run())
    await until(lambda: _caught_up(world))
    projector.stop()
    await task
    return await read_statistics(world.pool)


async def _caught_up(world: PostgresWorld) -> bool:
    infos = await world.subscriptions.all()
    return bool(infos) and all(info.lag == 0 for info in infos)


async def _some_progress(world: PostgresWorld) -> bool:
    return any(info.owner for info in await world.subscriptions.all())


async def _error(world: PostgresWorld) -> bool:
    return any(info.error for info in await world.subscriptions.all())
