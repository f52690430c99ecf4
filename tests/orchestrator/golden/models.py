"""A LangChain chat model that follows a script, with thoughts and tool calls streamed in pieces."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult


class Piece:
    """A piece of an answer: text, thought, or a part of a tool call."""

    def __init__(self, text: str = "", *, thought: str = "", call: dict[str, Any] | None = None):
        self.text, self.thought, self.call = text, thought, call

    def chunk(self) -> AIMessageChunk:
        """The piece as LangChain streams it."""
        calls = (
            [ToolCallChunk(**{"index": 0, "id": None, "name": None, **self.call})]
            if self.call
            else []
        )
        kwargs = {"reasoning_content": self.thought} if self.thought else {}
        return AIMessageChunk(content=self.text, additional_kwargs=kwargs, tool_call_chunks=calls)


def called(name: str, *args: str, id: str) -> list[Piece]:
    """A tool call whose arguments come in these parts, after its name."""
    return [
        Piece(call={"id": id, "name": name, "args": ""}),
        *[Piece(call={"args": part}) for part in args],
    ]


Script = Callable[[Sequence[BaseMessage]], Sequence[Piece]]


class ScriptedModel(BaseChatModel):
    """Answers what its script says to the messages; `hangs` makes it stop after its last piece."""

    script: Any
    hangs: bool = False

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "ScriptedModel":
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        raise AssertionError("everything here is asynchronous")

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for piece in self.script(messages):
            chunk = ChatGenerationChunk(message=piece.chunk())
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk
        if self.hangs:
            await asyncio.Event().wait()
        last = AIMessageChunk(content="", chunk_position="last")
        yield ChatGenerationChunk(message=last)

    async def _agenerate(
        self, messages: list[BaseMessage], *args: Any, **kwargs: Any
    ) -> ChatResult:
        whole = None
        async for chunk in self._astream(messages, *args, **kwargs):
            whole = chunk if whole is None else whole + chunk
        assert whole is not None
        return ChatResult(generations=[ChatGeneration(message=whole.message)])
