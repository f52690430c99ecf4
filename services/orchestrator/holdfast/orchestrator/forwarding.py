"""Tells whoever works on a run elsewhere that it was cancelled. The run's own end waits for nobody's answer."""

import asyncio

import orjson
import structlog
from pydantic import JsonValue

from holdfast.events.errors import StoreUnavailable
from holdfast.events.store import Claims, Run
from holdfast.orchestrator.executors.abilities import Forwards, Kept
from holdfast.orchestrator.scribe import MISSING, Missing
from holdfast.orchestrator.workflow import Workflow, Workflows

# A remote agent that doesn't take a cancel within 5 s goes on by itself; its answers are nobody's any more.
FORWARD_TIMEOUT_S = 5.0

log = structlog.get_logger("holdfast.forwarding")


async def forward_cancel(workflow: Workflow | None, run_id: str, kept: Kept) -> None:
    """Pass a cancellation on, where there is somebody to pass it on to. Never raises but when cancelled itself."""
    if workflow is None or not isinstance(workflow.executor, Forwards):
        return
    try:
        async with asyncio.timeout(FORWARD_TIMEOUT_S):
            await workflow.executor.cancelled(run_id, kept)
    except Exception as error:  # noqa: BLE001 - a stranger's agent; the run has ended already
        log.warning("cancel.not_forwarded", run=run_id, workflow=workflow.name, error=str(error))


async def forward_cancel_of_waiting(workflows: Workflows, run: Run, claims: Claims) -> None:
    """Pass on the cancellation of a run that nobody executes. Never raises but when cancelled itself."""
    workflow = workflows.loaded.get(run.workflow)
    if workflow is None or not isinstance(workflow.executor, Forwards):
        return
    try:
        results = (await claims.journal(run.run_id)).results
    except StoreUnavailable as error:
        log.warning("cancel.not_forwarded", run=run.run_id, error=str(error))
        return

    def kept(key: str) -> JsonValue | Missing:
        return orjson.loads(results[key]) if key in results else MISSING

    await forward_cancel(workflow, run.run_id, kept)
