"""What every stream promises: wake-ups of readers and hints to workers."""

import asyncio

import pytest

from holdfast.events.errors import StreamUnavailable
from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Published, Wake
from holdfast.events.stream_message import EVENTS_BYTES_MAX
from tests.contract.stream_rigs import (
    DEADLINE_S,
    Listener,
    Rig,
    Stream,
    carrying,
    events,
    heard,
    until,
)

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = pytest.mark.anyio


async def test_a_publish_wakes_the_readers_of_its_session(stream: Stream, session: int):
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.publish(session, events(1, 3))

    assert await Listener(wakes).next() == carrying(session, events(1, 3))
    assert wakes.connected


async def test_a_rebase_wakes_them_too(stream: Stream, session: int):
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.rebase(session, events(6, 9))

    assert await Listener(wakes).next() == Wake(session, 9)


async def test_only_watched_sessions_wake(stream: Stream, session: int):
    other, left = session + 1_000_000, session + 2_000_000
    wakes = stream.wakes()
    listener = Listener(wakes)
    for watched in (session, left):
        await wakes.watch(watched)
    await wakes.unwatch(left)
    await wakes.unwatch(other)

    for published in (other, left, session):
        await stream.publish(published, events(1, 1))

    assert await listener.next() == carrying(session, events(1, 1))


async def test_what_changes_nothing_wakes_nobody(stream: Stream, session: int):
    """A dup was announced by the publish that appended it; a gap has nothing to announce."""
    await stream.publish(session, events(1, 2))
    wakes = stream.wakes()
    await wakes.watch(session)

    assert await stream.publish(session, events(1, 2)) is Published.DUP
    assert await stream.publish(session, events(7, 7)) is Published.GAP
    assert await stream.rebase(session, events(1, 2)) is Published.DUP
    await stream.publish(session, events(3, 3))

    assert await Listener(wakes).next() == carrying(session, events(3, 3))


async def test_a_wake_up_carries_what_was_appended_and_not_what_was_there(
    stream: Stream, session: int
):
    await stream.publish(session, events(1, 4))
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.publish(session, events(2, 6))

    assert await Listener(wakes).next() == carrying(session, events(5, 6))


@pytest.mark.parametrize(("over", "carried"), [(0, True), (1, False)])
async def test_events_that_are_too_large_for_a_message_are_announced_by_their_head(
    stream: Stream, session: int, over: int, carried: bool
):
    first, last = events(1, 2, size=EVENTS_BYTES_MAX // 2)
    room = EVENTS_BYTES_MAX - len(first.body) + over
    sized = [first, RecordedEvent(2, last.type, last.run_id, last.body[:room].ljust(room))]
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.publish(session, sized)

    expected = carrying(session, sized) if carried else Wake(session, 2)
    assert await Listener(wakes).next() == expected


async def test_what_an_erasure_leaves_is_announced_by_its_seq(stream: Stream, session: int):
    """Nothing of before may be in a message of after it; and who follows has to read that it is gone."""
    await stream.publish(session, events(1, 4))
    wakes = stream.wakes()
    await wakes.watch(session)

    await stream.erase(session, events(5, 5)[0])

    assert await Listener(wakes).next() == Wake(session, 5)


async def test_whatever_came_before_anybody_listened_is_heard_by_who_does(
    stream: Stream, session: int
):
    wakes = stream.wakes()
    await wakes.watch(session)
    for last in range(1, 30):
        await stream.publish(session, events(last, last))
    listener = Listener(wakes)
    await stream.publish(session, events(30, 30))

    heard = [await listener.next() for _ in range(30)]

    assert heard == [carrying(session, events(last, last)) for last in range(1, 31)]


async def test_watching_again_after_leaving_is_in_force_when_it_returns(
    stream: Stream, session: int
):
    """Subscribe, unsubscribe, subscribe go out together; only the third answer counts."""
    wakes = stream.wakes()
    listener = Listener(wakes)
    for last in range(1, 30):
        await wakes.watch(session)
        await wakes.unwatch(session)
        async with asyncio.TaskGroup() as both:
            both.create_task(wakes.watch(session))
            both.create_task(wakes.watch(session))

        await stream.publish(session, events(last, last))

        assert await listener.next() == carrying(session, events(last, last))


async def test_after_lost_connections_all_is_watched_again_and_the_listener_told(
    rig: Rig, session: int
):
    watched = range(session, session + 3_000_000, 1_000_000)
    wakes = rig.stream.wakes()
    listener = Listener(wakes)
    for one in watched:
        await wakes.watch(one)

    await rig.break_connections()

    assert await listener.next() == Wake(None)
    assert wakes.connected
    for one in watched:
        await rig.stream.publish(one, events(1, 1))
    assert {(await listener.next()).session for _ in watched} == set(watched)


async def test_while_the_stream_is_away_watching_does_not_wait(rig: Rig, session: int):
    wakes = rig.stream.wakes()
    listener = Listener(wakes)
    await wakes.watch(session)
    await rig.go_down()
    await until(lambda: not wakes.connected)

    other = session + 1_000_000
    async with asyncio.timeout(DEADLINE_S):
        await wakes.watch(other)
        await wakes.unwatch(session)
    await rig.come_back()

    assert await listener.next() == Wake(None)
    assert wakes.connected
    for published in (session, other):
        await rig.stream.publish(published, events(1, 1))
    assert await listener.next() == carrying(other, events(1, 1))


async def test_a_stream_that_is_away_from_the_start_is_found_later(rig: Rig, session: int):
    await rig.go_down()
    wakes = rig.stream.wakes()
    async with asyncio.timeout(DEADLINE_S):
        await wakes.watch(session)
    assert not wakes.connected

    await rig.come_back()

    assert await Listener(wakes).next() == Wake(None)


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
    listening = asyncio.create_task(wakes.listen(lambda _: None))
    hinted = asyncio.create_task(_all(hints.listen()))
    await asyncio.sleep(0)

    await stream.close()

    async with asyncio.timeout(DEADLINE_S):
        assert await asyncio.gather(listening, hinted, return_exceptions=True) == [None, []]
    assert not wakes.connected


async def _all(listener) -> list:
    try:
        return [item async for item in listener]
    except StreamUnavailable:
        return []  # closed before it began to listen
