"""Live events go straight to the connection, and nobody can tell but by the clock."""

import asyncio
import random
from typing import Any

import pytest
from starlette.types import Message

from holdfast.gateway.outlet import Flow, find_outlet
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse
from tests.gateway.fakes import SESSION
from tests.gateway.worlds import World, make_world


class Transport:
    def __init__(self) -> None:
        self.written = b""
        self.closing = False
        self.flow: Flow | None = None  # of a connection that backs up with the next write

    def write(self, data: bytes) -> None:
        self.written += data
        if self.flow is not None:
            self.flow.pause_writing()

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.closing = True


class Cycle:
    """As uvicorn's httptools protocol shows itself to what it serves."""

    def __init__(self) -> None:
        self.scope = {"type": "http", "method": "GET"}
        self.transport: Any = Transport()
        self.flow = Flow(self.transport)
        self.disconnected = self.response_started = self.response_complete = False
        self.chunked_encoding: bool | None = None
        self.sent = 0  # messages that came the ordinary way
        self.left = asyncio.Event()

    async def receive(self) -> Message:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.flow.write_paused:
            await self.flow.drain()
        self.sent += 1
        if message["type"] == "http.response.start":
            self.response_started = self.chunked_encoding = True
            return
        body = message["body"]
        if body:
            self.transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        if not message.get("more_body", False):
            self.response_complete = True
            self.transport.write(b"0\r\n\r\n")

    def back_up(self) -> None:
        """Take one more write, and then nothing until `resume`."""
        self.transport.flow = self.flow

    def resume(self) -> None:
        self.transport.flow = None
        self.flow.resume_writing()

    def body(self) -> bytes:
        """Take the chunks apart as a client does; fails on bytes that are no chunks."""
        data, found = self.transport.written, b""
        while data:
            size, _, rest = data.partition(b"\r\n")
            length = int(size, 16)
            assert rest[length : length + 2] == b"\r\n"
            found, data = found + rest[:length], rest[length + 2 :]
        return found

    def ids(self) -> list[int]:
        lines = self.body().split(b"\n")
        return [int(line[4:]) for line in lines if line.startswith(b"id: ")]


async def respond(world: World, cycle: Any, **request: Any) -> asyncio.Task[None]:
    subscription = await world.hub.subscribe(SubscriptionRequest(**{"session": SESSION, **request}))
    response = EventStreamResponse(subscription, retry_ms=1500)
    call: Any = response(cycle.scope, cycle.receive, cycle.send)
    return asyncio.create_task(call)


async def finish(cycle: Cycle, task: asyncio.Task[None]) -> None:
    cycle.left.set()
    await task


async def test_a_live_event_reaches_the_connection_without_waking_the_streams_task():
    world, cycle = make_world(), Cycle()
    async with world.hub:
        task = await respond(world, cycle)
        world.tell("message.delta")
        await world.settle()
        before = cycle.sent

        world.tell("message.delta", "message.delta")
        await world.settle()

        assert cycle.ids() == [1, 2, 3]
        assert cycle.sent == before
        await finish(cycle, task)


async def test_a_connection_that_is_backed_up_gets_everything_the_ordinary_way_once_it_is_free():
    world, cycle = make_world(), Cycle()
    async with world.hub:
        task = await respond(world, cycle)
        world.tell("message.delta")
        await world.settle()

        cycle.back_up()
        for _ in range(3):
            world.tell("message.delta")
            await world.settle()
        assert cycle.ids() == [1, 2]  # the one too many was taken

        cycle.resume()
        await world.settle()
        assert cycle.ids() == [1, 2, 3, 4]
        world.tell("message.delta")
        await world.settle()
        assert cycle.ids() == [1, 2, 3, 4, 5]
        await finish(cycle, task)


async def test_a_connection_that_is_closing_is_not_ready_for_anything():
    world, cycle = make_world(), Cycle()
    async with world.hub:
        task = await respond(world, cycle)
        world.tell("message.delta")
        await world.settle()
        outlet = find_outlet(cycle.send)
        assert outlet is not None
        assert outlet.ready

        cycle.transport.closing = True

        assert not outlet.ready
        await finish(cycle, task)


@pytest.mark.parametrize("error", [OSError("broken"), RuntimeError("no more writes")])
async def test_a_connection_that_raises_harms_no_other_reader_of_the_session(error: Exception):
    class Broken(Transport):
        breaks = False

        def write(self, data: bytes) -> None:
            if self.breaks:
                self.breaks = False
                raise error
            super().write(data)

    world, cycles = make_world(), [Cycle(), Cycle()]
    cycles[0].transport = broken = Broken()
    async with world.hub:
        tasks = [await respond(world, cycle) for cycle in cycles]
        world.tell("message.delta")
        await world.settle()
        before = cycles[0].sent

        broken.breaks = True
        world.tell("message.delta")
        await world.settle()

        assert [cycle.ids() for cycle in cycles] == [[1, 2], [1, 2]]
        # What becomes of the connection is for the stream's own task to see, where it is expected.
        assert cycles[0].sent == before + 1
        for cycle, task in zip(cycles, tasks, strict=True):
            await finish(cycle, task)


@pytest.mark.parametrize(
    "hidden", ["chunked_encoding", "response_started", "flow", "disconnected", "transport", "scope"]
)
async def test_a_server_that_shows_less_than_all_of_it_is_served_the_ordinary_way(hidden: str):
    class Other(Cycle):
        def __getattribute__(self, name: str) -> Any:
            # What the cycle itself needs goes on working; whoever looks from outside doesn't find it.
            return (
                object()
                if name == hidden and _looked_at_from_outside()
                else super().__getattribute__(name)
            )

    world, cycle = make_world(), Other()
    async with world.hub:
        task = await respond(world, cycle)
        world.tell("message.delta")
        await world.settle()
        before = cycle.sent

        world.tell("message.delta")
        await world.settle()

        assert cycle.ids() == [1, 2]
        assert cycle.sent == before + 1
        await finish(cycle, task)


def _looked_at_from_outside() -> bool:
    import sys

    return sys._getframe(2).f_globals["__name__"].startswith("holdfast.gateway.outlet")  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize("request_", [{"types": None}, {"agent": "boss"}])
async def test_filtered_streams_take_the_ordinary_way(request_: dict[str, Any]):
    from holdfast.events.kinds import TypeFilter

    if "types" in request_:
        request_ = {"types": TypeFilter(frozenset({"message.delta"}))}
    world, cycle = make_world(), Cycle()
    async with world.hub:
        task = await respond(world, cycle, **request_)
        await world.settle()
        before = len(cycle.ids())
        world.tell("message.delta", agent="boss")
        await world.settle()

        assert cycle.ids()[before:] == [1]
        await finish(cycle, task)


@pytest.mark.parametrize("seed", range(40))
# protocol P1
async def test_whatever_way_an_event_takes_each_arrives_once_and_in_order(seed: int):
    chance = random.Random(seed)
    world, cycle = make_world(ring_events=8), Cycle()
    told = 0
    async with world.hub:
        task = await respond(world, cycle)
        for _ in range(60):
            match chance.choice(["tell", "tell", "lose", "back up", "resume", "settle"]):
                case "tell":
                    count = chance.randint(1, 12)
                    world.tell(*["message.delta"] * count)
                    told += count
                case "lose":
                    world.log.append("message.delta")  # a wake-up that never comes
                    told += 1
                case "back up":
                    cycle.back_up()
                case "resume":
                    cycle.resume()
                case _:
                    await world.settle(chance.choice([0.0, 0.3, 6.0]))
        cycle.resume()
        await world.settle(10.0)

        assert cycle.ids() == list(range(1, told + 1))
        await finish(cycle, task)
