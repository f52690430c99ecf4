"""What runs during a campaign: steps with a ledger outside, and streamed messages.

The outside is a file that every process appends to: it knows nothing of attempts, and it forgets nothing.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from pydantic import BaseModel, Field

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class LedgerInput(BaseModel):
    path: str
    steps: Annotated[int, Field(ge=1, le=1000)] = 6
    pause_ms: Annotated[float, Field(ge=0, le=60_000)] = 40


@workflow("ledger", version="1")
async def ledger(ctx: WorkflowContext, input: LedgerInput) -> dict[str, int]:
    """Take `steps` steps; each writes a line into the file, then works for a while."""

    async def pay(number: int) -> int:
        _note(input.path, ctx.idempotency_key, ctx.attempt)
        await asyncio.sleep(input.pause_ms / 1000)
        return number * number

    total = 0
    for number in range(input.steps):
        total += await ctx.step("pay", pay, number)
    return {"total": total}


NARROW_MOST = 2
"""So many runs of `narrow` may be at work at once, over all workers."""


class NarrowInput(BaseModel):
    steps: Annotated[int, Field(ge=1, le=1000)] = 4
    pause_ms: Annotated[float, Field(ge=0, le=60_000)] = 20


@workflow("narrow", version="1", max_concurrent=NARROW_MOST)
async def narrow(ctx: WorkflowContext, input: NarrowInput) -> int:
    """Take `steps` steps, while only one other run of this workflow does."""

    async def work(number: int) -> int:
        await asyncio.sleep(input.pause_ms / 1000)
        return number

    return sum([await ctx.step("work", work, number) for number in range(input.steps)])


class TalkInput(BaseModel):
    messages: Annotated[int, Field(ge=1, le=100)] = 3
    pieces: Annotated[int, Field(ge=1, le=1000)] = 12
    pause_ms: Annotated[float, Field(ge=0, le=60_000)] = 15


@workflow("talk", version="1")
async def talk(ctx: WorkflowContext, input: TalkInput) -> dict[str, int]:
    """Say `messages` messages as a model does: in pieces without keys, which an interruption begins anew."""

    async def pieces(number: int) -> AsyncIterator[str]:
        for piece in range(input.pieces):
            yield f"{number}.{piece} "
            await asyncio.sleep(input.pause_ms / 1000)

    for number in range(input.messages):
        await ctx.message(pieces(number))
    return {"messages": input.messages}


def _note(path: str, key: str, attempt: int) -> None:
    line = orjson.dumps({"key": key, "attempt": attempt, "at": time.time(), "pid": os.getpid()})
    with open(path, "ab", buffering=0) as file:
        file.write(line + b"\n")
