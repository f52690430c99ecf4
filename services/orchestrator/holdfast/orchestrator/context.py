"""`ctx`: what a plain async workflow does in front of its users, written so that it can be done over.

A workflow function is replayed from its top after a crash, a deploy or a wait. Every call on `ctx` that records
something has a key made from its place, `scope/name#ordinal`; a call whose key is in the log returns at once what is
recorded. So the function must make the same calls in the same order each time: whatever varies (time, chance, the
outside world) goes through `ctx.now`, `ctx.random` or `ctx.step`.
"""

from holdfast.orchestrator.context_child import ChildFailed, Children
from holdfast.orchestrator.context_inbox import Inbox
from holdfast.orchestrator.context_lanes import Lane, LaneFailed, Lanes
from holdfast.orchestrator.context_show import Parts, Show
from holdfast.orchestrator.context_step import StepError, Steps, StepTimeout
from holdfast.orchestrator.context_talk import Reply, Talk
from holdfast.orchestrator.context_wait import InputTimedOut, Wait
from holdfast.orchestrator.context_work import TaskDropped, Work
from holdfast.orchestrator.retrying import Retry


class WorkflowContext(Steps, Work, Talk, Show, Wait, Lanes, Children, Inbox):
    """What one attempt of a run does, says, shows and waits for. Made by the executor, never by a workflow."""


__all__ = [
    "ChildFailed",
    "InputTimedOut",
    "Lane",
    "LaneFailed",
    "Parts",
    "Reply",
    "Retry",
    "StepError",
    "StepTimeout",
    "TaskDropped",
    "WorkflowContext",
]
