"""A page of which all is wanted takes ways of its own to its pieces, as events and as lines; they are the same."""

import itertools
import random

from holdfast.events.read import lines_of
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import PAGE_EVENTS_MAX, Page
from holdfast.gateway import sse
from holdfast.gateway.ring import Entry
from holdfast.gateway.selection import LAST, Selection
from holdfast.gateway.sift import join, join_lines, sift

SEEDS = 300


def page(chance: random.Random, after: int) -> list[RecordedEvent]:
    """Events with holes, of any size, and sometimes one that ends the session."""
    events: list[RecordedEvent] = []
    seq = after
    for _ in range(chance.randrange(12)):
        seq += chance.choice((1, 1, 1, 2, 7))
        kind = chance.choice(("message.delta",) * 8 + ("session.expired", "session.erased"))
        body = b'{"n":"' + b"x" * chance.choice((1, 20, 90, 400)) + b'"}'
        events.append(RecordedEvent(seq, kind, chance.choice((None, "r")), body))
    return events


def test_pages_of_everything_are_joined_as_they_are_sifted():
    for seed in range(SEEDS):
        chance = random.Random(seed)
        after = chance.randrange(3)
        events, bytes_max = page(chance, after), chance.choice((60, 200, 1000))

        joined = join(events, after=after, bytes_max=bytes_max)
        sifted = sift(map(Entry, events), Selection(), after=after, bytes_max=bytes_max)

        for name in ("pieces", "through", "ending", "selection"):
            assert getattr(joined, name) == getattr(sifted, name), (seed, name)


def test_lines_are_joined_as_their_events_are():
    told = 0
    for seed in range(SEEDS):
        chance = random.Random(seed)
        after = chance.choice((0, 1, PAGE_EVENTS_MAX - 3, 10 * PAGE_EVENTS_MAX - 7))
        events, bytes_max = page(chance, after), chance.choice((60, 200, 1000))
        if chance.random() < 0.6:  # most logs have no holes
            first = after + chance.choice((1, 1, 4))
            events = [
                RecordedEvent(seq, event.type, event.run_id, event.body)
                for seq, event in enumerate(events, first)
            ]
        through = events[-1].seq if events else after
        lines = lines_of(Page(events, through, through, 1), LAST)

        holes = any(two.seq != one.seq + 1 for one, two in itertools.pairwise(events))
        assert (lines is None) == (holes or any(event.type in LAST for event in events)), seed
        if lines is None:
            continue
        told += bool(events)
        exactly = sum(len(sse.frame(event)) for event in events[: chance.randrange(5)])
        for most in (bytes_max, exactly):
            joined = join_lines(lines, after=after, bytes_max=most)
            assert joined == join(events, after=after, bytes_max=most), seed
    assert told > SEEDS / 10
