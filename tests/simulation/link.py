"""One connection between a client and a gateway: bytes in order, a socket's buffer between them, and its breaking."""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tests.simulation.process import Process, State

if TYPE_CHECKING:
    from tests.simulation.world import World


class Broken(Exception):
    """The connection is gone."""


class Link:
    """The client's side reads, the gateway's is an ASGI `send` and `receive`."""

    def __init__(
        self, world: "World", client: Process, gateway: Process, *, buffer_bytes: int
    ) -> None:
        self._world, self._loop = world, world.loop
        self._client, self._gateway = client, gateway
        self._buffer_bytes = buffer_bytes
        # The client's side.
        self._inbox: deque[tuple[str, Any]] = deque()
        self._news: asyncio.Future[None] | None = None
        self._left = False
        self.heard_at = self._loop.time()
        # The gateway's side.
        self._arrives_at = 0.0
        self._buffered = 0
        self._room: asyncio.Future[None] | None = None
        self._gone: asyncio.Future[None] | None = None
        self.is_gone = False
        self.lent = False  # to a stream, which is at it
        self._cut_off = False
        # Of whom the connection is lent to; called in the gateway's context, never in the midst of the client's.
        self.on_gone: Callable[[], object] | None = None
        self.on_room: Callable[[], object] | None = None
        self.on_over: Callable[[], object] | None = None

    # --- the gateway's side --------------------------------------------------------------------------

    async def send(self, message: Mapping[str, Any]) -> None:
        """Take an ASGI message; waits while the client takes nothing."""
        if self.is_gone:
            return  # as uvicorn does: without suspending, and without a word
        if message["type"] == "http.response.start":
            self._post("status", message["status"])
            return
        if body := message.get("body"):
            self._buffered += len(body)
            self._post("body", body)
        if not message.get("more_body"):
            self._post("end", None)
        while self._buffered > self._buffer_bytes and not self.is_gone:
            self._room = self._loop.create_future()
            await self._room

    def take(self, body: bytes) -> None:
        """Take the body of one chunk, at once; the empty one is the end."""
        if body:
            self._buffered += len(body)
            self._post("body", body)
        else:
            self._post("end", None)

    @property
    def full(self) -> bool:
        """Whether the client has more to take than the buffer between them should hold."""
        return self._buffered > self._buffer_bytes

    def owes(self, silent_s: float) -> bool:
        """Tell whether a stream had so long to say a word: nobody held it back, and there was room for it."""
        both = (self._gateway, self._client)
        free = all(one.state is State.RUNNING for one in both)
        begun = max(one.proceeded_at for one in both)
        at_it = self.lent and not self.is_gone and not self.full
        return free and at_it and self._loop.time() - begun > silent_s

    def over(self) -> None:
        """Nothing more is sent: forget the connection."""
        if self.on_over is not None:
            self.on_over()

    async def receive(self) -> dict[str, Any]:
        """Wait for the client to leave."""
        if not self.is_gone:
            self._gone = self._loop.create_future()
            await self._gone
        return {"type": "http.disconnect"}

    def abort(self) -> None:
        """Break the connection off."""
        self._note_gone()
        self._post("broken", None)

    def die(self, *, lose: bool) -> None:
        """The gateway was killed: the client is told by its kernel, perhaps before it has all that was sent."""
        self._cut_off = lose
        self._post("broken", None)

    def _note_gone(self) -> None:
        if self.is_gone:
            return
        self.is_gone = True
        for waiting in (self._gone, self._room):
            if waiting is not None and not waiting.done():
                waiting.set_result(None)
        self.over()
        if self.on_gone is not None:
            self._loop.call_soon(self.on_gone, context=self._gateway.context)

    def _post(self, kind: str, what: Any) -> None:
        trip_s = self._world.trip_s()
        self._arrives_at = max(self._arrives_at, self._loop.time() + trip_s)
        self._loop.call_at(self._arrives_at, self._arrive, kind, what, context=self._client.context)

    # --- the client's side ---------------------------------------------------------------------------

    def _arrive(self, kind: str, what: Any) -> None:
        if self._left or (self._cut_off and kind != "broken"):
            return
        self._inbox.append((kind, what))
        self.heard_at = self._loop.time()
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def read(self) -> tuple[str, Any]:
        """Return the next thing that arrived: status, body or end. Raises Broken."""
        while not self._inbox:
            self._news = self._loop.create_future()
            await self._news
        kind, what = self._inbox.popleft()
        if kind == "broken":
            raise Broken
        if kind == "body":
            self._buffered -= len(what)
            if self._buffered <= self._buffer_bytes and self._room is not None:
                if not self._room.done():
                    self._room.set_result(None)
                self._room = None
            if self.on_room is not None and not self.full:
                self._loop.call_soon(self.on_room, context=self._gateway.context)
        return kind, what

    def leave(self) -> None:
        """Close the connection; whoever reads is told that it is broken."""
        if self._left:
            return
        self._left = True
        self._inbox.clear()
        self._inbox.append(("broken", None))
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
        self._loop.call_later(self._world.trip_s(), self._note_gone, context=self._gateway.context)
