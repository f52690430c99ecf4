"""What Postgres does for every event, page and connect it plans once: planning takes it longer than doing."""

# pyright: reportPrivateUsage=false

import json
from collections.abc import Iterator
from typing import Any

import asyncpg
import pytest

from holdfast.events.claims_postgres import _PUBLISHED, _RELEASE, _RENEW
from holdfast.events.commands import CommandState
from holdfast.events.kinds import TypeFilter
from holdfast.events.pool_postgres import acquired
from holdfast.events.store import CommandDone, Quiet, RunChange, RunStatus, StepResult, Stretch
from holdfast.events.store_postgres import PostgresStore, open_store
from tests.factories import TENANT, ask_run, claim_one, delta, owned_session, running
from tests.past import give_past

pytestmark = pytest.mark.postgres

# Postgres makes a plan for the very arguments five times before it compares what that brings.
COMPARED_AFTER = 5
TIMES = 30

# Sessions in one call.
MANY = 1_000

TYPES = TypeFilter(["message.delta", "tool.*"])


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
            await store.reader.read(
                owner.session, after=0, types=TYPES, run_ids=frozenset([run_id])
            )
            await store.reader.read(owner.session, after=0, types=TYPES)
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


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        (_RENEW, "'w', {sessions}, {ones}, 60"),
        (_RELEASE, "{sessions}, {ones}, {ones}"),
        (_PUBLISHED, "{sessions}, {ones}"),
    ],
    ids=["renew", "release", "mark_published"],
)
async def test_a_thousand_sessions_take_a_thousand_looks(
    database_url: str, statement: str, arguments: str
):
    """Not each of them one at each other, while rows are locked: a worker may own thousands."""
    await give_past(database_url)
    sessions = f"'{{{','.join(map(str, range(1, MANY + 1)))}}}'"
    given = arguments.format(sessions=sessions, ones=f"array_fill(1::bigint, array[{MANY}])")
    connection = await asyncpg.connect(database_url)
    try:
        await connection.execute(
            "update sessions set owner = 'w', epoch = 1, lease_until = now() + interval '1 minute'"
        )
        await connection.execute("set plan_cache_mode = force_generic_plan")
        await connection.execute(f"prepare many as {statement}")
        said = await connection.fetchval(f"explain (analyze, format json) execute many ({given})")
    finally:
        await connection.close()

    assert sum(looks_in_vain(json.loads(said)[0]["Plan"])) <= MANY


def looks_in_vain(node: dict[str, Any]) -> Iterator[int]:
    """Yield how many pairs of rows each join of a plan looked at and did not want."""
    yield node.get("Rows Removed by Join Filter", 0) * node["Actual Loops"]
    for below in node.get("Plans", ()):
        yield from looks_in_vain(below)
