"""What every store of subscriptions promises."""

import pytest

from holdfast.events.catalog import SessionErased
from holdfast.events.store import SessionChange, SessionStatus
from holdfast.subscribe import store_memory, store_postgres
from holdfast.subscribe.delivery import ORIGIN, Position
from holdfast.subscribe.store import (
    Failure,
    Hold,
    HoldLost,
    PositionAhead,
    Progress,
    SubscriptionUnknown,
)
from holdfast.subscribe.subscription import Start
from tests.factories import delta
from tests.subscribe.worlds import World

LEASE_S = 0.4


async def held(world: World, name: str = "test", owner: str = "c1") -> Hold:
    hold = await world.subscriptions.acquire(name, owner, lease_s=LEASE_S, start=Start.BEGINNING)
    assert hold is not None
    return hold


async def test_the_whole_log_is_read_in_commit_order(world: World) -> None:
    one, two = await world.session("one"), await world.session("two")
    for owner in (two, one, two):
        await owner.append(delta())

    page = await world.read()

    places = [(e.session, e.seq) for e in page.items]
    assert places == [
        (one.session, 1),
        (two.session, 1),
        (two.session, 2),
        (one.session, 2),
        (two.session, 3),
    ]
    assert page.through == page.items[-1].position
    assert not page.more
    assert not (await world.read(page.through)).items


async def test_a_delivery_names_its_event_for_good(world: World) -> None:
    """The idempotency key is the same at every delivery."""
    await world.session("one", 2)

    first, second = (await world.read()).items, (await world.read()).items

    assert [e.event_id for e in first] == [e.event_id for e in second]
    assert len({e.event_id for e in first}) == 3
    assert {(e.tenant, e.session_id) for e in first} == {("acme", "one")}


async def test_what_nobody_wants_is_passed_over_and_accounted_for(world: World) -> None:
    await world.session("one", 3)

    page = await world.read(ORIGIN, "session.*")

    assert [e.type for e in page.items] == ["session.created"]
    assert page.through.seq == 4


async def test_a_subscription_has_one_holder(world: World) -> None:
    await held(world)

    assert (
        await world.subscriptions.acquire("test", "c2", lease_s=LEASE_S, start=Start.BEGINNING)
        is None
    )


async def test_a_holder_that_died_is_replaced_and_what_it_still_saves_is_refused(
    world: World,
) -> None:
    await world.session("one", 2)
    dead = await held(world)
    await world.subscriptions.save(dead, Progress(Position(1, 1, 1)), lease_s=LEASE_S)
    await world.passes(LEASE_S + 0.1)

    heir = await held(world, owner="c2")

    assert heir.position == Position(1, 1, 1)
    with pytest.raises(HoldLost):
        await world.subscriptions.save(dead, Progress(Position(9, 9, 9)), lease_s=LEASE_S)
    [info] = await world.subscriptions.all()
    assert (info.owner, info.position) == ("c2", Position(1, 1, 1))


async def test_a_save_renews_the_lease(world: World) -> None:
    hold = await held(world)
    for _ in range(3):
        await world.passes(LEASE_S * 0.6)
        await world.subscriptions.save(hold, Progress(), lease_s=LEASE_S)

    other = await world.subscriptions.acquire("test", "c2", lease_s=LEASE_S, start=Start.BEGINNING)

    assert other is None


async def test_a_subscription_may_begin_now(world: World) -> None:
    one = await world.session("one", 2)
    hold = await world.subscriptions.acquire("test", "c1", lease_s=LEASE_S, start=Start.NOW)
    await one.append(delta())

    assert hold is not None
    assert [e.seq for e in (await world.read(hold.position)).items] == [4]


async def test_what_failed_comes_back_when_its_time_has_come_and_before_what_is_behind_it(
    world: World,
) -> None:
    one = await world.session("one", 3)
    hold = await held(world)
    page = await world.read()
    progress = Progress(
        page.through,
        failed=[Failure(one.session, 2, 1, 0.3, "no")],
        behind=[(one.session, 3), (one.session, 4)],
    )
    await world.subscriptions.save(hold, progress, lease_s=10)

    early = await world.subscriptions.waiting(hold, ordered=True, limit=10)
    loose = await world.subscriptions.waiting(hold, ordered=False, limit=10)
    await world.passes(0.4)
    late = await world.subscriptions.waiting(hold, ordered=True, limit=10)

    assert ([e.seq for e in early.due], early.total) == ([], 3)
    assert [e.seq for e in loose.due] == [3, 4]
    assert [(e.seq, e.tries) for e in late.due] == [(2, 1), (3, 0), (4, 0)]
    assert late.blocked == {one.session}


async def test_a_successor_knows_which_sessions_are_blocked(world: World) -> None:
    one = await world.session("one", 3)
    hold = await held(world)
    failure = Failure(one.session, 2, 1, 60, "no")
    await world.subscriptions.save(hold, Progress(failed=[failure]), lease_s=LEASE_S)
    await world.subscriptions.release(hold)

    heir = await held(world, owner="c2")

    waiting = await world.subscriptions.waiting(heir, ordered=True, limit=10)
    assert (waiting.blocked, waiting.total) == ({one.session}, 1)


async def test_of_dead_letters_the_newest_are_kept_and_the_others_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (store_memory, store_postgres):
        monkeypatch.setattr(module, "DEAD_LETTERS_MAX", 3)
    one, hold = await world.session("one", 6), await held(world)
    await held(world, "other")
    for seqs in ((2, 3), (4,), (5, 6)):
        dead = [Failure(one.session, seq, 8, None, "boom") for seq in seqs]
        await world.subscriptions.save(hold, Progress(failed=dead), lease_s=10)

    letters = await world.subscriptions.dead_letters("test")
    other, info = sorted(await world.subscriptions.all(), key=lambda i: i.name)

    assert [letter.seq for letter in letters] == [4, 5, 6]
    assert (info.dead, info.dropped) == (3, 2)
    assert (other.dead, other.dropped) == (0, 0)


async def test_a_dead_letter_is_listed_replayed_and_discarded(world: World) -> None:
    one = await world.session("one", 3)
    hold = await held(world)
    dead = [Failure(one.session, seq, 8, None, "boom") for seq in (2, 3)]
    await world.subscriptions.save(hold, Progress(failed=dead), lease_s=10)

    letters = await world.subscriptions.dead_letters("test")
    replayed = await world.subscriptions.replay("test", [(one.session, 2)])
    due = (await world.subscriptions.waiting(hold, ordered=True, limit=10)).due
    discarded = await world.subscriptions.discard("test")

    assert [(d.seq, d.session_id, d.type, d.error) for d in letters] == [
        (2, "one", "message.delta", "boom"),
        (3, "one", "message.delta", "boom"),
    ]
    assert (replayed, discarded) == (1, 1)
    assert [(e.seq, e.tries) for e in due] == [(2, 0)]
    assert await world.subscriptions.dead_letters("test") == []


async def test_a_reset_takes_the_subscription_from_its_holder(world: World) -> None:
    one = await world.session("one", 3)
    hold = await held(world)
    page = await world.read()
    failure = Failure(one.session, 2, 1, 60, "no")
    await world.subscriptions.save(hold, Progress(page.through, failed=[failure]), lease_s=10)

    await world.subscriptions.reset("test", Start.BEGINNING)

    with pytest.raises(HoldLost):
        await world.subscriptions.save(hold, Progress(), lease_s=10)
    heir = await held(world, owner="c2")
    waiting = await world.subscriptions.waiting(heir, ordered=True, limit=10)
    assert (heir.position, waiting.total) == (ORIGIN, 0)


async def test_erasing_a_session_leaves_nothing_of_it_parked(world: World) -> None:
    """Not even the error's text, which may quote the event."""
    one = await world.session("one", 3)
    hold = await held(world)
    await world.subscriptions.save(
        hold,
        Progress(
            failed=[Failure(one.session, 2, 8, None, "said: secret")], behind=[(one.session, 3)]
        ),
        lease_s=10,
    )
    await one.append(
        SessionErased(erased_through=4),
        effects=[SessionChange(SessionStatus.ERASED, erase=True)],
    )
    page = await world.read()

    waiting = await world.subscriptions.waiting(hold, ordered=True, limit=10)
    await world.subscriptions.save(
        hold, Progress(page.through, erased=list(page.erased)), lease_s=10
    )

    assert not waiting.due
    assert [e.type for e in page.items] == ["session.erased"]
    assert await world.subscriptions.dead_letters("test") == []
    assert (await world.subscriptions.waiting(hold, ordered=True, limit=10)).blocked == frozenset()


async def test_lag_counts_what_comes_after_the_position(world: World) -> None:
    await world.session("one", 3)
    hold = await held(world)
    await world.passes(0.05)

    [before] = await world.subscriptions.all()
    await world.subscriptions.save(hold, Progress((await world.read()).through), lease_s=10)
    [after] = await world.subscriptions.all()

    assert (before.lag, after.lag) == (4, 0)
    assert before.lag_s > 0 == after.lag_s


async def test_a_position_beyond_the_database_is_told(world: World) -> None:
    """A dump that is restored brings positions of another cluster along: silence would be worst."""
    await world.session("one")

    with pytest.raises(PositionAhead, match="restored"):
        await world.read(Position(10**12, 1, 1))


async def test_an_unknown_subscription_is_told(world: World) -> None:
    for call in (
        world.subscriptions.dead_letters("no"),
        world.subscriptions.replay("no"),
        world.subscriptions.discard("no"),
        world.subscriptions.reset("no", Start.NOW),
    ):
        with pytest.raises(SubscriptionUnknown):
            await call
