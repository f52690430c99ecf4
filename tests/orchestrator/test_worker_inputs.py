"""Waiting for a person: the run holds no worker meanwhile, the first answer counts, a deadline ends the wait."""

# pyright: reportPrivateUsage=false

import asyncio
from typing import cast

import pytest

from holdfast.events.commands import CommandKind
from holdfast.events.errors import InputAnswered, InputUnknown
from holdfast.events.store import RunStatus
from holdfast.events.store_memory import MemoryStore
from holdfast.orchestrator.context import InputTimedOut, WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, check_log, data, of_type, types


@workflow("approval")
async def approval(ctx: WorkflowContext, input: None) -> dict[str, object]:
    draft = await ctx.message("a draft")
    approved = await ctx.input("good?", schema=bool)
    return {"draft": draft, "approved": approved}


async def test_a_waiting_run_gives_its_session_back_and_the_answer_resumes_it(world: World) -> None:
    await world.worker(approval)
    ticket = await world.ask("approval")
    run = await world.reaches(ticket, RunStatus.WAITING)
    [(input_id, asked)] = run.waiting.items()
    assert (asked["prompt"], asked["value_schema"]) == ("good?", {"type": "boolean"})
    await world.released(ticket)
    others = await world.claims.claim("w2", workflows=["approval"], lease_s=1, limit=9)
    assert not others

    await world.answer(ticket, True)
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == {"draft": "a draft", "approved": True}
    assert (run.attempts, run.waiting) == (2, {})
    check_log(events)
    after = types(events)[types(events).index("input.requested") :]
    assert after == ["input.requested", "input.received", "run.resumed", "run.completed"]
    [received] = of_type(events, "input.received")
    [resumed] = of_type(events, "run.resumed")
    assert data(received)["input_id"] == input_id
    assert data(received)["value"] is True
    assert data(resumed)["reason"] == "input"


async def test_the_second_answer_is_refused(world: World) -> None:
    await world.worker(approval)
    ticket = await world.ask("approval")
    await world.reaches(ticket, RunStatus.WAITING)
    input_id = await world.answer(ticket, True)
    with pytest.raises(InputAnswered):
        await world.answer(ticket, False, input_id)
    await world.reaches(ticket)
    received = of_type(await world.events(ticket.session), "input.received")
    assert [data(e)["value"] for e in received] == [True]


async def test_an_answer_nobody_asked_for_is_refused(world: World) -> None:
    await world.worker(approval)
    ticket = await world.ask("approval")
    await world.reaches(ticket, RunStatus.WAITING)
    with pytest.raises(InputUnknown):
        await world.answer(ticket, True, "something else")


async def test_a_deadline_without_an_answer_is_told_and_raised_in_the_workflow(
    world: World,
) -> None:
    @workflow("hurried")
    async def hurried(ctx: WorkflowContext, input: None) -> str:
        try:
            return await ctx.input("now?", timeout_s=0.4)
        except InputTimedOut:
            return "too late"

    await world.worker(hurried)
    ticket = await world.ask("hurried")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == "too late"
    [asked] = of_type(events, "input.requested")
    [expired] = of_type(events, "input.expired")
    assert data(expired)["input_id"] == data(asked)["input_id"]
    assert data(asked)["deadline"]
    [resumed] = of_type(events, "run.resumed")
    assert data(resumed)["reason"] == "timer"


async def test_an_expired_input_takes_no_answer_while_the_run_goes_on(world: World) -> None:
    @workflow("moved-on")
    async def moved_on(ctx: WorkflowContext, input: None) -> str:
        try:
            return await ctx.input("now?", timeout_s=0.2)
        except InputTimedOut:
            await ctx.notify("going on without you")
            await asyncio.sleep(0.7)
            return "alone"

    await world.worker(moved_on)
    ticket = await world.ask("moved-on")
    run = await world.reaches(ticket, RunStatus.WAITING)
    [input_id] = run.waiting
    await world.has(ticket, "notification.sent")
    with pytest.raises(InputUnknown):
        await world.answer(ticket, "yes", input_id)
    assert (await world.run(ticket)).status is RunStatus.RUNNING
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == "alone"
    assert not of_type(events, "input.received")


async def test_an_answer_that_crosses_the_deadline_is_rejected_in_the_log(
    memory_world: World,
) -> None:
    world = memory_world

    @workflow("crossing")
    async def crossing(ctx: WorkflowContext, input: None) -> str:
        try:
            return await ctx.input("now?", timeout_s=0.2)
        except InputTimedOut:
            await ctx.notify("going on without you")
            await asyncio.sleep(0.7)
            return "alone"

    # The poll is too slow to see the answer before the deadline's claim does, and no hint is given.
    await world.worker(crossing)
    ticket = await world.ask("crossing")
    run = await world.reaches(ticket, RunStatus.WAITING)
    [input_id] = run.waiting
    await world.has(ticket, "run.resumed")
    # Between the claim and the expiry's commit, the row still says that the run waits.
    state = cast("MemoryStore", world.store)._state
    row = state.runs[ticket.run_id]
    state.ask(
        state.sessions[row.session],
        CommandKind.INPUT,
        {"input_id": input_id, "value": "yes"},
        run_id=ticket.run_id,
    )
    await world.has(ticket, "command.rejected")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    [rejected] = of_type(events, "command.rejected")
    assert data(rejected)["reason"] == "expired"
    assert data(events[-1])["result"] == "alone"


async def test_questions_one_after_the_other_are_asked_once_each(world: World) -> None:
    @workflow("interview")
    async def interview(ctx: WorkflowContext, input: None) -> list[str]:
        return [await ctx.input(f"question {n}") for n in range(3)]

    await world.worker(interview)
    ticket = await world.ask("interview")
    for n in range(3):

        async def asked(n: int = n) -> bool:
            waiting = (await world.run(ticket)).waiting
            return any(w["prompt"] == f"question {n}" for w in waiting.values())

        await world.until(asked)
        await world.answer(ticket, f"answer {n}")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == ["answer 0", "answer 1", "answer 2"]
    prompts = [data(e)["prompt"] for e in of_type(events, "input.requested")]
    assert prompts == ["question 0", "question 1", "question 2"]
    check_log(events)


async def test_the_answer_is_found_by_a_worker_that_never_saw_the_question(world: World) -> None:
    first = await world.worker(approval)
    ticket = await world.ask("approval")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    await first.drain()
    # Nobody is there: the answer is kept.
    await world.store.desk.answer(
        TENANT, ticket.run_id, next(iter((await world.run(ticket)).waiting)), False
    )
    await world.worker(approval, name="w2")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == {"draft": "a draft", "approved": False}


async def test_a_long_pause_holds_no_worker(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.orchestrator.context_wait.SLEEP_IN_PLACE_MAX_S", 0.1)

    @workflow("nap")
    async def nap(ctx: WorkflowContext, input: None) -> str:
        await ctx.sleep(0.5)
        return "awake"

    await world.worker(nap)
    ticket = await world.ask("nap")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert run.attempts == 2
    assert data(of_type(events, "run.resumed")[0])["reason"] == "timer"
    assert data(events[-1])["result"] == "awake"
    assert (events[-1].ts - of_type(events, "run.started")[0].ts).total_seconds() >= 0.5


async def test_an_answer_that_comes_while_the_run_is_resumed_reaches_it(world: World) -> None:
    @workflow("slow-start")
    async def slow_start(ctx: WorkflowContext, input: None) -> str:
        if ctx.attempt > 1:
            await ctx.notify("resumed")
            # Long enough for the answer to come before the question is reached again.
            await asyncio.sleep(0.5)
        return await ctx.input("now?", timeout_s=0.3)

    await world.worker(slow_start)
    ticket = await world.ask("slow-start")
    run = await world.reaches(ticket, RunStatus.WAITING)
    [input_id] = run.waiting
    await world.has(ticket, "notification.sent")
    await world.answer(ticket, "just in time", input_id)
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "just in time"
    assert not of_type(events, "input.expired")
    assert (run.status, run.attempts, run.waiting) == (RunStatus.COMPLETED, 2, {})
