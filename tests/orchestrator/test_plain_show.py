"""Tasks, plans, progress by parts, shared state and defaults: what is shown is shown once, and computed the same."""

import asyncio
from typing import Any

import pytest

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import InputTimedOut, TaskDropped, WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.orchestrator.crashes import at_every_event
from tests.orchestrator.harness import World, data, of_type


@workflow("planned", version="1")
async def planned(ctx: WorkflowContext, input: None) -> Any:
    parts = ctx.parts({"read": 1, "write": 3})
    read, write, polish, sing = await ctx.plan(
        ["Read", "Write", "Polish", "Sing"], title="An essay"
    )
    async with ctx.task(read) as task:
        await task.message("reading")
        await parts.update("read", 0.5)
        await parts.done("read")
    async with ctx.task(write) as task:
        await task.step("write", int, 1)
        await parts.update("write", 0.5, "half a page")
    async with ctx.task(polish):
        raise TaskDropped("good enough")
    try:
        async with ctx.task(sing):
            raise ValueError("no voice")
    except ValueError:
        await ctx.notify("no song", level="warning")
    await ctx.state({"pages": 1, "draft": True})
    await ctx.state(pages=2, draft=None)
    await ctx.component("c1", "card", {"a": 1})
    await ctx.component("c1", "card", {"a": 2})
    return parts.fraction


async def test_tasks_progress_and_state_add_up_to_what_a_reader_sees(world: World) -> None:
    await world.worker(planned)
    ticket = await world.ask("planned")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    state = fold(events)
    tasks = [(t["title"], t["status"]) for t in state.tasks.all.values()]
    assert tasks == [
        ("Read", "completed"),
        ("Write", "completed"),
        ("Polish", "cancelled"),
        ("Sing", "failed"),
    ]
    told = [(data(e)["fraction"], data(e)["label"]) for e in of_type(events, "progress.updated")]
    assert told == [(0.125, "read"), (0.25, "read"), (0.625, "half a page")]
    assert state.shared == {"pages": 2}
    assert [c["content"] for c in state.components.all.values()] == [{"a": 2}]
    [said] = of_type(events, "message.completed")
    assert said.task_id == "1"
    assert data(events[-1])["result"] == 0.625


async def test_what_is_shown_crashed_at_every_event_is_the_same() -> None:
    await at_every_event([planned])


async def test_progress_never_goes_back_when_lanes_are_replayed(memory_world: World) -> None:
    world = memory_world

    @workflow("lanes", version="1")
    async def lanes(ctx: WorkflowContext, input: None) -> None:
        parts = ctx.parts({"a": 1, "b": 1})

        async def a(ctx: WorkflowContext) -> None:
            await ctx.step("wait", asyncio.sleep, 0.05)
            await parts.done("a")

        async def b(ctx: WorkflowContext) -> None:
            await parts.done("b")
            if ctx.attempt == 1:
                await asyncio.Event().wait()

        # One after the other when replayed: `a` reports before `b` has been replayed.
        await ctx.parallel([a, b], limit=2 if ctx.attempt == 1 else 1, on_error="raise")

    first = await world.worker(lanes)
    ticket = await world.ask("lanes")
    await world.has(ticket, "progress.updated")
    await first.crash()
    await world.worker(lanes, name="w2")
    await world.reaches(ticket, RunStatus.COMPLETED)
    told = of_type(await world.events(ticket.session), "progress.updated")
    assert [data(e)["fraction"] for e in told] == [0.5, 1.0]


@pytest.mark.parametrize("default", ["red", None])
async def test_a_default_is_the_answer_when_nobody_gives_one(world: World, default: Any) -> None:
    @workflow("defaulting")
    async def defaulting(ctx: WorkflowContext, input: None) -> Any:
        return [await ctx.input("which?", timeout_s=0.1, default=default)]

    await world.worker(defaulting)
    ticket = await world.ask("defaulting")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert data((await world.events(ticket.session))[-1])["result"] == [default]


async def test_without_a_default_the_error_says_who_asked_what_and_what_to_do(
    memory_world: World,
) -> None:
    world, told = memory_world, list[str]()

    @workflow("strict")
    async def strict(ctx: WorkflowContext, input: None) -> None:
        try:
            await ctx.input("which?", timeout_s=0.1)
        except InputTimedOut as error:
            told.append(str(error))

    await world.worker(strict)
    ticket = await world.ask("strict")
    await world.reaches(ticket, RunStatus.COMPLETED)
    for part in ("workflow 'strict'", "'which?'", "0.1 s", "default"):
        assert part in told[-1]


async def test_parts_without_weight_and_unknown_parts_are_refused(memory_world: World) -> None:
    world = memory_world

    @workflow("odd")
    async def odd(ctx: WorkflowContext, input: str) -> None:
        await ctx.parts({"a": 0 if input == "weightless" else 1}).update("b", 1)

    await world.worker(odd)
    for input, said in (("weightless", "above zero"), ("unknown", "no part 'b'; there are a")):
        ticket = await world.ask("odd", input)
        await world.reaches(ticket, RunStatus.FAILED)
        assert said in data((await world.events(ticket.session))[-1])["error"]["message"]
