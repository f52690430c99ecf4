"""The windows in Redis as they are, to be held against the log."""

from collections.abc import Mapping
from typing import Any

from redis.asyncio import Redis

from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream_redis_link import Names, stream_errors
from holdfast.verify.history import Copy
from holdfast.verify.log import digest_of

TIMEOUT_S = 10.0


async def read_windows(redis_url: str, log_id: str, numbers: Mapping[str, int]) -> list[Copy]:
    """Return the window of each session that has one. Raises StreamUnavailable."""
    names = Names(log_id)
    try:
        client = Redis.from_url(redis_url, socket_timeout=TIMEOUT_S)
    except ValueError as error:
        raise StreamUnavailable("the URL is not one of a Redis") from error
    found: list[Copy] = []
    try:
        with stream_errors():
            for session, number in numbers.items():
                entries: Any = await client.xrange(names.window(number))
                events = [
                    (int(id_.split(b"-")[0]), digest_of(fields[b"b"])) for id_, fields in entries
                ]
                found.append(Copy(name="window", session=session, events=events, whole=False))
    finally:
        await client.aclose()
    return found
