"""The hub over the twins, and over a real Postgres and a real Redis: what fakes can't know, they tell."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import pytest

from holdfast.events.catalog import RunCompleted, SessionErased, SessionExpired
from holdfast.events.clock import SystemClock
from holdfast.events.kinds import TypeFilter
from holdfast.events.recorded import RecordedEvent
from holdfast.events.store import SessionChange, SessionStatus, Store
from holdfast.events.store_memory import MemoryStore
from holdfast.events.store_postgres import open_store
from holdfast.events.stream import Published
from holdfast.events.stream_memory import MemoryStream
from holdfast.events.stream_redis import RedisStream
from holdfast.gateway.ending import Ending
from holdfast.gateway.hub import Hub
from holdfast.gateway.options import HubOptions
from holdfast.gateway.request import SubscriptionRequest
from tests.factories import Owner, delta, in_run, owned_session, running
from tests.gateway.clients import Client

QUICK = HubOptions(check_s=0.3, check_away_s=0.1, tick_s=0.05, ring_events=16, retry_s=0.1)

DEADLINE_S = 15.0


@dataclass
class Parts:
    """A store, a stream, and two gateways over them."""

    store: Store
    stream: MemoryStream | RedisStream
    hubs: list[Hub] = field(default_factory=list[Hub])

    async def events(self, session: int, after: int = 0) -> list[RecordedEvent]:
        items: list[RecordedEvent] = []
        while True:
            page = await self.store.reader.read(session, after=items[-1].seq if items else after)
            items += page.items
            if page.through >= page.head:
                return items

    async def publish(self, owner: Owner, after: int) -> None:
        """As a worker does: a window that ends too early begins anew."""
        events = await self.events(owner.session, after)
        if await self.stream.publish(owner.session, events) is Published.GAP:
            await self.stream.rebase(owner.session, events)


@pytest.fixture(
    params=["twins", pytest.param("servers", marks=[pytest.mark.postgres, pytest.mark.redis])]
)
async def parts(request: pytest.FixtureRequest) -> AsyncIterator[Parts]:
    async with AsyncExitStack() as stack:
        if request.param == "twins":
            store: Store = MemoryStore()
            stream: MemoryStream | RedisStream = MemoryStream()
        else:
            store = await open_store(request.getfixturevalue("database_url"))
            url = request.getfixturevalue("redis_url")
            stream = RedisStream.open(url, log_id=store.log_id)
        stack.push_async_callback(store.close)
        stack.push_async_callback(stream.close)
        parts = Parts(store, stream)
        for seed in (1, 2):
            wakes = stream.wakes()
            hub = Hub(
                store.reader,
                stream,
                wakes,
                clock=SystemClock(),
                chance=random.Random(seed),
                options=QUICK,
            )
            parts.hubs.append(await stack.enter_async_context(hub))
        yield parts


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110  # a condition, not an event of ours
            await asyncio.sleep(0.01)


# protocol P2
async def test_clients_that_move_between_gateways_see_one_sequence(parts: Parts):
    """The owner publishes late, in pieces, or not at all; the client leaves and comes back all the time."""
    chance = random.Random(7)
    owner = await owned_session(parts.store)
    steady = await Client.connect(parts.hubs[0], SubscriptionRequest(session=owner.session))
    bodies: list[bytes] = []
    cursor, published = 0, 0
    for number in range(60):
        before = owner.head
        await owner.append(*[delta(f"{number}")] * chance.randint(1, 30))
        if chance.random() < 0.7:
            await parts.publish(owner, chance.choice([published, before]))
            published = owner.head
        moving = await Client.connect(
            chance.choice(parts.hubs), SubscriptionRequest(session=owner.session, cursor=cursor)
        )
        wanted = chance.randint(cursor, owner.head)
        await until(lambda client=moving, wanted=wanted: client.cursor >= wanted)
        await moving.leave()
        bodies += moving.bodies
        cursor = moving.cursor
    last = await Client.connect(
        parts.hubs[1], SubscriptionRequest(session=owner.session, cursor=cursor)
    )
    await until(lambda: last.cursor == steady.cursor == owner.head)

    expected = [event.body for event in await parts.events(owner.session)]
    assert bodies + last.bodies == expected
    assert steady.bodies == expected
    await steady.leave()
    await last.leave()


async def test_an_event_that_was_never_published_arrives(parts: Parts):
    owner = await owned_session(parts.store)
    client = await Client.connect(parts.hubs[0], SubscriptionRequest(session=owner.session))
    await until(lambda: client.cursor == 1)
    await owner.append(delta())

    await until(lambda: client.cursor == 2)
    await client.leave()


# protocol P12
async def test_a_run_s_stream_ends_with_the_run_and_has_nothing_afterwards(parts: Parts):
    owner = await owned_session(parts.store)
    run_id = await running(owner)
    request = SubscriptionRequest(
        session=owner.session, run_id=run_id, types=TypeFilter.parse("tool.*")
    )
    client = await Client.connect(parts.hubs[0], request)
    for _ in range(40):
        await owner.append(in_run(delta(), run_id), delta())
        await parts.publish(owner, owner.head - 2)
    await owner.append(in_run(RunCompleted(duration_ms=1), run_id))
    await owner.append(delta())
    await parts.publish(owner, 0)
    await until(lambda: client.ended)
    end = owner.head - 1

    assert client.subscription.ending is Ending.COMPLETE
    assert client.seqs == [end]
    again = await parts.hubs[1].subscribe(
        SubscriptionRequest(session=owner.session, run_id=run_id, cursor=end, run_ended=True)
    )
    assert again.already_ended
    again.close()


async def test_an_erasure_reaches_the_readers_and_takes_the_past_with_it(parts: Parts):
    owner = await owned_session(parts.store)
    await owner.append(*[delta()] * 5)
    client = await Client.connect(parts.hubs[0], SubscriptionRequest(session=owner.session))
    await until(lambda: client.cursor == 6)
    erased = SessionErased(erased_through=6)
    await owner.append(erased, effects=[SessionChange(SessionStatus.ERASED, erase=True)])
    await until(lambda: client.ended)
    late = await Client.connect(parts.hubs[0], SubscriptionRequest(session=owner.session))
    await until(lambda: late.ended)

    assert client.subscription.ending is late.subscription.ending is Ending.GONE
    assert client.seqs == [1, 2, 3, 4, 5, 6, 7]
    assert late.seqs == [7]
    assert late.controls[0] == ("reset", {"reason": "retention", "earliest": 7})


async def test_an_expired_session_ends_after_its_last_event(parts: Parts):
    owner = await owned_session(parts.store)
    client = await Client.connect(parts.hubs[0], SubscriptionRequest(session=owner.session))
    await owner.append(SessionExpired(), effects=[SessionChange(SessionStatus.EXPIRED)])
    await until(lambda: client.ended)

    assert client.subscription.ending is Ending.EXPIRED
    assert client.seqs == [1, 2]
    again = await parts.hubs[1].subscribe(SubscriptionRequest(session=owner.session, cursor=2))
    assert again.already_ended
    again.close()


async def test_a_cursor_from_another_world_is_reset(parts: Parts):
    owner = await owned_session(parts.store)
    client = await Client.connect(
        parts.hubs[0], SubscriptionRequest(session=owner.session, cursor=10**12)
    )
    await until(lambda: bool(client.controls))
    await owner.append(delta())
    await until(lambda: client.cursor == 2)

    assert client.controls[0] == ("reset", {"reason": "ahead", "head": 1})
    assert client.seqs == [2]
    await client.leave()
