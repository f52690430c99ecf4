"""The twin's own switches, and the parts that both streams are made of."""

import asyncio

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import REST_TTL_S, Published, Wake
from holdfast.events.stream_batches import CALL_BYTES_MAX, CALL_EVENTS_MAX, calls, newest_call
from holdfast.events.stream_inbox import Inbox, InboxClosed, Mailbox
from holdfast.events.stream_memory import MemoryStream
from tests.contract.stream_rigs import Listener, carrying, events, seqs

pytestmark = pytest.mark.anyio


async def test_a_session_at_rest_is_gone_after_its_time():
    clock = ManualClock()
    stream = MemoryStream(clock)
    await stream.publish(1, events(1, 3), at_rest=True)
    await stream.publish(2, events(1, 3))

    await clock.advance(REST_TTL_S - 1)
    assert await seqs(stream, 1) == [1, 2, 3]
    await clock.advance(1)

    assert await seqs(stream, 1) == []
    assert await seqs(stream, 2) == [1, 2, 3]
    assert await stream.publish(1, events(4, 4)) is Published.GAP


async def test_lost_wake_ups_are_lost_without_a_word():
    stream = MemoryStream()
    wakes = stream.wakes()
    await wakes.watch(1)

    stream.lose_wakes = True
    await stream.publish(1, events(1, 1))
    stream.lose_wakes = False
    await stream.publish(1, events(2, 2))

    assert await Listener(wakes).next() == carrying(1, events(2, 2))


async def test_a_window_may_be_lost_alone():
    stream = MemoryStream()
    await stream.publish(1, events(1, 2))
    await stream.publish(2, events(1, 2))

    stream.lose(1)

    assert await seqs(stream, 1) == []
    assert await seqs(stream, 2) == [1, 2]


async def test_room_runs_out_in_the_middle_of_a_batch():
    stream = MemoryStream()
    stream.room = 2

    with pytest.raises(StreamUnavailable):
        await stream.publish(1, events(1, 5))

    assert await seqs(stream, 1) == [1, 2]


async def test_an_inbox_holds_each_session_once():
    inbox = Inbox()
    for session in (1, 2, 1):
        inbox.put(session)

    assert [await inbox.take(), await inbox.take()] == [1, 2]


async def test_an_inbox_that_overflows_says_that_all_must_be_looked_at():
    inbox = Inbox(sessions_max=3)
    for session in range(4):
        inbox.put(session)
    inbox.put(9)

    assert [await inbox.take(), await inbox.take()] == [None, 9]


async def test_a_mailbox_keeps_wake_ups_in_order_until_they_are_taken_together():
    mailbox = Mailbox()
    wakes = [Wake(1, 5), carrying(2, events(1, 1)), Wake(1, 7)]
    for wake in wakes:
        mailbox.put(wake)

    assert await mailbox.take() == wakes
    assert mailbox.empty() == []


@pytest.mark.parametrize("full", [Mailbox(wakes_max=3), Mailbox(bytes_max=200)])
async def test_a_mailbox_that_overflows_says_that_all_must_be_looked_at(full: Mailbox):
    for session in range(4):
        full.put(carrying(session, events(1, 1, size=50)))
    full.put(Wake(9))

    assert await full.take() == [Wake(None), Wake(9)]


async def test_a_failed_inbox_fails_its_listener():
    inbox = Inbox()
    inbox.put(1)
    inbox.close(ZeroDivisionError())

    with pytest.raises(ZeroDivisionError):
        await inbox.take()


async def test_a_closed_inbox_ends_a_take_that_waits():
    inbox = Inbox()
    taking = asyncio.create_task(inbox.take())
    await asyncio.sleep(0)

    inbox.close()

    with pytest.raises(InboxClosed):
        await taking


def test_no_events_are_no_call():
    assert calls([]) == []
    assert newest_call([]) == []


@pytest.mark.parametrize(
    ("count", "size", "batches"),
    [
        (CALL_EVENTS_MAX, 10, [CALL_EVENTS_MAX]),
        (CALL_EVENTS_MAX + 1, 10, [CALL_EVENTS_MAX, 1]),
        (3, CALL_BYTES_MAX // 2 - 100, [2, 1]),
        (2, 2 * CALL_BYTES_MAX, [1, 1]),
    ],
)
def test_a_call_carries_so_many_events_and_bytes(count: int, size: int, batches: list[int]):
    """An event that is too large for any call goes alone: the codec's cap forbids it anyway."""
    whole = events(1, count, size=size)

    cut = calls(whole)

    assert [len(batch) for batch in cut] == batches
    assert [event for batch in cut for event in batch] == whole


@pytest.mark.parametrize(
    ("size", "kept"), [(10, CALL_EVENTS_MAX), (CALL_BYTES_MAX // 2 - 100, 2), (CALL_BYTES_MAX, 1)]
)
def test_the_newest_call_ends_with_the_newest_event(size: int, kept: int):
    newest = newest_call(events(1, CALL_EVENTS_MAX + 5, size=size))

    assert newest[-1].seq == CALL_EVENTS_MAX + 5
    assert len(newest) == kept
