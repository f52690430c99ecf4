"""What a stream says beside its events, and how it ends."""

import asyncio
from datetime import UTC, datetime

from holdfast.events.kinds import TypeFilter
from holdfast.events.store import SessionStatus
from holdfast.gateway.ending import Ending
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.fakes import SESSION, recorded
from tests.gateway.worlds import make_world

DELTA = "message.delta"


# protocol P7
async def test_a_stalled_run_is_told_once_and_so_is_its_recovery():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle()
        state = world.log.sessions[SESSION]
        state.stalled_since = datetime(2026, 1, 1, 12, tzinfo=UTC)
        await world.settle(13)
        late = await world.client()
        await world.settle()
        state.stalled_since = None
        await world.settle(7)

        expected = [("stalled", {"since": "2026-01-01T12:00:00.000Z"}), ("live", {})]
        assert client.controls[1:] == expected
        assert late.controls[1:] == expected
        await client.leave()
        await late.leave()


# protocol P9
async def test_silence_is_broken_by_a_heartbeat():
    world = make_world()
    async with world.hub:
        client = await world.client()
        await world.settle(31.5)

        assert [f.name for f in client.frames] == ["caught-up", "comment", "comment"]
        await client.leave()


async def test_a_heartbeat_also_comes_while_the_store_is_away_and_the_client_waits_for_a_page():
    world = make_world(ring_events=1, rest_s=1e6)
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.log.down = True
        world.stream.publish([recorded(seq) for seq in range(2, 6)])
        await world.settle(17)
        assert client.seqs == [1]
        assert client.frames[-1].name == "comment"
        world.log.append(*[DELTA] * 4)
        world.log.down = False
        await world.settle(2.5)

        assert client.seqs == [1, 2, 3, 4, 5]
        await client.leave()


# protocol P16
async def test_a_drain_tells_everybody_when_to_come_back_and_ends_in_waves():
    world = make_world()
    async with world.hub:
        clients = [await world.client() for _ in range(20)]
        await world.settle()
        drain = asyncio.create_task(world.hub.drain(10))
        await world.settle()
        assert sum(client.ended for client in clients) == 2
        late = await world.client()
        await world.settle(4.5)
        assert late.ended
        assert 8 <= sum(client.ended for client in clients) <= 12
        await world.settle(10)
        await drain

        assert world.hub.subscribers == 0
        for client in clients:
            assert client.subscription.ending is Ending.DRAIN
            assert client.controls[-1] == ("drain", {})
            assert 1000 <= (client.frames[-1].retry or 0) <= 15000
        assert len({client.frames[-1].retry for client in clients}) > 10


async def test_a_response_that_never_starts_is_let_go():
    world = make_world()
    async with world.hub:
        await world.hub.subscribe(SubscriptionRequest(session=SESSION))
        await world.settle(32)

        assert world.hub.subscribers == 0


async def test_an_erased_session_ends_with_the_erasure():
    world = make_world()
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        state = world.log.sessions[SESSION]
        world.tell("session.erased")
        state.status, state.min_seq = SessionStatus.ERASED, 2
        await world.settle()

        assert client.seqs == [1, 2]
        assert client.subscription.ending is Ending.GONE


async def test_an_erasure_that_only_the_store_tells_of_ends_the_stream_too():
    world = make_world()
    world.tell(DELTA, DELTA)
    async with world.hub:
        client = await world.client(types=TypeFilter.parse("tool.*"))
        await world.settle()
        state = world.log.sessions[SESSION]
        world.log.append("session.erased")
        state.status = SessionStatus.ERASED
        await world.settle(7)

        assert client.subscription.ending is Ending.GONE
        assert (client.seqs, client.cursor) == ([], 3)


# protocol P12
async def test_an_expired_session_is_served_to_its_last_event_and_then_never_again():
    world = make_world()
    world.tell(DELTA, "session.expired")
    world.log.sessions[SESSION].status = SessionStatus.EXPIRED
    async with world.hub:
        client = await world.client()
        await world.settle()
        assert client.seqs == [1, 2]
        assert client.subscription.ending is Ending.EXPIRED
        again = await world.hub.subscribe(SubscriptionRequest(session=SESSION, cursor=2))

        assert again.already_ended
        again.close()


# protocol P3
async def test_the_bytes_of_a_session_do_not_depend_on_when_they_are_read():
    """From the store, from the ring, live: one sequence, the same bytes."""
    world = make_world(ring_events=8)
    async with world.hub:
        live = await world.client()
        for _ in range(20):
            world.tell(DELTA)
            await world.settle()
        replayed = await world.client()
        ringed = await world.client(15)
        await world.settle()

        assert live.bodies == replayed.bodies
        assert ringed.bodies == live.bodies[15:]
        for client in (live, replayed, ringed):
            await client.leave()
