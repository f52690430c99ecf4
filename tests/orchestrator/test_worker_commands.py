"""What is asked of a session is done by its owner, or refused by it, in the log."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from holdfast.events.commands import OnBusy
from holdfast.events.errors import RunEnded, SessionBusy, SessionGone
from holdfast.events.store import RunRequest, RunStatus, SessionStatus
from holdfast.orchestrator import docket
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, check_log, data, of_type, owned_by, types


@workflow("hello")
async def hello(ctx: WorkflowContext, input: dict[str, str]) -> str:
    return await ctx.message(f"hello {input['name']}")


@workflow("endless")
async def endless(ctx: WorkflowContext, input: None) -> None:
    async def words():
        while True:
            yield "word "
            await asyncio.sleep(0.002)

    await ctx.message(words())


@workflow("question")
async def question(ctx: WorkflowContext, input: None) -> str:
    return await ctx.input("your name?", schema=str)


async def test_a_created_session_begins_with_its_creation(world: World) -> None:
    await world.worker(hello)
    made = await world.store.desk.create_session(TENANT, "s", metadata={"a": 1}, ttl_s=60)
    await world.stream.hint_work(made.session)

    async def created() -> bool:
        return bool(await world.events(made.session))

    await world.until(created)
    [event] = await world.events(made.session)
    assert (event.seq, event.type) == (1, "session.created")
    assert data(event) == {"metadata": {"a": 1}, "ttl_s": 60}


async def test_a_run_is_recorded_from_its_acceptance_to_its_one_end(world: World) -> None:
    await world.worker(hello)
    ticket = await world.ask("hello", {"name": "Ann"})
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert types(events) == [
        "session.created",
        "command.accepted",
        "run.started",
        "message.started",
        "message.completed",
        "run.completed",
    ]
    assert data(events[-1])["result"] == "hello Ann"
    assert (run.status, run.attempts, run.workflow_version) == (
        RunStatus.COMPLETED,
        1,
        hello.version,
    )
    check_log(events)
    await world.released(ticket)


async def test_input_that_the_workflow_refuses_fails_the_run(world: World) -> None:
    await world.worker(hello)
    ticket = await world.ask("hello", {"name": 7})
    await world.reaches(ticket, RunStatus.FAILED)
    assert data((await world.events(ticket.session))[-1])["error"]["code"] == "workflow-error"


async def test_a_queued_run_is_cancelled_before_it_begins(world: World) -> None:
    await world.worker(question, hello)
    first = await world.ask("question")
    await world.reaches(first, RunStatus.WAITING)
    queued = await world.ask("hello", {"name": "Ann"}, first.session_id)
    await world.cancel(queued, "changed my mind")
    await world.reaches(queued, RunStatus.CANCELLED)
    events = [e for e in await world.events(first.session) if e.run_id == queued.run_id]
    assert types(events) == ["command.accepted", "command.accepted", "run.cancelled"]
    assert data(events[-1])["reason"] == "changed my mind"


async def test_a_run_is_cancelled_in_the_middle_of_a_message(world: World) -> None:
    await world.worker(endless)
    ticket = await world.ask("endless")
    await world.has(ticket, "message.delta", 3)
    await world.cancel(ticket, "enough")
    await world.reaches(ticket, RunStatus.CANCELLED)
    events = await world.events(ticket.session)
    assert types(events)[-2:] == ["command.accepted", "run.cancelled"]
    assert data(events[-2])["kind"] == "cancel"
    check_log(events)


async def test_a_waiting_run_is_cancelled_without_being_resumed(world: World) -> None:
    await world.worker(question)
    ticket = await world.ask("question")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    await world.cancel(ticket)
    run = await world.reaches(ticket, RunStatus.CANCELLED)
    assert run.waiting == {}
    assert "run.resumed" not in types(await world.events(ticket.session))


async def test_a_run_that_has_ended_can_not_be_cancelled(world: World) -> None:
    await world.worker(hello)
    ticket = await world.ask("hello", {"name": "Ann"})
    await world.reaches(ticket)
    with pytest.raises(RunEnded):
        await world.cancel(ticket)


async def test_a_cancel_that_loses_the_race_with_the_end_is_rejected_in_the_log(
    memory_world: World,
) -> None:
    world = memory_world
    asked = asyncio.Event()

    @workflow("racing")
    async def racing(ctx: WorkflowContext, input: None) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            # The work was done in the very moment in which its cancel arrived.
            asked.set()
        return "done"

    await world.worker(racing)
    ticket = await world.ask("racing")
    await world.has(ticket, "run.started")
    await world.cancel(ticket)
    run = await world.reaches(ticket)
    await world.released(ticket)
    events = await world.events(ticket.session)
    assert asked.is_set()
    assert run.status is RunStatus.COMPLETED
    assert types(events)[-2:] == ["run.completed", "command.rejected"]
    assert data(events[-1])["reason"] == "already-ended"


async def test_a_scheduled_run_begins_when_its_time_has_come(world: World) -> None:
    await world.worker(hello)
    due = datetime.now(UTC) + timedelta(seconds=0.6)
    ticket = await world.ask("hello", {"name": "Ann"}, start_at=due)
    await world.has(ticket, "command.accepted")
    [accepted] = of_type(await world.events(ticket.session), "command.accepted")
    assert datetime.fromisoformat(data(accepted)["start_at"]) == due.replace(
        microsecond=due.microsecond
    )
    await world.reaches(ticket)
    [started] = of_type(await world.events(ticket.session), "run.started")
    # Timestamps on the wire are cut to milliseconds.
    assert started.ts >= due - timedelta(milliseconds=1)


async def test_a_second_run_waits_for_the_first(world: World) -> None:
    await world.worker(question, hello)
    first = await world.ask("question")
    await world.reaches(first, RunStatus.WAITING)
    second = await world.ask("hello", {"name": "Ann"}, first.session_id, on_busy=OnBusy.ENQUEUE)
    await world.has(first, "command.accepted", 2)
    assert (await world.run(second)).status is RunStatus.QUEUED
    await world.answer(first, "Bob")
    await world.reaches(second)
    events = await world.events(first.session)
    assert [e.run_id for e in of_type(events, "run.completed")] == [first.run_id, second.run_id]
    check_log(events)


async def test_a_second_run_is_refused_where_busy_means_reject(world: World) -> None:
    await world.worker(question)
    first = await world.ask("question")
    await world.reaches(first, RunStatus.WAITING)
    with pytest.raises(SessionBusy):
        await world.ask("question", None, first.session_id, on_busy=OnBusy.REJECT)


async def test_a_second_run_ends_the_first_where_busy_means_interrupt(world: World) -> None:
    await world.worker(endless, hello)
    first = await world.ask("endless")
    await world.has(first, "message.delta")
    second = await world.ask("hello", {"name": "Ann"}, first.session_id, on_busy=OnBusy.INTERRUPT)
    assert (await world.reaches(second)).status is RunStatus.COMPLETED
    assert (await world.run(first)).status is RunStatus.CANCELLED
    check_log(await world.events(first.session))


async def test_a_session_expires_once_its_time_to_live_is_over_and_then_takes_nothing(
    world: World,
) -> None:
    await world.worker(hello)
    made = await world.store.desk.create_session(TENANT, "short", ttl_s=1)
    await world.stream.hint_work(made.session)

    async def expired() -> bool:
        info = await world.store.desk.session(TENANT, "short")
        return info.status is SessionStatus.EXPIRED

    await world.until(expired)
    assert types(await world.events(made.session)) == ["session.created", "session.expired"]
    with pytest.raises(SessionGone):
        await world.ask("hello", {"name": "Ann"}, "short")


async def test_an_erasure_ends_the_run_that_executes_and_leaves_one_event(world: World) -> None:
    await world.worker(endless)
    ticket = await world.ask("endless")
    await world.has(ticket, "message.delta", 3)
    await world.erase(ticket)

    async def erased() -> bool:
        info = await world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await world.until(erased)
    [left] = await world.events(ticket.session)
    assert left.type == "session.erased"
    assert data(left)["erased_through"] == left.seq - 1
    run = await world.run(ticket)
    assert (run.status, run.input) == (RunStatus.CANCELLED, None)
    await world.released(ticket)


async def test_a_long_session_is_erased_in_short_transactions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million events are more than one statement may delete, and its neighbours' commits would wait for it."""
    monkeypatch.setattr(docket, "ERASED_AT_ONCE", 5)
    erase_some, floors = world.store.claims.erase_some, list[int]()
    await world.worker(endless)
    ticket = await world.ask("endless")
    await world.has(ticket, "message.delta", 12)

    async def watched(session: int, *, epoch: int, limit: int) -> bool:
        more = await erase_some(session, epoch=epoch, limit=limit)
        floors.append((await world.store.desk.session(TENANT, ticket.session_id)).min_seq)
        return more

    monkeypatch.setattr(world.store.claims, "erase_some", watched)
    await world.erase(ticket)

    async def erased() -> bool:
        info = await world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await world.until(erased)
    [left] = await world.events(ticket.session)
    assert floors[:2] == [6, 11]
    assert left.seq - floors[-1] <= 5, "what the last transaction had to delete"


async def test_a_worker_of_many_sessions_ends_every_run_and_gives_all_back(world: World) -> None:
    rig = await world.worker(hello)
    tickets = [await world.ask("hello", {"name": str(n)}) for n in range(25)]
    for ticket in tickets:
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
        check_log(await world.events(ticket.session))
    await world.until(lambda: not owned_by(rig))


async def test_a_hint_makes_a_run_begin_at_once_however_long_the_poll(world: World) -> None:
    await world.worker(hello, poll_s=30)
    async with asyncio.timeout(3):
        ticket = await world.ask("hello", {"name": "Ann"})
        await world.reaches(ticket)


async def test_without_hints_the_poll_finds_the_work(world: World) -> None:
    await world.worker(hello, poll_s=0.1)
    wanted = RunRequest(workflow="hello", input={"name": "Ann"})
    ticket = await world.store.desk.start(TENANT, None, wanted)
    await world.reaches(ticket)
