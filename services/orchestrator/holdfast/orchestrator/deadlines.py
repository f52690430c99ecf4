"""How long a run may take: from its first start, waits included, whatever becomes of its workers."""

import math
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.events.errors import HoldfastError
from holdfast.events.store import Run

if TYPE_CHECKING:
    from holdfast.orchestrator.workflow import Workflow


class RunTimedOut(HoldfastError):
    """The run was not done within its workflow's `timeout_s`."""

    code = "timeout"


def left_s(workflow: "Workflow", run: Run, now: datetime) -> float:
    """Return how long the run may still take; math.inf when its workflow has no timeout.

    `now` is the database's time, as its note of the first start is.
    """
    if workflow.timeout_s is None:
        return math.inf
    if run.started_at is None:
        return workflow.timeout_s
    return workflow.timeout_s - (now - run.started_at).total_seconds()


def timed_out(workflow: "Workflow") -> RunTimedOut:
    """Return the error of a run whose time is up."""
    return RunTimedOut(
        f"workflow {workflow.name!r} was not done within its timeout of {workflow.timeout_s or 0:g} s;"
        " give it more with @workflow(…, timeout_s=…)"
    )
