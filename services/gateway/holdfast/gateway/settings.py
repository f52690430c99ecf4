"""What a gateway must be told: environment variables that begin with `HOLDFAST_`, checked once at the start.

The prefix is shared with the other programs of Holdfast, so a variable that isn't listed here is no error.
Addresses are secrets: they may hold a password, and no message shows them.
"""

import ipaddress
import re
from functools import cached_property
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from holdfast.events.watchdog import BLOCKED_S_MAX
from holdfast.gateway.address import Network
from holdfast.processes.become import PROCESSES_MAX, refusal

ENV_PREFIX = "HOLDFAST_"

_POSTGRES_SCHEMES = ("postgresql", "postgres")
_REDIS_SCHEMES = ("redis", "rediss", "unix")
_HOST = re.compile(r"[a-z0-9.\-_]+|[0-9a-f:.]+")
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


class SettingsError(ValueError):
    """The settings can't be used; `problems` holds one sentence for each reason."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """The gateway's settings. Make them with `load_settings`, which explains what is wrong."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr = Field(
        description="where Postgres is: postgresql://user:password@host:5432/name"
    )
    redis_url: SecretStr = Field(description="where Redis is: redis://:password@host:6379/0")
    host: str = Field(default="127.0.0.1", description="the address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="the port; 0 takes a free one")
    processes: int = Field(
        default=1,
        ge=1,
        le=PROCESSES_MAX,
        description="how many processes share the port; every limit is of each of them",
    )
    i_know_there_is_no_auth: bool = Field(
        default=False, description="1 allows an address that other machines can reach"
    )
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="origins of browser applications, separated by commas"
    )
    hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), description="names it is called by beside localhost, separated by commas"
    )
    console: bool = Field(default=True, description="0 serves no console at /console")
    heartbeat_s: float = Field(
        default=15.0, gt=0, le=300, description="seconds of silence before a stream's heartbeat"
    )
    send_deadline_s: float = Field(
        default=30.0, gt=0, le=600, description="how long a write to a stalled reader may take"
    )
    streams_max: int = Field(
        default=10_000, ge=1, le=1_000_000, description="open streams in this process"
    )
    streams_per_address_max: int = Field(
        default=200,
        ge=0,
        le=1_000_000,
        description="open streams of one address (of one /64 in IPv6), this machine's own aside; 0 = any number",
    )
    streams_per_principal_max: int = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="open streams of one principal, where principals are known; 0 = any number",
    )
    streams_per_session_max: int = Field(
        # What a browser opens to one origin over HTTP/1.1.
        default=6,
        ge=0,
        le=1_000_000,
        description="open streams of one principal in one session; 0 = any number",
    )
    proxies: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(),
        description="addresses or networks of proxies whose X-Forwarded-For counts, separated by commas",
    )
    drain_s: float = Field(
        default=15.0, ge=0, le=600, description="seconds over which streams are closed at the end"
    )
    watchdog_s: float = Field(
        default=BLOCKED_S_MAX,
        ge=0,
        le=3600,
        description="how long the event loop may stand still before the process exits; 0 = for ever",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least that is logged"
    )
    log_format: Literal["json", "console"] = Field(
        default="json", description="JSON lines for machines, or lines for people"
    )
    unsafe_dev: bool = Field(
        default=False, description="1 accepts a Postgres that may lose what it confirmed"
    )

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, url: SecretStr) -> SecretStr:
        if _scheme(url) not in _POSTGRES_SCHEMES:
            raise ValueError("must begin with postgresql://")
        return url

    @field_validator("redis_url")
    @classmethod
    def _redis(cls, url: SecretStr) -> SecretStr:
        if _scheme(url) not in _REDIS_SCHEMES:
            raise ValueError("must begin with redis://, rediss:// or unix://")
        return url

    @field_validator("cors_origins", mode="before")
    @classmethod
    def _origins(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        origins = tuple(name.strip().rstrip("/") for name in names if name.strip())
        for origin in origins:
            # No `*`: a wildcard would hand every session to whatever page a user happens to visit.
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    "each origin is scheme://host[:port], such as https://app.example.com; no wildcards"
                )
        return origins

    @field_validator("hosts", mode="before")
    @classmethod
    def _hosts(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        hosts = tuple(name.strip().strip("[]").lower() for name in names if name.strip())
        for host in hosts:
            # No `*`: it would answer to the names of all sites that point theirs here.
            if not _HOST.fullmatch(host):
                raise ValueError("each is a name or an address without a port; no wildcards")
        return hosts

    @field_validator("proxies", mode="before")
    @classmethod
    def _proxies(cls, value: Any) -> Any:
        names = value.split(",") if isinstance(value, str) else value
        proxies = tuple(name.strip() for name in names if name.strip())
        for proxy in proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise ValueError("each is an address or a network, such as 10.0.0.0/8") from None
        return proxies

    @cached_property
    def networks(self) -> tuple[Network, ...]:
        """`proxies`, ready to be compared with."""
        return tuple(ipaddress.ip_network(proxy) for proxy in self.proxies)

    @field_validator("processes")
    @classmethod
    def _possible(cls, value: int) -> int:
        if (reason := refusal(value)) is not None:
            raise ValueError(reason)
        return value

    @field_validator("log_level", "log_format", mode="before")
    @classmethod
    def _lower(cls, value: Any) -> Any:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _no_open_door(self) -> "Settings":
        if not self.i_know_there_is_no_auth and not is_loopback(self.host):
            raise ValueError(
                f"{ENV_PREFIX}HOST={self.host} can be reached from other machines and this gateway knows"
                f" no users: put a proxy that does in front, or set {ENV_PREFIX}I_KNOW_THERE_IS_NO_AUTH=1"
            )
        return self


def load_settings(**given: Any) -> Settings:
    """Read the settings; `given` beats the environment. Raises SettingsError with a sentence for each problem."""
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError([_sentence(item) for item in error.errors()]) from None


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach the address."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _scheme(url: SecretStr) -> str:
    try:
        return urlsplit(url.get_secret_value()).scheme
    except ValueError:
        return ""


def _sentence(error: Any) -> str:
    message = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0])
    description = Settings.model_fields[name].description if name in Settings.model_fields else ""
    variable = ENV_PREFIX + name.upper()
    if error["type"] == "missing":
        return f"{variable} is not set: {description}"
    return f"{variable}: {message} ({description})"
