"""What a feed takes in, keeps and refuses."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import Page, Pulse, SessionStatus
from holdfast.gateway.feed import Feed
from holdfast.gateway.options import HubOptions
from holdfast.gateway.ring import Entry, Ring
from tests.gateway.fakes import recorded


def make_ring(head: int = 0, *, events_max: int = 4, bytes_max: int = 10_000) -> Ring:
    return Ring(head, events_max=events_max, bytes_max=bytes_max)


def make_feed(head: int = 0, **options: int) -> Feed:
    pulse = Pulse(head, 1, SessionStatus.ACTIVE, None, None)
    return Feed(7, pulse, HubOptions(**options))


class Woken:
    def __init__(self) -> None:
        self.times = 0
        self.rewinds: list[int] = []

    def wake(self) -> None:
        self.times += 1

    def rewind(self, head: int) -> None:
        self.rewinds.append(head)


def offer(feed: Feed, events: Sequence[RecordedEvent]) -> bool:
    """As the tail does: take them in, and tell."""
    before = feed.head
    gap = feed.take(events)
    feed.tell(before)
    return gap


def test_a_ring_keeps_the_newest_by_count():
    ring = make_ring(10)
    for seq in range(11, 18):
        ring.append(Entry(recorded(seq)))

    assert (ring.floor, ring.head, len(ring)) == (13, 17, 4)
    assert [entry.seq for entry in ring.entries(13)] == [14, 15, 16, 17]


def test_a_ring_keeps_the_newest_by_bytes_and_always_one():
    ring = make_ring(bytes_max=300)
    for seq in range(1, 5):
        ring.append(Entry(recorded(seq)))
    assert ring.bytes <= 300
    assert ring.bytes == sum(len(entry.frame) for entry in ring.entries(ring.floor))

    ring.append(Entry(recorded(5, text="x" * 1000)))

    assert (ring.floor, ring.head) == (4, 5)


def test_a_ring_takes_nothing_out_of_order():
    ring = make_ring(10)

    for seq in (10, 12):
        with pytest.raises(ValueError, match="can't follow"):
            ring.append(Entry(recorded(seq)))


def test_readers_at_one_place_share_the_joined_bytes():
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.append(Entry(recorded(seq)))

    first, second = ring.joined(1, 10_000), ring.joined(1, 10_000)

    assert first.frames is second.frames
    assert first.frames == Entry(recorded(2)).frame + Entry(recorded(3)).frame
    assert (first.after, first.first, first.last, first.events) == (1, 2, 3, 2)


def test_joined_bytes_are_not_served_again_once_there_is_more():
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.append(Entry(recorded(seq)))
    ring.joined(0, 10_000)

    ring.append(Entry(recorded(4)))

    assert ring.joined(0, 10_000).last == 4


def test_a_piece_is_bounded_by_bytes_but_holds_at_least_one_frame():
    ring = make_ring()
    for seq in (1, 2, 3):
        ring.append(Entry(recorded(seq)))

    assert ring.joined(0, len(Entry(recorded(1)).frame) * 2).last == 2
    assert ring.joined(2, 1).last == 3


def test_a_feed_takes_what_follows_and_drops_what_it_knows():
    feed, woken = make_feed(2), Woken()
    feed.join(woken)

    assert offer(feed, [recorded(1), recorded(2), recorded(3), recorded(4)]) is False
    assert (feed.head, feed.floor, woken.times) == (4, 2, 1)
    assert offer(feed, [recorded(3), recorded(4)]) is False
    assert (feed.head, woken.times) == (4, 1)


def test_a_feed_takes_nothing_behind_a_gap_and_says_so():
    feed = make_feed(2)

    assert offer(feed, [recorded(3), recorded(5), recorded(6)]) is True
    assert feed.head == 3


def test_a_hole_in_a_page_is_no_gap():
    """The store is authoritative: 3 and 4 were compacted. The ring begins anew behind the hole."""
    feed = make_feed(1)

    feed.admit(Page((recorded(2), recorded(5)), through=6, head=6, min_seq=1))

    assert (feed.floor, feed.head) == (6, 6)


def test_a_page_that_lags_behind_the_stream_repeats_nothing():
    feed = make_feed(1)
    offer(feed, [recorded(2), recorded(3)])

    feed.admit(Page((recorded(2),), through=2, head=2, min_seq=1))

    assert [entry.seq for entry in feed.ring.entries(1)] == [2, 3]


def test_an_erasure_takes_the_erased_out_of_the_ring():
    removed: list[int] = []
    pulse = Pulse(0, 1, SessionStatus.ACTIVE, None, None)
    feed = Feed(7, pulse, HubOptions(), on_removed=removed.append)
    offer(feed, [recorded(1), recorded(2)])

    offer(feed, [recorded(3, "session.erased")])

    assert (feed.floor, feed.head, feed.status) == (2, 3, SessionStatus.ERASED)
    assert removed == [7]


def test_an_answer_older_than_the_session_s_end_does_not_undo_it():
    feed = make_feed(1)
    offer(feed, [recorded(2, "session.expired")])

    feed.note(Pulse(1, 1, SessionStatus.ACTIVE, None, None))

    assert (feed.status, feed.status_head) == (SessionStatus.EXPIRED, 2)


def test_retention_takes_old_frames_out_of_the_ring():
    feed = make_feed()
    offer(feed, [recorded(1), recorded(2), recorded(3)])

    feed.note(Pulse(3, 3, SessionStatus.ACTIVE, None, None))

    assert feed.floor == 2
    assert feed.ring.bytes == len(Entry(recorded(3)).frame)


def test_a_rewind_reaches_every_follower_and_the_stream_is_not_trusted_again():
    feed, woken = make_feed(5), Woken()
    feed.join(woken)

    feed.rewind(3)

    assert (feed.head, feed.floor, feed.heard) == (3, 3, 3)
    assert woken.rewinds == [3]
    assert feed.distrusts_stream


def test_followers_are_woken_for_a_change_of_state_and_not_without_one():
    feed, woken = make_feed(5), Woken()
    feed.join(woken)
    since = datetime(2026, 1, 1, tzinfo=UTC)

    feed.note(Pulse(5, 1, SessionStatus.ACTIVE, None, None))
    assert woken.times == 0
    feed.note(Pulse(5, 1, SessionStatus.ACTIVE, "r", since))

    assert woken.times == 1
