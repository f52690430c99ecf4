"""Whose turn is first: by priority, and by the time for which one has been waiting."""

from datetime import timedelta
from math import inf
from typing import Any

import asyncpg
import pytest

from holdfast.events.clock_manual import ManualClock
from holdfast.events.slots import AGEING_S, PRIORITY_MAX, PRIORITY_MIN
from holdfast.events.store import Hold, OwnEvent, RunRequest, RunStatus, Store
from tests.contract.conftest import Passes
from tests.factories import (
    TENANT,
    Owner,
    ask_run,
    claim_all,
    owned_session,
    running,
)


async def order(store: Store, workflows: tuple[str, ...] = ("team",)) -> list[str]:
    """Claim one session after the other; return their names."""
    found: list[str] = []
    while claims := await claim_all(store, workflows=workflows, limit=1):
        found += [claim.session_id for claim in claims]
    return found


async def queued(store: Store, session_id: str, *, settled: bool = True, **request: Any) -> str:
    """A session of nobody with a run that waits in it."""
    await store.desk.create_session(TENANT, session_id)
    mine: Owner | None = None
    for claim in await claim_all(store, workflows=()):
        owner = Owner.of(store, "w1", claim)
        if claim.session_id == session_id:
            mine = owner
        else:
            await owner.release()
    assert mine is not None
    await mine.settle()
    run_id = (await ask_run(store, session_id, **request)).run_id
    if settled:
        await mine.settle()
    await mine.release()
    return run_id


@pytest.mark.parametrize("settled", [True, False])
async def test_the_more_important_run_comes_first(store: Store, settled: bool):
    for session_id, priority in (("low", -5), ("usual", 0), ("high", 7), ("higher", 8)):
        await queued(store, session_id, priority=priority, settled=settled)

    # A start that is still open is found as a command, too: that makes it no more urgent.
    assert await order(store) == ["higher", "high", "usual", "low"]


async def test_a_run_in_a_new_session_is_no_more_urgent_than_it_says(store: Store):
    """The session's own first command would lift it."""
    low = await ask_run(store, None, priority=-50)
    usual = await ask_run(store, None)

    assert await order(store) == [usual.session_id, low.session_id]


async def test_among_equals_the_one_that_waits_longest_comes_first(store: Store, passes: Passes):
    for session_id in ("first", "second", "third"):
        await queued(store, session_id)
        await passes(0.01)

    assert await order(store) == ["first", "second", "third"]


async def test_a_point_of_priority_is_worth_six_seconds_of_waiting(
    memory_store: Store, manual_clock: ManualClock
):
    """So nothing starves: what came more than (100 - p) * 6 s later doesn't pass a run of priority p."""
    assert AGEING_S == 6
    await queued(memory_store, "lowest", priority=PRIORITY_MIN)
    await manual_clock.advance((PRIORITY_MAX - PRIORITY_MIN) * AGEING_S - 1)
    await queued(memory_store, "passes", priority=PRIORITY_MAX)
    await manual_clock.advance(2)
    await queued(memory_store, "comes too late", priority=PRIORITY_MAX)

    assert await order(memory_store) == ["passes", "lowest", "comes too late"]


@pytest.mark.postgres
async def test_postgres_weighs_waiting_as_the_twin_does(postgres_store: Store, database_url: str):
    aged = {"lowest": (-100, 1201), "usual": (0, 599), "urgent": (100, 0), "older": (-99, 1199)}
    connection = await asyncpg.connect(database_url)
    for name, (priority, age_s) in aged.items():
        run_id = await queued(postgres_store, name, priority=priority)
        await connection.execute(
            """update runs set created_at = now() - make_interval(secs => $2),
                               not_before = now() - make_interval(secs => $2) where run_id = $1""",
            run_id,
            float(age_s),
        )
    await connection.close()

    assert await order(postgres_store) == ["older", "lowest", "urgent", "usual"]


async def test_a_start_in_the_past_is_no_way_past_the_others(store: Store, passes: Passes):
    await queued(store, "waits")
    await passes(0.01)
    long_ago = (await store.desk.session(TENANT, "waits")).created_at - timedelta(days=1)
    await queued(store, "pretends", start_at=long_ago)

    assert await order(store) == ["waits", "pretends"]


async def test_what_was_begun_and_what_was_said_come_before_what_has_not_begun(store: Store):
    begun = await owned_session(store, "begun")
    await running(begun)
    said = await owned_session(store, "said")
    await said.change(await running(said), RunStatus.WAITING, due_in_s=inf)
    await queued(store, "new", priority=90)
    for owner in (begun, said):
        await owner.release()
    await store.desk.emit(TENANT, "said", OwnEvent(type="custom.x", data={}))

    assert await order(store) == ["begun", "said", "new"]


async def test_runs_of_a_session_begin_by_priority_then_in_the_order_of_asking(
    store: Store, passes: Passes
):
    """And no worker takes one that isn't next, whatever it has loaded."""
    owner = await owned_session(store)
    for workflow, priority in (("usual", 0), ("low", -1), ("high", 1), ("high too", 1)):
        await ask_run(store, workflow=workflow, priority=priority)
        await passes(0.01)
    await owner.settle()
    await owner.release()

    seen: list[str] = []
    everything = ("usual", "low", "high", "high too")
    while len(seen) < len(everything):
        others = [name for name in everything if name not in seen]
        [run] = [
            run
            for run in await store.claims.open_runs(owner.session)
            if run.turn == min(r.turn for r in await store.claims.open_runs(owner.session))
        ]
        assert not await claim_all(store, workflows=[n for n in others if n != run.workflow])
        [claim] = await claim_all(store, workflows=others)
        assert claim.slot == run.run_id
        heir = Owner.of(store, "w1", claim)
        await heir.change(run.run_id, RunStatus.RUNNING)
        await heir.change(run.run_id, RunStatus.COMPLETED)
        await heir.release()
        seen.append(run.workflow)

    assert seen == ["high", "high too", "usual", "low"]


async def test_a_run_tells_what_it_waits_for(store: Store):
    owner = await owned_session(store)
    now = (await store.desk.session(TENANT, "s")).created_at
    later = await ask_run(store, start_at=now + timedelta(hours=1))
    first = await ask_run(store)
    second = await ask_run(store)
    urgent = await ask_run(store, priority=5)

    async def held() -> list[Hold | None]:
        tickets = (later, first, second, urgent)
        return [(await store.desk.run(TENANT, t.run_id)).held_by for t in tickets]

    assert await held() == [Hold.TIME, Hold.TURN, Hold.TURN, None]
    await owner.settle()
    await owner.change(urgent.run_id, RunStatus.RUNNING)
    assert await held() == [Hold.TIME, Hold.TURN, Hold.TURN, None]
    await owner.change(urgent.run_id, RunStatus.WAITING, due_in_s=inf)
    assert await held() == [Hold.TIME, Hold.TURN, Hold.TURN, None]
    await owner.change(urgent.run_id, RunStatus.COMPLETED)
    assert await held() == [Hold.TIME, None, Hold.TURN, None]


async def test_a_run_has_the_priority_and_the_time_that_it_was_asked_for_with(store: Store):
    await owned_session(store)
    plain = await ask_run(store)
    special = await ask_run(store, priority=-7, timeout_s=2.5)

    runs = [await store.desk.run(TENANT, t.run_id) for t in (plain, special)]

    assert [(run.priority, run.timeout_s) for run in runs] == [(0, None), (-7, 2.5)]
    assert (await store.claims.open_runs(special.session))[1] == runs[1]


@pytest.mark.parametrize(
    "wrong",
    [{"priority": 101}, {"priority": -101}, {"timeout_s": 0}, {"timeout_s": inf}],
)
def test_no_run_has_a_priority_or_a_timeout_out_of_bounds(wrong: dict[str, float]):
    with pytest.raises(ValueError, match=r"priority|timeout"):
        RunRequest(workflow="team", input=None, **wrong)  # pyright: ignore[reportArgumentType]


async def test_a_claimed_session_is_at_its_place_again_when_it_is_given_back(store: Store):
    await queued(store, "older")
    await queued(store, "newer", priority=-1)

    [claim] = await claim_all(store, limit=1)
    assert claim.session_id == "older"
    await Owner.of(store, "w1", claim).release()

    assert await order(store) == ["older", "newer"]
