"""Events that come with a wake-up: taken where they follow, read where they don't. No head check runs here."""

from collections.abc import Sequence

import pytest

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Wake
from holdfast.gateway.ending import Ending
from holdfast.gateway.feed import Feed
from holdfast.gateway.request import SubscriptionRequest
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, FakeSession, recorded
from tests.gateway.test_direct_writes import Cycle, finish, respond
from tests.gateway.test_repairs import Gate
from tests.gateway.worlds import World, make_world

DELTA = "message.delta"

NEVER = {"check_s": 1e6, "check_away_s": 1e6}


def push(world: World, *types: str) -> list[RecordedEvent]:
    """Append and publish; the wake-up carries the events."""
    events = world.log.append(*(types or (DELTA,)))
    world.stream.publish(events, push=True)
    return events


def carry(world: World, events: list[RecordedEvent], session: int = SESSION) -> None:
    """Send a wake-up with these, whatever the window has."""
    world.stream.send(Wake(session, events[-1].seq, tuple(events)))


async def test_what_a_wake_up_carries_is_read_nowhere_else():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        reads, pages = world.stream.reads, len(world.log.reads)

        bodies = [event.body for _ in range(3) for event in push(world, DELTA, DELTA)]
        await world.settle()

        assert client.bodies == bodies
        assert (world.stream.reads, len(world.log.reads)) == (reads, pages)
        assert world.seen.counts["pushed"] == 6
        await client.leave()


async def test_a_push_that_does_not_follow_is_read_from_the_window():
    """The wake-up before it was lost: what it carries must not be shown before what it lacks."""
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA), wake=False)
        reads = world.stream.reads

        push(world)
        await world.settle()

        assert client.seqs == [1, 2]
        assert world.stream.reads == reads + 1
        assert len(world.log.reads) == 0
        assert world.seen.counts["push_refused"] == 1
        await client.leave()


async def test_a_push_that_does_not_follow_is_read_from_the_store_if_the_window_lost_it():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.log.append(DELTA)

        push(world)  # the window begins with 2
        await world.settle()

        assert client.seqs == [1, 2]
        await client.leave()


async def test_pushes_that_come_twice_late_or_overlapping_show_each_event_once():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        first, second, third, fourth = world.log.append(*[DELTA] * 4)
        world.stream.publish([first, second, third, fourth], wake=False)

        for events in ([first, second], [first], [second, third], [first, second], [third, fourth]):
            carry(world, events)
        await world.settle()

        assert client.seqs == [1, 2, 3, 4]
        assert world.seen.counts["pushed"] == 4
        assert "push_refused" not in world.seen.counts
        await client.leave()


async def test_pushes_of_one_moment_are_one_write_to_a_reader():
    world = make_world(**NEVER)
    world.stream.bunches = True
    async with world.hub:
        client = await world.client()
        await world.settle()
        chunks = len(client.chunks)

        for _ in range(20):
            push(world)
        await world.settle()

        assert client.seqs == list(range(1, 21))
        assert len(client.chunks) == chunks + 1
        await client.leave()


async def test_more_pushes_of_one_moment_than_a_ring_holds_reach_a_live_connection_without_the_store():
    world, cycle = make_world(**NEVER, ring_events=8), Cycle()
    world.stream.bunches = True
    async with world.hub:
        task = await respond(world, cycle)
        push(world)
        await world.settle()
        pages, sent = len(world.log.reads), cycle.sent

        for _ in range(50):
            push(world)
        await world.settle()

        assert cycle.ids() == list(range(1, 52))
        assert (len(world.log.reads), cycle.sent) == (pages, sent)
        await finish(cycle, task)


async def test_a_push_is_believed_no_more_than_the_window_after_the_log_lost_events():
    """An older history's event 2 may still be under way when the log has another one."""
    world = make_world(check_s=2.0)
    async with world.hub:
        client = await world.client()
        await world.settle()
        push(world, DELTA, DELTA, DELTA)
        await world.settle()
        [_, lost, _] = world.log.sessions[SESSION].events.values()
        world.log.sessions[SESSION] = FakeSession({1: recorded(1)}, head=1)
        await world.settle(3)
        assert world.seen.counts["rewound"] == 1
        [true] = world.log.append("tool.started")

        carry(world, [lost])
        await world.settle()

        assert client.bodies[-1] == true.body
        assert lost.body in client.bodies[:3]
        assert client.bodies.count(lost.body) == 1
        assert world.seen.counts["push_refused"] == 1
        await client.leave()


async def test_a_push_of_a_session_that_nobody_follows_is_passed_over():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()

        carry(world, [recorded(1)], session=SESSION + 1)
        push(world)
        await world.settle()

        assert client.seqs == [1]
        await client.leave()


async def test_one_session_s_strange_push_takes_nothing_from_those_it_came_with():
    world = make_world(**NEVER)
    world.stream.bunches = True
    world.log.sessions[SESSION + 1] = FakeSession()
    async with world.hub:
        client = await world.client()
        other = await Client.connect(world.hub, SubscriptionRequest(session=SESSION + 1))
        await world.settle()
        world.log.append(DELTA)
        [fine] = world.log.append(DELTA, session=SESSION + 1)

        carry(world, [RecordedEvent(1, DELTA, None, b"two\rlines")])
        carry(world, [fine], session=SESSION + 1)
        await world.settle()

        assert (client.seqs, other.seqs) == ([1], [1])
        assert client.bodies == [world.log.sessions[SESSION].events[1].body]
        await client.leave()
        await other.leave()


async def test_a_push_that_overtakes_the_answer_of_a_read_costs_another_read_and_no_repair():
    gate = Gate()
    world = make_world(gate, **NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        gate.closed = True
        world.stream.publish(world.log.append(DELTA))  # announced by its head: a read begins
        await world.settle()
        before = world.stream.reads
        while world.stream.reads == before:
            await gate.step(world)

        push(world)  # heard while the answer, of before, is on its way
        gate.closed = False
        await world.settle()
        await gate.open(world)
        await world.settle()

        assert client.seqs == [1, 2]
        # Neither is news for the store: what came meanwhile is in the next read of the window.
        assert not any(count.startswith("repaired") for count in world.seen.counts)
        await client.leave()


async def test_the_event_that_ends_a_session_ends_its_streams_when_it_is_pushed():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        push(world, DELTA)

        push(world, "session.erased")
        await world.settle()

        assert client.seqs == [1, 2]
        assert client.subscription.ending is Ending.GONE
        await client.leave()


async def test_a_mistake_about_one_session_keeps_no_other_ones_event_from_its_readers(
    monkeypatch: pytest.MonkeyPatch,
):
    world = make_world(**NEVER)
    world.stream.bunches = True
    world.log.sessions[SESSION + 1] = FakeSession()
    take, mistaken = Feed.take, [True]

    def mistake(self: Feed, events: Sequence[RecordedEvent]) -> bool:
        if self.session == SESSION + 1 and mistaken:
            mistaken.clear()
            raise RuntimeError("a mistake about one session")
        return take(self, events)

    async with world.hub:
        client = await world.client()
        other = await Client.connect(world.hub, SubscriptionRequest(session=SESSION + 1))
        await world.settle()
        [mine] = world.log.append(DELTA)
        [its] = world.log.append(DELTA, session=SESSION + 1)
        monkeypatch.setattr(Feed, "take", mistake)

        carry(world, [mine])
        carry(world, [its], session=SESSION + 1)
        await world.settle()

        # Nor is it kept from its own: the store has it. And the next wake-up is heard as ever.
        assert (client.seqs, other.seqs) == ([1], [1])
        carry(world, world.log.append(DELTA, session=SESSION + 1), session=SESSION + 1)
        await world.settle()
        assert other.seqs == [1, 2]
        await client.leave()
        await other.leave()
