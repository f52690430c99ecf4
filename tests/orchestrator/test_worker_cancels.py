"""Ends that somebody asks for where it is not easy: unsayable reasons, and agents elsewhere that are slow to stop."""

import asyncio
from dataclasses import dataclass, field

from pydantic import JsonValue

from holdfast.events.codec import EVENT_BYTES_MAX
from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.executors.abilities import Kept
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.orchestrator.harness import World, check_log, data, types


@workflow("endless", version="1")
async def endless(ctx: WorkflowContext, input: None) -> None:
    await ctx.step("work", asyncio.Event().wait)


async def test_a_reason_that_no_event_can_hold_is_lost_and_the_run_is_cancelled(
    world: World,
) -> None:
    await world.worker(endless)
    ticket = await world.ask("endless")
    await world.has(ticket, "step.started")

    await world.cancel(ticket, "x" * (EVENT_BYTES_MAX + 1))

    assert (await world.reaches(ticket)).status is RunStatus.CANCELLED
    events = await world.events(ticket.session)
    check_log(events)
    assert types(events)[-2:] == ["command.accepted", "run.cancelled"]
    assert "reason" not in data(events[-1])


async def test_so_is_that_of_a_run_that_nobody_works_on(world: World) -> None:
    await world.worker(endless)
    working = await world.ask("endless")
    await world.has(working, "step.started")
    queued = await world.ask("endless", session_id=working.session_id)

    await world.cancel(queued, "x" * (EVENT_BYTES_MAX + 1))

    assert (await world.reaches(queued)).status is RunStatus.CANCELLED
    assert "reason" not in data((await world.events(queued.session))[-1])


@dataclass
class Elsewhere:
    """An executor whose runs wait, and whose agents take their time to stop."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    told: list[str] = field(default_factory=list[str])

    async def execute(self, scribe: Scribe) -> JsonValue:
        waiting = {"i": {"prompt": "well?", "value_schema": None, "deadline": None, "asked_ms": 0}}
        await scribe.wait((), waiting, due_in_s=float("inf"))

    async def cancelled(self, run_id: str, kept: Kept) -> None:
        self.told.append(run_id)
        await self.stop.wait()


async def test_an_agent_elsewhere_that_is_slow_to_stop_holds_up_no_other_command(
    world: World,
) -> None:
    slow = Elsewhere()
    await world.worker(Workflow("slow", "1", slow), endless)
    ticket = await world.ask("slow")
    await world.reaches(ticket, RunStatus.WAITING)
    queued = await world.ask("endless", session_id=ticket.session_id)

    await world.cancel(ticket)
    await world.cancel(queued)

    for each in (ticket, queued):
        assert (await world.reaches(each)).status is RunStatus.CANCELLED
    await world.until(lambda: slow.told == [ticket.run_id])
    assert not slow.stop.is_set()
    slow.stop.set()
    await world.released(ticket)
