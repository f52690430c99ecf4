"""What workers do for everybody: publishing what a crash left, and expiring sessions."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from holdfast.events.catalog import SessionErased, SessionExpired
from holdfast.events.commands import CommandKind
from holdfast.events.errors import SessionGone
from holdfast.events.store import OwnEvent, RunStatus, SessionChange, SessionStatus, Store
from tests.contract.conftest import Passes
from tests.factories import TENANT, ask_run, claim_one, delta, owned_session, running

LEASE_S = 0.3


async def behind(store: Store) -> list[tuple[int, int, int]]:
    return list(await store.claims.unpublished(limit=100))


async def test_a_session_without_an_owner_whose_stream_is_behind_is_swept(store: Store):
    owner = await owned_session(store)
    await owner.append(delta(), delta())
    assert await behind(store) == []

    await owner.release(published=1)
    assert await behind(store) == [(owner.session, 1, 3)]

    await store.claims.mark_published({owner.session: 3, 4711: 1})
    assert await behind(store) == []


async def test_a_session_whose_owner_died_is_swept_when_its_lease_has_run_out(
    store: Store, passes: Passes
):
    owner = await owned_session(store, lease_s=LEASE_S)
    assert await behind(store) == []

    await passes(LEASE_S * 1.2)

    assert await behind(store) == [(owner.session, 0, 1)]


async def test_what_is_published_never_goes_back(store: Store):
    owner = await owned_session(store)
    await owner.append(delta(), delta())
    await store.claims.mark_published({owner.session: 3})

    await store.claims.mark_published({owner.session: 1})
    await owner.release(published=2)

    assert await behind(store) == []


async def test_an_append_carries_how_far_the_stream_is(store: Store):
    owner = await owned_session(store)
    batch = owner.batch(delta())
    await store.writer.append([replace(batch, published=1)])

    await owner.release()

    assert await behind(store) == [(owner.session, 1, 2)]


async def test_a_sweep_takes_no_more_than_it_was_asked_to(store: Store):
    for n in range(3):
        await (await owned_session(store, f"s{n}")).release()

    assert len(await store.claims.unpublished(limit=2)) == 2


# --- expiry ------------------------------------------------------------------------------------------


async def test_a_session_expires_when_its_time_is_over(store: Store, passes: Passes):
    owner = await owned_session(store, "s1", ttl_s=1)
    longer = await owned_session(store, "s2", ttl_s=3600)
    forever = await owned_session(store, "s3")

    await passes(1.2)

    assert await store.claims.expire_due(limit=10) == 1
    assert [c.kind for c in await owner.pending()] == [CommandKind.EXPIRE]
    assert await longer.pending() == await forever.pending() == []


async def test_an_expiry_is_asked_once(store: Store, passes: Passes):
    owner = await owned_session(store, ttl_s=1)
    await passes(1.2)
    await store.claims.expire_due(limit=10)

    assert await store.claims.expire_due(limit=10) == 0

    await owner.settle(CommandKind.EXPIRE)
    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])
    await passes(1.2)
    assert await store.claims.expire_due(limit=10) == 0


async def test_an_expiry_is_work_for_any_worker(store: Store, passes: Passes):
    owner = await owned_session(store, ttl_s=1)
    await owner.release()
    await passes(1.2)
    await store.claims.expire_due(limit=10)

    heir = await claim_one(store, "w2")

    assert heir.session == owner.session


async def test_every_append_gives_a_session_its_whole_time_again(store: Store, passes: Passes):
    owner = await owned_session(store, ttl_s=3600)
    first = (await store.desk.session(TENANT, "s")).expires_at

    await passes(0.3)
    await owner.append(delta())

    second = (await store.desk.session(TENANT, "s")).expires_at
    assert first is not None
    assert second is not None
    assert second - first >= timedelta(seconds=0.3)


@pytest.mark.parametrize("status", [RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.WAITING])
async def test_a_session_with_an_unfinished_run_does_not_expire(
    store: Store, passes: Passes, status: RunStatus
):
    owner = await owned_session(store, ttl_s=1)
    run_id = (await ask_run(store)).run_id
    await owner.settle()
    await owner.change(run_id, status, due_in_s=inf)

    await passes(1.2)

    assert await store.claims.expire_due(limit=10) == 0


async def test_a_session_of_which_something_is_asked_does_not_expire(store: Store, passes: Passes):
    """A new one, above all, whose creation no worker has got to yet."""
    await store.desk.create_session(TENANT, "s", ttl_s=1)

    await passes(1.2)

    assert await store.claims.expire_due(limit=10) == 0


async def test_no_more_sessions_expire_at_once_than_was_asked(store: Store, passes: Passes):
    owners = [await owned_session(store, f"s{n}", ttl_s=1) for n in range(3)]
    await owners[0].change(await running(owners[0]), RunStatus.COMPLETED)
    await passes(1.2)

    assert [await store.claims.expire_due(limit=2) for _ in range(3)] == [2, 1, 0]


async def test_nothing_is_asked_of_a_session_whose_expiry_is_on_its_way(
    store: Store, passes: Passes
):
    """It could only be appended behind `session.expired`, where streams have ended."""
    owner = await owned_session(store, ttl_s=1)
    await passes(1.2)
    assert await store.claims.expire_due(limit=10) == 1

    with pytest.raises(SessionGone):
        await store.desk.emit(TENANT, "s", OwnEvent(type="custom.x", data={}))
    with pytest.raises(SessionGone):
        await ask_run(store)

    assert [command.kind for command in await owner.pending()] == ["expire"]


async def test_sessions_erased_lately_are_told_newest_first_with_their_heads(
    store: Store, passes: Passes
):
    kept = await owned_session(store, "kept")
    await kept.append(delta())
    owners = [await owned_session(store, name) for name in ("first", "second", "third")]
    for owner in owners:
        await owner.append(delta())
        gone = SessionChange(SessionStatus.ERASED, erase=True)
        await owner.append(SessionErased(erased_through=2), effects=[gone])
        await passes(0.6)

    newest = [(owner.session, 3) for owner in reversed(owners)]
    assert list((await store.claims.erased(within_s=60, limit=10)).items()) == newest
    assert list((await store.claims.erased(within_s=60, limit=2)).items()) == newest[:2]
    assert list((await store.claims.erased(within_s=0.9, limit=10)).items()) == newest[:1]
