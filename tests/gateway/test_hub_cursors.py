"""How a hub judges cursors: ahead, beyond, below, and those of a history that was lost."""

import asyncio

from tests.gateway.fakes import SESSION
from tests.gateway.worlds import make_world

DELTA = "message.delta"


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


# protocol P5
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


# protocol P5
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
