"""The streams under contract, each on a rig that can do to it what happens to a Redis."""

import asyncio
import itertools
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar
from uuid import uuid4

from redis.asyncio import Redis

from holdfast.events.recorded import RecordedEvent
from holdfast.events.stream import Hints, Publisher, Wake, Wakes, Window
from holdfast.events.stream_memory import MemoryStream
from holdfast.events.stream_redis import RedisStream
from holdfast.events.stream_redis_link import Patience
from holdfast.local.ladder import redis_binaries, redis_binary
from holdfast.local.redis_server import RedisServer, redis_version

# As shipped, but for what a test would wait for.
QUICK = Patience(answer_s=1.0, ping_every_s=0.2, silence_s=0.6, back_off_max_s=0.2)

DEADLINE_S = 10.0

Item = TypeVar("Item")

_numbers = itertools.count(1)


def fresh_session() -> int:
    """A session that no other test of this process uses."""
    return next(_numbers)


def events(first: int, last: int, *, size: int = 20) -> list[RecordedEvent]:
    """Events `first` to `last`, both included, with bodies of about `size` bytes."""
    return [
        RecordedEvent(seq, "message.delta", "run-1", b'{"seq":%d}' % seq + b" " * size)
        for seq in range(first, last + 1)
    ]


def carrying(session: int, appended: Sequence[RecordedEvent]) -> Wake:
    """The wake-up of a publish that appended these."""
    return Wake(session, appended[-1].seq, tuple(appended))


async def seqs(stream: Window, session: int, *, after: int = 0) -> list[int]:
    """The seqs that a reader with this cursor gets."""
    return [event.seq for event in (await stream.read({session: after}, limit=10_000))[session]]


async def heard(listener: AsyncIterator[Item]) -> Item:
    """The next thing that comes, or a failure at the deadline."""
    async with asyncio.timeout(DEADLINE_S):
        return await anext(listener)


class Listener:
    """Takes wake-ups one by one, from now on; `stop` it, or close the stream."""

    def __init__(self, wakes: Wakes) -> None:
        self.heard: list[Wake] = []  # all that was not asked for yet
        self.task = asyncio.create_task(wakes.listen(self.heard.extend))

    async def next(self) -> Wake:
        """The next wake-up, or a failure at the deadline."""
        await until(lambda: self.heard)
        return self.heard.pop(0)


async def until(condition: Callable[[], Any]) -> None:
    """Wait until the condition holds; it may be async."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            holds = condition()
            if asyncio.iscoroutine(holds):
                holds = await holds
            if holds:
                return
            await asyncio.sleep(0.01)


class Stream(Publisher, Window, Protocol):
    def wakes(self) -> Wakes: ...

    def hints(self) -> Hints: ...

    async def close(self) -> None: ...


class Rig(Protocol):
    stream: Stream

    async def flush(self) -> None: ...

    async def trim(self, session: int, keep: int) -> None: ...

    async def lose_tail(self, session: int, entries: int) -> None: ...

    async def break_connections(self) -> None: ...

    async def go_down(self) -> None: ...

    async def come_back(self) -> None: ...

    async def fill_memory(self, *, leave_room: bool = False) -> None: ...

    async def free_memory(self) -> None: ...

    async def expires_in(self, session: int) -> float | None: ...


class MemoryRig:
    def __init__(self) -> None:
        self.stream = MemoryStream()

    async def flush(self) -> None:
        self.stream.flush()

    async def trim(self, session: int, keep: int) -> None:
        self.stream.trim(session, keep)

    async def lose_tail(self, session: int, entries: int) -> None:
        self.stream.lose_tail(session, entries)

    async def break_connections(self) -> None:
        self.stream.break_connections()

    async def go_down(self) -> None:
        self.stream.down = True

    async def come_back(self) -> None:
        self.stream.down = False

    async def fill_memory(self, *, leave_room: bool = False) -> None:
        self.stream.room = 700 if leave_room else 0

    async def free_memory(self) -> None:
        self.stream.room = None

    async def expires_in(self, session: int) -> float | None:
        return self.stream.expires_in(session)


class RedisRig:
    def __init__(self, server: RedisServer, log_id: str) -> None:
        self.server = server
        self.log_id = log_id
        self.stream = RedisStream.open(server.url, log_id=log_id, patience=QUICK)

    def key(self, session: int) -> str:
        return f"hf:{self.log_id[:8]}:{{{session}}}:events"

    async def do(self, *command: str | bytes | int) -> Any:
        """Have Redis do something, over a connection of its own."""
        async with Redis.from_url(self.server.url, client_name="tests", protocol=2) as client:
            return await client.execute_command(*command)

    async def clients(self, name: str) -> int:
        """How many connections of this name there are."""
        async with Redis.from_url(self.server.url, client_name="tests", protocol=2) as client:
            return sum(c["name"] == name for c in await client.client_list())

    async def flush(self) -> None:
        await self.do("FLUSHALL")

    async def trim(self, session: int, keep: int) -> None:
        await self.do("XTRIM", self.key(session), "MAXLEN", "=", keep)

    async def lose_tail(self, session: int, entries: int) -> None:
        async with Redis.from_url(self.server.url, protocol=2) as client:
            kept = (await client.xrange(self.key(session)))[:-entries]
            await client.delete(self.key(session))
            for id_, fields in kept:
                await client.xadd(self.key(session), fields, id=id_)

    async def break_connections(self) -> None:
        await self.do("CLIENT", "KILL", "TYPE", "pubsub")
        await self.do("CLIENT", "KILL", "TYPE", "normal")

    async def go_down(self) -> None:
        self.server.stop()

    async def come_back(self) -> None:
        self.server.start()

    async def fill_memory(self, *, leave_room: bool = False) -> None:
        async with Redis.from_url(self.server.url, protocol=2) as client:
            used = (await client.info("memory"))["used_memory"]
            # A call of half a megabyte sits in Redis' input as well while it runs.
            room = 2_500_000 if leave_room else -100_000
            await client.config_set("maxmemory", used + room)

    async def free_memory(self) -> None:
        await self.do("CONFIG", "SET", "maxmemory", 0)

    async def expires_in(self, session: int) -> float | None:
        left = await self.do("PTTL", self.key(session))
        return None if left < 0 else left / 1_000

    def pause(self) -> None:
        """Let Redis hang: it accepts and says nothing."""
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGSTOP)

    def resume(self) -> None:
        assert self.server.pid is not None
        os.kill(self.server.pid, signal.SIGCONT)


class StreamServers:
    """One Redis of each version for these tests alone: they flush it, fill it and stop it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._servers: dict[str, RedisServer] = {}

    def of(self, version: str) -> RedisServer:
        if version not in self._servers:
            binary = next((b for b in redis_binaries() if redis_version(b) == version), None)
            place = self._root / f"stream-{version}"
            self._servers[version] = RedisServer(place, binary=binary or redis_binary())
        server = self._servers[version]
        server.start()  # unless it runs
        return server

    def stop(self) -> None:
        for server in self._servers.values():
            server.stop()


@asynccontextmanager
async def redis_rig_of(servers: StreamServers, version: str) -> AsyncIterator[RedisRig]:
    rig = RedisRig(servers.of(version), uuid4().hex)
    yield rig
    await rig.stream.close()
    servers.of(version)
    await rig.free_memory()
