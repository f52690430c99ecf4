"""What is asked of a session is settled in an order that the log can keep to."""

import asyncio

import pytest

from holdfast.events.codec import EVENT_BYTES_MAX
from holdfast.events.commands import CommandKind
from holdfast.events.recorded import Emission
from holdfast.events.state_memory import MemoryState
from holdfast.events.store import COMMANDS_AT_ONCE, OwnEvent, Run, RunStatus
from holdfast.events.store_memory import MemoryStore
from holdfast.orchestrator import session_log
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.middleware import Middleware
from holdfast.orchestrator.session_log import PENDING_BYTES_MAX, Entry, SessionLog
from holdfast.orchestrator.workflow import Workflows, workflow
from tests.factories import TENANT
from tests.orchestrator.harness import LEASE_S, World, data, of_type, types


def state_of(world: World) -> MemoryState:
    """What a gateway of an earlier moment left in the log, put there by hand."""
    assert isinstance(world.store, MemoryStore)
    return world.store._state  # pyright: ignore[reportPrivateUsage]


async def settled(world: World, session: int) -> None:
    """Wait until nothing is open and nobody owns the session."""
    row = state_of(world).sessions[session]
    await world.until(lambda: not any(row.open_commands()) and row.owner is None)


async def test_a_workflow_is_told_no_answer_that_the_log_refuses(memory_world: World):
    world, go, got = memory_world, asyncio.Event(), list[str]()

    @workflow("asking")
    async def asking(ctx: WorkflowContext, input: None) -> None:
        async def asks(ctx: WorkflowContext) -> None:
            got.append(await ctx.input("which?"))

        async def works(ctx: WorkflowContext) -> None:
            await ctx.step("work", go.wait)

        await ctx.parallel({"asks": asks, "works": works}, on_error="raise")

    await world.worker(asking)
    ticket = await world.ask("asking")
    await world.has(ticket, "input.requested")
    await world.has(ticket, "step.started")

    async def waits() -> bool:
        return bool((await world.run(ticket)).waiting)

    await world.until(waits)
    await world.answer(ticket, "x" * (EVENT_BYTES_MAX - 60))
    await world.has(ticket, "command.rejected")
    await world.answer(ticket, "small")
    await world.has(ticket, "input.received")
    go.set()
    run = await world.reaches(ticket)

    assert (run.status, got) == (RunStatus.COMPLETED, ["small"])


async def test_nothing_follows_the_expiry_of_a_session(memory_world: World):
    """Streams of it have ended: what was asked before it is appended before, and keeps it alive."""
    world = memory_world
    session = await world.store.desk.create_session(TENANT, "s", ttl_s=60)
    state = state_of(world)
    state.ask(state.sessions[session.session], CommandKind.EXPIRE, {})
    state.ask(state.sessions[session.session], CommandKind.EMIT, {"type": "custom.x", "data": {}})

    await world.worker()
    await settled(world, session.session)

    events = await world.events(session.session)
    assert types(events) == ["session.created", "command.rejected", "custom.x"]
    assert data(events[1])["reason"] == "in-use"


@pytest.mark.parametrize("kind", [CommandKind.EXPIRE, CommandKind.ERASE])
async def test_what_an_earlier_owner_ended_stays_ended(memory_world: World, kind: CommandKind):
    """A command that this owner was never told of goes without a word in the log."""
    world = memory_world
    session = await world.store.desk.create_session(TENANT, "s", ttl_s=60)
    state = state_of(world)
    row = state.sessions[session.session]
    await world.worker()
    await settled(world, session.session)
    state.ask(row, kind, {})
    await settled(world, session.session)
    before = types(await world.events(session.session))

    state.ask(row, CommandKind.CANCEL, {}, run_id="run_gone")
    state.ask(row, CommandKind.EMIT, {"type": "custom.x", "data": {}})
    await settled(world, session.session)

    assert types(await world.events(session.session)) == before


async def test_an_expired_session_can_still_be_erased(memory_world: World):
    world = memory_world
    session = await world.store.desk.create_session(TENANT, "s", ttl_s=60)
    state = state_of(world)
    state.ask(state.sessions[session.session], CommandKind.EXPIRE, {})
    await world.worker()
    await settled(world, session.session)

    await world.store.desk.erase(TENANT, "s")
    await settled(world, session.session)

    assert types(await world.events(session.session)) == ["session.erased"]


async def test_a_middleware_that_refuses_commands_keeps_no_run_from_its_cancellation(
    memory_world: World,
):
    """An allow-list that doesn't know them, for example."""

    class Strict(Middleware):
        def before(self, run: Run, emission: Emission) -> Emission:
            if emission.event.type.startswith("command."):
                raise ValueError("not mine")
            return emission

    @workflow("long")
    async def long(ctx: WorkflowContext, input: None) -> None:
        await ctx.step("work", asyncio.Event().wait)

    world, loaded = memory_world, Workflows(middlewares=[Strict()])
    loaded.add(long)
    await world.worker(loaded=loaded)
    ticket = await world.ask("long")
    await world.has(ticket, "step.started")

    await world.cancel(ticket)
    run = await world.reaches(ticket)

    events = await world.events(ticket.session)
    assert run.status is RunStatus.CANCELLED
    assert not of_type(events, "run.resumed"), f"not after a lease's {LEASE_S:g} s"


async def test_a_flood_of_commands_waits_for_room_as_workflows_do(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
):
    world, peak = memory_world, 0
    session = await world.store.desk.create_session(TENANT, "s")
    for _ in range(60):
        event = OwnEvent(type="custom.x", data={"text": "y" * 60_000})
        await world.store.desk.emit(TENANT, "s", event)

    class Watched(SessionLog):
        def _number(self, entry: Entry, first: int) -> None:
            nonlocal peak
            super()._number(entry, first)
            peak = max(peak, entry.size + sum(one.size for one in self.pending))

    monkeypatch.setattr("holdfast.orchestrator.owner.SessionLog", Watched)
    assert session_log.SessionLog is SessionLog
    await world.worker()
    await settled(world, session.session)

    assert len(of_type(await world.events(session.session), "custom.x")) == 60
    assert peak < PENDING_BYTES_MAX + 2 * 64 * 1024


async def test_a_flood_is_settled_to_its_end_while_a_run_goes_on(memory_world: World):
    """Also what was not told at the first look; with no poll in between."""
    world, going = memory_world, asyncio.Event()

    @workflow("patient")
    async def patient(ctx: WorkflowContext, input: None) -> None:
        await going.wait()

    await world.worker(patient, poll_s=60)
    ticket = await world.ask("patient")
    await world.has(ticket, "run.started")
    for n in range(3 * COMMANDS_AT_ONCE):
        await world.store.desk.emit(
            TENANT, ticket.session_id, OwnEvent(type="custom.x", data={"n": n})
        )
    await world.stream.hint_work(ticket.session)
    await world.has(ticket, "custom.x", 3 * COMMANDS_AT_ONCE)
    going.set()
    await world.reaches(ticket)

    emitted = of_type(await world.events(ticket.session), "custom.x")
    assert [data(event)["n"] for event in emitted] == list(range(3 * COMMANDS_AT_ONCE))
