"""Row and log agree: whatever an event changes is changed with it."""

from math import inf

import pytest

from holdfast.events.catalog import RunCompleted, RunStarted
from holdfast.events.commands import CommandKind, CommandState
from holdfast.events.store import CommandDone, Run, RunChange, RunStatus, StepResult, Store
from tests.contract.conftest import Passes
from tests.factories import TENANT, Owner, ask_run, delta, in_run, owned_session, running

QUESTION = {"i1": {"prompt": "Sure?", "value_schema": {"type": "boolean"}, "deadline": None}}


async def queued(owner: Owner) -> str:
    return (await ask_run(owner.store, owner.session_id)).run_id


async def strike(owner: Owner, run_id: str) -> int:
    return await owner.store.claims.strike(run_id, session=owner.session, epoch=owner.epoch)


async def found(store: Store, run_id: str) -> Run:
    return await store.desk.run(TENANT, run_id)


async def test_a_run_begins_once_and_ends_once(store: Store, passes: Passes):
    owner = await owned_session(store)
    run_id = await queued(owner)

    await owner.append(
        in_run(RunStarted(workflow="team", workflow_version="7"), run_id),
        effects=[RunChange(run_id=run_id, status=RunStatus.RUNNING, attempts=1, workflow_v="7")],
    )
    begun = await found(store, run_id)
    await passes(0.01)
    await owner.change(run_id, RunStatus.WAITING)
    await owner.change(run_id, RunStatus.RUNNING, attempts=2)
    again = await found(store, run_id)
    await owner.append(
        in_run(RunCompleted(duration_ms=1), run_id),
        effects=[RunChange(run_id=run_id, status=RunStatus.COMPLETED)],
    )
    ended = await found(store, run_id)

    assert (begun.status, begun.attempts, begun.workflow_version) == (RunStatus.RUNNING, 1, "7")
    assert begun.started_at is not None
    assert begun.ended_at is None
    assert (again.attempts, again.started_at) == (2, begun.started_at)
    assert (ended.status, ended.attempts, ended.workflow_version) == (RunStatus.COMPLETED, 2, "7")
    assert ended.ended_at is not None
    assert ended.ended_at > begun.started_at
    assert list(await store.claims.open_runs(owner.session)) == []


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.CANCELLED])
async def test_every_end_is_an_end(store: Store, status: RunStatus):
    owner = await owned_session(store)
    run_id = await queued(owner)

    await owner.change(run_id, status)

    run = await found(store, run_id)
    assert (run.status, run.started_at) == (status, None)
    assert run.ended_at is not None


@pytest.mark.parametrize("status", [RunStatus.RUNNING, RunStatus.WAITING, RunStatus.FAILED])
async def test_nothing_changes_a_run_that_has_ended(store: Store, status: RunStatus):
    """Else a writer's slip would bring a run back whose terminal event its readers have seen."""
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.COMPLETED)
    ended = await found(store, run_id)

    await owner.change(run_id, status, waiting=QUESTION, due_in_s=0, attempts=9)

    assert await found(store, run_id) == ended
    assert list(await store.claims.open_runs(owner.session)) == []


async def test_nothing_in_a_batch_changes_a_run_that_ended_in_it(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)

    await owner.append(
        effects=[
            RunChange(run_id=run_id, status=RunStatus.COMPLETED),
            RunChange(run_id=run_id, status=RunStatus.RUNNING, attempts=9),
        ],
    )

    run = await found(store, run_id)
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 1)


async def test_what_a_change_does_not_name_stays_as_it_is(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting=QUESTION, due_in_s=3600, attempts=3)
    before = await found(store, run_id)

    await owner.change(run_id, RunStatus.WAITING)

    assert await found(store, run_id) == before
    assert (before.waiting, before.attempts, before.due) == (QUESTION, 3, False)


async def test_what_a_run_waits_for_is_replaced_as_a_whole(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting=QUESTION)

    await owner.change(run_id, RunStatus.WAITING, waiting={"i2": {"prompt": "?"}})
    assert (await found(store, run_id)).waiting == {"i2": {"prompt": "?"}}

    await owner.change(run_id, RunStatus.RUNNING, waiting={})
    assert (await found(store, run_id)).waiting == {}


async def test_a_run_is_due_when_its_time_has_come(store: Store, passes: Passes):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, due_in_s=30)
    assert not (await found(store, run_id)).due

    await owner.change(run_id, RunStatus.WAITING, due_in_s=0.2)
    await passes(0.3)

    run = await found(store, run_id)
    assert run.due
    assert run.due_at is not None


async def test_a_run_that_waits_for_something_to_happen_is_never_due(store: Store, passes: Passes):
    owner = await owned_session(store)
    run_id = await running(owner)

    await owner.change(run_id, RunStatus.WAITING, due_in_s=inf)
    await passes(0.3)

    run = await found(store, run_id)
    assert (run.due_at, run.due) == (None, False)


async def test_the_changes_of_one_batch_add_up(store: Store):
    """Group commit puts several changes of one run into one batch; none may be lost."""
    owner = await owned_session(store)
    run_id = await queued(owner)

    await owner.append(
        in_run(delta(), run_id),
        in_run(delta(), run_id),
        effects=[
            RunChange(run_id=run_id, status=RunStatus.RUNNING, attempts=1, workflow_v="7"),
            StepResult(run_id, "a#0", b"1"),
            RunChange(run_id=run_id, status=RunStatus.WAITING, waiting=QUESTION, due_in_s=inf),
        ],
    )

    run = await found(store, run_id)
    assert (run.status, run.attempts, run.workflow_version) == (RunStatus.WAITING, 1, "7")
    assert (run.waiting, run.due_at) == (QUESTION, None)
    assert run.started_at is not None
    assert (await store.claims.journal(run_id)).results == {"a#0": b"1"}


@pytest.mark.parametrize("state", [CommandState.ACCEPTED, CommandState.REJECTED])
async def test_a_settled_command_is_open_no_more(store: Store, state: CommandState):
    owner = await owned_session(store)
    run_id = await queued(owner)
    await store.desk.cancel(TENANT, run_id)
    start, cancel = await owner.pending()

    await owner.append(delta(), effects=[CommandDone(start.command_id, state)])

    assert await owner.pending() == [cancel]


async def test_effects_may_come_without_events(store: Store):
    owner = await owned_session(store)
    await queued(owner)

    await owner.settle()

    assert await owner.pending() == []
    assert (await store.desk.session(TENANT, "s")).head == owner.head == 1


async def test_a_session_changes_only_what_is_its_own(store: Store):
    """An owner's slip can't reach into a session that another worker owns."""
    owner = await owned_session(store, "s1")
    other = await owned_session(store, "s2", worker="w2")
    run_id = await queued(other)
    [command] = await other.pending()

    await owner.append(
        delta(),
        effects=[
            RunChange(run_id=run_id, status=RunStatus.FAILED),
            CommandDone(command.command_id, CommandState.ACCEPTED),
        ],
    )

    assert (await found(store, run_id)).status is RunStatus.QUEUED
    assert await other.pending(CommandKind.START) == [command]


# --- steps -------------------------------------------------------------------------------------------


async def test_the_journal_holds_a_runs_keys_and_results(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    other = await queued(owner)

    await owner.append(
        in_run(delta(), run_id, key="a#0"),
        in_run(RunStarted(workflow="team", workflow_version="1"), run_id, key="b#0"),
        in_run(delta(), run_id),
        in_run(delta(), other, key="c#0"),
        effects=[StepResult(run_id, "a#0", b"\x00\xff"), StepResult(other, "c#0", b"2")],
    )

    journal = await store.claims.journal(run_id)
    assert journal.keys == {"a#0": (3, "message.delta"), "b#0": (4, "run.started")}
    assert journal.results == {"a#0": b"\x00\xff"}


async def test_the_journal_of_a_run_without_a_record_is_empty(store: Store):
    journal = await store.claims.journal("run_0")

    assert (journal.keys, journal.results) == ({}, {})


async def test_the_first_result_of_a_step_stands(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.append(effects=[StepResult(run_id, "a#0", b"first")])

    await owner.append(delta(), effects=[StepResult(run_id, "a#0", b"second")])

    assert (await store.claims.journal(run_id)).results == {"a#0": b"first"}
    assert (await store.desk.session(TENANT, "s")).head == owner.head


async def test_strikes_are_counted_in_a_row_until_a_new_step_is_recorded(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    assert [await strike(owner, run_id) for _ in range(3)] == [1, 2, 3]
    assert (await found(store, run_id)).strikes == 3

    await owner.append(delta(), effects=[StepResult(run_id, "a#0", b"1")])
    assert (await found(store, run_id)).strikes == 0

    assert await strike(owner, run_id) == 1


async def test_a_step_that_was_recorded_before_clears_no_strikes(store: Store):
    """Doing the same step again is no progress: else a poisonous run would be taken over for ever."""
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.append(effects=[StepResult(run_id, "a#0", b"1")])
    await strike(owner, run_id)

    await owner.append(delta(), effects=[StepResult(run_id, "a#0", b"1")])
    await owner.change(run_id, RunStatus.RUNNING)

    assert (await found(store, run_id)).strikes == 1


async def test_only_the_owner_strikes(store: Store):
    owner = await owned_session(store)
    other = await owned_session(store, "other", worker="w2")
    run_id = await running(owner)

    former = await store.claims.strike(run_id, session=owner.session, epoch=owner.epoch - 1)
    foreign = await store.claims.strike(run_id, session=other.session, epoch=other.epoch)
    await owner.release()
    released = await strike(owner, run_id)

    assert (former, foreign, released) == (0, 0, 0)
    assert (await found(store, run_id)).strikes == 0
