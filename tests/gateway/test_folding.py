"""Folding from where an earlier fold got to: it may change what a fold costs, and nothing else."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdfast.events.catalog import MessageDelta
from holdfast.events.errors import StoreUnavailable
from holdfast.events.fold import FOLD_VERSION, fold, to_json
from holdfast.events.recorded import Context, Emission, RecordedEvent
from holdfast.events.store import Page, SessionInfo, SessionStatus, Snapshot
from holdfast.gateway import folding
from holdfast.gateway.folding import Folding, packed, unpacked
from tests.events.samples import EMISSIONS, log

PAGE = 4
INFO = SessionInfo(
    session=1,
    tenant="t",
    session_id="s",
    status=SessionStatus.ACTIVE,
    head=0,
    min_seq=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    expires_at=None,
    ttl_s=None,
    metadata={},
    active_run=None,
)


@dataclass
class Log:
    """A reader of small pages and a place for one snapshot; counts what it is asked."""

    events: Sequence[RecordedEvent]
    min_seq: int = 1
    snapshot: Snapshot | None = None
    read_after: list[int] = field(default_factory=list[int])
    down: bool = False
    snapped: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, session: int, *, after: int, until: int, **_: Any) -> Page:
        await asyncio.sleep(0)
        self.read_after.append(after)
        first = max(after + 1, self.min_seq)
        items = [e for e in self.events if first <= e.seq <= until][:PAGE]
        through = items[-1].seq if len(items) == PAGE else until
        return Page(items, through, len(self.events), self.min_seq)

    async def latest(self, session: int, *, fold_version: int, until: int) -> Snapshot | None:
        await asyncio.sleep(0)
        assert fold_version == FOLD_VERSION
        found = self.snapshot
        return found if found is not None and found.seq <= until else None

    async def keep(self, session: int, *, seq: int, fold_version: int, body: bytes) -> bool:
        await asyncio.sleep(0)
        if self.down:
            raise StoreUnavailable("down")
        self.snapshot = Snapshot(seq, body)
        self.snapped.set()
        return True


def folding_over(kept: Log) -> tuple[Folding, list[asyncio.Task[None]]]:
    """Return a folding, and the snapshots that it has on their way."""
    keeping: list[asyncio.Task[None]] = []
    folds: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        folds.add(task)
        if work.__name__ == "_keep":
            keeping.append(task)
        return task

    return Folding(kept, kept, spawn), keeping  # type: ignore[arg-type]  # it reads in one way only


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "SNAPSHOT_AFTER_EVENTS", 5)


@given(st.lists(EMISSIONS, min_size=1, max_size=25), st.lists(st.integers(1, 25), max_size=6))
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_from_a_snapshot_and_the_rest_is_what_it_is_from_the_beginning(
    soon: None, emissions: list[Emission], seqs: list[int]
):
    """At any seq, in any order, with whatever snapshots the folds before have left."""
    events = log(emissions)
    kept = Log(events)
    folds, tasks = folding_over(kept)

    for seq in [*seqs, len(events)]:
        until = min(seq, len(events))
        state, min_seq = await folds.fold(INFO, until=until)
        await asyncio.gather(*tasks)

        assert to_json(state) == to_json(fold(events[:until]))
        assert min_seq == 1


def ticks(count: int) -> list[RecordedEvent]:
    return log(
        Emission(MessageDelta(message_id="m", text=f"{n} "), Context(run_id="r"))
        for n in range(count)
    )


async def test_a_fold_that_read_far_saves_the_next_one_the_way(soon: None):
    kept = Log(ticks(22))
    folds, tasks = folding_over(kept)
    await folds.fold(INFO, until=20)
    await asyncio.gather(*tasks)
    kept.read_after.clear()

    state, _ = await folds.fold(INFO, until=22)

    assert kept.read_after == [20]
    assert to_json(state) == to_json(fold(kept.events))
    assert len(tasks) == 1, "two more events are not worth a snapshot"


async def test_a_snapshot_that_cannot_be_kept_fails_no_request_and_the_next_fold_tries_again(
    soon: None,
):
    kept = Log(ticks(20), down=True)
    folds, tasks = folding_over(kept)

    first, _ = await folds.fold(INFO, until=20)
    await asyncio.gather(*tasks)
    kept.down = False
    await folds.fold(INFO, until=20)
    await asyncio.gather(*tasks)

    assert first.seq == 20
    assert kept.snapshot is not None


async def test_one_snapshot_is_on_its_way_at_a_time(soon: None):
    folds, tasks = folding_over(Log(ticks(20)))

    await asyncio.gather(*(folds.fold(INFO, until=20) for _ in range(10)))

    assert len(tasks) == 1
    await asyncio.gather(*tasks)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"min_seq":1,"state":[]}',
        b'{"min_seq":1,"state":{"fold_version":0}}',
        b'{"min_seq":1,"state":{"fold_version":%d}}' % FOLD_VERSION,
    ],
)
async def test_a_snapshot_that_makes_no_sense_is_ignored(soon: None, body: bytes):
    kept = Log(ticks(20), snapshot=Snapshot(10, body))
    folds, tasks = folding_over(kept)

    state, _ = await folds.fold(INFO, until=20)
    await asyncio.gather(*tasks)

    assert to_json(state) == to_json(fold(kept.events))


async def test_a_snapshot_of_what_retention_has_removed_since_is_ignored(soon: None):
    """What is not kept any more must not come back by way of a snapshot."""
    events = ticks(20)
    kept = Log(events, min_seq=8, snapshot=Snapshot(10, packed(fold(events[:10]), 1)))
    folds, tasks = folding_over(kept)

    state, min_seq = await folds.fold(replace(INFO, min_seq=8), until=20)
    await asyncio.gather(*tasks)

    assert to_json(state) == to_json(fold(events[7:]))
    assert min_seq == 8
    assert kept.snapshot is not None
    assert unpacked(kept.snapshot.body, 8) is not None


async def test_what_retention_removes_during_a_fold_is_not_in_it(soon: None):
    events = ticks(20)
    kept = Log(events, min_seq=8, snapshot=Snapshot(10, packed(fold(events[:10]), 1)))
    folds, tasks = folding_over(kept)

    state, min_seq = await folds.fold(INFO, until=20)  # looked up before
    await asyncio.gather(*tasks)

    assert to_json(state) == to_json(fold(events[7:]))
    assert min_seq == 8


async def test_a_long_fold_that_is_broken_off_is_gone_on_with(
    soon: None, monkeypatch: pytest.MonkeyPatch
):
    """The first look at a million events takes longer than who asked will wait; the second one is no such look."""
    monkeypatch.setattr(folding, "SNAPSHOT_EVERY_EVENTS", 8)
    kept = Log(ticks(40))
    folds, tasks = folding_over(kept)
    broken_off = asyncio.create_task(folds.fold(INFO, until=40))
    await kept.snapped.wait()
    broken_off.cancel()
    await asyncio.gather(broken_off, *tasks, return_exceptions=True)
    kept.read_after.clear()

    state, _ = await folds.fold(INFO, until=40)
    await asyncio.gather(*tasks)

    assert kept.read_after[0] >= 8
    assert to_json(state) == to_json(fold(kept.events))


async def test_who_asks_for_the_same_state_at_the_same_time_shares_one_fold():
    kept = Log(ticks(20))
    folds, _ = folding_over(kept)

    answers = await asyncio.gather(*(folds.fold(INFO, until=20) for _ in range(10)))
    other, _ = await folds.fold(INFO, until=19)

    assert kept.read_after == [*range(0, 20, PAGE), *range(0, 19, PAGE)]
    assert all(state is answers[0][0] for state, _ in answers)
    assert other.seq == 19


async def test_who_asked_first_may_leave_and_the_others_get_their_fold():
    kept = Log(ticks(20))
    folds, _ = folding_over(kept)
    first, second = [asyncio.create_task(folds.fold(INFO, until=20)) for _ in range(2)]
    await asyncio.sleep(0)

    first.cancel()

    assert (await second)[0].seq == 20
    assert first.cancelled()
    assert kept.read_after == [*range(0, 20, PAGE)]


async def test_nobody_is_folded_for_when_all_have_left():
    kept = Log(ticks(40))
    folds, _ = folding_over(kept)
    alone = asyncio.create_task(folds.fold(INFO, until=40))
    await asyncio.sleep(0)

    alone.cancel()
    await asyncio.wait([alone])
    for _ in range(200):
        await asyncio.sleep(0)

    assert len(kept.read_after) <= 1
    assert (await folds.fold(INFO, until=40))[0].seq == 40


async def test_a_fold_that_fails_fails_for_all_who_share_it_and_the_next_one_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
):
    kept = Log(ticks(20))
    folds, _ = folding_over(kept)

    async def away(*_: Any, **__: Any) -> Page:
        await asyncio.sleep(0)
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(kept, "read", away)
        failed = await asyncio.gather(
            *(folds.fold(INFO, until=20) for _ in range(3)), return_exceptions=True
        )

    assert [type(error) for error in failed] == [StoreUnavailable] * 3
    assert (await folds.fold(INFO, until=20))[0].seq == 20
