"""What breaks under a worker costs one session at most, and the worker knows at once."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

from holdfast.events.catalog import NotificationSent
from holdfast.events.store import Claim, RunStatus, SessionStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.owner import Owner
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.worker import ABANDON_S
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, check_log, data, of_type, types
from tests.orchestrator.units import Faulty


@workflow("quick")
async def quick(ctx: WorkflowContext, input: None) -> str:
    await ctx.message("done")
    return "done"


def silent(said: asyncio.Event, stopped: list[str]) -> Workflow:
    """Says one thing that nobody waits for, then works in silence for as long as it is let."""

    @workflow("silent")
    async def run(ctx: WorkflowContext, input: None) -> None:
        if ctx.attempt == 1:
            await said.wait()
            await ctx.emit(NotificationSent(text="the last word"))
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                stopped.append(ctx.run_id)
                raise

    return run


async def test_a_run_that_can_not_be_recorded_is_stopped_at_once_though_it_says_nothing(
    memory_world: World,
) -> None:
    """The recorder gives the session up; the owner doesn't wait for the run's next word to learn of it."""
    world, said, stopped = memory_world, asyncio.Event(), list[str]()
    writer = Faulty(world.store.writer)
    world.store.writer = writer
    await world.worker(silent(said, stopped), quick)
    ticket = await world.ask("silent")
    await world.has(ticket, "run.started")

    writer.broken.add(ticket.session)
    said.set()
    await world.released(ticket)

    assert stopped == [ticket.run_id]

    # Its lease runs out before anybody goes on with it: what broke once isn't tried a thousand times a second.
    writer.broken.clear()
    await world.reaches(ticket, RunStatus.COMPLETED)
    events = await world.events(ticket.session)
    check_log(events)
    assert [data(event)["reason"] for event in of_type(events, "run.resumed")] == ["takeover"]


async def test_a_drain_waits_no_longer_than_it_may_for_a_workflow_that_heeds_nothing(
    memory_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it catches: nothing more of it is recorded, its session is left to its lease, the worker is gone."""
    world, let_go = memory_world, False

    @workflow("deaf")
    async def deaf(ctx: WorkflowContext, input: None) -> None:
        while not let_go:
            try:
                await asyncio.sleep(0.05)
            except asyncio.CancelledError:
                continue

    rig = await world.worker(deaf, drain_s=1)
    ticket = await world.ask("deaf")
    await world.has(ticket, "run.started")
    begun = time.monotonic()
    try:
        await rig.drain()
        took = time.monotonic() - begun
    finally:
        let_go = True
    # Below the 5 s that a cancelled workflow has for cleaning up: a drain that has less doesn't wait for it.
    assert took < 1 + ABANDON_S + 2
    assert "drain.abandoned" in capsys.readouterr().out


async def test_a_claim_that_breaks_ends_neither_the_worker_nor_what_it_owns(
    memory_world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever the store raises, and for however long."""
    world, going = memory_world, asyncio.Event()

    @workflow("patient")
    async def patient(ctx: WorkflowContext, input: None) -> None:
        await going.wait()

    await world.worker(patient, quick)
    ticket = await world.ask("patient")
    await world.has(ticket, "run.started")

    async def broken(*_: object, **__: object) -> list[Claim]:
        raise ValueError("nobody thought of this")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.claims, "claim", broken)
        other = await world.ask("quick")
        broke = ""

        def seen() -> bool:
            nonlocal broke
            broke += capsys.readouterr().out
            return broke.count("claim.broke") >= 2

        await world.until(seen)
        going.set()
        await world.reaches(ticket, RunStatus.COMPLETED)
    await world.reaches(other, RunStatus.COMPLETED)
    assert types(await world.events(ticket.session)).count("run.resumed") == 0


async def test_a_session_whose_owner_can_not_be_made_is_left_to_its_lease(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Renewed without an owner, it would be nobody's for as long as the worker lives."""
    world, broke = memory_world, list[int]()

    def once(claim: Claim, **parts: Any) -> Owner:
        if not broke:
            broke.append(claim.session)
            raise ValueError("nobody thought of this")
        return Owner(claim, **parts)

    monkeypatch.setattr("holdfast.orchestrator.worker.Owner", once)
    await world.worker(quick)
    ticket = await world.ask("quick")
    await world.reaches(ticket, RunStatus.COMPLETED)
    assert broke == [ticket.session]


@dataclass
class Keeper:
    """An executor with a memory of its own, which the log's database knows nothing of."""

    remembered: set[int] = field(default_factory=set[int])

    async def execute(self, scribe: Scribe) -> None:
        self.remembered.add(scribe.session)

    async def forget(self, session: int) -> None:
        self.remembered.discard(session)


async def test_an_executor_that_keeps_something_elsewhere_is_asked_to_forget_an_erased_session(
    memory_world: World,
) -> None:
    world, keeper = memory_world, Keeper()
    await world.worker(Workflow("keeper", "1", keeper))
    kept, ticket = await world.ask("keeper"), await world.ask("keeper")
    for run in (kept, ticket):
        await world.reaches(run)

    await world.erase(ticket)

    async def erased() -> bool:
        info = await world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await world.until(erased)
    assert keeper.remembered == {kept.session}
