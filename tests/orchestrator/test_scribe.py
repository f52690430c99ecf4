"""A scribe records what has a key once, refuses what contradicts the log, and keeps results for replay."""

import asyncio
import math
import random
from collections.abc import AsyncIterator

import pytest

from holdfast.events.catalog import MessageDelta, NotificationSent, ProgressUpdated
from holdfast.events.errors import EventInvalid
from holdfast.events.store import Journal, RunStatus
from holdfast.events.store_memory import MemoryStore
from holdfast.orchestrator.scribe import MISSING, Nondeterminism, Scribe, Waiting
from holdfast.orchestrator.session_log import Fenced, SessionLog
from tests.factories import TENANT, ask_run
from tests.orchestrator.units import Active, Counted, Faulty, Heard, Instant, make_recorder, note


class Study:
    """A run in a store in memory, and scribes for its attempts."""

    def __init__(self, store: MemoryStore) -> None:
        self.store, self.writer = store, Faulty(store.writer)
        self.recorder = make_recorder(self.writer, Heard(), Counted(), Active())
        self.run_id = ""
        self.log: SessionLog | None = None

    async def scribe(self, *, attempt: int = 1) -> Scribe:
        """The scribe of another attempt, on a fresh claim."""
        if self.log is not None:
            await self.store.claims.release({self.log.session: self.log.epoch}, published={})
        [claim] = await self.store.claims.claim("w", workflows=["w"], lease_s=30, limit=1)
        self.log = SessionLog(claim, clock=Instant())
        [run] = claim.runs
        self.run_id = run.run_id
        journal = await self.store.claims.journal(run.run_id) if attempt > 1 else Journal({}, {})
        return Scribe(
            run,
            journal,
            self.log,
            self.recorder,
            attempt=attempt,
            clock=Instant(),
            chance=random.Random(1),
        )

    async def types(self) -> list[str]:
        assert self.log is not None
        return [e.type for e in (await self.store.reader.read(self.log.session, after=0)).items]


@pytest.fixture
async def study() -> AsyncIterator[Study]:
    store = MemoryStore()
    await ask_run(store, None, tenant=TENANT, workflow="w")
    study = Study(store)
    task = asyncio.create_task(study.recorder.run())
    yield study
    task.cancel()
    await asyncio.wait([task])


async def test_a_keyed_event_is_recorded_once_in_this_attempt_and_the_next(study: Study) -> None:
    scribe = await study.scribe()
    assert await scribe.emit(note(), key="k#1")
    assert not await scribe.emit(note(), key="k#1")
    await scribe.durable()
    again = await study.scribe(attempt=2)
    assert again.recorded("k#1")
    assert not await again.emit(note(), key="k#1")
    assert await again.emit(note(), key="k#2")
    await again.durable()
    assert await study.types() == ["notification.sent"] * 2


async def test_a_key_of_another_type_is_nondeterminism(study: Study) -> None:
    scribe = await study.scribe()
    await scribe.emit(note(), key="k#1")
    await scribe.durable()
    again = await study.scribe(attempt=2)
    with pytest.raises(Nondeterminism) as raised:
        await again.emit(ProgressUpdated(fraction=0.5), key="k#1")
    assert (raised.value.recorded, raised.value.now) == ("notification.sent", "progress.updated")


async def test_an_event_that_can_not_be_written_leaves_its_key_free(study: Study) -> None:
    scribe = await study.scribe()
    with pytest.raises(EventInvalid):
        await scribe.emit(NotificationSent(text="\ud800"), key="k#1")
    assert await scribe.emit(note(), key="k#1")


async def test_results_come_back_whatever_they_are(study: Study) -> None:
    scribe = await study.scribe()
    assert scribe.result("none#1") is MISSING
    values = {"none#1": None, "false#1": False, "tree#1": {"a": [1, "é", None]}}
    for key, value in values.items():
        await scribe.keep(key, value)
    assert {key: scribe.result(key) for key in values} == values
    await scribe.durable()
    again = await study.scribe(attempt=2)
    assert {key: again.result(key) for key in values} == values
    assert await study.types() == []


async def test_durable_waits_for_the_commit_of_all_that_was_emitted(study: Study) -> None:
    scribe = await study.scribe()
    study.writer.held.clear()
    await scribe.emit(note())
    waiting = asyncio.create_task(scribe.durable())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    study.writer.held.set()
    await waiting
    assert await study.types() == ["notification.sent"]


async def test_any_other_event_comes_after_the_text_that_was_emitted_before_it(
    study: Study,
) -> None:
    scribe = await study.scribe()
    for text in "abc":
        await scribe.delta(MessageDelta(message_id="m", text=text))
    await scribe.emit(note())
    await scribe.durable()
    assert await study.types() == ["message.delta", "message.delta", "notification.sent"]


async def test_waiting_is_on_disk_before_the_worker_is_given_back(study: Study) -> None:
    scribe = await study.scribe()
    with pytest.raises(Waiting):
        await scribe.wait([], {"i1": {"prompt": "?"}}, due_in_s=math.inf)
    run = await study.store.desk.run(TENANT, study.run_id)
    assert (run.status, run.waiting, run.due_at) == (
        RunStatus.WAITING,
        {"i1": {"prompt": "?"}},
        None,
    )


async def test_a_fenced_scribe_writes_nothing_more(study: Study) -> None:
    scribe = await study.scribe()
    await scribe.delta(MessageDelta(message_id="m", text="a"))
    await scribe.delta(MessageDelta(message_id="m", text="b"))
    assert study.log is not None
    study.log.fence()
    with pytest.raises(Fenced):
        await scribe.emit(note())
    with pytest.raises(Fenced):
        await scribe.keep("k", 1)
    scribe.close()
