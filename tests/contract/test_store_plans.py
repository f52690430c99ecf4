"""What Postgres does for every event, page and connect it plans once: planning takes it longer than doing."""

# pyright: reportPrivateUsage=false

import pytest

from holdfast.events.commands import CommandState
from holdfast.events.pool_postgres import acquired
from holdfast.events.store import CommandDone, Quiet, RunChange, RunStatus, StepResult, Stretch
from holdfast.events.store_postgres import PostgresStore, open_store
from tests.factories import TENANT, ask_run, claim_one, delta, owned_session, running
from tests.past import give_past

pytestmark = pytest.mark.postgres

# Postgres makes a plan for the very arguments five times before it compares what that brings.
COMPARED_AFTER = 5
TIMES = 30


async def planned_anew(store: PostgresStore) -> dict[str, int]:
    """Return how often each statement was planned for the arguments of one call, by how it begins."""
    async with acquired(store._pool) as connection:
        rows = await connection.fetch(
            "select statement, custom_plans from pg_prepared_statements where custom_plans > $1",
            COMPARED_AFTER,
        )
    return {row["statement"][:200]: row["custom_plans"] for row in rows}


async def test_nothing_that_is_done_all_the_time_is_planned_each_time(database_url: str):
    await give_past(database_url)
    store = await open_store(database_url, pool_max=1)
    try:
        owner = await owned_session(store)
        run_id = await running(owner)
        for n in range(TIMES):
            await owner.append(delta())
            await owner.append(delta(), effects=[StepResult(run_id, f"step-{n}", b"1")])
            await store.reader.read(owner.session, after=0, limit=5)
            await store.reader.lines([Stretch(owner.session, 0, 5)], without=())
            await store.reader.pulses([owner.session])
            await store.reader.changes([Quiet(owner.session, 1, 0)])
            await store.desk.locate([(TENANT, owner.session_id)])
            await store.desk.session(TENANT, owner.session_id)
            await store.claims.look(owner.session)
            await store.claims.renew("w1", {owner.session: owner.epoch}, lease_s=10)
        await owner.change(run_id, RunStatus.COMPLETED)
        for _ in range(TIMES):
            await owner.release()
            await store.claims.mark_published({owner.session: owner.head})
            await ask_run(store, owner.session_id)
            owner = await claim_one(store)
            [command] = await owner.pending()
            assert command.run_id is not None
            done = CommandDone(command.command_id, CommandState.ACCEPTED)
            ended = RunChange(run_id=command.run_id, status=RunStatus.COMPLETED)
            await owner.append(delta(), effects=[done, ended])

        assert await planned_anew(store) == {}
    finally:
        await store.close()
