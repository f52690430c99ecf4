"""The checker's time grows as the history does."""

import time

import pytest

from holdfast.verify import Client, Connection, Got, History, LogEvent, Seen, SessionLog, check
from holdfast.verify.numbers import numbers

EVENTS = 50_000

pytestmark = pytest.mark.alone


def history(events: int) -> History:
    logs = [
        LogEvent(
            seq=n, type="message.delta", digest=n.to_bytes(16), session="s", said_seq=n, run_id="r",
            step=f"step#{n // 10}", epoch=1,
        )
        for n in range(1, events + 1)
    ]  # fmt: skip
    seen = [Seen(Got.EVENT, event.seq, 0.0, event.digest) for event in logs]
    # Cut after every tenth event: resuming must not cost a look at all that was before.
    connections = [
        Connection(gateway="a", cursor=begin, at=0.0, seen=seen[begin : begin + 10])
        for begin in range(0, events, 10)
    ]
    return History(
        logs=[SessionLog(session="s", events=logs, head=events)],
        clients=[Client(name="c", session="s", connections=connections, stayed=True)],
    )


def took(events: int) -> float:
    given = history(events)
    begun = time.process_time()
    assert check(given) == []
    numbers(given)
    return time.process_time() - begun


def test_twice_the_events_take_about_twice_the_time():
    """Quadratic would be four times as long, each time; what else runs on the machine disturbs some of the times."""
    took(1000)

    assert min(took(2 * EVENTS) / took(EVENTS) for _ in range(5)) < 3
