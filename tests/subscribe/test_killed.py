"""A subscriber that is killed again and again misses nothing, and hears each session in its order."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence

import pytest

from tests.factories import Owner, delta
from tests.subscribe.test_consumer import kill, passes_until
from tests.subscribe.worlds import PostgresWorld, Seen, until

pytestmark = pytest.mark.postgres

KILLS = 100
EVENTS = 5000
SESSIONS = 4

# Who was killed holds the subscription for so long; who comes next waits for it. A hundred times this is 10 s.
LEASE_S = 0.1

# From a life's first event to its end: most end between two saves (50 ms) of the position, some before any event.
LIFE_S = 0.06
STILLBORN = 0.1

# 1,700 commits of 3 events on average, 10 ms apart, take about as long as the kills.
PAUSE_S = 0.01


async def _write(owners: Sequence[Owner], chance: random.Random) -> None:
    left = EVENTS
    while left:
        n = min(left, chance.randint(1, 5))
        # As long as there are kills to come there is something to be killed at.
        await asyncio.sleep(PAUSE_S)
        await chance.choice(owners).append(*(delta(f"{left - i}") for i in range(n)))
        left -= n


async def test_killed_a_hundred_times_it_handles_every_event_at_least_once_and_in_order(
    postgres_world: PostgresWorld,
) -> None:
    world, chance = postgres_world, random.Random(7)
    owners = [await world.session(f"s{n}") for n in range(SESSIONS)]
    lives: list[Seen] = []

    async def live(seconds: float | None) -> None:
        seen = Seen()
        lives.append(seen)
        task = asyncio.create_task(world.consumer(seen.subscription(), lease_s=LEASE_S).run())
        if seconds is None:
            await passes_until(world, lambda: _handled(lives) == EVENTS + SESSIONS)
        else:
            if chance.random() > STILLBORN:
                await until(lambda: bool(seen.events) or writing.done())
            await asyncio.sleep(seconds)
        await kill(task)

    writing = asyncio.create_task(_write(owners, chance))
    for _ in range(KILLS):
        await live(chance.random() * LIFE_S)
    await writing
    await live(None)

    reached: defaultdict[int, int] = defaultdict(int)
    for seen in lives:
        for owner in owners:
            seqs = seen.seqs(owner.session)
            # In each life one after the other, from where one before it was or earlier.
            assert seqs == list(range(seqs[0], seqs[0] + len(seqs))) if seqs else True
            assert not seqs or seqs[0] <= reached[owner.session] + 1
            reached[owner.session] = max(reached[owner.session], *seqs, 0)
    assert sum(reached.values()) == EVENTS + SESSIONS
    assert sum(bool(seen.events) for seen in lives) > KILLS / 4, "most lives did something"


def _handled(lives: Sequence[Seen]) -> int:
    return len({place for seen in lives for place in seen.places()})
