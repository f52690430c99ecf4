"""Readers at the head of a session are told together, and nobody is told twice, early or out of order."""

from collections.abc import Callable

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.gateway.chorus import Chorus
from holdfast.gateway.observer import Silent
from holdfast.gateway.ring import Piece


class Counting(Silent):
    def __init__(self) -> None:
        self.events = self.bytes = 0

    def sent(self, events: int, size: int) -> None:
        self.events += events
        self.bytes += size


class Connection:
    """An outlet and the voice behind it."""

    def __init__(self, chorus: Chorus) -> None:
        self.chorus = chorus
        self.ready = True
        self.written: list[bytes] = []
        self.stood_at: list[tuple[int, float]] = []
        self.error: Exception | None = None
        self.full = False  # with its next write

    def write(self, chunk: bytes) -> None:
        if self.error is not None:
            raise self.error
        self.written.append(chunk)
        if self.full:
            self.chorus.leave(self)

    def on_full(self, call: Callable[[], object]) -> None:
        raise AssertionError("who is full says so by itself here")

    def step_out(self, at: int, said_at: float) -> None:
        self.stood_at.append((at, said_at))


def piece(after: int, last: int, *, frames: bytes = b"id: 1\n\n") -> Piece:
    return Piece(after, after + 1, last, last - after, frames)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def counted() -> Counting:
    return Counting()


@pytest.fixture
def chorus(clock: ManualClock, counted: Counting) -> Chorus:
    return Chorus(clock, counted)


def three(chorus: Chorus, at: int = 5) -> list[Connection]:
    connections = [Connection(chorus) for _ in range(3)]
    assert all(chorus.join(one, one, at, 0.0) for one in connections)
    return connections


def test_everybody_gets_the_same_chunk_and_it_is_counted_for_each(
    chorus: Chorus, counted: Counting, clock: ManualClock
):
    connections = three(chorus)

    assert chorus.sing(piece(5, 7))

    assert [one.written for one in connections] == [[b"7\r\nid: 1\n\n\r\n"]] * 3
    assert all(one.written[0] is connections[0].written[0] for one in connections)
    assert (chorus.at, chorus.said_at) == (7, clock.monotonic())
    assert (counted.events, counted.bytes) == (6, 21)


@pytest.mark.parametrize(
    "wrong",
    [
        piece(4, 6),
        piece(6, 7),
        piece(5, 5),
        Piece(after=3, first=6, last=7, events=2, frames=b"id: 7\n\n"),
    ],
    ids=["repeats", "skips", "empty", "accounts for more"],
)
def test_a_piece_that_does_not_follow_is_written_to_nobody(chorus: Chorus, wrong: Piece):
    connections = three(chorus)

    assert not chorus.sing(wrong)

    assert [one.written for one in connections] == [[], [], []]
    assert chorus.at == 5


def test_who_stands_elsewhere_or_is_not_ready_does_not_join(chorus: Chorus):
    three(chorus)
    elsewhere, busy = Connection(chorus), Connection(chorus)
    busy.ready = False

    assert not chorus.join(elsewhere, elsewhere, 4, 0.0)
    assert not chorus.join(busy, busy, 5, 0.0)
    assert len(chorus) == 3


@pytest.mark.parametrize(
    "error", [OSError("broken"), RuntimeError("no more writes"), ValueError("a mistake of ours")]
)
def test_a_connection_that_breaks_steps_out_at_the_place_before_and_the_others_are_served(
    chorus: Chorus, counted: Counting, error: Exception
):
    first, broken, last = three(chorus)
    broken.error = error

    assert chorus.sing(piece(5, 6))

    assert (len(first.written), len(last.written)) == (1, 1)
    assert [at for at, _ in broken.stood_at] == [5]
    assert counted.events == 2
    assert len(chorus) == 2
    chorus.leave(first)
    assert [at for at, _ in first.stood_at] == [6]


def test_the_write_that_was_one_too_many_counts_and_the_reader_goes_on_alone_behind_it(
    chorus: Chorus, counted: Counting
):
    _, full, _ = three(chorus)
    full.full = True

    assert chorus.sing(piece(5, 6))

    assert [at for at, _ in full.stood_at] == [6]
    assert counted.events == 3
    assert len(chorus) == 2


def test_dispersed_everybody_stands_where_all_were(chorus: Chorus):
    connections = three(chorus)
    chorus.sing(piece(5, 9))

    chorus.disperse()

    assert [at for one in connections for at, _ in one.stood_at] == [9, 9, 9]
    assert len(chorus) == 0


async def test_after_a_silence_all_get_one_sign_of_life_and_no_sooner(
    chorus: Chorus, counted: Counting, clock: ManualClock
):
    connections = three(chorus)
    await clock.advance(14.9)
    chorus.beat(clock.monotonic(), 15.0)
    assert [one.written for one in connections] == [[], [], []]

    await clock.advance(0.1)
    chorus.beat(clock.monotonic(), 15.0)
    chorus.beat(clock.monotonic(), 15.0)

    assert [one.written for one in connections] == [[b"6\r\n: hb\n\n\r\n"]] * 3
    assert chorus.at == 5
    assert (counted.events, counted.bytes) == (0, 18)


async def test_what_was_said_is_a_sign_of_life_and_a_beat_moves_nobody(
    chorus: Chorus, clock: ManualClock
):
    first, _, _ = three(chorus)
    await clock.advance(10.0)
    chorus.sing(piece(5, 6))
    await clock.advance(10.0)
    chorus.beat(clock.monotonic(), 15.0)
    assert len(first.written) == 1

    first.full = True
    await clock.advance(5.0)
    chorus.beat(clock.monotonic(), 15.0)

    assert len(first.written) == 2
    assert [at for at, _ in first.stood_at] == [6]
    assert chorus.sing(piece(6, 7))


async def test_nobody_waits_longer_for_a_sign_of_life_because_another_joins(
    chorus: Chorus, clock: ManualClock
):
    quiet, newer = Connection(chorus), Connection(chorus)
    await clock.advance(100.0)
    chorus.join(quiet, quiet, 5, clock.monotonic() - 10.0)
    chorus.join(newer, newer, 5, clock.monotonic())
    await clock.advance(5.0)

    chorus.beat(clock.monotonic(), 15.0)

    assert len(quiet.written) == 1
