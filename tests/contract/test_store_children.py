"""A run that another run starts has its row from its first event on, and is never due by itself."""

from typing import Any

import pytest

from holdfast.events.catalog import RunCompleted, RunStarted
from holdfast.events.commands import CommandKind
from holdfast.events.errors import RunEnded
from holdfast.events.store import RunBegun, RunChange, RunStatus, Store
from tests.contract.conftest import Passes
from tests.factories import TENANT, Owner, in_run, owned_session, running


def begun(parent: str, run_id: str = "run_child", **fields: Any) -> RunBegun:
    return RunBegun(
        run_id=run_id,
        parent_run_id=parent,
        workflow="child",
        workflow_v="1",
        input={"n": 1},
        after=1,
        user_id="u1",
        **fields,
    )


async def begin(owner: Owner, parent: str, run_id: str = "run_child") -> None:
    started = in_run(RunStarted(workflow="child", workflow_version="1"), run_id)
    await owner.append(started, effects=[begun(parent, run_id)])


async def test_a_child_has_a_row_of_its_own_in_its_parents_session(store: Store):
    owner = await owned_session(store)
    parent = await running(owner)
    await begin(owner, parent)
    row = await store.desk.run(TENANT, "run_child")
    assert (row.status, row.attempts, row.parent_run_id) == (RunStatus.RUNNING, 1, parent)
    assert (row.workflow, row.workflow_version, row.input) == ("child", "1", {"n": 1})
    assert (row.session_id, row.user_id, row.after) == (owner.session_id, "u1", 1)
    assert row.started_at is not None
    assert await store.reader.run_family(parent) == {parent, "run_child"}


async def test_a_child_is_not_due_and_claims_no_session(store: Store, passes: Passes):
    owner = await owned_session(store)
    parent = await running(owner)
    await begin(owner, parent)
    await owner.change(parent, RunStatus.WAITING, due_in_s=float("inf"))
    await store.claims.release({owner.session: owner.epoch}, published={})
    await passes(0.05)
    assert not await store.claims.claim("w2", workflows=["child", "w"], lease_s=30, limit=9)
    [child] = [r for r in await store.claims.open_runs(owner.session) if r.parent_run_id]
    assert not child.due


async def test_a_child_may_begin_and_end_in_one_batch_and_begins_once(store: Store):
    owner = await owned_session(store)
    parent = await running(owner)
    started = in_run(RunStarted(workflow="child", workflow_version="1"), "run_child")
    ended = in_run(RunCompleted(duration_ms=1), "run_child")
    change = RunChange(run_id="run_child", status=RunStatus.COMPLETED)
    await owner.append(started, ended, effects=[begun(parent), change])
    await owner.append(effects=[begun(parent)])
    assert (await store.desk.run(TENANT, "run_child")).status is RunStatus.COMPLETED


async def test_a_fenced_writer_begins_nothing(store: Store):
    owner = await owned_session(store)
    parent = await running(owner)
    owner.epoch -= 1
    started = in_run(RunStarted(workflow="child", workflow_version="1"), "run_child")
    with pytest.raises(AssertionError):
        await owner.append(started, effects=[begun(parent)])
    assert await store.reader.run_family(parent) == {parent}


async def test_what_a_run_is_told_unasked_is_an_input_without_an_id(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    for value in ("one", {"two": 2}):
        run = await store.desk.steer(TENANT, run_id, value)
        assert run.run_id == run_id
    pending = await store.claims.pending([owner.session])
    told = [c for c in pending if c.kind is CommandKind.INPUT]
    assert [(c.run_id, c.body) for c in told] == [
        (run_id, {"value": "one"}),
        (run_id, {"value": {"two": 2}}),
    ]
    await owner.append(
        in_run(RunCompleted(duration_ms=1), run_id),
        effects=[RunChange(run_id=run_id, status=RunStatus.COMPLETED)],
    )
    with pytest.raises(RunEnded):
        await store.desk.steer(TENANT, run_id, "late")
