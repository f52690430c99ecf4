"""What a subscription writes never stands in the way of those who write the log."""

import asyncio

import pytest

from holdfast.subscribe.store import Failure, Progress
from holdfast.subscribe.subscription import Start
from tests.factories import delta
from tests.subscribe.worlds import PostgresWorld

pytestmark = pytest.mark.postgres


async def test_parking_events_waits_for_no_writer(postgres_world: PostgresWorld) -> None:
    world = postgres_world
    a, b = await world.session("a", 2), await world.session("b", 2)
    hold = await world.subscriptions.acquire("s", "me", lease_s=10, start=Start.BEGINNING)
    assert hold is not None
    failed = [Failure(owner.session, 2, 1, 1.0, "x") for owner in (b, a)]

    async with world.pool.acquire() as connection, connection.transaction():
        await connection.fetch("select from sessions where id = $1 for update", a.session)
        async with asyncio.timeout(5):
            await world.subscriptions.save(hold, Progress(failed=failed), lease_s=10)

    assert (await world.subscriptions.waiting(hold, ordered=True, limit=9)).total == 2


async def test_a_subscriber_that_is_frozen_while_it_saves_holds_up_no_writer(
    postgres_world: PostgresWorld,
) -> None:
    world = postgres_world
    a = await world.session("a", 2)
    hold = await world.subscriptions.acquire("s", "me", lease_s=10, start=Start.BEGINNING)
    assert hold is not None

    async with world.pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "insert into parked_events (subscription, session, seq) values ('s', $1, 2)", a.session
        )
        await connection.execute(
            "insert into snapshots (session, seq, fold_version, body) values ($1, 2, 1, '')",
            a.session,
        )
        async with asyncio.timeout(5):
            await a.append(delta("goes through"))

    assert len((await world.read()).items) == 4
