"""How many runs may be at work at once: of a workflow and of a tenant, over all workers."""

from dataclasses import replace
from math import inf
from typing import Any

import pytest

from holdfast.events.store import Claim, Hold, RunStatus, Store, WorkflowInfo
from tests.contract.conftest import Passes
from tests.factories import TENANT, Owner, ask_run, claim_all, owned_session, running

# A lease that runs out soon, and surely has.
SHORT_S, SURELY_S = 0.3, 0.4

FREE = WorkflowInfo(name="free", version="1", input_schema=None)


def team(most: int | None, **more: Any) -> WorkflowInfo:
    info = WorkflowInfo(name="team", version="1", input_schema=None, max_concurrent=most)
    return replace(info, **more)


async def waiting_in_line(store: Store, *names: str, tenant: str = TENANT, **request: Any) -> None:
    """Sessions that nobody owns, each with a run that is accepted and not begun."""
    for name in names:
        await store.desk.create_session(tenant, name)
        await ask_run(store, name, tenant=tenant, **request)
    for claim in await claim_all(store, workflows=()):
        owner = Owner.of(store, "w1", claim)
        await owner.settle()
        await owner.release()


async def claims(store: Store, worker: str = "w1", **how: Any) -> dict[str, Claim]:
    how.setdefault("workflows", ("team", "free"))
    return {claim.session_id: claim for claim in await claim_all(store, worker, **how)}


async def at_work(store: Store, claim: Claim, worker: str = "w1") -> Owner:
    """Begin the run that was given its slot."""
    assert claim.slot is not None
    owner = Owner.of(store, worker, claim)
    await owner.change(claim.slot, RunStatus.RUNNING)
    return owner


async def test_no_more_runs_of_a_workflow_are_claimed_than_may_be_at_work(store: Store):
    await store.registry.announce("w1", [team(2), FREE])
    await waiting_in_line(store, "a", "b", "c")
    await waiting_in_line(store, "x", workflow="free")

    first = await claims(store, "w1")

    assert set(first) == {"a", "b", "x"}, "and what is behind the full workflow is not held up"
    assert await claims(store, "w2") == {}
    await at_work(store, first["a"])
    assert await claims(store, "w2") == {}


async def test_a_slot_is_free_when_its_run_ends_or_begins_to_wait(store: Store):
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a", "b", "c")
    [(_, claim)] = (await claims(store)).items()
    owner = await at_work(store, claim)

    await owner.change(str(claim.slot), RunStatus.WAITING, due_in_s=inf)
    second = await claims(store)
    assert list(second) == ["b"]
    heir = await at_work(store, second["b"])
    assert await claims(store) == {}
    await heir.change(str(second["b"].slot), RunStatus.COMPLETED)

    assert list(await claims(store)) == ["c"]


async def test_a_run_that_goes_on_after_a_wait_queues_for_a_slot_again(
    store: Store, passes: Passes
):
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a")
    owner = await at_work(store, (await claims(store))["a"])
    [run] = await store.claims.open_runs(owner.session)
    await owner.change(run.run_id, RunStatus.WAITING, due_in_s=0.01)
    await owner.release()
    await waiting_in_line(store, "b", priority=50)
    await passes(0.02)

    taken = await claims(store)
    assert list(taken) == ["b"], "the run of b is more important, and there is one slot"
    assert await claims(store, "w2") == {}
    assert (await store.desk.run(TENANT, run.run_id)).held_by is Hold.WORKFLOW_LIMIT

    other = await at_work(store, taken["b"])
    await other.change(str(taken["b"].slot), RunStatus.COMPLETED)
    assert (await claims(store, "w2"))["a"].slot == run.run_id


async def test_a_takeover_is_not_held_up_by_its_own_slot(store: Store, passes: Passes):
    """Neither when its run was at work, nor when its owner died between the claim and the beginning."""
    await store.registry.announce("w1", [team(2)])
    await waiting_in_line(store, "a", "b", "c")
    first = await claims(store, lease_s=SHORT_S)
    await at_work(store, first["a"])
    await passes(SURELY_S)

    taken_over = await claims(store, "w2", lease_s=SHORT_S)

    assert set(taken_over) == {"a", "b"}
    assert all(claim.taken_over for claim in taken_over.values())
    assert [c.slot for c in taken_over.values()] == [first[name].slot for name in taken_over]
    assert await claims(store, "w3") == {}


async def test_a_slot_that_was_not_used_is_free_when_its_session_is_given_back(store: Store):
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a", "b")
    [(name, claim)] = (await claims(store)).items()
    assert name == "a"
    await waiting_in_line(store, "urgent", priority=100)
    await Owner.of(store, "w1", claim).release()

    assert list(await claims(store, "w2")) == ["urgent"]


async def test_a_full_tenant_leaves_the_others_their_slots(store: Store):
    info = team(3, tenant_max_runs=2)
    await store.registry.announce("w1", [info, replace(FREE, tenant_max_runs=2)])
    await waiting_in_line(store, "a1", "a2")
    await waiting_in_line(store, "a3", workflow="free")
    await waiting_in_line(store, "b1", "b2", tenant="other")

    first = await claims(store)

    # The first of all has its place with both; what is left is given at the next look.
    found = {**first, **(await claims(store))}
    assert set(found) == {"a1", "a2", "b1"}
    [held] = await store.desk.runs(TENANT, "a3")
    assert (await store.desk.run(TENANT, held.run_id)).held_by is Hold.TENANT_LIMIT
    [held] = await store.desk.runs("other", "b2")
    assert (await store.desk.run("other", held.run_id)).held_by is Hold.WORKFLOW_LIMIT


async def test_a_full_tenants_run_stands_in_nobodys_way_in_its_workflow(store: Store):
    """It has the first place in the workflow's line, and may not have it: for as long as its tenant is full."""
    await store.registry.announce(
        "w1", [team(1, tenant_max_runs=1), replace(FREE, tenant_max_runs=1)]
    )
    await waiting_in_line(store, "a1", workflow="free")
    await at_work(store, (await claims(store))["a1"])
    await waiting_in_line(store, "a2", priority=50)
    await waiting_in_line(store, "b", tenant="other")

    assert list(await claims(store)) == ["b"]


async def test_commands_are_settled_however_full_it_is(store: Store):
    """A run that is accepted and waits is queued; one that nobody has looked at looks forgotten."""
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a")
    await at_work(store, (await claims(store))["a"])
    await store.desk.create_session(TENANT, "b")
    await ask_run(store, "b")

    [claim] = (await claims(store, "w2")).values()

    assert (claim.session_id, claim.slot, len(claim.commands)) == ("b", None, 2)
    owner = Owner.of(store, "w2", claim)
    await owner.settle()
    [run] = await store.claims.open_runs(owner.session)
    assert run.status is RunStatus.QUEUED
    await owner.release()
    assert await claims(store, "w2") == {}, "it is not claimed over and over"


async def test_only_a_claim_gives_slots_so_that_no_session_keeps_one_for_its_own_runs(
    store: Store, passes: Passes
):
    await store.registry.announce("w1", [team(1), FREE])
    await waiting_in_line(store, "a")
    owner = await at_work(store, (await claims(store))["a"])
    await waiting_in_line(store, "b")
    await passes(0.01)
    await ask_run(store, "a")
    [first, second] = await store.claims.open_runs(owner.session)
    await owner.settle()
    await owner.change(first.run_id, RunStatus.COMPLETED)

    assert await store.claims.limited("w1", second.workflow)
    assert not await store.claims.limited("w1", "free")
    await owner.release()

    assert list(await claims(store)) == ["b"], "which came before the second one of a"


async def test_under_a_limit_for_tenants_every_run_needs_a_slot(store: Store):
    await store.registry.announce("w1", [replace(FREE, tenant_max_runs=9)])

    assert await store.claims.limited("w1", "free")
    assert await store.claims.limited("w2", "whatever")


async def test_the_smallest_limit_of_any_live_worker_holds(store: Store):
    """While a deployment rolls, and with it a limit is raised, the lower one counts, whatever the version."""
    await store.registry.announce("old", [team(1)])
    await store.registry.announce("new", [team(3, version="2")])
    await store.registry.announce("oldest", [team(None, version="0")])
    await waiting_in_line(store, "a", "b")

    assert len(await claims(store, "new")) == 1
    await store.registry.withdraw("old")
    assert len(await claims(store, "new")) == 1


async def test_a_workers_own_limit_binds_it_however_old_its_word_is(store: Store):
    """After Postgres was away for long it claims at once, and renews its word a few seconds later."""
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a", "b")
    await store.registry.withdraw("w1")  # puts its word as far back as if it had not been renewed

    assert len(await claims(store, "w1")) == 1


async def test_children_are_part_of_their_roots(store: Store):
    """They run under its lease and can't be held back alone: a limit of theirs would stop it half way."""
    await store.registry.announce("w1", [team(1)])
    owner = await owned_session(store)
    await running(owner, workflow="free")
    await waiting_in_line(store, "a")

    assert list(await claims(store)) == ["a"]


async def test_a_run_that_waits_for_a_slot_is_not_stalled(store: Store, passes: Passes):
    await store.registry.announce("w1", [team(1)])
    await waiting_in_line(store, "a", "b")
    owner = await at_work(store, (await claims(store))["a"])
    [run] = await store.desk.runs(TENANT, "b")

    await passes(2)
    held = (await store.reader.pulses([run.session]))[run.session]
    await owner.change((await store.claims.open_runs(owner.session))[0].run_id, RunStatus.FAILED)
    free = (await store.reader.pulses([run.session]))[run.session]

    assert held.stalled_since is None
    assert free.stalled_since is not None, "now a worker could have it"


@pytest.mark.parametrize("most", [1, 3])
async def test_priority_decides_who_gets_the_slots(store: Store, most: int):
    await store.registry.announce("w1", [team(most)])
    for priority in (0, 5, -5, 9, 3):
        await waiting_in_line(store, f"p{priority}", priority=priority)

    assert list(await claims(store)) == ["p9", "p5", "p3"][:most]


async def test_limits_are_told_with_the_workflows(store: Store):
    await store.registry.announce("w1", [team(2, tenant_max_runs=5), FREE])

    free, limited = await store.registry.workflows()

    assert (limited.max_concurrent, limited.tenant_max_runs) == (2, 5)
    assert (free.max_concurrent, free.tenant_max_runs) == (None, None)
