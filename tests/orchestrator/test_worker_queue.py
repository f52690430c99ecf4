"""Whole workers under limits: what is at work, what waits for its turn, and what becomes of either."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from holdfast.events.store import Claim, Hold, RunStatus, Ticket
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import Workflow, WorkflowError, workflow
from tests.factories import TENANT
from tests.orchestrator.harness import World, check_log, data, types


class Meter:
    """Counts who is inside at once."""

    def __init__(self) -> None:
        self.now, self.most = 0, 0
        self.order: list[Any] = []
        self.gate = asyncio.Event()

    async def inside(self, what: Any) -> None:
        self.order.append(what)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await self.gate.wait()
        finally:
            self.now -= 1


def metered(meter: Meter, most: int | None, name: str = "metered") -> Workflow:
    @workflow(name, version="1", max_concurrent=most)
    async def run(ctx: WorkflowContext, input: Any) -> None:
        await ctx.step("inside", meter.inside, input)

    return run


async def test_workers_together_keep_to_a_limit_and_everything_is_done(world: World) -> None:
    meter = Meter()
    for name in ("w1", "w2", "w3"):
        await world.worker(metered(meter, 2), name=name)
    tickets = [await world.ask("metered", n) for n in range(7)]
    await world.until(lambda: meter.now == 2)

    for ticket in tickets:
        await world.has(ticket, "command.accepted")
        await world.until(lambda: meter.now == 2)
    runs = [await world.run(ticket) for ticket in tickets]
    assert Counter(run.status for run in runs) == {RunStatus.RUNNING: 2, RunStatus.QUEUED: 5}
    assert Counter(run.held_by for run in runs) == {None: 2, Hold.WORKFLOW_LIMIT: 5}

    meter.gate.set()
    for ticket in tickets:
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert meter.most == 2


async def test_a_full_workflow_holds_up_no_other(world: World) -> None:
    full, free = Meter(), Meter()
    await world.worker(metered(full, 1, "full"), metered(free, None, "free"))
    for n in range(20):
        await world.ask("full", n)
    await world.until(lambda: full.now == 1)

    other = await world.ask("free")
    await world.until(lambda: free.now == 1)
    free.gate.set()
    assert (await world.reaches(other)).status is RunStatus.COMPLETED


async def test_the_next_one_is_the_most_important_then_the_oldest(world: World) -> None:
    meter = Meter()
    await world.worker(metered(meter, 1))
    first = await world.ask("metered", "first")
    await world.until(lambda: meter.now == 1)
    rest = [
        await world.ask("metered", name, priority=priority)
        for name, priority in (("old", 0), ("new", 0), ("low", -9), ("high", 9))
    ]
    for ticket in rest:
        await world.has(ticket, "command.accepted")
        await world.released(ticket)
    meter.gate.set()
    for ticket in (first, *rest):
        await world.reaches(ticket)
    assert meter.order == ["first", "high", "old", "new", "low"]


async def test_a_session_with_many_runs_takes_no_more_than_its_turn(world: World) -> None:
    """Its owner would be the first to know that a slot is free, each time."""
    meter = Meter()
    await world.worker(metered(meter, 1))
    first = await world.ask("metered", "a1")
    await world.until(lambda: meter.now == 1)
    rest = [await world.ask("metered", "a2", first.session_id), await world.ask("metered", "b")]
    rest.append(await world.ask("metered", "a3", first.session_id))
    await world.has(rest[1], "command.accepted")
    await world.released(rest[1])
    meter.gate.set()
    for ticket in (first, *rest):
        await world.reaches(ticket)
    assert meter.order.index("b") < meter.order.index("a3")
    assert meter.most == 1


async def test_in_one_session_the_most_important_run_begins_first(world: World) -> None:
    meter = Meter()
    await world.worker(metered(meter, 3))
    first = await world.ask("metered", "first")
    await world.until(lambda: meter.now == 1)
    rest = [
        await world.ask("metered", name, first.session_id, priority=priority)
        for name, priority in (("old", 0), ("new", 0), ("high", 1))
    ]
    meter.gate.set()
    for ticket in (first, *rest):
        await world.reaches(ticket)
    assert meter.order == ["first", "high", "old", "new"]
    check_log(await world.events(first.session))


async def test_runs_of_one_session_that_are_due_at_the_same_moment_begin_one_after_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever gives the slot and whoever owns the session have to mean the same one, whatever gateways' clocks say."""
    names = iter(["run_b", "run_a"])

    def descending(*_: object) -> str:
        return next(names)

    for module in ("commands_memory", "starting_postgres"):
        monkeypatch.setattr(f"holdfast.events.{module}.new_run_id", descending)
    meter = Meter()
    meter.gate.set()
    await world.worker(metered(meter, 1))
    await world.store.desk.create_session(TENANT, "s")
    start_at = datetime.now(UTC) + timedelta(seconds=0.5)

    tickets = [await world.ask("metered", n, "s", start_at=start_at) for n in ("b", "a")]

    for ticket in tickets:
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert meter.order == ["b", "a"]


async def test_a_slot_whose_run_was_passed_by_another_of_its_session_is_given_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would be held, by nobody at work, for as long as the other takes."""
    limited, free = Meter(), Meter()
    claim, passing = world.claims.claim, list[Ticket]()

    async def claims(*args: Any, **options: Any) -> Sequence[Claim]:
        found = await claim(*args, **options)
        if passing or not any(one.slot == passed.run_id for one in found):
            return found
        passing.append(await world.ask("free", None, passed.session_id, priority=100))
        # Asked for after the slot was given, and before its owner was told what is open.
        [one] = found
        look = await world.claims.look(one.session)
        return [replace(one, commands=look.commands, runs=look.runs)]

    passed = await world.ask("limited", "passed")
    monkeypatch.setattr(world.claims, "claim", claims)
    await world.worker(metered(limited, 1, "limited"), metered(free, None, "free"))
    await world.until(lambda: free.now == 1)

    other = await world.ask("limited", "other")
    await world.until(lambda: limited.order == ["other"])
    assert (await world.run(passed)).held_by is Hold.TURN
    free.gate.set()
    limited.gate.set()
    for ticket in (*passing, other, passed):
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_runs_that_wait_for_a_person_hold_no_slot_and_queue_again(world: World) -> None:
    meter = Meter()

    @workflow("asks", version="1", max_concurrent=1)
    async def asks(ctx: WorkflowContext, input: str) -> None:
        if input == "asks":
            await ctx.input("well?")
        await ctx.step("inside", meter.inside, input)

    await world.worker(asks)
    waits = await world.ask("asks", "asks")
    await world.reaches(waits, RunStatus.WAITING)
    works = await world.ask("asks", "works")
    await world.until(lambda: meter.now == 1)

    await world.answer(waits, True)
    await world.has(waits, "input.received")
    await world.released(waits)
    run = await world.run(waits)
    assert (run.status, run.held_by) == (RunStatus.WAITING, Hold.WORKFLOW_LIMIT)

    meter.gate.set()
    for ticket in (works, waits):
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert (meter.most, meter.order) == (1, ["works", "asks"])


async def test_a_dead_workers_run_is_taken_over_in_its_own_slot(world: World) -> None:
    meter = Meter()
    first = await world.worker(metered(meter, 1), name="w1")
    ticket = await world.ask("metered", "it")
    await world.until(lambda: meter.now == 1)
    await first.crash()
    other = await world.ask("metered", "other", priority=100)

    await world.worker(metered(meter, 1), name="w2")
    await world.has(ticket, "run.resumed")
    meter.gate.set()

    for each in (ticket, other):
        assert (await world.reaches(each)).status is RunStatus.COMPLETED
    assert (meter.most, meter.order) == (1, ["it", "it", "other"])


async def test_a_drained_run_keeps_its_slot_for_whoever_goes_on(world: World) -> None:
    meter = Meter()
    first = await world.worker(metered(meter, 1), name="w1")
    ticket = await world.ask("metered", "it")
    await world.until(lambda: meter.now == 1)
    other = await world.ask("metered", "other", priority=100)
    await world.worker(metered(meter, 1), name="w2")

    await first.drain()
    await world.has(ticket, "run.resumed")
    assert (await world.run(other)).status is RunStatus.QUEUED
    meter.gate.set()

    for each in (ticket, other):
        assert (await world.reaches(each)).status is RunStatus.COMPLETED
    assert meter.most == 1


async def test_a_queued_run_can_be_cancelled_while_its_workflow_is_full(world: World) -> None:
    meter = Meter()
    await world.worker(metered(meter, 1))
    first = await world.ask("metered", "first")
    await world.until(lambda: meter.now == 1)
    second = await world.ask("metered", "second")

    await world.cancel(second)

    assert (await world.reaches(second)).status is RunStatus.CANCELLED
    meter.gate.set()
    await world.reaches(first)
    assert meter.order == ["first"]


async def test_a_tenant_has_no_more_runs_at_work_than_its_share(world: World) -> None:
    meter = Meter()
    for name in ("w1", "w2"):
        await world.worker(
            metered(meter, None), metered(meter, 1, "one"), name=name, tenant_max_runs=2
        )
    tickets = [await world.ask(name, n) for n in range(3) for name in ("metered", "one")]
    await world.until(lambda: meter.now == 2)
    meter.gate.set()
    for ticket in tickets:
        assert (await world.reaches(ticket)).status is RunStatus.COMPLETED
    assert meter.most == 2


def test_limits_are_declared_on_any_workflow() -> None:
    meter = Meter()
    plain = metered(meter, None)

    limited = plain.limited(max_concurrent=3, timeout_s=60)

    assert (limited.info().max_concurrent, limited.timeout_s) == (3, 60)
    assert plain.info().max_concurrent is None
    again = limited.limited(max_concurrent=2)
    assert (again.max_concurrent, again.timeout_s) == (2, 60)
    for wrong in ({"max_concurrent": 0}, {"timeout_s": 0}):
        with pytest.raises(WorkflowError, match="'metered'"):
            plain.limited(**wrong)  # pyright: ignore[reportArgumentType]
    with pytest.raises(WorkflowError, match="max_concurrent is 1 or more"):
        workflow("none", max_concurrent=0)


# --- time that a request brings ----------------------------------------------------------------------


@workflow("endless", version="1", timeout_s=30)
async def endless(ctx: WorkflowContext, input: str) -> None:
    if input == "waits":
        await ctx.input("ever?")
    await ctx.step("work", asyncio.Event().wait)


@pytest.mark.parametrize("how", ["works", "waits"])
async def test_a_run_fails_when_the_time_is_up_that_its_request_allowed(
    world: World, how: str
) -> None:
    await world.worker(endless)
    ticket = await world.ask("endless", how, timeout_s=0.3)

    await world.reaches(ticket, RunStatus.FAILED)

    error = data((await world.events(ticket.session))[-1])["error"]
    assert error["code"] == "timeout"
    for part in ("workflow 'endless'", "0.3 s", "request", "timeout_s"):
        assert part in error["message"]


async def test_a_request_cannot_give_a_run_more_than_its_workflow_does(world: World) -> None:
    @workflow("brief", version="1", timeout_s=0.3)
    async def brief(ctx: WorkflowContext, input: None) -> None:
        await ctx.step("work", asyncio.Event().wait)

    await world.worker(brief)
    ticket = await world.ask("brief", timeout_s=3600)

    await world.reaches(ticket, RunStatus.FAILED)

    assert "@workflow" in data((await world.events(ticket.session))[-1])["error"]["message"]


async def test_the_time_of_a_request_runs_on_while_its_worker_is_dead(world: World) -> None:
    first = await world.worker(endless)
    ticket = await world.ask("endless", "works", timeout_s=0.5)
    await world.has(ticket, "step.started")
    await first.crash()

    # The lease of a second outlives what the request allowed.
    await world.worker(endless, name="w2")
    await world.reaches(ticket, RunStatus.FAILED)

    events = await world.events(ticket.session)
    assert data(events[-1])["error"]["code"] == "timeout"
    assert types(events).count("step.started") == 1, "nothing was begun again"
