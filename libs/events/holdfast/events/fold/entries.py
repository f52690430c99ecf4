"""The records that a state is made of. Every key is always present; null means that nobody said.

Entries of one kind stand in the order of their first appearance, and an id is what makes two
events speak of the same entry: see `State` for which. `ts` is when the entry first appeared.

`withdrawn` marks what an attempt showed that didn't live to finish it: its text is empty and
readers don't show it. It is kept because the next attempt may go on with the same id without
announcing it again (the announcement has its key in the log, and no key is appended twice); then
the mark goes away. If none does, the entry goes with its step.
"""

from typing import Any, TypedDict

Json = Any
"""A JSON value of an application's own. Never changed in place: it is shared with its event."""


class Entry(TypedDict):
    """Where and when an entry first appeared."""

    run_id: str | None
    step: str | None
    agent: str | None
    lane: str | None
    ts: str


class Session(TypedDict):
    """The session itself; `status` is active, expired or erased."""

    session_id: str | None
    status: str
    metadata: dict[str, Json]
    ttl_s: int | None
    created_ts: str | None


class Run(TypedDict):
    """One run; `status` is queued, running, waiting, completed, failed or cancelled."""

    run_id: str | None
    parent_run_id: str | None
    workflow: str | None
    workflow_version: str | None
    status: str
    attempt: int | None
    ts: str
    started_ts: str | None
    ended_ts: str | None
    result: Json
    error: Json
    reason: str | None
    stage: str | None
    progress: Json
    usage: Json
    duration_ms: int | None


class Message(Entry):
    """What was said. `cut`: its run ended before it was whole."""

    message_id: str
    role: str
    content: str
    content_type: str
    trace_id: str | None
    complete: bool
    cut: bool
    withdrawn: bool
    duration_ms: int | None


class Reasoning(Entry):
    """What was thought; marks as in a message."""

    reasoning_id: str
    content: str
    complete: bool
    cut: bool
    withdrawn: bool
    duration_ms: int | None


class Step(TypedDict):
    """A recorded unit of a run; `status` is running, retrying, completed, failed or cancelled."""

    run_id: str | None
    key: str | None
    name: str | None
    agent: str | None
    lane: str | None
    status: str
    attempt: int | None
    ts: str
    ended_ts: str | None
    result: Json
    error: Json
    duration_ms: int | None


class Agent(Entry):
    """An agent's latest turn in a lane; `status` is running, completed, failed or cancelled."""

    name: str
    role: str | None
    status: str
    result: Json
    error: Json
    duration_ms: int | None


class LlmCall(Entry):
    """A model call; `status` is running, completed, failed or cancelled."""

    call_id: str
    model: str | None
    text: str
    status: str
    usage: Json
    finish_reason: str | None
    error: Json
    withdrawn: bool
    duration_ms: int | None
    time_to_first_token_ms: int | None


class ToolCall(Entry):
    """A tool call; `status` as of a model call, `progress` is {text, fraction}."""

    call_id: str
    name: str
    args: Json
    status: str
    progress: Json
    result: Json
    content_type: str | None
    error: Json
    withdrawn: bool
    duration_ms: int | None


class Plan(Entry):
    """A plan; `status` is created or failed, `items` are {task_id, title}."""

    plan_id: str
    title: str | None
    items: list[Json]
    status: str
    error: Json


class Task(Entry):
    """A task, planned or not; `status` is pending, running, completed, failed or cancelled."""

    task_id: str
    plan_id: str | None
    title: str | None
    status: str
    result: Json
    error: Json
    reason: str | None
    duration_ms: int | None


class Component(Entry):
    """A piece of generated interface as it was last rendered."""

    component_id: str
    component_type: str
    content: Json


class PendingInput(Entry):
    """A question that nobody has answered yet."""

    input_id: str
    prompt: str
    value_schema: Json
    deadline: str | None


class Artifact(Entry):
    """Something to keep that came out of a run."""

    artifact_id: str
    name: str
    media_type: str
    content: str | None
    uri: str | None
    size: int | None


class Notification(TypedDict):
    """A short notice."""

    run_id: str | None
    agent: str | None
    ts: str
    level: str
    title: str | None
    text: str
