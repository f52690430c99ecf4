"""What applications may do around the execution of their agents."""

import random
from types import ModuleType

import pytest
from pydantic import JsonValue

from holdfast.events.catalog import MessageCompleted, MessageDelta, RunStarted
from holdfast.events.recorded import Emission
from holdfast.events.store import Run
from holdfast.orchestrator.context import ChildFailed, WorkflowContext
from holdfast.orchestrator.middleware import (
    Blocked,
    Call,
    Middleware,
    RetryRuns,
    with_data,
    with_metadata,
)
from holdfast.orchestrator.workflow import Workflow, Workflows, workflow
from tests.orchestrator.harness import Rig, World


async def say(ctx: WorkflowContext) -> None:
    """One message, streamed."""

    async def words():
        for word in ("my code ", "is 1234", " thanks"):
            yield word

    await ctx.message(words())


@workflow("talks")
async def talks(ctx: WorkflowContext, _: JsonValue) -> str:
    await say(ctx)
    return "done"


def with_middlewares(*middlewares: Middleware, flow: Workflow = talks) -> Workflows:
    workflows = Workflows(middlewares=list(middlewares))
    workflows.add(flow)
    return workflows


async def ended(world: World, worker: Rig, workflow: str = "talks", given: JsonValue = None):
    """Run to the end; the run's events."""
    ticket = await world.ask(workflow, given)

    async def over() -> bool:
        return (await world.run(ticket)).status.ended

    await worker.until(over)
    return await world.events(ticket.session)


class Tags(Middleware):
    """Enriches."""

    def before(self, run: Run, emission: Emission) -> Emission:
        before = emission.context.metadata.get("tags")
        tags = [*(before if isinstance(before, list) else []), self.name]
        return with_metadata(emission, tags=tags)


class Hides(Middleware):
    """Redacts."""

    name = "hides"

    def before(self, run: Run, emission: Emission) -> Emission:
        match emission.event:
            case MessageDelta(text=text):
                return with_data(emission, text=text.replace("1234", "****"))
            case MessageCompleted(content=str(content)):
                return with_data(emission, content=content.replace("1234", "****"))
            case RunStarted():
                return with_data(emission, input=None)
            case _:
                return emission


async def test_events_are_enriched_in_order_before_they_are_appended(world: World):
    first, second = Tags(), Tags()
    first.name, first.order, second.name = "first", -1, "second"
    worker = await world.worker(loaded=with_middlewares(second, first))

    events = await ended(world, worker)

    mine = [e for e in events if e.run_id and e.type != "command.accepted"]
    assert mine
    assert {str(e.envelope["metadata"]["tags"]) for e in mine} == {"['first', 'second']"}


async def test_what_is_redacted_never_reaches_the_log(world: World):
    worker = await world.worker(loaded=with_middlewares(Hides()))

    events = await ended(world, worker, given={"pin": 1234})

    bodies = b"".join(e.body for e in events)
    assert b"1234" not in bodies
    assert b"****" in bodies
    assert events[-1].type == "run.completed"


async def test_each_attempt_tells_what_was_executed_around_it(world: World):
    outer, inner = Middleware(), Middleware()
    outer.name, inner.name = "outer", "inner"
    worker = await world.worker(loaded=with_middlewares(outer, inner))

    events = await ended(world, worker)

    told = [e.envelope["data"]["name"] for e in events if e.type == "middleware.executed"]
    assert told == ["inner", "outer"]
    assert [e.type for e in events[-3:]] == [
        "middleware.executed",
        "middleware.executed",
        "run.completed",
    ]


async def test_a_middleware_may_block_a_run(world: World):
    class Gate(Middleware):
        async def around(self, run: Run, call: Call) -> JsonValue:
            raise Blocked("not on Sundays")

    worker = await world.worker(loaded=with_middlewares(Middleware(), Gate()))

    events = await ended(world, worker)

    types = [e.type for e in events]
    assert "message.started" not in types
    failed = next(e for e in events if e.type == "middleware.failed")
    assert (failed.envelope["data"]["name"], failed.envelope["data"]["error"]["code"]) == (
        "Gate",
        "blocked",
    )
    # The outer one let it pass.
    assert types[-2:] == ["middleware.executed", "run.failed"]
    assert events[-1].envelope["data"]["error"]["code"] == "blocked"


async def test_a_middleware_may_run_an_attempt_again_and_what_is_recorded_is_not_done_again(
    world: World,
):
    calls: list[str] = []

    async def pay() -> str:
        calls.append("pay")
        return "paid"

    @workflow("pays")
    async def pays(ctx: WorkflowContext, _: JsonValue) -> str:
        paid = await ctx.step("pay", pay)
        calls.append("after")
        if calls.count("after") < 3:
            raise RuntimeError("not yet")
        return paid

    worker = await world.worker(
        loaded=with_middlewares(RetryRuns(tries=3, first_s=0.01), flow=pays)
    )

    events = await ended(world, worker, "pays")

    assert calls == ["pay", "after", "after", "after"]
    assert [e.type for e in events].count("run.retrying") == 2
    assert events[-1].envelope["data"]["result"] == "paid"


async def test_a_retry_that_does_not_help_fails_with_the_last_error(world: World):
    @workflow("breaks")
    async def breaks(ctx: WorkflowContext, _: JsonValue) -> None:
        raise RuntimeError("for good")

    worker = await world.worker(
        loaded=with_middlewares(RetryRuns(tries=2, first_s=0.01), flow=breaks)
    )

    events = await ended(world, worker, "breaks")

    assert [e.type for e in events[-3:]] == ["run.retrying", "middleware.executed", "run.failed"]
    assert "for good" in events[-1].envelope["data"]["error"]["message"]


@workflow("delegates")
async def delegates(ctx: WorkflowContext, _: JsonValue) -> JsonValue:
    try:
        return await ctx.run(talks)
    except ChildFailed as error:
        return error.code


def with_child(*middlewares: Middleware) -> Workflows:
    workflows = with_middlewares(*middlewares, flow=delegates)
    workflows.add(talks)
    return workflows


async def test_middlewares_are_around_child_runs_as_around_any_other_in_order(world: World):
    asked: list[tuple[str, str]] = []

    class Notes(Middleware):
        async def around(self, run: Run, call: Call) -> JsonValue:
            asked.append((self.name, run.workflow))
            return await call()

    outer, inner = Notes(), Notes()
    outer.name, inner.name = "outer", "inner"
    worker = await world.worker(loaded=with_child(outer, inner))

    events = await ended(world, worker, "delegates")

    assert asked == [
        ("outer", "delegates"),
        ("inner", "delegates"),
        ("outer", "talks"),
        ("inner", "talks"),
    ]
    own = [e for e in events if e.parent_run_id]
    assert [e.type for e in own[-3:]] == [
        "middleware.executed",
        "middleware.executed",
        "run.completed",
    ]
    assert [e.envelope["data"]["name"] for e in own[-3:-1]] == ["inner", "outer"]


async def test_a_middleware_may_block_a_child_alone(world: World):
    class Gate(Middleware):
        async def around(self, run: Run, call: Call) -> JsonValue:
            if run.parent_run_id is not None:
                raise Blocked("no children")
            return await call()

    worker = await world.worker(loaded=with_child(Gate()))

    events = await ended(world, worker, "delegates")

    own = [e.type for e in events if e.parent_run_id]
    assert own == ["run.started", "middleware.failed", "run.failed"]
    assert events[-1].type == "run.completed"
    assert events[-1].envelope["data"]["result"] == "blocked"


class Broken(Middleware):
    """Refuses to look at some types."""

    name = "broken"

    def __init__(self, *types: str) -> None:
        self.types = types

    def before(self, run: Run, emission: Emission) -> Emission:
        if emission.event.type in self.types:
            raise RuntimeError("cannot judge this")
        return emission


async def test_an_event_that_a_middleware_refuses_is_not_appended_and_the_run_fails(world: World):
    worker = await world.worker(loaded=with_middlewares(Broken("message.completed")))

    events = await ended(world, worker)

    assert "message.completed" not in [e.type for e in events]
    assert events[-1].type == "run.failed"
    assert events[-1].envelope["data"]["error"]["code"] == "middleware-failed"


@pytest.mark.parametrize("types", [("run.started",), ("run.completed", "run.failed")])
async def test_a_run_begins_and_ends_whatever_a_middleware_refuses(
    world: World, types: tuple[str, ...]
):
    """And what it would have hidden is not told."""
    worker = await world.worker(loaded=with_middlewares(Broken(*types)))

    events = await ended(world, worker, given={"pin": "9876-secret"})

    kinds = [e.type for e in events]
    assert "run.started" in kinds
    assert kinds[-1] in ("run.completed", "run.failed")
    if "run.started" in types:
        assert b"9876-secret" not in b"".join(e.body for e in events)


async def test_text_that_a_middleware_refuses_piece_by_piece_is_left_out(world: World):
    worker = await world.worker(loaded=with_middlewares(Broken("message.delta")))

    events = await ended(world, worker)

    deltas = [e.envelope["data"]["text"] for e in events if e.type == "message.delta"]
    assert set(deltas) == {""}
    assert events[-1].type == "run.completed"


async def test_a_middleware_cannot_change_what_an_event_is(world: World):
    class Renames(Middleware):
        def before(self, run: Run, emission: Emission) -> Emission:
            if emission.event.type == "message.completed":
                return Emission(MessageDelta(message_id="m", text="x"), emission.context)
            return emission

    worker = await world.worker(loaded=with_middlewares(Renames()))

    events = await ended(world, worker)

    assert "neither an event's type" in events[-1].envelope["data"]["error"]["message"]


def test_middlewares_and_listeners_are_found_beside_workflows(
    monkeypatch: pytest.MonkeyPatch,
):
    from holdfast.subscribe.bus import listen

    name = f"an_app_{random.randrange(10**9)}"
    module = ModuleType(name)
    middleware = Middleware()
    listener = listen("run.*")(print)
    vars(module).update(talks=talks, middleware=middleware, listener=listener)
    monkeypatch.setitem(__import__("sys").modules, name, module)
    workflows = Workflows()

    workflows.load([name])

    assert list(workflows.loaded) == ["talks"]
    assert workflows.middlewares == [middleware]
    assert workflows.declared.listeners == [listener]
