"""What is said and thought: messages in chunks and whole, and reasoning."""

from typing import Literal

from holdfast.events.catalog.base import Event, Milliseconds

Role = Literal["user", "assistant", "system", "tool"]


class MessageStarted(Event):
    """A message begins; its chunks follow under the same id."""

    type: Literal["message.started"] = "message.started"
    message_id: str
    role: Role = "assistant"
    content_type: str = "text/plain"


class MessageDelta(Event):
    """The next piece of a message's text."""

    type: Literal["message.delta"] = "message.delta"
    message_id: str
    text: str


class MessageCompleted(Event):
    """The whole message; it replaces whatever chunks were shown."""

    type: Literal["message.completed"] = "message.completed"
    message_id: str
    role: Role = "assistant"
    content: str
    content_type: str = "text/plain"
    duration_ms: Milliseconds


class ReasoningStarted(Event):
    """The model thinks aloud."""

    type: Literal["reasoning.started"] = "reasoning.started"
    reasoning_id: str


class ReasoningDelta(Event):
    """The next piece of a thought."""

    type: Literal["reasoning.delta"] = "reasoning.delta"
    reasoning_id: str
    text: str


class ReasoningCompleted(Event):
    """The whole thought."""

    type: Literal["reasoning.completed"] = "reasoning.completed"
    reasoning_id: str
    content: str
    duration_ms: Milliseconds
