"""A session's events keep their order whatever fails, and whenever what comes after it is read."""

import asyncio

import pytest

from holdfast.subscribe.delivery import Delivery
from holdfast.subscribe.store_memory import MemorySubscriptions
from holdfast.subscribe.subscription import Retry, subscription
from tests.factories import delta
from tests.subscribe.test_consumer import passes_until, running
from tests.subscribe.worlds import MemoryWorld, Seen, World

A_SECOND = Retry(tries=5, first_s=1, last_s=1)


class Failing:
    """Fails for one event, twice."""

    def __init__(self, session: int, seq: int) -> None:
        self.place, self.failures = (session, seq), 0

    def __call__(self, event: Delivery) -> Exception | None:
        if (event.session, event.seq) != self.place or self.failures == 2:
            return None
        self.failures += 1
        return RuntimeError("not yet")


async def test_what_is_appended_while_an_earlier_event_waits_for_its_next_try_comes_after_it(
    world: World,
) -> None:
    one = await world.session("one", 3)
    failing = Failing(one.session, 3)
    seen = Seen(failing=failing)

    async with running(world.consumer(seen.subscription(retry=A_SECOND))):
        await passes_until(world, lambda: failing.failures == 1)
        await passes_until(world, lambda: _waiting(world, 2))
        await one.append(delta("later"))
        await one.append(delta("last"))
        await passes_until(world, lambda: len(seen.events) == 6)

    assert seen.seqs(one.session) == [1, 2, 3, 4, 5, 6]


async def test_a_failure_at_the_end_of_a_page_holds_back_what_is_on_the_next_one(
    memory_world: World,
) -> None:
    one = await memory_world.session("one", 599)
    failing = Failing(one.session, 499)
    seen = Seen(failing=failing)

    async with running(memory_world.consumer(seen.subscription(retry=A_SECOND))):
        await passes_until(memory_world, lambda: len(seen.events) == 600)

    assert failing.failures == 2
    assert seen.seqs(one.session) == list(range(1, 601))


async def test_what_fails_again_after_a_replay_holds_back_what_came_meanwhile(
    world: World,
) -> None:
    one = await world.session("one", 1)
    failing = Failing(one.session, 2)
    seen = Seen(failing=failing)
    async with running(world.consumer(seen.subscription(retry=Retry(tries=1)))):
        await passes_until(world, lambda: _dead(world, 1))

    async with running(world.consumer(seen.subscription(retry=A_SECOND))):
        await world.subscriptions.replay("test")
        await passes_until(world, lambda: failing.failures == 2)
        await passes_until(world, lambda: _waiting(world, 1))
        await one.append(delta("later"))
        await passes_until(world, lambda: len(seen.events) == 3)

    assert seen.seqs(one.session) == [1, 2, 3]


async def test_two_processes_of_one_name_do_not_throw_each_other_out(
    memory_world: MemoryWorld,
) -> None:
    await memory_world.session("one", 20)
    calls: list[int] = []

    async def handle(event: Delivery) -> None:
        calls.append(event.seq)
        await memory_world.clock.sleep(0.03)

    wanted = subscription("test")(handle)
    both = [memory_world.consumer(wanted, "same") for _ in range(2)]
    async with running(*both):
        await passes_until(memory_world, lambda: _position(memory_world, 21))
        await memory_world.passes(1)

    assert calls == list(range(1, 22))


async def test_who_lost_a_subscription_waits_before_it_asks_again(
    memory_world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memory_world.session("one", 3)
    asked = 0
    acquire = MemorySubscriptions.acquire

    async def lost_at_once(self: MemorySubscriptions, name: str, *words: object, **more: object):
        nonlocal asked
        asked += 1
        hold = await acquire(self, name, *words, **more)  # type: ignore[arg-type]
        self._rows[name].epoch += 1  # pyright: ignore[reportPrivateUsage]
        return hold

    monkeypatch.setattr(MemorySubscriptions, "acquire", lost_at_once)
    async with running(memory_world.consumer(Seen().subscription(), poll_s=0.5)):
        for _ in range(200):
            await asyncio.sleep(0)
            await memory_world.passes(0.01)

    assert 2 <= asked <= 6  # two seconds of 0.5 ± 20 %


async def test_an_error_that_cannot_even_be_told_is_a_failure_like_any_other(world: World) -> None:
    class Unspeakable(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    await world.session("one", 2)
    seen = Seen(failing=lambda e: Unspeakable() if e.seq == 2 else None)

    async with running(world.consumer(seen.subscription(retry=Retry(tries=1)))):
        await passes_until(world, lambda: len(seen.events) == 2)
        await passes_until(world, lambda: _dead(world, 1))

    [letter] = await world.subscriptions.dead_letters("test")
    assert "Unspeakable" in letter.error


async def test_a_store_that_breaks_in_an_unknown_way_ends_no_subscription(
    memory_world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memory_world.session("one", 2)
    broken = True
    read = MemorySubscriptions.read

    async def breaking(self: MemorySubscriptions, *words: object, **more: object):
        if broken:
            raise LookupError("what is this?")
        return await read(self, *words, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(MemorySubscriptions, "read", breaking)
    seen = Seen()
    async with running(memory_world.consumer(seen.subscription())):
        await passes_until(memory_world, lambda: _says(memory_world, "LookupError: what is this?"))
        broken = False
        await memory_world.passes(60)
        await passes_until(memory_world, lambda: len(seen.events) == 3)
        await passes_until(memory_world, lambda: _says(memory_world, None))


async def test_a_successor_withdraws_what_the_one_before_it_complained_of(world: World) -> None:
    await world.session("one", 1)
    seen = Seen()
    async with running(first := world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 2)
        first.stop()
        await passes_until(world, lambda: _unheld(world))
    hold = await world.subscriptions.acquire(
        "test", "dead", lease_s=0.1, start=seen.subscription().start
    )
    assert hold is not None
    await world.subscriptions.complain(hold, "clogged")

    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: _says(world, None))


async def test_a_subscription_with_nothing_to_do_writes_only_to_keep_its_lease(
    memory_world: MemoryWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    await memory_world.session("one", 1)
    saves = 0
    save = MemorySubscriptions.save

    async def counted(self: MemorySubscriptions, *words: object, **more: object):
        nonlocal saves
        saves += 1
        await save(self, *words, **more)  # type: ignore[arg-type]

    seen = Seen()
    async with running(memory_world.consumer(seen.subscription(), lease_s=15.0, poll_s=0.5)):
        await passes_until(memory_world, lambda: len(seen.events) == 2)
        await memory_world.passes(2)
        monkeypatch.setattr(MemorySubscriptions, "save", counted)
        for _ in range(120):
            await memory_world.passes(0.5)
        infos = await memory_world.subscriptions.all()

    assert 60 / 15 <= saves <= 60 / 5
    assert infos[0].owner is not None


async def _waiting(world: World, count: int) -> bool:
    return any(info.waiting == count for info in await world.subscriptions.all())


async def _dead(world: World, count: int) -> bool:
    return any(info.dead == count for info in await world.subscriptions.all())


async def _position(world: World, seq: int) -> bool:
    return any(info.position.seq == seq for info in await world.subscriptions.all())


async def _says(world: World, error: str | None) -> bool:
    infos = await world.subscriptions.all()
    return bool(infos) and all(info.error == error for info in infos)


async def _unheld(world: World) -> bool:
    return all(info.owner is None for info in await world.subscriptions.all())
