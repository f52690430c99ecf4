"""What a gateway's life hangs on has connections of its own: a storm of clients can take all of the others."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from holdfast.events.pool_postgres import ACQUIRE_TIMEOUT_S, GATEWAY_CONNECTIONS, GATEWAY_RESERVED
from holdfast.events.store import Store
from holdfast.events.store_postgres import PostgresStore, open_store
from tests.factories import owned_session

pytestmark = pytest.mark.postgres

# A second of hundred clients' questions, while nobody gets an answer.
CROWD = 100


@pytest.fixture
async def gateways(database_url: str) -> AsyncIterator[PostgresStore]:
    """The store as a gateway opens it."""
    store = await open_store(database_url, pool_max=GATEWAY_CONNECTIONS, reserved=GATEWAY_RESERVED)
    yield store
    await store.close()


async def test_pulses_and_health_are_answered_while_a_crowd_has_every_other_connection(
    gateways: PostgresStore, postgres_store: Store, database_url: str
):
    owner = await owned_session(postgres_store, "s")
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            # What the crowd asks for waits for this: the worst that a storm can be.
            await other.execute("lock table workflows in access exclusive mode")
            crowd = [asyncio.create_task(gateways.registry.workflows()) for _ in range(CROWD)]
            async with asyncio.timeout(10):
                while gateways.connections < GATEWAY_CONNECTIONS - GATEWAY_RESERVED:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            async with asyncio.timeout(ACQUIRE_TIMEOUT_S / 2):
                health = await gateways.health()
                pulses = await gateways.reader.pulses([owner.session])
            assert not any(task.done() for task in crowd)
            for task in crowd:
                task.cancel()
            await asyncio.gather(*crowd, return_exceptions=True)
    finally:
        await other.close()

    assert health.version
    assert pulses[owner.session].head == owner.head
    assert gateways.connections <= GATEWAY_CONNECTIONS
