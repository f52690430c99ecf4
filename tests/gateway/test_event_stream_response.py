"""The response over a scripted ASGI server: deadlines, disconnects, and nothing left behind."""

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from starlette.types import Message

from holdfast.gateway.ending import Ending
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.response import EventStreamResponse, ReaderStalled
from holdfast.gateway.transport import find_abort
from tests.gateway.fakes import SESSION
from tests.gateway.worlds import World, make_world

Send = Callable[[Message], Awaitable[None]]


class Server:
    """What a server shows an application; it takes nothing any more once `stuck` is set."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.left = asyncio.Event()
        self.stuck = False
        self.taken = asyncio.Event()

    async def receive(self) -> Message:
        if not self.messages:
            await asyncio.sleep(0)
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.stuck:
            await self.taken.wait()
        self.messages.append(message)

    @property
    def body(self) -> bytes:
        return b"".join(m["body"] for m in self.messages if m["type"] == "http.response.body")


class ServerWithTransport(Server):
    """As uvicorn: the bound method's object has the transport; an abort ends the waiting write."""

    class Transport:
        def __init__(self, server: "ServerWithTransport") -> None:
            self.aborted = 0
            self._server = server

        def abort(self) -> None:
            self.aborted += 1
            self._server.taken.set()
            self._server.left.set()

    def __init__(self) -> None:
        super().__init__()
        self.transport = self.Transport(self)


async def respond(world: World, server: Server, send: Send | None = None) -> asyncio.Task[None]:
    subscription = await world.hub.subscribe(SubscriptionRequest(session=SESSION))
    response = EventStreamResponse(subscription, retry_ms=1500, headers={"x-extra": "1"})
    call: Any = response({"type": "http"}, server.receive, send or server.send)
    return asyncio.create_task(call)


# protocol P17
async def test_the_response_says_what_proxies_and_clients_need_to_hear():
    world, server = make_world(), Server()
    world.tell("message.delta")
    async with world.hub:
        task = await respond(world, server)
        await world.settle()

        start = server.messages[0]
        assert start["status"] == 200
        assert dict(start["headers"]) == {
            b"content-type": b"text/event-stream; charset=utf-8",
            b"cache-control": b"no-store, no-transform",
            b"x-accel-buffering": b"no",
            b"x-extra": b"1",
        }
        assert server.body.startswith(b"retry: 1500\n\nid: 1\ndata: {")
        server.left.set()
        await task


async def test_a_client_that_leaves_is_noticed_without_a_write():
    world, server = make_world(), Server()
    async with world.hub:
        before = len(asyncio.all_tasks())
        task = await respond(world, server)
        await world.settle()
        server.left.set()
        await task

        assert world.hub.subscribers == 0
        assert server.messages[-1].get("more_body", True)
        await world.settle()
        assert len(asyncio.all_tasks()) <= before


async def test_a_stream_that_ends_by_itself_completes_the_response():
    world, server = make_world(), Server()
    world.tell("session.expired")
    async with world.hub:
        task = await respond(world, server)
        await task

        assert server.messages[-1] == {
            "type": "http.response.body",
            "body": b"",
            "more_body": False,
        }
        assert world.hub.subscribers == 0


async def test_a_server_that_raises_on_a_write_to_nobody_ends_the_stream_quietly():
    world, server = make_world(), Server()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            raise OSError("the client left")

    async with world.hub:
        await (await respond(world, server, send))

        assert world.hub.subscribers == 0


async def test_a_write_that_is_not_taken_aborts_the_connection_at_its_deadline():
    world, server = make_world(send_deadline_s=30), ServerWithTransport()
    async with world.hub:
        task = await respond(world, server)
        await world.settle()
        (subscription,) = world.hub._subscriptions
        server.stuck = True
        world.tell("message.delta")
        await world.settle(28)
        assert server.transport.aborted == 0
        await world.settle(4)

        assert server.transport.aborted == 1
        assert subscription.ending is Ending.SLOW
        await task


async def test_a_server_that_hides_its_transport_learns_of_it_by_an_exception():
    """Returning would look like a whole response."""
    world, server = make_world(), Server()
    async with world.hub:
        task = await respond(world, server)
        await world.settle()
        server.stuck = True
        world.tell("message.delta")
        await world.settle(33)

        with pytest.raises(ReaderStalled):
            await task
        assert world.hub.subscribers == 0


async def test_a_cancelled_response_leaves_nothing_behind():
    world, server = make_world(), Server()
    async with world.hub:
        before = len(asyncio.all_tasks())
        task = await respond(world, server)
        await world.settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await world.settle()

        assert world.hub.subscribers == 0
        assert len(asyncio.all_tasks()) <= before


async def test_a_drain_lets_go_of_a_reader_that_takes_nothing():
    world, server = make_world(), ServerWithTransport()
    async with world.hub:
        task = await respond(world, server)
        await world.settle()
        server.stuck = True
        world.tell("message.delta")
        await world.settle()
        drain = asyncio.create_task(world.hub.drain(1))
        await world.settle(5)

        assert server.transport.aborted == 1
        await drain
        await task


async def test_a_replay_into_a_connection_that_is_gone_lets_the_loop_turn():
    """Such writes return at once. Without a turn in between nobody would ever notice that the client left."""
    world, server = make_world(chunk_bytes=300, check_s=1e6, check_away_s=1e6), Server()
    world.tell(*["message.delta"] * 400)
    turns_at: list[int] = []

    async def send(message: Message) -> None:
        server.messages.append(message)

    async def count() -> None:
        while True:
            turns_at.append(len(server.messages))
            await asyncio.sleep(0)

    async with world.hub:
        counter = asyncio.create_task(count())
        task = await respond(world, server, send)
        await world.settle()
        await world.settle()
        counter.cancel()
        assert server.body.count(b"data: ") >= 400
        assert max(b - a for a, b in itertools.pairwise(turns_at)) <= 60
        server.left.set()
        await task


def test_the_transport_is_found_behind_what_middleware_wraps_around_send():
    server = ServerWithTransport.__new__(ServerWithTransport)
    server.transport = object.__new__(ServerWithTransport.Transport)

    def wrapped(send: Any) -> Any:
        async def sender(message: Message) -> None:
            await send(message)

        return sender

    class Wrapper:
        def __init__(self, send: Any) -> None:
            self.send = send

        async def __call__(self, message: Message) -> None: ...

    class Responder:
        def __init__(self, send: Any) -> None:
            self._send = send

        async def method(self, message: Message) -> None: ...

    for send in (
        server.send,
        wrapped(wrapped(server.send)),
        functools.partial(wrapped(server.send), 1),
        wrapped(Wrapper(server.send)),
        Responder(server.send).method,
    ):
        assert find_abort(send) == server.transport.abort
    assert find_abort(wrapped(wrapped(lambda message: None))) is None
    assert find_abort(None) is None
