"""Group commit: what is pending is committed together, and every outcome finds the one whom it concerns."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from holdfast.events.errors import AppendRefused, StoreBusy, StoreUnavailable
from holdfast.events.store import Outcome, StepResult
from holdfast.events.store_memory import MemoryStore
from holdfast.orchestrator.recorder import (
    BATCH_BYTES_MAX,
    BATCH_EVENTS_MAX,
    COMMITS,
    SHARE_EVENTS,
    Recorder,
)
from holdfast.orchestrator.session_log import Entry, Fenced, SessionLog
from tests.factories import TENANT
from tests.orchestrator.harness import until
from tests.orchestrator.units import (
    Active,
    Counted,
    Faulty,
    Heard,
    Instant,
    emission,
    make_recorder,
)


@dataclass
class Desk:
    """A recorder at work over a store in memory."""

    store: MemoryStore
    writer: Faulty
    heard: Heard
    counted: Counted
    guard: Active
    recorder: Recorder

    async def session(self, name: str) -> SessionLog:
        await self.store.desk.create_session(TENANT, name)
        [claim] = await self.store.claims.claim("w", workflows=[], lease_s=30, limit=9)
        return SessionLog(claim, clock=Instant())

    def add(self, log: SessionLog, text: str, **fields: str) -> Entry:
        entry = log.add([emission(text, **fields)])
        self.recorder.submit(log)
        return entry

    async def take_over(self, log: SessionLog) -> None:
        """Let another worker own the session."""
        await self.store.claims.release({log.session: log.epoch}, published={})
        assert len(await self.store.claims.claim("x", workflows=[], lease_s=30, limit=9)) == 1

    async def recorded(self, *logs: SessionLog) -> None:
        """Wait until nothing of these is pending."""
        await until(lambda: not any(log.pending for log in logs))

    async def texts(self, log: SessionLog) -> list[str]:
        page = await self.store.reader.read(log.session, after=0, limit=2000)
        assert [e.seq for e in page.items] == list(range(1, len(page.items) + 1))
        assert [e.envelope["seq"] for e in page.items] == [e.seq for e in page.items]
        return [e.envelope["data"]["text"] for e in page.items]


async def settled() -> None:
    """Let everything that can go on do so: nothing here waits for time."""
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    store, heard, counted, guard = MemoryStore(), Heard(), Counted(), Active()
    writer = Faulty(store.writer)
    recorder = make_recorder(writer, heard, counted, guard)
    task = asyncio.create_task(recorder.run())
    yield Desk(store, writer, heard, counted, guard, recorder)
    broken = task.done()
    task.cancel()
    await asyncio.wait([task])
    assert not broken, "the recorder itself must survive everything"


async def test_while_the_commits_are_in_flight_everything_else_gathers_for_the_next(
    desk: Desk,
) -> None:
    logs = [await desk.session(name) for name in ("one", "two", "three")]
    desk.writer.held.clear()
    for n, log in enumerate(logs[:COMMITS], 1):
        desk.add(log, "a")
        await until(lambda n=n: len(desk.writer.calls) == n)
    for text in "bcd":
        for log in logs:
            desk.add(log, text)
    await settled()
    assert len(desk.writer.calls) == COMMITS
    desk.writer.held.set()
    await desk.recorded(*logs)
    # Whichever of the two comes back first takes all that waited, but for the other one's session.
    assert [sum(len(b.events) for b in call) for call in desk.writer.calls][:3] == [1, 1, 6]
    for log, wanted in zip(logs, ("abcd", "abcd", "bcd"), strict=True):
        assert "".join(await desk.texts(log)) == wanted
        assert "".join(desk.heard.texts(log.session)) == wanted


async def test_a_session_is_in_one_commit_at_a_time(desk: Desk) -> None:
    log = await desk.session("one")
    desk.writer.held.clear()
    desk.add(log, "a")
    await until(lambda: len(desk.writer.calls) == 1)
    desk.add(log, "b")
    await settled()
    assert len(desk.writer.calls) == 1
    desk.writer.held.set()
    await desk.recorded(log)
    assert await desk.texts(log) == ["a", "b"]


async def test_a_commit_that_takes_long_holds_up_nobody_who_came_after_it(desk: Desk) -> None:
    slow, quick = await desk.session("slow"), await desk.session("quick")
    desk.writer.slow.add(slow.session)
    late = desk.add(slow, "a")
    await until(lambda: len(desk.writer.calls) == 1)
    async with asyncio.timeout(5):
        for text in "bcd":
            await desk.add(quick, text).durable()
    assert not late.committed
    desk.writer.hurried.set()
    await late.durable()


async def test_a_crowd_is_shared_out_so_that_not_all_wait_for_the_same_commit(desk: Desk) -> None:
    logs = [await desk.session(f"s{n}") for n in range(SHARE_EVENTS)]
    desk.writer.held.clear()
    for log in logs:
        desk.add(log, "a")
    await until(lambda: len(desk.writer.calls) == COMMITS)
    assert [len(call) for call in desk.writer.calls] == [SHARE_EVENTS // COMMITS] * COMMITS
    desk.writer.held.set()
    await desk.recorded(*logs)


async def test_nothing_is_announced_before_it_is_committed(desk: Desk) -> None:
    log = await desk.session("one")
    desk.writer.held.clear()
    entry = desk.add(log, "a")
    await until(lambda: bool(desk.writer.calls))
    assert (desk.heard.events, entry.committed) == ({}, False)
    desk.writer.held.set()
    await entry.durable()
    assert desk.heard.texts(log.session) == ["a"]


async def test_a_flood_is_cut_into_commits_of_a_few_hundred_events(desk: Desk) -> None:
    log = await desk.session("one")
    for n in range(BATCH_EVENTS_MAX * 2 + 1):
        log.add([emission(str(n))])
    desk.recorder.submit(log)
    await desk.recorded(log)
    assert [len(c[0].events) for c in desk.writer.calls] == [BATCH_EVENTS_MAX] * 2 + [1]
    assert await desk.texts(log) == [str(n) for n in range(BATCH_EVENTS_MAX * 2 + 1)]


async def test_a_fenced_session_is_told_and_its_neighbours_commit(desk: Desk) -> None:
    mine, lost = await desk.session("mine"), await desk.session("lost")
    await desk.take_over(lost)
    desk.writer.held.clear()
    desk.add(mine, "warm-up")
    await until(lambda: bool(desk.writer.calls))
    good, bad = desk.add(mine, "a"), desk.add(lost, "b")
    desk.writer.held.set()
    await good.durable()
    with pytest.raises(Fenced):
        await bad.durable()
    assert lost.fenced
    assert desk.counted.fenced == 1
    assert await desk.texts(lost) == []
    assert desk.heard.texts(lost.session) == []


async def test_a_commit_whose_request_was_lost_is_sent_again_as_it_was(desk: Desk) -> None:
    log = await desk.session("one")
    desk.writer.lose_request = 2
    await desk.add(log, "a").durable()
    assert [o[log.session] for o in desk.writer.resolved] == [Outcome.ABSENT] * 2
    first, *again = desk.writer.ids
    assert again == [first, first]
    sent = [[e.body for b in call for e in b.events] for call in desk.writer.calls]
    assert sent[1:] == sent[:1] * 2
    assert await desk.texts(log) == ["a"]


async def test_a_commit_whose_reply_was_lost_is_found_and_not_repeated(desk: Desk) -> None:
    log = await desk.session("one")
    desk.writer.lose_reply, desk.writer.resolve_fails = 1, 2
    await desk.add(log, "a").durable()
    await desk.add(log, "b").durable()
    assert [o[log.session] for o in desk.writer.resolved] == [Outcome.RECORDED]
    assert len(desk.writer.calls) == 2
    assert await desk.texts(log) == ["a", "b"]
    assert desk.heard.texts(log.session) == ["a", "b"]


async def test_a_session_lost_while_the_store_was_away_is_fenced(desk: Desk) -> None:
    log, other = await desk.session("one"), await desk.session("two")
    desk.writer.held.clear()
    desk.writer.lose_request = 1
    bad, good = desk.add(log, "a"), desk.add(other, "b")
    await until(lambda: bool(desk.writer.calls))
    await desk.take_over(log)
    desk.writer.held.set()
    with pytest.raises(Fenced):
        await bad.durable()
    await good.durable()
    assert [set(o.values()) for o in desk.writer.resolved] == [{Outcome.FENCED, Outcome.ABSENT}]
    assert await desk.texts(other) == ["b"]


async def test_the_entry_that_the_log_refuses_fails_alone_and_the_rest_is_dense(
    desk: Desk,
) -> None:
    one, two = await desk.session("one"), await desk.session("two")
    await desk.add(one, "first", key="k", run_id="r1").durable()
    desk.writer.held.clear()
    desk.add(two, "warm-up")
    await until(lambda: len(desk.writer.calls) == 2)
    before = desk.add(one, "before")
    bad = desk.add(one, "bad", key="k", run_id="r1")
    after, other = desk.add(one, "after"), desk.add(two, "other")
    desk.writer.held.set()
    for entry in (before, after, other):
        await entry.durable()
    with pytest.raises(AppendRefused):
        await bad.durable()
    assert await desk.texts(one) == ["first", "before", "after"]
    assert await desk.texts(two) == ["warm-up", "other"]
    assert desk.heard.texts(one.session) == ["first", "before", "after"]
    assert not one.fenced


async def test_what_a_lost_reply_recorded_is_not_fenced_when_a_neighbour_is_refused(
    desk: Desk,
) -> None:
    one, two = await desk.session("one"), await desk.session("two")
    await desk.add(two, "first", key="k", run_id="r2").durable()
    desk.writer.held.clear()
    desk.writer.lose_request = 1
    good, bad = desk.add(one, "good"), desk.add(two, "bad", key="k", run_id="r2")
    await until(lambda: len(desk.writer.calls) == 2)
    # The first try recorded session one alone, and its reply was lost; the second is refused because of two.
    await desk.store.writer.append(desk.writer.calls[1][:1])
    desk.writer.held.set()
    await good.durable()
    with pytest.raises(AppendRefused):
        await bad.durable()
    assert not one.fenced
    assert await desk.texts(one) == ["good"]
    await desk.add(one, "next").durable()


async def test_a_session_that_is_fenced_while_its_batch_is_refused_breaks_nothing(
    desk: Desk,
) -> None:
    log = await desk.session("one")
    await desk.add(log, "first", key="k", run_id="r1").durable()
    desk.writer.held.clear()
    bad = desk.add(log, "bad", key="k", run_id="r1")
    await until(lambda: len(desk.writer.calls) == 2)
    log.fence()
    desk.writer.held.set()
    with pytest.raises(Fenced):
        await bad.durable()
    other = await desk.session("two")
    async with asyncio.timeout(5):
        await desk.add(other, "still at work").durable()


async def test_nothing_is_appended_while_the_worker_is_suspended(desk: Desk) -> None:
    log = await desk.session("one")
    desk.guard.open.clear()
    entry = desk.add(log, "a")
    for _ in range(20):
        await asyncio.sleep(0)
    assert desk.writer.calls == []
    desk.guard.open.set()
    await entry.durable()


@pytest.mark.parametrize("error", [StoreBusy, StoreUnavailable])
async def test_a_locked_session_holds_up_no_neighbour_and_is_recorded_when_it_is_free(
    desk: Desk, error: type[StoreUnavailable]
) -> None:
    """Its row is locked by somebody: every statement that wants it fails, for as long as that takes."""
    locked, free = await desk.session("locked"), await desk.session("free")
    desk.writer.locked.add(locked.session)
    desk.writer.lock_error = error
    stuck = [desk.add(locked, text) for text in ("a", "b")]
    together = desk.add(free, "a")
    await together.durable()
    if error is StoreBusy:  # nothing was executed: nothing has to be looked up
        assert desk.writer.resolved == []
    for text in "bcd":
        await desk.add(free, text).durable()
    assert not any(entry.committed for entry in stuck)
    stuck.append(desk.add(locked, "c"))
    desk.writer.locked.clear()
    for entry in stuck:
        await entry.durable()
    assert await desk.texts(locked) == ["a", "b", "c"]
    assert await desk.texts(free) == ["a", "b", "c", "d"]


async def test_a_huge_step_result_is_recorded_aside(desk: Desk) -> None:
    huge, small = await desk.session("huge"), await desk.session("small")
    body = b'"' + b"x" * BATCH_BYTES_MAX + b'"'
    desk.writer.slow.add(huge.session)
    big = huge.add([emission("big")], [StepResult("r1", "step", body)])
    desk.recorder.submit(huge)
    await until(lambda: bool(desk.writer.calls))
    await desk.add(small, "meanwhile").durable()
    assert not big.committed
    desk.writer.hurried.set()
    await big.durable()
    assert await desk.texts(huge) == ["big"]


async def test_a_commit_carries_a_bounded_number_of_bytes(desk: Desk) -> None:
    logs = [await desk.session(name) for name in ("one", "two", "three")]
    body = b"x" * (BATCH_BYTES_MAX * 2 // 5)
    for log in logs:
        log.add([emission("a")], [StepResult("r1", log.session_id, body)])
        desk.recorder.submit(log)
    await desk.recorded(*logs)
    assert [len(call) for call in desk.writer.calls] == [2, 1]


async def test_what_breaks_the_store_costs_its_own_session_and_no_other(desk: Desk) -> None:
    bad, good = await desk.session("bad"), await desk.session("good")
    desk.writer.broken.add(bad.session)
    broken, fine = desk.add(bad, "a"), desk.add(good, "a")
    await fine.durable()
    with pytest.raises(Fenced, match="can't be recorded"):
        await broken.durable()
    await desk.add(good, "b").durable()
    assert await desk.texts(good) == ["a", "b"]


async def test_a_refusal_after_a_lost_try_is_looked_into(desk: Desk) -> None:
    """The lost try came through only after it had been looked for: what refused the second one was the first."""
    log = await desk.session("one")
    desk.writer.late = 1
    entry = desk.add(log, "a")
    await entry.durable()
    assert not log.fenced
    assert [o[log.session] for o in desk.writer.resolved] == [Outcome.ABSENT, Outcome.RECORDED]
    await desk.add(log, "b").durable()
    assert await desk.texts(log) == ["a", "b"]
    assert desk.heard.texts(log.session) == ["a", "b"]
