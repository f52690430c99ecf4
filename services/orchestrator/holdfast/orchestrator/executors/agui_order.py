"""Reads what a source of AG-UI events yields, writes chunks out in full, and refuses what makes no sense.

The rules are those that AG-UI's own client holds its servers to. A source that breaks one fails its run with a
sentence that names the event, instead of leaving half a message in the log.
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from ag_ui.core import (
    BaseEvent,
    Event,
    ReasoningMessageChunkEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    TextMessageChunkEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallChunkEvent,
    ToolCallEndEvent,
    ToolCallStartEvent,
)
from pydantic import TypeAdapter, ValidationError

from holdfast.events.errors import HoldfastError

_EVENT: Final[TypeAdapter[BaseEvent]] = TypeAdapter(Event)

# What opens, goes on with and closes a thing; the field that tells one thing from another.
_OPENS = {
    "TEXT_MESSAGE_START": ("message", "message_id"),
    "REASONING_START": ("reasoning", "message_id"),
    "REASONING_MESSAGE_START": ("reasoning message", "message_id"),
    "TOOL_CALL_START": ("tool call", "tool_call_id"),
    "STEP_STARTED": ("step", "step_name"),
    "SUBAGENT_STARTED": ("sub-agent", "subagent_run_id"),
}
_CONTINUES = {
    "TEXT_MESSAGE_CONTENT": ("message", "message_id"),
    "REASONING_MESSAGE_CONTENT": ("reasoning message", "message_id"),
    "TOOL_CALL_ARGS": ("tool call", "tool_call_id"),
}
_CLOSES = {
    "TEXT_MESSAGE_END": ("message", "message_id"),
    "REASONING_END": ("reasoning", "message_id"),
    "REASONING_MESSAGE_END": ("reasoning message", "message_id"),
    "TOOL_CALL_END": ("tool call", "tool_call_id"),
    "STEP_FINISHED": ("step", "step_name"),
    "SUBAGENT_FINISHED": ("sub-agent", "subagent_run_id"),
    "SUBAGENT_ERROR": ("sub-agent", "subagent_run_id"),
}

# An event that is quoted in an error is quoted this far.
QUOTED_CHARS_MAX = 200


class AgentStreamBroken(HoldfastError):
    """A source of AG-UI events broke the protocol, or ended before its run did."""

    code = "agent-stream-broken"

    def __init__(self, what: str, *, retryable: bool = False) -> None:
        super().__init__(f"the agent's event stream is broken: {what}")
        self.retryable = retryable


class Unknown(BaseEvent):
    """An event of a type that the installed protocol package doesn't know."""

    type: str  # pyright: ignore[reportIncompatibleVariableOverride]
    fields: dict[str, Any]


def read_event(item: Any) -> BaseEvent | None:
    """Return the event that a source yielded: a model, a dict, JSON text or an SSE frame; None for a comment.

    Raises AgentStreamBroken.
    """
    if isinstance(item, BaseEvent):
        return item
    if isinstance(item, (str, bytes)):
        text = item.decode("utf-8", "replace") if isinstance(item, bytes) else item
        item = _json_of(text)
        if item is None:
            return None
    if not isinstance(item, dict) or not isinstance(item.get("type"), str):
        raise AgentStreamBroken(f"{_quoted(item)} is no event")
    try:
        return _EVENT.validate_python(item)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "union_tag_invalid":
            rest = {str(k): v for k, v in item.items() if k != "type"}
            return Unknown(type=str(item["type"]), fields=rest)
        where = ".".join(str(part) for part in first["loc"][1:])
        raise AgentStreamBroken(f"{item['type']}: {where or 'event'}: {first['msg']}") from error


def _json_of(text: str) -> Any:
    text = text.strip()
    if not text.startswith("{"):
        lines = [line for line in text.splitlines() if line.startswith("data:")]
        text = "\n".join(line.removeprefix("data:").removeprefix(" ") for line in lines)
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise AgentStreamBroken(f"{_quoted(text)} is no JSON") from error


class Order:
    """The state of one source's run, as far as its order is concerned."""

    def __init__(self) -> None:
        self._begun = self._ended = False
        self._open: set[tuple[str, str | None, str]] = set()
        self._agents: set[str] = set()
        self._chunks: dict[str | None, tuple[str, str]] = {}  # lane → what its chunks have opened

    def take(self, event: BaseEvent) -> Iterator[BaseEvent]:
        """Yield the event, with chunks written out as start, content and end. Raises AgentStreamBroken."""
        for one in self._written_out(event):
            self._check(one)
            yield one

    def end(self) -> None:
        """Check that the source may end here. Raises AgentStreamBroken, for which trying again may help."""
        if not self._ended:
            raise AgentStreamBroken(
                "it ended before RUN_FINISHED or RUN_ERROR"
                if self._begun
                else "it ended without an event",
                retryable=True,
            )

    def _check(self, event: BaseEvent) -> None:
        type_, lane = _type(event), _lane(event)
        if self._ended:
            raise AgentStreamBroken(f"{type_} after the run's end")
        if not self._begun and type_ not in ("RUN_STARTED", "RUN_ERROR"):
            raise AgentStreamBroken(f"{type_} before RUN_STARTED")
        if type_ == "RUN_STARTED":
            if self._begun:
                raise AgentStreamBroken("a second RUN_STARTED")
            self._begun = True
        elif type_ == "RUN_ERROR":
            self._begun = self._ended = True
        elif type_ == "RUN_FINISHED":
            if self._open:
                kind, _, name = sorted(self._open, key=str)[0]
                raise AgentStreamBroken(f"RUN_FINISHED while {kind} {name!r} is open")
            self._ended = True
        elif type_ in _OPENS:
            kind, thing = self._thing(event, _OPENS[type_])
            if thing in self._open or (kind == "sub-agent" and thing[2] in self._agents):
                raise AgentStreamBroken(f"{type_} for {kind} {thing[2]!r}, which was begun before")
            self._open.add(thing)
            if kind == "sub-agent":
                self._agents.add(thing[2])
        elif type_ in _CONTINUES or type_ in _CLOSES:
            kind, thing = self._thing(event, (_CONTINUES | _CLOSES)[type_])
            if thing not in self._open:
                raise AgentStreamBroken(f"{type_} for {kind} {thing[2]!r}, which is not open")
            if type_ in _CLOSES:
                self._open.discard(thing)
        if lane is not None and lane not in self._agents:
            raise AgentStreamBroken(f"{type_} of sub-agent {lane!r}, which has not begun")

    def _thing(
        self, event: BaseEvent, kind: tuple[str, str]
    ) -> tuple[str, tuple[str, str | None, str]]:
        # Steps are told apart by lane and name; everything else has an id of its own.
        lane = _lane(event) if kind[0] == "step" else None
        return kind[0], (kind[0], lane, str(getattr(event, kind[1])))

    def _written_out(self, event: BaseEvent) -> Iterator[BaseEvent]:
        lane = _lane(event)
        match event:
            case TextMessageChunkEvent():
                kind, name, delta = "text", event.message_id, event.delta
            case ReasoningMessageChunkEvent():
                kind, name, delta = "reasoning", event.message_id, event.delta
            case ToolCallChunkEvent():
                kind, name, delta = "tool", event.tool_call_id, event.delta
            case _:
                # Whatever else happens in a lane ends what its chunks have opened; the run's end ends all of them.
                if _type(event) != "RAW":
                    last = _type(event) in ("RUN_FINISHED", "RUN_ERROR")
                    for one in list(self._chunks) if last else [lane]:
                        yield from self._close_chunk(one)
                yield event
                return
        current = self._chunks.get(lane)
        if current is None or current[0] != kind or name not in (None, current[1]):
            yield from self._close_chunk(lane)
            if name is None:
                raise AgentStreamBroken(f"{_type(event)} without an id, and nothing is open")
            self._chunks[lane] = current = (kind, name)
            yield _start(event, name)
        if delta:
            yield _content(kind, current[1], delta, lane)

    def _close_chunk(self, lane: str | None) -> Iterator[BaseEvent]:
        if (current := self._chunks.pop(lane, None)) is None:
            return
        kind, name = current
        if kind == "text":
            yield TextMessageEndEvent(message_id=name, subagent_run_id=lane)
        elif kind == "reasoning":
            yield ReasoningMessageEndEvent(message_id=name, subagent_run_id=lane)
        else:
            yield ToolCallEndEvent(tool_call_id=name, subagent_run_id=lane)


def _start(event: BaseEvent, name: str) -> BaseEvent:
    lane = _lane(event)
    if isinstance(event, TextMessageChunkEvent):
        return TextMessageStartEvent(
            message_id=name, role=event.role, name=event.name, subagent_run_id=lane
        )
    if isinstance(event, ToolCallChunkEvent):
        if not event.tool_call_name:
            raise AgentStreamBroken(f"TOOL_CALL_CHUNK begins call {name!r} without a tool's name")
        return ToolCallStartEvent(
            tool_call_id=name,
            tool_call_name=event.tool_call_name,
            parent_message_id=event.parent_message_id,
            subagent_run_id=lane,
        )
    return ReasoningMessageStartEvent(message_id=name, role="reasoning", subagent_run_id=lane)


def _content(kind: str, name: str, delta: str, lane: str | None) -> BaseEvent:
    if kind == "text":
        return TextMessageContentEvent(message_id=name, delta=delta, subagent_run_id=lane)
    if kind == "reasoning":
        return ReasoningMessageContentEvent(message_id=name, delta=delta, subagent_run_id=lane)
    return ToolCallArgsEvent(tool_call_id=name, delta=delta, subagent_run_id=lane)


def _type(event: BaseEvent) -> str:
    return str(getattr(event.type, "value", event.type))


def _lane(event: BaseEvent) -> str | None:
    return getattr(event, "subagent_run_id", None)


def _quoted(item: Any) -> str:
    return repr(item)[:QUOTED_CHARS_MAX]
