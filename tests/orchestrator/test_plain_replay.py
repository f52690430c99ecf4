"""Plain workflows are done over after a crash: what is recorded is skipped, what isn't is done again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from holdfast.events.store import RunStatus, Ticket
from holdfast.orchestrator.context import StepError, WorkflowContext
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.orchestrator.harness import World, check_log, data, of_type, shown, types

Body = Callable[[WorkflowContext], Awaitable[Any]]


class Crash:
    """A workflow that stands still at its end on the first attempt, so that it can be crashed there."""

    def __init__(self, body: Body) -> None:
        self.attempts = 0
        self.results: list[Any] = []

        @workflow("crashing", version="1")
        async def crashing(ctx: WorkflowContext, input: dict[str, Any]) -> Any:
            self.attempts += 1
            result = await body(ctx)
            self.results.append(result)
            if ctx.attempt == 1 and not input.get("through"):
                await ctx.progress(1.0, "crash here")
                await asyncio.Event().wait()
            await ctx.progress(1.0, "crash here")
            return None

        self.workflow: Workflow = crashing

    async def through(self, world: World) -> Ticket:
        """Crash at the end of the first attempt and let another worker end the run."""
        first = await world.worker(self.workflow)
        ticket = await world.ask("crashing", {})

        async def at_the_end() -> bool:
            told = of_type(await world.events(ticket.session), "progress.updated")
            return any(data(e).get("label") == "crash here" for e in told)

        await world.until(at_the_end)
        await first.crash()
        await world.worker(self.workflow, name="w2")
        run = await world.reaches(ticket)
        assert (run.status, run.attempts, self.attempts) == (RunStatus.COMPLETED, 2, 2)
        return ticket


async def whole(world: World, body: Body) -> Ticket:
    """The same workflow without a crash, in a session of its own."""
    crash = Crash(body)
    await world.worker(crash.workflow, name="calm")
    ticket = await world.ask("crashing", {"through": True})
    await world.reaches(ticket)
    return ticket


async def test_every_call_is_recorded_once_and_skipped_on_replay(world: World) -> None:
    called: list[str] = []

    class Product(BaseModel):
        name: str
        price: int

    async def body(ctx: WorkflowContext) -> Any:
        def note(value: Any) -> Any:
            called.append(str(value))
            return value

        def add(a: int, b: int) -> Any:
            return note(a + b)

        def search(q: str) -> Any:
            return note({"hits": [q]})

        async with ctx.agent("Ann", role="Architect") as ann:
            await ann.stage("design")
            await ann.stage("design")
            product = await ann.step(
                "product", lambda: note(Product(name="a", price=1)), returns=Product
            )
            assert isinstance(product, Product)
            said = await ann.message("hello")
        added = await ctx.step("add", add, 1, 2, public=True)
        again = await ctx.step("add", lambda: note(4))
        found = await ctx.tool("search", search, {"q": "x"})
        thought = await ctx.reasoning("hm")
        await ctx.progress(0.5, "half")
        await ctx.notify("note")
        await ctx.component("c1", "card", {"a": 1})
        await ctx.component("c1", "card", {"a": 2})
        await ctx.artifact("a1", "a.txt", content="text")
        await ctx.plan({"t1": "first"}, plan_id="p1")
        await ctx.state(a=1, b=None)
        now, chance, made = await ctx.now(), await ctx.random(), await ctx.uuid()
        assert isinstance(now, datetime)
        assert isinstance(made, UUID)
        await ctx.sleep(0.001)
        return [product, said, added, again, found, thought, now, chance, made]

    crash = Crash(body)
    ticket = await crash.through(world)
    events = await world.events(ticket.session)
    check_log(events)
    assert len(called) == 4
    assert crash.results[0] == crash.results[1]
    resumed = types(events).index("run.resumed")
    assert types(events)[resumed:] == ["run.resumed", "run.completed"]
    keys = (await world.claims.journal(ticket.run_id)).keys
    recorded = [seq for seq, _ in keys.values()]
    assert len(set(recorded)) == len(recorded)

    # What users see is what they had seen, had nothing happened; times and ids apart.
    calm = await whole(world, body)
    seen, smooth = (
        shown(events, ticket.run_id),
        shown(await world.events(calm.session), calm.run_id),
    )
    assert seen == smooth


async def test_a_step_that_was_interrupted_is_announced_and_called_again_with_the_same_key(
    world: World,
) -> None:
    keys: list[str] = []

    @workflow("interrupted")
    async def interrupted(ctx: WorkflowContext, input: None) -> int:
        async def work() -> int:
            keys.append(ctx.idempotency_key)
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return 42

        return await ctx.step("work", work, public=True)

    first = await world.worker(interrupted)
    ticket = await world.ask("interrupted")
    await world.until(lambda: bool(keys))
    # The function is called only when its start is on disk.
    assert "step.started" in types(await world.events(ticket.session))
    await first.crash()
    await world.worker(interrupted, name="w2")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert keys == [f"{ticket.run_id}:work#1"] * 2
    steps = [e.type for e in events if e.type.startswith("step.")]
    assert steps == ["step.started", "step.restarted", "step.started", "step.completed"]
    assert {e.step for e in events if e.type.startswith("step.")} == {"work#1"}
    assert data(events[-1])["result"] == 42


async def test_a_step_is_not_called_before_its_start_is_on_disk(memory_world: World) -> None:
    world = memory_world
    append, begun = world.store.writer.append, asyncio.Event()
    held = asyncio.Event()
    called: list[int] = []

    async def slow(batches: Any) -> frozenset[int]:
        if any(e.type == "step.started" for b in batches for e in b.events):
            begun.set()
            await held.wait()
        return await append(batches)

    world.store.writer.append = slow  # pyright: ignore[reportAttributeAccessIssue]

    @workflow("careful")
    async def careful(ctx: WorkflowContext, input: None) -> None:
        await ctx.step("work", lambda: called.append(1))

    await world.worker(careful)
    ticket = await world.ask("careful")
    await begun.wait()
    for _ in range(100):
        await asyncio.sleep(0)
    assert called == []
    held.set()
    await world.reaches(ticket)
    assert called == [1]


async def test_a_tool_that_was_interrupted_is_called_again_under_its_call_id(world: World) -> None:
    calls: list[str] = []

    @workflow("tooling")
    async def tooling(ctx: WorkflowContext, input: None) -> Any:
        async def search(q: str) -> Any:
            calls.append(ctx.idempotency_key)
            if ctx.attempt == 1:
                await asyncio.Event().wait()
            return {"hit": q}

        return await ctx.tool("search", search, {"q": "x"})

    first = await world.worker(tooling)
    ticket = await world.ask("tooling")
    await world.until(lambda: bool(calls))
    await first.crash()
    await world.worker(tooling, name="w2")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert calls == [f"{ticket.run_id}:tool:search#1"] * 2
    tools = of_type(events, "tool.started", "tool.completed", "step.restarted")
    assert types(tools) == ["tool.started", "step.restarted", "tool.started", "tool.completed"]
    ids = {data(e)["call_id"] for e in tools if e.type != "step.restarted"}
    assert len(ids) == 1
    assert data(events[-1])["result"] == {"hit": "x"}


async def test_a_failing_step_and_a_failing_tool_fail_the_run_with_their_error(
    world: World,
) -> None:
    @workflow("failing")
    async def failing(ctx: WorkflowContext, input: str) -> None:
        def fail(**_: Any) -> None:
            raise ValueError("no good")

        async with ctx.agent("Ann") as ann:
            await (ann.step("work", fail) if input == "step" else ann.tool("work", fail))

    await world.worker(failing)
    for kind in ("step", "tool"):
        ticket = await world.ask("failing", kind)
        await world.reaches(ticket, RunStatus.FAILED)
        events = await world.events(ticket.session)
        assert types(events)[-3:] == [f"{kind}.failed", "agent.failed", "run.failed"]
        said = [data(event)["error"]["message"] for event in events[-3:]]
        wrapped = "'work' of workflow 'failing': ValueError: no good"
        assert said[:2] == ["ValueError: no good", wrapped]
        assert said[2].startswith(f"{wrapped}; ")


async def test_a_workflow_may_catch_a_steps_error_and_go_on(world: World) -> None:
    @workflow("forgiving")
    async def forgiving(ctx: WorkflowContext, input: None) -> str:
        def fail() -> None:
            raise ValueError("no good")

        try:
            await ctx.step("work", fail)
        except StepError:
            return await ctx.message("never mind")
        return "?"

    await world.worker(forgiving)
    ticket = await world.ask("forgiving")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_a_workflow_that_contradicts_its_log_fails_with_nondeterminism(
    world: World,
) -> None:
    @workflow("fickle", version="1")
    async def fickle(ctx: WorkflowContext, input: None) -> None:
        if ctx.attempt == 1:
            await ctx.tool("search", lambda: asyncio.Event().wait())
        else:
            await ctx.step("tool:search", lambda: 1)

    first = await world.worker(fickle)
    ticket = await world.ask("fickle")
    await world.has(ticket, "tool.started")
    await first.crash()
    await world.worker(fickle, name="w2")
    await world.reaches(ticket, RunStatus.FAILED)
    error = data((await world.events(ticket.session))[-1])["error"]
    assert error["code"] == "nondeterminism"
    assert "tool.started" in error["message"]
    assert "step.started" in error["message"]


async def test_a_result_that_is_no_json_fails_the_step_or_the_run_with_a_clear_code(
    world: World,
) -> None:
    @workflow("odd")
    async def odd(ctx: WorkflowContext, input: str) -> Any:
        if input == "step":
            await ctx.step("work", lambda: object())
        return object()

    await world.worker(odd)
    for kind in ("step", "run"):
        ticket = await world.ask("odd", kind)
        await world.reaches(ticket, RunStatus.FAILED)
        events = await world.events(ticket.session)
        check_log(events)
        assert data(events[-1])["error"]["code"] == "event-invalid"


async def test_a_run_too_large_for_one_event_still_ends(world: World) -> None:
    @workflow("huge")
    async def huge(ctx: WorkflowContext, input: None) -> str:
        return "x" * 300_000

    await world.worker(huge)
    ticket = await world.ask("huge")
    await world.reaches(ticket, RunStatus.FAILED)
    assert data((await world.events(ticket.session))[-1])["error"]["code"] == "event-invalid"


async def test_the_idempotency_key_belongs_to_steps_alone(world: World) -> None:
    @workflow("keyless")
    async def keyless(ctx: WorkflowContext, input: None) -> str:
        return ctx.idempotency_key

    await world.worker(keyless)
    ticket = await world.ask("keyless")
    await world.reaches(ticket, RunStatus.FAILED)


async def test_steps_at_once_in_agents_of_their_own_are_each_recorded(world: World) -> None:
    @workflow("parallel")
    async def parallel(ctx: WorkflowContext, input: None) -> list[str]:
        async def turn(name: str) -> str:
            async with ctx.agent(name) as agent:
                await agent.step("work", lambda: asyncio.sleep(0.01))
                return await agent.message(f"I am {name}")

        return list(await asyncio.gather(*(turn(n) for n in ("Ann", "Bob", "Cid"))))

    await world.worker(parallel)
    ticket = await world.ask("parallel")
    await world.reaches(ticket)
    events = await world.events(ticket.session)
    assert data(events[-1])["result"] == ["I am Ann", "I am Bob", "I am Cid"]
    assert {(e.agent, data(e)["content"]) for e in of_type(events, "message.completed")} == {
        (name, f"I am {name}") for name in ("Ann", "Bob", "Cid")
    }
    assert len({e.step for e in of_type(events, "step.completed")}) == 3


@pytest.mark.parametrize("places", [1, 2, 3])
async def test_a_crash_between_any_two_calls_changes_nothing_that_is_shown(
    memory_world: World, places: int
) -> None:
    world = memory_world

    async def body(ctx: WorkflowContext) -> Any:
        for n in range(4):
            await ctx.message(f"message {n}")
            await ctx.step("work", int, n)
            if n == places and ctx.attempt == 1 and ctx.session_id != "calm":
                await ctx.notify("half way")
                await asyncio.sleep(0)
        return None

    crash = Crash(body)
    ticket = await crash.through(world)
    events = await world.events(ticket.session)
    contents = [data(e)["content"] for e in of_type(events, "message.completed")]
    assert contents == [f"message {n}" for n in range(4)]
