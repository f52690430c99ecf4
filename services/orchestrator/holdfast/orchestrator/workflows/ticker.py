"""`ticker`: a message of n small pieces at a steady pace, for demonstrations and load.

An ordinary loop over keyed emissions: each piece has a key, so that a worker which takes over goes on at the next
piece. The pieces are not joined: n asked for are n events.
"""

import asyncio
import time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from holdfast.events.catalog import MessageCompleted, MessageDelta, MessageStarted
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.workflow import workflow


class TickerInput(BaseModel):
    """How many pieces, how far apart."""

    model_config = ConfigDict(extra="forbid")

    events: Annotated[int, Field(ge=0, le=1_000_000, description="how many pieces to send")] = 10
    interval_ms: Annotated[
        float, Field(ge=0, le=60_000, description="pause between two pieces")
    ] = 100


@workflow("ticker", description="Sends a message in `events` pieces, one every `interval_ms`.")
async def ticker(ctx: WorkflowContext, input: TickerInput) -> dict[str, int]:
    """Tick `events` times."""
    message_id = f"{ctx.run_id}.ticks"
    began = time.monotonic()
    await ctx.emit(MessageStarted(message_id=message_id))
    for tick in range(1, input.events + 1):
        fresh = await ctx.emit(MessageDelta(message_id=message_id, text=f"tick {tick}\n"))
        if fresh:
            # Past ticks take no time on replay. Without a pause the loop still lets others run.
            await asyncio.sleep(input.interval_ms / 1000)
    content = "".join(f"tick {tick}\n" for tick in range(1, min(input.events, 1000) + 1))
    await ctx.emit(
        MessageCompleted(message_id=message_id, content=content, duration_ms=ms_since(began))
    )
    return {"events": input.events}
