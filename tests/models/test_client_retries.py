"""When a request is made again, after which pause, and when never."""

import pytest

from holdfast.orchestrator.models import (
    ModelError,
    TextDelta,
)
from holdfast.orchestrator.models.client import ChatClient
from holdfast.orchestrator.models.errors import (
    ProviderCutOff,
    ProviderFailed,
    RateLimited,
)
from tests.models import behaviours as behaviour
from tests.models.conftest import Configure
from tests.models.openai_server import Behaviour, OpenAIServer
from tests.models.reading import HELLO, RecordingClock, failure, read, text_of


@pytest.mark.parametrize(
    "trouble",
    [
        behaviour.status(500),
        behaviour.status(503),
        behaviour.status(408),
        behaviour.status(409),
        behaviour.status(429),
        behaviour.hangs_up,
        behaviour.cut(clean=True),
        behaviour.cut(clean=False),
        behaviour.error_inside({"message": "overloaded", "type": "server_error"}),
        behaviour.error_inside({"message": "upstream", "code": 502}),
    ],
)
async def test_what_may_pass_is_tried_again_before_the_first_token(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour
):
    provider.script(trouble, trouble, behaviour.normal())
    clock = RecordingClock()

    chunks = await read(configure(), clock)

    assert text_of(chunks) == "Hello, world"
    assert len(provider.requests) == 3
    first_pause, second_pause = clock.pauses
    assert 0.25 <= first_pause <= 0.75
    assert 0.5 <= second_pause <= 1.5


async def test_the_pause_is_as_long_as_the_provider_asks_for(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(429, retry_after="7"), behaviour.normal())
    clock = RecordingClock()

    await read(configure(), clock)

    assert clock.pauses == [7.0]


async def test_a_provider_that_asks_for_a_long_pause_gets_none_and_the_error_carries_its_wish(
    provider: OpenAIServer, configure: Configure
):
    """Waiting for minutes is for the run, which needs no worker while it waits."""
    provider.script(behaviour.status(429, retry_after="60"))

    error = await failure(configure())

    assert isinstance(error, RateLimited)
    assert (error.retry_after_s, error.retryable, len(provider.requests)) == (60, True, 1)


async def test_retries_end_and_the_error_counts_the_requests(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(500, "kaputt"))

    error = await failure(configure(max_retries=2))

    assert isinstance(error, ProviderFailed)
    assert (error.attempts, len(provider.requests)) == (3, 3)
    assert (error.provider_status, error.provider_message) == (500, "kaputt")


@pytest.mark.parametrize(
    "trouble",
    [
        behaviour.cut("Hello", clean=True),
        behaviour.cut("Hello", clean=False),
        behaviour.error_inside({"message": "overloaded", "type": "server_error"}, "Hello"),
    ],
)
async def test_nothing_is_tried_again_after_the_first_token(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour
):
    """Somebody has seen the first half; a second request would start another answer after it."""
    provider.script(trouble)
    client = ChatClient(configure(max_retries=5), clock=RecordingClock())
    answer = client.stream(HELLO)

    first = await anext(answer)
    with pytest.raises(ModelError) as caught:
        await anext(answer)
    await client.aclose()

    assert first == TextDelta("Hello")
    assert isinstance(caught.value, ProviderCutOff | ProviderFailed)
    assert len(provider.requests) == 1
