"""Saying things: streamed messages and thoughts, and model calls whose answer is shown as it comes.

What streams is a step in a form that replay can skip. Its pieces have no keys: when an attempt dies in the middle, the
next one announces `step.restarted`, which tells readers to drop the pieces, and streams anew under the same id.
"""

import time
from collections.abc import AsyncIterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, cast

from pydantic import JsonValue

from holdfast.events.catalog import (
    LlmCompleted,
    LlmFailed,
    LlmStarted,
    MessageCompleted,
    MessageDelta,
    MessageStarted,
    NotificationSent,
    ReasoningCompleted,
    ReasoningDelta,
    ReasoningStarted,
    Role,
    StepRestarted,
)
from holdfast.events.errors import StoreUnavailable
from holdfast.events.recorded import Context
from holdfast.orchestrator.advice import raised_in
from holdfast.orchestrator.context_core import Core, ms_since
from holdfast.orchestrator.models import (
    ChatModel,
    Chunk,
    FellBack,
    Finished,
    Message,
    ModelMisconfigured,
    StartedOver,
    StartsOver,
    TextDelta,
    Tool,
    ToolCallDelta,
    model_from_environment,
)
from holdfast.orchestrator.models import ReasoningDelta as Thought
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe
from holdfast.orchestrator.session_log import Fenced


@dataclass(frozen=True, slots=True)
class Reply:
    """A model's whole answer."""

    text: str
    tool_calls: Sequence[dict[str, Any]]
    finish_reason: str


class Talk(Core):
    """The talking part of `ctx`."""

    async def message(
        self,
        source: str | AsyncIterable[str],
        *,
        role: Role = "assistant",
        content_type: str = "text/plain",
    ) -> str:
        """Show a message, piece by piece as `source` yields it, and return it whole.

        On replay a whole message is returned without reading `source`.
        """
        key = self._key("message")
        kept = self._scribe.result(key)
        if not isinstance(kept, Missing):
            return str(kept)
        message_id = f"{self.run_id}.{key}"
        started = MessageStarted(message_id=message_id, role=role, content_type=content_type)
        at = await self._begin(key, started, "message")
        began, content = time.monotonic(), ""
        if isinstance(source, str):
            content = source
        else:
            async for text in source:
                content += text
                await self._scribe.delta(MessageDelta(message_id=message_id, text=text), at)
        done = MessageCompleted(
            message_id=message_id,
            role=role,
            content=content,
            content_type=content_type,
            duration_ms=ms_since(began),
        )
        await self._scribe.emit(
            done, at, key=f"{key}/completed", effects=[self._scribe.remember(key, content)]
        )
        return content

    async def reasoning(self, source: str | AsyncIterable[str]) -> str:
        """Show a thought, piece by piece, and return it whole; replay skips it as it skips a message."""
        key = self._key("reasoning")
        kept = self._scribe.result(key)
        if not isinstance(kept, Missing):
            return str(kept)
        thought = _Thought(self._scribe, f"{self.run_id}.{key}", key)
        at = await self._begin(key, ReasoningStarted(reasoning_id=thought.id), "reasoning")
        if isinstance(source, str):
            await thought.add(source, at)
        else:
            async for text in source:
                await thought.add(text, at)
        await thought.end(at, remember=True)
        return thought.text

    async def llm(
        self,
        messages: Sequence[Message],
        *,
        model: ChatModel | None = None,
        tools: Sequence[Tool] | None = None,
        content_type: str = "text/plain",
        retry_after_first_token: bool | None = None,
    ) -> Reply:
        """Ask a model, showing thoughts and answer as they come; return the whole answer.

        Without `model` the one from the environment is asked. With `retry_after_first_token` an answer that breaks off
        is withdrawn and asked for anew, within the model's retries; without it, as the model is set. An error is
        recorded as `llm.failed` with a sentence a user understands, and raised as the ModelError it is. On replay a
        whole answer is returned without asking.
        """
        key = self._key("llm")
        kept = self._scribe.result(key)
        if not isinstance(kept, Missing):
            return Reply(**cast("dict[str, Any]", kept))
        asked = model or shared_model()
        if retry_after_first_token is not None:
            asked = _told_to_start_over(asked, retry_after_first_token)
        started = LlmStarted(call_id=f"{self.run_id}.{key}", model=asked.model)
        at = await self._begin(key, started, "llm")
        call = _Call(self._scribe, started, key, at, content_type)
        try:
            async with aclosing(asked.stream(messages, tools=tools)) as chunks:
                async for chunk in chunks:
                    await call.take(chunk)
            return await call.end()
        except Exception as error:
            if not isinstance(error, (Fenced, StoreUnavailable)):
                await call.fail(error, asked.model)
            raise


class _Thought:
    """A thought while it streams."""

    def __init__(self, scribe: Scribe, reasoning_id: str, key: str) -> None:
        self.id, self.text = reasoning_id, ""
        self._scribe, self._key, self._began = scribe, key, time.monotonic()

    async def add(self, text: str, at: Context) -> None:
        self.text += text
        await self._scribe.delta(ReasoningDelta(reasoning_id=self.id, text=text), at)

    async def end(self, at: Context, *, remember: bool) -> None:
        done = ReasoningCompleted(
            reasoning_id=self.id, content=self.text, duration_ms=ms_since(self._began)
        )
        effects = [self._scribe.remember(self._key, self.text)] if remember else []
        await self._scribe.emit(done, at, effects=effects)


class _Call:
    """A model call while its answer streams: one thought and one message at most."""

    def __init__(
        self, scribe: Scribe, started: LlmStarted, key: str, at: Context, content_type: str
    ) -> None:
        self._scribe, self._started, self._key, self._at = scribe, started, key, at
        self._content_type = content_type
        self._message_id = f"{started.call_id}.message"
        self._began = time.monotonic()
        self._text = ""
        self._thought: _Thought | None = None
        self._tool_calls: dict[int, dict[str, Any]] = {}
        self._finished: Finished | None = None

    async def take(self, chunk: Chunk) -> None:
        match chunk:
            case Thought(text):
                await self._think(text)
            case TextDelta(text):
                await self._say(text)
            case ToolCallDelta():
                call = self._tool_calls.setdefault(
                    chunk.index, {"call_id": None, "name": None, "arguments": ""}
                )
                call["call_id"] = chunk.call_id or call["call_id"]
                call["name"] = chunk.name or call["name"]
                call["arguments"] += chunk.arguments
            case FellBack():
                notice = NotificationSent(text=chunk.notice(), level="warning")
                await self._scribe.emit(notice, self._at)
            case StartedOver():
                await self._start_over(chunk)
            case Finished():
                self._finished = chunk

    async def _start_over(self, told: StartedOver) -> None:
        """Withdraw what was shown. The same ids are shown anew, as after a takeover."""
        self._text, self._thought = "", None
        self._tool_calls.clear()
        notice = NotificationSent(text=told.notice(), level="warning")
        await self._scribe.emit(notice, self._at)
        await self._scribe.emit(StepRestarted(name="llm"), self._at)
        await self._scribe.emit(self._started, self._at)

    async def end(self) -> Reply:
        await self._end_thought()
        if self._text:
            done = MessageCompleted(
                message_id=self._message_id,
                content=self._text,
                content_type=self._content_type,
                duration_ms=ms_since(self._began),
            )
            await self._scribe.emit(done, self._at)
        finished = self._finished
        reply = Reply(
            self._text,
            [self._tool_calls[index] for index in sorted(self._tool_calls)],
            finished.finish_reason if finished else "stop",
        )
        event = LlmCompleted(
            call_id=self._started.call_id,
            duration_ms=ms_since(self._began),
            model=finished.model if finished else None,
            usage=finished.usage if finished else None,
            time_to_first_token_ms=finished.time_to_first_token_ms if finished else None,
            finish_reason=reply.finish_reason,
        )
        kept: dict[str, JsonValue] = {
            "text": reply.text,
            "tool_calls": cast("JsonValue", reply.tool_calls),
            "finish_reason": reply.finish_reason,
        }
        effect = self._scribe.remember(self._key, kept)
        await self._scribe.emit(event, self._at, key=f"{self._key}/completed", effects=[effect])
        return reply

    async def fail(self, error: Exception, model: str) -> None:
        raised_in(error, self._key.rpartition("/")[2].partition("#")[0])
        event = LlmFailed(
            call_id=self._started.call_id,
            error=error_info(error),
            duration_ms=ms_since(self._began),
            model=model,
        )
        await self._scribe.emit(event, self._at)

    async def _think(self, text: str) -> None:
        if self._thought is None:
            self._thought = _Thought(self._scribe, f"{self._started.call_id}.reasoning", self._key)
            started = ReasoningStarted(reasoning_id=self._thought.id)
            await self._scribe.emit(started, self._at)
        await self._thought.add(text, self._at)

    async def _say(self, text: str) -> None:
        await self._end_thought()
        if not self._text:
            started = MessageStarted(message_id=self._message_id, content_type=self._content_type)
            await self._scribe.emit(started, self._at)
        self._text += text
        await self._scribe.delta(MessageDelta(message_id=self._message_id, text=text), self._at)

    async def _end_thought(self) -> None:
        if self._thought is not None:
            await self._thought.end(self._at, remember=False)
            self._thought = None


def _told_to_start_over(model: ChatModel, wanted: bool) -> ChatModel:
    if isinstance(model, StartsOver):
        return model.starting_over(wanted)
    if wanted:
        raise ModelMisconfigured(
            f"The model {model.model!r} has no `starting_over`: it can't be asked anew after its first token."
        )
    return model


_shared: list[ChatModel] = []


def shared_model() -> ChatModel:
    """Return the process's model from the environment, made on first use."""
    if not _shared:
        _shared.append(model_from_environment())
    return _shared[0]
