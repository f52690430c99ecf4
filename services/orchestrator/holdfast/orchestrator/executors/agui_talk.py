"""What an AG-UI agent says, thinks and calls, as messages, thoughts and tool calls of ours.

Its ids are the source's own and may differ when a turn is done over, so each thing gets an id made from run, turn,
lane and order; the source's stays in the envelope's metadata.
"""

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from ag_ui.core import (
    BaseEvent,
    ReasoningMessageContentEvent,
    ReasoningMessageEndEvent,
    ReasoningMessageStartEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
    ToolCallArgsEvent,
    ToolCallEndEvent,
    ToolCallResultEvent,
    ToolCallStartEvent,
)

from holdfast.events.catalog import (
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    ReasoningCompleted,
    ReasoningDelta,
    ReasoningStarted,
    Role,
    ToolCompleted,
    ToolStarted,
)
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.agui_memory import Memory
from holdfast.orchestrator.executors.arguments import Arguments, normal_result
from holdfast.orchestrator.scribe import Scribe

_ROLES: dict[str, Role] = {
    "assistant": "assistant",
    "user": "user",
    "system": "system",
    "developer": "system",
}


@dataclass(slots=True)
class _Said:
    """A message or thought while it is open, and afterwards: it may be opened again and goes on then."""

    id: str
    at: Context
    role: Role = "assistant"
    name: str | None = None
    content: str = ""
    shown: bool = False
    began: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class _Call:
    """A tool call of this turn."""

    arguments: Arguments
    parent: str | None
    began: float = field(default_factory=time.monotonic)
    started: bool = False


class Talk:
    """The talking part of one turn."""

    def __init__(self, scribe: Scribe, turn: str, memory: Memory) -> None:
        self._scribe, self._turn, self._memory = scribe, turn, memory
        self._texts: dict[str, _Said] = {}
        self._thoughts: dict[str, _Said] = {}
        self._calls: dict[str, _Call] = {}
        self._returned: set[str] = set()
        self._counts: Counter[str] = Counter()

    def own_id(self, kind: str, theirs: str, at: Context) -> str:
        """Return our id for one of theirs."""

        def make() -> str:
            place = f"{at.lane}.{kind}" if at.lane else kind
            self._counts[place] += 1
            return f"{self._scribe.run.run_id}.{self._turn}.{place}.{self._counts[place]}"

        known = self._memory.names.get(f"{kind}:{theirs}")
        return known or self._memory.name(kind, theirs, make)

    async def take(self, event: BaseEvent, at: Context) -> bool:
        """Record an event of this kind; return False for one of another."""
        match event:
            case TextMessageStartEvent():
                if (known := self._texts.get(event.message_id)) is None:
                    role = _ROLES.get(event.role or "assistant", "assistant")
                    here = replace(at, agent=at.agent or event.name)
                    self._texts[event.message_id] = _Said(
                        self.own_id("message", event.message_id, at),
                        _from(here, event.message_id),
                        role,
                        event.name,
                    )
                else:
                    known.shown = False
            case TextMessageContentEvent():
                await self._say(self._texts[event.message_id], event.delta)
            case TextMessageEndEvent():
                await self._end_text(event.message_id)
            case ReasoningMessageStartEvent():
                if event.message_id not in self._thoughts:
                    own = self.own_id("reasoning", event.message_id, at)
                    self._thoughts[event.message_id] = _Said(own, _from(at, event.message_id))
            case ReasoningMessageContentEvent():
                await self._think(self._thoughts[event.message_id], event.delta)
            case ReasoningMessageEndEvent():
                await self._end_thought(self._thoughts[event.message_id])
            case ToolCallStartEvent():
                await self._begin_call(event, at).add("")
            case ToolCallArgsEvent():
                await self._calls[event.tool_call_id].arguments.add(event.delta)
            case ToolCallEndEvent():
                await self._called(event.tool_call_id)
            case ToolCallResultEvent():
                await self.result(event.tool_call_id, event.message_id, event.content, at)
            case _:
                return False
        return True

    async def whole(self, theirs: str, role: Role, content: str, at: Context) -> None:
        """Record a message that a snapshot brings whole, unless it was told as it is."""
        said = self._texts.get(theirs)
        if said is None:
            said = _Said(self.own_id("message", theirs, at), _from(at, theirs), role)
            self._texts[theirs] = said
        if said.content != content:
            said.content = content
            await self._complete(said)

    async def whole_call(self, call: dict[str, Any], parent: str, at: Context) -> None:
        """Record a tool call that a snapshot brings whole, unless it was told."""
        if f"tool:{call['id']}" in self._memory.names:
            return
        function = call["function"]
        event = ToolCallStartEvent(
            tool_call_id=call["id"], tool_call_name=function["name"], parent_message_id=parent
        )
        self._begin_call(event, at).text = function["arguments"]
        await self._called(call["id"])

    async def whole_result(self, call_id: str, message_id: str, content: Any, at: Context) -> None:
        """Record a tool's result that a snapshot brings, unless it was told."""
        if call_id not in self._returned:
            await self.result(call_id, message_id, content, at)

    async def result(
        self, call_id: str, message_id: str, content: Any, at: Context, *, key: str | None = None
    ) -> None:
        """Record a tool's result, of a call of this turn or an earlier one."""
        own = self.own_id("tool", call_id, at)
        self._returned.add(call_id)
        call = self._calls.get(call_id)
        if call is not None and not call.started:
            await self._called(call_id)
        plain = content if isinstance(content, str) else [_plain(part) for part in content]
        result, content_type = normal_result(plain)
        event = ToolCompleted(
            call_id=own,
            name=self._memory.tools.get(own, "tool"),
            result=result,
            content_type=content_type,
            duration_ms=ms_since(call.began) if call else 0,
        )
        place = call.arguments.at if call else _from(at, call_id)
        await self._scribe.emit(event, place, key=key)
        if at.lane is None:
            self._memory.returned(message_id, call_id, plain)

    async def _say(self, said: _Said, text: str) -> None:
        if not text:
            return
        if not said.shown:
            said.shown = True
            started = MessageStarted(message_id=said.id, role=said.role)
            await self._scribe.emit(started, said.at)
        said.content += text
        await self._scribe.delta(MessageDelta(message_id=said.id, text=text), said.at)

    async def _end_text(self, theirs: str) -> None:
        said = self._texts[theirs]
        if not said.content:
            return  # only the frame of tool calls
        await self._complete(said)
        if said.at.lane is None:
            self._memory.said(theirs, said.role, said.content, said.name)

    async def _complete(self, said: _Said) -> None:
        done = MessageCompleted(
            message_id=said.id,
            role=said.role,
            content=said.content,
            duration_ms=ms_since(said.began),
        )
        await self._scribe.emit(done, said.at)

    async def _think(self, said: _Said, text: str) -> None:
        if not text:
            return
        if not said.shown:
            said.shown = True
            await self._scribe.emit(ReasoningStarted(reasoning_id=said.id), said.at)
        said.content += text
        await self._scribe.delta(ReasoningDelta(reasoning_id=said.id, text=text), said.at)

    async def _end_thought(self, said: _Said) -> None:
        if said.shown:
            said.shown = False
            done = ReasoningCompleted(
                reasoning_id=said.id, content=said.content, duration_ms=ms_since(said.began)
            )
            await self._scribe.emit(done, said.at)

    def _begin_call(self, event: ToolCallStartEvent, at: Context) -> Arguments:
        theirs = event.tool_call_id
        own = self.own_id("tool", theirs, at)
        self._memory.tools[own] = event.tool_call_name
        arguments = Arguments(self._scribe, own, event.tool_call_name, _from(at, theirs))
        self._calls[theirs] = _Call(arguments, event.parent_message_id)
        return arguments

    async def _called(self, theirs: str) -> None:
        call = self._calls[theirs]
        call.started, arguments = True, call.arguments
        event = ToolStarted(call_id=arguments.call_id, name=arguments.name, args=arguments.parsed())
        await self._scribe.emit(event, arguments.at)
        if arguments.at.lane is None:
            text = arguments.text or "{}"
            self._memory.called(theirs, arguments.name, text, call.parent)


def _from(at: Context, theirs: str) -> Context:
    """Return the context with the source's own id noted."""
    return replace(at, metadata={**at.metadata, "agui_id": theirs})


def _plain(part: Any) -> Any:
    dump = getattr(part, "model_dump", None)
    return dump(mode="json", by_alias=True, exclude_none=True) if dump else part
