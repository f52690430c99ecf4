"""Messages and reasoning: texts that grow by deltas until the whole replaces them.

A whole text is changed by nothing but another whole: deltas and starts that a new attempt repeats
are ignored.
"""

from typing import Any

from holdfast.events.fold.entries import Entry, Json, Message, Reasoning
from holdfast.events.fold.state import TEXT_CHARS_MAX, State


def place(env: dict[str, Any]) -> Entry:
    """Return where and when the event of this envelope happened."""
    return {
        "run_id": env.get("run_id"),
        "step": env.get("step"),
        "agent": env.get("agent"),
        "lane": env.get("lane"),
        "ts": env["ts"],
    }


def grown(text: str, delta: str) -> str:
    """Return a text with a delta at its end, unless it has reached its bound."""
    return text + delta if len(text) < TEXT_CHARS_MAX else text


def _message(state: State, env: dict[str, Any], message_id: str) -> Message:
    entry = state.messages.all.get(message_id)
    if entry is None:
        entry = state.messages.put(
            {
                **place(env),
                "message_id": message_id,
                "role": "assistant",
                "content": "",
                "content_type": "text/plain",
                "trace_id": env.get("trace_id"),
                "complete": False,
                "cut": False,
                "withdrawn": False,
                "duration_ms": None,
            }
        )
    return entry


def message_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A message begins, or is announced once more by a new attempt."""
    entry = _message(state, env, data["message_id"])
    if not entry["complete"]:
        state.messages.change(
            entry,
            role=data.get("role", "assistant"),
            content_type=data.get("content_type", "text/plain"),
            withdrawn=False,
        )


def message_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A piece of a message arrives, perhaps without its start."""
    entry = _message(state, env, data["message_id"])
    if not entry["complete"]:
        text = grown(entry["content"], data["text"])
        state.messages.change(entry, content=text, withdrawn=False)


def message_completed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The whole message is there."""
    entry = _message(state, env, data["message_id"])
    state.messages.change(
        entry,
        role=data.get("role", "assistant"),
        content=data["content"],
        content_type=data.get("content_type", "text/plain"),
        duration_ms=data.get("duration_ms"),
        complete=True,
        cut=False,
        withdrawn=False,
    )


def _reasoning(state: State, env: dict[str, Any], reasoning_id: str) -> Reasoning:
    entry = state.reasoning.all.get(reasoning_id)
    if entry is None:
        entry = state.reasoning.put(
            {
                **place(env),
                "reasoning_id": reasoning_id,
                "content": "",
                "complete": False,
                "cut": False,
                "withdrawn": False,
                "duration_ms": None,
            }
        )
    return entry


def reasoning_started(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A thought begins, or is announced once more by a new attempt."""
    entry = _reasoning(state, env, data["reasoning_id"])
    if not entry["complete"]:
        state.reasoning.change(entry, withdrawn=False)


def reasoning_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A piece of a thought arrives, perhaps without its start."""
    entry = _reasoning(state, env, data["reasoning_id"])
    if not entry["complete"]:
        text = grown(entry["content"], data["text"])
        state.reasoning.change(entry, content=text, withdrawn=False)


def reasoning_completed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The whole thought is there."""
    entry = _reasoning(state, env, data["reasoning_id"])
    state.reasoning.change(
        entry,
        content=data["content"],
        duration_ms=data.get("duration_ms"),
        complete=True,
        cut=False,
        withdrawn=False,
    )


HANDLERS = {
    "message.started": message_started,
    "message.delta": message_delta,
    "message.completed": message_completed,
    "reasoning.started": reasoning_started,
    "reasoning.delta": reasoning_delta,
    "reasoning.completed": reasoning_completed,
}
