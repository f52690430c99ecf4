"""A client for any provider that speaks the OpenAI chat-completions protocol.

The `openai` package speaks the protocol; this file decides how long to wait, when to ask again and
what counts as an answer. The package's own retries are off: it can't know that a token was already
shown.
"""

import copy
import random
from collections.abc import AsyncGenerator, Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletionChunk

from holdfast.events.catalog.base import Milliseconds, Usage
from holdfast.events.clock import Clock, SystemClock
from holdfast.orchestrator.models.chat import Chunk, Finished, Message, StartedOver, Tool
from holdfast.orchestrator.models.errors import (
    AnswerTimeout,
    BetweenTokensTimeout,
    FirstTokenTimeout,
    ModelError,
    ModelMisconfigured,
    ProviderCutOff,
    ProviderRefused,
)
from holdfast.orchestrator.models.patience import Patience, backoff_s
from holdfast.orchestrator.models.provider import (
    content_of,
    failure_of,
    finish_reason_of,
    not_a_stream,
    usage_of,
)
from holdfast.orchestrator.models.settings import LlmSettings

# After the finish reason only the usage is missing, which follows in the same breath. An answer is
# not held back, and never failed, for the sake of its bill.
USAGE_GRACE_S = 2.0

# Sent where no key is set. Left empty, the package would take OPENAI_API_KEY from the environment
# and show it to whoever answers at our base URL.
NO_KEY = "no-key"


class ChatClient:
    """A `ChatModel` at a provider.

    Connections are kept and shared by all streams of one event loop; `aclose` lets go of them.
    """

    def __init__(
        self,
        settings: LlmSettings,
        *,
        clock: Clock | None = None,
        chance: random.Random | None = None,
    ) -> None:
        if settings.base_url is None or settings.model is None:
            raise ModelMisconfigured(
                "A real model needs HOLDFAST_LLM_BASE_URL and HOLDFAST_LLM_MODEL."
            )
        self._settings, self._model = settings, settings.model
        self._clock, self._chance = clock or SystemClock(), chance or random.Random()
        self._asks_for_usage = settings.include_usage
        self._starts_over = settings.retry_after_first_token
        self._openai = openai.AsyncOpenAI(
            base_url=settings.base_url,
            api_key=settings.key() or NO_KEY,
            max_retries=0,
            # Reading is bounded by Patience, which knows a token from a keep-alive.
            timeout=openai.Timeout(None, connect=settings.connect_timeout_s),
        )
        # Taken from OPENAI_ORG_ID and OPENAI_PROJECT_ID, and none of this provider's business.
        self._openai.organization = self._openai.project = None

    def __repr__(self) -> str:
        host = urlsplit(self._settings.base_url or "").hostname
        return f"ChatClient(model={self._model!r}, host={host!r})"

    @property
    def model(self) -> str:
        """Return the model's name at the provider."""
        return self._model

    async def stream(
        self,
        messages: Sequence[Message],
        *,
        model: str | None = None,
        tools: Sequence[Tool] | None = None,
        temperature: float | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks, the last of which is `Finished`; raise a ModelError otherwise.

        A failed request is made again, `max_retries` times in all, only where that may help, and
        only while nothing of the answer was yielded, unless it may start over. Cancelling a pull,
        or closing the iterator, ends the request at once.
        """
        begun = self._clock.monotonic()
        request: dict[str, Any] = {"model": model or self._model, "messages": list(messages)}
        if tools:
            request["tools"] = list(tools)
        if temperature is not None:
            request["temperature"] = temperature
        effort = _Effort(self._settings, self._clock, self._chance)
        first_token_ms: Milliseconds | None = None
        while True:
            answer, chunks = await self._begin(request, effort)
            if chunks:
                first_token_ms = round((self._clock.monotonic() - begun) * 1000)
            try:
                while chunks:
                    for chunk in chunks:
                        yield chunk
                    chunks = await answer.more()
                break
            except ModelError as error:
                failure = error
            finally:
                await answer.aclose()
            pause_s = effort.pause_s(failure) if self._starts_over else None
            if pause_s is None:
                raise failure
            yield StartedOver(failure.info())
            await effort.patience.pause(pause_s)
        yield Finished(
            finish_reason=answer.finish_reason or "",
            usage=answer.usage,
            time_to_first_token_ms=first_token_ms,
            model=answer.model or request["model"],
        )

    async def aclose(self) -> None:
        """Close every connection; streams that are still read fail."""
        await self._openai.close()

    def starting_over(self, wanted: bool) -> "ChatClient":
        """Return the same model, on the same connections, which asks anew for an answer that broke off, or never."""
        same = copy.copy(self)
        same._starts_over = wanted
        return same

    async def _begin(
        self, request: dict[str, Any], effort: "_Effort"
    ) -> tuple["_Answer", tuple[Chunk, ...]]:
        # Returns with the first content, or with none if the answer is finished and empty.
        while True:
            effort.attempts += 1
            asks_for_usage = self._asks_for_usage
            answer = _Answer(self._openai, self._settings, self._clock, effort.patience)
            try:
                chunks = await answer.first(request, asks_for_usage=asks_for_usage)
            except ModelError as error:
                failure = error
            else:
                return answer, chunks
            if asks_for_usage and _refuses_usage(failure):
                # Not a retry: another request. It happens once per client, as the answer is
                # remembered.
                self._asks_for_usage = False
                continue
            pause_s = effort.pause_s(failure)
            if pause_s is None:
                raise failure
            await effort.patience.pause(pause_s)


class _Effort:
    """What was spent on one answer: requests, failures and waiting."""

    def __init__(self, settings: LlmSettings, clock: Clock, chance: random.Random) -> None:
        self.patience = Patience(settings.total_timeout_s, clock)
        self.attempts = 0
        self._failed, self._most, self._chance = 0, settings.max_retries, chance

    def pause_s(self, failure: ModelError) -> float | None:
        """Count a failure; return how long to pause before the next request, None to give up."""
        self._failed += 1
        failure.attempts = self.attempts
        # A first token that is late is not asked for again here: each try costs the whole wait, and
        # the provider may be charging for the answer that it prepares.
        late = isinstance(failure, AnswerTimeout) and not isinstance(failure, BetweenTokensTimeout)
        if not failure.retryable or late or self._failed > self._most:
            return None
        pause_s = backoff_s(failure, self._failed, self._chance)
        return pause_s if pause_s is not None and self.patience.allows(pause_s) else None


def _refuses_usage(failure: ModelError) -> bool:
    return (
        isinstance(failure, ProviderRefused)
        and failure.provider_status in (400, 422)
        and any(
            word in (failure.provider_message or "") for word in ("stream_options", "include_usage")
        )
    )


class _Answer:
    """One request and what comes back. After any error its connection is closed."""

    def __init__(
        self, client: openai.AsyncOpenAI, settings: LlmSettings, clock: Clock, patience: Patience
    ) -> None:
        self._client, self._settings, self._clock = client, settings, clock
        self._patience = patience
        self._packets: openai.AsyncStream[ChatCompletionChunk] | None = None
        self._packets_seen = False
        self.finish_reason: str | None = None
        self.usage: Usage | None = None
        self.model: str | None = None

    async def first(self, request: dict[str, Any], *, asks_for_usage: bool) -> tuple[Chunk, ...]:
        """Send the request; return the first content, or nothing if the answer is empty."""
        options = {"stream_options": {"include_usage": True}} if asks_for_usage else {}
        late = FirstTokenTimeout(self._settings.first_token_timeout_s)
        until = self._clock.monotonic() + late.limit_s
        # Any: our mappings are checked by the provider, not against the package's many overloads.
        create = cast(Any, self._client.chat.completions.create)
        sending = create(**request, **options, stream=True)
        try:
            opened = await self._patience.wait(sending, until, late)
        except openai.APIError as error:
            failure = failure_of(error, self._settings, answering=False)
        else:
            self._packets = cast("openai.AsyncStream[ChatCompletionChunk]", opened)
            return await self._content(until, late)
        # Outside of `except`, where Python would add the library's error as context, key and all.
        raise failure

    async def more(self) -> tuple[Chunk, ...]:
        """Return the next content; nothing when the answer is whole."""
        late = BetweenTokensTimeout(self._settings.between_token_timeout_s)
        return await self._content(self._clock.monotonic() + late.limit_s, late)

    async def aclose(self) -> None:
        """End the request, whatever its state."""
        if self._packets is not None:
            await self._packets.close()

    async def _content(self, until: float, late: AnswerTimeout) -> tuple[Chunk, ...]:
        failure: ModelError
        try:
            while True:
                if self.finish_reason is not None:
                    until = min(until, self._clock.monotonic() + USAGE_GRACE_S)
                packet = await self._packet(until, late)
                if packet is None:
                    failure = self._end()
                    break
                chunks = self._read(packet)
                if chunks:
                    return chunks
        except ModelError as error:
            failure = error
        except BaseException:
            # Cancelled, or a fault of our own: the request ends with us.
            await self.aclose()
            raise
        await self.aclose()
        if self.finish_reason is not None:
            return ()
        raise failure

    async def _packet(self, until: float, late: AnswerTimeout) -> ChatCompletionChunk | None:
        assert self._packets is not None
        try:
            return await self._patience.wait(anext(self._packets), until, late)
        except StopAsyncIteration:
            return None
        except (openai.OpenAIError, ValueError) as error:
            # ValueError: neither JSON nor UTF-8.
            failure = failure_of(error, self._settings, answering=True)
        raise failure

    def _read(self, packet: ChatCompletionChunk) -> tuple[Chunk, ...]:
        self._packets_seen = True
        self.finish_reason = finish_reason_of(packet) or self.finish_reason
        self.usage = usage_of(packet) or self.usage
        self.model = getattr(packet, "model", None) or self.model
        return content_of(packet)

    def _end(self) -> ModelError:
        # The finish reason alone marks a whole answer: `[DONE]` is left out by some providers, and
        # sent by others after an abort.
        assert self._packets is not None
        kind = self._packets.response.headers.get("content-type", "")
        if self._packets_seen or kind.startswith("text/event-stream"):
            return ProviderCutOff()
        return not_a_stream(kind)
