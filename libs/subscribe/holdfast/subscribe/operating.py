"""Subscriptions for operators: a connection for the time of one command."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from holdfast.events.log_check_postgres import LogCheck
from holdfast.events.pool_postgres import open_pool
from holdfast.subscribe.store import Subscriptions
from holdfast.subscribe.store_postgres import PostgresSubscriptions


@asynccontextmanager
async def opened(database_url: str) -> AsyncGenerator[Subscriptions]:
    """Connect to where subscriptions stand. Raises StoreUnavailable or MigrationError."""
    pool = await open_pool(
        database_url,
        application_name="holdfast-subscriptions",
        pool_max=1,
        check=LogCheck(),
        lends_out=True,  # to projections that are cleared
    )
    try:
        yield PostgresSubscriptions(pool)
    finally:
        await pool.close()
