"""What an erasure leaves: one event, and the names of things."""

import pytest

from holdfast.events.catalog import RunCompleted, SessionErased
from holdfast.events.commands import CommandKind
from holdfast.events.errors import SessionExists
from holdfast.events.store import (
    Idempotency,
    Outcome,
    RunStatus,
    SessionBatch,
    SessionChange,
    SessionStatus,
    StepResult,
    Store,
)
from tests.factories import TENANT, Owner, ask_run, delta, in_run, owned_session, running

ERASE = SessionChange(SessionStatus.ERASED, erase=True)


async def lived(store: Store, session_id: str = "s") -> tuple[Owner, str]:
    """A session with something to hide, and its run."""
    owner = await owned_session(store, session_id, metadata={"who": "ann"})
    run_id = await running(owner, input={"secret": 1}, user_id="ann")
    await owner.append(
        in_run(delta(), run_id, key="a#0"), effects=[StepResult(run_id, "a#0", b"secret")]
    )
    await owner.change(run_id, RunStatus.WAITING, waiting={"i1": {"prompt": "secret?"}})
    await owner.append(in_run(RunCompleted(duration_ms=1), run_id))
    await owner.change(run_id, RunStatus.COMPLETED)
    return owner, run_id


async def erase(owner: Owner, *, before: int = 0) -> SessionBatch:
    erased = SessionErased(erased_through=owner.head + before)
    return await owner.append(*[delta()] * before, erased, effects=[ERASE])


async def test_only_the_erasing_event_is_left(store: Store):
    owner, _ = await lived(store)

    batch = await erase(owner, before=1)

    page = await store.reader.read(owner.session, after=0)
    info = await store.desk.session(TENANT, "s")
    assert [(e.seq, e.type) for e in page.items] == [(owner.head, "session.erased")]
    assert page.items[0].body == batch.events[-1].body
    assert (page.head, page.min_seq, page.through) == (owner.head, owner.head, owner.head)
    assert (info.status, info.head, info.min_seq) == (SessionStatus.ERASED, owner.head, owner.head)
    assert info.metadata == {}


async def test_nothing_of_the_runs_is_left_but_how_they_ended(store: Store):
    owner, run_id = await lived(store)

    await erase(owner)

    run = await store.desk.run(TENANT, run_id)
    journal = await store.claims.journal(run_id)
    assert (run.status, run.input, run.waiting, run.user_id) == (
        RunStatus.COMPLETED,
        None,
        {},
        None,
    )
    assert (journal.keys, journal.results) == ({}, {})


async def test_nothing_of_what_was_asked_is_left(store: Store):
    owner, _ = await lived(store)
    await ask_run(store, input="secret")
    await store.desk.erase(TENANT, "s", reason="secret")

    await erase(owner)

    assert [c.body for c in await owner.pending()] == [{}, {}]


async def test_neighbours_keep_everything(store: Store):
    other, run_id = await lived(store, "other")
    before = await store.reader.read(other.session, after=0)
    owner, _ = await lived(store)

    await erase(owner)

    run = await store.desk.run(TENANT, run_id)
    assert await store.reader.read(other.session, after=0) == before
    assert (run.input, run.user_id) == ({"secret": 1}, "ann")
    assert (await store.claims.journal(run_id)).results == {"a#0": b"secret"}
    assert (await store.desk.session(TENANT, "other")).metadata == {"who": "ann"}


async def test_a_fenced_owner_erases_nothing(store: Store):
    owner, run_id = await lived(store)
    await owner.append(delta())
    stale = Owner(store, "w1", owner.session, "s", owner.epoch - 1, owner.head)

    refused = await store.writer.append(
        [stale.batch(SessionErased(erased_through=1), effects=[ERASE])]
    )

    assert refused == {owner.session}
    assert len((await store.reader.read(owner.session, after=0)).items) == owner.head
    assert (await store.claims.journal(run_id)).results != {}


async def test_sessions_are_erased_beside_each_other_and_beside_others(store: Store):
    """Each up to its own last event, though it is one commit: whoever is fenced or only goes on keeps everything."""
    (one, _), (two, two_run), (fenced, _), (living, living_run) = [
        await lived(store, name) for name in ("one", "two", "fenced", "living")
    ]
    await two.append(*[delta()] * 25)
    while await store.claims.erase_some(two.session, epoch=two.epoch, limit=10):
        pass
    kept = await store.reader.read(fenced.session, after=0)
    stale = Owner(store, "w1", fenced.session, "fenced", fenced.epoch - 1, fenced.head)

    refused = await store.writer.append(
        [
            living.batch(delta()),
            *[
                owner.batch(SessionErased(erased_through=owner.head), effects=[ERASE])
                for owner in (two, stale, one)
            ],
        ]
    )

    left = [(await store.reader.read(o.session, after=0)).items for o in (one, two, living)]
    assert refused == {fenced.session}
    assert [[event.seq for event in items] for items in left] == [
        [one.head + 1],
        [two.head + 1],
        [*range(1, living.head + 2)],
    ]
    assert await store.reader.read(fenced.session, after=0) == kept
    assert (await store.claims.journal(two_run)).results == {}
    assert (await store.claims.journal(living_run)).results == {"a#0": b"secret"}


async def test_the_name_of_an_erased_session_stays_taken(store: Store):
    """Else an old cursor would resume in somebody else's session."""
    owner, _ = await lived(store)
    await erase(owner)

    with pytest.raises(SessionExists):
        await store.desk.create_session(TENANT, "s")


async def test_answers_that_were_kept_for_repeated_requests_go_too(store: Store):
    same = Idempotency(key="k1", request_hash=b"1")
    kept = Idempotency(key="k2", request_hash=b"2")
    await store.desk.create_session(TENANT, "other", idempotency=kept)
    await store.desk.create_session(TENANT, "s", idempotency=same)
    for claim in await store.claims.claim("w1", workflows=[], lease_s=30, limit=10):
        owner = Owner.of(store, "w1", claim)
        await owner.settle(CommandKind.CREATE)
        if owner.session_id == "s":
            await erase(owner)

    with pytest.raises(SessionExists):
        await store.desk.create_session(TENANT, "s", idempotency=same)
    again = await store.desk.create_session(TENANT, "other", idempotency=kept)

    assert again.session_id == "other"


async def test_a_lost_reply_to_an_erasure_resolves_to_recorded(store: Store):
    """The batch's earlier events are gone with the rest; its last one is the proof."""
    owner, _ = await lived(store)

    batch = await erase(owner, before=2)

    assert await store.writer.resolve([batch]) == {owner.session: Outcome.RECORDED}


async def test_results_of_runs_without_a_row_go_too(store: Store):
    """A run's children record steps under names of their own."""
    owner, run_id = await lived(store)
    child = f"{run_id}.1"
    await owner.append(
        in_run(delta(), child, key="a#0"), effects=[StepResult(child, "a#0", b"secret")]
    )
    assert (await store.claims.journal(child)).results == {"a#0": b"secret"}

    await erase(owner)

    journal = await store.claims.journal(child)
    assert (journal.keys, journal.results) == ({}, {})


async def test_a_long_session_is_erased_bit_by_bit(store: Store):
    """One transaction that deletes a million events would take longer than any may."""
    owner, run_id = await lived(store)
    await owner.append(*[delta()] * (25 - owner.head))
    floors: list[int] = []

    while await store.claims.erase_some(owner.session, epoch=owner.epoch, limit=10):
        floors.append((await store.desk.session(TENANT, "s")).min_seq)
    rest = await store.reader.read(owner.session, after=0)
    journal = await store.claims.journal(run_id)

    assert [floor for floor in floors if floor > 1] == floors
    assert (floors[-1], rest.min_seq, [event.seq for event in rest.items]) == (
        21,
        21,
        [*range(21, 26)],
    )
    assert (journal.keys, journal.results) == ({}, {})

    await erase(owner)

    page = await store.reader.read(owner.session, after=0)
    assert [event.type for event in page.items] == ["session.erased"]
    assert (await store.desk.run(TENANT, run_id)).input is None


async def test_nobody_but_its_owner_erases_some_of_a_session(store: Store):
    owner, run_id = await lived(store)
    await owner.append(*[delta()] * 25)

    again = await store.claims.erase_some(owner.session, epoch=owner.epoch - 1, limit=10)
    await owner.release()
    later = await store.claims.erase_some(owner.session, epoch=owner.epoch, limit=10)

    assert (again, later) == (False, False)
    assert (await store.desk.session(TENANT, "s")).min_seq == 1
    assert (await store.claims.journal(run_id)).results != {}
