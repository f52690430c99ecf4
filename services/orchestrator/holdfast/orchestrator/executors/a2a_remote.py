"""A connection to one remote A2A agent: its card, and the four things that a run asks of it."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx
from a2a.client import A2ACardResolver, Client, ClientConfig, ClientFactory
from a2a.client.errors import A2AClientError, AgentCardResolutionError
from a2a.types import (
    AgentCard,
    CancelTaskRequest,
    GetTaskRequest,
    Message,
    SendMessageConfiguration,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
)
from a2a.utils.constants import TransportProtocol
from a2a.utils.errors import A2AError, TaskNotFoundError

from holdfast.events.errors import HoldfastError

# TCP and TLS take three round trips: 10 s forgives a lost SYN twice.
CONNECT_TIMEOUT_S = 10.0
# The SDK's server sends a comment every 15 s: four missed ones are a connection that is gone.
SILENCE_TIMEOUT_S = 60.0


class RemoteAgentUnreachable(HoldfastError):
    """A remote agent can't be spoken to; trying again later may help."""

    code = "remote-agent-unreachable"
    retryable = True


class RemoteAgentRefused(HoldfastError):
    """A remote agent, or what is known of it, doesn't allow what was asked; trying again won't help."""

    code = "remote-agent-refused"


@dataclass(frozen=True, slots=True)
class Remote:
    """How to reach a remote agent."""

    url: str
    headers: Mapping[str, str] | Callable[[], Mapping[str, str]] | None = None
    token_env: str | None = None
    any_host: bool = False
    silence_s: float = SILENCE_TIMEOUT_S

    def own_headers(self) -> dict[str, str]:
        """Return what every request carries. Raises RemoteAgentRefused when the token's variable is empty."""
        given = self.headers() if callable(self.headers) else self.headers
        headers = dict(given or {})
        if self.token_env is not None:
            token = os.environ.get(self.token_env)
            if not token:
                raise RemoteAgentRefused(
                    f"the remote agent's token is missing: set {self.token_env}"
                )
            headers["Authorization"] = f"Bearer {token}"
        return headers

    @asynccontextmanager
    async def connect(self) -> AsyncGenerator["Connection"]:
        """Read the agent's card and be ready to ask. Raises RemoteAgentUnreachable and RemoteAgentRefused."""
        timeout = httpx.Timeout(self.silence_s, connect=CONNECT_TIMEOUT_S)
        async with httpx.AsyncClient(headers=self.own_headers(), timeout=timeout) as http:
            try:
                card = await A2ACardResolver(http, self.url).get_agent_card()
            except AgentCardResolutionError as error:
                passing = error.status_code is None or error.status_code >= 500
                kind = RemoteAgentUnreachable if passing else RemoteAgentRefused
                raise kind(
                    f"the remote agent at {self.url} shows no card: {error.message}"
                ) from error
            self._check_hosts(card)
            config = ClientConfig(
                httpx_client=http,
                supported_protocol_bindings=[
                    TransportProtocol.JSONRPC,
                    TransportProtocol.HTTP_JSON,
                ],
            )
            try:
                client = ClientFactory(config).create(card)
            except ValueError as error:
                raise RemoteAgentRefused(
                    f"the remote agent at {self.url} speaks neither JSON-RPC nor HTTP+JSON"
                ) from error
            yield Connection(client, card)

    def _check_hosts(self, card: AgentCard) -> None:
        # Our headers go where the card points: to the place that was configured, and nowhere else.
        if self.any_host:
            return
        own = _origin(self.url)
        for interface in card.supported_interfaces:
            if _origin(interface.url) != own:
                raise RemoteAgentRefused(
                    f"the card of the remote agent at {self.url} points to {interface.url}, on another host;"
                    " pass any_host=True if that is meant"
                )


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection."""

    client: Client
    card: AgentCard

    @property
    def streams(self) -> bool:
        """Whether the agent tells what happens as it happens, also to one who comes back."""
        return self.card.capabilities.streaming

    async def send(self, message: Message) -> AsyncGenerator[StreamResponse]:
        """Say something; yield what comes of it until the task is over or waits, or at once without streaming."""
        request = SendMessageRequest(
            message=message,
            configuration=SendMessageConfiguration(return_immediately=not self.streams),
        )
        async with aclosing(_closable(self.client.send_message(request))) as answers:
            with _told():
                async for answer in answers:
                    yield answer

    async def follow(self, task_id: str) -> AsyncGenerator[StreamResponse]:
        """Yield the task as it is, then what happens. Raises TaskNotFoundError."""
        request = SubscribeToTaskRequest(id=task_id)
        async with aclosing(_closable(self.client.subscribe(request))) as answers:
            with _told():
                async for answer in answers:
                    yield answer

    async def task(self, task_id: str) -> Task:
        """Return the task as it is. Raises TaskNotFoundError."""
        with _told():
            return await self.client.get_task(GetTaskRequest(id=task_id))

    async def cancel(self, task_id: str) -> None:
        """Ask for the task's end."""
        with _told():
            await self.client.cancel_task(CancelTaskRequest(id=task_id))


class _told:  # noqa: N801 - reads as a word in `with _told():`
    """Turns the SDK's errors into ours, except the one that callers look at."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, TaskNotFoundError):
            return
        if isinstance(error, (A2AClientError, httpx.HTTPError)):
            raise RemoteAgentUnreachable(
                f"the connection to the remote agent failed: {error}"
            ) from error
        if isinstance(error, A2AError):
            raise RemoteAgentRefused(f"the remote agent refused: {error}") from error


def _closable(answers: AsyncIterator[StreamResponse]) -> AsyncGenerator[StreamResponse]:
    # The SDK types its generators as iterators.
    return cast("AsyncGenerator[StreamResponse]", answers)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port
