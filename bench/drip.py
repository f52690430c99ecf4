"""The workflow that benchmarks run: own events at an even pace, each with its number and the moment it was made."""

import asyncio
import time
from typing import Literal

from pydantic import BaseModel, Field

from holdfast.events.catalog import CustomEvent, register_custom
from holdfast.orchestrator.workflow import workflow


@register_custom
class Drop(CustomEvent):
    """`n` counts from 1 in a run, `t` is CLOCK_MONOTONIC in nanoseconds: one clock for a whole machine."""

    type: Literal["custom.bench.drop"] = "custom.bench.drop"
    n: int
    t: int
    pad: str = ""


class Pace(BaseModel):
    """How many, how fast, and from when: runs that wait for one moment begin together."""

    events: int = Field(ge=1, le=1_000_000)
    every_us: int = Field(default=0, ge=0, description="0: as fast as they are taken")
    begin_ns: int = Field(default=0, ge=0, description="CLOCK_MONOTONIC; 0: at once")
    pad: int = Field(default=0, ge=0, le=10_000, description="bytes to make an event larger")


@workflow("drip")
async def drip(ctx, pace: Pace) -> int:  # type: ignore[no-untyped-def]
    """Emit as the pace says."""
    begin = pace.begin_ns or time.monotonic_ns()
    pad = "x" * pace.pad
    for i in range(pace.events):
        late_ns = begin + i * pace.every_us * 1000 - time.monotonic_ns()
        if late_ns > 0:
            await asyncio.sleep(late_ns / 1e9)
        await ctx.emit(Drop(n=i + 1, t=time.monotonic_ns(), pad=pad))
    return pace.events
