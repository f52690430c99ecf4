"""What the user sees beside messages, and the state that agents share."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from holdfast.events.catalog.base import ErrorInfo, Event, Milliseconds


class ComponentRendered(Event):
    """A piece of generated interface; the same component id replaces the earlier one."""

    type: Literal["component.rendered"] = "component.rendered"
    component_id: str
    component_type: str
    content: JsonValue = None


class NotificationSent(Event):
    """A short notice for the user."""

    type: Literal["notification.sent"] = "notification.sent"
    text: str
    level: Literal["info", "success", "warning", "error"] = "info"
    title: str | None = None


class ProgressUpdated(Event):
    """How much of the run is done, as a fraction of one."""

    type: Literal["progress.updated"] = "progress.updated"
    fraction: Annotated[float, Field(ge=0, le=1)]
    label: str | None = None


class ArtifactCreated(Event):
    """Something to keep came out of the run; large content is a `uri`, small content is inline."""

    type: Literal["artifact.created"] = "artifact.created"
    artifact_id: str
    name: str
    media_type: str = "text/plain"
    content: str | None = None
    uri: str | None = None
    size: int | None = None


class StateSnapshot(Event):
    """The whole shared state of the run's agents."""

    type: Literal["state.snapshot"] = "state.snapshot"
    state: dict[str, JsonValue]


class StateUpdated(Event):
    """Keys of the shared state that changed; None removes a key."""

    type: Literal["state.updated"] = "state.updated"
    changes: dict[str, JsonValue]


class CheckpointSaved(Event):
    """A framework's own state is on disk; a takeover goes on from here."""

    type: Literal["checkpoint.saved"] = "checkpoint.saved"
    checkpoint_id: str
    namespace: str | None = None
    next: tuple[str, ...] = ()


class CheckpointRestored(Event):
    """A new attempt goes on from this checkpoint."""

    type: Literal["checkpoint.restored"] = "checkpoint.restored"
    checkpoint_id: str
    namespace: str | None = None


class MiddlewareExecuted(Event):
    """A middleware let the call through."""

    type: Literal["middleware.executed"] = "middleware.executed"
    name: str
    duration_ms: Milliseconds


class MiddlewareFailed(Event):
    """A middleware stopped the call."""

    type: Literal["middleware.failed"] = "middleware.failed"
    name: str
    error: ErrorInfo
    duration_ms: Milliseconds
