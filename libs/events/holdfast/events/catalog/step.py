"""Recorded units of a workflow, the agents that do them and the model calls they make."""

from typing import Literal

from pydantic import JsonValue

from holdfast.events.catalog.base import ErrorInfo, Event, Milliseconds, Usage


class StepStarted(Event):
    """The step's function is about to be called. The envelope's `step` is its key."""

    type: Literal["step.started"] = "step.started"
    name: str


class StepCompleted(Event):
    """The step's result is recorded and will never be computed again."""

    type: Literal["step.completed"] = "step.completed"
    name: str
    duration_ms: Milliseconds
    result: JsonValue = None


class StepFailed(Event):
    """The step raised and will not be tried again."""

    type: Literal["step.failed"] = "step.failed"
    name: str
    error: ErrorInfo
    duration_ms: Milliseconds


class StepRetrying(Event):
    """The step raised and is tried again after `delay_ms`."""

    type: Literal["step.retrying"] = "step.retrying"
    name: str
    error: ErrorInfo
    delay_ms: Milliseconds
    next_try: int


class StepRestarted(Event):
    """A new attempt does the step over: drop what the earlier attempt showed of it."""

    type: Literal["step.restarted"] = "step.restarted"
    name: str


class AgentStarted(Event):
    """An agent takes its turn. The envelope's `agent` is its name."""

    type: Literal["agent.started"] = "agent.started"
    name: str
    role: str | None = None


class AgentCompleted(Event):
    """The agent's turn is over."""

    type: Literal["agent.completed"] = "agent.completed"
    name: str
    duration_ms: Milliseconds
    result: JsonValue = None


class AgentFailed(Event):
    """The agent's turn ended in an error; the run may still go on."""

    type: Literal["agent.failed"] = "agent.failed"
    name: str
    error: ErrorInfo
    duration_ms: Milliseconds


class LlmStarted(Event):
    """A model is being called."""

    type: Literal["llm.started"] = "llm.started"
    call_id: str
    model: str | None = None


class LlmDelta(Event):
    """Raw text from the model, where it is not shown as a message."""

    type: Literal["llm.delta"] = "llm.delta"
    call_id: str
    text: str


class LlmCompleted(Event):
    """The model finished its answer."""

    type: Literal["llm.completed"] = "llm.completed"
    call_id: str
    duration_ms: Milliseconds
    model: str | None = None
    usage: Usage | None = None
    time_to_first_token_ms: Milliseconds | None = None
    finish_reason: str | None = None


class LlmFailed(Event):
    """The model call ended in an error that a user can understand."""

    type: Literal["llm.failed"] = "llm.failed"
    call_id: str
    error: ErrorInfo
    duration_ms: Milliseconds
    model: str | None = None
