"""A run may start others in its session: each has an id and an end of its own, and shares its parent's fate."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast.events.codec import EVENT_BYTES_MAX
from holdfast.events.errors import Refused
from holdfast.events.fold import fold
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import RunStatus, Ticket
from holdfast.orchestrator.context import ChildFailed, WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.crashes import at_every_event
from tests.orchestrator.harness import World, check_log, data, of_type, types


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    text: str


@workflow("child", version="1")
async def child(ctx: WorkflowContext, input: Question) -> Answer:
    async with ctx.agent("Kid") as kid:
        await kid.step("think", int, 1)
        await kid.message(f"about {input.text}")
    return Answer(text=input.text.upper())


@workflow("parent", version="1")
async def parent(ctx: WorkflowContext, input: None) -> str:
    await ctx.message("before")
    answer = await ctx.run(child, Question(text="tea"), returns=Answer)
    await ctx.message("after")
    return answer.text


def children(events: list[RecordedEvent], ticket: Ticket) -> list[str]:
    """The ids of the runs that others started, in order."""
    return list(dict.fromkeys(e.run_id for e in events if e.parent_run_id and e.run_id))


async def test_a_child_is_a_run_of_its_own_in_its_parents_session_and_stream(world: World) -> None:
    await world.worker(parent, child)
    ticket = await world.ask("parent", user_id="u1")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "TEA"
    [kid] = children(events, ticket)
    own = [e for e in events if e.run_id == kid]
    assert types(own) == [
        *("run.started", "agent.started", "step.started", "step.completed"),
        *("message.started", "message.completed", "agent.completed", "run.completed"),
    ]
    assert {e.parent_run_id for e in own} == {ticket.run_id}
    assert {e.user_id for e in own} == {"u1"}
    # Its end is in the log before its parent goes on.
    after = next(e for e in events if e.type == "message.started" and e.seq > own[-1].seq)
    assert (after.run_id, after.seq) == (ticket.run_id, own[-1].seq + 1)
    row = await world.store.desk.run(TENANT, kid)
    assert (row.status, row.parent_run_id, row.workflow) == (
        RunStatus.COMPLETED,
        ticket.run_id,
        "child",
    )
    assert row.input == {"text": "tea"}
    assert row.after < own[0].seq
    assert await world.store.reader.run_family(ticket.run_id) == {ticket.run_id, kid}


async def test_a_parent_crashed_at_every_event_ends_the_same_with_its_child() -> None:
    calm = await at_every_event([parent, child])
    assert types(calm).count("run.completed") == 2


async def test_what_fails_in_a_child_is_its_parents_to_catch(world: World) -> None:
    @workflow("broken")
    async def broken(ctx: WorkflowContext, input: None) -> None:
        raise ValueError("no good")

    @workflow("careful", version="1")
    async def careful(ctx: WorkflowContext, input: bool) -> Any:
        try:
            await ctx.run(broken)
        except ChildFailed as error:
            await ctx.notify("caught")
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return [error.workflow, error.code, str(error.failure.message)]

    first = await world.worker(careful, broken)
    ticket = await world.ask("careful", True)
    await world.has(ticket, "notification.sent")
    await first.crash()
    await world.worker(careful, broken, name="w2")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == ["broken", "workflow-error", "ValueError: no good"]
    assert types(events).count("run.failed") == 1


async def test_a_child_nobody_catches_fails_its_parent_by_name(memory_world: World) -> None:
    world = memory_world

    @workflow("broken")
    async def broken(ctx: WorkflowContext, input: None) -> Any:
        return "x" * 300_000

    @workflow("hopeful")
    async def hopeful(ctx: WorkflowContext, input: None) -> None:
        await ctx.run(broken)

    await world.worker(hopeful, broken)
    ticket = await world.ask("hopeful")
    await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    assert types(events)[-2:] == ["run.failed", "run.failed"]
    assert "workflow 'broken'" in data(events[-1])["error"]["message"]


@workflow("endless", version="1")
async def endless(ctx: WorkflowContext, input: None) -> None:
    await ctx.message("here")
    await ctx.step("wait", asyncio.Event().wait)


@workflow("between", version="1")
async def between(ctx: WorkflowContext, input: None) -> None:
    await ctx.run(endless)


@workflow("above", version="1")
async def above(ctx: WorkflowContext, input: None) -> str:
    try:
        await ctx.run(between)
    except ChildFailed as error:
        return error.code
    return "?"


async def test_cancelling_a_parent_cancels_all_generations_below_it(world: World) -> None:
    await world.worker(above, between, endless)
    ticket = await world.ask("above")
    await world.has(ticket, "step.started")
    await world.cancel(ticket, "enough")
    assert (await world.reaches(ticket)).status is RunStatus.CANCELLED
    events = await world.events(ticket.session)
    check_log(events)
    ends = of_type(events, "run.cancelled")
    kids = children(events, ticket)
    # The youngest first: a run's end is its last event, and a family's stream ends with the eldest.
    assert [e.run_id for e in ends] == [kids[1], kids[0], ticket.run_id]
    assert {data(e)["reason"] for e in ends} == {"enough"}
    for kid in kids:
        assert (await world.store.desk.run(TENANT, kid)).status is RunStatus.CANCELLED


async def test_a_child_may_be_cancelled_alone_and_its_parent_learns_of_it(world: World) -> None:
    await world.worker(above, between, endless)
    ticket = await world.ask("above")
    await world.has(ticket, "step.started")
    [kid, _] = children(await world.events(ticket.session), ticket)
    await world.store.desk.cancel(TENANT, kid, reason="not you")
    await world.stream.hint_work(ticket.session)
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "cancelled"
    assert types(events)[-4:] == [
        *("command.accepted", "run.cancelled", "run.cancelled", "run.completed"),
    ] or types(events)[-4:] == [
        "run.cancelled",
        "command.accepted",
        "run.cancelled",
        "run.completed",
    ]
    assert await world.claims.pending([ticket.session]) == []


@workflow("asking", version="1")
async def asking(ctx: WorkflowContext, input: None) -> str:
    answer = await ctx.input("which?", schema=str)
    return await ctx.message(f"so it is {answer}")


@workflow("delegating", version="1")
async def delegating(ctx: WorkflowContext, input: None) -> str:
    try:
        return await ctx.run(asking)
    except ChildFailed as error:
        return error.code


@pytest.fixture
async def waiting(world: World) -> tuple[Ticket, str]:
    """A run whose child waits for an answer, and nobody works on either."""
    await world.worker(delegating, asking)
    ticket = await world.ask("delegating")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    [kid] = children(await world.events(ticket.session), ticket)
    return ticket, kid


async def test_a_child_that_waits_holds_no_worker_and_is_answered_by_its_own_id(
    world: World, waiting: tuple[Ticket, str]
) -> None:
    ticket, kid = waiting
    row = await world.store.desk.run(TENANT, kid)
    assert (row.status, row.due) == (RunStatus.WAITING, False)
    [input_id] = row.waiting
    await world.store.desk.answer(TENANT, kid, input_id, "blue")
    await world.stream.hint_work(ticket.session)
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "so it is blue"
    resumed = of_type(events, "run.resumed")
    assert [(e.run_id, data(e)["reason"]) for e in resumed] == [
        (ticket.run_id, "input"),
        (kid, "input"),
    ]
    state = fold(events)
    assert not state.pending_inputs.all


async def test_a_waiting_child_is_cancelled_with_its_parent(
    world: World, waiting: tuple[Ticket, str]
) -> None:
    ticket, kid = waiting
    await world.cancel(ticket)
    await world.reaches(ticket, RunStatus.CANCELLED)
    events = await world.events(ticket.session)
    check_log(events)
    assert [e.run_id for e in of_type(events, "run.cancelled")] == [kid, ticket.run_id]
    assert (await world.store.desk.run(TENANT, kid)).status is RunStatus.CANCELLED


async def test_a_waiting_child_that_is_cancelled_alone_lets_its_parent_go_on(
    world: World, waiting: tuple[Ticket, str]
) -> None:
    ticket, kid = waiting
    await world.store.desk.cancel(TENANT, kid)
    await world.stream.hint_work(ticket.session)
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "cancelled"


async def test_an_erased_session_ends_its_families_once(
    world: World, waiting: tuple[Ticket, str]
) -> None:
    ticket, kid = waiting
    await world.erase(ticket)
    await world.reaches(ticket, RunStatus.CANCELLED)
    assert (await world.store.desk.run(TENANT, kid)).status is RunStatus.CANCELLED


async def test_children_in_lanes_run_at_once_and_wait_alone(world: World) -> None:
    @workflow("many")
    async def many(ctx: WorkflowContext, input: None) -> Any:
        async def ask(ctx: WorkflowContext) -> str:
            return await ctx.run(asking)

        async def work(ctx: WorkflowContext) -> str:
            return await ctx.run(child, {"text": "tea"}, returns=None)

        return await ctx.parallel({"ask": ask, "work": work}, on_error="raise")

    await world.worker(many, asking, child)
    ticket = await world.ask("many")
    await world.reaches(ticket, RunStatus.WAITING)
    kids = children(await world.events(ticket.session), ticket)
    rows = {kid: await world.store.desk.run(TENANT, kid) for kid in kids}
    [asker] = [row for row in rows.values() if row.waiting]
    await world.store.desk.answer(TENANT, asker.run_id, next(iter(asker.waiting)), "blue")
    await world.stream.hint_work(ticket.session)
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == {"ask": "so it is blue", "work": {"text": "TEA"}}


async def test_a_waiting_child_in_a_lane_is_cancelled_while_another_lane_works(
    world: World,
) -> None:
    go = asyncio.Event()

    @workflow("both", version="1")
    async def both(ctx: WorkflowContext, input: None) -> Any:
        async def asks(ctx: WorkflowContext) -> str:
            try:
                return await ctx.run(asking)
            except ChildFailed as error:
                return await ctx.message(error.code)

        async def works(ctx: WorkflowContext) -> None:
            await ctx.step("work", go.wait)

        return await ctx.parallel([asks, works], on_error="raise")

    await world.worker(both, asking)
    ticket = await world.ask("both")
    await world.has(ticket, "input.requested")
    await world.has(ticket, "step.started")
    [kid] = children(await world.events(ticket.session), ticket)
    await world.store.desk.cancel(TENANT, kid)
    await world.stream.hint_work(ticket.session)
    await world.has(ticket, "message.completed")
    go.set()
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == ["cancelled", None]
    assert types(events).count("run.cancelled") == 1


async def test_a_child_that_nobody_waits_for_ends_with_its_parent(memory_world: World) -> None:
    world = memory_world
    left: list[asyncio.Task[Any]] = []
    begun = asyncio.Event()

    @workflow("aside")
    async def aside(ctx: WorkflowContext, input: None) -> None:
        begun.set()
        await asyncio.Event().wait()

    @workflow("forgetful")
    async def forgetful(ctx: WorkflowContext, input: None) -> str:
        left.append(asyncio.ensure_future(ctx.branch("aside").run(aside)))
        await begun.wait()
        return "done"

    await world.worker(forgetful, aside)
    ticket = await world.ask("forgetful")
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    check_log(events)
    assert types(events)[-2:] == ["run.cancelled", "run.completed"]
    left[0].cancel()
    await asyncio.wait(left)


async def test_a_grandchild_ends_with_its_parent_whose_result_can_not_be_written(
    memory_world: World,
) -> None:
    world = memory_world
    left: list[asyncio.Task[Any]] = []
    begun = asyncio.Event()

    @workflow("aside")
    async def aside(ctx: WorkflowContext, input: None) -> None:
        begun.set()
        await asyncio.Event().wait()

    @workflow("large")
    async def large(ctx: WorkflowContext, input: None) -> str:
        left.append(asyncio.ensure_future(ctx.branch("aside").run(aside)))
        await begun.wait()
        return "x" * EVENT_BYTES_MAX

    @workflow("parent")
    async def parent(ctx: WorkflowContext, input: None) -> str:
        try:
            return await ctx.run(large)
        except ChildFailed as failed:
            return failed.failure.code

    await world.worker(parent, large, aside)
    ticket = await world.ask("parent")
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    check_log(events)
    assert types(events)[-3:] == ["run.cancelled", "run.failed", "run.completed"]
    statuses = [run.status for run in await world.store.desk.runs(TENANT, ticket.session_id)]
    assert all(status.ended for status in statuses)
    assert len(statuses) == 3
    left[0].cancel()
    await asyncio.wait(left)


async def test_a_childs_own_timeout_fails_it_alone(memory_world: World) -> None:
    world = memory_world

    @workflow("slow", timeout_s=0.1)
    async def slow(ctx: WorkflowContext, input: None) -> None:
        await ctx.input("ever?")

    @workflow("bossy")
    async def bossy(ctx: WorkflowContext, input: None) -> str:
        try:
            await ctx.run(slow)
        except ChildFailed as error:
            return error.code
        return "?"

    await world.worker(bossy, slow)
    ticket = await world.ask("bossy")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert data((await world.events(ticket.session))[-1])["result"] == "timeout"


async def answering(world: World, ticket: Ticket) -> None:
    """Answer whatever the run and its children ask, once each."""
    answered: set[str] = set()
    while True:
        for run_id in await world.store.reader.run_family(ticket.run_id):
            waiting = (await world.store.desk.run(TENANT, run_id)).waiting
            for input_id in set(waiting) - answered:
                with suppress(Refused):
                    await world.store.desk.answer(TENANT, run_id, input_id, "blue")
                    await world.stream.hint_work(ticket.session)
                answered.add(input_id)
        await asyncio.sleep(0.01)


async def test_a_child_that_asks_crashed_at_every_event_ends_the_same() -> None:
    calm = await at_every_event([delegating, asking], drive=answering)
    assert types(calm).count("input.received") == 1
