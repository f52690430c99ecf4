"""A run that is not done in its workflow's time fails, whatever it does then and whoever works on it."""

import asyncio
from typing import Any

import pytest

from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import ChildFailed, WorkflowContext
from holdfast.orchestrator.workflow import WorkflowError, workflow
from tests.orchestrator.harness import World, check_log, data, of_type, types


@workflow("slow", version="1", timeout_s=0.3, description="Never ends.")
async def slow(ctx: WorkflowContext, input: str) -> None:
    if input == "waits":
        await ctx.input("ever?")
    if input == "sleeps":
        await ctx.sleep(3600)
    await ctx.step("work", asyncio.Event().wait)


@pytest.mark.parametrize("how", ["works", "waits", "sleeps"])
async def test_a_run_fails_at_its_deadline_whatever_it_does(world: World, how: str) -> None:
    await world.worker(slow)
    ticket = await world.ask("slow", how)
    await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    check_log(events)
    error = data(events[-1])["error"]
    assert error["code"] == "timeout"
    for part in ("workflow 'slow'", "0.3 s", "timeout_s"):
        assert part in error["message"]
    assert (await world.run(ticket)).waiting == {}


async def test_a_deadline_that_passes_while_the_worker_is_dead_is_kept_by_the_next_one(
    world: World,
) -> None:
    calls: list[int] = []

    @workflow("mortal", version="1", timeout_s=0.5)
    async def mortal(ctx: WorkflowContext, input: None) -> None:
        calls.append(ctx.attempt)
        await ctx.step("work", asyncio.Event().wait)

    first = await world.worker(mortal)
    ticket = await world.ask("mortal")
    await world.has(ticket, "step.started")
    await first.crash()
    # The lease of a second outlives the deadline.
    await world.worker(mortal, name="w2")
    await world.reaches(ticket, RunStatus.FAILED)
    assert data((await world.events(ticket.session))[-1])["error"]["code"] == "timeout"
    assert calls == [1]


async def test_a_run_that_is_done_in_time_hears_nothing_of_its_deadline(world: World) -> None:
    @workflow("swift", timeout_s=60)
    async def swift(ctx: WorkflowContext, input: None) -> str:
        return await ctx.message("done")

    await world.worker(swift)
    ticket = await world.ask("swift")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_an_answer_in_time_lets_the_run_go_on_within_what_is_left(world: World) -> None:
    @workflow("brisk", timeout_s=1.5)
    async def brisk(ctx: WorkflowContext, input: None) -> Any:
        await ctx.input("go?")
        await ctx.step("work", asyncio.Event().wait)

    await world.worker(brisk)
    ticket = await world.ask("brisk")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.answer(ticket, True)
    await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    assert types(of_type(events, "step.started", "run.failed")) == ["step.started", "run.failed"]
    assert 1400 < data(events[-1])["duration_ms"] < 6000


def test_a_timeout_of_nothing_is_refused() -> None:
    with pytest.raises(WorkflowError, match="above zero"):
        workflow("never", timeout_s=0)


async def test_a_deadline_passes_while_a_child_waits(world: World) -> None:
    @workflow("asking")
    async def asking(ctx: WorkflowContext, input: None) -> None:
        await ctx.input("ever?")

    @workflow("above", timeout_s=0.3)
    async def above(ctx: WorkflowContext, input: None) -> None:
        await ctx.run(asking)

    await world.worker(above, asking)
    ticket = await world.ask("above")
    await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    check_log(events)
    assert types(events)[-2:] == ["run.cancelled", "run.failed"]
    assert data(events[-1])["error"]["code"] == "timeout"


async def test_a_childs_deadline_passes_in_a_lane_while_another_works(world: World) -> None:
    go = asyncio.Event()

    @workflow("hurried", timeout_s=0.3)
    async def hurried(ctx: WorkflowContext, input: None) -> None:
        await ctx.input("ever?")

    @workflow("both")
    async def both(ctx: WorkflowContext, input: None) -> Any:
        async def asks(ctx: WorkflowContext) -> str:
            try:
                return await ctx.run(hurried)
            except ChildFailed as error:
                go.set()
                return error.code

        async def works(ctx: WorkflowContext) -> None:
            await ctx.step("work", go.wait)

        return await ctx.parallel([asks, works], on_error="raise")

    await world.worker(both, hurried)
    ticket = await world.ask("both")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert data((await world.events(ticket.session))[-1])["result"] == ["timeout", None]
