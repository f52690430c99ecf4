"""What every stream promises: wake-ups of readers and hints to workers."""

import asyncio

import pytest

from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import Published, Wake
from tests.contract.stream_rigs import DEADLINE_S, Rig, Stream, events, heard, until

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = pytest.mark.anyio


async def test_a_publish_wakes_the_readers_of_its_session(stream: Stream, session: int):
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.publish(session, events(1, 3))

    assert await heard(wakes.listen()) == Wake(session, 3)
    assert wakes.connected


async def test_a_rebase_wakes_them_too(stream: Stream, session: int):
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.rebase(session, events(6, 9))

    assert await heard(wakes.listen()) == Wake(session, 9)


async def test_only_watched_sessions_wake(stream: Stream, session: int):
    other, left = session + 1_000_000, session + 2_000_000
    wakes = stream.wakes()
    listener = wakes.listen()
    for watched in (session, left):
        await wakes.watch(watched)
    await wakes.unwatch(left)
    await wakes.unwatch(other)

    for published in (other, left, session):
        await stream.publish(published, events(1, 1))

    assert await heard(listener) == Wake(session, 1)


async def test_what_changes_nothing_wakes_nobody(stream: Stream, session: int):
    """A dup was announced by the publish that appended it; a gap has nothing to announce."""
    await stream.publish(session, events(1, 2))
    wakes = stream.wakes()
    await wakes.watch(session)

    assert await stream.publish(session, events(1, 2)) is Published.DUP
    assert await stream.publish(session, events(7, 7)) is Published.GAP
    assert await stream.rebase(session, events(1, 2)) is Published.DUP
    await stream.publish(session, events(3, 3))

    assert await heard(wakes.listen()) == Wake(session, 3)


async def test_wake_ups_that_nobody_took_become_one_with_the_highest_head(
    stream: Stream, session: int
):
    wakes = stream.wakes()
    listener = wakes.listen()
    await wakes.watch(session)
    await stream.publish(session, events(1, 1))
    assert await heard(listener) == Wake(session, 1)

    marker = session + 1_000_000
    await wakes.watch(marker)
    for last in range(2, 50):
        await stream.publish(session, events(last, last))
    await stream.publish(marker, events(1, 1))
    taken = [await heard(listener)]
    while taken[-1].session != marker:
        taken.append(await heard(listener))

    assert Wake(session, 49) in taken
    assert len(taken) <= 49


async def test_watching_again_after_leaving_is_in_force_when_it_returns(
    stream: Stream, session: int
):
    """Subscribe, unsubscribe, subscribe go out together; only the third answer counts."""
    wakes = stream.wakes()
    listener = wakes.listen()
    for last in range(1, 30):
        await wakes.watch(session)
        await wakes.unwatch(session)
        async with asyncio.TaskGroup() as both:
            both.create_task(wakes.watch(session))
            both.create_task(wakes.watch(session))

        await stream.publish(session, events(last, last))

        assert await heard(listener) == Wake(session, last)


async def test_after_lost_connections_all_is_watched_again_and_the_listener_told(
    rig: Rig, session: int
):
    watched = range(session, session + 3_000_000, 1_000_000)
    wakes = rig.stream.wakes()
    listener = wakes.listen()
    for one in watched:
        await wakes.watch(one)

    await rig.break_connections()

    assert await heard(listener) == Wake(None)
    assert wakes.connected
    for one in watched:
        await rig.stream.publish(one, events(1, 1))
    assert {(await heard(listener)).session for _ in watched} == set(watched)


async def test_while_the_stream_is_away_watching_does_not_wait(rig: Rig, session: int):
    wakes = rig.stream.wakes()
    listener = wakes.listen()
    await wakes.watch(session)
    await rig.go_down()
    await until(lambda: not wakes.connected)

    other = session + 1_000_000
    async with asyncio.timeout(DEADLINE_S):
        await wakes.watch(other)
        await wakes.unwatch(session)
    await rig.come_back()

    assert await heard(listener) == Wake(None)
    assert wakes.connected
    for published in (session, other):
        await rig.stream.publish(published, events(1, 1))
    assert await heard(listener) == Wake(other, 1)


async def test_a_stream_that_is_away_from_the_start_is_found_later(rig: Rig, session: int):
    await rig.go_down()
    wakes = rig.stream.wakes()
    async with asyncio.timeout(DEADLINE_S):
        await wakes.watch(session)
    assert not wakes.connected

    await rig.come_back()

    assert await heard(wakes.listen()) == Wake(None)


async def test_a_hint_reaches_every_worker(stream: Stream, session: int):
    listeners = [stream.hints().listen() for _ in range(2)]
    hearing = [asyncio.create_task(heard(listener)) for listener in listeners]

    async def told() -> bool:
        await stream.hint_work(session)
        return all(task.done() for task in hearing)

    await until(told)
    assert [task.result() for task in hearing] == [session, session]


async def test_a_worker_is_told_when_hints_may_be_lost(rig: Rig, session: int):
    listener = rig.stream.hints().listen()
    hearing = asyncio.create_task(heard(listener))

    async def told() -> bool:
        await rig.stream.hint_work(session)
        return hearing.done()

    await until(told)
    await rig.go_down()
    await rig.come_back()

    async with asyncio.timeout(DEADLINE_S):
        while await anext(listener) is not None:
            pass  # hints that were sent before


async def test_closing_ends_every_listener(stream: Stream, session: int):
    wakes, hints = stream.wakes(), stream.hints()
    await wakes.watch(session)
    endings = [
        asyncio.create_task(_all(wakes.listen())),
        asyncio.create_task(_all(hints.listen())),
    ]
    await asyncio.sleep(0)

    await stream.close()

    async with asyncio.timeout(DEADLINE_S):
        assert await asyncio.gather(*endings) == [[], []]
    assert not wakes.connected


async def _all(listener) -> list:
    try:
        return [item async for item in listener]
    except StreamUnavailable:
        return []  # closed before it began to listen
