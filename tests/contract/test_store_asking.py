"""Asking something of a run or a session that is there: cancel, answer, erase."""

import pytest

from holdfast.events.catalog import SessionErased, SessionExpired
from holdfast.events.commands import CommandKind, CommandState
from holdfast.events.errors import InputAnswered, InputUnknown, RunEnded
from holdfast.events.store import CommandDone, RunStatus, SessionChange, SessionStatus, Store
from tests.factories import TENANT, Owner, ask_run, owned_session, running

QUESTION = {"i1": {"prompt": "Sure?", "value_schema": None, "deadline": None}}


async def waiting_run(owner: Owner) -> str:
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting=QUESTION, due_in_s=float("inf"))
    return run_id


async def test_a_cancel_is_asked_of_the_owner(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)

    run = await store.desk.cancel(TENANT, run_id, reason="too slow")

    [command] = await owner.pending()
    assert (run.run_id, run.status) == (run_id, RunStatus.RUNNING)
    assert (command.kind, command.run_id) == (CommandKind.CANCEL, run_id)
    assert command.body == {"reason": "too slow"}


async def test_a_cancel_that_is_open_is_not_asked_twice(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    other = (await ask_run(store)).run_id
    await owner.settle(CommandKind.START)

    await store.desk.cancel(TENANT, run_id)
    await store.desk.cancel(TENANT, run_id, reason="again")
    await store.desk.cancel(TENANT, other)

    commands = await owner.pending()
    assert [(c.run_id, c.body) for c in commands] == [(run_id, {}), (other, {})]


async def test_a_cancel_that_was_settled_may_be_asked_again(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await store.desk.cancel(TENANT, run_id)
    await owner.settle()

    await store.desk.cancel(TENANT, run_id)

    assert [c.kind for c in await owner.pending()] == [CommandKind.CANCEL]


@pytest.mark.parametrize("status", [RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED])
async def test_nothing_is_asked_of_a_run_that_has_ended(store: Store, status: RunStatus):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)
    await owner.change(run_id, status)

    with pytest.raises(RunEnded, match=status):
        await store.desk.cancel(TENANT, run_id)
    with pytest.raises(RunEnded, match=status):
        await store.desk.answer(TENANT, run_id, "i1", True)

    assert await owner.pending() == []


async def test_an_answer_reaches_the_owner(store: Store):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)

    run = await store.desk.answer(TENANT, run_id, "i1", {"yes": [True, "ü"]})

    [command] = await owner.pending()
    assert (run.status, run.waiting) == (RunStatus.WAITING, QUESTION)
    assert (command.kind, command.run_id) == (CommandKind.INPUT, run_id)
    assert command.body == {"input_id": "i1", "value": {"yes": [True, "ü"]}}


async def test_the_first_answer_counts(store: Store):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)
    await store.desk.answer(TENANT, run_id, "i1", "first")

    with pytest.raises(InputAnswered):
        await store.desk.answer(TENANT, run_id, "i1", "second")

    assert [c.body["value"] for c in await owner.pending()] == ["first"]


async def test_each_input_of_a_run_has_its_own_answer(store: Store):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting={**QUESTION, "i2": {"prompt": "?"}})

    await store.desk.answer(TENANT, run_id, "i1", "one")
    await store.desk.answer(TENANT, run_id, "i2", "two")

    assert [c.body["value"] for c in await owner.pending()] == ["one", "two"]


async def test_an_input_stays_answered_when_the_run_has_gone_on(store: Store):
    """The second caller learns that it was late, not that its question never existed."""
    owner = await owned_session(store)
    run_id = await waiting_run(owner)
    await store.desk.answer(TENANT, run_id, "i1", "first")
    await owner.settle()
    await owner.change(run_id, RunStatus.RUNNING, waiting={})

    with pytest.raises(InputAnswered):
        await store.desk.answer(TENANT, run_id, "i1", "second")


async def test_a_rejected_answer_leaves_room_for_another(store: Store):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)
    await store.desk.answer(TENANT, run_id, "i1", "nonsense")
    [command] = await owner.pending()
    await owner.append(effects=[CommandDone(command.command_id, CommandState.REJECTED)])

    await store.desk.answer(TENANT, run_id, "i1", "sense")

    assert [c.body["value"] for c in await owner.pending()] == ["sense"]


async def test_an_input_that_was_never_asked_for_is_unknown(store: Store):
    owner = await owned_session(store)
    run_id = await waiting_run(owner)

    with pytest.raises(InputUnknown):
        await store.desk.answer(TENANT, run_id, "i2", True)

    assert await owner.pending() == []


async def test_an_erasure_is_asked_once(store: Store):
    owner = await owned_session(store)

    info = await store.desk.erase(TENANT, "s", reason="please")
    await store.desk.erase(TENANT, "s")

    [command] = await owner.pending()
    assert (info.session, info.status) == (owner.session, SessionStatus.ACTIVE)
    assert (command.kind, command.run_id) == (CommandKind.ERASE, None)
    assert command.body == {"reason": "please"}


async def test_an_erased_session_says_so_and_is_not_erased_again(store: Store):
    owner = await owned_session(store)
    erased = SessionChange(SessionStatus.ERASED, erase=True)
    await owner.append(SessionErased(erased_through=1), effects=[erased])

    info = await store.desk.erase(TENANT, "s")

    assert info.status is SessionStatus.ERASED
    assert await owner.pending() == []


async def test_an_expired_session_can_be_erased(store: Store):
    owner = await owned_session(store)
    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])

    info = await store.desk.erase(TENANT, "s")

    assert info.status is SessionStatus.EXPIRED
    assert [c.kind for c in await owner.pending()] == [CommandKind.ERASE]


async def test_commands_are_kept_in_the_order_in_which_they_were_asked(store: Store):
    owner = await owned_session(store)
    first = await ask_run(store)
    await store.desk.cancel(TENANT, first.run_id)
    second = await ask_run(store)
    await store.desk.erase(TENANT, "s")

    assert [(c.kind, c.run_id) for c in await owner.pending()] == [
        (CommandKind.START, first.run_id),
        (CommandKind.CANCEL, first.run_id),
        (CommandKind.START, second.run_id),
        (CommandKind.ERASE, None),
    ]
