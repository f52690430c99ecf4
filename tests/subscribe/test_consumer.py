"""What a durable subscription promises its handler."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from holdfast.subscribe.consumer import Consumer
from holdfast.subscribe.delivery import Delivery, GiveUp
from holdfast.subscribe.subscription import Retry, Start, Subscription, subscription
from tests.factories import delta
from tests.subscribe.worlds import Seen, World

SOON = Retry(tries=3, first_s=0.1, last_s=0.2)


@asynccontextmanager
async def running(*consumers: Consumer) -> AsyncGenerator[None]:
    """Run consumers, and kill them in the end."""
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
    yield
    for task in tasks:
        await kill(task)


async def kill(task: asyncio.Task[None]) -> None:
    """End a consumer as a dying process does: nothing more is saved, nothing is released."""
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def passes_until(world: World, condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Let time pass until `condition` holds."""
    for _ in range(1000):
        held = condition()
        if held if isinstance(held, bool) else await held:
            return
        await world.passes(0.02)
    raise AssertionError("the condition does not come true")


async def test_every_event_is_handled_once_and_a_session_in_its_order(world: World) -> None:
    one, two = await world.session("one", 30), await world.session("two", 30)
    seen = Seen()

    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 62)
        await one.append(delta("later"))
        await passes_until(world, lambda: len(seen.events) == 63)

    assert seen.seqs(one.session) == list(range(1, 33))
    assert seen.seqs(two.session) == list(range(1, 32))


async def test_only_wanted_types_are_handled(world: World) -> None:
    await world.session("one", 5)
    seen = Seen()

    async with running(world.consumer(seen.subscription("session.created", "run.*"))):
        await passes_until(world, lambda: len(seen.events) == 1)
        await passes_until(world, lambda: _caught_up(world))

    assert [e.type for e in seen.events] == ["session.created"]


async def test_it_goes_on_where_it_stopped(world: World) -> None:
    one = await world.session("one", 5)
    seen = Seen()
    async with running(first := world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 6)
        first.stop()
        await passes_until(world, lambda: _unheld(world))
    await one.append(delta("later"))

    async with running(world.consumer(seen.subscription(), "c2")):
        await passes_until(world, lambda: len(seen.events) == 7)

    assert seen.seqs(one.session) == list(range(1, 8))


async def test_another_process_takes_over_when_the_holder_died(world: World) -> None:
    one = await world.session("one", 3)
    seen = Seen()
    task = asyncio.create_task(world.consumer(seen.subscription(), lease_s=0.5).run())
    await passes_until(world, lambda: len(seen.events) == 4)
    await kill(task)
    await one.append(delta("later"))

    async with running(world.consumer(seen.subscription(), "c2")):
        await passes_until(world, lambda: (one.session, 5) in seen.places())

    assert set(seen.seqs(one.session)) == {1, 2, 3, 4, 5}


async def test_two_processes_do_not_handle_the_same_events(world: World) -> None:
    await world.session("one", 40)
    seen = Seen()
    both = [world.consumer(seen.subscription(), owner) for owner in ("c1", "c2")]

    async with running(*both):
        await passes_until(world, lambda: _caught_up(world))
        await world.passes(0.2)

    assert len(seen.places()) == len(set(seen.places())) == 41


async def test_a_failing_event_holds_up_its_own_session_and_no_other(world: World) -> None:
    one, two = await world.session("one", 4), await world.session("two", 4)
    failures = 0

    def failing(event: Delivery) -> Exception | None:
        nonlocal failures
        if (event.session, event.seq) == (one.session, 2) and failures < 2:
            failures += 1
            return RuntimeError("not yet")
        return None

    seen = Seen(failing=failing)

    async with running(world.consumer(seen.subscription(retry=SOON))):
        await passes_until(world, lambda: len(seen.events) == 10)

    assert failures == 2
    assert seen.seqs(one.session) == [1, 2, 3, 4, 5]
    assert seen.seqs(two.session) == [1, 2, 3, 4, 5]
    assert seen.places().index((two.session, 5)) < seen.places().index((one.session, 2))


async def test_without_order_only_the_failing_event_waits(world: World) -> None:
    one = await world.session("one", 4)
    failures = 0

    def failing(event: Delivery) -> Exception | None:
        nonlocal failures
        failures += event.seq == 2
        return RuntimeError("not yet") if event.seq == 2 and failures < 2 else None

    seen = Seen(failing=failing)

    async with running(world.consumer(seen.subscription(retry=SOON, ordered=False))):
        await passes_until(world, lambda: len(seen.events) == 5)

    assert seen.seqs(one.session)[-1] == 2


async def test_an_event_that_fails_too_often_is_a_dead_letter_and_its_session_goes_on(
    world: World,
) -> None:
    one = await world.session("one", 4)
    broken = True
    tries: list[int] = []

    def failing(event: Delivery) -> Exception | None:
        if event.seq != 2:
            return None
        tries.append(event.tries)
        return RuntimeError("never") if broken else None

    seen = Seen(failing=failing)
    async with running(world.consumer(seen.subscription(retry=SOON))):
        await passes_until(world, lambda: len(seen.events) == 4)
        await passes_until(world, lambda: _nothing_waits(world))
        [letter] = await world.subscriptions.dead_letters("test")
        broken = False
        await world.subscriptions.replay("test")
        await passes_until(world, lambda: len(seen.events) == 5)
        await passes_until(world, lambda: _nothing_waits(world))

    assert tries == [0, 1, 2, 0]
    assert (letter.seq, letter.tries, letter.error) == (2, 3, "RuntimeError: never")
    assert seen.seqs(one.session) == [1, 3, 4, 5, 2]
    assert await world.subscriptions.dead_letters("test") == []


async def test_a_handler_may_give_up_at_once(world: World) -> None:
    await world.session("one", 2)
    seen = Seen(failing=lambda e: GiveUp("malformed") if e.seq == 2 else None)

    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 2)
        await passes_until(world, lambda: _caught_up(world))

    [letter] = await world.subscriptions.dead_letters("test")
    assert letter.tries == 1


@pytest.mark.parametrize("error", [asyncio.CancelledError(), SystemExit(3)])
async def test_a_handler_that_cancels_itself_or_exits_has_failed(
    world: World, error: BaseException
) -> None:
    """Neither handled nor failed would mean lost."""
    await world.session("one", 2)
    handled: list[int] = []

    async def handle(event: Delivery) -> None:
        if event.seq == 2:
            raise error
        handled.append(event.seq)

    wanted = subscription("test", retry=Retry(tries=1))(handle)
    async with running(world.consumer(wanted)):
        await passes_until(world, lambda: handled == [1, 3])
        await passes_until(world, lambda: _caught_up(world))

    [letter] = await world.subscriptions.dead_letters("test")
    assert letter.seq == 2


@pytest.mark.postgres
async def test_a_handler_that_hangs_has_failed(postgres_world: World) -> None:
    await postgres_world.session("one", 2)
    seen = Seen()

    async def handle(event: Delivery) -> None:
        if event.seq == 2:
            await asyncio.sleep(60)
        await seen.handle(event)

    wanted = subscription("test", retry=Retry(tries=1), timeout_s=0.1)(handle)
    async with running(postgres_world.consumer(wanted)):
        await passes_until(postgres_world, lambda: len(seen.events) == 2)
        await passes_until(postgres_world, lambda: _caught_up(postgres_world))

    [letter] = await postgres_world.subscriptions.dead_letters("test")
    assert "TimeoutError" in letter.error


async def test_a_slow_handler_keeps_its_subscription(world: World) -> None:
    """The lease is renewed while a handler takes longer than a lease."""
    await world.session("one")
    calls: list[int] = []

    async def handle(event: Delivery) -> None:
        calls.append(event.seq)
        await world.clock.sleep(1.5)

    slow = world.consumer(subscription("test")(handle), lease_s=0.5)
    other = world.consumer(subscription("test")(handle), "c2")
    async with running(slow, other):
        await passes_until(world, lambda: _caught_up(world))

    assert calls == [1]


async def test_stopping_finishes_what_is_under_way_and_begins_nothing(world: World) -> None:
    await world.session("one", 5)
    begun: list[int] = []
    go = asyncio.Event()

    async def handle(event: Delivery) -> None:
        begun.append(event.seq)
        await go.wait()

    consumer = world.consumer(subscription("test")(handle))
    task = asyncio.create_task(consumer.run())
    await passes_until(world, lambda: begun == [1])
    consumer.stop()
    go.set()
    await passes_until(world, task.done)

    [info] = await world.subscriptions.all()
    assert begun == [1]
    assert (info.position.seq, info.owner) == (1, None)


async def test_no_more_than_so_many_are_handled_at_once(world: World) -> None:
    for name in "abcdef":
        await world.session(name, 2)
    now = most = done = 0

    async def handle(_: Delivery) -> None:
        nonlocal now, most, done
        now += 1
        most = max(most, now)
        await world.clock.sleep(0.01)
        now -= 1
        done += 1

    async with running(world.consumer(subscription("test", concurrency=3)(handle))):
        await passes_until(world, lambda: done == 18)

    assert most == 3


async def test_a_subscription_that_begins_now_hears_nothing_of_the_past(world: World) -> None:
    one = await world.session("one", 5)
    seen = Seen()
    wanted: Subscription = seen.subscription(start=Start.NOW)

    async with running(world.consumer(wanted)):
        await passes_until(world, lambda: _caught_up(world))
        await one.append(delta("news"))
        await passes_until(world, lambda: len(seen.events) == 1)

    assert seen.seqs(one.session) == [7]


async def test_a_reset_has_everything_handled_again(world: World) -> None:
    one = await world.session("one", 2)
    seen = Seen()

    async with running(world.consumer(seen.subscription())):
        await passes_until(world, lambda: len(seen.events) == 3)
        await world.subscriptions.reset("test", Start.BEGINNING)
        await passes_until(world, lambda: len(seen.events) == 6)

    assert seen.seqs(one.session) == [1, 2, 3, 1, 2, 3]


async def _caught_up(world: World) -> bool:
    infos = await world.subscriptions.all()
    return bool(infos) and all(info.lag == 0 for info in infos)


async def _nothing_waits(world: World) -> bool:
    return all(info.waiting == 0 for info in await world.subscriptions.all())


async def _unheld(world: World) -> bool:
    return all(info.owner is None for info in await world.subscriptions.all())
