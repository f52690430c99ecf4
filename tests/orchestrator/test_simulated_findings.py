"""What the simulation of `tests/simulation` found, each as the shortest story that shows it."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from holdfast.events.clock import SystemClock
from holdfast.events.store import Run, RunRequest, RunStatus, SessionStatus
from holdfast.events.stream_memory import MemoryStream
from holdfast.orchestrator import context_wait, sweeper
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, types


@workflow("quick")
async def quick(ctx: WorkflowContext, input: None) -> str:
    return await ctx.message("done")


async def test_a_run_does_not_begin_before_its_start_is_settled(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is asked for after the owner looked at the commands, and before it looks at the runs."""
    claims = world.store.claims
    open_runs = claims.open_runs
    asked: list[str] = []

    async def and_one_more(session: int) -> Sequence[Run]:
        if len(asked) == 1:
            ticket = await world.store.desk.start(
                TENANT, first.session_id, RunRequest(workflow="quick", input=None)
            )
            asked.append(ticket.run_id)
        return await open_runs(session)

    first = await world.ask("quick")
    asked.append(first.run_id)
    monkeypatch.setattr(claims, "open_runs", and_one_more)
    await world.worker(quick)
    await world.reaches(first)
    await world.released(first)

    for run_id in asked:
        told = types(e for e in await world.events(first.session) if e.run_id == run_id)
        assert told[:2] == ["command.accepted", "run.started"]
        assert told[-1] == "run.completed"


async def test_what_was_erased_while_redis_was_away_leaves_the_window_when_it_is_back(
    memory_world: World,
) -> None:
    world, stream = memory_world, memory_world.stream
    assert isinstance(stream, MemoryStream)
    await world.worker(quick)
    ticket = await world.ask("quick")
    await world.reaches(ticket, RunStatus.COMPLETED)
    await world.until(lambda: stream_has(stream, ticket.session, 1))

    stream.down = True
    await world.store.desk.erase(TENANT, ticket.session_id)

    async def erased() -> bool:
        info = await world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await world.until(erased)
    await world.released(ticket)
    stream.down = False
    head = (await world.store.desk.session(TENANT, ticket.session_id)).head

    async def only_the_erasure() -> bool:
        found = await stream.read({ticket.session: 0}, limit=100)
        return [e.seq for e in found[ticket.session]] == [head]

    await world.until(only_the_erasure)


async def stream_has(stream: MemoryStream, session: int, seq: int) -> bool:
    return bool((await stream.read({session: seq - 1}, limit=1))[session])


class OtherClock(SystemClock):
    """The clock of a machine whose wall time is off."""

    def __init__(self, off: timedelta) -> None:
        self._off = off

    def now(self) -> datetime:
        """Return the wrong time."""
        return super().now() + self._off


@pytest.mark.parametrize("hours", [-1, 1])
async def test_a_wait_is_as_long_on_machines_whose_clocks_are_hours_apart(
    world: World, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """One worker sets the deadline, another one judges it; both go by the database's clock."""
    monkeypatch.setattr(context_wait, "SLEEP_IN_PLACE_MAX_S", 0.1)

    @workflow("patient", timeout_s=60)
    async def patient(ctx: WorkflowContext, input: None) -> str:
        await ctx.sleep(0.4)
        return str(await ctx.input("well?", timeout_s=0.4, default="nobody"))

    off = timedelta(hours=hours)
    first = await world.worker(patient, clock=OtherClock(off))
    ticket = await world.ask("patient")
    await world.reaches(ticket, RunStatus.WAITING)
    await first.drain()
    await world.worker(patient, name="w2", clock=OtherClock(-off))
    await world.reaches(ticket, RunStatus.COMPLETED)

    told = types(e for e in await world.events(ticket.session) if e.run_id == ticket.run_id)
    assert told == [
        "command.accepted",
        "run.started",
        "run.resumed",
        "input.requested",
        "run.resumed",
        "input.expired",
        "run.completed",
    ]


async def test_what_comes_back_of_an_erased_session_is_erased_again(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover of Redis that lost the erasure, or a command from before it that was held up on its way."""
    monkeypatch.setattr(sweeper, "SCRUB_S", 0.1)
    world, stream = memory_world, memory_world.stream
    assert isinstance(stream, MemoryStream)
    await world.worker(quick)
    ticket = await world.ask("quick")
    await world.reaches(ticket, RunStatus.COMPLETED)
    await world.until(lambda: stream_has(stream, ticket.session, 5))
    before = (await stream.read({ticket.session: 0}, limit=100))[ticket.session]
    await world.store.desk.erase(TENANT, ticket.session_id)

    async def only_the_erasure() -> bool:
        found = await stream.read({ticket.session: 0}, limit=100)
        return [e.type for e in found[ticket.session]] == ["session.erased"]

    await world.until(only_the_erasure)
    await world.released(ticket)
    await stream.drop(ticket.session)
    await stream.rebase(ticket.session, before)

    await world.until(only_the_erasure)
