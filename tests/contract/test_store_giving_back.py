"""An owner that has nothing more to do: what it looks at, and how it gives its session back without a look."""

import asyncio
from datetime import timedelta
from math import inf

import asyncpg
import pytest

from holdfast.events.commands import CommandKind
from holdfast.events.errors import SessionGone
from holdfast.events.pool_postgres import Connection
from holdfast.events.store import COMMANDS_AT_ONCE, OwnEvent, RunStatus, StepResult, Store
from tests.factories import TENANT, Owner, ask_run, claim_all, claim_one, owned_session, running

# Whoever is to wait for a row that we hold got so far within this.
WAITS_WITHIN_S = 5.0


async def let_go(owner: Owner, *, published: int = 0) -> bool:
    return await owner.store.claims.let_go(owner.session, epoch=owner.epoch, published=published)


async def test_a_session_with_nothing_to_do_is_let_go(store: Store):
    owner = await owned_session(store)
    await owner.change(await running(owner), RunStatus.COMPLETED)

    assert await let_go(owner, published=owner.head)

    assert list(await claim_all(store, "w2")) == []
    assert list(await store.claims.unpublished(limit=10)) == []
    await ask_run(store)
    [claim] = await claim_all(store, "w2")
    assert (claim.epoch, claim.taken_over) == (owner.epoch + 1, False)


async def test_a_session_that_is_let_go_before_all_is_published_is_for_the_sweep(store: Store):
    owner = await owned_session(store)
    await owner.change(await running(owner), RunStatus.COMPLETED)

    assert await let_go(owner, published=1)

    assert list(await store.claims.unpublished(limit=10)) == [(owner.session, 1, owner.head)]


async def test_a_session_with_an_open_command_is_kept(store: Store):
    owner = await owned_session(store)
    await store.desk.emit(TENANT, "s", OwnEvent(type="custom.x", data={}))

    assert not await let_go(owner)

    assert list(await claim_all(store, "w2")) == []
    await owner.settle()
    assert await let_go(owner)


async def test_a_session_with_a_run_that_is_due_is_kept(store: Store):
    owner = await owned_session(store)
    await ask_run(store)
    await owner.settle()
    assert not await let_go(owner), "queued"

    await owner.change(await running(owner), RunStatus.RUNNING)
    assert not await let_go(owner), "running"
    assert list(await claim_all(store, "w2")) == []


async def test_a_session_whose_runs_wait_is_let_go(store: Store):
    owner = await owned_session(store)
    now = (await store.desk.session(TENANT, "s")).created_at
    await owner.change(await running(owner), RunStatus.WAITING, due_in_s=inf)
    await ask_run(store, start_at=now + timedelta(hours=1))
    await owner.settle()

    assert await let_go(owner)


async def test_a_former_owner_lets_nothing_go_and_is_done(store: Store):
    former = await owned_session(store)
    await running(former)
    await former.release()
    owner = await claim_one(store, "w2")

    assert await let_go(former, published=99)

    assert list(await claim_all(store, "w3")) == []
    assert await owner.renew(30)


async def test_one_look_tells_of_commands_and_runs(store: Store):
    """However many there are of either."""
    owner = await owned_session(store, "s")
    await owned_session(store, "other")
    await ask_run(store, "other")
    look = await store.claims.look(owner.session)
    assert (list(look.commands), list(look.runs)) == ([], [])

    first = await running(owner)
    look = await store.claims.look(owner.session)
    assert (list(look.commands), [run.run_id for run in look.runs]) == ([], [first])

    second = (await ask_run(store)).run_id
    await store.desk.cancel(TENANT, second)
    await owner.change(first, RunStatus.COMPLETED)
    look = await store.claims.look(owner.session)
    assert [c.kind for c in look.commands] == [CommandKind.START, CommandKind.CANCEL]
    assert list(look.commands) == list(await store.claims.pending([owner.session]))
    assert list(look.runs) == list(await store.claims.open_runs(owner.session))


async def test_one_look_tells_of_no_more_commands_than_are_told_at_once(store: Store):
    owner = await owned_session(store)
    for n in range(COMMANDS_AT_ONCE + 1):
        await store.desk.emit(TENANT, "s", OwnEvent(type="custom.x", data={"n": n}))

    look = await store.claims.look(owner.session)

    assert [c.body["data"]["n"] for c in look.commands] == list(range(COMMANDS_AT_ONCE))


async def test_of_a_run_in_the_queue_it_is_known_whether_there_is_a_journal(store: Store):
    """Most have none: nobody need read it then."""
    owner = await owned_session(store)
    fresh, told = [(await ask_run(store)).run_id for _ in range(2)]
    begun = await running(owner)
    await owner.append(effects=[StepResult(told, "note:1", b"1")])

    runs = {run.run_id: run.recorded for run in await store.claims.open_runs(owner.session)}

    assert runs == {fresh: False, told: True, begun: True}


# --- what is asked meanwhile -------------------------------------------------------------------------


async def waits(other: Connection) -> None:
    async with asyncio.timeout(WAITS_WITHIN_S):
        while not await other.fetchval("select count(*) from pg_locks where not granted"):  # noqa: ASYNC110 - somebody else waits
            await asyncio.sleep(0.01)


ASK = "insert into commands (command_id, session, kind) values ('cmd_1', $1, $2)"


@pytest.mark.postgres
async def test_what_is_asked_while_a_session_is_let_go_keeps_it(
    postgres_store: Store, database_url: str
):
    """Whoever asks holds the row: the command is there as soon as the row is free, and nobody else will look."""
    owner = await owned_session(postgres_store)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("select from sessions where id = $1 for update", owner.session)
            letting_go = asyncio.create_task(let_go(owner), name="letting-go")
            await waits(other)
            await other.execute(ASK, owner.session, CommandKind.EMIT)
        assert not await letting_go
    finally:
        await other.close()


@pytest.mark.postgres
async def test_a_run_that_waited_for_an_erasure_to_be_asked_for_is_refused(
    postgres_store: Store, database_url: str
):
    """It is one statement, and began before the erasure was there."""
    owner = await owned_session(postgres_store)
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("select from sessions where id = $1 for update", owner.session)
            asking = asyncio.create_task(ask_run(postgres_store), name="asking")
            await waits(other)
            await other.execute(ASK, owner.session, CommandKind.ERASE)
        with pytest.raises(SessionGone):
            await asking
        assert list(await postgres_store.claims.open_runs(owner.session)) == []
    finally:
        await other.close()
