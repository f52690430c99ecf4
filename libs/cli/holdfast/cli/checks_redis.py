"""What the doctor looks at in Redis. Redis may lose everything; it must not throw away what it
has while it runs.
"""

from collections.abc import AsyncIterator
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from holdfast.cli.findings import Finding, fail, ok, warn

# A server on this machine or network answers in milliseconds.
TIMEOUT_S = 5.0

OLDEST = (6, 2)
RECOMMENDED = {"redis": (7, 2), "valkey": (8, 0)}

_POLICY = "maxmemory_policy"


async def check_redis(url: str) -> AsyncIterator[Finding]:
    """Look at version, memory policy, persistence and connections, by INFO alone: CONFIG is often
    forbidden.
    """
    try:
        client = Redis.from_url(
            url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
        )  # fmt: skip
    except ValueError as error:
        yield fail("redis", f"the URL can't be used: {error}", "correct HOLDFAST_REDIS_URL")
        return
    try:
        info: dict[str, Any] = await client.info()
    except (RedisError, OSError) as error:
        yield fail("redis", f"does not answer: {error}", "start it or correct HOLDFAST_REDIS_URL")
        return
    finally:
        await client.aclose()
    for finding in judge_redis(info):
        yield finding


def judge_redis(info: dict[str, Any]) -> list[Finding]:
    """Judge what INFO said."""
    return [_version(info), _memory(info), _persistence(info), _connections(info)]


def _version(info: dict[str, Any]) -> Finding:
    kind = "valkey" if "valkey_version" in info else "redis"
    text = str(info.get(f"{kind}_version") or "0")
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    best = ".".join(map(str, RECOMMENDED[kind]))
    if numbers < OLDEST:
        return fail("redis version", f"{kind} {text} is too old", "use Redis 7.2+ or Valkey 8")
    if numbers < RECOMMENDED[kind]:
        return ok("redis version", f"{kind} {text} (works; {best} or newer is recommended)")
    return ok("redis version", f"{kind} {text}")


def _memory(info: dict[str, Any]) -> Finding:
    policy, limit = str(info.get(_POLICY) or "unknown"), int(info.get("maxmemory") or 0)
    if policy != "noeviction":
        return fail(
            "redis memory",
            f"maxmemory-policy is {policy}: windows may vanish while they are read",
            "CONFIG SET maxmemory-policy noeviction",
        )
    used = int(info.get("used_memory") or 0)
    if limit and used > 0.8 * limit:
        return warn(
            "redis memory",
            f"{used / limit:.0%} of maxmemory is used; when it is full, readers turn to Postgres",
            "raise maxmemory",
        )
    return ok("redis memory", f"noeviction, {used / 2**20:.0f} MiB used")


def _persistence(info: dict[str, Any]) -> Finding:
    if int(info.get("aof_enabled") or 0):
        return ok("redis persistence", "append-only file")
    # No fault: losing all of Redis costs latency, never an event.
    return ok("redis persistence", "no append-only file: after a restart readers begin in Postgres")


def _connections(info: dict[str, Any]) -> Finding:
    used, most = int(info.get("connected_clients") or 0), int(info.get("maxclients") or 0)
    if most and used > 0.8 * most:
        return warn("redis connections", f"{used} of {most} are used", "raise maxclients")
    return ok("redis connections", f"{used} of {most or 'unlimited'}")
