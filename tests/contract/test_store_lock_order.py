"""Statements over many sessions lock them in one order, so that two of them never wait for each other in a circle."""

import asyncio

import asyncpg
import pytest

from holdfast.events.store import Store
from tests.factories import owned_session

pytestmark = pytest.mark.postgres

# The statement under test waits for a row that we hold; it got so far within this.
WAITS_WITHIN_S = 5.0


async def test_noting_what_is_published_locks_sessions_in_key_order(
    postgres_store: Store, database_url: str
) -> None:
    """While it waits for the lower session it holds nothing of the higher one, whatever order it was told in."""
    one, two = [await owned_session(postgres_store, name) for name in ("one", "two")]
    low, high = sorted((one.session, two.session))
    other = await asyncpg.connect(database_url)
    try:
        # A scan meets rows as they lie in the table: now the lower one lies behind the higher.
        await other.execute("update sessions set metadata = metadata where id = $1", low)
        async with other.transaction():
            await other.execute("select from sessions where id = $1 for update", low)
            noting = asyncio.create_task(
                postgres_store.claims.mark_published({high: 1, low: 1}), name="noting"
            )
            async with asyncio.timeout(WAITS_WITHIN_S):
                while not await other.fetchval("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110 - somebody else waits
                    await asyncio.sleep(0.01)

            await other.execute("select from sessions where id = $1 for update nowait", high)
        await noting
    finally:
        await other.close()
