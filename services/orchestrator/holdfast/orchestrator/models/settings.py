"""Which model workflows talk to and how long they wait for it: `HOLDFAST_LLM_…` in the environment.

A base URL makes it a real provider; without one the scripted offline model answers. A half-made
configuration is an error rather than the offline model, which would hide the mistake.
"""

import difflib
import os
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from holdfast.orchestrator.models.errors import ModelMisconfigured

PREFIX = "HOLDFAST_LLM_"

# A wait of zero refuses everything; one over an hour is a typing mistake (ms for s) more often than
# a wish.
Wait = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]


class LlmSettings(BaseSettings):
    """How to reach a model that speaks the OpenAI chat-completions protocol; waits in seconds."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,  # compose files pass `NAME=` for what is not set
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # pydantic would print the key beside the complaint
        protected_namespaces=(),  # `model` is the word
    )

    base_url: str | None = Field(default=None, description="such as https://api.openai.com/v1")
    api_key: SecretStr | None = Field(default=None, description="not needed by most local servers")
    model: str | None = Field(default=None, description="the model's name at the provider")
    fallback_models: str = Field(
        default="", description="models to ask when that one gives no answer, separated by commas"
    )
    fallback_base_url: str | None = Field(
        default=None, description="where the fallback models are, if not at the same provider"
    )
    fallback_api_key: SecretStr | None = Field(default=None, description="the key for there")

    # TCP and TLS take 3 round trips: 10 s forgives a lost SYN twice (1 s + 2 s) on a slow path.
    connect_timeout_s: Wait = 10
    # From request to first token, connecting included. Reasoning models are silent for half a
    # minute.
    first_token_timeout_s: Wait = 60
    # A healthy stream pauses for a second or two; 30 s is a stuck one.
    between_token_timeout_s: Wait = 30
    # All waiting for one answer, retries included; the reader's own time is not counted. 10 minutes
    # at 20 tokens/s are 12,000 tokens, more than answers here are long.
    total_timeout_s: Wait = 600
    # Retries after the first request of an answer, all of them before the first token unless the next one says more.
    max_retries: Annotated[int, Field(ge=0, le=10)] = 2
    # Also ask anew, within those retries, for an answer that broke off in the middle: what was shown is withdrawn.
    retry_after_first_token: bool = False
    # Ask for `stream_options.include_usage`. A provider that refuses it is asked without, from then
    # on.
    include_usage: bool = True
    # The pace of the scripted offline model: 5 ms a word is 200 words/s.
    offline_token_delay_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 0.005

    @field_validator("base_url", "fallback_base_url")
    @classmethod
    def _is_a_base(cls, value: str | None) -> str | None:
        if value is None:
            return None
        try:
            parts = urlsplit(value.strip())
            _ = parts.port
        except ValueError:
            raise ValueError("is not a URL") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("must be an http(s) URL, such as https://api.openai.com/v1")
        if parts.username is not None or parts.query or parts.fragment:
            raise ValueError(
                "must have no user, query or fragment; the key goes into HOLDFAST_LLM_API_KEY"
            )
        if parts.path.rstrip("/").endswith("/completions"):
            raise ValueError("must be the base only, up to /v1; /chat/completions is added to it")
        return value.strip().rstrip("/")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.base_url is None and (self.api_key is not None or self.model is not None):
            raise ValueError(
                "HOLDFAST_LLM_BASE_URL is missing, but a key or a model is set; set all of them for"
                " a real model, or none for the offline one"
            )
        if self.base_url is not None and self.model is None:
            raise ValueError(
                "HOLDFAST_LLM_MODEL is missing: which of the provider's models is to be used?"
            )
        if self.fallback_models and self.base_url is None:
            raise ValueError("HOLDFAST_LLM_FALLBACK_MODELS needs a real model to stand in for")
        elsewhere = self.fallback_base_url is not None or self.fallback_api_key is not None
        if elsewhere and not self.fallback_models:
            raise ValueError(
                "HOLDFAST_LLM_FALLBACK_MODELS is missing: which models are to stand in?"
            )
        if self.fallback_api_key is not None and self.fallback_base_url is None:
            raise ValueError("HOLDFAST_LLM_FALLBACK_API_KEY needs HOLDFAST_LLM_FALLBACK_BASE_URL")
        return self

    def fallbacks(self) -> list["LlmSettings"]:
        """Return the settings of the models that stand in, in order."""
        where: dict[str, object] = {}
        if self.fallback_base_url is not None:
            # The first provider's key is none of the second's business.
            where = {"base_url": self.fallback_base_url, "api_key": self.fallback_api_key}
        names = [name.strip() for name in self.fallback_models.split(",") if name.strip()]
        alone = {"fallback_models": "", "fallback_base_url": None, "fallback_api_key": None}
        return [self.model_copy(update={**alone, **where, "model": name}) for name in names]

    @classmethod
    def from_environment(cls) -> Self:
        """Return this process's settings; raise ModelMisconfigured that names what is wrong."""
        problems = _unknown_names({PREFIX + name.upper() for name in cls.model_fields})
        settings = None
        try:
            settings = cls()
        except ValidationError as error:
            problems += [_complaint(tuple(e["loc"]), e["msg"]) for e in error.errors()]
        # Raised outside of `except`: a ValidationError in the traceback knows the values.
        if problems or settings is None:
            raise ModelMisconfigured("The model is misconfigured. " + " ".join(problems))
        return settings

    def key(self) -> str | None:
        """Return the API key in the clear, for the header and for nothing else."""
        return self.api_key.get_secret_value() if self.api_key else None


def _complaint(place: tuple[int | str, ...], message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(place[0]).upper()}: {message}." if place else f"{message}."


def _unknown_names(known: set[str]) -> list[str]:
    # A mistyped HOLDFAST_LLM_BASE_URL would otherwise quietly mean "offline".
    unknown = sorted(
        n for n in os.environ if n.upper().startswith(PREFIX) and n.upper() not in known
    )
    problems: list[str] = []
    for name in unknown:
        close = difflib.get_close_matches(name.upper(), sorted(known), n=1)
        hint = f"; did you mean {close[0]}?" if close else "."
        problems.append(f"{name} is not a setting{hint}")
    return problems
