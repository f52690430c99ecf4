"""The words of the log: one frozen model per event type, and the type that picks the model.

Closed when written: a field that the model doesn't have is an error at the place that wrote it. Tolerant when
read: unknown fields are ignored and unknown types become `UnknownEvent`, so that an old reader survives a new
writer. Within v1 changes are additive only.
"""

from collections.abc import Mapping
from typing import Any, Final, get_args

from holdfast.events.catalog.base import ErrorInfo, Event, Record, Usage
from holdfast.events.catalog.custom import CustomEvent, UnknownEvent, custom_model, register_custom
from holdfast.events.catalog.message import (
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    ReasoningCompleted,
    ReasoningDelta,
    ReasoningStarted,
    Role,
)
from holdfast.events.catalog.run import (
    InputExpired,
    InputReceived,
    InputRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunResumed,
    RunRetrying,
    RunStarted,
    StageChanged,
)
from holdfast.events.catalog.session import (
    CommandAccepted,
    CommandRejected,
    SessionCreated,
    SessionErased,
    SessionExpired,
)
from holdfast.events.catalog.step import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    LlmCompleted,
    LlmDelta,
    LlmFailed,
    LlmStarted,
    StepCompleted,
    StepFailed,
    StepRestarted,
    StepRetrying,
    StepStarted,
)
from holdfast.events.catalog.ui import (
    ArtifactCreated,
    CheckpointRestored,
    CheckpointSaved,
    ComponentRendered,
    MiddlewareExecuted,
    MiddlewareFailed,
    NotificationSent,
    ProgressUpdated,
    StateSnapshot,
    StateUpdated,
)
from holdfast.events.catalog.work import (
    PlanCreated,
    PlanFailed,
    PlanItem,
    TaskCancelled,
    TaskCompleted,
    TaskFailed,
    TaskStarted,
    ToolCompleted,
    ToolFailed,
    ToolProgress,
    ToolStarted,
)

CATALOG: Final[tuple[type[Event], ...]] = (
    SessionCreated,
    SessionExpired,
    SessionErased,
    RunStarted,
    RunResumed,
    RunRetrying,
    RunCompleted,
    RunFailed,
    RunCancelled,
    InputRequested,
    InputReceived,
    InputExpired,
    StageChanged,
    StepStarted,
    StepCompleted,
    StepFailed,
    StepRetrying,
    StepRestarted,
    AgentStarted,
    AgentCompleted,
    AgentFailed,
    LlmStarted,
    LlmDelta,
    LlmCompleted,
    LlmFailed,
    MessageStarted,
    MessageDelta,
    MessageCompleted,
    ReasoningStarted,
    ReasoningDelta,
    ReasoningCompleted,
    ToolStarted,
    ToolProgress,
    ToolCompleted,
    ToolFailed,
    PlanCreated,
    PlanFailed,
    TaskStarted,
    TaskCompleted,
    TaskFailed,
    TaskCancelled,
    ComponentRendered,
    NotificationSent,
    ProgressUpdated,
    ArtifactCreated,
    StateSnapshot,
    StateUpdated,
    CheckpointSaved,
    CheckpointRestored,
    CommandAccepted,
    CommandRejected,
    MiddlewareExecuted,
    MiddlewareFailed,
)
"""Every type of ours, in the order in which the documentation tells of them."""

TERMINAL_TYPES: Final = frozenset({"run.completed", "run.failed", "run.cancelled"})
"""A run has exactly one event of these, and it is its last."""

MODELS: Final[Mapping[str, type[Event]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in CATALOG
}
"""The model of each type."""


def parse_event(type_: str, data: Mapping[str, Any]) -> Event:
    """Return the model of `type_` filled from `data`; unknown fields are ignored, unknown types pass through.

    Raises pydantic's ValidationError when a known type lacks what it needs: the log holds no such event.
    """
    model = MODELS.get(type_) or custom_model(type_)
    if model is None:
        return UnknownEvent(type=type_, fields=dict(data))
    return model.model_validate({**data, "type": type_}, extra="ignore")


__all__ = [
    "CATALOG",
    "MODELS",
    "TERMINAL_TYPES",
    "AgentCompleted",
    "AgentFailed",
    "AgentStarted",
    "ArtifactCreated",
    "CheckpointRestored",
    "CheckpointSaved",
    "CommandAccepted",
    "CommandRejected",
    "ComponentRendered",
    "CustomEvent",
    "ErrorInfo",
    "Event",
    "InputExpired",
    "InputReceived",
    "InputRequested",
    "LlmCompleted",
    "LlmDelta",
    "LlmFailed",
    "LlmStarted",
    "MessageCompleted",
    "MessageDelta",
    "MessageStarted",
    "MiddlewareExecuted",
    "MiddlewareFailed",
    "NotificationSent",
    "PlanCreated",
    "PlanFailed",
    "PlanItem",
    "ProgressUpdated",
    "ReasoningCompleted",
    "ReasoningDelta",
    "ReasoningStarted",
    "Record",
    "Role",
    "RunCancelled",
    "RunCompleted",
    "RunFailed",
    "RunResumed",
    "RunRetrying",
    "RunStarted",
    "SessionCreated",
    "SessionErased",
    "SessionExpired",
    "StageChanged",
    "StateSnapshot",
    "StateUpdated",
    "StepCompleted",
    "StepFailed",
    "StepRestarted",
    "StepRetrying",
    "StepStarted",
    "TaskCancelled",
    "TaskCompleted",
    "TaskFailed",
    "TaskStarted",
    "ToolCompleted",
    "ToolFailed",
    "ToolProgress",
    "ToolStarted",
    "UnknownEvent",
    "Usage",
    "parse_event",
    "register_custom",
]
