"""A hub over fakes in virtual time: who gets what, when, and at what cost."""

import asyncio
from datetime import UTC, datetime

import pytest
from tests.gateway.fakes import SESSION, Client, make_world, recorded

from holdfast.events.errors import SessionUnknown, StoreUnavailable
from holdfast.events.kinds import TypeFilter
from holdfast.events.store import SessionStatus
from holdfast.events.stream import Wake
from holdfast.gateway.ending import Ending
from holdfast.gateway.request import SubscriptionRequest

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


# --- cursors ---------------------------------------------------------------------------------------


async def test_a_cursor_ahead_of_this_process_is_judged_by_the_store():
    """Another gateway was faster. The client waits for what comes after, and is not reset."""
    world = make_world(check_s=1e6, check_away_s=1e6)
    async with world.hub:
        early = await world.client()
        await world.settle()
        world.log.append(DELTA, DELTA)  # and no word of it from Redis
        client = await world.client(2)
        await world.settle()
        world.tell(DELTA)
        await world.settle()

        assert client.seqs == [3]
        assert client.controls == [("caught-up", {"head": 2})]
        assert early.seqs == [1, 2, 3]  # the question made this process look
        await client.leave()
        await early.leave()


async def test_a_cursor_beyond_the_log_is_reset_to_its_head_and_goes_on():
    world = make_world()
    world.tell(DELTA, DELTA)
    async with world.hub:
        client = await world.client(50)
        await world.settle()
        assert client.controls[0] == ("reset", {"reason": "ahead", "head": 2})
        assert client.cursor == 2
        world.tell(DELTA)
        await world.settle()

        assert client.seqs == [3]
        await client.leave()


async def test_a_cursor_below_retention_is_reset_to_the_earliest_and_goes_on():
    world = make_world()
    world.tell(*[DELTA] * 10)
    state = world.log.sessions[SESSION]
    state.min_seq = 6
    async with world.hub:
        client = await world.client(2)
        await world.settle()

        assert client.controls == [
            ("reset", {"reason": "retention", "earliest": 6}),
            ("caught-up", {"head": 10}),
        ]
        assert client.seqs == [6, 7, 8, 9, 10]
        await client.leave()


async def test_compacted_history_is_accounted_for_by_id_only_frames():
    world = make_world()
    world.tell(*[DELTA] * 6)
    for seq in (2, 3, 6):
        del world.log.sessions[SESSION].events[seq]
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.tell(DELTA)
        await world.settle()

        assert client.seqs == [1, 4, 5, 7]
        assert [f.id for f in client.frames if f.id is not None] == [1, 3, 4, 5, 6, 7]
        await client.leave()


async def test_lost_history_resets_those_who_saw_it_and_nobody_else():
    """A failover to a standby that never had 3 and 4: what follows has these numbers again."""
    world = make_world()
    world.tell(*[DELTA] * 4)
    async with world.hub:
        client = await world.client()
        await world.settle()
        state = world.log.sessions[SESSION]
        for seq in (3, 4):
            del state.events[seq]
        state.head = 2
        await world.settle(7)
        assert client.controls[-1] == ("reset", {"reason": "ahead", "head": 2})
        behind = await world.client(1)
        world.log.append("tool.started", "tool.completed")
        await world.settle(7)

        assert client.bodies[-2:] == [state.events[3].body, state.events[4].body]
        assert client.seqs == [1, 2, 3, 4, 3, 4]
        assert behind.seqs == [2, 3, 4]
        assert world.seen.counts["rewound"] == 1
        await client.leave()
        await behind.leave()


async def test_news_that_overtakes_a_head_check_is_not_lost_history():
    holding = False
    held: list[asyncio.Future[None]] = []

    async def point() -> None:
        if holding:
            held.append(asyncio.get_running_loop().create_future())
            await held[-1]

    world = make_world(point)
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        holding = True
        check = asyncio.create_task(world.hub._tail.check())
        await world.settle()
        held[0].set_result(None)  # the store answers with head 1 ...
        await world.settle()
        assert len(held) == 2
        holding = False
        world.tell(DELTA)  # ... and 2 is faster than the answer
        await world.settle()
        assert client.seqs == [1, 2]
        held[1].set_result(None)
        await check
        await world.settle()

        assert client.controls == [("caught-up", {"head": 1})]
        await client.leave()


# --- what is said beside the events ----------------------------------------------------------------


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


# --- endings ---------------------------------------------------------------------------------------


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
