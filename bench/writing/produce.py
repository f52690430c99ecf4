"""The workflow of the append load: it emits, waits for the commit, and emits again, until everybody stops.

Its runs meet in the process that the worker runs in, which is the load's own: there they begin together and leave what
they waited.
"""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from bench.drip import Drop
from holdfast.orchestrator.workflow import workflow


@dataclass(slots=True)
class Gathering:
    """Where the producers of one process meet."""

    expected: int = 0
    here: int = 0
    all_here: asyncio.Event = field(default_factory=asyncio.Event)
    stop_at: float = 0.0  # time.monotonic()
    waits: list[float] = field(default_factory=list[float])

    async def begin(self) -> None:
        """Wait for the others."""
        self.here += 1
        if self.here == self.expected:
            self.all_here.set()
        await self.all_here.wait()


gathering = Gathering()


@workflow("produce")
async def produce(ctx, input: dict[str, Any]) -> int:  # type: ignore[no-untyped-def]
    """Emit, each event when the one before is on disk; return how many there were."""
    await gathering.begin()
    n = 0
    while True:
        began = time.monotonic()
        if began >= gathering.stop_at:
            return n
        n += 1
        await ctx.emit(Drop(n=n, t=time.monotonic_ns()))
        # What `ctx.step` does before it calls anything; nothing public waits for an event alone.
        await ctx._scribe.durable()
        gathering.waits.append(time.monotonic() - began)
