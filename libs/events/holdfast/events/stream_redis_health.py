"""How a Redis is set up, and whether that suits a stream."""

from contextlib import suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from holdfast.events.store import Health
from holdfast.events.stream_redis_link import PATIENCE, Patience, command_pool, stream_errors

NO_EVICTION = "noeviction"

# INFO's own words for what an operator asks about.
_TOLD = (
    "role",
    "connected_slaves",
    "used_memory",
    "maxmemory",
    "maxmemory_policy",
    "aof_enabled",
    "aof_last_write_status",
    "rdb_last_bgsave_status",
    "connected_clients",
    "evicted_keys",
)


async def redis_health(url: str, *, patience: Patience = PATIENCE) -> Health:
    """Ask Redis how it is, over a connection of its own. Raises StreamUnavailable.

    `durable` says whether it keeps a file: without one every restart empties the windows, which
    costs latency and nothing else. What Redis may not tell (CONFIG is often denied) is absent.
    """
    pool = command_pool(url, patience)
    try:
        with stream_errors():
            client = Redis(connection_pool=pool)
            info: dict[str, Any] = await client.info()
            details = {name: str(info[name]) for name in _TOLD if name in info}
            with suppress(ResponseError):
                details.update(await _configured(client))
    finally:
        await pool.aclose()
    server = str(info.get("server_name", "redis"))
    version = str(info.get(f"{server}_version", info.get("redis_version", "unknown")))
    return Health(f"{server} {version}", details.get("aof_enabled") == "1", details)


async def _configured(client: Redis) -> dict[str, str]:
    # One name a call: 6.2 takes no more.
    names = ("appendfsync", "min-replicas-to-write")
    return {
        _text(key): _text(value)
        for name in names
        for key, value in (await client.config_get(name)).items()
    }


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def check_eviction(health: Health) -> str | None:
    """Return what to tell the operator if Redis may drop windows to make room; None if it doesn't.

    Evicted windows are rebuilt from the store, again and again: each costs it a page.
    """
    policy = health.details.get("maxmemory_policy", "unknown")
    if policy == NO_EVICTION:
        return None
    return (
        f"Redis has maxmemory-policy {policy} and may drop windows of live sessions; "
        f"set it to {NO_EVICTION}"
    )
