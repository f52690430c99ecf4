"""Snapshots: the newest of each session, for one version of the fold, and never of what was erased."""

import asyncio

import asyncpg
import pytest

from holdfast.events.catalog import SessionErased
from holdfast.events.store import (
    SNAPSHOT_BYTES_MAX,
    SessionChange,
    SessionStatus,
    Snapshot,
    Store,
)
from tests.factories import Owner, delta, owned_session

WAITS = """select count(*) from pg_stat_activity
            where datname = current_database() and wait_event_type = 'Lock' and query like '%for share'"""
ERASE = SessionChange(SessionStatus.ERASED, erase=True)


async def grown(store: Store, session_id: str = "s", *, head: int = 10) -> Owner:
    owner = await owned_session(store, session_id)
    await owner.append(*[delta()] * (head - owner.head))
    return owner


async def test_a_snapshot_comes_back_byte_for_byte(store: Store):
    owner = await grown(store)
    body = bytes(range(256))

    assert await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=body)

    found = await store.snapshots.latest(owner.session, fold_version=1, until=10)
    assert found == Snapshot(5, body)


@pytest.mark.parametrize(("until", "is_found"), [(4, False), (5, True), (6, True)])
async def test_a_snapshot_is_of_use_from_its_own_seq_on(store: Store, until: int, is_found: bool):
    owner = await grown(store)
    await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=b"5")

    found = await store.snapshots.latest(owner.session, fold_version=1, until=until)

    assert (found is not None) == is_found


async def test_a_snapshot_of_another_version_of_the_fold_is_not_found(store: Store):
    owner = await grown(store)
    await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=b"5")

    assert await store.snapshots.latest(owner.session, fold_version=2, until=10) is None
    assert await store.snapshots.latest(owner.session, fold_version=0, until=10) is None


async def test_a_later_snapshot_replaces_an_earlier_one_and_never_the_other_way(store: Store):
    owner = await grown(store)
    await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=b"5")

    assert await store.snapshots.keep(owner.session, seq=8, fold_version=1, body=b"8")
    assert not await store.snapshots.keep(owner.session, seq=6, fold_version=1, body=b"6")
    assert not await store.snapshots.keep(owner.session, seq=8, fold_version=1, body=b"!")

    latest = store.snapshots.latest
    assert await latest(owner.session, fold_version=1, until=10) == Snapshot(8, b"8")
    assert await latest(owner.session, fold_version=1, until=7) is None


async def test_a_newer_fold_leaves_nothing_of_older_ones(store: Store):
    """Two versions side by side in a deploy don't fill the table; the older one folds from the beginning."""
    owner = await grown(store)
    await store.snapshots.keep(owner.session, seq=8, fold_version=1, body=b"old")

    assert await store.snapshots.keep(owner.session, seq=5, fold_version=2, body=b"new")

    latest = store.snapshots.latest
    assert await latest(owner.session, fold_version=1, until=10) is None
    assert await latest(owner.session, fold_version=2, until=10) == Snapshot(5, b"new")


async def test_what_is_too_large_is_not_kept(store: Store):
    owner = await grown(store)

    body = bytes(SNAPSHOT_BYTES_MAX + 1)

    assert not await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=body)
    assert await store.snapshots.latest(owner.session, fold_version=1, until=10) is None


async def test_a_session_that_never_was_has_none_and_gets_none(store: Store):
    assert not await store.snapshots.keep(4711, seq=1, fold_version=1, body=b"1")
    assert await store.snapshots.latest(4711, fold_version=1, until=1) is None


async def test_an_erasure_takes_the_snapshot_along_and_lets_no_other_come(store: Store):
    """Somebody may still be folding what was erased meanwhile."""
    owner = await grown(store)
    other = await grown(store, "other")
    await store.snapshots.keep(owner.session, seq=5, fold_version=1, body=b"secret")
    await store.snapshots.keep(other.session, seq=5, fold_version=1, body=b"theirs")

    await owner.append(SessionErased(erased_through=owner.head), effects=[ERASE])
    kept = await store.snapshots.keep(owner.session, seq=9, fold_version=1, body=b"secret")

    latest = store.snapshots.latest
    assert not kept
    assert await latest(owner.session, fold_version=1, until=99) is None
    assert await latest(other.session, fold_version=1, until=99) == Snapshot(5, b"theirs")


@pytest.mark.postgres
async def test_a_snapshot_that_is_written_while_its_session_is_erased_does_not_stay(
    postgres_store: Store, database_url: str
):
    """The erasure's own delete can't see a row that is not committed yet."""
    owner = await grown(postgres_store)
    session, snapshots = owner.session, postgres_store.snapshots
    eraser, observer = [await asyncpg.connect(database_url) for _ in range(2)]
    try:
        async with eraser.transaction():
            # An erasure up to its commit: the row is locked and has its new status, its delete has run.
            await eraser.execute("update sessions set status = 'erased' where id = $1", session)
            await eraser.execute("delete from snapshots where session = $1", session)
            writing = asyncio.create_task(
                snapshots.keep(session, seq=5, fold_version=1, body=b"secret")
            )
            async with asyncio.timeout(5):
                while not await observer.fetchval(WAITS) and not writing.done():  # noqa: ASYNC110  # Postgres signals nobody
                    await asyncio.sleep(0.01)
    finally:
        await eraser.close()
        await observer.close()

    assert not await writing
    assert await snapshots.latest(session, fold_version=1, until=10) is None
