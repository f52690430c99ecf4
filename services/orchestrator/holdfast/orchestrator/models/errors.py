"""Everything that can go wrong between a workflow and a model, as one tree.

    ModelError
    ├── ModelMisconfigured        the settings make no sense; nothing was asked of anybody
    ├── ProviderUnreachable       no connection, or it broke before an answer began
    │   └── ConnectTimeout
    ├── AnswerTimeout             the provider is too slow
    │   ├── FirstTokenTimeout     … to begin
    │   ├── BetweenTokensTimeout  … to go on
    │   └── TotalTimeout          … as a whole
    ├── ProviderRefused           the request is not acceptable, and will not be next time
    │   ├── KeyRefused, ModelUnknown, QuotaExhausted
    ├── RateLimited               too many requests; `retry_after_s` says when, if the provider did
    ├── ProviderFailed            the provider had a fault of its own
    ├── ProviderCutOff            the answer stopped in the middle
    └── ProviderGarbled           what came is not a stream of chat completions

The message is one sentence for a person and never quotes the provider; what the provider said is
kept in the fields, without the API key.
"""

from typing import ClassVar

from holdfast.events.catalog.base import ErrorInfo
from holdfast.events.errors import HoldfastError


class ModelError(HoldfastError):
    """The base of what models raise; `retryable`: the same request may succeed later."""

    code: ClassVar[str] = "model-error"
    retryable: ClassVar[bool] = False

    def __init__(
        self,
        sentence: str,
        *,
        provider_status: int | None = None,
        provider_code: str | None = None,
        provider_message: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(sentence)
        self.provider_status, self.provider_code = provider_status, provider_code
        self.provider_message, self.retry_after_s = provider_message, retry_after_s
        # How many requests were made for this answer.
        self.attempts = 0

    def info(self) -> ErrorInfo:
        """Return the error as an event may carry it: without the provider's own words."""
        details = {
            "provider_status": self.provider_status,
            "retry_after_s": self.retry_after_s,
            "attempts": self.attempts or None,
        }
        return ErrorInfo(
            code=self.code,
            message=str(self),
            retryable=self.retryable,
            details={k: v for k, v in details.items() if v is not None} or None,
        )


class ModelMisconfigured(ModelError):
    """The environment does not describe a usable model."""

    code = "model-misconfigured"


class ProviderUnreachable(ModelError):
    """No connection to the provider, or it broke before an answer began."""

    code = "model-unreachable"
    retryable = True


class ConnectTimeout(ProviderUnreachable):
    """The provider did not take the connection in time."""

    code = "model-connect-timeout"

    def __init__(self, limit_s: float) -> None:
        super().__init__(
            f"The model provider could not be reached: no connection within {limit_s:g} s."
        )
        self.limit_s = limit_s


class AnswerTimeout(ModelError):
    """The provider took the request and was too slow."""

    code = "model-timeout"
    retryable = True
    complaint: ClassVar[str] = "The model did not answer within {limit_s:g} s."

    def __init__(self, limit_s: float) -> None:
        super().__init__(self.complaint.format(limit_s=limit_s))
        self.limit_s = limit_s


class FirstTokenTimeout(AnswerTimeout):
    """No part of the answer came in time."""

    code = "model-first-token-timeout"
    complaint = "The model did not begin to answer within {limit_s:g} s."


class BetweenTokensTimeout(AnswerTimeout):
    """The answer began and then stood still."""

    code = "model-between-tokens-timeout"
    complaint = "The model stopped in the middle of its answer for more than {limit_s:g} s."


class TotalTimeout(AnswerTimeout):
    """The answer was waited for longer than one answer may take."""

    code = "model-total-timeout"
    complaint = "The model's answer took longer than the {limit_s:g} s that it may take."


class ProviderRefused(ModelError):
    """The provider does not accept the request as it stands."""

    code = "model-refused"


class KeyRefused(ProviderRefused):
    """The API key is missing, wrong or not allowed to do this."""

    code = "model-key-refused"


class ModelUnknown(ProviderRefused):
    """The provider has no such model, or no such address."""

    code = "model-unknown"


class QuotaExhausted(ProviderRefused):
    """The account has nothing left to spend; waiting does not help."""

    code = "model-quota-exhausted"


class RateLimited(ModelError):
    """The provider asks for fewer requests."""

    code = "model-rate-limited"
    retryable = True


class ProviderFailed(ModelError):
    """The provider reports a fault of its own, in its status or inside the stream."""

    code = "model-failed"
    retryable = True


class ProviderCutOff(ModelError):
    """The stream ended without saying that the answer is finished."""

    code = "model-cut-off"
    retryable = True

    def __init__(self) -> None:
        super().__init__("The model's answer was cut off before its end.")


class ProviderGarbled(ModelError):
    """What came is not a stream of chat completions."""

    code = "model-garbled"
