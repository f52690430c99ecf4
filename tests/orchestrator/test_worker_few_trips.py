"""What a run costs in round trips, and that a worker which doesn't look misses nothing by it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from holdfast.events.store import RunStatus, Ticket
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.orchestrator.harness import World, check_log, types

# The poll would find in the end whatever was missed: here it comes after the test is over.
NEVER_S = 60.0


@workflow("plain", version="1")
async def plain(ctx: WorkflowContext, input: Any) -> Any:
    return input


@workflow("alone", version="1", max_concurrent=1)
async def alone(ctx: WorkflowContext, input: Any) -> Any:
    return await ctx.step("inside", lambda: input)


@workflow("patient", version="1")
async def patient(ctx: WorkflowContext, input: Any) -> Any:
    return await ctx.step("waits", asyncio.Event().wait)


async def test_a_run_is_worked_on_by_what_came_with_the_claim(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its session is claimed and let go; nothing else is asked of the store, appends apart."""
    world, calls = memory_world, list[str]()
    await world.worker(plain, poll_s=NEVER_S)
    first = await world.ask("plain")
    await world.reaches(first)
    await world.released(first)

    def counted(name: str) -> Callable[..., Awaitable[Any]]:
        call = getattr(world.claims, name)

        async def passed_on(*args: Any, **options: Any) -> Any:
            calls.append(name)
            return await call(*args, **options)

        return passed_on

    for name in ("claim", "look", "pending", "open_runs", "journal", "limited", "release"):
        monkeypatch.setattr(world.claims, name, counted(name))
    again = await world.ask("plain", None, first.session_id)
    await world.reaches(again)
    await world.released(again)

    assert calls == ["claim"]
    assert types(await world.events(first.session))[-3:] == [
        "command.accepted",
        "run.started",
        "run.completed",
    ]


async def test_what_is_asked_while_a_session_is_given_back_is_done_without_a_hint(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, late = memory_world, list[Ticket]()
    let_go = world.claims.let_go

    async def at_the_last_moment(session: int, **options: Any) -> bool:
        if not late:
            late.append(await world.ask("plain", "late", first.session_id))
        return await let_go(session, **options)

    monkeypatch.setattr(world.stream, "hint_work", unheard)
    await world.worker(plain, poll_s=0.05)
    first = await world.ask("plain")
    monkeypatch.setattr(world.claims, "let_go", at_the_last_moment)
    monkeypatch.setattr(world.claims, "claim", once(world.claims.claim))

    await world.until(lambda: bool(late))
    assert (await world.reaches(late[0])).status is RunStatus.COMPLETED
    await world.released(first)
    check_log(await world.events(first.session))


async def test_a_slot_that_is_free_again_goes_on_at_once(memory_world: World) -> None:
    """Whoever waited for it has no hint of his own any more."""
    await memory_world.worker(alone, poll_s=NEVER_S)

    tickets = [await memory_world.ask("alone", n) for n in range(4)]

    for ticket in tickets:
        assert (await memory_world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_room_that_is_free_again_is_used_at_once(memory_world: World) -> None:
    await memory_world.worker(plain, poll_s=NEVER_S, sessions_max=1)

    tickets = [await memory_world.ask("plain", n) for n in range(4)]

    for ticket in tickets:
        assert (await memory_world.reaches(ticket)).status is RunStatus.COMPLETED


async def test_a_command_whose_hint_was_lost_is_found_by_the_poll_while_others_are_hinted_at(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, hint = memory_world, memory_world.stream.hint_work
    await world.worker(patient, poll_s=0.2)
    ticket = await world.ask("patient")
    await world.has(ticket, "step.started")

    async def others() -> None:
        while True:  # far more often than the poll's turn comes
            await hint(ticket.session + 1)
            await asyncio.sleep(0.01)

    hinting = asyncio.create_task(others())
    monkeypatch.setattr(world.stream, "hint_work", unheard)
    await world.cancel(ticket)
    try:
        assert (await world.reaches(ticket)).status is RunStatus.CANCELLED
    finally:
        hinting.cancel()


async def unheard(session: int) -> None:
    """A hint that is lost."""


def once(claim: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """The claim, until it has found something; then it finds nothing more."""
    found = list[Any]()

    async def claimed(*args: Any, **options: Any) -> Any:
        if found:
            return []
        found.extend(await claim(*args, **options))
        return found[:]

    return claimed
