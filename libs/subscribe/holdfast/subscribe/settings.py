"""What a subscriber process is told by its environment, checked before anything starts."""

import os
import socket
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.events.watchdog import BLOCKED_S_MAX
from holdfast.subscribe.consumer import LEASE_S, POLL_S


class SubscriberSettings(BaseSettings):
    """Every knob of a subscriber process; each is `HOLDFAST_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore")

    database_url: SecretStr = Field(description="postgresql://…, where the log is")
    subscribers: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="modules or files that declare subscribers, separated by commas"
    )
    subscriber_name: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        min_length=1,
        max_length=128,
        description="how this process is called in leases and logs",
    )
    lease_s: float = Field(
        default=LEASE_S, ge=1, le=300, description="how soon a dead process is replaced"
    )
    poll_s: float = Field(
        default=POLL_S, ge=0.01, le=60, description="how often to look for new events"
    )
    drain_s: float = Field(
        default=15.0, ge=0, le=300, description="time to stop in before being cut off"
    )
    watchdog_s: float = Field(
        default=BLOCKED_S_MAX,
        ge=0,
        le=3600,
        description="how long the event loop may stand still before the process exits; 0 = for ever",
    )
    ops_host: str = Field(
        default="127.0.0.1", description="where /livez, /readyz and /metrics listen"
    )
    ops_port: int | None = Field(
        default=None, ge=0, le=65_535, description="their port; unset = not served"
    )
    log_level: str = Field(default="info", pattern="(?i)^(debug|info|warning|error)$")
    log_format: str = Field(default="json", pattern="(?i)^(json|console)$")

    @field_validator("subscribers", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
