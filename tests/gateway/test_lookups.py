"""Many ask the same thing in the same moment: how often the store is asked, and how old an answer may be."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.gateway.lookups import LOOKUPS_MAX, Lookups
from holdfast.gateway.tasks import Tasks


class Counter:
    """A question whose answer is how often anything was asked before; held until it is let go."""

    def __init__(self) -> None:
        self.asked = 0
        self.under_way = self.most = 0
        self.gate = asyncio.Event()

    async def __call__(self) -> int:
        self.asked += 1
        answer = self.asked
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        return answer


@pytest.fixture
async def tasks() -> AsyncIterator[Tasks]:
    async with Tasks(ManualClock()) as tasks:
        yield tasks


@pytest.fixture
def lookups(tasks: Tasks) -> Lookups:
    return Lookups(tasks.spawn)


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_thousand_that_ask_the_same_cost_one_question(lookups: Lookups):
    question = Counter()
    question.gate.set()

    answers = await asyncio.gather(*(lookups.ask("s", question) for _ in range(1000)))

    assert set(answers) == {1}
    assert lookups.waiting == 0


async def test_no_answer_is_older_than_the_call_that_gets_it(lookups: Lookups):
    """Who comes while the question is under way must not get its answer: the world may have changed since."""
    question = Counter()
    first = asyncio.create_task(lookups.ask("s", question))
    await turns()
    later = [asyncio.create_task(lookups.ask("s", question)) for _ in range(3)]
    await turns()
    question.gate.set()

    assert await first == 1
    assert set(await asyncio.gather(*later)) == {2}


async def test_so_many_different_questions_are_asked_at_once_and_no_more(lookups: Lookups):
    question = Counter()
    asked = [asyncio.create_task(lookups.ask(n, question)) for n in range(50)]
    await turns()

    assert question.asked == LOOKUPS_MAX
    question.gate.set()
    assert sorted(await asyncio.gather(*asked)) == list(range(1, 51))
    assert question.most == LOOKUPS_MAX


async def test_a_question_whose_askers_have_all_left_is_not_asked(lookups: Lookups):
    question = Counter()
    held = [asyncio.create_task(lookups.ask(n, question)) for n in range(LOOKUPS_MAX)]
    await turns()
    left = [asyncio.create_task(lookups.ask("left", question)) for _ in range(3)]
    stays = asyncio.create_task(lookups.ask("stays", question))
    await turns()
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
    question.gate.set()

    await asyncio.gather(*held, stays)
    assert question.asked == LOOKUPS_MAX + 1
    await turns()
    assert lookups.waiting == 0


async def test_one_that_leaves_takes_the_answer_from_nobody(lookups: Lookups):
    question = Counter()
    leaves, stays = [asyncio.create_task(lookups.ask("s", question)) for _ in range(2)]
    await turns()
    leaves.cancel()
    question.gate.set()

    assert await stays == 1


async def test_everybody_gets_the_error_and_the_next_one_asks_anew(lookups: Lookups):
    async def unknown() -> int:
        raise SessionUnknown("s")

    asked = [asyncio.create_task(lookups.ask("s", unknown)) for _ in range(3)]
    errors = await asyncio.gather(*asked, return_exceptions=True)
    question = Counter()
    question.gate.set()

    assert [type(error) for error in errors] == [SessionUnknown] * 3
    assert await lookups.ask("s", question) == 1


async def test_who_still_waits_when_all_ends_is_told(lookups: Lookups, tasks: Tasks):
    """Else a request would hang for as long as the server lets it."""
    question = Counter()
    asked = [asyncio.create_task(lookups.ask(n, question)) for n in range(LOOKUPS_MAX + 1)]
    await turns()

    await tasks.__aexit__(None, None, None)

    errors = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(error) for error in errors] == [StoreUnavailable] * (LOOKUPS_MAX + 1)
