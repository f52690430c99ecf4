"""Routes what a remote agent says to typed events: one factory per kind, a whole message at a time.

A kind may also be a type of ours (`agent.started`, `progress.updated`, …): then the data are its fields. A run's own
life, what was asked of it and its checkpoints are not the remote agent's to tell of.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import JsonValue, ValidationError

from holdfast.events.catalog import (
    MODELS,
    ComponentRendered,
    ErrorInfo,
    Event,
    MessageCompleted,
    MessageStarted,
    ReasoningCompleted,
    ReasoningStarted,
    ToolCompleted,
    ToolFailed,
    ToolStarted,
)
from holdfast.events.kinds import family
from holdfast.events.recorded import Context
from holdfast.orchestrator.executors.a2a_updates import (
    Update,
    is_component,
    is_message,
    is_reasoning,
    is_tool_call,
)
from holdfast.orchestrator.executors.arguments import normal_result, parsed

Factory = Callable[[Update, str], Sequence[Event]]
"""Builds the events of an update; the second argument is an id for what it shows, made from run and message."""

_OTHERS_ARE_OURS: Final = frozenset(
    {"session", "run", "input", "command", "checkpoint", "middleware", "llm", "step"}
)

# An error is told in a sentence.
ERROR_CHARS_MAX = 500


def message(update: Update, own_id: str) -> Sequence[Event]:
    """Return a whole message; none without words."""
    if not update.text:
        return ()
    content_type = update.word("content_type") or "text/plain"
    return (
        MessageStarted(message_id=own_id, content_type=content_type),
        MessageCompleted(
            message_id=own_id, content=update.text, content_type=content_type, duration_ms=0
        ),
    )


def reasoning(update: Update, own_id: str) -> Sequence[Event]:
    """Return a whole thought."""
    text = update.text or update.word("text") or ""
    return (
        ReasoningStarted(reasoning_id=own_id),
        ReasoningCompleted(reasoning_id=own_id, content=text, duration_ms=_duration(update)),
    )


def tool_call(update: Update, own_id: str) -> Sequence[Event]:
    """Return a tool's start, result or failure. A result is normalised here, once."""
    call_id = update.word("call_id") or update.word("id") or own_id
    name = update.word("name") or update.word("tool") or "tool"
    if error := update.get("error"):
        info = ErrorInfo(code="tool-failed", message=str(error)[:ERROR_CHARS_MAX])
        took = _duration(update)
        return (ToolFailed(call_id=call_id, name=name, error=info, duration_ms=took),)
    if "result" in update.data or update.kind.endswith(("completed", "result")):
        given = update.get("result", update.text or None)
        result, content_type = normal_result(given) if given is not None else (None, "text/plain")
        return (
            ToolCompleted(
                call_id=call_id,
                name=name,
                result=result,
                content_type=content_type,
                duration_ms=_duration(update),
            ),
        )
    args = update.get("args", update.get("arguments"))
    return (
        ToolStarted(
            call_id=call_id, name=name, args=parsed(args) if isinstance(args, str) else args
        ),
    )


def component(update: Update, own_id: str) -> Sequence[Event]:
    """Return a piece of interface; one of the same component id takes the earlier one's place."""
    return (
        ComponentRendered(
            component_id=update.word("component_id") or update.word("id") or own_id,
            component_type=update.word("component_type") or update.word("type") or "component",
            content=update.get("content", update.text or None),
        ),
    )


def of_our_type(update: Update, own_id: str) -> Sequence[Event]:
    """Return the event that the update names by its type, or its words when the fields don't fit."""
    model = MODELS[update.kind]
    fields: dict[str, Any] = {"duration_ms": 0, **update.data}
    known = {name: value for name, value in fields.items() if name in model.model_fields}
    try:
        return (model.model_validate(known),)
    except ValidationError:
        return message(update, own_id)


class Router:
    """Decides what an update becomes. `more` adds kinds, or replaces the factory of one."""

    def __init__(self, more: Mapping[str, Factory] | None = None) -> None:
        self._more = dict(more or {})

    def events(self, update: Update, own_id: str) -> Sequence[Event]:
        """Return the update's events; a kind that nobody knows is told by its words."""
        return self._factory(update)(update, own_id)

    def _factory(self, update: Update) -> Factory:
        if (own := self._more.get(update.kind)) is not None:
            return own
        for asks, factory in (
            (is_message, message),
            (is_tool_call, tool_call),
            (is_reasoning, reasoning),
            (is_component, component),
        ):
            if asks(update):
                return factory
        ours = update.kind in MODELS and family(update.kind) not in _OTHERS_ARE_OURS
        return of_our_type if ours else message


def placed(at: Context, update: Update) -> Context:
    """Return the context with what the update says of its own place filled in."""
    metadata: dict[str, JsonValue] = {**at.metadata, "a2a_message": update.message_id}
    return replace(
        at,
        agent=update.word("agent") or at.agent,
        lane=update.word("lane") or at.lane,
        item_id=update.word("item_id") or at.item_id,
        metadata=metadata,
    )


def _duration(update: Update) -> int:
    value = update.get("duration_ms")
    return value if isinstance(value, int) and value >= 0 else 0
