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
        entry["role"] = data.get("role", "assistant")
        entry["content_type"] = data.get("content_type", "text/plain")
        entry["withdrawn"] = False


def message_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A piece of a message arrives, perhaps without its start."""
    entry = _message(state, env, data["message_id"])
    if not entry["complete"]:
        entry["withdrawn"] = False
        if len(entry["content"]) < TEXT_CHARS_MAX:
            entry["content"] += data["text"]


def message_completed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The whole message is there."""
    entry = _message(state, env, data["message_id"])
    entry["role"] = data.get("role", "assistant")
    entry["content"] = data["content"]
    entry["content_type"] = data.get("content_type", "text/plain")
    entry["duration_ms"] = data.get("duration_ms")
    entry["complete"], entry["cut"], entry["withdrawn"] = True, False, False
    state.messages.settle(entry)


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
        entry["withdrawn"] = False


def reasoning_delta(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """A piece of a thought arrives, perhaps without its start."""
    entry = _reasoning(state, env, data["reasoning_id"])
    if not entry["complete"]:
        entry["withdrawn"] = False
        if len(entry["content"]) < TEXT_CHARS_MAX:
            entry["content"] += data["text"]


def reasoning_completed(state: State, env: dict[str, Any], data: dict[str, Json]) -> None:
    """The whole thought is there."""
    entry = _reasoning(state, env, data["reasoning_id"])
    entry["content"] = data["content"]
    entry["duration_ms"] = data.get("duration_ms")
    entry["complete"], entry["cut"], entry["withdrawn"] = True, False, False
    state.reasoning.settle(entry)


HANDLERS = {
    "message.started": message_started,
    "message.delta": message_delta,
    "message.completed": message_completed,
    "reasoning.started": reasoning_started,
    "reasoning.delta": reasoning_delta,
    "reasoning.completed": reasoning_completed,
}
