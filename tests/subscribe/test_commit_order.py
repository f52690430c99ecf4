"""The scary sentence: nothing is skipped, whatever commits beside it and however late."""

import asyncio
import random
from contextlib import suppress

import asyncpg
import pytest

from holdfast.events.clock import SystemClock
from holdfast.events.errors import StoreUnavailable
from holdfast.subscribe.delivery import ORIGIN
from tests.factories import Owner, delta, owned_session
from tests.subscribe.worlds import EVERYTHING, PostgresWorld, Seen, until

pytestmark = pytest.mark.postgres

WRITERS = 12
SESSIONS_EACH = 3
APPENDS = 60
SLOW = 4  # transactions that hold their id open for a while, one after the other


async def test_no_event_is_skipped_by_concurrent_commits(postgres_world: PostgresWorld) -> None:
    """Writers commit side by side, slow transactions hold theirs back, and a subscriber tails all of it."""
    world, chance, seen = postgres_world, random.Random(7), Seen()
    owners = [await world.session(f"s{n}") for n in range(WRITERS * SESSIONS_EACH)]
    consumer = world.consumer(seen.subscription(), poll_s=0.005, save_s=0.05)
    tailing = asyncio.create_task(consumer.run())
    over = asyncio.Event()
    late = [asyncio.create_task(_commit_late(world, owners[-1 - n], over)) for n in range(SLOW)]

    quick = owners[:-SLOW]
    await asyncio.gather(*(_write(quick[n::WRITERS], chance) for n in range(WRITERS)))
    over.set()
    await asyncio.gather(*late)
    total = sum(owner.head for owner in owners)
    await until(lambda: len(seen.events) >= total)
    consumer.stop()
    await tailing

    assert len(seen.events) == total
    for owner in owners:
        assert seen.seqs(owner.session) == list(range(1, owner.head + 1))


async def test_an_event_that_commits_late_is_not_passed_by(postgres_world: PostgresWorld) -> None:
    """The one case that naive tailing loses: an earlier transaction commits after a later one."""
    world = postgres_world
    one, two = await world.session("one"), await world.session("two")
    after = (await world.read()).through
    connection = await asyncpg.connect(world.url)
    try:
        slow = connection.transaction()
        await slow.start()
        await _append(connection, one)
        await two.append(delta("quick"))

        during = await world.read(after)
        await slow.commit()
        later = await world.read(during.through)
    finally:
        await connection.close()

    # The quick one waits for the slow one, instead of the position passing it by.
    assert [e.session for e in during.items] == []
    assert [e.session for e in later.items] == [one.session, two.session]


async def test_a_transaction_that_is_rolled_back_holds_up_nobody(
    postgres_world: PostgresWorld,
) -> None:
    world = postgres_world
    one, two = await world.session("one"), await world.session("two")
    after = (await world.read()).through
    connection = await asyncpg.connect(world.url)
    try:
        with suppress(asyncpg.RaiseError):
            async with connection.transaction():
                await _append(connection, one)
                await two.append(delta())
                raise asyncpg.RaiseError("rolled back")
    finally:
        await connection.close()

    page = await world.read(after)

    assert [e.session for e in page.items] == [two.session]


async def test_the_order_is_read_from_its_index(postgres_world: PostgresWorld) -> None:
    """A page costs its own events, however long the log is."""
    one = await postgres_world.session("one")
    for _ in range(40):
        await one.append(*(delta() for _ in range(100)))
    async with postgres_world.pool.acquire() as connection:
        await connection.execute("analyze events")
        plan = await connection.fetch(
            """explain select * from events where (tx, session, seq) > ('5'::text::xid8, 1, 1)
                  and tx < pg_snapshot_xmin(pg_current_snapshot()) order by tx, session, seq limit 100"""
        )

    text = "\n".join(row[0] for row in plan)
    assert "events_by_commit" in text
    assert "Sort" not in text


async def _write(owners: list[Owner], chance: random.Random) -> None:
    for _ in range(APPENDS):
        chosen = chance.sample(owners, chance.randint(1, len(owners)))
        batches = [o.batch(*(delta() for _ in range(chance.randint(1, 4)))) for o in chosen]
        while True:
            try:
                assert await owners[0].store.writer.append(batches) == frozenset()
                break
            except StoreUnavailable:  # a neighbour's transaction held a row for too long
                continue
        by_session = {owner.session: owner for owner in owners}
        for batch in batches:
            by_session[batch.session].head += len(batch.events)
        if chance.random() < 0.2:
            await asyncio.sleep(chance.random() / 100)


async def _commit_late(world: PostgresWorld, owner: Owner, over: asyncio.Event) -> None:
    connection = await asyncpg.connect(world.url)
    chance = random.Random(owner.session)
    try:
        while not over.is_set():
            async with connection.transaction():
                await _append(connection, owner)
                await SystemClock().sleep(chance.random() / 5)
            owner.head += 1
    finally:
        await connection.close()


async def _append(connection: "asyncpg.Connection[asyncpg.Record]", owner: Owner) -> None:
    """Append one event in the connection's own transaction, as a writer does."""
    [row] = owner.batch(delta("slow")).events
    await connection.execute(
        """with u as (update sessions set next_seq = next_seq + 1 where id = $1 returning id)
           insert into events (session, seq, event_id, epoch, type, ts, body)
           select id, $2, $3, $4, $5, $6, $7 from u""",
        owner.session,
        owner.head + 1,
        row.event_id,
        owner.epoch,
        row.type,
        row.ts,
        row.body,
    )


async def test_pages_end_by_bytes_and_lose_nothing(postgres_world: PostgresWorld) -> None:
    one = await owned_session(postgres_world.store, "big")
    for _ in range(12):
        await one.append(delta("x" * 200_000))

    seqs: list[int] = []
    position, pages = ORIGIN, 0
    while True:
        page = await postgres_world.subscriptions.read("test", position, EVERYTHING)
        seqs += [e.seq for e in page.items]
        position, pages = page.through, pages + 1
        if not page.more:
            break

    assert seqs == list(range(1, 14))
    assert pages > 2
