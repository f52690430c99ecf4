"""The provider's model for LangChain: ChatOpenAI with this project's waits, errors and endings."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, cast

import openai
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from pydantic import PrivateAttr, SecretStr

from holdfast.events.clock import SystemClock
from holdfast.orchestrator.models.client import NO_KEY, USAGE_GRACE_S
from holdfast.orchestrator.models.errors import (
    AnswerTimeout,
    BetweenTokensTimeout,
    FirstTokenTimeout,
    ModelError,
    ModelMisconfigured,
    ProviderCutOff,
)
from holdfast.orchestrator.models.patience import Patience
from holdfast.orchestrator.models.provider import failure_of
from holdfast.orchestrator.models.settings import LlmSettings


def provider_chat_model(settings: LlmSettings) -> "ProviderChatModel":
    """Return the chat model that the settings describe. Opens no connection."""
    if settings.base_url is None or settings.model is None:
        raise ModelMisconfigured("A real model needs HOLDFAST_LLM_BASE_URL and HOLDFAST_LLM_MODEL.")
    model = ProviderChatModel(
        base_url=settings.base_url,
        api_key=SecretStr(settings.key() or NO_KEY),
        model=settings.model,
        streaming=True,
        stream_usage=settings.include_usage,
        use_responses_api=False,
        # The package retries only until the response's head has come, so before the first token.
        max_retries=settings.max_retries,
        timeout=openai.Timeout(settings.first_token_timeout_s, connect=settings.connect_timeout_s),
        stream_chunk_timeout=None,  # Patience knows the first token from the next one
    )
    return model.waiting_as(settings)


class ProviderChatModel(ChatOpenAI):
    """ChatOpenAI that raises a ModelError when an answer is late, cut off or refused."""

    _settings: LlmSettings = PrivateAttr(default_factory=lambda: LlmSettings.model_construct())

    def waiting_as(self, settings: LlmSettings) -> "ProviderChatModel":
        """Take the waits from `settings`; return the model itself."""
        self._settings = settings
        return self

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], *args: Any, **kwargs: Any
    ) -> int:
        """Return an estimate, four characters a token: to count, a vocabulary is downloaded."""
        return count_tokens_approximately(messages)

    def get_token_ids(self, text: str) -> list[int]:
        """Return one made-up id per four characters, for the same reason."""
        return list(range(-(-len(text) // 4)))

    # The base names one more keyword, which is passed on.
    async def _astream(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        clock = SystemClock()
        patience = Patience(self._settings.total_timeout_s, clock)
        late: AnswerTimeout = FirstTokenTimeout(self._settings.first_token_timeout_s)
        until = clock.monotonic() + late.limit_s
        finished, begun = False, False
        source = cast(
            "AsyncGenerator[ChatGenerationChunk, None]",
            super()._astream(messages, stop, run_manager, **kwargs),
        )
        async with aclosing(source) as answer:
            while True:
                failure: ModelError
                try:
                    chunk = await patience.wait(anext(answer), until, late)
                except StopAsyncIteration:
                    break
                except ModelError as error:
                    failure = error
                except (openai.OpenAIError, ValueError) as error:
                    failure = failure_of(error, self._settings, answering=begun)
                else:
                    begun = True
                    yield chunk
                    finished = finished or _finishes(chunk)
                    if finished:
                        until = clock.monotonic() + USAGE_GRACE_S
                    elif _has_content(chunk):
                        late = BetweenTokensTimeout(self._settings.between_token_timeout_s)
                        until = clock.monotonic() + late.limit_s
                    continue
                if finished:
                    return  # the answer is whole; only its bill is missing
                raise failure
        if not finished:
            raise ProviderCutOff()


def _finishes(chunk: ChatGenerationChunk) -> bool:
    return bool((chunk.generation_info or {}).get("finish_reason"))


def _has_content(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    called = isinstance(message, AIMessageChunk) and bool(message.tool_call_chunks)
    return bool(chunk.text) or called
