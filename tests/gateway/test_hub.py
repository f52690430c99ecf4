"""A hub over fakes in virtual time: who gets what, when, and at what cost."""

import asyncio

import pytest

from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.events.stream import Wake
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, recorded
from tests.gateway.worlds import make_world

DELTA = "message.delta"


async def test_a_client_gets_what_was_and_what_comes():
    world = make_world()
    world.tell(*[DELTA] * 3)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.tell(DELTA, DELTA)
        await world.settle()

        assert client.seqs == [1, 2, 3, 4, 5]
        assert client.bodies == [e.body for e in world.log.sessions[SESSION].events.values()]
        assert client.controls == [("caught-up", {"head": 3})]
        await client.leave()


# protocol P6
async def test_an_empty_session_is_caught_up_at_once():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()

        assert client.controls == [("caught-up", {"head": 0})]
        await client.leave()


@pytest.mark.parametrize("late", range(1, 13))
async def test_without_faults_no_event_waits_for_a_head_check(late: int):
    """Watch, then read the head, then look once: in any other order an event falls in between.

    The event comes at the `late`th step of everything that happens while a client connects.
    """
    turns = 0

    async def point() -> None:
        nonlocal turns
        turns += 1
        if turns == late:
            world.tell(DELTA)
        await asyncio.sleep(0)

    world = make_world(point, check_s=1e6, check_away_s=1e6)
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle(0.001)
        await world.settle(0.001)

        assert client.seqs == list(range(1, world.log.sessions[SESSION].head + 1))
        assert turns >= 8
        await client.leave()


async def test_a_gap_in_the_stream_is_filled_from_the_store():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()
        events = world.log.append(*[DELTA] * 4)
        world.stream.publish(events[:1], wake=False)
        world.stream.publish(events[3:])  # the window begins anew at 4: 2 and 3 never were in it
        await world.settle()

        assert client.seqs == [1, 2, 3, 4]
        await client.leave()


async def test_a_gap_costs_one_read_however_many_subscribers_there_are():
    world = make_world()
    async with world.hub:
        clients = [await world.client() for _ in range(20)]
        await world.settle()
        events = world.log.append(*[DELTA] * 4)
        world.stream.publish(events[3:])
        await world.settle()

        assert all(client.seqs == [1, 2, 3, 4] for client in clients)
        assert len(world.log.reads) == 1
        for client in clients:
            await client.leave()


async def test_a_lost_wake_up_costs_six_seconds_at_most():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA), wake=False)
        await world.settle(6.1)

        assert client.seqs == [1]
        assert world.seen.counts["caught_behind"] == 1
        await client.leave()


async def test_without_redis_committed_events_arrive_within_two_seconds():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle(3)
        world.stream.connected, world.stream.down = False, True
        for head in range(1, 6):
            world.log.append(DELTA)
            await world.settle(1.3)
            assert client.seqs == list(range(1, head + 1))

        assert world.hub.stats().stream_away
        await client.leave()


async def test_a_stream_that_refuses_reads_is_away_until_one_succeeds():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.down = True
        world.stream.send(Wake(SESSION, world.log.append(DELTA)[-1].seq))
        await world.settle()
        assert client.seqs == [1]
        assert world.hub.stats().stream_away

        world.stream.down = False
        await world.settle(1.5)

        assert not world.hub.stats().stream_away
        await client.leave()


async def test_a_hot_session_goes_on_while_the_store_is_away():
    world = make_world()
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.log.down = True
        world.stream.publish([recorded(2), recorded(3)])
        await world.settle(0.1)
        assert client.seqs == [1, 2, 3]

        # A reconnect that the ring covers needs no store either; one below it does.
        again = await world.client(2)
        await world.settle(3)  # longer than shared pages are kept
        assert again.seqs == [3]
        with pytest.raises(StoreUnavailable):
            await world.client(0)
        await client.leave()
        await again.leave()


async def test_a_session_that_nobody_watches_yet_needs_the_store():
    world = make_world()
    world.log.down = True
    async with world.hub:
        with pytest.raises(StoreUnavailable):
            await world.client()
        await world.settle()

        assert world.hub.stats().feeds == 0
        assert world.stream.unwatched == [SESSION]


async def test_a_subscriber_that_falls_out_of_the_ring_reads_pages_and_comes_back():
    world = make_world(ring_events=4)
    release = asyncio.Event()
    async with world.hub:
        slow = await world.client()
        await world.settle()
        await slow.leave()
        slow = await Client.connect(
            world.hub, SubscriptionRequest(session=SESSION), lambda: release.wait()
        )
        await world.settle()
        for _ in range(30):
            world.tell(DELTA)
            await world.settle()
        assert slow.seqs == []  # it has taken one chunk, the caught-up
        release.set()
        await world.settle()

        assert slow.seqs == list(range(1, 31))
        assert world.hub.stats().ring_events == 4
        await slow.leave()


async def test_first_subscribers_of_one_moment_share_the_start_and_the_page():
    world = make_world()
    world.tell(*[DELTA] * 10)
    async with world.hub:
        clients = await asyncio.gather(*(world.client() for _ in range(50)))
        await world.settle()

        assert all(client.seqs == list(range(1, 11)) for client in clients)
        assert world.log.pulse_calls == 1
        assert len(world.log.reads) == 1
        assert clients[0].chunks[0].startswith(b"id: 1\n")
        for client in clients:
            await client.leave()


async def test_the_first_to_ask_may_leave_without_harm_to_the_others():
    held = asyncio.Event()

    async def point() -> None:
        await held.wait()

    world = make_world(point)
    world.tell(DELTA)
    async with world.hub:
        first = asyncio.create_task(world.client())
        second = asyncio.create_task(world.client())
        await world.settle()
        first.cancel()
        held.set()
        await world.settle()
        client = await second
        await world.settle()

        assert client.seqs == [1]
        assert world.hub.stats().subscribers == 1
        await client.leave()


async def test_a_feed_outlives_its_last_subscriber_a_little_and_is_then_let_go():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await client.leave()
        await world.settle(5)
        assert world.hub.stats().feeds == 1
        again = await world.client()
        await world.settle(20)
        assert world.hub.stats().feeds == 1
        await again.leave()
        await world.settle(12)

        assert world.hub.stats().feeds == 0
        assert world.stream.unwatched == [SESSION]
        assert world.stream.watched == set()


async def test_a_ring_that_rests_is_emptied():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.tell(DELTA)
        await world.settle(1)
        assert world.hub.stats().ring_events == 1
        await world.settle(62)

        assert world.hub.stats().ring_events == 0
        await client.leave()


async def test_an_unknown_session_is_named():
    world = make_world()
    async with world.hub:
        with pytest.raises(SessionUnknown):
            await world.hub.subscribe(SubscriptionRequest(session=99))
