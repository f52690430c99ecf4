"""Tools that are called, and plans that are carried out task by task."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from holdfast.events.catalog.base import ErrorInfo, Event, Milliseconds, Record


class ToolStarted(Event):
    """A tool is being called."""

    type: Literal["tool.started"] = "tool.started"
    call_id: str
    name: str
    args: JsonValue = None


class ToolProgress(Event):
    """The tool tells how far it is."""

    type: Literal["tool.progress"] = "tool.progress"
    call_id: str
    name: str
    text: str | None = None
    fraction: Annotated[float, Field(ge=0, le=1)] | None = None


class ToolCompleted(Event):
    """The tool returned; its result is normalised here, once."""

    type: Literal["tool.completed"] = "tool.completed"
    call_id: str
    name: str
    result: JsonValue = None
    content_type: str = "application/json"
    duration_ms: Milliseconds


class ToolFailed(Event):
    """The tool raised."""

    type: Literal["tool.failed"] = "tool.failed"
    call_id: str
    name: str
    error: ErrorInfo
    duration_ms: Milliseconds


class PlanItem(Record):
    """One task of a plan."""

    task_id: str
    title: str


class PlanCreated(Event):
    """What is going to be done, in order; the same plan id replaces an earlier plan."""

    type: Literal["plan.created"] = "plan.created"
    plan_id: str
    title: str | None = None
    items: tuple[PlanItem, ...] = ()


class PlanFailed(Event):
    """No plan could be made, or it can't be carried out."""

    type: Literal["plan.failed"] = "plan.failed"
    plan_id: str
    error: ErrorInfo


class TaskStarted(Event):
    """Work on a task begins."""

    type: Literal["task.started"] = "task.started"
    task_id: str
    title: str | None = None


class TaskCompleted(Event):
    """The task is done."""

    type: Literal["task.completed"] = "task.completed"
    task_id: str
    duration_ms: Milliseconds
    result: JsonValue = None


class TaskFailed(Event):
    """The task could not be done."""

    type: Literal["task.failed"] = "task.failed"
    task_id: str
    error: ErrorInfo
    duration_ms: Milliseconds


class TaskCancelled(Event):
    """The task was given up before its end."""

    type: Literal["task.cancelled"] = "task.cancelled"
    task_id: str
    duration_ms: Milliseconds
    reason: str | None = None
