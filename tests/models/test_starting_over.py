"""An answer that broke off is asked for anew only where that is wanted, and only within the retries."""

import random

import pytest

from holdfast.orchestrator.models import (
    ChatModel,
    Chunk,
    FallbackModel,
    LlmSettings,
    ModelError,
    ScriptedClient,
    StartedOver,
)
from holdfast.orchestrator.models.client import ChatClient
from tests.models import behaviours as behaviour
from tests.models.conftest import Configure
from tests.models.openai_server import Behaviour, OpenAIServer
from tests.models.reading import HELLO, RecordingClock, failure, read, text_of

CUT = behaviour.cut("Half", clean=False)


def after_the_last_start(chunks: list[Chunk]) -> list[Chunk]:
    starts = [n for n, chunk in enumerate(chunks) if isinstance(chunk, StartedOver)]
    return chunks[starts[-1] + 1 :]


@pytest.mark.parametrize(
    "trouble",
    [
        CUT,
        behaviour.cut("Half", clean=True),
        behaviour.stalls_between_tokens("Half"),
        behaviour.error_inside({"code": "overloaded", "message": "busy"}, "Half"),
    ],
)
async def test_an_answer_that_broke_off_is_given_anew_from_its_start(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour
):
    provider.script(trouble, behaviour.normal())
    clock = RecordingClock()

    chunks = await read(configure(retry_after_first_token=True, between_token_timeout_s=0.2), clock)

    assert [type(c) for c in chunks].count(StartedOver) == 1
    assert text_of(after_the_last_start(chunks)) == "Hello, world"
    assert len(provider.requests) == 2
    assert len(clock.pauses) == 1


async def test_left_alone_an_answer_that_broke_off_is_not_asked_for_again(
    provider: OpenAIServer, configure: Configure
):
    provider.script(CUT, behaviour.normal())

    error = await failure(configure())

    assert error.code == "model-cut-off"
    assert len(provider.requests) == 1


async def test_retries_before_and_after_the_first_token_are_counted_together(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(503), CUT, behaviour.status(503), behaviour.normal())

    error = await failure(configure(retry_after_first_token=True, max_retries=2))

    assert (error.code, error.attempts) == ("model-failed", 3)
    assert len(provider.requests) == 3


async def test_what_would_not_help_is_not_tried_again(provider: OpenAIServer, configure: Configure):
    provider.script(behaviour.invalid_json, behaviour.normal())

    error = await failure(configure(retry_after_first_token=True))

    assert error.code == "model-garbled"
    assert len(provider.requests) == 1


async def test_an_answer_whose_time_is_up_is_not_begun_anew(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.stalls_between_tokens("Half"), behaviour.normal())

    error = await failure(configure(retry_after_first_token=True, total_timeout_s=0.3))

    assert error.code == "model-total-timeout"
    assert len(provider.requests) == 1


async def _read(model: ChatModel) -> list[Chunk]:
    try:
        return [chunk async for chunk in model.stream(HELLO)]
    finally:
        await model.aclose()


async def test_a_call_may_want_it_or_not_whatever_the_setting(
    provider: OpenAIServer, configure: Configure
):
    model = ChatClient(configure(), clock=RecordingClock(), chance=random.Random(1))
    provider.script(CUT, behaviour.normal(), CUT, behaviour.normal())

    chunks = await _read(FallbackModel([model, ScriptedClient()]).starting_over(True))

    assert text_of(after_the_last_start(chunks)) == "Hello, world"
    wanting = ChatClient(configure(retry_after_first_token=True))
    with pytest.raises(ModelError):
        await _read(wanting.starting_over(False))


async def test_the_environment_may_want_it(monkeypatch: pytest.MonkeyPatch):
    assert LlmSettings.from_environment().retry_after_first_token is False
    monkeypatch.setenv("HOLDFAST_LLM_RETRY_AFTER_FIRST_TOKEN", "1")
    assert LlmSettings.from_environment().retry_after_first_token is True
