"""Workflows that tell what a worker did to the outside world, and one that kills whoever runs it.

The outside is a file that every process appends to: it knows nothing of attempts, and it forgets nothing.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, Field

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.context_wait import InputTimedOut
from holdfast.orchestrator.workflow import workflow


class LedgerInput(BaseModel):
    path: str
    steps: Annotated[int, Field(ge=1, le=1000)] = 10
    pause_ms: Annotated[float, Field(ge=0, le=60_000)] = 20


@workflow("ledger", version="1")
async def ledger(ctx: WorkflowContext, input: LedgerInput) -> dict[str, int]:
    """Take `steps` steps; each writes a line into the file, then works for a while."""

    async def pay(number: int) -> int:
        entry = {
            "key": ctx.idempotency_key,
            "number": number,
            "attempt": ctx.attempt,
            "pid": os.getpid(),
            "at": time.time(),
        }
        _note(input.path, entry)
        await asyncio.sleep(input.pause_ms / 1000)
        return number * number

    total = 0
    for number in range(input.steps):
        total += await ctx.step("pay", pay, number)
    return {"total": total}


class AskInput(BaseModel):
    timeout_s: Annotated[float, Field(gt=0, le=3600)] | None = None


@workflow("ask", version="1")
async def ask(ctx: WorkflowContext, input: AskInput) -> dict[str, int | None]:
    """Ask for a number and return it; None when nobody answers in time."""
    try:
        number = await ctx.input("Which number?", schema=int, timeout_s=input.timeout_s)
    except InputTimedOut:
        return {"number": None}
    return {"number": number}


class DoomedInput(BaseModel):
    path: str


@workflow("doomed", version="1")
async def doomed(ctx: WorkflowContext, input: DoomedInput) -> None:
    """Kill the worker at once, as a crashing native library would: no exception, no farewell."""
    _note(input.path, {"attempt": ctx.attempt, "pid": os.getpid(), "at": time.time()})
    os._exit(1)


def _note(path: str, entry: dict[str, Any]) -> None:
    # One write of one short line to a file opened for appending: never torn, also by a SIGKILL.
    with Path(path).open("ab", buffering=0) as file:
        file.write(orjson.dumps(entry) + b"\n")
