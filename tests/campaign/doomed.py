"""A workflow that kills whoever runs it: loaded by those workers only that are there to be hurt."""

import asyncio
import os
import signal

from pydantic import BaseModel

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow


class DoomedInput(BaseModel):
    pass


@workflow("doomed", version="1")
async def doomed(ctx: WorkflowContext, input: DoomedInput) -> None:
    """Kill the worker at once, as a crashing native library would: no exception, no farewell."""
    os.kill(os.getpid(), signal.SIGKILL)
    await asyncio.sleep(60)
