"""What every stream promises: publishing and reading. Memory, and each Redis of this machine."""

from contextlib import suppress

import pytest

from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream import ACTIVE_TTL_S, REST_TTL_S, WINDOW_BYTES, WINDOW_EVENTS, Published
from holdfast.events.stream_batches import CALL_EVENTS_MAX
from tests.contract.stream_rigs import Rig, Stream, events, seqs

pytest_plugins = ["tests.contract.stream_fixtures"]

pytestmark = pytest.mark.anyio


async def test_what_is_published_is_read_back_as_it_was(stream: Stream, session: int):
    published = events(1, 3)

    assert await stream.publish(session, published) is Published.OK

    assert (await stream.read({session: 0}, limit=10))[session] == published


async def test_an_event_without_a_run_is_read_back_without_one(stream: Stream, session: int):
    [event] = events(1, 1)
    created = type(event)(1, "session.created", None, event.body)

    await stream.publish(session, [created])

    assert (await stream.read({session: 0}, limit=10))[session] == [created]


async def test_a_reader_gets_what_is_after_its_cursor_and_no_more_than_its_limit(
    stream: Stream, session: int
):
    await stream.publish(session, events(1, 9))

    read = await stream.read({session: 4}, limit=3)

    assert [event.seq for event in read[session]] == [5, 6, 7]


async def test_one_read_serves_many_sessions_each_from_its_own_cursor(stream: Stream, session: int):
    other, silent = session + 1_000_000, session + 2_000_000
    await stream.publish(session, events(1, 3))
    await stream.publish(other, events(1, 5))

    read = await stream.read({session: 1, other: 4, silent: 0}, limit=10)

    assert {s: [event.seq for event in found] for s, found in read.items()} == {
        session: [2, 3],
        other: [5],
        silent: [],
    }


async def test_reading_nothing_needs_no_stream(rig: Rig):
    await rig.go_down()

    assert await rig.stream.read({}, limit=10) == {}


async def test_batches_that_follow_each_other_make_one_sequence(stream: Stream, session: int):
    await stream.publish(session, events(1, 2))

    assert await stream.publish(session, events(3, 5)) is Published.OK

    assert await seqs(stream, session) == [1, 2, 3, 4, 5]


async def test_what_is_there_already_is_a_dup(stream: Stream, session: int):
    await stream.publish(session, events(1, 5))

    assert await stream.publish(session, events(1, 5)) is Published.DUP
    assert await stream.publish(session, events(2, 3)) is Published.DUP

    assert await seqs(stream, session) == [1, 2, 3, 4, 5]


async def test_of_a_batch_that_is_there_in_part_the_rest_is_appended(stream: Stream, session: int):
    await stream.publish(session, events(1, 3))

    assert await stream.publish(session, events(2, 5)) is Published.OK

    assert await seqs(stream, session) == [1, 2, 3, 4, 5]


async def test_a_gap_writes_nothing(stream: Stream, session: int):
    await stream.publish(session, events(1, 3))

    assert await stream.publish(session, events(5, 6)) is Published.GAP

    assert await seqs(stream, session) == [1, 2, 3]


async def test_an_empty_window_takes_only_the_first_event(stream: Stream, session: int):
    assert await stream.publish(session, events(2, 3)) is Published.GAP

    assert await seqs(stream, session) == []


async def test_events_with_a_hole_between_them_are_refused(stream: Stream, session: int):
    holed = [*events(1, 2), *events(4, 5)]

    with pytest.raises(ValueError, match="not contiguous"):
        await stream.publish(session, holed)
    with pytest.raises(ValueError, match="not contiguous"):
        await stream.rebase(session, holed)

    assert await seqs(stream, session) == []


async def test_a_batch_larger_than_a_call_is_published_whole(stream: Stream, session: int):
    last = 2 * CALL_EVENTS_MAX + 1

    assert await stream.publish(session, events(1, last)) is Published.OK

    assert await seqs(stream, session) == list(range(1, last + 1))


async def test_of_large_events_several_calls_are_made(stream: Stream, session: int):
    large = events(1, 5, size=250_000)

    assert await stream.publish(session, large) is Published.OK

    assert (await stream.read({session: 0}, limit=10))[session] == large


async def test_after_a_gap_the_window_begins_anew(rig: Rig, session: int):
    """FLUSHALL: the next publish can't go on, and must not pretend to."""
    await rig.stream.publish(session, events(1, 5))
    await rig.flush()

    assert await rig.stream.publish(session, events(6, 7)) is Published.GAP
    assert await rig.stream.rebase(session, events(4, 7)) is Published.OK
    assert await rig.stream.publish(session, events(8, 8)) is Published.OK

    assert await seqs(rig.stream, session) == [4, 5, 6, 7, 8]


async def test_a_reader_sees_where_a_rebased_window_begins(stream: Stream, session: int):
    """Its cursor is 2, the window begins with 6: a gap, for the store to fill."""
    await stream.rebase(session, events(6, 8))

    assert await seqs(stream, session, after=2) == [6, 7, 8]


async def test_a_rebase_replaces_what_an_old_window_held(stream: Stream, session: int):
    await stream.publish(session, events(1, 3))

    assert await stream.rebase(session, events(7, 9)) is Published.OK

    assert await seqs(stream, session) == [7, 8, 9]


async def test_a_rebase_never_takes_a_window_back(stream: Stream, session: int):
    await stream.rebase(session, events(1, 9))

    assert await stream.rebase(session, events(4, 8)) is Published.DUP
    assert await stream.rebase(session, events(8, 9)) is Published.DUP

    assert await seqs(stream, session) == list(range(1, 10))


async def test_a_rebase_with_nothing_changes_nothing(stream: Stream, session: int):
    await stream.publish(session, events(1, 2))

    assert await stream.rebase(session, []) is Published.DUP

    assert await seqs(stream, session) == [1, 2]


async def test_of_a_rebase_larger_than_a_call_the_newest_events_are_kept(
    stream: Stream, session: int
):
    await stream.rebase(session, events(1, CALL_EVENTS_MAX + 10))

    assert await seqs(stream, session) == list(range(11, CALL_EVENTS_MAX + 11))


async def test_a_tail_that_a_failover_lost_is_appended_again(rig: Rig, session: int):
    await rig.stream.publish(session, events(1, 6))
    await rig.lose_tail(session, 2)

    assert await rig.stream.publish(session, events(7, 7)) is Published.GAP
    assert await rig.stream.publish(session, events(3, 7)) is Published.OK

    assert await seqs(rig.stream, session) == [1, 2, 3, 4, 5, 6, 7]


async def test_from_a_trimmed_cursor_a_read_begins_late(rig: Rig, session: int):
    """The first entry lies beyond cursor + 1: that is how a reader sees the gap."""
    await rig.stream.publish(session, events(1, 9))
    await rig.trim(session, 3)

    assert await seqs(rig.stream, session, after=2) == [7, 8, 9]
    assert await rig.stream.publish(session, events(9, 10)) is Published.OK


async def test_a_window_keeps_its_newest_events_and_not_many_more(stream: Stream, session: int):
    last = WINDOW_EVENTS + 1_500

    await stream.publish(session, events(1, last))

    kept = await seqs(stream, session)
    assert kept == list(range(kept[0], last + 1))
    # Redis drops whole nodes of at most 100 entries.
    assert WINDOW_EVENTS <= len(kept) < WINDOW_EVENTS + 100


async def test_a_window_of_very_large_events_keeps_fewer_of_them(stream: Stream, session: int):
    """2,048 events of the largest size would be half a gigabyte for one session."""
    large, last = 200_000, 120

    for first in range(1, last, 2):
        await stream.publish(session, events(first, first + 1, size=large))

    kept = await seqs(stream, session)
    assert kept[-1] == last
    assert len(kept) * large <= WINDOW_BYTES + 2 * large


async def lives_for(rig: Rig, session: int, ttl_s: float) -> bool:
    left = await rig.expires_in(session)
    return left is not None and ttl_s - 10 < left <= ttl_s


async def test_every_window_expires_and_one_at_rest_sooner(rig: Rig, session: int):
    """A million sessions that wait for somebody hold no memory: what windows there are is bounded in all."""
    await rig.stream.publish(session, events(1, 2))
    assert await lives_for(rig, session, ACTIVE_TTL_S)

    await rig.stream.publish(session, events(3, 4), at_rest=True)
    assert await lives_for(rig, session, REST_TTL_S)

    await rig.stream.publish(session, events(5, 5))
    assert await lives_for(rig, session, ACTIVE_TTL_S)


async def test_a_repetition_also_says_whether_the_session_is_at_rest(rig: Rig, session: int):
    """The first reply may have been lost: what the second call says must hold."""
    await rig.stream.publish(session, events(1, 2))

    assert await rig.stream.publish(session, events(1, 2), at_rest=True) is Published.DUP
    assert await lives_for(rig, session, REST_TTL_S)
    assert await rig.stream.publish(session, []) is Published.DUP
    assert await lives_for(rig, session, ACTIVE_TTL_S)
    assert await rig.stream.rebase(session, events(1, 2), at_rest=True) is Published.DUP
    assert await lives_for(rig, session, REST_TTL_S)


async def test_a_rebased_window_at_rest_expires_too(rig: Rig, session: int):
    await rig.stream.rebase(session, events(7, 9), at_rest=True)
    assert await lives_for(rig, session, REST_TTL_S)

    await rig.stream.rebase(session, events(8, 10))
    assert await lives_for(rig, session, ACTIVE_TTL_S)


async def test_a_dropped_window_is_gone_and_dropping_it_again_harmless(
    stream: Stream, session: int
):
    await stream.publish(session, events(1, 2))

    await stream.drop(session)
    await stream.drop(session)

    assert await seqs(stream, session) == []


async def test_an_erased_window_holds_the_word_of_its_erasure_and_nothing_else(
    rig: Rig, session: int
):
    await rig.stream.publish(session, events(1, 5))
    last = events(6, 6)[0]

    assert await rig.stream.erase(session, last) is Published.OK
    assert await rig.stream.erase(session, last) is Published.DUP

    assert await seqs(rig.stream, session) == [6]
    assert await rig.expires_in(session) is not None


async def test_an_erasure_also_takes_what_lies_before_its_own_word_in_a_window_that_reaches_as_far(
    stream: Stream, session: int
):
    await stream.publish(session, events(1, 6))

    assert await stream.erase(session, events(6, 6)[0]) is Published.OK

    assert await seqs(stream, session) == [6]


async def test_what_comes_late_from_before_an_erasure_brings_nothing_back(
    stream: Stream, session: int
):
    await stream.erase(session, events(6, 6)[0])

    assert await stream.rebase(session, events(1, 5)) is Published.DUP
    assert await stream.publish(session, events(1, 5)) is Published.DUP

    assert await seqs(stream, session) == [6]


async def test_a_stream_that_is_away_says_so_and_goes_on_when_it_is_back(rig: Rig, session: int):
    await rig.stream.publish(session, events(1, 2))
    await rig.go_down()

    for call in (
        rig.stream.publish(session, events(3, 3)),
        rig.stream.rebase(session, events(3, 3)),
        rig.stream.read({session: 0}, limit=1),
        rig.stream.erase(session, events(3, 3)[0]),
        rig.stream.drop(session),
        rig.stream.hint_work(session),
    ):
        with pytest.raises(StreamUnavailable):
            await call

    await rig.come_back()
    outcome = await rig.stream.publish(session, events(1, 3))
    assert outcome is Published.OK
    assert await seqs(rig.stream, session) == [1, 2, 3]


async def test_out_of_memory_nothing_is_appended_and_nothing_lost(rig: Rig, session: int):
    await rig.stream.publish(session, events(1, 2))
    await rig.fill_memory()

    with pytest.raises(StreamUnavailable):
        await rig.stream.publish(session, events(3, 4))
    with pytest.raises(StreamUnavailable):
        await rig.stream.rebase(session, events(3, 9))

    assert await seqs(rig.stream, session) == [1, 2]
    assert await rig.stream.publish(session, events(1, 2)) is Published.DUP


async def test_what_fitted_before_memory_ran_out_is_completed_by_the_next_call(
    rig: Rig, session: int
):
    """A large batch is several calls; the first ones fit, and the same call again heals it. Or it makes room itself."""
    batch = events(1, 1_500, size=4_000)
    await rig.fill_memory(leave_room=True)

    with suppress(StreamUnavailable):
        await rig.stream.publish(session, batch)
    some = await seqs(rig.stream, session)
    await rig.free_memory()

    assert 0 < len(some) < len(batch)
    assert some == list(range(some[0], some[-1] + 1))
    await rig.stream.publish(session, batch)
    assert await seqs(rig.stream, session) == list(range(some[0], 1_501))


async def test_out_of_memory_a_window_gives_up_its_older_half_and_goes_on(rig: Rig, session: int):
    """What all windows together may hold is what Redis may: then each is shorter, and none stands still."""
    await rig.stream.publish(session, events(1, 100))
    await rig.fill_memory()

    assert await rig.stream.publish(session, events(101, 110)) is Published.OK
    kept = await seqs(rig.stream, session)
    assert kept == list(range(kept[0], 111))
    assert 50 <= len(kept) <= 60

    for first in range(111, 400, 10):
        assert await rig.stream.publish(session, events(first, first + 9)) is Published.OK
    kept = await seqs(rig.stream, session)
    assert kept == list(range(kept[0], 401))
    assert len(kept) <= 100


async def test_a_closed_stream_refuses_calls(rig: Rig, session: int):
    await rig.stream.close()

    with pytest.raises(StreamUnavailable):
        await rig.stream.publish(session, events(1, 1))
