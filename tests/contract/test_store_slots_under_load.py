"""Many workers at once on a real Postgres: limits are kept at every moment, and nothing is left behind."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import asyncpg
import pytest

from holdfast.events.commands import CommandState
from holdfast.events.store import (
    CommandDone,
    Effect,
    Run,
    RunChange,
    RunStatus,
    Store,
    WorkflowInfo,
)
from holdfast.events.store_postgres import open_store
from tests.factories import Owner, ask_run, claim_all, delta

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(180)]

WORKERS = 8
LEASE_S = 1.5
DIES = 0.05
RUNS = 72
LIMITS = {"one": 1, "four": 4, "any": None}
TENANTS = {"acme": 5, "other": 5}
TENANT_MAX = 5

AT_WORK = """
with at_work as (
    select r.workflow, s.tenant from runs r join sessions s on s.id = r.session
     where r.status = 'running'
        or (r.status in ('queued', 'waiting') and r.slot_epoch > 0 and r.slot_epoch = s.epoch and s.owner is not null))
select workflow as name, count(*) from at_work group by workflow
union all select tenant, count(*) from at_work group by tenant
"""


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[Store]]:
    """A store for each worker: connections of their own, as processes have."""
    async with AsyncExitStack() as stack:
        opened: list[Store] = []
        for _ in range(WORKERS):
            store = await open_store(database_url, pool_max=3)
            stack.push_async_callback(store.close)
            opened.append(store)
        yield opened


class Gauge:
    """Who holds a slot, as the workers themselves know: from before it is used until before it is given back."""

    def __init__(self) -> None:
        self._holders: dict[str, tuple[str, str]] = {}
        self.most: Counter[str] = Counter()
        self.ended: set[str] = set()

    def begin(self, run: Run) -> None:
        self._holders[run.run_id] = (run.workflow, run.tenant)
        for name, count in Counter(n for names in self._holders.values() for n in names).items():
            self.most[name] = max(self.most[name], count)

    def end(self, run: Run) -> None:
        del self._holders[run.run_id]


async def work(worker: str, store: Store, gauge: Gauge, chance: random.Random) -> None:
    """Claim, run, wait now and then, die now and then, until everything has ended."""
    infos = [
        WorkflowInfo(name=name, version="1", input_schema=None, max_concurrent=most)
        for name, most in LIMITS.items()
    ]
    await store.registry.announce(worker, [replace(i, tenant_max_runs=TENANT_MAX) for i in infos])
    while len(gauge.ended) < RUNS:
        taken = await claim_all(store, worker, workflows=list(LIMITS), lease_s=LEASE_S, limit=4)
        await asyncio.gather(
            *(serve(Owner.of(store, worker, c), c.slot, gauge, chance) for c in taken)
        )
        await asyncio.sleep(chance.random() * 0.02)


async def serve(owner: Owner, slot: str | None, gauge: Gauge, chance: random.Random) -> None:
    """Do what there is to do in one session; the slot of one who dies, or is late, passes on with the session."""
    if not await said(owner):
        return
    for run in await owner.store.claims.open_runs(owner.session):
        if run.status is not RunStatus.RUNNING:
            if run.run_id != slot:
                continue
            gauge.begin(run)
            if chance.random() < DIES or not await said(owner, run, RunStatus.RUNNING):
                return
        await asyncio.sleep(chance.random() * 0.03)
        fate = chance.random()
        if fate < DIES:
            return
        gauge.end(run)
        waits = fate < DIES + 0.2
        status = RunStatus.WAITING if waits else RunStatus.COMPLETED
        if not await said(owner, run, status, due_in_s=0.02):
            gauge.begin(run)
            return
        if not waits:
            gauge.ended.add(run.run_id)
    await owner.release()


async def said(
    owner: Owner, run: Run | None = None, status: RunStatus | None = None, **changes: float
) -> bool:
    """Settle the session's commands, or change the run's row; False for an owner that was too late."""
    effects: list[Effect] = [
        CommandDone(command.command_id, CommandState.ACCEPTED) for command in await owner.pending()
    ]
    if run is not None and status is not None:
        effects.append(replace(RunChange(run_id=run.run_id, status=status), **changes))
    batch = owner.batch(delta(), effects=effects)
    refused = await owner.store.writer.append([batch])
    owner.head += 0 if refused else 1
    return not refused


async def watch(database_url: str, gauge: Gauge, seen: Counter[str]) -> None:
    """Count in the database, too, what is at work at one moment."""
    connection = await asyncpg.connect(database_url)
    try:
        while len(gauge.ended) < RUNS:
            for row in await connection.fetch(AT_WORK):
                seen[row["name"]] = max(seen[row["name"]], row["count"])
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_workers_that_claim_at_once_never_go_over_a_limit_and_finish_everything(
    stores: list[Store], database_url: str
) -> None:
    chance = random.Random(7)
    for n in range(RUNS):
        await ask_run(
            stores[0],
            None,
            tenant=list(TENANTS)[n % 2],
            workflow=list(LIMITS)[n % 3],
            priority=chance.randint(-100, 100),
        )
    gauge, seen = Gauge(), Counter[str]()

    async with asyncio.TaskGroup() as group:
        group.create_task(watch(database_url, gauge, seen))
        for n, store in enumerate(stores):
            group.create_task(work(f"w{n}", store, gauge, random.Random(n)))

    for counted in (gauge.most, seen):
        assert counted["one"] == 1
        assert 2 <= counted["four"] <= 4
        for tenant, most in TENANTS.items():
            assert 3 <= counted[tenant] <= most
