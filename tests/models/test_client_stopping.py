"""Who stops reading stops the provider."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import anyio
import pytest

from holdfast.orchestrator.models.client import ChatClient
from tests.models import behaviours as behaviour
from tests.models.conftest import Configure
from tests.models.openai_server import OpenAIServer
from tests.models.reading import HELLO


async def _cancelled_pull(client: ChatClient) -> None:
    async def consume(started: asyncio.Event) -> None:
        async for _ in client.stream(HELLO):
            started.set()

    started = asyncio.Event()
    task = asyncio.create_task(consume(started))
    await asyncio.wait_for(started.wait(), 5)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def _cancelled_scope(client: ChatClient) -> None:
    with anyio.CancelScope() as scope:
        async with aclosing(client.stream(HELLO)) as answer:
            async for _ in answer:
                scope.cancel()
    assert scope.cancelled_caught


async def _closed(client: ChatClient) -> None:
    answer = client.stream(HELLO)
    await anext(answer)
    await answer.aclose()


async def _left(client: ChatClient) -> None:
    async with aclosing(client.stream(HELLO)) as answer:
        async for _ in answer:
            break


@pytest.mark.parametrize("stop", [_cancelled_pull, _cancelled_scope, _closed, _left])
async def test_stopping_in_the_middle_closes_the_upstream_connection_within_a_second(
    provider: OpenAIServer, configure: Configure, stop: Callable[[ChatClient], Awaitable[None]]
):
    """Seen by the provider, which stops generating what nobody will read and nobody should pay."""
    provider.script(behaviour.stalls_between_tokens())
    client = ChatClient(configure())

    await stop(client)

    stopped_at = time.monotonic()
    request = provider.requests[0]
    await asyncio.wait_for(request.disconnected.wait(), 1)
    assert request.disconnected_at is not None
    assert request.disconnected_at - stopped_at < 1
    await client.aclose()


async def test_stopping_before_the_first_token_closes_the_upstream_connection_too(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.silent)
    client = ChatClient(configure())
    task = asyncio.create_task(anext(client.stream(HELLO)))  # pyright: ignore[reportArgumentType]
    await asyncio.wait_for(provider.arrived.wait(), 5)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await asyncio.wait_for(provider.requests[0].disconnected.wait(), 1)
    await client.aclose()
