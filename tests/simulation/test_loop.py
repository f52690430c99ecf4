"""The simulated world's own rules: time jumps, processes are paused and killed, and nothing depends on chance."""

import asyncio
import random
from collections.abc import Coroutine
from typing import Any

import pytest

from tests.simulation.loop import SimulatedLoop, Stuck
from tests.simulation.process import Process


def live(work: Coroutine[Any, Any, Any], loop: SimulatedLoop) -> Any:
    try:
        return loop.run_until_complete(loop.world.start(work))
    finally:
        loop.dispose()


async def note(notes: list[str], name: str, *, every_s: float = 1.0) -> None:
    try:
        while True:
            await asyncio.sleep(every_s)
            notes.append(name)
    finally:
        notes.append(f"{name} cleaned up")


def test_a_day_passes_in_no_time() -> None:
    loop = SimulatedLoop(random.Random(1))

    async def sleep() -> float:
        await asyncio.sleep(500.0)
        return loop.time()

    assert live(sleep(), loop) == 500.0


def test_a_paused_process_runs_nothing_and_goes_on_with_all_that_came_meanwhile() -> None:
    loop, notes = SimulatedLoop(random.Random(1)), list[str]()

    async def schedule() -> tuple[list[str], list[str]]:
        process = Process(loop, "p")
        inbox: asyncio.Queue[int] = asyncio.Queue()

        async def take() -> None:
            while True:
                notes.append(f"took {await inbox.get()}")

        process.start(take())
        await asyncio.sleep(1)
        process.pause()
        for n in range(3):
            inbox.put_nowait(n)
            await asyncio.sleep(1)
        paused = list(notes)
        process.proceed()
        await asyncio.sleep(1)
        return paused, list(notes)

    paused, after = live(schedule(), loop)

    assert paused == []
    assert after == ["took 0", "took 1", "took 2"]


def test_a_killed_process_writes_nothing_more_not_even_in_its_finally() -> None:
    loop, notes = SimulatedLoop(random.Random(1)), list[str]()

    async def schedule() -> list[str]:
        killed, other = Process(loop, "killed"), Process(loop, "other")
        killed.start(note(notes, "killed"))
        other.start(note(notes, "other"))
        await asyncio.sleep(1.5)
        killed.kill()
        await asyncio.sleep(2)
        return list(notes)

    seen = live(schedule(), loop)

    assert sorted(seen) == ["killed", "other", "other", "other"]


def test_a_part_shares_its_processs_death_and_may_be_paused_alone() -> None:
    loop, notes = SimulatedLoop(random.Random(1)), list[str]()

    async def schedule() -> list[str]:
        process = Process(loop, "p")
        part = process.part("thread")
        process.start(note(notes, "main"))
        part.start(note(notes, "thread"))
        part.pause()
        await asyncio.sleep(1.5)
        part.proceed()
        await asyncio.sleep(0)
        process.kill()
        await asyncio.sleep(5)
        return list(notes)

    seen = live(schedule(), loop)

    assert seen.count("main") == 1
    assert seen.count("thread") <= 1


def test_within_a_process_callbacks_run_in_order_and_between_processes_the_seed_decides() -> None:
    def order(seed: int) -> list[str]:
        loop, notes = SimulatedLoop(random.Random(seed)), list[str]()

        async def schedule() -> None:
            for name in "ab":
                process = Process(loop, name)
                for n in range(6):
                    process.call(notes.append, f"{name}{n}")
            await asyncio.sleep(1)

        live(schedule(), loop)
        return notes

    orders = [order(seed) for seed in range(20)]

    assert all([x for x in one if x[0] == "a"] == [f"a{n}" for n in range(6)] for one in orders)
    assert order(3) == orders[3]
    assert len({tuple(one) for one in orders}) > 10


def test_a_world_in_which_nothing_can_happen_is_told() -> None:
    loop = SimulatedLoop(random.Random(1))

    async def wait_for_ever() -> None:
        await loop.create_future()

    with pytest.raises(Stuck, match="nobody has anything to do"):
        live(wait_for_ever(), loop)


def test_a_world_that_never_ends_is_told() -> None:
    loop = SimulatedLoop(random.Random(1))

    with pytest.raises(Stuck, match="not over after"):
        live(note([], "for ever"), loop)
