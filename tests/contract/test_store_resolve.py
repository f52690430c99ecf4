"""What a lost reply may mean: recorded, absent or fenced."""

from dataclasses import replace

from holdfast.events.store import Outcome, Store
from tests.factories import ask_run, claim_one, delta, fenced_owner, owned_session


async def test_what_was_recorded_resolves_to_recorded_however_much_has_followed(store: Store):
    owner = await owned_session(store)
    batch = await owner.append(delta("a"), delta("b"))
    assert await store.writer.resolve([batch]) == {owner.session: Outcome.RECORDED}

    await owner.append(delta("c"))
    assert await store.writer.resolve([batch]) == {owner.session: Outcome.RECORDED}

    await owner.release()
    await ask_run(store)
    await claim_one(store, "w2")
    assert await store.writer.resolve([batch]) == {owner.session: Outcome.RECORDED}


async def test_what_is_absent_can_be_sent_again_the_same_bytes(store: Store):
    owner = await owned_session(store)
    batch = owner.batch(delta())

    assert await store.writer.resolve([batch]) == {owner.session: Outcome.ABSENT}
    assert await store.writer.append([batch]) == frozenset()
    assert await store.writer.resolve([batch]) == {owner.session: Outcome.RECORDED}


async def test_what_another_owner_made_impossible_resolves_to_fenced(store: Store):
    owner = await fenced_owner(store, "s")
    late = owner.batch(delta())
    assert await store.writer.resolve([late]) == {owner.session: Outcome.FENCED}


async def test_a_place_taken_by_other_events_resolves_to_fenced(store: Store):
    owner = await owned_session(store)
    lost = owner.batch(delta("lost"), delta("lost"))
    await owner.append(delta("other"), delta("other"))

    assert await store.writer.resolve([lost]) == {owner.session: Outcome.FENCED}


async def test_the_batches_of_one_lost_reply_are_told_apart(store: Store):
    recorded = await owned_session(store, "s1")
    absent = await owned_session(store, "s2")
    fenced = await fenced_owner(store, "s3")
    first = await recorded.append(delta())

    outcomes = await store.writer.resolve(
        [first, absent.batch(delta()), fenced.batch(delta()), replace(first, session=10_000)]
    )

    assert outcomes == {
        recorded.session: Outcome.RECORDED,
        absent.session: Outcome.ABSENT,
        fenced.session: Outcome.FENCED,
        10_000: Outcome.FENCED,
    }
