"""The neighbours, whose steps are due again and again, and the hog that computes beside them."""

import asyncio
import time
from typing import Annotated

from pydantic import BaseModel, Field

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class Beat(BaseModel):
    steps: Annotated[int, Field(ge=1, le=10_000)]
    pause_s: Annotated[float, Field(gt=0, le=60)]


@workflow("neighbour", version="1", description="Takes a short step again and again.")
async def neighbour(ctx: WorkflowContext, input: Beat) -> int:
    for _ in range(input.steps):
        await ctx.step("beat", asyncio.sleep, input.pause_s)
    return input.steps


class Burn(BaseModel):
    seconds: Annotated[float, Field(gt=0, le=600)]
    offload: str | None = None


def burn_cpu(seconds: float) -> int:
    """Compute, in Python, for so long."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        sum(range(10_000))
        rounds += 1
    return rounds


@workflow(
    "hog", version="1", description="Burns a CPU: in the event loop, in a thread or in a process."
)
async def hog(ctx: WorkflowContext, input: Burn) -> int:
    if input.offload == "thread":
        return await ctx.step("burn", burn_cpu, input.seconds, offload="thread")
    if input.offload == "process":
        return await ctx.step("burn", burn_cpu, input.seconds, offload="process")
    return await ctx.step("burn", burn_cpu, input.seconds)
