"""The stream follows the log: nothing uncommitted is in it, and whatever Redis loses is put back."""

# pyright: reportPrivateUsage=false

import asyncio
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field

import pytest

from holdfast.events.catalog import RunCompleted, RunStarted, SessionCreated
from holdfast.events.errors import StreamUnavailable
from holdfast.events.recorded import Context, Emission, RecordedEvent
from holdfast.events.store_memory import MemoryStore
from holdfast.events.stream import REBASE_EVENTS, REST_TTL_S, News, Published, publish_each
from holdfast.events.stream_memory import MemoryStream
from holdfast.orchestrator.publishing import StreamPublisher
from holdfast.orchestrator.recorder import Recorder
from holdfast.orchestrator.session_log import SessionLog
from holdfast.orchestrator.sweeper import Sweeper
from tests.factories import TENANT
from tests.orchestrator.harness import until
from tests.orchestrator.units import Active, Counted, Faulty, Instant, emission, make_claim


@dataclass
class Slow:
    """A publisher in front of a stream whose calls can be held."""

    stream: MemoryStream
    held: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[list[int]] = field(default_factory=list[list[int]])
    wrong: set[int] = field(
        default_factory=set[int]
    )  # sessions whose key is something else in Redis

    def check(self, session: int) -> None:
        if session in self.wrong:
            raise StreamUnavailable("WRONGTYPE")

    async def publish(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        self.calls.append([e.seq for e in events])
        await self.held.wait()
        self.check(session)
        return await self.stream.publish(session, events, at_rest=at_rest)

    async def publish_all(self, news: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        return await publish_each(self, news)

    async def rebase(
        self, session: int, events: Sequence[RecordedEvent], *, at_rest: bool = False
    ) -> Published:
        await self.held.wait()
        self.check(session)
        return await self.stream.rebase(session, events, at_rest=at_rest)

    async def erase(self, session: int, last: RecordedEvent) -> Published:
        await self.held.wait()
        self.check(session)
        return await self.stream.erase(session, last)

    async def drop(self, session: int) -> None:
        await self.stream.drop(session)

    async def read(
        self, cursors: Mapping[int, int], *, limit: int
    ) -> Mapping[int, Sequence[RecordedEvent]]:
        return await self.stream.read(cursors, limit=limit)

    async def hint_work(self, session: int) -> None:
        await self.stream.hint_work(session)


@dataclass
class Press:
    """A recorder and a publisher at work."""

    store: MemoryStore
    writer: Faulty
    stream: MemoryStream
    slow: Slow
    publishing: StreamPublisher
    recorder: Recorder
    counted: Counted
    log: SessionLog

    async def add(self, *texts: str) -> None:
        for text in texts:
            self.log.add([emission(text)])
        self.recorder.submit(self.log)
        await self.recorded()

    async def recorded(self) -> None:
        """Wait until nothing is pending."""
        await until(lambda: not self.log.pending)

    async def drained(self) -> None:
        """Wait until all is published; a publisher that broke never gets there."""
        async with asyncio.timeout(5):
            await self.publishing.drained()

    async def window(self) -> list[int]:
        return await self.window_of(self.log.session)

    async def window_of(self, session: int) -> list[int]:
        found = await self.stream.read({session: 0}, limit=10_000)
        return [e.seq for e in found[session]]


async def own(store: MemoryStore, name: str = "s") -> SessionLog:
    await store.desk.create_session(TENANT, name)
    [claim] = await store.claims.claim("w", workflows=[], lease_s=30, limit=9)
    return SessionLog(claim, clock=Instant())


@pytest.fixture
async def press() -> AsyncIterator[Press]:
    store, stream, counted = MemoryStore(), MemoryStream(), Counted()
    writer, slow = Faulty(store.writer), Slow(stream)
    slow.held.set()
    clock, chance = Instant(), random.Random(1)
    publishing = StreamPublisher(
        slow,
        store.reader,
        mark_published=store.claims.mark_published,
        observer=counted,
        clock=clock,
        chance=chance,
    )
    recorder = Recorder(writer, publishing, Active(), observer=counted, clock=clock, chance=chance)
    tasks = [asyncio.create_task(t) for t in (recorder.run(), publishing.run())]
    yield Press(store, writer, stream, slow, publishing, recorder, counted, await own(store))
    broken = [task for task in tasks if task.done()]
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert not broken, "recorder and publisher must survive everything"


async def test_only_what_is_committed_is_published(press: Press) -> None:
    press.writer.held.clear()
    press.log.add([emission("a")])
    press.recorder.submit(press.log)
    await until(lambda: bool(press.writer.calls))
    assert press.slow.calls == []
    press.writer.held.set()
    await press.recorded()
    await press.drained()
    assert await press.window() == [1]
    assert press.log.published == 1


async def test_a_lost_window_is_begun_anew_from_the_log(press: Press) -> None:
    await press.add("a", "b")
    await press.drained()
    press.stream.flush()
    await press.add("c")
    await press.drained()
    assert await press.window() == [1, 2, 3]
    assert press.counted.outcomes[-1] is Published.GAP


async def test_while_redis_is_away_nothing_is_lost_and_no_run_waits(press: Press) -> None:
    press.stream.down = True
    await press.add("a")
    await press.add("b")
    await until(lambda: press.counted.failures >= 2)
    assert press.log.published == 0
    press.stream.down = False
    await press.drained()
    assert await press.window() == [1, 2]
    assert press.log.published == 2


async def test_a_redis_out_of_memory_is_tried_again_from_where_it_stopped(press: Press) -> None:
    press.stream.room = 1
    await press.add("a", "b", "c")
    await until(lambda: press.counted.failures >= 1)
    press.stream.room = None
    await press.drained()
    assert await press.window() == [1, 2, 3]


async def test_a_backlog_is_bounded_and_read_from_the_log_again(press: Press) -> None:
    press.stream.down = True
    for n in range(REBASE_EVENTS + 50):
        press.log.add([emission(str(n))])
    press.recorder.submit(press.log)
    await press.recorded()
    await until(lambda: press.counted.failures >= 1)
    [backlog] = press.publishing._backlogs.values() or [None]
    assert backlog is None or len(backlog.events) == 1
    press.stream.down = False
    await press.drained()
    window = await press.window()
    assert window == list(range(51, REBASE_EVENTS + 51))


async def test_a_flood_behind_a_publish_that_fails_is_published_without_a_hole(
    press: Press,
) -> None:
    press.slow.held.clear()
    await press.add("first")
    await until(lambda: bool(press.slow.calls))
    # While the first publish hangs, more than a window's worth is committed.
    for n in range(REBASE_EVENTS + 50):
        press.log.add([emission(str(n))])
    press.recorder.submit(press.log)
    await press.recorded()
    press.stream.down = True
    press.slow.held.set()
    await until(lambda: press.counted.failures >= 1)
    press.stream.down = False
    await press.drained()
    window = await press.window()
    assert window[-1] == press.log.committed_head
    assert window == list(range(window[0], window[-1] + 1))


async def test_a_new_owner_first_publishes_what_the_last_one_left(press: Press) -> None:
    press.stream.down = True
    await press.add("a", "b")
    await press.store.claims.release({press.log.session: press.log.epoch}, published={})
    [claim] = await press.store.claims.claim("w2", workflows=[], lease_s=30, limit=9)
    press.stream.down = False
    heir = SessionLog(claim, clock=Instant())
    assert (heir.published, heir.committed_head) == (0, 2)
    press.publishing.catch_up(heir)
    await press.drained()
    assert await press.window() == [1, 2]
    assert heir.published == 2


def soon(press: Press, session: int) -> bool:
    """Whether the window expires as that of a session at rest does."""
    left = press.stream.expires_in(session)
    assert left is not None
    return left <= REST_TTL_S


async def test_the_window_expires_soon_only_when_the_last_event_ended_a_run(press: Press) -> None:
    at = Context(run_id="r1")
    press.log.add([Emission(RunStarted(workflow="w", workflow_version="1"), at)])
    press.recorder.submit(press.log)
    await press.recorded()
    await press.drained()
    assert not soon(press, press.log.session)
    press.log.add([Emission(RunCompleted(duration_ms=1), at)])
    press.recorder.submit(press.log)
    await press.recorded()
    await press.drained()
    assert soon(press, press.log.session)


async def test_large_events_do_not_keep_the_newest_from_the_window(press: Press) -> None:
    press.stream.down = True
    await press.add(*["x" * 200_000] * 9)
    await until(lambda: press.counted.failures >= 1)
    press.stream.flush()
    press.publishing._backlogs.clear()
    press.stream.down = False
    heir = press.log
    heir.published = 0
    press.publishing.catch_up(heir)
    await press.drained()
    assert (await press.window())[-1] == 9


async def test_the_sweep_publishes_what_a_dead_owner_left(press: Press) -> None:
    press.stream.down = True
    await press.add("a", "b")
    await press.store.claims.release({press.log.session: press.log.epoch}, published={})
    press.publishing._backlogs.clear()
    press.stream.down = False
    sweeper = Sweeper(press.store, press.stream, clock=Instant(), chance=random.Random(1))
    assert await sweeper.sweep() == 1
    assert await press.window() == [1, 2]
    assert await sweeper.sweep() == 0


async def test_a_window_that_ends_with_word_of_the_session_itself_expires_soon(
    press: Press,
) -> None:
    """A session that is created, or told of a refused command, and then left alone keeps no memory of Redis."""
    log = press.log
    log.add([Emission(SessionCreated())])
    press.recorder.submit(log)
    await press.recorded()
    await press.drained()
    assert soon(press, log.session)
    log.add([Emission(RunStarted(workflow="w", workflow_version="1"), Context(run_id="r1"))])
    press.recorder.submit(log)
    await press.recorded()
    await press.drained()
    assert not soon(press, log.session)


async def test_a_session_that_redis_refuses_is_not_the_others_business(press: Press) -> None:
    other = await own(press.store, "other")
    press.slow.wrong.add(other.session)
    other.add([emission("x")])
    press.recorder.submit(other)
    clock = press.publishing._clock
    assert isinstance(clock, Instant)
    clock.stopped = True  # who waits, waits for ever
    await until(lambda: press.counted.failures == 1)
    await press.add("a")
    await until(lambda: press.log.published == 1)
    await press.add("b")
    await until(lambda: press.log.published == 2)
    assert await press.window() == [1, 2]


async def test_what_is_published_after_the_release_is_nothing_for_the_sweep(press: Press) -> None:
    press.slow.held.clear()
    await press.add("a")
    await until(lambda: bool(press.slow.calls))
    press.log.fence()
    await press.store.claims.release({press.log.session: press.log.epoch}, published={})
    assert len(await press.store.claims.unpublished(limit=9)) == 1
    press.slow.held.set()

    async def told() -> bool:
        return not await press.store.claims.unpublished(limit=9)

    await until(told)


@pytest.mark.parametrize("how", ["taken over", "released"])
async def test_a_window_ahead_of_a_log_that_was_restored_is_dropped(press: Press, how: str) -> None:
    """Redis has events of a log that failed over to a standby without them: they never happened."""
    await press.add("a", "b")
    await press.drained()
    alien = SessionLog(make_claim(press.log.session, head=2), clock=Instant())
    alien.add([emission("never"), emission("never"), emission("never")])
    await press.stream.publish(press.log.session, alien.commit(alien.batch(9)[1]))
    assert await press.window() == [1, 2, 3, 4, 5]

    press.log.taken_over = how == "taken over"
    press.publishing.catch_up(press.log)
    if how == "released":
        await press.add("c")
    await press.drained()

    assert await press.window() == ([1, 2] if how == "taken over" else [1, 2, 3])
    found = await press.stream.read({press.log.session: 2}, limit=9)
    assert [e.envelope["data"]["text"] for e in found[press.log.session]] in ([], ["c"])


async def test_a_session_that_redis_refuses_does_not_end_the_sweep(press: Press) -> None:
    logs = [await own(press.store, f"s{n}") for n in range(4)]
    press.stream.down = True
    for log in logs:
        log.add([emission("a")])
        press.recorder.submit(log)
    await until(lambda: not any(log.pending for log in logs))
    press.publishing._backlogs.clear()
    await press.store.claims.release({log.session: log.epoch for log in logs}, published={})
    press.stream.down = False
    press.slow.wrong.update(log.session for log in logs[:2])
    sweeper = Sweeper(press.store, press.slow, clock=Instant(), chance=random.Random(1))
    assert await sweeper.sweep() == 2
    assert [await press.window_of(log.session) for log in logs] == [[], [], [1], [1]]


async def test_a_note_that_the_store_refuses_does_not_end_the_publisher(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sweep finds that nothing is missing; the worker's other sessions have done nothing wrong."""
    asked: list[Mapping[int, int]] = []

    async def refused(published: Mapping[int, int]) -> None:
        asked.append(published)
        raise ValueError("what no database should say")

    monkeypatch.setattr(press.publishing, "_mark_published", refused)
    for n in range(2):
        log = await own(press.store, f"s{n}")
        press.slow.held.clear()
        log.add([emission("a")])
        press.recorder.submit(log)
        await until(lambda log=log: not log.pending)
        log.fence()
        press.slow.held.set()
        await press.drained()
        await until(lambda log=log: asked[-1:] == [{log.session: 1}])


async def test_a_flush_that_breaks_as_a_whole_is_published_session_by_session(
    press: Press, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: Sequence[News]) -> Sequence[Published | StreamUnavailable]:
        raise ValueError("nobody thought of this")

    monkeypatch.setattr(press.slow, "publish_all", broken)
    other = await own(press.store, "other")
    press.slow.wrong.add(other.session)

    other.add([emission("x")])
    press.recorder.submit(other)
    await press.add("a", "b")
    await until(lambda: press.log.published == 2)

    assert await press.window() == [1, 2]
    assert other.published == 0
    press.slow.wrong.clear()
    await press.drained()
    assert await press.window_of(other.session) == [1]


async def test_whoever_gives_a_session_back_waits_until_it_is_published(press: Press) -> None:
    press.slow.held.clear()
    press.log.add([emission("a")])
    press.recorder.submit(press.log)
    await press.recorded()
    waiting = asyncio.create_task(press.publishing.caught_up(press.log, within_s=5))
    await until(lambda: bool(press.slow.calls))
    assert not waiting.done()

    press.slow.held.set()

    await waiting
    assert press.log.published == press.log.committed_head


async def test_and_no_longer_than_that_while_redis_is_away(press: Press) -> None:
    press.slow.held.clear()
    press.log.add([emission("a")])
    press.recorder.submit(press.log)
    await press.recorded()

    await press.publishing.caught_up(press.log, within_s=0.01)

    assert press.log.published < press.log.committed_head
    press.slow.held.set()
    await press.drained()
    await press.publishing.caught_up(press.log, within_s=5)
