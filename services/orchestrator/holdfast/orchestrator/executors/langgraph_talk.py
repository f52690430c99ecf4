"""What LangGraph's `messages` mode yields, as messages, thoughts, model calls and tool calls of ours, once each.

A graph repeats its messages: streamed in pieces, then whole in a node's result, then again in the state of every later
node. The framework's message id tells them apart from new ones, and it is the key under which a message is recorded.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, ToolMessage

from holdfast.events.catalog import (
    LlmCompleted,
    LlmStarted,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    ReasoningCompleted,
    ReasoningDelta,
    ReasoningStarted,
    Role,
    ToolCompleted,
    ToolStarted,
    Usage,
)
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.scribe import Scribe

_ROLES: dict[str, Role] = {"ai": "assistant", "human": "user", "system": "system", "tool": "tool"}


@dataclass(slots=True)
class _Streaming:
    """An answer of a model while it comes in."""

    message_id: str
    at: Context
    began: float = field(default_factory=time.monotonic)
    first_ms: int | None = None
    text: str = ""
    thought: str = ""
    thinking: bool = False
    said: bool = False
    whole: AIMessageChunk | None = None


class Transcript:
    """Records each message that a graph's tasks produce, in pieces and whole."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe
        self._streaming: dict[str, _Streaming] = {}
        self._counts: dict[str, int] = {}
        self._redone: set[str | None] = set()
        self._done: set[str] = set()

    def redo(self, step: str) -> None:
        """Show again what this step's task says, whole messages too: its readers have been told to drop it."""
        self._redone.add(step)

    async def take(self, message: BaseMessage, at: Context) -> None:
        """Record a piece, or a whole message, of the task whose context is `at`."""
        lc_id = message.id or ""
        shown = self._scribe.recorded(_key(lc_id)) and at.step not in self._redone
        if shown or lc_id in self._done:
            return
        if isinstance(message, AIMessageChunk):
            await self._piece(lc_id, message, at)
        elif lc_id in self._streaming:
            # Streamed already: the whole message ends it, whatever its last piece said.
            await self._end(lc_id)
        else:
            await self._whole(lc_id, message, at)

    async def restore(self, message: BaseMessage, at: Context) -> None:
        """Record a whole message of a task that has saved it, unless that is recorded: its attempt may have died."""
        lc_id = message.id or ""
        if self._scribe.recorded(_key(lc_id)):
            if not isinstance(message, ToolMessage) and text_of(message):
                self._message_id(at)  # the next one's id counts on it
            return
        message_id = await self._whole(lc_id, message, at)
        if message_id and isinstance(message, AIMessage) and message.response_metadata:
            # A model's answer: the attempt that began to show it did not live to end the call.
            await self._end_call(message_id, message, at, duration_ms=0, first_ms=None)

    async def end_task(self, step: str) -> None:
        """End what a finished task left open."""
        for lc_id in [k for k, s in self._streaming.items() if s.at.step == step]:
            await self._end(lc_id)

    def drop_task(self, step: str) -> None:
        """Forget what a failed task left open."""
        for lc_id in [k for k, s in self._streaming.items() if s.at.step == step]:
            del self._streaming[lc_id]

    async def _piece(self, lc_id: str, chunk: AIMessageChunk, at: Context) -> None:
        scribe, stream = self._scribe, self._streaming.get(lc_id)
        if stream is None:
            stream = self._streaming[lc_id] = _Streaming(self._message_id(at), at)
            model = chunk.response_metadata.get("model_name")
            await scribe.emit(LlmStarted(call_id=f"{stream.message_id}.llm", model=model), at)
        stream.whole = chunk if stream.whole is None else stream.whole + chunk
        if thought := str(chunk.additional_kwargs.get("reasoning_content") or ""):
            await self._think(stream, thought)
        if text := text_of(chunk):
            await self._say(stream, text)
        if chunk.chunk_position == "last":
            await self._end(lc_id)

    async def _think(self, stream: _Streaming, text: str) -> None:
        reasoning_id = f"{stream.message_id}.reasoning"
        if not stream.thinking:
            stream.thinking = True
            await self._scribe.emit(ReasoningStarted(reasoning_id=reasoning_id), stream.at)
        stream.first_ms = ms_since(stream.began) if stream.first_ms is None else stream.first_ms
        stream.thought += text
        await self._scribe.delta(ReasoningDelta(reasoning_id=reasoning_id, text=text), stream.at)

    async def _end_thought(self, stream: _Streaming) -> None:
        if stream.thinking:
            stream.thinking = False
            done = ReasoningCompleted(
                reasoning_id=f"{stream.message_id}.reasoning",
                content=stream.thought,
                duration_ms=ms_since(stream.began),
            )
            await self._scribe.emit(done, stream.at)

    async def _say(self, stream: _Streaming, text: str) -> None:
        await self._end_thought(stream)
        if not stream.said:
            stream.said = True
            await self._scribe.emit(MessageStarted(message_id=stream.message_id), stream.at)
        stream.first_ms = ms_since(stream.began) if stream.first_ms is None else stream.first_ms
        stream.text += text
        await self._scribe.delta(MessageDelta(message_id=stream.message_id, text=text), stream.at)

    async def _end(self, lc_id: str) -> None:
        scribe, stream = self._scribe, self._streaming.pop(lc_id)
        whole = stream.whole
        await self._end_thought(stream)
        if stream.said:
            done = MessageCompleted(
                message_id=stream.message_id,
                content=stream.text,
                duration_ms=ms_since(stream.began),
            )
            await scribe.emit(done, stream.at, key=self._key_of(_key(lc_id), stream.at))
        self._done.add(lc_id)
        await self._end_call(
            stream.message_id,
            whole,
            stream.at,
            duration_ms=ms_since(stream.began),
            first_ms=stream.first_ms,
        )

    async def _end_call(
        self,
        message_id: str,
        whole: AIMessage | None,
        at: Context,
        *,
        duration_ms: int,
        first_ms: int | None,
    ) -> None:
        """Record what a model's answer cost, and the tools that it calls."""
        metadata = whole.response_metadata if whole else {}
        event = LlmCompleted(
            call_id=f"{message_id}.llm",
            duration_ms=duration_ms,
            model=metadata.get("model_name"),
            usage=usage_of(whole),
            time_to_first_token_ms=first_ms,
            finish_reason=metadata.get("finish_reason"),
        )
        await self._scribe.emit(event, at)
        for call in whole.tool_calls if whole else []:
            tool = ToolStarted(call_id=call["id"] or "", name=call["name"], args=call["args"])
            await self._scribe.emit(tool, at, key=self._key_of(f"tool:{call['id']}/started", at))

    async def _whole(self, lc_id: str, message: BaseMessage, at: Context) -> str | None:
        """Record a message that was not streamed; return its id, None for a tool's result and for no text."""
        key = self._key_of(_key(lc_id), at) if lc_id else None
        if lc_id:
            self._done.add(lc_id)
        if isinstance(message, ToolMessage):
            done = ToolCompleted(
                call_id=message.tool_call_id,
                name=message.name or "tool",
                result=text_of(message),
                content_type="text/plain",
                duration_ms=0,
            )
            await self._scribe.emit(done, at, key=key)
            return None
        content = text_of(message)
        if not content:
            return None
        message_id = self._message_id(at)
        role = _ROLES.get(message.type, "assistant")
        await self._scribe.emit(MessageStarted(message_id=message_id, role=role), at)
        event = MessageCompleted(message_id=message_id, role=role, content=content, duration_ms=0)
        await self._scribe.emit(event, at, key=key)
        return message_id

    def _key_of(self, key: str, at: Context) -> str | None:
        """Return the key to record something under; none where a step that is done over shows it again."""
        return None if at.step in self._redone and self._scribe.recorded(key) else key

    def _message_id(self, at: Context) -> str:
        """Return an id made from run, task and place: the same when another attempt does the task over."""
        step = at.step or "graph"
        self._counts[step] = self._counts.get(step, 0) + 1
        return f"{self._scribe.run.run_id}.{step}.{self._counts[step]}"


def _key(lc_id: str) -> str:
    return f"message:{lc_id}"


def text_of(message: BaseMessage) -> str:
    """Return a message's text, whatever form its content has."""
    content: Any = message.content
    if isinstance(content, str):
        return content
    return "".join(
        block if isinstance(block, str) else str(block.get("text", ""))
        for block in content
        if isinstance(block, str) or block.get("type") == "text"
    )


def usage_of(message: AIMessage | None) -> Usage | None:
    """Return the tokens that a model's answer consumed, where the provider told."""
    found = message.usage_metadata if message else None
    if not found:
        return None
    return Usage(
        input_tokens=found.get("input_tokens"),
        output_tokens=found.get("output_tokens"),
        total_tokens=found.get("total_tokens"),
    )
