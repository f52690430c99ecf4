"""The workflow that costs are measured of: one message of so many tokens, at a model's pace."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, Field

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow

# Tokens of a model are three to four characters and a space now and then: 1,000 of them are 4,750 characters here.
TOKENS = (
    "the ",
    "re",
    "cord ",
    "ed ",
    "word",
    "s ",
    "of ",
    "an ",
    "agent ",
    "that ",
    "remember",
    "s ",
)


class Talk(BaseModel):
    tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    per_s: Annotated[float, Field(gt=0, le=100_000)] = 50.0


@workflow("talk", version="1", description="Says so many tokens, so many a second.")
async def talk(ctx: WorkflowContext, input: Talk) -> int:
    async def said() -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        for n in range(input.tokens):
            yield TOKENS[n % len(TOKENS)]
            # By the clock and not by the pause, so that a busy machine doesn't make a slower model of it.
            await asyncio.sleep(max(0.0, begun + (n + 1) / input.per_s - loop.time()))

    return len(await ctx.message(said()))
