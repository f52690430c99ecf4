"""What people tell a run unasked reaches it in order, once, and at the same places on every replay."""

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel

from holdfast.events.errors import RunEnded
from holdfast.events.store import Idempotency, RunStatus, Ticket
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.crashes import at_every_event
from tests.orchestrator.harness import World, check_log, data, of_type, types


async def tell(world: World, ticket: Ticket, *values: Any) -> None:
    """Tell a run something, as a gateway does."""
    for value in values:
        await world.store.desk.steer(TENANT, ticket.run_id, value)
    await world.stream.hint_work(ticket.session)


async def test_a_run_at_work_sees_what_it_was_told_since_its_last_look(world: World) -> None:
    go = asyncio.Event()

    @workflow("steered")
    async def steered(ctx: WorkflowContext, input: None) -> Any:
        before = await ctx.notes()
        await ctx.step("work", go.wait)
        return [before, await ctx.notes(), await ctx.notes()]

    await world.worker(steered)
    ticket = await world.ask("steered")
    await world.has(ticket, "step.started")
    await tell(world, ticket, "shorter", {"tone": "warm"})
    await world.has(ticket, "input.received", 2)
    go.set()
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == [[], ["shorter", {"tone": "warm"}], []]
    told = of_type(events, "input.received")
    assert [data(e)["value"] for e in told] == ["shorter", {"tone": "warm"}]


async def test_a_run_that_listens_waits_without_a_worker_and_wakes_at_the_next_note(
    world: World,
) -> None:
    class Order(BaseModel):
        text: str

    @workflow("listening")
    async def listening(ctx: WorkflowContext, input: None) -> Any:
        heard: list[str] = []
        async for order in ctx.inbox(returns=Order):
            heard.append(order.text)
            await ctx.message(f"heard {order.text}")
            if order.text == "stop":
                break
        return heard

    await world.worker(listening)
    ticket = await world.ask("listening")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    await tell(world, ticket, {"text": "left"})
    await world.has(ticket, "message.completed")
    await world.reaches(ticket, RunStatus.WAITING)
    await tell(world, ticket, {"text": "right"}, {"text": "stop"})
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == ["left", "right", "stop"]
    assert types(events).count("message.completed") == 3


async def test_a_lane_may_listen_while_another_works(memory_world: World) -> None:
    world, go = memory_world, asyncio.Event()

    @workflow("both")
    async def both(ctx: WorkflowContext, input: None) -> Any:
        async def listens(ctx: WorkflowContext) -> str:
            return await ctx.message(await ctx.note())

        async def works(ctx: WorkflowContext) -> None:
            await ctx.step("work", go.wait)

        return await ctx.parallel([listens, works], on_error="raise")

    await world.worker(both)
    ticket = await world.ask("both")
    await world.has(ticket, "step.started")
    await tell(world, ticket, "hello")
    await world.has(ticket, "message.completed")
    go.set()
    assert (await world.reaches(ticket)).attempts == 1


async def test_what_a_run_was_told_before_it_began_is_there_when_it_does(world: World) -> None:
    @workflow("later")
    async def later(ctx: WorkflowContext, input: None) -> Any:
        return await ctx.notes()

    @workflow("first")
    async def first(ctx: WorkflowContext, input: None) -> None:
        await ctx.input("go?")

    await world.worker(first, later)
    ahead = await world.ask("first")
    queued = await world.ask("later", session_id=ahead.session_id)
    await world.reaches(ahead, RunStatus.WAITING)
    await tell(world, queued, "early")
    await world.has(queued, "input.received")
    await world.released(ahead)
    await world.answer(ahead, True)
    assert (await world.reaches(queued)).status is RunStatus.COMPLETED
    events = await world.events(queued.session)
    check_log(events)
    assert data(events[-1])["result"] == ["early"]


async def test_a_run_that_has_ended_can_be_told_nothing(world: World) -> None:
    @workflow("brief")
    async def brief(ctx: WorkflowContext, input: None) -> None:
        pass

    await world.worker(brief)
    ticket = await world.ask("brief")
    await world.reaches(ticket)
    with pytest.raises(RunEnded):
        await tell(world, ticket, "too late")


async def test_the_same_request_tells_a_run_once(world: World) -> None:
    @workflow("hearing")
    async def hearing(ctx: WorkflowContext, input: None) -> Any:
        return [await ctx.note(), await ctx.notes()]

    await world.worker(hearing)
    ticket = await world.ask("hearing")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    same = Idempotency(key="k", request_hash=b"h")
    for _ in range(2):
        await world.store.desk.steer(TENANT, ticket.run_id, "once", idempotency=same)
    await world.stream.hint_work(ticket.session)
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert data((await world.events(ticket.session))[-1])["result"] == ["once", []]


async def test_a_steered_run_crashed_at_every_event_sees_the_same_at_the_same_places() -> None:
    @workflow("steady", version="1")
    async def steady(ctx: WorkflowContext, input: None) -> Any:
        first = await ctx.note()
        await ctx.message(f"first {first}")
        second = await ctx.note()
        await ctx.message(f"second {second}")
        return [first, second, await ctx.notes()]

    async def telling(world: World, ticket: Ticket) -> None:
        await tell(world, ticket, 1, 2)

    calm = await at_every_event([steady], drive=telling)
    assert data(calm[-1])["result"] == [1, 2, []]
