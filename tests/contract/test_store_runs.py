"""Asking for runs."""

import asyncio
from datetime import timedelta

import pytest

from holdfast.events.catalog import SessionErased, SessionExpired
from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.errors import RunUnknown, SessionBusy, SessionGone
from holdfast.events.store import RunRequest, RunStatus, SessionChange, SessionStatus, Store
from tests.factories import TENANT, ask_run, delta, owned_session, running


async def test_a_run_begins_after_the_head_at_which_it_was_asked_for(store: Store):
    """Who follows the session after `after` misses nothing of the run."""
    owner = await owned_session(store)
    await owner.append(delta(), delta())

    ticket = await ask_run(store, "s", input={"q": [1, "ü"]}, user_id="ann", trace_id="t1")

    run = await store.desk.run(TENANT, ticket.run_id)
    [command] = await owner.pending()
    assert (ticket.session_id, ticket.session, ticket.after) == ("s", owner.session, 3)
    assert ticket.run_id.startswith("run_")
    assert (run.status, run.after, run.attempts, run.strikes) == (RunStatus.QUEUED, 3, 0, 0)
    assert (run.workflow, run.workflow_version, run.input) == ("team", None, {"q": [1, "ü"]})
    assert (run.tenant, run.session_id, run.session) == (TENANT, "s", owner.session)
    assert (run.user_id, run.trace_id, run.parent_run_id) == ("ann", "t1", None)
    assert (run.waiting, run.started_at, run.ended_at) == ({}, None, None)
    assert run.due
    assert (command.kind, command.run_id) == (CommandKind.START, ticket.run_id)
    assert command.body == {"workflow": "team"}


async def test_a_run_without_a_session_gets_a_new_one(store: Store):
    ticket = await ask_run(store, None)

    commands = await store.claims.pending([ticket.session])

    info = await store.desk.session(TENANT, ticket.session_id)
    assert (info.session, info.head, ticket.after) == (ticket.session, 0, 0)
    assert [c.kind for c in commands] == [CommandKind.CREATE, CommandKind.START]


async def test_a_run_may_be_asked_for_later(store: Store):
    owner = await owned_session(store)
    now = (await store.desk.session(TENANT, "s")).created_at
    later = now + timedelta(hours=1)

    ticket = await ask_run(store, start_at=later)

    run = await store.desk.run(TENANT, ticket.run_id)
    [command] = await owner.pending()
    assert (run.due_at, run.due) == (later, False)
    assert command.body == {"workflow": "team", "start_at": later.isoformat()}


async def test_a_run_queues_behind_others_unless_told_otherwise(store: Store):
    owner = await owned_session(store)
    first = await running(owner)

    second = await ask_run(store, on_busy=OnBusy.ENQUEUE)

    runs = await store.claims.open_runs(owner.session)
    assert [(run.run_id, run.status) for run in runs] == [
        (first, RunStatus.RUNNING),
        (second.run_id, RunStatus.QUEUED),
    ]


async def test_a_busy_session_rejects_a_run_that_would_have_to_wait(store: Store):
    owner = await owned_session(store)
    first = await running(owner)

    with pytest.raises(SessionBusy) as refused:
        await ask_run(store, on_busy=OnBusy.REJECT)

    assert refused.value.run_id == first
    assert len(await store.desk.runs(TENANT, "s")) == 1
    assert await owner.pending() == []


async def test_a_session_is_not_busy_once_its_runs_have_ended(store: Store):
    owner = await owned_session(store)
    await owner.change(await running(owner), RunStatus.FAILED)

    ticket = await ask_run(store, on_busy=OnBusy.REJECT)

    assert (await store.desk.run(TENANT, ticket.run_id)).status is RunStatus.QUEUED


async def test_a_run_that_interrupts_has_every_unfinished_one_cancelled_first(store: Store):
    owner = await owned_session(store)
    ended = await running(owner)
    await owner.change(ended, RunStatus.COMPLETED)
    first = await running(owner)
    second = await ask_run(store)
    await store.desk.cancel(TENANT, first, reason="mine")
    await owner.settle(CommandKind.START)

    third = await ask_run(store, on_busy=OnBusy.INTERRUPT)

    commands = await owner.pending()
    assert [(c.kind, c.run_id) for c in commands] == [
        (CommandKind.CANCEL, first),
        (CommandKind.CANCEL, second.run_id),
        (CommandKind.START, third.run_id),
    ]
    assert [c.body.get("reason") for c in commands[:2]] == ["mine", "interrupted by a newer run"]


async def test_a_session_whose_erasure_is_asked_for_takes_no_runs(store: Store):
    """Nothing may follow the erasure: a run that began after it would."""
    owner = await owned_session(store)
    await store.desk.erase(TENANT, "s")

    with pytest.raises(SessionGone, match="being erased"):
        await ask_run(store)

    await owner.settle()
    await ask_run(store)


async def test_a_session_that_is_over_takes_no_runs(store: Store):
    owner = await owned_session(store)

    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])
    with pytest.raises(SessionGone, match="expired"):
        await ask_run(store)

    erased = SessionChange(SessionStatus.ERASED, erase=True)
    await owner.append(SessionErased(erased_through=2), effects=[erased])
    with pytest.raises(SessionGone, match="erased"):
        await ask_run(store)

    assert await owner.pending() == []
    assert list(await store.desk.runs(TENANT, "s")) == []


async def test_runs_are_listed_newest_first(store: Store):
    await store.desk.create_session(TENANT, "s")
    asked = [(await ask_run(store)).run_id for _ in range(3)]

    runs = await store.desk.runs(TENANT, "s", limit=2)

    assert [run.run_id for run in runs] == asked[:0:-1]
    assert runs[0] == await store.desk.run(TENANT, asked[2])


async def test_a_foreign_run_is_as_unknown_as_one_that_is_not_there(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)

    for tenant, name in (("rival", run_id), (TENANT, "run_0")):
        with pytest.raises(RunUnknown):
            await store.desk.run(tenant, name)
        with pytest.raises(RunUnknown):
            await store.desk.cancel(tenant, name)
        with pytest.raises(RunUnknown):
            await store.desk.answer(tenant, name, "i1", True)

    assert await owner.pending() == []


async def test_one_of_many_runs_asked_for_at_once_finds_the_session_free(store: Store):
    """The session row's lock decides: two requests can't both see an idle session."""
    await owned_session(store)
    request = RunRequest(workflow="team", input=None, on_busy=OnBusy.REJECT)

    async def ask() -> bool:
        try:
            await store.desk.start(TENANT, "s", request)
        except SessionBusy:
            return False
        return True

    answers = await asyncio.gather(*(ask() for _ in range(10)))

    assert sum(answers) == 1
