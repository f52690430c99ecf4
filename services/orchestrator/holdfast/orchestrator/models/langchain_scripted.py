"""The scripted offline model as a LangChain chat model."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from holdfast.orchestrator.models.chat import Finished, Message, TextDelta
from holdfast.orchestrator.models.scripted import MODEL_NAME, TOKEN_DELAY_S, ScriptedClient
from holdfast.orchestrator.models.scripts import reply_to

_ROLES = {"human": "user", "ai": "assistant"}


class ScriptedChatModel(BaseChatModel):
    """A chat model without a network that answers from the same scripts as `ScriptedClient`."""

    token_delay_s: float = TOKEN_DELAY_S

    @property
    def _llm_type(self) -> str:
        return MODEL_NAME

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> "ScriptedChatModel":
        """Return the model as it is: a script calls no tools, and no agent shall fail for that."""
        return self

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        # Called from synchronous code only, which can't watch a stream: the whole text at once.
        return _result(reply_to(_plain(messages)))

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        chunks = [c async for c in self._astream(messages, stop, run_manager, **kwargs)]
        return _result("".join(c.text for c in chunks))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        client = ScriptedClient(token_delay_s=self.token_delay_s)
        async with aclosing(client.stream(_plain(messages))) as answer:
            async for part in answer:
                if isinstance(part, TextDelta):
                    chunk = ChatGenerationChunk(message=AIMessageChunk(content=part.text))
                elif isinstance(part, Finished):
                    chunk = _last(part)
                else:
                    continue
                if run_manager is not None:
                    await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                yield chunk


def _last(part: Finished) -> ChatGenerationChunk:
    usage = part.usage
    message = AIMessageChunk(
        content="",
        chunk_position="last",
        response_metadata={"finish_reason": part.finish_reason, "model_name": part.model},
        usage_metadata=UsageMetadata(
            input_tokens=(usage and usage.input_tokens) or 0,
            output_tokens=(usage and usage.output_tokens) or 0,
            total_tokens=(usage and usage.total_tokens) or 0,
        ),
    )
    return ChatGenerationChunk(message=message)


def _result(text: str) -> ChatResult:
    message = AIMessage(content=text, response_metadata={"model_name": MODEL_NAME})
    return ChatResult(generations=[ChatGeneration(message=message)])


def _plain(messages: Sequence[BaseMessage]) -> list[Message]:
    return [{"role": _ROLES.get(m.type, m.type), "content": m.content} for m in messages]
