"""Lanes of one run interleave in one log, fail alone, are bounded, and wait without holding each other up."""

import asyncio
from typing import Any

import pytest

from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import LaneFailed, StepError, WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.orchestrator.crashes import at_every_event
from tests.orchestrator.harness import World, check_log, data, of_type, types


async def test_lanes_interleave_and_their_results_come_in_the_order_given(world: World) -> None:
    @workflow("team")
    async def team(ctx: WorkflowContext, input: None) -> Any:
        meeting = asyncio.Barrier(2)

        async def turn(ctx: WorkflowContext) -> str:
            async with ctx.agent("Worker") as agent:
                await agent.message("one")
                await meeting.wait()
                return await agent.message("two")

        async def late(ctx: WorkflowContext) -> str:
            await asyncio.sleep(0.02)
            return await turn(ctx)

        found = await ctx.parallel({"b": late, "a": turn})
        listed = await ctx.parallel([turn, late], on_error="raise")
        return [[name, lane.ok, lane.value] for name, lane in found.items()] + [listed]

    await world.worker(team)
    ticket = await world.ask("team")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == [
        ["b", True, "two"],
        ["a", True, "two"],
        ["two", "two"],
    ]
    said = [e.lane for e in of_type(events, "message.completed")]
    assert said[:2] == ["a", "b"]
    assert sorted(said[:4]) == ["a", "a", "b", "b"]
    assert {e.lane for e in of_type(events, "agent.started")} == {"a", "b", "1", "2"}


async def test_one_lanes_failure_leaves_the_others_alone(world: World) -> None:
    @workflow("mixed")
    async def mixed(ctx: WorkflowContext, input: None) -> Any:
        def fail() -> None:
            raise ValueError("no good")

        async def bad(ctx: WorkflowContext) -> None:
            async with ctx.agent("Bad") as agent:
                await agent.step("work", fail)

        async def good(ctx: WorkflowContext) -> str:
            await asyncio.sleep(0.02)
            return await ctx.message("fine")

        lanes = await ctx.parallel({"bad": bad, "good": good})
        assert lanes["bad"].error is not None
        try:
            assert lanes["bad"].value is None
        except LaneFailed as error:
            return [error.code, lanes["bad"].error.message, lanes["good"].value]

    await world.worker(mixed)
    ticket = await world.ask("mixed")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == [
        "workflow-error",
        "'work' of workflow 'mixed': ValueError: no good",
        "fine",
    ]
    [failed] = of_type(events, "agent.failed")
    assert failed.lane == "bad"


async def test_the_first_failure_may_stop_the_others(memory_world: World) -> None:
    world, stopped = memory_world, list[str]()

    @workflow("strict")
    async def strict(ctx: WorkflowContext, input: None) -> Any:
        def fail() -> None:
            raise ValueError("no good")

        async def bad(ctx: WorkflowContext) -> None:
            await ctx.step("work", fail)

        async def endless(ctx: WorkflowContext) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                stopped.append("endless")

        try:
            await ctx.parallel([bad, endless], on_error="raise")
        except StepError as error:
            return error.name

    await world.worker(strict)
    ticket = await world.ask("strict")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert data((await world.events(ticket.session))[-1])["result"] == "work"
    assert stopped == ["endless"]


async def test_no_more_lanes_than_the_limit_are_at_work_at_once(memory_world: World) -> None:
    world = memory_world
    now, most = 0, 0

    @workflow("bounded")
    async def bounded(ctx: WorkflowContext, input: None) -> None:
        async def lane(ctx: WorkflowContext) -> None:
            nonlocal now, most
            now, most = now + 1, max(most, now + 1)
            await ctx.step("rest", asyncio.sleep, 0.005)
            now -= 1

        await ctx.parallel([lane] * 9, limit=3, on_error="raise")

    await world.worker(bounded)
    ticket = await world.ask("bounded")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert most == 3


async def test_lanes_in_lanes_have_keys_and_names_of_their_own(memory_world: World) -> None:
    world = memory_world

    @workflow("nested", version="1")
    async def nested(ctx: WorkflowContext, input: None) -> Any:
        async def leaf(ctx: WorkflowContext) -> str:
            await ctx.stage("working")
            return await ctx.message("leaf")

        async def inner(ctx: WorkflowContext) -> list[str]:
            return await ctx.parallel([leaf, leaf], on_error="raise")

        return await ctx.parallel({"a": inner, "b": inner}, on_error="raise")

    await world.worker(nested)
    ticket = await world.ask("nested")
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    assert {e.lane for e in of_type(events, "message.completed")} == {"a/1", "a/2", "b/1", "b/2"}
    # Which lane changed the stage first is chance; each tells of its own.
    assert types(events).count("stage.changed") == 4
    assert data(events[-1])["result"] == {"a": ["leaf"] * 2, "b": ["leaf"] * 2}


async def test_a_cancelled_run_stops_all_of_its_lanes(world: World) -> None:
    stopped: list[str] = []

    @workflow("endless")
    async def endless(ctx: WorkflowContext, input: None) -> None:
        async def lane(ctx: WorkflowContext) -> None:
            try:
                await ctx.message("here")
                await asyncio.Event().wait()
            finally:
                stopped.append("lane")

        async def outer(ctx: WorkflowContext) -> None:
            await ctx.parallel([lane, lane])

        await ctx.parallel([outer, lane])

    await world.worker(endless)
    ticket = await world.ask("endless")
    await world.has(ticket, "message.completed", 3)
    await world.cancel(ticket)
    assert (await world.reaches(ticket)).status is RunStatus.CANCELLED
    assert stopped == ["lane"] * 3
    check_log(await world.events(ticket.session))


async def test_a_lane_that_waits_for_a_person_holds_nobody_up_and_goes_on_at_the_answer(
    world: World,
) -> None:
    go = asyncio.Event()

    @workflow("asking")
    async def asking(ctx: WorkflowContext, input: None) -> Any:
        async def asks(ctx: WorkflowContext) -> str:
            answer = await ctx.input("which?")
            return await ctx.message(f"so it is {answer}")

        async def works(ctx: WorkflowContext) -> str:
            await ctx.step("work", go.wait)
            return await ctx.message("worked")

        return await ctx.parallel({"asks": asks, "works": works}, on_error="raise")

    await world.worker(asking)
    ticket = await world.ask("asking")
    await world.has(ticket, "input.requested")
    await world.has(ticket, "step.started")

    async def asked() -> bool:
        return bool((await world.run(ticket)).waiting)

    await world.until(asked)
    # The other lane is at work: the run is running, and would be found if its worker died.
    run = await world.run(ticket)
    assert (run.status, run.due) == (RunStatus.RUNNING, True)
    await world.answer(ticket, "blue")
    await world.has(ticket, "message.completed")
    go.set()
    assert (await world.reaches(ticket)).attempts == 1
    events = await world.events(ticket.session)
    check_log(events)
    said = [data(e)["content"] for e in of_type(events, "message.completed")]
    assert said == ["so it is blue", "worked"]


async def test_when_all_lanes_wait_the_run_waits_without_a_worker(world: World) -> None:
    @workflow("patient")
    async def patient(ctx: WorkflowContext, input: None) -> Any:
        async def asks(ctx: WorkflowContext) -> str:
            return await ctx.input("which?")

        async def inner(ctx: WorkflowContext) -> list[str]:
            return await ctx.parallel([asks, asks], on_error="raise")

        async def quick(ctx: WorkflowContext) -> str:
            return await ctx.message("done")

        return await ctx.parallel([asks, inner, quick], on_error="raise")

    await world.worker(patient)
    ticket = await world.ask("patient")
    run = await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    assert len(run.waiting) == 3
    for n, input_id in enumerate(sorted(run.waiting)):
        await world.answer(ticket, n, input_id)
        await world.has(ticket, "input.received", n + 1)
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    result = data(events[-1])["result"]
    assert sorted([result[0], *result[1]]) == [0, 1, 2]
    assert result[2] == "done"
    assert types(events).count("input.requested") == 3


async def test_a_lanes_deadline_passes_while_another_works(memory_world: World) -> None:
    world, go = memory_world, asyncio.Event()

    @workflow("hurried")
    async def hurried(ctx: WorkflowContext, input: None) -> Any:
        async def asks(ctx: WorkflowContext) -> str:
            answer = await ctx.input("which?", timeout_s=0.1, default="red")
            go.set()
            return answer

        async def works(ctx: WorkflowContext) -> None:
            await ctx.step("work", go.wait)

        return await ctx.parallel([asks, works], on_error="raise")

    await world.worker(hurried)
    ticket = await world.ask("hurried")
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == ["red", None]
    assert types(events).count("input.expired") == 1


async def test_lanes_crashed_at_every_event_end_the_same() -> None:
    @workflow("lanes", version="1")
    async def lanes(ctx: WorkflowContext, input: None) -> Any:
        async def turn(ctx: WorkflowContext) -> str:
            async with ctx.agent("Worker") as agent:
                await agent.step("work", int, 3, public=True)
                return await agent.message("done")

        def fail() -> None:
            raise ValueError("no good")

        async def bad(ctx: WorkflowContext) -> None:
            await ctx.step("work", fail)

        # One at a time, so that the order of what is shown doesn't vary.
        found = await ctx.parallel({"a": turn, "bad": bad, "b": turn}, limit=1)
        return [lane.ok for lane in found.values()]

    calm = await at_every_event([lanes])
    assert data(calm[-1])["result"] == [True, False, True]


async def test_a_lane_that_contradicts_its_log_fails_the_run_and_says_how(
    memory_world: World,
) -> None:
    world = memory_world

    @workflow("fickle", version="1")
    async def fickle(ctx: WorkflowContext, input: None) -> None:
        async def lane(ctx: WorkflowContext) -> None:
            if ctx.attempt == 1:
                await ctx.tool("search", asyncio.Event().wait)
            else:
                await ctx.step("tool:search", lambda: 1)

        await ctx.parallel({"a": lane})

    first = await world.worker(fickle)
    ticket = await world.ask("fickle")
    await world.has(ticket, "tool.started")
    await first.crash()
    await world.worker(fickle, name="w2")
    await world.reaches(ticket, RunStatus.FAILED)
    error = data((await world.events(ticket.session))[-1])["error"]
    assert error["code"] == "nondeterminism"
    for part in ("branch:a#1/tool:search#1", "workflow 'fickle'", "tool.started", "step.started"):
        assert part in error["message"]


@pytest.mark.parametrize("limit", [0, -1])
async def test_a_limit_below_one_is_refused(memory_world: World, limit: int) -> None:
    world = memory_world

    @workflow("odd")
    async def odd(ctx: WorkflowContext, input: None) -> None:
        await ctx.parallel([], limit=limit)

    await world.worker(odd)
    ticket = await world.ask("odd")
    await world.reaches(ticket, RunStatus.FAILED)
    assert "at least 1" in data((await world.events(ticket.session))[-1])["error"]["message"]
