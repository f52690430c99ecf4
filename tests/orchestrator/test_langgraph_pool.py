"""The connections that all graphs of a worker save their checkpoints over."""

# pyright: reportPrivateUsage=false

import asyncio

import pytest

from holdfast.orchestrator.executors.langgraph_saver import (
    CHECKPOINT_CONNECTIONS,
    Pool,
    checkpoint_pool,
)

pytestmark = [pytest.mark.postgres]

WITHIN_S = 10.0


async def test_a_graph_that_is_cancelled_twice_gives_its_connection_back_all_the_same(
    database_url: str,
) -> None:
    """A cancel goes through a graph's tasks several times; the second one may come as a connection is given back."""

    async def use(pool: Pool, taken: asyncio.Event) -> None:
        async with pool.connection():
            taken.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(WITHIN_S), checkpoint_pool(database_url) as pool:
        for _ in range(CHECKPOINT_CONNECTIONS):
            taken = asyncio.Event()
            graph = asyncio.create_task(use(pool, taken))
            await taken.wait()
            async with pool._lock:  # somebody else is given one
                graph.cancel()
                for _ in range(10):
                    await asyncio.sleep(0)
                graph.cancel()
                await asyncio.wait([graph])

        async with pool.connection(timeout=WITHIN_S / 2) as connection:
            await connection.execute("select 1")
