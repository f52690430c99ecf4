"""What an AG-UI agent's next turn is told of the earlier ones: messages, shared state, and which id is ours for which.

Recorded with each turn's result, so that a takeover, or an answer a week later, goes on from there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, cast

import jsonpatch
from ag_ui.core import Message
from pydantic import BaseModel, JsonValue, TypeAdapter

from holdfast.orchestrator.executors.agui_order import AgentStreamBroken

Json = Any

# What goes into the next turn's input: our own notes, which the protocol's models don't know, stay out.
_MESSAGE: Final[TypeAdapter[Any]] = TypeAdapter(Message)


@dataclass(slots=True)
class Memory:
    """One run's conversation with its agent, turn after turn."""

    messages: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])
    state: Json = None
    names: dict[str, str] = field(default_factory=dict[str, str])  # "kind:their id" → our id
    tools: dict[str, str] = field(default_factory=dict[str, str])  # our call id → the tool's name
    activities: dict[str, Json] = field(default_factory=dict[str, Json])  # their id → type, content

    def dump(self) -> dict[str, Json]:
        """Return it as JSON."""
        return {
            "messages": self.messages,
            "state": self.state,
            "names": self.names,
            "tools": self.tools,
            "activities": self.activities,
        }

    @classmethod
    def load(cls, kept: dict[str, Json]) -> "Memory":
        """Return what `dump` gave."""
        return cls(**kept)

    def name(self, kind: str, theirs: str, make: Callable[[], str]) -> str:
        """Return our id for one of theirs, made when it is first met."""
        return self.names.setdefault(f"{kind}:{theirs}", make())

    def said(self, message_id: str, role: str, content: str, name: str | None) -> None:
        """Note a whole message of the agent itself."""
        found = self._find(message_id)
        if found is None:
            found = {"id": message_id, "role": role} | ({"name": name} if name else {})
            self.messages.append(found)
        found["content"] = content

    def called(self, call_id: str, tool: str, arguments: str, parent: str | None) -> None:
        """Note a tool call, in the message that it belongs to."""
        message: dict[str, Any] | None = self._find(parent) if parent else None
        if message is None:
            message = {"id": parent or f"{call_id}.message", "role": "assistant"}
            self.messages.append(message)
        function = {"name": tool, "arguments": arguments}
        calls: list[dict[str, Any]] = message.setdefault("toolCalls", [])
        if not any(call["id"] == call_id for call in calls):
            calls.append({"id": call_id, "type": "function", "function": function})

    def returned(self, message_id: str, call_id: str, content: Json) -> None:
        """Note a tool's result."""
        if self._find(message_id) is None:
            entry = {"id": message_id, "role": "tool", "toolCallId": call_id, "content": content}
            self.messages.append(entry)

    def answer(self) -> str | None:
        """Return the text of the agent's last message."""
        for message in reversed(self.messages):
            if message["role"] == "assistant" and isinstance(message.get("content"), str):
                return cast("str", message["content"])
        return None

    def history(self) -> list[Any]:
        """Return the messages as the protocol's models."""
        return [_MESSAGE.validate_python(message) for message in self.messages]

    def _find(self, message_id: str | None) -> dict[str, Json] | None:
        return next((m for m in self.messages if m["id"] == message_id), None)


def patched(document: Json, patch: list[Any], what: str) -> Json:
    """Return a document after a JSON Patch; the given one stays as it is. Raises AgentStreamBroken."""
    operations = [
        one.model_dump(mode="json", by_alias=True) if isinstance(one, BaseModel) else one
        for one in patch
    ]
    try:
        return jsonpatch.apply_patch(document, operations)
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError) as error:
        raise AgentStreamBroken(f"{what} doesn't fit what it changes: {error}") from error


def changes(old: dict[str, JsonValue], after: dict[str, JsonValue]) -> dict[str, JsonValue] | None:
    """Return the keys that differ, None for one that is gone; None when only a snapshot can tell the difference."""
    if not old:
        return None
    differ: dict[str, JsonValue] = {
        key: value for key, value in after.items() if key not in old or old[key] != value
    }
    # On the wire a null says that the key is gone.
    if any(value is None for value in differ.values()):
        return None
    return differ | {key: None for key in old if key not in after}
