"""The workflows that workers announce, and the store's word on itself."""

from dataclasses import replace
from datetime import timedelta

from holdfast.events.clock_manual import ManualClock
from holdfast.events.store import Store, WorkflowInfo
from tests.contract.conftest import Passes
from tests.factories import owned_session

TEAM = WorkflowInfo(
    name="team",
    version="1",
    input_schema={"type": "object", "properties": {"topic": {"type": "string"}}},
    description="Writes a report.",
)
NEWER = WorkflowInfo(name="team", version="2", input_schema=None)
TICKER = WorkflowInfo(name="ticker", version="1", input_schema=None)
BROKEN = WorkflowInfo(
    name="broken", version="?", input_schema=None, load_error="ModuleNotFoundError: numpy"
)


async def listed(store: Store) -> list[tuple[str, str, list[str]]]:
    return [(w.name, w.version, list(w.workers)) for w in await store.registry.workflows()]


async def test_workflows_are_listed_by_name_with_their_workers(store: Store):
    await store.registry.announce("w2", [TICKER, TEAM])
    await store.registry.announce("w1", [TEAM])

    assert await listed(store) == [("team", "1", ["w1", "w2"]), ("ticker", "1", ["w2"])]
    team = (await store.registry.workflows())[0]
    assert (team.input_schema, team.description) == (TEAM.input_schema, TEAM.description)
    assert team.load_error is None


async def test_versions_live_side_by_side(store: Store):
    await store.registry.announce("w1", [TEAM])
    await store.registry.announce("w2", [NEWER])

    assert await listed(store) == [("team", "1", ["w1"]), ("team", "2", ["w2"])]


async def test_a_worker_replaces_what_it_announced(store: Store):
    await store.registry.announce("w1", [TEAM, TICKER])
    await store.registry.announce("w1", [NEWER, TICKER])

    assert await listed(store) == [("team", "2", ["w1"]), ("ticker", "1", ["w1"])]


async def test_the_word_that_was_given_last_speaks_for_its_version(store: Store, passes: Passes):
    """A deploy mends a description, or a workflow that did not load, without a new version."""
    mended = replace(TEAM, description="Writes a better report.")
    for worker, workflow in (("w2", TEAM), ("w3", TEAM), ("w1", mended)):
        await store.registry.announce(worker, [workflow])
        await passes(0.01)

    [team] = await store.registry.workflows()

    assert team.description == mended.description
    assert list(team.workers) == ["w1", "w2", "w3"]


async def test_a_workflow_that_did_not_load_is_listed_with_the_reason_and_no_worker(store: Store):
    await store.registry.announce("w1", [BROKEN])

    [broken] = await store.registry.workflows()

    assert (broken.name, broken.load_error, list(broken.workers)) == (
        "broken",
        "ModuleNotFoundError: numpy",
        [],
    )


async def test_a_worker_that_is_gone_leaves_its_workflows_known(store: Store):
    """While every worker is being restarted, a run may still be asked for; it waits."""
    await store.registry.announce("w1", [TEAM])
    await store.registry.announce("w2", [TEAM])

    await store.registry.withdraw("w1")
    assert await listed(store) == [("team", "1", ["w2"])]

    await store.registry.withdraw("w2")
    assert await listed(store) == [("team", "1", [])]

    await store.registry.announce("w1", [TEAM])
    assert await listed(store) == [("team", "1", ["w1"])]


async def test_workflows_that_no_worker_has_announced_for_a_week_are_forgotten(
    memory_store: Store, manual_clock: ManualClock
):
    await memory_store.registry.announce("w1", [TEAM])
    await memory_store.registry.withdraw("w1")
    await manual_clock.advance(timedelta(days=6).total_seconds())
    await memory_store.registry.announce("w2", [TICKER])
    await memory_store.claims.expire_due(limit=10)
    assert await listed(memory_store) == [("team", "1", []), ("ticker", "1", ["w2"])]

    await manual_clock.advance(timedelta(days=1, seconds=1).total_seconds())
    await memory_store.claims.expire_due(limit=10)

    assert await listed(memory_store) == [("ticker", "1", [])]


async def test_a_withdrawn_workflow_is_not_forgotten_at_once(store: Store):
    await store.registry.announce("w1", [TEAM])
    await store.registry.withdraw("w1")

    await store.claims.expire_due(limit=10)

    assert await listed(store) == [("team", "1", [])]


async def test_a_store_names_its_log_and_its_version(store: Store):
    await owned_session(store)

    health = await store.health()

    assert len(store.log_id) == 36
    assert health.version
    assert isinstance(health.durable, bool)
