"""Readers who come back together: what one of them has read costs the others a write."""

import asyncio
from collections.abc import Iterable

from holdfast.gateway.following import Following
from holdfast.gateway.options import CHUNK_BYTES
from holdfast.gateway.reading import FRAMES_PER_TURN, PAGE_BYTES_AS_ONE
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.wire import Wire
from tests.gateway.fakes import SESSION
from tests.gateway.test_direct_writes import Cycle, Transport, finish
from tests.gateway.worlds import World, make_world


class Counted(Transport):
    """Counts what a kernel would be called for."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[int] = []  # bytes

    def write(self, data: bytes) -> None:
        self.writes.append(len(data))
        super().write(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))


async def follow(world: World) -> tuple[Cycle, asyncio.Task[None]]:
    connection = Cycle()
    connection.transport = Counted()

    async def serve() -> None:
        subscription = await world.hub.subscribe(SubscriptionRequest(session=SESSION))
        wire = Wire(connection.transport, b"", paused=False, keep_alive=False)
        await Following(subscription, wire, request_id="r").run()

    serving = asyncio.create_task(serve())
    await world.settle()
    return connection, serving


async def leave(connection: Cycle, following: asyncio.Task[None]) -> None:
    connection.transport.closing = True
    await finish(connection, following)


async def test_a_backlog_of_pages_that_somebody_has_just_read_goes_out_in_one_write():
    world = make_world(check_s=1e9, heartbeat_s=1e9)
    world.tell(*["message.delta"] * 1_003)
    async with world.hub:
        first, reading = await follow(world)
        asked = list(world.log.lines_asked)
        later, follows = await follow(world)

        assert later.ids() == first.ids() == list(range(1, 1_004))
        assert b"event: caught-up" in later.transport.written
        assert (len(later.transport.writes), world.log.lines_asked) == (1, asked)
        await leave(first, reading)
        await leave(later, follows)


async def test_a_backlog_of_large_events_goes_out_in_writes_of_a_bounded_size():
    """Whoever reads slowly holds what one turn took, and nobody else's events wait for longer than that takes."""
    world = make_world(check_s=1e9, heartbeat_s=1e9)
    world.tell(*["message.delta"] * 300, pad="x" * 10_000)
    most = FRAMES_PER_TURN * PAGE_BYTES_AS_ONE + CHUNK_BYTES
    async with world.hub:
        connection, following = await follow(world)

        assert connection.ids() == list(range(1, 301))
        # What was still on its way to the first write is one turn's, as each later one is.
        assert max(connection.transport.writes) <= most + 1_000
        await leave(connection, following)
