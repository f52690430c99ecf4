"""What may be done to a Redis, and asked of it, while a round is under way."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from redis.asyncio import Redis

from holdfast.local.redis_server import RedisServer

ANSWER_S = 10.0


async def tell(server: RedisServer, *command: str | int) -> Any:
    """Give a server a command, and return what it answers."""
    client = Redis.from_url(server.url, socket_timeout=ANSWER_S)
    try:
        return await client.execute_command(*command)
    finally:
        await client.aclose()


@asynccontextmanager
async def down(server: RedisServer) -> AsyncGenerator[None]:
    """Kill a server for the length of a block; behind it it answers again, at its address and with its file."""
    await asyncio.to_thread(server.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(server.start)


async def windows(server: RedisServer) -> list[bytes]:
    """Return the keys of all windows that are there."""
    return [key for key in await tell(server, "KEYS", "*") if b"{" in key]


def cut_tail(server: RedisServer, most: int) -> int:
    """Take up to `most` bytes off the end of the file of a server that is down; return how many were taken."""
    file = _appended(server.data_dir)
    size = file.stat().st_size
    cut = min(size, most)
    with file.open("r+b") as whole:
        whole.truncate(size - cut)
    return cut


def tail_bytes(server: RedisServer) -> int:
    """Return how much there is to be cut."""
    return _appended(server.data_dir).stat().st_size


def _appended(directory: Path) -> Path:
    # One file up to Redis 6; since 7 a base and what was appended to it, in a directory of its own.
    found = [*directory.glob("appendonly.aof"), *directory.glob("*/*.incr.aof")]
    return max(found, key=lambda path: path.stat().st_mtime)
