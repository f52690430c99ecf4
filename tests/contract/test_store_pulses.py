"""What a gateway is told of sessions: heads, and whether anybody works on them."""

from dataclasses import replace
from datetime import timedelta
from math import inf

from holdfast.events.catalog import SessionErased, SessionExpired
from holdfast.events.store import Quiet, RunStatus, SessionChange, SessionStatus, Store
from tests.contract.conftest import Passes
from tests.factories import TENANT, ask_run, claim_one, delta, owned_session, running

LEASE_S = 0.3
# A lease and the moment of grace that an ordinary hand-over takes.
SURELY_STALLED_S = LEASE_S + 2.2


async def test_the_pulses_of_many_sessions_come_at_once(store: Store):
    one = await owned_session(store, "s1")
    two = await owned_session(store, "s2")
    run_id = await running(two)
    await one.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])

    pulses = await store.reader.pulses([two.session, one.session, 4711])

    assert set(pulses) == {one.session, two.session}
    expired, active = pulses[one.session], pulses[two.session]
    assert (expired.head, expired.min_seq, expired.status) == (2, 1, SessionStatus.EXPIRED)
    assert (active.head, active.status) == (2, SessionStatus.ACTIVE)
    assert (expired.active_run, active.active_run) == (None, run_id)
    assert (expired.stalled_since, active.stalled_since) == (None, None)


async def test_a_waiting_run_is_not_active(store: Store):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, due_in_s=inf)

    assert (await store.reader.pulses([owner.session]))[owner.session].active_run is None


async def test_the_run_that_is_worked_on_is_the_active_one_whichever_was_asked_for_first(
    store: Store,
):
    owner = await owned_session(store)
    now = (await store.desk.session(TENANT, "s")).created_at
    await ask_run(store, start_at=now + timedelta(hours=1))
    run_id = await running(owner)

    assert (await store.reader.pulses([owner.session]))[owner.session].active_run == run_id


async def test_a_run_whose_owner_is_gone_is_stalled_since_its_lease_ran_out(
    store: Store, passes: Passes
):
    owner = await owned_session(store, lease_s=LEASE_S)
    run_id = await running(owner)

    await passes(SURELY_STALLED_S)
    stalled = (await store.reader.pulses([owner.session]))[owner.session]
    heir = await claim_one(store, "w2", lease_s=LEASE_S)
    taken = (await store.reader.pulses([owner.session]))[owner.session]

    created_at = (await store.desk.session(TENANT, "s")).created_at
    now = (await store.desk.create_session(TENANT, "later")).created_at
    assert stalled.active_run == run_id
    assert stalled.stalled_since is not None
    assert created_at + timedelta(seconds=LEASE_S) <= stalled.stalled_since
    assert stalled.stalled_since < now - timedelta(seconds=2)
    assert heir.session == owner.session
    assert (taken.active_run, taken.stalled_since) == (run_id, None)


async def test_a_run_that_nobody_takes_up_is_stalled(store: Store, passes: Passes):
    owner = await owned_session(store)
    await ask_run(store)
    await owner.settle()
    await owner.release()

    await passes(0.2)
    at_once = (await store.reader.pulses([owner.session]))[owner.session]
    await passes(SURELY_STALLED_S)
    later = (await store.reader.pulses([owner.session]))[owner.session]

    assert at_once.stalled_since is None
    assert later.stalled_since is not None


async def test_a_session_that_waits_or_is_at_rest_is_not_stalled(store: Store, passes: Passes):
    waits = await owned_session(store, "s1", lease_s=LEASE_S)
    await waits.change(await running(waits), RunStatus.WAITING, due_in_s=inf)
    rests = await owned_session(store, "s2", lease_s=LEASE_S)
    await rests.change(await running(rests), RunStatus.COMPLETED)
    sleeps = await owned_session(store, "s3", lease_s=LEASE_S)
    await sleeps.change(await running(sleeps), RunStatus.WAITING, due_in_s=3600)

    await passes(SURELY_STALLED_S)

    pulses = await store.reader.pulses([waits.session, rests.session, sleeps.session])
    assert [pulse.stalled_since for pulse in pulses.values()] == [None, None, None]


async def test_of_sessions_that_are_as_was_taken_for_granted_nothing_is_said(store: Store):
    owner = await owned_session(store)
    await owner.append(delta(), delta())
    at = owner.session

    assert await store.reader.changes([Quiet(at, 3, 0)]) == {}
    assert await store.reader.changes([Quiet(at, 3, 3)]) == {}
    assert await store.reader.changes([]) == {}


async def test_of_sessions_that_differ_the_pulse_is_told_and_of_others_that_they_are_gone(
    store: Store, passes: Passes
):
    ahead, behind, quiet, unsure = [await owned_session(store, name) for name in "abcd"]
    expired, stalled = [await owned_session(store, name, lease_s=LEASE_S) for name in "ef"]
    await expired.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])
    await running(stalled)
    await passes(SURELY_STALLED_S)
    granted = [
        Quiet(ahead.session, 0, 0),
        Quiet(behind.session, 2, 0),
        Quiet(quiet.session, quiet.head, 0),
        Quiet(unsure.session, -1, 0),
        Quiet(expired.session, expired.head, 0),
        Quiet(stalled.session, stalled.head, 0),
        Quiet(4711, 1, 0),
    ]

    changes = await store.reader.changes(granted)

    pulses = await store.reader.pulses([one.session for one in granted])
    assert changes == {4711: None} | {s: p for s, p in pulses.items() if s != quiet.session}
    told = changes[stalled.session]
    assert told is not None
    assert told.stalled_since is not None


async def test_what_was_removed_beyond_what_a_gateway_holds_is_told(store: Store):
    owner = await owned_session(store)
    await owner.append(*[delta()] * 5)
    erased = SessionErased(erased_through=owner.head)
    await owner.append(erased, effects=[SessionChange(SessionStatus.ERASED, erase=True)])
    at, head = owner.session, owner.head

    [pulse] = (await store.reader.pulses([at])).values()

    assert pulse.min_seq == head
    assert not pulse.is_quiet(Quiet(at, head, head - 1))  # it is erased
    here = replace(pulse, status=SessionStatus.ACTIVE)
    assert here.is_quiet(Quiet(at, head, head - 1))
    assert not here.is_quiet(Quiet(at, head, head - 2))
