"""What a worker is told by its environment, checked before anything starts."""

import os
import socket
from typing import Annotated

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.events.watchdog import BLOCKED_S_MAX
from holdfast.orchestrator.coalesce import COALESCE_CHARS, COALESCE_MS
from holdfast.processes.become import PROCESSES_MAX, refusal

# The workflows that come with Holdfast.
SAMPLES = ("holdfast.orchestrator.workflows.team", "holdfast.orchestrator.workflows.ticker")


class OrchestratorSettings(BaseSettings):
    """Every knob of a worker; each is `HOLDFAST_` and its name in upper case."""

    model_config = SettingsConfigDict(env_prefix="HOLDFAST_", extra="ignore")

    database_url: SecretStr = Field(description="postgresql://…, where the log is")
    redis_url: SecretStr = Field(description="redis://…, where the streams are")
    worker_name: str = Field(
        default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}",
        min_length=1,
        max_length=128,
        description="how this worker is called in leases, logs and the list of workflows",
    )
    processes: int = Field(
        default=1,
        ge=1,
        le=PROCESSES_MAX,
        description="how many workers to run under one supervisor; every limit is of each of them",
    )
    workflows: Annotated[tuple[str, ...], NoDecode] = Field(
        default=SAMPLES, description="modules that declare workflows, separated by commas"
    )
    lease_s: float = Field(
        default=15.0, ge=1, le=300, description="how long a session outlives its dead owner"
    )
    poll_s: float = Field(
        default=1.0, ge=0.05, le=60, description="how often to look for work without a hint"
    )
    sessions_max: int = Field(default=200, ge=1, le=10_000, description="sessions owned at once")
    tenant_max_runs: int | None = Field(
        default=None,
        ge=1,
        description="runs of one tenant at work at once, over all workers; unset = as many as there are",
    )
    attempts_max: int = Field(
        default=5,
        ge=1,
        le=100,
        description="takeovers in a row without a new step before a run is given up",
    )
    retry_backoff_s: float = Field(
        default=1.0,
        ge=0,
        le=300,
        description="pause before the second takeover in a row; doubles each time",
    )
    coalesce_ms: int = Field(
        default=COALESCE_MS, ge=0, le=1000, description="how long streamed text gathers; 0 = off"
    )
    coalesce_chars: int = Field(default=COALESCE_CHARS, ge=1, le=16_384)
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
    log_format: str = Field(
        default="json",
        pattern="(?i)^(json|console)$",
        description="JSON lines for machines, or lines for people",
    )
    unsafe_dev: bool = Field(default=False, description="accept a database that may lose commits")

    @field_validator("processes")
    @classmethod
    def _possible(cls, value: int) -> int:
        if (reason := refusal(value)) is not None:
            raise ValueError(reason)
        return value

    @field_validator("workflows", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value
