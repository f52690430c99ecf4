"""What only the store in memory promises; the rest is in `tests/contract`."""

import asyncio
import random

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.ids import seeded_uuid7
from holdfast.events.store import WORKER_SEEN_S, RunStatus, WorkflowInfo
from holdfast.events.store_memory import MemoryStore
from tests.factories import TENANT, ask_run, claim_all, delta, in_run, owned_session, running

LEASE_S = 15
TEAM = WorkflowInfo(name="team", version="1", input_schema=None)


async def test_after_a_restart_owners_have_one_lease_to_come_back_in():
    """Their leases ran out while the database was away; that is no reason to take everything over."""
    clock = ManualClock()
    store = MemoryStore(clock)
    owner = await owned_session(store, lease_s=LEASE_S)
    await running(owner)
    await clock.advance(60)

    store.restarted()
    await clock.advance(LEASE_S - 1)
    assert list(await claim_all(store, "w2", lease_s=LEASE_S)) == []

    await clock.advance(2)
    assert len(await claim_all(store, "w2", lease_s=LEASE_S)) == 1


async def test_after_a_restart_what_nobody_owns_is_claimed_at_once():
    store = MemoryStore(ManualClock())
    store.restarted()
    await store.desk.create_session(TENANT, "s")

    assert len(await claim_all(store, lease_s=LEASE_S)) == 1


async def test_a_worker_that_was_not_seen_lately_is_not_counted():
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.registry.announce("w1", [TEAM])

    await clock.advance(WORKER_SEEN_S - 1)
    assert [w.workers for w in await store.registry.workflows()] == [["w1"]]

    await clock.advance(2)
    assert [w.workers for w in await store.registry.workflows()] == [[]]


async def test_the_same_seed_makes_the_same_names():
    async def names(seed: int) -> tuple[str, str, str]:
        clock = ManualClock()
        store = MemoryStore(clock, make_id=seeded_uuid7(clock, random.Random(seed)))
        ticket = await ask_run(store, None)
        return store.log_id, ticket.session_id, ticket.run_id

    assert await names(1) == await names(1)
    assert await names(1) != await names(2)


async def test_every_call_lets_others_run():
    """A loop around a store that never suspends would freeze its process, and hide its races."""
    store = MemoryStore()
    info = await store.desk.create_session(TENANT, "s")
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(count())
    for _ in range(10):
        await store.reader.read(info.session, after=0)
        await store.claims.pending([info.session])
    counting.cancel()

    assert turns >= 20


async def test_no_caller_holds_a_piece_of_a_row():
    store = MemoryStore()
    given = {"list": [1]}
    owner = await owned_session(store, metadata=given)
    run_id = await running(owner, input=given)
    await owner.change(run_id, RunStatus.WAITING, waiting={"i1": given})
    await owner.append(in_run(delta(), run_id, key="a#0"))
    given["list"].append(2)

    run = await store.desk.run(TENANT, run_id)
    run.input["list"].append(3)
    run.waiting["i1"]["list"].append(3)
    (await store.desk.session(TENANT, "s")).metadata["list"].append(3)
    (await store.reader.read(owner.session, after=0)).items[0].envelope["seq"] = 99

    again = await store.desk.run(TENANT, run_id)
    info = await store.desk.session(TENANT, "s")
    page = await store.reader.read(owner.session, after=0)
    assert again.input == again.waiting["i1"] == info.metadata == {"list": [1]}
    assert page.items[0].envelope["seq"] == 1


async def test_what_is_not_json_fails_and_leaves_nothing_behind():
    store = MemoryStore()

    with pytest.raises(TypeError):
        await ask_run(store, None, input=object())
    with pytest.raises(TypeError):
        await store.desk.create_session(TENANT, "s", metadata={"x": object()})

    assert (await store.desk.sessions(TENANT)).items == []
