"""What was decided stands: nothing is read before it is written, and nothing comes after the end."""

import asyncio
from typing import Any

import pytest

from holdfast.events.store import RunRequest, RunStatus, SessionStatus
from holdfast.orchestrator.context import StepError, WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, check_log, data, types


@workflow("quick")
async def quick(ctx: WorkflowContext, input: None) -> str:
    await ctx.message("done")
    return "done"


async def test_a_run_that_was_cancelled_before_anybody_came_is_never_executed(world: World) -> None:
    """Start and cancel are both open when the session is claimed: the row is read after the cancel is committed."""
    ticket = await world.ask("quick")
    await world.cancel(ticket, "changed my mind")

    await world.worker(quick)
    await world.reaches(ticket, RunStatus.CANCELLED)
    after = await world.ask("quick", session_id=ticket.session_id)
    await world.reaches(after, RunStatus.COMPLETED)

    events = await world.events(ticket.session)
    assert "run.started" not in types([e for e in events if e.run_id == ticket.run_id])
    check_log(events)


async def test_a_run_that_is_cancelled_and_erased_in_one_go_ends_once(world: World) -> None:
    ticket = await world.ask("quick")
    await world.cancel(ticket)
    await world.erase(ticket)

    await world.worker(quick)

    async def erased() -> bool:
        info = await world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await world.until(erased)
    await world.released(ticket)
    events = await world.events(ticket.session)
    assert types(events) == ["session.erased"]
    assert data(events[0])["erased_through"] == events[0].seq - 1


async def test_branches_that_wait_at_the_same_time_wait_together(world: World) -> None:
    @workflow("two-questions")
    async def two_questions(ctx: WorkflowContext, input: None) -> list[Any]:
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(ask(ctx.branch(name), name)) for name in ("tea?", "biscuits?")
            ]
        return [task.result() for task in asked]

    async def ask(ctx: WorkflowContext, prompt: str) -> Any:
        return await ctx.input(prompt)

    await world.worker(two_questions)
    ticket = await world.ask("two-questions")

    async def both() -> bool:
        return len((await world.run(ticket)).waiting) == 2

    await world.until(both)
    waiting = (await world.run(ticket)).waiting
    for input_id, asked in list(waiting.items()):
        await world.released(ticket)
        await world.answer(ticket, f"yes to {asked['prompt']}", input_id)

    run = await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(run.session)
    assert data(events[-1])["result"] == ["yes to tea?", "yes to biscuits?"]
    check_log(events)


async def test_two_tasks_may_not_share_a_ctx_but_each_may_have_a_branch(world: World) -> None:
    """Ordinals that depend on which task came first would give a replay the other one's results."""

    async def work(ctx: WorkflowContext, name: str) -> str:
        fetched = await ctx.step("fetch", lambda: name)
        return await ctx.step("parse", lambda: f"parsed {fetched}")

    @workflow("shared")
    async def shared(ctx: WorkflowContext, input: None) -> list[str]:
        return list(await asyncio.gather(work(ctx, "A"), work(ctx, "B")))

    @workflow("branched")
    async def branched(ctx: WorkflowContext, input: None) -> list[str]:
        return list(await asyncio.gather(*(work(ctx.branch(n), n) for n in ("A", "B"))))

    await world.worker(shared, branched)
    misused = await world.ask("shared")
    right = await world.ask("branched")

    await world.reaches(misused, RunStatus.FAILED)
    await world.reaches(right, RunStatus.COMPLETED)
    said = data((await world.events(misused.session))[-1])["error"]["message"]
    assert "ctx.branch" in said
    events = await world.events(right.session)
    assert data(events[-1])["result"] == ["parsed A", "parsed B"]
    assert {e.lane for e in events if e.type == "step.completed"} == {"A", "B"}


async def test_a_failure_that_the_workflow_caught_is_caught_again_on_replay(world: World) -> None:
    calls: list[str] = []

    def fail() -> str:
        calls.append("called")
        if len(calls) > 1:
            return "better luck"
        raise ValueError("no luck")

    @workflow("forgiving")
    async def forgiving(ctx: WorkflowContext, input: None) -> str:
        try:
            found = await ctx.step("try", fail)
        except StepError as error:
            found = f"{error.code}: {error.failure.message}"
        await ctx.input("go on?")
        return found

    await world.worker(forgiving)
    ticket = await world.ask("forgiving")
    await world.reaches(ticket, RunStatus.WAITING)
    await world.released(ticket)
    await world.answer(ticket, True)

    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    assert calls == ["called"]
    assert data(events[-1])["result"] == "workflow-error: ValueError: no luck"
    assert types(events).count("step.failed") == 1


async def test_sys_exit_fails_the_run_and_not_the_worker(world: World) -> None:
    @workflow("exits")
    async def exits(ctx: WorkflowContext, input: None) -> None:
        raise SystemExit(3)

    await world.worker(exits, quick)
    ticket = await world.ask("exits")
    await world.reaches(ticket, RunStatus.FAILED)

    after = await world.ask("quick")
    await world.reaches(after, RunStatus.COMPLETED)
    assert "sys.exit(3)" in data((await world.events(ticket.session))[-1])["error"]["message"]


async def test_an_exception_that_lies_about_itself_still_ends_the_run(world: World) -> None:
    class Lying(Exception):
        code = "x" * 5000

        def info(self) -> str:
            raise RuntimeError("gotcha")

    @workflow("lying")
    async def lying(ctx: WorkflowContext, input: None) -> None:
        raise Lying("what really happened")

    await world.worker(lying)
    ticket = await world.ask("lying")

    run = await world.reaches(ticket, RunStatus.FAILED)
    error = data((await world.events(ticket.session))[-1])["error"]
    assert run.attempts == 1
    assert "what really happened" in error["message"]
    assert len(error["code"]) <= 64


@pytest.mark.parametrize("length", [600, 5000])
async def test_a_key_that_the_database_could_not_hold_fails_its_run_alone(
    world: World, length: int
) -> None:
    @workflow("wordy")
    async def wordy(ctx: WorkflowContext, input: None) -> None:
        await ctx.step("x" * length, lambda: 1)

    await world.worker(wordy, quick)
    ticket = await world.ask("wordy")
    await world.reaches(ticket, RunStatus.FAILED)

    after = await world.store.desk.start(TENANT, None, RunRequest(workflow="quick", input=None))
    await world.reaches(after, RunStatus.COMPLETED)
