"""Whoever has a response's head hears something within a heartbeat, whatever the stream is waiting for."""

import asyncio
from typing import Any

import pytest

from holdfast.gateway.chorus import Chorus
from holdfast.gateway.ending import Ending
from holdfast.gateway.following import Following
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.subscription import Subscription
from holdfast.gateway.wire import Wire
from tests.gateway.clients import Client
from tests.gateway.fakes import SESSION, FakeSession
from tests.gateway.test_direct_writes import Cycle, Transport, finish, respond
from tests.gateway.worlds import World, make_world

DELTA = "message.delta"
HEARTBEAT = b": hb\n\n"

# Nothing but wake-ups and the tick brings anything.
NEVER: dict[str, Any] = {"check_s": 1e9, "heartbeat_s": 1e9}


class Store:
    """Lets pages through, or keeps who asks for one waiting."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.answers.set()

    async def point(self) -> None:
        await self.answers.wait()


class Connection(Cycle):
    """A connection that a stream is lent."""

    def lend(self) -> Wire:
        return Wire(self.transport, b"", paused=False, keep_alive=False)


async def follow(world: World, connection: Connection) -> asyncio.Task[None]:
    subscription = await world.hub.subscribe(SubscriptionRequest(session=SESSION))
    return asyncio.create_task(Following(subscription, connection.lend(), request_id="r").run())


@pytest.mark.parametrize("lent", [True, False], ids=["a bare connection", "messages"])
async def test_a_stream_that_waits_for_a_page_gives_signs_of_life(lent: bool):
    store, connection = Store(), Connection()
    world = make_world(store.point, heartbeat_s=5.0)
    world.log.page_max = 2
    world.tell(*[DELTA] * 6)
    async with world.hub:
        task = await (follow if lent else respond)(world, connection)
        store.answers.clear()  # the first page is here, the second one will not come for a while
        await world.settle()
        assert connection.ids() == [1, 2]

        await world.settle(4)
        assert HEARTBEAT not in connection.body()
        await world.settle(2)
        assert connection.body().count(HEARTBEAT) == 1
        await world.settle(6)
        assert connection.body().count(HEARTBEAT) == 2

        store.answers.set()
        await world.settle(1)
        assert connection.ids() == [1, 2, 3, 4, 5, 6]
        connection.transport.closing = True
        await finish(connection, task)


async def test_nothing_is_written_to_who_takes_nothing_or_has_gone_while_its_page_is_on_its_way():
    store, connection = Store(), Connection()
    world = make_world(store.point, heartbeat_s=5.0)
    world.log.page_max = 2
    world.tell(*[DELTA] * 6)
    async with world.hub:
        task = await respond(world, connection)
        store.answers.clear()
        await world.settle()
        connection.flow.pause_writing()

        await world.settle(20)
        assert HEARTBEAT not in connection.body()

        store.answers.set()
        connection.flow.resume_writing()
        await world.settle(1)
        assert connection.ids() == [1, 2, 3, 4, 5, 6]
        await finish(connection, task)


async def test_a_stream_that_takes_long_to_open_is_nobody_s_to_close():
    """It would answer with a head, and nobody behind it."""
    store, connection = Store(), Connection()
    world = make_world(store.point, heartbeat_s=5.0, send_deadline_s=30.0, linger_s=1e9)
    world.tell(*[DELTA] * 2)
    async with world.hub:
        await (await world.client()).leave()  # so that the head is known, and only the page isn't
        await world.settle(5)
        store.answers.clear()
        opening = asyncio.create_task(
            world.hub.subscribe(SubscriptionRequest(session=SESSION, cursor=0))
        )
        await world.settle(40)
        assert world.hub.subscribers == 1
        store.answers.set()
        await world.settle()

        subscription = await opening
        await world.settle(20)
        assert world.hub.subscribers == 1
        following = Following(subscription, connection.lend(), request_id="r").run()
        await following
        await world.settle(6)

        assert connection.ids() == [1, 2]
        assert HEARTBEAT in connection.body()
        subscription.close()


async def test_a_stream_whose_response_never_starts_is_let_go_of():
    world = make_world(send_deadline_s=30.0)
    async with world.hub:
        await world.hub.subscribe(SubscriptionRequest(session=SESSION))
        await world.settle(29)
        assert world.hub.subscribers == 1

        await world.settle(2)

        assert world.hub.subscribers == 0


@pytest.mark.parametrize("asleep", [True, False])
async def test_no_connection_is_kept_that_nobody_writes_to(asleep: bool):
    world, connection = make_world(), Connection()
    async with world.hub:
        subscription = await world.hub.subscribe(SubscriptionRequest(session=SESSION))
        following = Following(subscription, connection.lend(), request_id="r")
        if asleep:
            await following.run()
            subscription.end(Ending.CLIENT)  # whoever said so
        else:
            subscription.close()
            await following.run()

        assert connection.transport.closing
        assert world.hub.subscribers == 0


async def test_nothing_comes_before_the_head_of_a_response():
    transport = Transport()
    wire = Wire(transport, b"HTTP/1.1 200 OK\r\n\r\n", paused=False, keep_alive=False)  # pyright: ignore[reportArgumentType]
    assert not wire.ready

    wire.flush()

    assert wire.ready


async def test_an_event_that_nobody_told_of_is_told_by_the_tick_and_counted():
    world = make_world(**NEVER)
    async with world.hub:
        alone, connection = await world.client(), Cycle()
        task = await respond(world, connection)  # in the chorus
        await world.settle()
        feed = alone.subscription.feed
        assert (len(feed.chorus), world.seen.counts.get("untold")) == (1, None)

        feed.take(world.log.append(DELTA))
        await world.settle(1)

        assert (alone.seqs, connection.ids()) == ([1], [1])
        assert world.seen.counts["untold"] == 2
        world.tell(DELTA)
        await world.settle(5)
        assert (alone.seqs, connection.ids()) == ([1, 2], [1, 2])
        assert world.seen.counts["untold"] == 2
        await alone.leave()
        await finish(connection, task)


async def test_readers_at_the_head_get_one_sign_of_life_after_the_other_and_all_is_counted():
    world = make_world(heartbeat_s=5.0, check_s=1e9)
    async with world.hub:
        connections = [Cycle() for _ in range(3)]
        tasks = [await respond(world, connection) for connection in connections]
        await world.settle()
        assert len(next(iter(world.hub._feeds.values())).chorus) == 3  # pyright: ignore[reportPrivateUsage]
        before = world.seen.counts["sent.bytes"]

        world.tell(DELTA)
        await world.settle(21)

        for connection in connections:
            assert connection.body().count(HEARTBEAT) == 4
        event = len(connections[0].body().partition(b"id: 1\n")[2].partition(b": hb")[0])
        assert world.seen.counts["sent.events"] == 3
        assert world.seen.counts["sent.bytes"] - before == 3 * (6 + event + 4 * len(HEARTBEAT))
        for connection, task in zip(connections, tasks, strict=True):
            await finish(connection, task)


async def test_a_mistake_about_one_reader_or_one_session_keeps_no_other_from_its_sign_of_life(
    monkeypatch: pytest.MonkeyPatch,
):
    world = make_world(heartbeat_s=5.0, check_s=1e9)
    world.log.sessions[SESSION + 1] = FakeSession()
    async with world.hub:
        mistaken = await world.client()
        other, connection = await world.client(), Cycle()
        there = await Client.connect(world.hub, SubscriptionRequest(session=SESSION + 1))
        task = await respond(world, connection, session=SESSION + 1)
        await world.settle()
        tick, beat = Subscription.tick, Chorus.beat

        def one_fails(self: Subscription, now: float) -> None:
            if self is mistaken.subscription:
                raise RuntimeError("a mistake about one reader")
            tick(self, now)

        def one_session_fails(self: Chorus, now: float, heartbeat_s: float) -> None:
            if self is other.subscription.feed.chorus:
                raise RuntimeError("a mistake about one session")
            beat(self, now, heartbeat_s)

        monkeypatch.setattr(Subscription, "tick", one_fails)
        monkeypatch.setattr(Chorus, "beat", one_session_fails)
        await world.settle(6)

        for client in (other, there):
            assert [frame.name for frame in client.frames].count("comment") == 1
        assert connection.body().count(HEARTBEAT) == 1
        for client in (mistaken, other, there):
            await client.leave()
        await finish(connection, task)
