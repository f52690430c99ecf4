"""A page of which all is wanted takes a way of its own to its pieces; they are the same."""

import random

from holdfast.events.recorded import RecordedEvent
from holdfast.gateway.ring import Entry
from holdfast.gateway.selection import Selection
from holdfast.gateway.sift import join, sift

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
