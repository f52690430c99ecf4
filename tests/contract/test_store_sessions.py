"""Sessions as their tenant sees them."""

from datetime import timedelta

import pytest

from holdfast.events.catalog import SessionExpired
from holdfast.events.commands import CommandKind
from holdfast.events.errors import RunUnknown, SessionExists, SessionUnknown
from holdfast.events.store import RunStatus, SessionChange, SessionStatus, Store
from tests.factories import TENANT, ask_run, owned_session, running


async def test_a_new_session_is_empty_and_asks_for_its_creation(store: Store):
    """Only a worker appends: the session exists at once, seq 1 follows."""
    info = await store.desk.create_session(TENANT, "s", ttl_s=60, metadata={"who": "ann"})

    [command] = await store.claims.pending([info.session])

    assert (info.tenant, info.session_id, info.status) == (TENANT, "s", SessionStatus.ACTIVE)
    assert (info.head, info.min_seq, info.ttl_s, info.metadata) == (0, 1, 60, {"who": "ann"})
    assert info.expires_at is not None
    assert abs(info.expires_at - info.created_at - timedelta(seconds=60)) < timedelta(seconds=5)
    assert info == await store.desk.session(TENANT, "s")
    assert (command.kind, command.session, command.run_id) == (
        CommandKind.CREATE,
        info.session,
        None,
    )
    assert command.body == {"ttl_s": 60, "metadata": {"who": "ann"}}


async def test_what_a_session_was_not_given_is_absent_from_its_creation(store: Store):
    info = await store.desk.create_session(TENANT, "s")

    [command] = await store.claims.pending([info.session])

    assert command.body == {}
    assert (info.ttl_s, info.expires_at, info.metadata) == (None, None, {})


async def test_a_session_without_an_id_is_given_one(store: Store):
    one = await store.desk.create_session(TENANT, None)
    two = await store.desk.create_session(TENANT, None)

    assert one.session_id.startswith("ses_")
    assert one.session_id != two.session_id
    assert (await store.desk.session(TENANT, one.session_id)).session == one.session


async def test_an_id_is_taken_once_by_each_tenant(store: Store):
    ours = await store.desk.create_session(TENANT, "s")
    theirs = await store.desk.create_session("rival", "s")

    with pytest.raises(SessionExists):
        await store.desk.create_session(TENANT, "s")

    assert ours.session != theirs.session
    assert len(await store.claims.pending([ours.session])) == 1


async def test_a_foreign_session_is_as_unknown_as_one_that_is_not_there(store: Store):
    owner = await owned_session(store, "s")
    await running(owner)

    for tenant, session_id in (("rival", "s"), (TENANT, "t")):
        with pytest.raises(SessionUnknown):
            await store.desk.session(tenant, session_id)
        with pytest.raises(SessionUnknown):
            await store.desk.erase(tenant, session_id)
        with pytest.raises(SessionUnknown):
            await ask_run(store, session_id, tenant=tenant)
        assert list(await store.desk.runs(tenant, session_id)) == []
    assert (await store.desk.sessions("rival")).items == []


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b"], ids=["NUL", "lone surrogate"])
async def test_a_name_that_nothing_can_have_is_unknown_and_no_failure(store: Store, text: str):
    """Whoever types `%00` into a path gets the same answer as for any other wrong name."""
    with pytest.raises(SessionUnknown):
        await store.desk.session(TENANT, text)
    with pytest.raises(RunUnknown):
        await store.desk.run(TENANT, text)


async def test_a_session_names_the_run_that_is_being_worked_on(store: Store):
    owner = await owned_session(store)
    assert (await store.desk.session(TENANT, "s")).active_run is None

    run_id = await running(owner)
    assert (await store.desk.session(TENANT, "s")).active_run == run_id
    assert (await store.desk.sessions(TENANT)).items[0].active_run == run_id

    await owner.change(run_id, RunStatus.COMPLETED)
    assert (await store.desk.session(TENANT, "s")).active_run is None


async def test_sessions_are_listed_newest_first_in_pages(store: Store):
    for n in range(5):
        await store.desk.create_session(TENANT, f"s{n}")
    await store.desk.create_session("rival", "s9")

    first = await store.desk.sessions(TENANT, limit=2)
    second = await store.desk.sessions(TENANT, limit=2, before=first.next_cursor)
    third = await store.desk.sessions(TENANT, limit=2, before=second.next_cursor)

    pages = [[info.session_id for info in page.items] for page in (first, second, third)]
    assert pages == [["s4", "s3"], ["s2", "s1"], ["s0"]]
    assert third.next_cursor is None
    assert first.items[0] == await store.desk.session(TENANT, "s4")


async def test_a_page_that_just_fits_is_the_last(store: Store):
    for n in range(2):
        await store.desk.create_session(TENANT, f"s{n}")

    assert (await store.desk.sessions(TENANT, limit=2)).next_cursor is None


async def test_sessions_are_listed_by_status(store: Store):
    owner = await owned_session(store, "over")
    await store.desk.create_session(TENANT, "open")
    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])

    listed = {
        status: [
            info.session_id for info in (await store.desk.sessions(TENANT, status=status)).items
        ]
        for status in SessionStatus
    }

    assert listed == {
        SessionStatus.ACTIVE: ["open"],
        SessionStatus.EXPIRED: ["over"],
        SessionStatus.ERASED: [],
    }


async def test_many_sessions_are_located_at_once_each_by_its_own_tenants_name(store: Store):
    """A wave of clients asks by name; whoever asks for another tenant's session learns nothing."""
    over = await owned_session(store, "over")
    await over.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])
    here = await store.desk.create_session(TENANT, "s")
    there = await store.desk.create_session("rival", "s")
    names = [(TENANT, "s"), ("rival", "s"), (TENANT, "over"), ("rival", "over"), (TENANT, "none")]

    found = await store.desk.locate([*names, (TENANT, "a\0b"), (TENANT, "a\ud800b")])

    assert found == {
        (TENANT, "s"): (here.session, SessionStatus.ACTIVE),
        ("rival", "s"): (there.session, SessionStatus.ACTIVE),
        (TENANT, "over"): (over.session, SessionStatus.EXPIRED),
    }
    assert await store.desk.locate([]) == {}
