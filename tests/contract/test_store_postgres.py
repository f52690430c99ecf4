"""What only a real database can do to a store: hold rows, hold on to old rules, hold another's schema."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from holdfast.events import claims_postgres
from holdfast.events.catalog import SessionErased
from holdfast.events.errors import (
    AppendRefused,
    SessionExists,
    StoreBusy,
    StoreUnavailable,
)
from holdfast.events.pool_postgres import Connection
from holdfast.events.store import Idempotency, SessionChange, SessionStatus, Store
from tests.factories import (
    TENANT,
    Owner,
    ask_run,
    claim_all,
    delta,
    in_run,
    owned_session,
    running,
)

pytestmark = pytest.mark.postgres


# Half a surrogate pair: the json type takes it, and no reader does.
UNREADABLE = r"""insert into commands (command_id, session, kind, body)
                values ('cmd_bad', $1, 'cancel', '{"reason": "\ud800"}')"""


@pytest.fixture
def store(postgres_store: Store) -> Store:
    return postgres_store


@pytest.fixture
async def connection(database_url: str) -> AsyncIterator[Connection]:
    """Somebody else in the database."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@asynccontextmanager
async def held(connection: Connection, owner: Owner) -> AsyncGenerator[None]:
    """For as long as this lasts, somebody else holds the session's row."""
    async with connection.transaction():
        await connection.execute("select from sessions where id = $1 for update", owner.session)
        yield


# --- a row that somebody else holds ------------------------------------------------------------------


async def test_an_append_that_gets_no_lock_has_done_nothing(store: Store, connection: Connection):
    mine = await owned_session(store, "mine")
    stuck = await owned_session(store, "stuck")
    batches = [mine.batch(delta()), stuck.batch(delta())]

    async with held(connection, stuck):
        with pytest.raises(StoreBusy):
            await store.writer.append(batches)
        assert await store.writer.append(batches[:1]) == frozenset()

    assert await store.writer.append(batches[1:]) == frozenset()


async def test_a_renewal_passes_over_a_row_that_is_held_and_does_not_call_it_lost(
    store: Store, connection: Connection
):
    mine = await owned_session(store, "mine", lease_s=5)
    stuck = await owned_session(store, "stuck", lease_s=5)
    sessions = {owner.session: owner.epoch for owner in (mine, stuck)}
    lease = "select lease_until > now() + interval '20 s' from sessions where id = $1"

    async with held(connection, stuck):
        lost = await store.claims.renew("w1", sessions, lease_s=30)

    assert lost == frozenset()
    assert await connection.fetchval(lease, mine.session)
    assert not await connection.fetchval(lease, stuck.session)


async def test_a_session_that_was_taken_over_is_lost_though_its_row_is_held(
    store: Store, connection: Connection
):
    former = await owned_session(store)
    await running(former)
    await former.release()
    [claim] = await claim_all(store, "w2")

    async with held(connection, Owner.of(store, "w2", claim)):
        lost = await store.claims.renew("w1", {former.session: former.epoch}, lease_s=30)

    assert lost == {former.session}


# --- rows that are not as they should be -------------------------------------------------------------


async def test_what_an_index_cannot_hold_is_refused(store: Store):
    """A key over 2.7 KB, say: an error of the database that no repetition mends."""
    owner = await owned_session(store)
    long_key = "".join(f"{n:x}" for n in range(20_000))

    with pytest.raises(AppendRefused):
        await store.writer.append([owner.batch(in_run(delta(), "run_1", key=long_key))])

    await owner.append(delta())


async def test_a_command_of_a_kind_from_the_future_is_left_to_those_who_know_it(
    store: Store, connection: Connection
):
    owner = await owned_session(store)
    await ask_run(store)
    await connection.execute("alter table commands drop constraint commands_kind_check")
    await connection.execute(
        "insert into commands (command_id, session, kind) values ('cmd_new', $1, 'rename')",
        owner.session,
    )

    assert [c.kind for c in await owner.pending()] == ["start"]
    await owner.settle()
    await connection.execute("update runs set not_before = 'infinity'")
    await owner.release()
    assert list(await claim_all(store, "w2")) == []


async def test_a_claim_that_cannot_be_told_of_is_given_back(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    """Else its sessions would belong to a worker that knows nothing of them for a whole lease."""
    await store.desk.create_session(TENANT, "s")

    async def broken(connection: Connection, sessions: object) -> object:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(claims_postgres, "look_at", broken)
        with pytest.raises(StoreUnavailable, match="away"):
            await claim_all(store)

    [claim] = await claim_all(store, "w2")
    assert (claim.epoch, claim.taken_over) == (2, False)


async def test_a_session_that_can_not_be_read_costs_no_other_and_is_tried_once_a_lease(
    store: Store, connection: Connection, capsys: pytest.CaptureFixture[str]
):
    """Given back at once, it would be claimed by everybody in every round, with its whole batch."""
    names = {(await store.desk.create_session(TENANT, f"s{n}")).session: f"s{n}" for n in range(3)}
    bad = next(iter(names))
    await connection.execute(UNREADABLE, bad)

    claimed = await claim_all(store, "w1", lease_s=30)
    assert {claim.session_id for claim in claimed} == {"s1", "s2"}
    assert "session.unreadable" in capsys.readouterr().out

    await store.claims.release({claim.session: claim.epoch for claim in claimed}, published={})
    assert {claim.session_id for claim in await claim_all(store, "w2")} == {"s1", "s2"}
    epoch = "select epoch from sessions where id = $1"
    assert await connection.fetchval(epoch, bad) == 1, "not before its lease is over"

    await connection.execute("delete from commands where command_id = 'cmd_bad'")
    await connection.execute("update sessions set lease_until = now() where id = $1", bad)
    [claim] = await claim_all(store, "w3", lease_s=0.5)
    assert (claim.session_id, claim.epoch, claim.taken_over) == ("s0", 2, True)


async def test_a_command_that_can_not_be_read_keeps_no_other_sessions_from_its_owner(
    store: Store, connection: Connection
):
    mine, bad = await owned_session(store, "mine"), await owned_session(store, "bad")
    await connection.execute(UNREADABLE, bad.session)
    await ask_run(store, "mine")

    found = await store.claims.pending([bad.session, mine.session])

    assert [(c.session, c.kind) for c in found] == [(mine.session, "start")]


# --- what is forgotten -------------------------------------------------------------------------------


async def test_answers_are_kept_for_a_day(store: Store, connection: Connection):
    for n, age in enumerate(("23 hours", "25 hours")):
        await store.desk.create_session(
            TENANT, f"s{n}", idempotency=Idempotency(key=f"k{n}", request_hash=b"")
        )
        await connection.execute(
            "update idempotency set created_at = now() - $2::text::interval where key = $1",
            f"k{n}",
            age,
        )

    await store.claims.expire_due(limit=10)

    again = Idempotency(key="k0", request_hash=b"")
    assert (await store.desk.create_session(TENANT, "s0", idempotency=again)).session_id == "s0"
    with pytest.raises(SessionExists):
        await store.desk.create_session(
            TENANT, "s1", idempotency=Idempotency(key="k1", request_hash=b"")
        )


# --- what an erasure deletes besides, and what an append waits for -----------------------------------


async def test_an_erasure_leaves_no_dead_letter_of_a_subscription(
    store: Store, connection: Connection
):
    """Its error may quote what the handler was given."""
    owner = await owned_session(store)
    await connection.execute("insert into subscriptions (name) values ('mail')")
    await connection.execute(
        "insert into parked_events (subscription, session, seq, dead_at, error)"
        " values ('mail', $1, 1, now(), 'cannot mail ann@example.com')",
        owner.session,
    )

    change = SessionChange(SessionStatus.ERASED, erase=True)
    await owner.append(SessionErased(erased_through=owner.head), effects=[change])

    assert await connection.fetchval("select count(*) from parked_events") == 0


async def test_an_append_waits_for_no_row_that_only_refers_to_its_session(
    store: Store, connection: Connection
):
    """A gateway that asks for something, keeps a snapshot, or is paused meanwhile holds up no worker."""
    owner = await owned_session(store)
    async with connection.transaction():
        # What a foreign key asks of the row that it names.
        await connection.execute("select from sessions where id = $1 for key share", owner.session)
        await owner.append(delta())

    page = await store.reader.read(owner.session, after=0)
    assert len(page.items) == 2
