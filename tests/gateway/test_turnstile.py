"""So many at once, the rest in order, up to a deadline: in virtual time."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.gateway.tasks import Tasks
from holdfast.gateway.turnstile import Turn, Turnstile

PATIENCE_S = 4.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def turnstile(clock: ManualClock) -> AsyncIterator[Turnstile]:
    async with Tasks(clock) as tasks:
        yield Turnstile(clock, tasks.spawn, inside_max=2, waiting_max=5, patience_s=PATIENCE_S)


def called(turns: list[Turn]) -> list[bool | None]:
    return [turn.called.result() if turn.called.done() else None for turn in turns]


async def test_who_finds_room_goes_in_at_once_and_the_others_in_order(turnstile: Turnstile):
    turns = [turnstile.come() for _ in range(5)]
    assert called(turns) == [True, True, None, None, None]

    turns[1].leave()
    assert called(turns) == [True, True, True, None, None]
    turns[0].leave()
    turns[2].leave()
    assert called(turns) == [True] * 5
    assert (turnstile.inside, turnstile.waiting) == (2, 0)


async def test_nobody_overtakes_who_waits(turnstile: Turnstile):
    """A place that is free the moment somebody comes belongs to the first in line."""
    first, second = turnstile.come(), turnstile.come()
    waits = turnstile.come()
    first.leave()
    late = turnstile.come()

    assert called([waits, late]) == [True, None]
    second.leave()
    assert called([late]) == [True]


async def test_who_waits_for_too_long_is_turned_away_and_the_others_wait_on(
    turnstile: Turnstile, clock: ManualClock
):
    inside = [turnstile.come(), turnstile.come()]
    early = turnstile.come()
    await clock.advance(PATIENCE_S - 1)
    later = turnstile.come()

    await clock.advance(0.999)
    assert called([early, later]) == [None, None]
    await clock.advance(0.002)
    assert called([early, later]) == [False, None]
    await clock.advance(PATIENCE_S)
    assert called([later]) == [False]
    assert (turnstile.inside, turnstile.waiting) == (2, 0)
    assert called(inside) == [True, True]


async def test_who_comes_after_a_quiet_time_has_a_deadline_too(
    turnstile: Turnstile, clock: ManualClock
):
    """What looks after the deadlines rests when nobody waits."""
    for _ in range(2):
        inside = [turnstile.come(), turnstile.come()]
        waits = turnstile.come()
        await clock.advance(PATIENCE_S + 0.1)
        assert called([waits]) == [False]
        for turn in inside:
            turn.leave()
        await clock.advance(60)


async def test_who_gives_up_in_line_leaves_nothing_behind(turnstile: Turnstile):
    inside = [turnstile.come(), turnstile.come()]
    gives_up, stays = turnstile.come(), turnstile.come()

    gives_up.leave()
    gives_up.leave()

    assert turnstile.waiting == 1
    inside[0].leave()
    assert called([gives_up, stays]) == [False, True]


async def test_who_is_cancelled_in_the_moment_of_the_call_gives_the_place_on(turnstile: Turnstile):
    inside = [turnstile.come(), turnstile.come()]
    waits, next_one = turnstile.come(), turnstile.come()

    async def wait() -> None:
        try:
            await waits.called
        finally:
            waits.leave()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    inside[0].leave()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert called([next_one]) == [True]
    assert turnstile.inside == 2
    for turn in (inside[1], next_one):
        turn.leave()
        turn.leave()
    assert turnstile.inside == 0


async def test_a_line_that_is_full_turns_away_at_once(turnstile: Turnstile):
    turns = [turnstile.come() for _ in range(2 + 5)]

    assert called([turnstile.come()]) == [False]
    turns[0].leave()
    assert called([turnstile.come()]) == [None]


async def test_at_the_end_everybody_in_line_is_turned_away_and_who_is_inside_may_finish(
    turnstile: Turnstile,
):
    turns = [turnstile.come() for _ in range(4)]

    turnstile.close()

    assert called(turns) == [True, True, False, False]
    assert called([turnstile.come()]) == [False]
    turns[0].leave()
    assert turnstile.inside == 1
