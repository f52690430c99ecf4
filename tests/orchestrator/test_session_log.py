"""The end of an owned session: dense numbers, times that never go back, bounded memory."""

# pyright: reportPrivateUsage=false

import asyncio
from datetime import datetime, timedelta

import pytest

from holdfast.events.catalog import NotificationSent
from holdfast.events.errors import AppendRefused, EventTooLarge
from holdfast.events.recorded import Emission
from holdfast.orchestrator.session_log import PENDING_BYTES_MAX, TURN_ENTRIES, Fenced, SessionLog
from tests.orchestrator.units import NOON, emission, make_claim


class Hands:
    """A clock whose hands are set."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


def make_log(head: int = 0) -> tuple[SessionLog, Hands]:
    clock = Hands()
    return SessionLog(make_claim(head=head), clock=clock), clock


def bodies(log: SessionLog, limit: int = 1000) -> list[bytes]:
    return [row.body for row in log.batch(limit)[0].events]


async def test_events_are_numbered_from_the_claims_head_without_a_hole() -> None:
    log, _ = make_log(head=41)
    log.add([emission("a"), emission("b")])
    log.add([])
    log.add([emission("c")])
    batch, entries = log.batch(100)
    assert batch.expected_head == 41
    assert [b'"seq":%d,' % n in body for n, body in enumerate(bodies(log), 42)] == [True] * 3
    assert (log.head, len(entries)) == (44, 3)


async def test_times_never_go_back_when_the_clock_does() -> None:
    log, clock = make_log()
    log.add([emission()])
    clock.at -= timedelta(seconds=30)
    log.add([emission()])
    clock.at += timedelta(seconds=31)
    log.add([emission()])
    stamps = [row.ts for row in log.batch(9)[0].events]
    assert stamps == [NOON, NOON, NOON + timedelta(seconds=1)]


async def test_a_batch_takes_whole_entries_and_at_least_one() -> None:
    log, _ = make_log()
    log.add([emission()] * 5)
    log.add([emission()] * 2)
    log.add([emission()])
    assert len(log.batch(3)[0].events) == 5
    assert len(log.batch(7)[0].events) == 7


async def test_a_committed_entry_tells_who_waits_and_yields_what_is_recorded() -> None:
    log, _ = make_log()
    entry = log.add([emission("a", run_id="r1")])
    waiting = asyncio.create_task(entry.durable())
    await asyncio.sleep(0)
    assert not waiting.done()
    [recorded] = log.commit(log.batch(9)[1])
    await waiting
    assert (recorded.seq, recorded.type, recorded.run_id) == (1, "notification.sent", "r1")
    assert (log.committed_head, len(log.pending)) == (1, 0)
    await entry.durable()


async def test_a_rejected_entry_leaves_no_hole_behind_it() -> None:
    log, _ = make_log(head=8)
    bad = log.add([emission("bad"), emission("bad")])
    log.add([emission("b")])
    log.add([emission("c")])
    log.reject(bad, AppendRefused("one_key"))
    assert log.head == 10
    assert [b'"seq":%d,' % n in body for n, body in enumerate(bodies(log), 9)] == [True] * 2
    with pytest.raises(AppendRefused):
        await bad.durable()


async def test_what_is_rejected_gives_its_room_back_to_the_byte() -> None:
    log, _ = make_log(head=8)
    bad = log.add([emission("bad"), emission("bad")])
    log.add([emission("b")])
    log.reject(bad, AppendRefused("one_key"))
    log.commit(log.batch(9)[1])
    assert log._bytes == 0


async def test_an_event_that_can_not_be_written_changes_nothing() -> None:
    log, _ = make_log()
    with pytest.raises(EventTooLarge):
        log.add([emission("fine"), Emission(NotificationSent(text="x" * 300_000))])
    assert (log.head, len(log.pending)) == (0, 0)


async def test_whoever_emits_waits_while_too_much_is_not_committed() -> None:
    log, _ = make_log()
    size = 200_000
    for _ in range(PENDING_BYTES_MAX // size + 1):
        log.add([emission("x" * size)])
    waiting = asyncio.create_task(log.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    log.commit(log.batch(1)[1])
    await waiting


async def test_a_fenced_log_tells_everybody_who_waits_and_takes_nothing_more() -> None:
    log, _ = make_log()
    entry = log.add([emission("x" * 200_000)] * 6)
    committed, room = asyncio.create_task(entry.durable()), asyncio.create_task(log.room())
    await asyncio.sleep(0)
    log.fence()
    for waiting in (committed, room):
        with pytest.raises(Fenced):
            await waiting
    with pytest.raises(Fenced):
        log.add([emission()])


async def test_whoever_gives_up_waiting_for_an_entry_cancels_nobody_elses_wait() -> None:
    log, _ = make_log()
    entry = log.add([emission()])
    hasty, patient = (asyncio.create_task(entry.durable()) for _ in range(2))
    await asyncio.sleep(0)

    hasty.cancel()
    await asyncio.sleep(0)
    log.commit(log.batch(9)[1])

    await patient
    assert hasty.cancelled()


async def test_all_who_wait_for_a_fenced_entry_are_told_so() -> None:
    log, _ = make_log()
    entry = log.add([emission()])
    waiting = [asyncio.create_task(entry.durable()) for _ in range(2)]
    await asyncio.sleep(0)

    log.fence()

    for one in waiting:
        with pytest.raises(Fenced):
            await one


async def test_whoever_adds_without_ever_waiting_gives_the_others_a_turn() -> None:
    log, _ = make_log()
    turns: list[int] = []

    async def other() -> None:
        turns.append(log.head)

    task = asyncio.create_task(other())
    for _ in range(TURN_ENTRIES):
        log.add([emission()])
        await log.room()
    assert turns == [TURN_ENTRIES - 1]
    await task
