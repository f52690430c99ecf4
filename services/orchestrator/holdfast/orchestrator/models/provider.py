"""The provider's words turned into ours: chunks, statuses, errors. Nothing here waits."""

import email.utils
import json
import math
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletionChunk

from holdfast.events.catalog.base import Usage
from holdfast.orchestrator.models.chat import Chunk, ReasoningDelta, TextDelta, ToolCallDelta
from holdfast.orchestrator.models.errors import (
    ConnectTimeout,
    KeyRefused,
    ModelError,
    ModelUnknown,
    ProviderCutOff,
    ProviderFailed,
    ProviderGarbled,
    ProviderRefused,
    ProviderUnreachable,
    QuotaExhausted,
    RateLimited,
)
from holdfast.orchestrator.models.settings import LlmSettings

# Enough for a sentence and a request id; an HTML error page is not worth more.
PROVIDER_MESSAGE_MAX = 500

# Inside a stream there is no status, only a word. These are the ones after which waiting may help.
PASSING_WORDS = ("rate_limit", "overloaded", "unavailable", "timeout", "server_error", "internal")


def content_of(packet: ChatCompletionChunk) -> tuple[Chunk, ...]:
    """Return what the packet adds to the answer; nothing for role, usage and keep-alive packets."""
    # The client library builds packets without validating them: every field may be absent or odd.
    choices = getattr(packet, "choices", None) or []
    delta = getattr(choices[0], "delta", None) if choices else None
    if delta is None:
        return ()
    chunks: list[Chunk] = []
    thought = getattr(delta, "reasoning_content", None) or getattr(delta, "reasoning", None)
    if isinstance(thought, str) and thought:
        chunks.append(ReasoningDelta(thought))
    # A refusal is the model's answer too, sent in another field.
    texts = (getattr(delta, "content", None), getattr(delta, "refusal", None))
    chunks.extend(TextDelta(text) for text in texts if isinstance(text, str) and text)
    for place, call in enumerate(getattr(delta, "tool_calls", None) or ()):
        function = getattr(call, "function", None)
        index = getattr(call, "index", None)
        chunks.append(
            ToolCallDelta(
                index=place if index is None else index,  # some providers leave it out
                call_id=getattr(call, "id", None) or None,
                name=getattr(function, "name", None) or None,
                arguments=_json_text(getattr(function, "arguments", None)),
            )
        )
    return tuple(chunks)


def _json_text(arguments: object) -> str:
    # Text in pieces by the protocol; some local servers send the whole object.
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments)


def finish_reason_of(packet: ChatCompletionChunk) -> str | None:
    """Return why the model stopped, if this packet says that it did."""
    choices = getattr(packet, "choices", None) or []
    return getattr(choices[0], "finish_reason", None) if choices else None


def usage_of(packet: ChatCompletionChunk) -> Usage | None:
    """Return the token counts, if this packet carries them."""
    usage = getattr(packet, "usage", None)
    if usage is None:
        return None
    return Usage(
        input_tokens=_count(usage, "prompt_tokens"),
        output_tokens=_count(usage, "completion_tokens"),
        total_tokens=_count(usage, "total_tokens"),
    )


def _count(usage: object, name: str) -> int | None:
    # An odd count is no count: an answer never fails for its bill.
    value = getattr(usage, name, None)
    return value if isinstance(value, int) else None


def not_a_stream(content_type: str) -> ProviderGarbled:
    """Return the error for an answer that is, say, a web page."""
    error = ProviderGarbled(
        "The model provider's answer is not a stream of text; check HOLDFAST_LLM_BASE_URL."
    )
    error.provider_message = f"content type {content_type[:80]!r}"
    return error


def failure_of(error: Exception, settings: LlmSettings, *, answering: bool) -> ModelError:
    """Return our error for the client library's; `answering`: the provider had begun to answer.

    The library's error becomes the cause only if nothing in it repeats the key.
    """
    failure = _failure_of(error, settings, answering=answering)
    if not _repeats(settings.key(), error):
        failure.__cause__ = error
    return failure


def _failure_of(error: Exception, settings: LlmSettings, *, answering: bool) -> ModelError:
    match error:
        case openai.APITimeoutError() if not answering:
            # Connecting is the only wait that is left to the library.
            return ConnectTimeout(settings.connect_timeout_s)
        case openai.APIConnectionError():
            if answering:
                return ProviderCutOff()
            return ProviderUnreachable("The model provider could not be reached.")
        case openai.APIStatusError():
            headers = error.response.headers
            said = _said(error, settings)
            said["retry_after_s"] = retry_after_s(headers, now_s=time.time())
            return _refusal(error.status_code, said)
        case openai.APIError():
            said = _said(error, settings)
            status = _status_in(said["provider_code"])
            if status is not None:
                return _refusal(status, said)
            words = f"{said['provider_code']} {error.type}".lower()
            if "rate_limit" in words:
                return _refusal(429, {**said, "provider_status": None})
            passing = any(word in words for word in PASSING_WORDS)
            return _refusal(500 if passing else 400, said, answering=True)
        case _:
            return ProviderGarbled("The model provider sent something that could not be read.")


def _refusal(status: int, said: dict[str, Any], *, answering: bool = False) -> ModelError:
    if answering:
        if status < 500:
            return ProviderRefused("The model provider gave up on this request.", **said)
        return ProviderFailed("The model provider failed while answering.", **said)
    said.setdefault("provider_status", status)
    match status:
        case 401 | 403:
            return KeyRefused(
                "The model provider refused the API key; check HOLDFAST_LLM_API_KEY.", **said
            )
        case 404:
            return ModelUnknown(
                "The model provider does not know this model or address; check HOLDFAST_LLM_MODEL"
                " and HOLDFAST_LLM_BASE_URL.",
                **said,
            )
        case 402:
            return QuotaExhausted("The account at the model provider has no credit left.", **said)
        case 429:
            if said["provider_code"] in ("insufficient_quota", "billing_hard_limit_reached"):
                return _refusal(402, said)
            return RateLimited("The model provider is busy and asks to try again later.", **said)
        case 408 | 409:
            return ProviderFailed("The model provider could not take the request just now.", **said)
        case _ if status >= 500:
            return ProviderFailed("The model provider has a problem of its own.", **said)
        case _:
            return ProviderRefused("The model provider did not accept the request.", **said)


def _said(error: openai.APIError, settings: LlmSettings) -> dict[str, Any]:
    body = error.body
    inner: object = (
        cast("Mapping[str, Any]", body).get("message") if isinstance(body, dict) else body
    )
    text = inner if isinstance(inner, str) and inner else error.message
    key = settings.key()
    if key:
        text = text.replace(key, "[key]")
    code = error.code  # typed as text; some gateways send a number
    return {
        "provider_message": text[:PROVIDER_MESSAGE_MAX],
        "provider_code": None if code is None else str(code),
    }


def _status_in(code: str | None) -> int | None:
    return int(code) if code and code.isdecimal() and 400 <= int(code[:4]) <= 599 else None


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Return the pause that the provider asks for, whichever way it says it; None: it does not."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name, "")
        try:
            wish = float(text) * unit_s
        except ValueError:
            try:
                wish = email.utils.parsedate_to_datetime(text).timestamp() - now_s
            except (ValueError, TypeError):
                continue
        if math.isfinite(wish):
            return max(0.0, wish)
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _repeats(key: str | None, error: BaseException) -> bool:
    if not key:
        return False
    return any(key in f"{e} {e!r}" for e in _chain(error))
