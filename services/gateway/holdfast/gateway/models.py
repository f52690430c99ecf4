"""What is answered, as models: they make the OpenAPI document. Answers may grow, requests are closed (`requests`)."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from holdfast.events.store import Hold, RunStatus, SessionStatus


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class EventAccepted(_Answer):
    """The event was asked for; it is appended after seq `after`, or refused there with `command.rejected`."""

    session_id: str
    after: int


class Accepted(_Answer):
    """A run was asked for. Follow its stream after `after` and nothing of it is missed."""

    run_id: str
    session_id: str
    after: int = Field(description="the cursor to begin with")
    stream: str = Field(description="the run's stream, as a path")


class RunView(_Answer):
    """A run as it stands."""

    run_id: str
    session_id: str
    workflow: str
    workflow_version: str | None
    status: RunStatus
    input: JsonValue
    after: int = Field(description="the session's head when the run was asked for")
    attempts: int
    parent_run_id: str | None
    user_id: str | None
    trace_id: str | None
    waiting: dict[str, Any] = Field(description="inputs that the run waits for, by input id")
    priority: int
    timeout_s: float | None = Field(description="what its request allows it, beside its workflow")
    held_by: Hold | None = Field(
        description="what keeps a queued run, or one that could go on, from being taken up; null = nothing but time"
    )
    due_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    stream: str = Field(description="the run's stream, as a path")


class RunSummary(_Answer):
    """A run in its session's answer."""

    run_id: str
    workflow: str
    status: RunStatus
    created_at: datetime
    ended_at: datetime | None


class SessionView(_Answer):
    """A session as it stands."""

    session_id: str
    status: SessionStatus
    head: int = Field(description="the seq of its last event; 0 when there is none yet")
    min_seq: int = Field(description="the first seq that is still kept")
    created_at: datetime
    expires_at: datetime | None
    ttl_s: int | None
    metadata: dict[str, JsonValue]
    active_run: str | None


class SessionDetail(SessionView):
    """A session with its latest runs."""

    runs: list[RunSummary] = Field(description="newest first, at most 100")


class SessionList(_Answer):
    """A page of sessions, newest first."""

    items: list[SessionView]
    next_cursor: str | None = Field(description="pass it as `cursor` for the next page")


class WorkflowView(_Answer):
    """A workflow that some worker announced."""

    name: str
    version: str
    description: str | None
    input_schema: dict[str, Any] | None = Field(description="JSON Schema 2020-12 of a run's input")
    load_error: str | None = Field(description="why it can't run, if it can't")
    workers: list[str] = Field(description="those seen lately")
    max_concurrent: int | None = Field(
        description="how many runs of it may be at work at once; null = no limit"
    )


class WorkflowList(_Answer):
    """Every workflow, by name."""

    items: list[WorkflowView]


class WireEvent(BaseModel):
    """An event as every reader gets it. What is empty is absent; unknown types and fields may come any day."""

    model_config = ConfigDict(extra="allow")

    v: int
    seq: int
    type: str
    session_id: str
    run_id: str | None = None
    attempt: int | None = None
    ts: datetime
    agent: str | None = None
    step: str | None = None
    lane: str | None = None
    parent_run_id: str | None = None
    task_id: str | None = None
    item_id: str | None = None
    user_id: str | None = None
    trace_id: str | None = None
    metadata: dict[str, JsonValue] | None = None
    data: dict[str, JsonValue]


class EventPage(_Answer):
    """Events in seq order. Read on with `after=next_after` while it is below `head`."""

    items: list[WireEvent]
    next_after: int = Field(
        description="every wanted event up to here is in this page or an earlier one"
    )
    head: int
    min_seq: int


class FieldError(_Answer):
    """One thing that is wrong with a request."""

    in_: str = Field(alias="in", description="body, query, header or path")
    pointer: str = Field(description="JSON pointer to the field")
    detail: str


class ProblemDocument(BaseModel):
    """An error (RFC 9457). `errors` is there when fields of the request are to blame; some codes add members."""

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    title: str
    status: int
    code: str = Field(description="stable, kebab-case: what programs look at")
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] | None = None
