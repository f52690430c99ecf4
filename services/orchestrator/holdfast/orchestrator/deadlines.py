"""How long a run may take: from its first start, waits included, whatever becomes of its workers."""

import math
from datetime import datetime
from typing import TYPE_CHECKING

from holdfast.events.errors import HoldfastError
from holdfast.events.store import Run

if TYPE_CHECKING:
    from holdfast.orchestrator.workflow import Workflow


class RunTimedOut(HoldfastError):
    """The run was not done within its workflow's `timeout_s`, or its request's."""

    code = "timeout"


def allowed_s(workflow: "Workflow", run: Run) -> float:
    """Return how long the run may take in all: the smaller of what its workflow and its request allow."""
    return min(workflow.timeout_s or math.inf, run.timeout_s or math.inf)


def left_s(workflow: "Workflow", run: Run, now: datetime) -> float:
    """Return how long the run may still take; math.inf when neither its workflow nor its request sets a limit.

    `now` is the database's time, as its note of the first start is.
    """
    allowed = allowed_s(workflow, run)
    if math.isinf(allowed) or run.started_at is None:
        return allowed
    return allowed - (now - run.started_at).total_seconds()


def timed_out(workflow: "Workflow", run: Run) -> RunTimedOut:
    """Return the error of a run whose time is up."""
    allowed = allowed_s(workflow, run)
    if allowed == run.timeout_s:
        return RunTimedOut(
            f"the run of workflow {workflow.name!r} was not done within the {allowed:g} s that its request allowed;"
            " ask for more with timeout_s"
        )
    return RunTimedOut(
        f"workflow {workflow.name!r} was not done within its timeout of {allowed:g} s;"
        " give it more with @workflow(…, timeout_s=…)"
    )
