"""One execution of a workflow: start, attempts, waiting for people, stages, and the one end."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import AliasChoices, AwareDatetime, Field, JsonValue

from holdfast.events.catalog.base import ErrorInfo, Event, Milliseconds, Usage


class RunStarted(Event):
    """A worker claimed the run and is about to take its first step."""

    type: Literal["run.started"] = "run.started"
    workflow: str
    workflow_version: str
    input: JsonValue = None


class RunResumed(Event):
    """A worker goes on with a run that stopped: the envelope's `attempt` tells which try this is."""

    type: Literal["run.resumed"] = "run.resumed"
    reason: Literal["takeover", "input", "timer", "drain", "retry"]


class RunRetrying(Event):
    """The attempt failed in a way that trying again may mend; the next one begins after `delay_ms`."""

    type: Literal["run.retrying"] = "run.retrying"
    error: ErrorInfo
    delay_ms: Milliseconds
    next_attempt: int


class RunCompleted(Event):
    """Terminal: the workflow returned."""

    type: Literal["run.completed"] = "run.completed"
    result: JsonValue = None
    duration_ms: Milliseconds
    usage: Usage | None = None


class RunFailed(Event):
    """Terminal: the workflow raised, or Holdfast gave the run up; `error.code` tells which."""

    type: Literal["run.failed"] = "run.failed"
    error: ErrorInfo
    duration_ms: Milliseconds


class RunCancelled(Event):
    """Terminal: somebody asked for the end and got it."""

    type: Literal["run.cancelled"] = "run.cancelled"
    reason: str | None = None
    duration_ms: Milliseconds


class InputRequested(Event):
    """The run waits for a person; it holds no worker meanwhile."""

    type: Literal["input.requested"] = "input.requested"
    input_id: str
    prompt: str
    value_schema: dict[str, JsonValue] | None = Field(
        default=None, description="JSON Schema that the answer must satisfy"
    )
    deadline: AwareDatetime | None = None


class InputReceived(Event):
    """The answer arrived; the first one counts."""

    type: Literal["input.received"] = "input.received"
    input_id: str
    value: JsonValue = None
    duration_ms: Milliseconds


class InputExpired(Event):
    """Nobody answered before the deadline."""

    type: Literal["input.expired"] = "input.expired"
    input_id: str
    duration_ms: Milliseconds


class StageChanged(Event):
    """The run entered another stage of its work."""

    type: Literal["stage.changed"] = "stage.changed"
    from_: str | None = Field(
        default=None, validation_alias=AliasChoices("from_", "from"), serialization_alias="from"
    )
    to: str

    def data(self) -> Mapping[str, Any]:
        """Return `from` and `to` (Python reserves the first word)."""
        return {"from": self.from_, "to": self.to} if self.from_ else {"to": self.to}
