"""How each way to fail is told apart, and that none of them tells the key."""

import asyncio
import traceback

import pytest

from holdfast.orchestrator.models import (
    ModelError,
    TextDelta,
)
from holdfast.orchestrator.models.client import ChatClient
from holdfast.orchestrator.models.errors import (
    BetweenTokensTimeout,
    ConnectTimeout,
    FirstTokenTimeout,
    KeyRefused,
    ModelUnknown,
    ProviderCutOff,
    ProviderGarbled,
    ProviderRefused,
    ProviderUnreachable,
    QuotaExhausted,
    TotalTimeout,
)
from tests.models import behaviours as behaviour
from tests.models.conftest import KEY, Configure
from tests.models.openai_server import Behaviour, OpenAIServer
from tests.models.reading import HELLO, failure


async def test_a_stream_that_ends_without_a_finish_reason_is_not_an_answer(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.done_without_finish_reason)

    error = await failure(configure())

    assert isinstance(error, ProviderCutOff)


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (behaviour.status(400), ProviderRefused),
        (behaviour.status(401), KeyRefused),
        (behaviour.status(403), KeyRefused),
        (behaviour.status(404), ModelUnknown),
        (behaviour.status(402), QuotaExhausted),
        (behaviour.status(429, error_code="insufficient_quota"), QuotaExhausted),
        (behaviour.invalid_json, ProviderGarbled),
        (behaviour.web_page, ProviderGarbled),
        (behaviour.error_inside({"message": "x", "code": "content_policy"}), ProviderRefused),
    ],
)
async def test_what_will_not_pass_is_said_at_once(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour, kind: type[ModelError]
):
    provider.script(trouble)

    error = await failure(configure())

    assert type(error) is kind
    assert (error.retryable, len(provider.requests)) == (False, 1)
    assert error.info().code == kind.code


async def test_a_provider_that_is_not_there_is_named_as_such(configure: Configure):
    error = await failure(configure(base_url="http://127.0.0.1:1/v1", max_retries=0))

    assert type(error) is ProviderUnreachable
    assert str(error) == "The model provider could not be reached."


async def test_a_connection_that_is_not_taken_ends_at_the_connect_timeout(configure: Configure):
    """A listener with a full backlog drops the SYN, as a dead host does."""
    full = await asyncio.start_server(lambda r, w: w.close(), "127.0.0.1", 0, backlog=0)
    port = full.sockets[0].getsockname()[1]
    await full.start_serving()
    full.get_loop().remove_reader(full.sockets[0].fileno())  # nobody accepts any more
    waiting = [asyncio.create_task(asyncio.open_connection("127.0.0.1", port)) for _ in range(4)]
    await asyncio.wait(waiting, timeout=0.3)
    try:
        error = await failure(
            configure(base_url=f"http://127.0.0.1:{port}/v1", connect_timeout_s=0.2, max_retries=0)
        )
    finally:
        for task in waiting:
            if task.done():
                task.result()[1].close()
            task.cancel()
        full.close()

    assert isinstance(error, ConnectTimeout)


@pytest.mark.parametrize("slow", [behaviour.silent, behaviour.stalls_before_first_token])
async def test_an_answer_that_does_not_begin_ends_at_the_first_token_timeout(
    provider: OpenAIServer, configure: Configure, slow: Behaviour
):
    """Neither an open response nor a keep-alive counts as a token."""
    provider.script(slow)

    error = await failure(configure(first_token_timeout_s=0.2))

    assert isinstance(error, FirstTokenTimeout)
    assert len(provider.requests) == 1
    await asyncio.wait_for(provider.requests[0].disconnected.wait(), 1)


async def test_an_answer_that_stands_still_ends_at_the_between_token_timeout(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.stalls_between_tokens("a", "b"))

    error = await failure(configure(between_token_timeout_s=0.2))

    assert isinstance(error, BetweenTokensTimeout)
    await asyncio.wait_for(provider.requests[0].disconnected.wait(), 1)


async def test_waiting_has_a_total_and_the_readers_own_time_is_not_counted(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.stalls_between_tokens("a", "b"))
    client = ChatClient(configure(total_timeout_s=0.3))
    answer = client.stream(HELLO)

    seen = [await anext(answer)]
    await asyncio.sleep(0.4)  # the reader's own time, longer than the whole total
    seen.append(await anext(answer))
    with pytest.raises(TotalTimeout):
        await anext(answer)
    await client.aclose()

    assert seen == [TextDelta("a"), TextDelta("b")]


async def test_many_short_waits_use_up_the_total_like_one_long_wait(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.slow(*"abcdefghij", pause_s=0.1))

    error = await failure(configure(total_timeout_s=0.35))

    assert isinstance(error, TotalTimeout)


@pytest.mark.parametrize(
    "trouble",
    [
        behaviour.repeats_the_key,
        behaviour.error_inside({"message": f"who is {KEY}?", "code": "x"}),
        behaviour.status(500, f"<{KEY}>"),
        behaviour.status(401),
        behaviour.web_page,
    ],
)
async def test_the_key_is_in_no_error_no_traceback_and_no_repr(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour
):
    provider.script(trouble)
    settings = configure(max_retries=0)

    error = await failure(settings)

    told = "".join(traceback.format_exception(error))
    shown = (str(error), repr(error), repr(vars(error)), repr(error.info()), told)
    clients = (repr(settings), str(settings), repr(ChatClient(settings)))
    assert [text for text in (*shown, *clients) if KEY in text] == []
    if trouble is behaviour.repeats_the_key:
        assert error.provider_message == "bad key: Bearer [key]"
