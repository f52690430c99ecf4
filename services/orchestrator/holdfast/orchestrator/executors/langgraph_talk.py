"""What LangGraph's `messages` mode yields, as messages, thoughts, model calls and tool calls of ours, once each.

A graph repeats its messages: streamed in pieces, then whole in a node's result, then again in the state of every later
node. The framework's message id tells them apart from new ones, and it is the key under which a message is recorded.
"""

import time
from dataclasses import dataclass, field
from typing import Any, cast

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
    ToolStarted,
)
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.arguments import Arguments
from holdfast.orchestrator.executors.langgraph_words import (
    is_answer,
    returned,
    text_of,
    thought_of,
    usage_of,
)
from holdfast.orchestrator.scribe import Scribe

_ROLES: dict[str, Role] = {"ai": "assistant", "human": "user", "system": "system", "tool": "tool"}


@dataclass(slots=True)
class _Streaming:
    """An answer of a model while it comes in."""

    lc_id: str
    message_id: str
    at: Context
    began: float = field(default_factory=time.monotonic)
    first_ms: int | None = None
    text: str = ""
    thought: str = ""
    thinking: bool = False
    said: bool = False
    # Those that say more than text: what the whole answer tells besides is theirs.
    chunks: list[AIMessageChunk] = field(default_factory=list[AIMessageChunk])
    calls: dict[int, Arguments] = field(default_factory=dict[int, Arguments])

    def whole(self) -> AIMessageChunk | None:
        """Return what chunks said besides text, as one message. Joined once: a joint costs as much as all before it."""
        if not self.chunks:
            return None
        first, *rest = self.chunks
        return first + rest if rest else first


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

    async def goes_on(self, message: BaseMessage) -> bool:
        """Record a further piece of an answer that comes in; return False, having done nothing, for whatever else."""
        # Most of what a graph says, and a thousand of it a second: asked for by its class, which is the cheapest.
        if message.__class__ is not AIMessageChunk:
            return False
        stream = self._streaming.get(message.id or "")
        if stream is None:
            return False
        await self._piece(stream, cast("AIMessageChunk", message))
        return True

    async def take(self, message: BaseMessage, at: Context) -> None:
        """Record a piece, or a whole message, of the task whose context is `at`."""
        lc_id = message.id or ""
        # A node that is done over repeats what its subgraph said, which stands as it is unless that is done over too.
        teller = self._scribe.result(_key(lc_id))
        step = teller if isinstance(teller, str) else at.step
        shown = self._scribe.recorded(_key(lc_id)) and step not in self._redone
        if shown or lc_id in self._done:
            return
        if isinstance(message, AIMessageChunk):
            await self._piece(await self._begun(lc_id, message, at), message)
        elif lc_id in self._streaming:
            # Streamed already: the whole message ends it, whatever its last piece said.
            await self._end(lc_id)
        else:
            await self._whole(lc_id, message, at)

    async def restore(self, message: BaseMessage, at: Context) -> None:
        """Record a whole message of a task that has saved it, unless that is recorded: its attempt may have died."""
        lc_id = message.id or ""
        if isinstance(message, AIMessage) and is_answer(message):
            await self._restore_answer(lc_id, message, at)
        elif not self._scribe.recorded(_key(lc_id)):
            await self._whole(lc_id, message, at)
        elif not isinstance(message, ToolMessage) and text_of(message):
            self._message_id(at)  # the next one's id counts on it

    async def _restore_answer(self, lc_id: str, message: AIMessage, at: Context) -> None:
        """Record what is missing of a model's answer; the attempt that began to show it did not live to end it."""
        message_id, content = self._message_id(at), text_of(message)
        self._done.add(lc_id)
        if self._scribe.recorded(_call_key(lc_id)):
            return
        if thought := thought_of(message):
            reasoning_id = f"{message_id}.reasoning"
            await self._scribe.emit(ReasoningStarted(reasoning_id=reasoning_id), at)
            whole = ReasoningCompleted(reasoning_id=reasoning_id, content=thought, duration_ms=0)
            await self._scribe.emit(whole, at)
        if content and not self._scribe.recorded(_key(lc_id)):
            await self._scribe.emit(MessageStarted(message_id=message_id), at)
            done = MessageCompleted(message_id=message_id, content=content, duration_ms=0)
            await self._told(done, lc_id, at)
        await self._end_call(lc_id, message_id, message, at, duration_ms=0, first_ms=None)

    async def end_task(self, step: str) -> None:
        """End what a finished task left open."""
        for lc_id in [k for k, s in self._streaming.items() if s.at.step == step]:
            await self._end(lc_id)

    def drop_task(self, step: str) -> None:
        """Forget what a failed task left open."""
        for lc_id in [k for k, s in self._streaming.items() if s.at.step == step]:
            del self._streaming[lc_id]

    async def _begun(self, lc_id: str, chunk: AIMessageChunk, at: Context) -> _Streaming:
        stream = self._streaming.get(lc_id)
        if stream is None:
            stream = self._streaming[lc_id] = _Streaming(lc_id, self._message_id(at), at)
            model = chunk.response_metadata.get("model_name")
            started = LlmStarted(call_id=f"{stream.message_id}.llm", model=model)
            await self._scribe.emit(started, at)
        return stream

    async def _piece(self, stream: _Streaming, chunk: AIMessageChunk) -> None:
        if chunk.response_metadata or chunk.usage_metadata or chunk.tool_call_chunks:
            stream.chunks.append(chunk)
        if thought := thought_of(chunk):
            await self._think(stream, thought)
        if text := text_of(chunk):
            await self._say(stream, text)
        for call in chunk.tool_call_chunks:
            await self._argue(stream, dict(call))
        if chunk.chunk_position == "last":
            await self._end(stream.lc_id)

    async def _argue(self, stream: _Streaming, call: dict[str, Any]) -> None:
        """Show a tool call while the model writes it."""
        index = call.get("index") or 0
        arguments = stream.calls.get(index)
        if arguments is None and call.get("name") and call.get("id"):
            arguments = Arguments(self._scribe, call["id"], call["name"], stream.at)
            stream.calls[index] = arguments
        if arguments is not None:
            await arguments.add(call.get("args") or "")

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
        if stream.thinking:
            await self._end_thought(stream)
        if not stream.said:
            stream.said = True
            await self._scribe.emit(MessageStarted(message_id=stream.message_id), stream.at)
        stream.first_ms = ms_since(stream.began) if stream.first_ms is None else stream.first_ms
        stream.text += text
        await self._scribe.delta(MessageDelta(message_id=stream.message_id, text=text), stream.at)

    async def _end(self, lc_id: str) -> None:
        stream = self._streaming.pop(lc_id)
        whole = stream.whole()
        await self._end_thought(stream)
        if stream.said:
            done = MessageCompleted(
                message_id=stream.message_id,
                content=stream.text,
                duration_ms=ms_since(stream.began),
            )
            await self._told(done, lc_id, stream.at)
        self._done.add(lc_id)
        await self._end_call(
            lc_id,
            stream.message_id,
            whole,
            stream.at,
            duration_ms=ms_since(stream.began),
            first_ms=stream.first_ms,
        )

    async def _end_call(
        self,
        lc_id: str,
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
        await self._scribe.emit(event, at, key=self._key_of(_call_key(lc_id), at))
        if whole is not None:
            await self._calls_of(whole, at)

    async def _calls_of(self, message: AIMessage, at: Context) -> None:
        for call in message.tool_calls:
            tool = ToolStarted(call_id=call["id"] or "", name=call["name"], args=call["args"])
            await self._scribe.emit(tool, at, key=self._key_of(f"tool:{call['id']}/started", at))

    async def _whole(self, lc_id: str, message: BaseMessage, at: Context) -> str | None:
        """Record a message that was not streamed; return its id, None for a tool's result and for no text."""
        key = self._key_of(_key(lc_id), at) if lc_id else None
        if lc_id:
            self._done.add(lc_id)
        if isinstance(message, ToolMessage):
            await self._scribe.emit(returned(message), at, key=key)
            return None
        if isinstance(message, AIMessage):
            await self._calls_of(message, at)
        content = text_of(message)
        if not content:
            return None
        message_id = self._message_id(at)
        role = _ROLES.get(message.type, "assistant")
        await self._scribe.emit(MessageStarted(message_id=message_id, role=role), at)
        event = MessageCompleted(message_id=message_id, role=role, content=content, duration_ms=0)
        await self._told(event, lc_id, at)
        return message_id

    async def _told(self, event: MessageCompleted, lc_id: str, at: Context) -> None:
        """Record a whole message, and which step told it."""
        key = self._key_of(_key(lc_id), at) if lc_id else None
        kept = [self._scribe.remember(key, at.step)] if key else []
        await self._scribe.emit(event, at, key=key, effects=kept)

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


def _call_key(lc_id: str) -> str:
    return f"llm:{lc_id}"
