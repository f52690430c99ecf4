"""The same request twice: one effect, one answer."""

import asyncio
from datetime import timedelta

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.commands import CommandKind, OnBusy
from holdfast.events.errors import KeyInFlight, KeyReused, SessionBusy
from holdfast.events.store import Idempotency, RunRequest, RunStatus, Store, Ticket
from tests.factories import TENANT, delta, owned_session, running

SAME = Idempotency(key="k1", request_hash=b"hash of the request")
OTHER = Idempotency(key="k1", request_hash=b"hash of another")
REQUEST = RunRequest(workflow="team", input={"n": 1})


async def test_the_same_start_again_gets_the_first_ticket(store: Store):
    owner = await owned_session(store)

    first = await store.desk.start(TENANT, "s", REQUEST, idempotency=SAME)
    await owner.append(delta())
    again = await store.desk.start(TENANT, "s", REQUEST, idempotency=SAME)

    assert again == first
    assert len(await store.desk.runs(TENANT, "s")) == 1
    assert len(await owner.pending()) == 1


async def test_the_same_start_of_a_new_session_makes_one_session(store: Store):
    first = await store.desk.start(TENANT, None, REQUEST, idempotency=SAME)
    again = await store.desk.start(TENANT, None, REQUEST, idempotency=SAME)

    assert again == first
    assert len((await store.desk.sessions(TENANT)).items) == 1


async def test_a_start_is_remembered_with_its_ticket_and_nothing_else_is(store: Store):
    await owned_session(store)
    before = await store.desk.remembered(TENANT, SAME)
    ticket = await store.desk.start(TENANT, "s", REQUEST, idempotency=SAME)

    assert before is None
    assert await store.desk.remembered(TENANT, SAME) == ticket
    assert await store.desk.remembered("another", SAME) is None
    with pytest.raises(KeyReused):
        await store.desk.remembered(TENANT, OTHER)


async def test_the_same_creation_again_shows_the_session_that_it_made(store: Store):
    first = await store.desk.create_session(TENANT, None, idempotency=SAME)
    again = await store.desk.create_session(TENANT, None, idempotency=SAME)

    assert again == first
    assert len((await store.desk.sessions(TENANT)).items) == 1


async def test_the_same_cancel_again_succeeds_even_after_the_run_has_ended(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await store.desk.cancel(TENANT, run_id, idempotency=SAME)
    await owner.settle()
    await owner.change(run_id, RunStatus.CANCELLED)

    run = await store.desk.cancel(TENANT, run_id, idempotency=SAME)

    assert run.status is RunStatus.CANCELLED
    assert await owner.pending() == []


async def test_the_same_answer_again_succeeds(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting={"i1": {"prompt": "?"}})
    await store.desk.answer(TENANT, run_id, "i1", 1, idempotency=SAME)

    run = await store.desk.answer(TENANT, run_id, "i1", 1, idempotency=SAME)

    assert run.run_id == run_id
    assert [c.kind for c in await owner.pending()] == [CommandKind.INPUT]


async def test_a_key_is_not_for_two_requests(store: Store):
    owner = await owned_session(store)
    ticket = await store.desk.start(TENANT, "s", REQUEST, idempotency=SAME)

    with pytest.raises(KeyReused):
        await store.desk.start(TENANT, "s", REQUEST, idempotency=OTHER)
    with pytest.raises(KeyReused):
        await store.desk.create_session(TENANT, "t", idempotency=OTHER)
    with pytest.raises(KeyReused):
        await store.desk.cancel(TENANT, ticket.run_id, idempotency=OTHER)

    assert len(await owner.pending()) == 1


async def test_each_tenant_has_its_own_keys(store: Store):
    ours = await store.desk.start(TENANT, None, REQUEST, idempotency=SAME)
    theirs = await store.desk.start("rival", None, REQUEST, idempotency=OTHER)

    assert ours.run_id != theirs.run_id


async def test_a_refusal_is_not_kept(store: Store):
    """The key belongs to what was done. What was refused may be asked again when it can be done."""
    owner = await owned_session(store)
    run_id = await running(owner)
    request = RunRequest(workflow="team", input=None, on_busy=OnBusy.REJECT)
    with pytest.raises(SessionBusy):
        await store.desk.start(TENANT, "s", request, idempotency=SAME)
    await owner.change(run_id, RunStatus.COMPLETED)

    ticket = await store.desk.start(TENANT, "s", request, idempotency=SAME)

    assert ticket.run_id != run_id


async def test_the_same_request_many_times_at_once_is_carried_out_once(store: Store):
    await owned_session(store)

    async def ask() -> Ticket | None:
        try:
            return await store.desk.start(TENANT, "s", REQUEST, idempotency=SAME)
        except KeyInFlight:
            return None

    tickets = {ticket for ticket in await asyncio.gather(*(ask() for _ in range(10))) if ticket}

    assert len(tickets) == 1
    assert len(await store.desk.runs(TENANT, "s")) == 1


async def test_an_answer_is_kept_for_a_day(memory_store: Store, manual_clock: ManualClock):
    desk = memory_store.desk
    first = await desk.start(TENANT, None, REQUEST, idempotency=SAME)

    await manual_clock.advance(timedelta(hours=23).total_seconds())
    await memory_store.claims.expire_due(limit=10)
    assert await desk.start(TENANT, None, REQUEST, idempotency=SAME) == first

    await manual_clock.advance(timedelta(hours=2).total_seconds())
    await memory_store.claims.expire_due(limit=10)
    assert await desk.start(TENANT, None, REQUEST, idempotency=SAME) != first
