"""The provider's model for LangChain: ChatOpenAI with this project's waits, errors and endings."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import openai
import structlog
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.messages.utils import count_tokens_approximately
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from langgraph.config import get_stream_writer
from pydantic import PrivateAttr, SecretStr

from holdfast.events.catalog import NotificationSent
from holdfast.events.clock import SystemClock
from holdfast.orchestrator.models.chat import FellBack
from holdfast.orchestrator.models.client import NO_KEY, USAGE_GRACE_S
from holdfast.orchestrator.models.errors import (
    AnswerTimeout,
    BetweenTokensTimeout,
    FirstTokenTimeout,
    ModelError,
    ModelMisconfigured,
    ProviderCutOff,
)
from holdfast.orchestrator.models.fallback import another_may_help
from holdfast.orchestrator.models.patience import Patience
from holdfast.orchestrator.models.provider import failure_of
from holdfast.orchestrator.models.settings import LlmSettings

log = structlog.get_logger("holdfast.models")


def provider_chat_model(settings: LlmSettings) -> "ProviderChatModel":
    """Return the chat model that the settings describe, fallbacks included. Opens no connection."""
    others = [_one_model(other) for other in settings.fallbacks()]
    return _one_model(settings).stood_in_for_by(others)


def _one_model(settings: LlmSettings) -> "ProviderChatModel":
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
    """ChatOpenAI that raises a ModelError when an answer is late, cut off or refused, and may be stood in for.

    Not LangChain's `with_fallbacks`: inside a graph that would begin anew behind half an answer that was shown, and
    what it returns is no chat model, which agents ask for.
    """

    _settings: LlmSettings = PrivateAttr(default_factory=lambda: LlmSettings.model_construct())
    _others: tuple["ProviderChatModel", ...] = PrivateAttr(default=())

    def waiting_as(self, settings: LlmSettings) -> "ProviderChatModel":
        """Take the waits from `settings`; return the model itself."""
        self._settings = settings
        return self

    def stood_in_for_by(self, others: Sequence["ProviderChatModel"]) -> "ProviderChatModel":
        """Ask these, in order, when there is no answer before its first token; return the model itself."""
        self._others = tuple(others)
        return self

    def get_num_tokens_from_messages(
        self, messages: Sequence[BaseMessage], *args: Any, **kwargs: Any
    ) -> int:
        """Return an estimate, four characters a token: to count, a vocabulary is downloaded."""
        return count_tokens_approximately(messages)

    def get_token_ids(self, text: str) -> list[int]:
        """Return one made-up id per four characters, for the same reason."""
        return list(range(-(-len(text) // 4)))

    # The bases name one more keyword, which is passed on.
    async def _astream(  # pyright: ignore[reportIncompatibleMethodOverride]
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncGenerator[ChatGenerationChunk, None]:
        opening = _Opening()
        for asked, instead in self._in_turn():
            source = asked._answer(messages, stop, run_manager, **kwargs)
            try:
                async with aclosing(source) as answer:
                    async for chunk in answer:
                        for shown in opening.pass_on(chunk):
                            yield shown
                return
            except ModelError as error:
                _fall_back(asked, instead, error, begun=opening.begun)
            kwargs.pop("model", None)  # a name that the first provider knows

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        # For nodes that are not async. Their thread can't be told to stop waiting: the client's own timeouts hold.
        opening = _Opening()
        for asked, instead in self._in_turn():
            try:
                for chunk in asked._answer_in_thread(messages, stop, run_manager, **kwargs):
                    yield from opening.pass_on(chunk)
                return
            except ModelError as error:
                _fall_back(asked, instead, error, begun=opening.begun)
            kwargs.pop("model", None)

    def _in_turn(self) -> "Iterator[tuple[ProviderChatModel, ProviderChatModel | None]]":
        models = (self, *self._others)
        return zip(models, (*self._others, None), strict=True)

    def _answer_in_thread(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: CallbackManagerForLLMRun | None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        begun = finished = False
        failure: ModelError = ProviderCutOff()
        try:
            for chunk in super()._stream(messages, stop, run_manager, **kwargs):
                begun, finished = True, finished or _finishes(chunk)
                yield chunk
        except (openai.OpenAIError, ValueError) as error:
            failure = failure_of(error, self._settings, answering=begun)
        # Outside of `except`, where Python would add the library's error as context, key and all.
        if not finished:
            raise failure

    async def _answer(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        run_manager: AsyncCallbackManagerForLLMRun | None,
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


class _Opening:
    """Holds back what precedes an answer's first token: it says nothing, and another model may say the rest."""

    def __init__(self) -> None:
        self.begun = False
        self._held: ChatGenerationChunk | None = None

    def pass_on(self, chunk: ChatGenerationChunk) -> list[ChatGenerationChunk]:
        if self.begun:
            return [chunk]
        self.begun = _has_content(chunk) or _finishes(chunk)
        if not self.begun:
            self._held = chunk  # empty ones may come for a minute
            return []
        return [chunk] if self._held is None else [self._held, chunk]


def _fall_back(
    asked: ProviderChatModel,
    instead: ProviderChatModel | None,
    error: ModelError,
    *,
    begun: bool,
) -> None:
    """Tell that another model is asked, or raise the error if none may be."""
    if begun or instead is None or not another_may_help(error):
        raise error
    fell_back = FellBack(asked.model_name, instead.model_name, error.info())
    log.warning(
        "model.fell_back", model=asked.model_name, to=instead.model_name, code=fell_back.error.code
    )
    try:
        tell = get_stream_writer()
    except (RuntimeError, KeyError):
        return  # outside of a graph nobody reads along
    tell(NotificationSent(text=fell_back.notice(), level="warning"))


def _finishes(chunk: ChatGenerationChunk) -> bool:
    return bool((chunk.generation_info or {}).get("finish_reason"))


def _has_content(chunk: ChatGenerationChunk) -> bool:
    message = chunk.message
    called = isinstance(message, AIMessageChunk) and bool(message.tool_call_chunks)
    return bool(chunk.text) or called
