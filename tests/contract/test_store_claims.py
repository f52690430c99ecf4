"""Who may own a session, and when. A session at rest is nobody's."""

import asyncio
from datetime import timedelta
from math import inf

from holdfast.events.commands import CommandKind
from holdfast.events.store import (
    COMMANDS_AT_ONCE,
    OwnEvent,
    RunStatus,
    SessionChange,
    SessionStatus,
    Store,
)
from tests.contract.conftest import Passes
from tests.factories import (
    TENANT,
    WORKFLOW,
    Owner,
    ask_run,
    claim_all,
    claim_one,
    delta,
    owned_session,
    running,
)

SHORT_S = 0.3


async def resting(store: Store, session_id: str = "s") -> Owner:
    """A session that nobody owns and that has nothing to do."""
    owner = await owned_session(store, session_id)
    await owner.release()
    return owner


async def test_a_claim_brings_all_that_its_owner_must_know(store: Store):
    owner = await owned_session(store, ttl_s=60, metadata={"who": "ann"})
    first = await running(owner)
    await owner.release(published=2)
    second = (await ask_run(store, input={"n": 2})).run_id
    await store.desk.cancel(TENANT, second, reason="no")

    [claim] = await claim_all(store, "w2")

    assert (claim.session, claim.tenant, claim.session_id) == (owner.session, TENANT, "s")
    assert (claim.epoch, claim.head, claim.published) == (owner.epoch + 1, 2, 2)
    assert (claim.ttl_s, claim.metadata, claim.taken_over) == (60, {"who": "ann"}, False)
    assert [(c.kind, c.run_id) for c in claim.commands] == [
        (CommandKind.START, second),
        (CommandKind.CANCEL, second),
    ]
    assert [(run.run_id, run.status) for run in claim.runs] == [
        (first, RunStatus.RUNNING),
        (second, RunStatus.QUEUED),
    ]
    assert list(claim.runs) == list(await store.claims.open_runs(owner.session))
    assert list(claim.commands) == list(await store.claims.pending([owner.session]))


async def test_a_new_session_begins_at_epoch_one(store: Store):
    await store.desk.create_session(TENANT, "s")

    [claim] = await claim_all(store)

    assert (claim.epoch, claim.head, claim.published, claim.last_ts) == (1, 0, 0, None)
    assert not claim.taken_over


async def test_a_session_at_rest_is_not_claimed(store: Store, passes: Passes):
    await resting(store, "s1")
    owner = await owned_session(store, "s2")
    await owner.change(await running(owner), RunStatus.COMPLETED)
    await owner.release()

    await passes(SHORT_S)

    assert list(await claim_all(store)) == []


async def test_an_open_command_is_work_for_any_worker(store: Store):
    """Also for one that doesn't know the workflow: it can still cancel, expire and erase."""
    owner = await resting(store)
    await store.desk.erase(TENANT, "s")

    [claim] = await claim_all(store, workflows=())

    assert claim.session == owner.session
    assert [c.kind for c in claim.commands] == [CommandKind.ERASE]


async def test_a_due_run_is_work_for_those_who_have_loaded_its_workflow(store: Store):
    for status in (RunStatus.RUNNING, RunStatus.WAITING, RunStatus.QUEUED):
        owner = await owned_session(store, f"s-{status}")
        run_id = (await ask_run(store, owner.session_id, workflow="rare")).run_id
        await owner.settle()
        await owner.change(run_id, status)
        await owner.release()

    assert list(await claim_all(store, "w1", workflows=("team", "ticker"))) == []
    claims = await claim_all(store, "w2", workflows=("team", "rare"))

    assert sorted(c.session_id for c in claims) == ["s-queued", "s-running", "s-waiting"]


async def test_a_run_is_not_work_before_its_time(store: Store, passes: Passes):
    for session_id, due_in_s in (("soon", SHORT_S), ("later", 3600)):
        owner = await owned_session(store, session_id)
        await owner.change(await running(owner), RunStatus.WAITING, due_in_s=due_in_s)
        await owner.release()

    await passes(SHORT_S * 1.2)

    [claim] = await claim_all(store)
    assert (claim.session_id, [run.due for run in claim.runs]) == ("soon", [True])


async def test_a_run_asked_for_later_is_work_when_its_hour_comes(store: Store, passes: Passes):
    for session_id, start_in_s in (("soon", SHORT_S), ("later", 3600)):
        owner = await owned_session(store, session_id)
        now = (await store.desk.session(TENANT, session_id)).created_at
        await ask_run(store, session_id, start_at=now + timedelta(seconds=start_in_s))
        await owner.settle()
        await owner.release()

    await passes(SHORT_S * 1.2)

    assert [claim.session_id for claim in await claim_all(store)] == ["soon"]


async def test_a_run_that_waits_for_an_answer_is_work_when_it_has_come(
    store: Store, passes: Passes
):
    owner = await owned_session(store)
    run_id = await running(owner)
    await owner.change(run_id, RunStatus.WAITING, waiting={"i1": {}}, due_in_s=inf)
    await owner.release()
    await passes(SHORT_S)
    assert list(await claim_all(store)) == []

    await store.desk.answer(TENANT, run_id, "i1", True)

    [claim] = await claim_all(store)
    assert [c.kind for c in claim.commands] == [CommandKind.INPUT]


async def test_a_queued_run_is_no_work_while_another_has_begun(store: Store):
    owner = await owned_session(store)
    first = await running(owner)
    await owner.change(first, RunStatus.WAITING, due_in_s=inf)
    await ask_run(store)
    await owner.settle()
    await owner.release()
    assert list(await claim_all(store)) == []

    await store.desk.cancel(TENANT, first)
    heir = await claim_one(store)
    await heir.settle()
    await heir.change(first, RunStatus.CANCELLED)
    await heir.release()

    assert len(await claim_all(store)) == 1


async def test_of_the_queued_runs_only_the_oldest_due_one_is_work(store: Store):
    """Runs of a session begin in the order in which they were asked for, whoever knows what."""
    owner = await owned_session(store)
    now = (await store.desk.session(TENANT, "s")).created_at
    await ask_run(store, workflow="some day", start_at=now + timedelta(hours=1))
    await ask_run(store, workflow="first")
    await ask_run(store, workflow="second")
    await owner.settle()
    await owner.release()

    assert list(await claim_all(store, "w2", workflows=("second", "some day"))) == []
    assert len(await claim_all(store, "w1", workflows=("first",))) == 1


async def test_nobody_claims_what_is_owned(store: Store):
    owner = await owned_session(store)
    await running(owner)
    await store.desk.erase(TENANT, "s")

    assert list(await claim_all(store, "w2")) == []
    assert list(await claim_all(store, "w1")) == []


async def test_a_claim_takes_no_more_than_it_was_asked_to(store: Store):
    for n in range(5):
        await store.desk.create_session(TENANT, f"s{n}")

    counts = [len(await claim_all(store, f"w{n}", limit=2)) for n in range(4)]

    assert counts == [2, 2, 1, 0]


async def test_a_session_is_claimed_by_one_worker_however_many_try(store: Store):
    """Twenty at once, over and over, and no session is ever given twice."""
    for n in range(30):
        await store.desk.create_session(TENANT, f"s{n}")

    async def claim(worker: str) -> list[int]:
        mine: list[int] = []
        while claims := await claim_all(store, worker, limit=3):
            mine += [claim.session for claim in claims]
        return mine

    async with asyncio.timeout(30):
        taken = await asyncio.gather(*(claim(f"w{n}") for n in range(20)))

    sessions = [session for mine in taken for session in mine]
    assert len(sessions) == len(set(sessions))
    # A claim passes over rows that another is looking at; what is left then is there for the next.
    rest = await claim_all(store)
    assert len(sessions) + len(rest) == 30


async def test_a_released_session_is_claimed_at_once(store: Store):
    owner = await owned_session(store)
    await running(owner)
    await owner.release()

    [claim] = await claim_all(store, "w2", workflows=[WORKFLOW])

    assert (claim.epoch, claim.taken_over) == (owner.epoch + 1, False)


async def test_a_release_by_a_former_owner_releases_nothing(store: Store):
    former = await owned_session(store)
    await running(former)
    await former.release()
    owner = await claim_one(store, "w2")

    await former.release(published=99)

    assert list(await claim_all(store, "w3")) == []
    await owner.append(delta())


async def test_a_claim_tells_whether_the_session_has_ended(store: Store):
    """Else its owner would append behind the last event."""
    owner = await owned_session(store)
    await owner.append(effects=[SessionChange(SessionStatus.EXPIRED)])
    await owner.release()
    await store.desk.erase(TENANT, "s")

    [claim] = await claim_all(store, "w2")

    assert claim.status is SessionStatus.EXPIRED


async def test_one_sessions_flood_of_commands_hides_no_others(store: Store):
    flooded, other = await owned_session(store, "flooded"), await owned_session(store, "other")
    for n in range(COMMANDS_AT_ONCE + 1):
        await store.desk.emit(TENANT, "flooded", OwnEvent(type="custom.x", data={"n": n}))
    await store.desk.emit(TENANT, "other", OwnEvent(type="custom.x", data={}))

    pending = await store.claims.pending([flooded.session, other.session])
    told = [command.session for command in pending]

    assert told == [flooded.session] * COMMANDS_AT_ONCE + [other.session]
    numbers = [c.body["data"]["n"] for c in pending[:COMMANDS_AT_ONCE]]
    assert numbers == list(range(COMMANDS_AT_ONCE)), "oldest first"
    await flooded.release()
    [claim] = await claim_all(store, "w2")
    assert len(claim.commands) == COMMANDS_AT_ONCE
