"""Workers come and go; a session has one owner at a time, and no run is lost or done twice."""

# pyright: reportPrivateUsage=false

import asyncio
import sys
from types import ModuleType
from typing import Any

import pytest

from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import Workflows, workflow
from holdfast.orchestrator.workflows.ticker import ticker
from tests.factories import TENANT
from tests.orchestrator.harness import LEASE_S, World, check_log, data, of_type, owned_by, types


async def test_a_drained_workers_run_goes_on_elsewhere_at_once(world: World) -> None:
    first = await world.worker(ticker)
    ticket = await world.ask("ticker", {"events": 60, "interval_ms": 10})
    await world.has(ticket, "message.delta", 10)
    await world.worker(ticker, name="w2")
    await first.drain()
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    check_log(events)
    assert (run.status, run.attempts, run.strikes) == (RunStatus.COMPLETED, 2, 0)
    [resumed] = of_type(events, "run.resumed")
    assert (data(resumed)["reason"], resumed.attempt) == ("drain", 2)
    ticks = [data(e)["text"] for e in of_type(events, "message.delta")]
    assert ticks == [f"tick {n}\n" for n in range(1, 61)]
    before = events[resumed.seq - 2]
    assert (resumed.ts - before.ts).total_seconds() < 0.9  # far less than a lease


async def test_a_crashed_workers_run_is_taken_over_when_its_lease_is_over(world: World) -> None:
    first = await world.worker(ticker)
    ticket = await world.ask("ticker", {"events": 40, "interval_ms": 10})
    await world.has(ticket, "message.delta", 10)
    await first.crash()
    await world.worker(ticker, name="w2")
    run = await world.reaches(ticket)
    events = await world.events(ticket.session)
    check_log(events)
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 2)
    [resumed] = of_type(events, "run.resumed")
    assert data(resumed)["reason"] == "takeover"
    ticks = [data(e)["text"] for e in of_type(events, "message.delta")]
    assert ticks == [f"tick {n}\n" for n in range(1, 41)]
    keys = list((await world.claims.journal(ticket.run_id)).keys)
    assert len(keys) == len(set(keys))


async def test_two_workers_never_own_one_session(world: World) -> None:
    rigs = [await world.worker(ticker, name=name, poll_s=0.05) for name in ("w1", "w2")]
    twice: set[int] = set()
    watching = True

    async def watch() -> None:
        while watching:
            twice.update(owned_by(rigs[0]) & owned_by(rigs[1]))
            await asyncio.sleep(0)

    task = asyncio.create_task(watch())
    tickets = [await world.ask("ticker", {"events": 5, "interval_ms": 3}) for _ in range(20)]
    for ticket in tickets:
        run = await world.reaches(ticket)
        events = await world.events(ticket.session)
        check_log(events)
        # The events are of the one attempt that there was.
        assert (run.attempts, types(events).count("run.started")) == (1, 1)
        assert {e.attempt for e in events if e.run_id and e.type != "command.accepted"} == {1}
    watching = False
    await task
    assert not twice


async def test_a_session_lost_to_another_worker_is_given_up_without_a_word(world: World) -> None:
    seen: list[str] = []

    @workflow("stubborn")
    async def stubborn(ctx: WorkflowContext, input: None) -> int:
        seen.append("began")
        for n in range(10_000):
            await ctx.progress(n / 10_000)
            await asyncio.sleep(0.005)
        return 0

    # It looks for work when told only, or it would claim its own lost session before the other does.
    first = await world.worker(stubborn, poll_s=30)
    ticket = await world.ask("stubborn")
    await world.has(ticket, "progress.updated", 5)
    # The first worker is cut off: its lease is not renewed, and somebody else comes.
    owner = first.orchestrator.worker._owners[ticket.session]
    first.orchestrator._leases.drop(ticket.session, owner.claim.epoch)

    async def taken() -> bool:
        [*claims] = await world.claims.claim(
            "other", workflows=["stubborn"], lease_s=LEASE_S, limit=1
        )
        return bool(claims)

    await world.until(taken)
    await world.until(lambda: not owned_by(first))
    head = len(await world.events(ticket.session))
    assert seen == ["began"]
    assert (await world.run(ticket)).status is RunStatus.RUNNING
    assert types(await world.events(ticket.session))[-1] == "progress.updated"
    assert len(await world.events(ticket.session)) == head


async def test_a_broken_workflow_is_reported_by_name_while_the_rest_serve(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = ModuleType("tests_good_workflows")
    good.ticker = ticker  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "tests_good_workflows", good)
    loaded = Workflows()
    loaded.load(["tests_good_workflows", "tests.orchestrator.no_such_module"])
    await world.worker(loaded=loaded)
    infos = {info.name: info for info in await world.store.registry.workflows()}
    assert infos["ticker"].load_error is None
    assert list(infos["ticker"].workers) == ["w1"]
    assert "no_such_module" in (infos["no_such_module"].load_error or "")
    ticket = await world.ask("ticker", {"events": 1, "interval_ms": 0})
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_a_run_that_kills_every_worker_is_given_up_after_attempts_max_takeovers(
    world: World,
) -> None:
    @workflow("poison")
    async def poison(ctx: WorkflowContext, input: None) -> None:
        await asyncio.Event().wait()

    ticket = await world.ask("poison")
    for n in range(3):
        rig = await world.worker(poison, name=f"w{n}", attempts_max=2)
        await world.has(ticket, "run.started")
        await world.has(ticket, "run.resumed", n)
        await rig.crash()
    await world.worker(poison, name="w9", attempts_max=2)
    run = await world.reaches(ticket, RunStatus.FAILED)
    events = await world.events(ticket.session)
    assert data(events[-1])["error"]["code"] == "poison"
    assert run.strikes == 3
    assert types(events).count("run.resumed") == 2
    check_log(events)


async def test_a_newly_recorded_step_clears_the_strikes(world: World) -> None:
    steps = 0

    @workflow("progressing")
    async def progressing(ctx: WorkflowContext, input: None) -> int:
        nonlocal steps
        for n in range(4):
            await ctx.step("work", int, n)
            if n == steps < 3:
                steps += 1
                await asyncio.Event().wait()
        return steps

    ticket = await world.ask("progressing")
    for n in range(3):
        rig = await world.worker(progressing, name=f"w{n}", attempts_max=1)
        await world.has(ticket, "step.completed", n + 1)
        await rig.crash()
    await world.worker(progressing, name="w9", attempts_max=1)
    run = await world.reaches(ticket)
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 4)


async def test_a_run_of_an_unknown_workflow_waits_for_a_worker_that_knows_it(world: World) -> None:
    @workflow("rare")
    async def rare(ctx: WorkflowContext, input: None) -> str:
        return "done"

    await world.worker(ticker)
    ticket = await world.ask("rare")
    await world.has(ticket, "command.accepted")
    await world.released(ticket)
    assert (await world.run(ticket)).status is RunStatus.QUEUED
    await world.worker(rare, name="w2")
    assert (await world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_a_cancel_that_arrives_during_a_drain_is_not_forgotten(memory_world: World) -> None:
    world = memory_world
    held, append = asyncio.Event(), world.store.writer.append
    stopped = asyncio.Event()

    @workflow("stopping")
    async def stopping(ctx: WorkflowContext, input: None) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await ctx.notify("stopping")
            stopped.set()

    async def slow(batches: Any) -> frozenset[int]:
        if stopped.is_set():
            await held.wait()
        return await append(batches)

    first = await world.worker(stopping)
    ticket = await world.ask("stopping")
    await world.has(ticket, "run.started")
    world.store.writer.append = slow  # pyright: ignore[reportAttributeAccessIssue]
    first.orchestrator.drain()
    await stopped.wait()
    # The attempt waits for its last commit; the worker has stopped looking, but is told.
    owner = first.orchestrator.worker._owners[ticket.session]
    await world.store.desk.cancel(TENANT, ticket.run_id, reason="enough")
    owner.tell(await world.claims.pending([ticket.session]))
    for _ in range(50):
        await asyncio.sleep(0)
    held.set()
    run = await world.reaches(ticket)
    assert run.status is RunStatus.CANCELLED
    assert types(await world.events(ticket.session))[-2:] == ["command.accepted", "run.cancelled"]
