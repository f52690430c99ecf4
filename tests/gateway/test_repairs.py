"""What must not have to wait for a head check, and what an answer that comes late must not undo. No check runs here."""

import asyncio

from holdfast.events.store import SessionStatus
from holdfast.events.stream import Wake
from holdfast.gateway.ending import Ending
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.selection import Selection
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION
from tests.gateway.worlds import World, make_world

DELTA = "message.delta"

NEVER = {"check_s": 1e6, "check_away_s": 1e6}


class Gate:
    """Holds every call of the fakes at its next point while closed, and lets them go one by one."""

    def __init__(self) -> None:
        self.closed = False
        self._held: list[asyncio.Future[None]] = []

    async def __call__(self) -> None:
        if self.closed:
            self._held.append(asyncio.get_running_loop().create_future())
            await self._held[-1]

    async def step(self, world: World) -> None:
        """Let the oldest call go on to its next point."""
        self._held.pop(0).set_result(None)
        await world.settle()

    async def until_page(self, world: World) -> None:
        """Go on until the store has made a page, which is then on its way."""
        before = len(world.log.reads)
        while len(world.log.reads) == before:
            await self.step(world)

    async def open(self, world: World) -> None:
        self.closed = False
        while self._held:
            await self.step(world)


async def test_lost_wake_ups_that_are_owned_up_to_are_made_good_at_once():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA), wake=False)
        await world.settle()
        assert client.seqs == []
        world.stream.send(Wake(None))
        await world.settle()

        assert client.seqs == [1]
        await client.leave()


async def test_a_reconnect_finds_in_the_store_what_a_flushed_window_lost():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.log.append(DELTA)
        world.stream.send(Wake(None))
        await world.settle()

        assert client.seqs == [1]
        await client.leave()


async def test_a_reconnect_serves_hot_sessions_while_the_store_is_away():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA), wake=False)
        world.log.down = True
        world.stream.send(Wake(None))
        await world.settle()

        assert client.seqs == [1]
        await client.leave()


async def test_a_long_window_is_read_in_turns_and_costs_the_store_nothing():
    world = make_world(**NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.tell(*[DELTA] * 1500)
        await world.settle()
        await world.settle()

        assert client.seqs == list(range(1, 1501))
        assert world.log.reads == []
        await client.leave()


async def test_a_gap_seen_while_a_fill_is_under_way_begins_it_again():
    """The page on its way may be older than the gap."""
    gate = Gate()
    world = make_world(gate, **NEVER)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA, DELTA)[1:])  # 1 is missing
        gate.closed = True
        await world.settle()
        await gate.until_page(world)  # with head 2
        gate.closed = False
        world.stream.publish(world.log.append(DELTA, DELTA)[1:])  # 3 is missing
        await world.settle()
        assert client.seqs == []
        await gate.open(world)

        assert client.seqs == [1, 2, 3, 4]
        await client.leave()


async def _lose(world: World, head: int) -> None:
    """The log loses everything beyond `head`, and a check finds out."""
    state = world.log.sessions[SESSION]
    for seq in range(head + 1, state.head + 1):
        del state.events[seq]
    state.head = head
    await world.hub._tail.check()


async def test_a_page_from_before_history_was_lost_is_not_taken_in_after_it():
    gate = Gate()
    world = make_world(gate, **NEVER)
    world.tell(*[DELTA] * 3)
    async with world.hub:
        client = await world.client()
        await world.settle()
        world.stream.publish(world.log.append(DELTA, DELTA)[1:])  # 4 is missing
        gate.closed = True
        await world.settle()
        await gate.until_page(world)  # with 4 and 5
        gate.closed = False
        await _lose(world, 2)
        await gate.open(world)
        assert world.hub.stats().ring_events == 0
        assert world.seen.counts["rewound"] == 1
        world.log.append("tool.started")
        await world.hub._tail.check()
        await world.settle()

        assert client.seqs == [1, 2, 3, 3]
        assert client.bodies[-1] == world.log.sessions[SESSION].events[3].body
        await client.leave()


async def test_a_reader_in_the_middle_of_a_page_when_history_is_lost_goes_on_in_the_new_one():
    world = make_world(chunk_bytes=250, **NEVER)
    world.tell(*[DELTA] * 12)
    release = asyncio.Event()

    async def dawdle() -> None:
        await release.wait()

    async with world.hub:
        client = await Client.connect(world.hub, SubscriptionRequest(session=SESSION), dawdle)
        await world.settle()
        seen = client.seqs[-1]
        assert seen < 5
        await _lose(world, 1)
        world.log.append("tool.started", "tool.completed")
        await world.hub._tail.check()
        release.set()
        await world.settle()

        assert client.subscription.ending is None
        assert ("reset", {"reason": "ahead", "head": 1}) in client.controls
        assert client.seqs == [*range(1, seen + 1), 2, 3]
        assert client.bodies[-1] == world.log.sessions[SESSION].events[3].body
        await client.leave()


async def test_an_empty_page_is_not_kept():
    """It was true for a moment only."""
    world = make_world(**NEVER)
    async with world.hub:
        leaf = await world.hub._catchup.leaf(SESSION, Selection(), after=0)
        assert leaf.through == 0
        world.log.append(DELTA)

        assert (await world.hub._catchup.leaf(SESSION, Selection(), after=0)).through == 1


async def test_who_joins_a_read_that_brings_nothing_reads_for_itself():
    """The read began before what this reader knows of was there."""
    gate = Gate()
    world = make_world(gate, **NEVER)
    async with world.hub:
        catchup = world.hub._catchup
        gate.closed = True
        first = asyncio.create_task(catchup.leaf(SESSION, Selection(), after=0))
        await world.settle()
        await gate.step(world)  # its page is made, and empty
        world.log.append(DELTA)
        second = asyncio.create_task(catchup.leaf(SESSION, Selection(), after=0))
        await world.settle()
        await gate.open(world)

        assert (await first).through == 0
        assert (await second).through == 1


async def test_kept_pages_are_bounded_in_bytes_and_time():
    world = make_world(page_cache_bytes=1000, page_cache_s=2.0, **NEVER)
    world.log.page_max = 3
    world.log.append(*[DELTA] * 30)
    async with world.hub:
        catchup = world.hub._catchup
        for after in range(0, 30, 3):
            await catchup.leaf(SESSION, Selection(), after=after)
            assert catchup.bytes <= 1000
        assert catchup.bytes > 0
        reads = len(world.log.reads)
        await catchup.leaf(SESSION, Selection(), after=27)
        assert len(world.log.reads) == reads
        await world.settle(2.1)
        await catchup.leaf(SESSION, Selection(), after=27)

        assert len(world.log.reads) == reads + 1


async def test_readers_that_began_apart_share_their_pages_from_the_second_on():
    world = make_world(**NEVER)
    world.log.append(*[DELTA] * 1400)
    async with world.hub:
        early, late = await world.client(3), await world.client(77)
        await world.settle()
        await world.settle()

        assert early.seqs[-1] == late.seqs[-1] == 1400
        assert [after for _, after in world.log.reads] == [3, 77, 500, 1000]
        await early.leave()
        await late.leave()


async def test_erased_events_are_not_served_from_kept_pages():
    world = make_world(**NEVER)
    world.tell(DELTA, DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        state = world.log.sessions[SESSION]
        world.tell("session.erased")
        state.events = {3: state.events[3]}
        state.status, state.min_seq = SessionStatus.ERASED, 3
        await world.settle()
        late = await world.client()
        await world.settle()

        assert client.subscription.ending is Ending.GONE
        assert late.seqs == [3]


async def test_a_position_that_would_be_wrong_closes_the_stream_instead():
    world = make_world(**NEVER)
    world.tell(DELTA)
    async with world.hub:
        client = await world.client()
        await world.settle()
        client.subscription._reading.position.accounted = 0  # as a bug of ours might
        world.tell(DELTA)
        await world.settle()

        assert client.subscription.ending is Ending.BROKEN
        assert client.seqs == [1]
