"""Pages of the store, shared: how often it is asked, and for what."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import LINE_BYTES_MAX, Lines, Page, Stretch
from holdfast.gateway import sse
from holdfast.gateway.catchup import LINES_AT_ONCE, LINES_PAGES, SCAN_SEQS_MAX, Catchup, Leaf
from holdfast.gateway.ending import Ending
from holdfast.gateway.heavy import HEAVY_MAX, Heavy
from holdfast.gateway.observer import Silent
from holdfast.gateway.options import HubOptions
from holdfast.gateway.selection import Selection
from tests.gateway.fakes import SESSION, FakeLog, FakeSession

EVERYTHING = Selection()


class Gate:
    """Holds every call of the log until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self) -> None:
        await self.opened.wait()


def make(log: FakeLog) -> Catchup:
    return Catchup(log, asyncio.create_task, ManualClock(), HubOptions(), Silent())


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_any_number_of_readers_at_an_empty_page_cost_two_reads():
    """The one that was under way when they came, and one that began after."""
    gate = Gate()
    log = FakeLog(gate)
    catchup = make(log)
    asked = [asyncio.create_task(catchup.leaf(SESSION, EVERYTHING, after=0)) for _ in range(50)]
    await turns()
    gate.opened.set()

    leaves = await asyncio.gather(*asked)

    assert {leaf.through for leaf in leaves} == {0}
    assert len(log.reads) == 2


async def test_what_an_empty_page_is_followed_by_was_read_after_the_call():
    gate = Gate()
    log = FakeLog(gate)
    catchup = make(log)
    first = asyncio.create_task(catchup.leaf(SESSION, EVERYTHING, after=0))
    gate.opened.set()
    while not log.reads:  # noqa: ASYNC110  # no event: the turn is what is waited for
        await asyncio.sleep(0)
    log.append("message.delta")  # after the first was read, before the second asks
    second = await catchup.leaf(SESSION, EVERYTHING, after=0)

    assert (await first).through == 0
    assert second.through == 1


async def test_a_page_that_lands_after_its_session_was_forgotten_is_not_kept():
    gate = Gate()
    log = FakeLog(gate)
    log.append("message.delta")
    catchup = make(log)
    under_way = asyncio.create_task(catchup.leaf(SESSION, EVERYTHING, after=0))
    await turns()

    catchup.forget(SESSION)
    gate.opened.set()
    await under_way

    assert catchup.bytes == 0
    await catchup.leaf(SESSION, EVERYTHING, after=0)
    assert len(log.reads) == 2


async def test_pages_of_many_sessions_are_one_question_and_each_gets_its_own():
    gate = Gate()
    log = FakeLog(gate)
    sessions = range(1, 2 * LINES_AT_ONCE * LINES_PAGES + 1)
    for session in sessions:
        log.sessions[session] = FakeSession()
        log.append("message.delta", session=session, step=f"of {session}")
    catchup = make(log)
    asked = [asyncio.create_task(catchup.leaf(n, EVERYTHING, after=0)) for n in sessions]
    await turns()
    assert log.lines_asked == [LINES_PAGES] * LINES_AT_ONCE
    gate.opened.set()

    leaves = await asyncio.gather(*asked)

    for session, leaf in zip(sessions, leaves, strict=True):
        assert [piece.frames for piece in leaf.pieces] == [
            sse.frame(log.sessions[session].events[1])
        ]
    assert log.lines_asked == [LINES_PAGES] * (2 * LINES_AT_ONCE)


async def test_a_page_with_a_hole_is_told_as_it_is_and_holds_up_nobody_else():
    log = FakeLog()
    log.append(*["message.delta"] * 5)
    del log.sessions[SESSION].events[3]
    other = log.sessions[SESSION + 1] = FakeSession()
    log.append("message.delta", session=SESSION + 1)
    catchup = make(log)

    holed, whole = await asyncio.gather(
        catchup.leaf(SESSION, EVERYTHING, after=0), catchup.leaf(SESSION + 1, EVERYTHING, after=0)
    )

    events = log.sessions[SESSION].events
    frames = [sse.frame(events[1]), sse.frame(events[2]), sse.id_only(3)]
    frames += [sse.frame(events[4]), sse.frame(events[5])]
    assert [piece.frames for piece in holed.pieces] == [b"".join(frames)]
    assert [piece.frames for piece in whole.pieces] == [sse.frame(other.events[1])]
    assert (holed.through, whole.through) == (5, 1)


async def test_pages_of_large_events_are_not_asked_for_twice_until_they_are_small_again():
    log = FakeLog()
    log.append("message.delta", text="x" * LINE_BYTES_MAX)
    log.append(*["message.delta"] * 2)
    catchup = make(log)

    for after in range(3):
        await catchup.leaf(SESSION, EVERYTHING, after=after)

    # Twice the first one, once the second, and the third as all are at first.
    assert log.reads == [(SESSION, after) for after in (0, 0, 1, 2)]
    assert log.lines_asked == [1, 1]


async def test_the_page_in_which_a_session_ends_says_nothing_of_its_others():
    log = FakeLog()
    log.append("message.delta", "session.expired")
    catchup = make(log)

    await catchup.leaf(SESSION, EVERYTHING, after=0)
    await catchup.leaf(SESSION, EVERYTHING, after=1)

    assert log.lines_asked == [1, 1]


async def test_as_many_sessions_of_large_events_are_remembered_as_fit():
    heavy = Heavy()
    log = FakeLog()
    log.append(*["message.delta"] * 2)
    page = await log.read(SESSION, after=0, limit=1)
    cut = replace(page, items=())

    for session in range(HEAVY_MAX + 1):
        heavy.note(session, cut, limit=1)

    assert 0 not in heavy
    assert all(session in heavy for session in range(1, HEAVY_MAX + 1))


async def test_a_page_tells_of_the_event_that_ends_its_session():
    log = FakeLog()
    log.append("message.delta", "session.expired")

    leaf = await make(log).leaf(SESSION, EVERYTHING, after=0)

    assert (leaf.ending, leaf.through) == (Ending.EXPIRED, 2)


async def test_a_page_is_not_read_for_those_who_left_before_its_turn():
    gate = Gate()
    log = FakeLog(gate)
    sessions = range(1, 2 * LINES_AT_ONCE * LINES_PAGES + 2)
    for session in sessions:
        log.sessions[session] = FakeSession()
    catchup = make(log)
    asked = [asyncio.create_task(catchup.leaf(n, EVERYTHING, after=0)) for n in sessions]
    await turns()
    asked[-1].cancel()
    await turns()
    gate.opened.set()

    await asyncio.gather(*asked, return_exceptions=True)

    assert {session for session, _ in log.reads} == {*sessions} - {sessions[-1]}


@pytest.mark.parametrize(
    "selection",
    [
        Selection(types=TypeFilter({"message.delta"})),
        Selection(run_id="r", family=frozenset({"r"})),
    ],
)
# protocol P20
async def test_a_filtered_page_looks_through_a_bounded_part_of_the_log(selection: Selection):
    log = FakeLog()
    log.sessions[SESSION].head = 3 * SCAN_SEQS_MAX
    catchup = make(log)

    leaf = await catchup.leaf(SESSION, selection, after=5)
    near = await catchup.leaf(SESSION, selection, after=5, until=7)

    assert leaf.through == 5 + SCAN_SEQS_MAX
    assert leaf.head == 3 * SCAN_SEQS_MAX
    assert near.through == 7


async def test_a_session_that_cannot_be_read_breaks_off_no_other_one_s_page():
    """They are asked for together, and each is told by itself then."""
    log = FakeLog()
    log.sessions[SESSION + 1] = FakeSession()
    log.append("message.delta")
    log.append("message.delta", session=SESSION + 1)
    read, lines = log.read, log.lines

    async def damaged(session: int, **asked: Any) -> Page:
        if session == SESSION:
            raise RuntimeError("a chunk is missing")
        return await read(session, **asked)

    async def damaged_too(stretches: Sequence[Stretch], **asked: Any) -> Mapping[Stretch, Lines]:
        if any(stretch.session == SESSION for stretch in stretches):
            raise RuntimeError("a chunk is missing")
        return await lines(stretches, **asked)

    log.read, log.lines = damaged, damaged_too
    catchup = make(log)

    bad, good = await asyncio.gather(
        *(catchup.leaf(session, EVERYTHING, after=0) for session in (SESSION, SESSION + 1)),
        return_exceptions=True,
    )

    assert isinstance(bad, RuntimeError)
    assert isinstance(good, Leaf)
    assert good.through == 1
