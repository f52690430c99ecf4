"""A client that remembers every byte and checks what no frame may ever do."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import orjson

from holdfast.gateway.hub import Hub
from holdfast.gateway.request import SubscriptionRequest
from holdfast.gateway.subscription import Subscription
from tests.gateway.fakes import no_point


@dataclass
class Frame:
    """One block of the stream, as a browser reads it."""

    id: int | None
    name: str | None
    data: bytes | None
    retry: int | None = None


def parse(chunk: bytes) -> list[Frame]:
    assert chunk.endswith(b"\n\n"), chunk[-80:]
    frames: list[Frame] = []
    for block in chunk[:-2].split(b"\n\n"):
        frame = Frame(None, None, None)
        for line in block.split(b"\n"):
            name, _, value = line.partition(b": ")
            match name:
                case b"id":
                    frame.id = int(value)
                case b"event":
                    frame.name = value.decode()
                case b"data":
                    frame.data = value
                case b"retry":
                    frame.retry = int(value)
                case b"":
                    frame.name = "comment"
                case _:
                    raise AssertionError(line)
        frames.append(frame)
    return frames


class Client:
    """Reads a subscription in a task of its own and checks what no frame may ever do."""

    def __init__(self, subscription: Subscription, cursor: int) -> None:
        self.subscription = subscription
        self.cursor = cursor
        self.frames: list[Frame] = []
        self.chunks: list[bytes] = []
        self.ended = False

    @classmethod
    async def connect(
        cls,
        hub: Hub,
        request: SubscriptionRequest,
        point: Callable[[], Awaitable[None]] = no_point,
    ) -> "Client":
        client = cls(await hub.subscribe(request), request.cursor)
        client.task = asyncio.create_task(client._read(point))
        return client

    task: "asyncio.Task[None]"

    async def _read(self, point: Callable[[], Awaitable[None]]) -> None:
        try:
            self.subscription.on_overdue(self.task.cancel)
            while (chunk := await self.subscription.chunk()) is not None:
                self.take(chunk)
                await point()
            self.ended = True
        finally:
            self.subscription.close()

    def take(self, chunk: bytes) -> None:
        self.chunks.append(chunk)
        for frame in parse(chunk):
            self.frames.append(frame)
            if frame.name is None and frame.data is not None:
                assert frame.id == self.cursor + 1, f"{frame.id} after {self.cursor}"
            elif frame.name is None and frame.id is not None:
                assert frame.id > self.cursor
            if frame.name not in (None, "reset"):
                assert frame.id is None
            if frame.id is not None:
                self.cursor = frame.id

    async def leave(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        self.subscription.close()  # the task may never have begun

    @property
    def seqs(self) -> list[int]:
        return [
            f.id for f in self.frames if f.name is None and f.data is not None and f.id is not None
        ]

    @property
    def bodies(self) -> list[bytes]:
        return [f.data for f in self.frames if f.name is None and f.data is not None]

    @property
    def controls(self) -> list[tuple[str, Any]]:
        return [
            (f.name, orjson.loads(f.data))
            for f in self.frames
            if f.name not in (None, "comment") and f.data is not None
        ]
