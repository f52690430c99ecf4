"""What a remote A2A agent says, as plain values, and the questions that a router asks of it.

Which kind of event a message stands for is named by its metadata: `event`, `response_event` or `kind`, on the message
or on the update that brings it. On the message is better: an agent's history keeps that, and a takeover reads it there.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, cast

from a2a.types import Artifact, Message, Part, Role, TaskState, TaskStatus
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as ProtoMessage
from pydantic import JsonValue

KIND_KEYS: Final = ("event", "response_event", "kind")

Fields = Mapping[str, JsonValue]


class State(Enum):
    """Where a remote task stands, as far as a run cares."""

    WORKING = "working"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INPUT_REQUIRED = "input-required"


_STATES: Final[Mapping[int, State]] = {
    TaskState.TASK_STATE_COMPLETED: State.COMPLETED,
    TaskState.TASK_STATE_FAILED: State.FAILED,
    TaskState.TASK_STATE_REJECTED: State.FAILED,
    TaskState.TASK_STATE_CANCELED: State.CANCELLED,
    TaskState.TASK_STATE_INPUT_REQUIRED: State.INPUT_REQUIRED,
    # The person signs in elsewhere and says so here.
    TaskState.TASK_STATE_AUTH_REQUIRED: State.INPUT_REQUIRED,
}


def state_of(status: TaskStatus) -> State:
    """Return where the task stands; submitted, and what a newer protocol may add, is working."""
    return _STATES.get(status.state, State.WORKING)


@dataclass(frozen=True, slots=True)
class Update:
    """One thing that the agent said: a message, with what it stands for."""

    message_id: str
    kind: str  # empty for plain text
    text: str
    data: Fields
    metadata: Fields = field(default_factory=dict[str, JsonValue])

    def get(self, name: str, default: JsonValue = None) -> JsonValue:
        """Return a field from the data, or else from the metadata."""
        return self.data.get(name, self.metadata.get(name, default))

    def word(self, name: str) -> str | None:
        """Return a field that is a text; None when it is none, or empty."""
        value = self.get(name)
        return value if isinstance(value, str) and value else None


def is_tool_call(update: Update) -> bool:
    """Tell whether the agent calls a tool, or has its result."""
    return update.kind.partition(".")[0] in ("tool", "tool_call", "tool_result", "function_call")


def is_reasoning(update: Update) -> bool:
    """Tell whether the agent thinks aloud."""
    return update.kind.partition(".")[0] in ("reasoning", "thought", "thinking")


def is_component(update: Update) -> bool:
    """Tell whether the agent shows a piece of interface."""
    return update.kind in ("component", "component.rendered", "ui_component")


def is_message(update: Update) -> bool:
    """Tell whether the agent says something in plain words."""
    return update.kind in ("", "message", "message.completed", "message_chunk")


def is_terminal(state: State) -> bool:
    """Tell whether the remote task is over."""
    return state in (State.COMPLETED, State.FAILED, State.CANCELLED)


def update_of(message: Message, metadata: Fields | None = None) -> Update:
    """Return what a message says; `metadata` is that of the update that brought it."""
    own = dict(metadata or {}) | plain(message.metadata)
    kind = next((own[key] for key in KIND_KEYS if isinstance(own.get(key), str)), "")
    return Update(
        message_id=message.message_id,
        kind=str(kind).lower(),
        text=text_of(message.parts),
        data=data_of(message.parts),
        metadata=own,
    )


def by_agent(message: Message) -> bool:
    """Tell whether a message of a task's history is the agent's own."""
    return message.role == Role.ROLE_AGENT


def text_of(parts: Sequence[Part]) -> str:
    """Return the text of a message's parts."""
    return "".join(part.text for part in parts if part.HasField("text"))


def data_of(parts: Sequence[Part]) -> dict[str, JsonValue]:
    """Return the objects among the parts, joined into one."""
    found: dict[str, JsonValue] = {}
    for part in parts:
        if part.HasField("data") and isinstance(value := plain(part.data), dict):
            found |= cast("dict[str, JsonValue]", value)
    return found


def content_of(artifact: Artifact) -> tuple[str | None, str | None, str]:
    """Return an artifact's inline content, its address, and its media type."""
    kinds = {part.media_type for part in artifact.parts if part.media_type}
    media_type = kinds.pop() if len(kinds) == 1 else ""
    if text := text_of(artifact.parts):
        return text, None, media_type or "text/plain"
    if address := next((part.url for part in artifact.parts if part.HasField("url")), None):
        return None, address, media_type or "application/octet-stream"
    if data := data_of(artifact.parts):
        return json.dumps(data, ensure_ascii=False), None, media_type or "application/json"
    return None, None, media_type or "application/octet-stream"


def plain(value: ProtoMessage) -> Any:
    """Return JSON for a protobuf value; a whole number comes as one, though protobuf knows only floats."""
    return _whole(MessageToDict(value))


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if isinstance(value, dict):
        return {k: _whole(v) for k, v in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        return [_whole(item) for item in cast("list[Any]", value)]
    return value
