"""Many ask at the same moment, each for something else: how often the store is asked, and how old an answer may be."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.errors import StoreUnavailable
from holdfast.gateway.tasks import Tasks
from holdfast.gateway.together import Together


class Store:
    """Answers with how often it was asked before; held while the gate is closed. It knows no negative keys."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.failure: Exception | None = None

    async def __call__(self, keys: Sequence[int]) -> Mapping[int, int]:
        self.asked.append(list(keys))
        asked = len(self.asked)
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return {key: asked for key in keys if key >= 0}


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks(ManualClock()) as tasks:
        yield tasks


async def turn(times: int = 5) -> None:
    for _ in range(times):
        await asyncio.sleep(0)


async def test_all_that_is_asked_at_one_moment_is_one_query(tasks: Tasks):
    store = Store()
    together = Together(store, tasks.spawn)

    answers = await asyncio.gather(*(together.of(key) for key in (3, 1, 3, -1)))

    assert answers == [1, 1, 1, None]
    assert store.asked == [[3, 1, -1]]


async def test_who_asks_during_a_query_gets_an_answer_of_the_next_one(tasks: Tasks):
    """The one under way may be older than the question."""
    store = Store()
    store.gate.clear()
    together = Together(store, tasks.spawn)
    early = asyncio.create_task(together.of(1))
    await turn()
    late = [asyncio.create_task(together.of(key)) for key in (1, 2)]
    await turn()
    assert store.asked == [[1]]

    store.gate.set()

    assert [await early, *[await task for task in late]] == [1, 2, 2]
    assert store.asked == [[1], [1, 2]]


async def test_a_query_has_a_bound_and_the_rest_is_asked_after_it(tasks: Tasks):
    store = Store()
    together = Together(store, tasks.spawn, keys_max=2)

    answers = await asyncio.gather(*(together.of(key) for key in range(5)))

    assert answers == [1, 1, 2, 2, 3]
    assert [len(keys) for keys in store.asked] == [2, 2, 1]


async def test_a_few_queries_may_be_in_flight_and_what_comes_meanwhile_gathers_for_the_next(
    tasks: Tasks,
):
    store = Store()
    store.gate.clear()
    together = Together(store, tasks.spawn, keys_max=2, at_once=2)
    asked = [asyncio.create_task(together.of(key)) for key in range(7)]
    await turn()
    assert store.asked == [[0, 1], [2, 3]]

    store.gate.set()

    assert await asyncio.gather(*asked) == [1, 1, 2, 2, 3, 3, 4]
    assert [len(keys) for keys in store.asked] == [2, 2, 2, 1]


async def test_a_failed_query_fails_those_who_asked_in_it_and_nobody_else(tasks: Tasks):
    store = Store()
    together = Together(store, tasks.spawn)
    store.failure = StoreUnavailable("away")
    failed = await asyncio.gather(together.of(1), together.of(2), return_exceptions=True)
    store.failure = None

    assert [type(error) for error in failed] == [StoreUnavailable] * 2
    assert await together.of(1) == 2


async def test_who_leaves_takes_the_answer_from_nobody(tasks: Tasks):
    store = Store()
    store.gate.clear()
    together = Together(store, tasks.spawn)
    leaves, stays = (asyncio.create_task(together.of(1)) for _ in range(2))
    await turn()
    leaves.cancel()
    await turn()

    store.gate.set()

    assert await stays == 1
    assert leaves.cancelled()


async def test_patience_makes_one_query_of_a_wave_and_ends_with_it(tasks: Tasks):
    store = Store()
    together = Together(store, tasks.spawn, patient_turns=16)
    waits: list[asyncio.Task[int | None]] = []
    for key in range(6):
        waits.append(asyncio.create_task(together.of(key)))
        await turn(1)
    assert store.asked == []
    await turn()

    assert [await task for task in waits] == [1] * 6
    assert store.asked == [[0, 1, 2, 3, 4, 5]]


async def test_patience_has_a_bound(tasks: Tasks):
    """A wave that never ends would never be answered."""
    store = Store()
    together = Together(store, tasks.spawn, patient_turns=4)
    waits: list[asyncio.Task[int | None]] = []
    while not store.asked:
        assert len(waits) < 10
        waits.append(asyncio.create_task(together.of(len(waits))))
        await turn(1)

    assert 3 <= len(store.asked[0]) <= 6
    await asyncio.gather(*waits)


async def test_a_hub_that_stops_tells_everybody():
    store = Store()
    store.gate.clear()
    async with Tasks(ManualClock()) as tasks:
        together = Together(store, tasks.spawn)
        asked = asyncio.create_task(together.of(1))
        await turn()
        gathered = asyncio.create_task(together.of(2))
        await turn()

    for task in (asked, gathered):
        with pytest.raises(StoreUnavailable):
            await task
