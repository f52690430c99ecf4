"""How long a claim holds, and what becomes of one that was not renewed."""

from holdfast.events.store import Store
from tests.contract.conftest import Passes
from tests.factories import claim_all, claim_one, delta, owned_session, running

LEASE_S = 0.4
OVER_S = LEASE_S * 1.2


async def test_a_lease_that_ran_out_is_taken_over(store: Store, passes: Passes):
    owner = await owned_session(store, lease_s=LEASE_S)
    run_id = await running(owner)

    await passes(OVER_S)
    [claim] = await claim_all(store, "w2", lease_s=LEASE_S)

    assert (claim.session, claim.epoch, claim.taken_over) == (owner.session, owner.epoch + 1, True)
    assert [run.run_id for run in claim.runs] == [run_id]


async def test_whose_session_was_taken_over_appends_nothing_more(store: Store, passes: Passes):
    owner = await owned_session(store, lease_s=LEASE_S)
    await running(owner)
    await passes(OVER_S)
    heir = await claim_one(store, "w2", lease_s=LEASE_S)

    refused = await store.writer.append([owner.batch(delta("zombie"))])
    await heir.append(delta("heir"))

    assert refused == {owner.session}
    assert not await owner.renew(30)
    assert await heir.renew(30)


async def test_an_owner_whose_lease_ran_out_goes_on_while_nobody_has_taken_over(
    store: Store, passes: Passes
):
    """Postgres was away for longer than a lease: the epoch still stands, so nothing was lost."""
    owner = await owned_session(store, lease_s=LEASE_S)
    await running(owner)

    await passes(OVER_S)
    await owner.append(delta())

    assert await owner.renew(30)
    assert list(await claim_all(store, "w2", lease_s=LEASE_S)) == []


async def test_a_renewed_lease_holds(store: Store, passes: Passes):
    owner = await owned_session(store, lease_s=LEASE_S)
    await running(owner)

    assert await owner.renew(30)
    await passes(OVER_S)

    assert list(await claim_all(store, "w2", lease_s=LEASE_S)) == []


async def test_a_renewal_tells_which_sessions_are_lost(store: Store):
    mine = await owned_session(store, "s1")
    foreign = await owned_session(store, "s2", worker="w2")
    former = await owned_session(store, "s3")
    await running(former)
    await former.release()
    await claim_one(store, "w1")

    lost = await store.claims.renew(
        "w1",
        {
            mine.session: mine.epoch,
            former.session: former.epoch,
            foreign.session: foreign.epoch,
            4711: 1,
        },
        lease_s=30,
    )

    assert lost == {former.session, foreign.session, 4711}


async def test_a_released_session_is_not_renewed(store: Store):
    """Else a renewal that was under way would bring the lease back, with nobody behind it."""
    owner = await owned_session(store)
    await running(owner)
    await owner.release()

    assert not await owner.renew(30)
    assert len(await claim_all(store, "w2")) == 1


async def test_a_lease_that_ran_out_over_nothing_is_left_alone(store: Store, passes: Passes):
    await owned_session(store, lease_s=LEASE_S)

    await passes(OVER_S)

    assert list(await claim_all(store, "w2", lease_s=LEASE_S)) == []
