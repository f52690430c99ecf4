"""Who appends in the append load, each as a program: `python -m bench.writing.appenders WHO DATABASE_URL REDIS_URL …`.

    each       a commit for every event, over a pool of ten connections
    bare       the bare group commit: what came during the last commit goes with the next; one connection, no Holdfast
    holdfast   a whole worker, with one run for each producer

All of them write the same rows into the same table. Each prints one line of JSON.
"""

import argparse
import asyncio
import cProfile
import json
import random
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any

import asyncpg
import uvloop
from pydantic import SecretStr

from bench.writing.rows import INSERT_MANY, INSERT_ONE, Author, Row, authors
from bench.writing.waits import Waits
from holdfast.events.logs import configure_logging

# What an application would give its database; also Holdfast's own order of magnitude.
POOL = 10

# As many as Holdfast's recorder takes.
BATCH_MAX = 400

PRODUCE = Path(__file__).with_name("produce.py")


async def each(asked: argparse.Namespace) -> dict[str, Any]:
    """Append with a commit for every event."""
    pool = await asyncpg.create_pool(asked.database_url, min_size=POOL, max_size=POOL)

    async def append(row: Row) -> None:
        async with pool.acquire() as connection:
            await connection.execute(INSERT_ONE, *row)

    try:
        return await _produce(asked, append)
    finally:
        await pool.close()


async def bare(asked: argparse.Namespace) -> dict[str, Any]:
    """Append by group commit."""
    connection = await asyncpg.connect(asked.database_url)
    statement = await connection.prepare(INSERT_MANY)
    pending: list[tuple[Row, asyncio.Future[None]]] = []
    news = asyncio.Event()
    loop = asyncio.get_running_loop()

    def append(row: Row) -> asyncio.Future[None]:
        done = loop.create_future()
        pending.append((row, done))
        news.set()
        return done

    async def commit() -> None:
        while True:
            await news.wait()
            while pending:
                taken = pending[:BATCH_MAX]
                del pending[:BATCH_MAX]
                await statement.fetch(*map(list, zip(*(row for row, _ in taken), strict=True)))
                for _, done in taken:
                    done.set_result(None)
            news.clear()

    committing = asyncio.create_task(commit())
    try:
        return await _produce(asked, append)
    finally:
        committing.cancel()
        await connection.close()


async def _produce(asked: argparse.Namespace, append: Callable[[Row], Any]) -> dict[str, Any]:
    writers = await authors(asked.database_url, asked.producers)
    waits: list[float] = []
    began, cpu = time.monotonic(), time.process_time()
    stop_at = began + asked.seconds

    async def produce(author: Author) -> None:
        while (now := time.monotonic()) < stop_at:
            await append(author.row())
            waits.append(time.monotonic() - now)

    await asyncio.gather(*map(produce, writers))
    took, cpu = time.monotonic() - began, time.process_time() - cpu
    return _said([one.session for one in writers], waits, took, cpu)


async def holdfast(asked: argparse.Namespace) -> dict[str, Any]:
    """Append as a workflow's code does: through a worker that owns all the sessions."""
    # Here, since the peers pay for nothing of it.
    from bench.writing import produce
    from holdfast.events.store import RunRequest
    from holdfast.events.store_postgres import open_store
    from holdfast.orchestrator import heap
    from holdfast.orchestrator.app import open_orchestrator
    from holdfast.orchestrator.settings import OrchestratorSettings

    gathering = produce.gathering
    gathering.expected, gathering.stop_at = asked.producers, float("inf")
    settings = OrchestratorSettings(
        database_url=SecretStr(asked.database_url),
        redis_url=SecretStr(asked.redis_url),
        workflows=("bench.writing.produce",),
        sessions_max=2 * asked.producers,
        ops_port=None,
    )
    async with open_orchestrator(settings) as orchestrator:
        heap.settle()  # as `serve` does
        working = asyncio.create_task(orchestrator.run())
        store = await open_store(asked.database_url, pool_max=2, application_name="bench")
        try:
            tickets = [
                await store.desk.start("bench", None, RunRequest(workflow="produce", input={}))
                for _ in range(asked.producers)
            ]
            await gathering.all_here.wait()
            gathering.waits.clear()
            began, cpu = time.monotonic(), time.process_time()
            profile = cProfile.Profile()
            if asked.profile:
                profile.enable()
            await asyncio.sleep(asked.seconds)
            # Before the runs end: how much that takes is another load's question.
            gathering.stop_at = time.monotonic()
            took, cpu = gathering.stop_at - began, time.process_time() - cpu
            waits = list(gathering.waits)
            if asked.profile:
                profile.disable()
                profile.dump_stats(asked.profile)
            while orchestrator.worker.owned:  # noqa: ASYNC110 - a worker tells nobody
                await asyncio.sleep(0.02)
        finally:
            await store.close()
            orchestrator.drain()
            await working
    return _said([ticket.session for ticket in tickets], waits, took, cpu)


def _said(sessions: list[int], waits: list[float], took: float, cpu: float) -> dict[str, Any]:
    return {
        "sessions": sessions,
        "events": len(waits),
        "seconds": took,
        "cpu_s": cpu,
        **asdict(Waits.of(waits)),
    }


_KINDS: dict[str, Callable[[argparse.Namespace], Coroutine[Any, Any, dict[str, Any]]]] = {
    "each": each,
    "bare": bare,
    "holdfast": holdfast,
}


def main() -> None:
    """Append, and say how it went."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("who", choices=_KINDS)
    parser.add_argument("database_url")
    parser.add_argument("redis_url")
    parser.add_argument("--producers", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--profile", help="write cProfile's findings of a worker there")
    asked = parser.parse_args()
    configure_logging("warning", console=False)
    random.seed()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(_KINDS[asked.who](asked))))


if __name__ == "__main__":
    main()
