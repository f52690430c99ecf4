"""Many workers that start at once on a new database get in each other's way nowhere."""

import asyncio

import pytest

from holdfast.events.erasure_postgres import CHECKPOINT_SCHEMA
from holdfast.orchestrator.executors.langgraph_saver import checkpoint_pool

pytestmark = [pytest.mark.fault, pytest.mark.postgres]

WORKERS = 4


async def test_workers_that_set_up_the_checkpoints_at_once_all_succeed(database_url: str) -> None:
    """Indexes are built concurrently there: that waits for every statement of the database, also for one that waits."""

    async def start() -> int:
        async with checkpoint_pool(database_url) as pool, pool.connection() as connection:
            found = await connection.execute(
                "select 1 from information_schema.tables"
                " where table_schema = %s and table_name = 'checkpoints'",
                (CHECKPOINT_SCHEMA,),
            )
            return len(await found.fetchall())

    assert await asyncio.gather(*(start() for _ in range(WORKERS))) == [1] * WORKERS
