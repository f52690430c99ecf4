"""How much of Redis the windows of a log take together, for its operator.

Where there are many, an estimate from a sample: to ask for each of a million would cost Redis more than they do.
"""

import asyncio
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import structlog
from redis.asyncio import Redis

from holdfast.events.clock import Clock, SystemClock
from holdfast.events.errors import StreamUnavailable
from holdfast.events.stream_redis_link import (
    PATIENCE,
    Names,
    Patience,
    command_pool,
    stream_errors,
)

# Up to so many keys all are asked for: one SCAN of 1 ms and one trip.
EXACT_KEYS_MAX = 1_000

# Beyond that so many keys by chance. Windows differ by a factor of a hundred and more: the sum is right within a fifth.
SAMPLE_KEYS = 400

# An alert doesn't need it more often, and a dozen workers that look cost Redis 0.1 % of its time.
LOOK_S = 30.0

log = structlog.get_logger("holdfast.stream")


class Windows(NamedTuple):
    """How many windows there are, and their bytes in all. NaN: nobody could tell yet."""

    number: float = math.nan
    bytes: float = math.nan


class WindowGauge:
    """Looks again and again; `seen` is what it saw last."""

    def __init__(
        self, url: str, *, log_id: str, patience: Patience = PATIENCE, clock: Clock | None = None
    ) -> None:
        """Raises ValueError for a URL that is none of Redis."""
        self._pool = command_pool(url, patience)
        self._client: Any = Redis(connection_pool=self._pool)
        self._clock = clock or SystemClock()
        before, _, after = Names(log_id).window(0).partition("{0}")
        self._before, self._after = before.encode(), after.encode()
        self.seen = Windows()

    async def run(self) -> None:
        """Look for ever. A Redis that is away, or doesn't tell, is asked again next time."""
        try:
            while True:
                try:
                    self.seen = await self.look()
                except StreamUnavailable as error:
                    self.seen = Windows()
                    log.debug("windows.unknown", reason=str(error))
                await self._clock.sleep(LOOK_S)
        finally:
            await asyncio.shield(self.close())

    async def close(self) -> None:
        """Close what `look` has opened."""
        await self._pool.aclose()

    async def look(self) -> Windows:
        """Ask Redis. Raises StreamUnavailable."""
        with stream_errors():
            keys = int(await self._client.dbsize())
            if keys <= EXACT_KEYS_MAX:
                _, found = await self._client.scan(0, match=self._before + b"*", count=keys + 1)
                names = [name for name in found if name.endswith(self._after)]
                return Windows(len(names), sum(await self._sizes(names)))
            drawn = await self._drawn()
            names = [n for n in drawn if n.startswith(self._before) and n.endswith(self._after)]
            each = keys / len(drawn)
            return Windows(len(names) * each, sum(await self._sizes(names)) * each)

    async def _drawn(self) -> Sequence[bytes]:
        pipeline = self._client.pipeline(transaction=False)
        for _ in range(SAMPLE_KEYS):
            pipeline.randomkey()
        return [name for name in await pipeline.execute() if name is not None] or [b""]

    async def _sizes(self, names: Sequence[bytes]) -> Sequence[int]:
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.memory_usage(name)
        # One that has expired meanwhile is none.
        return [size or 0 for size in await pipeline.execute()] if names else ()
