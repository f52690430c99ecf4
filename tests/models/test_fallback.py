"""Another model answers when one doesn't, before the first token and never after it."""

from collections.abc import AsyncGenerator

import pytest

from holdfast.orchestrator.models import (
    ChatModel,
    Chunk,
    FallbackModel,
    FellBack,
    Finished,
    LlmSettings,
    ModelError,
    ModelMisconfigured,
    model_from_environment,
)
from holdfast.orchestrator.models.client import ChatClient
from tests.models import behaviours as behaviour
from tests.models.conftest import KEY, Configure
from tests.models.openai_server import OpenAIServer, openai_server
from tests.models.reading import HELLO, text_of


@pytest.fixture
async def second() -> AsyncGenerator[OpenAIServer, None]:
    async with openai_server() as server:
        server.script(behaviour.normal("From ", "the second"))
        yield server


async def _read(model: ChatModel) -> list[Chunk]:
    try:
        return [chunk async for chunk in model.stream(HELLO)]
    finally:
        await model.aclose()


async def test_a_provider_that_is_out_of_order_is_stood_in_for_and_the_reader_told(
    provider: OpenAIServer, second: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(503))
    model = FallbackModel(
        [
            ChatClient(configure(max_retries=0)),
            ChatClient(configure(base_url=second.base_url, model="small")),
        ]
    )

    chunks = await _read(model)

    assert isinstance(chunks[0], FellBack)
    assert (chunks[0].instead, chunks[0].error.code) == ("small", "model-failed")
    assert "small answers instead" in chunks[0].notice()
    assert text_of(chunks) == "From the second"
    assert isinstance(chunks[-1], Finished)
    assert second.requests[0].body["model"] == "small"


async def test_an_answer_that_has_begun_is_never_begun_anew_by_another(
    provider: OpenAIServer, second: OpenAIServer, configure: Configure
):
    """Half of one answer and the whole of another would be read as one."""
    provider.script(behaviour.cut("Half", clean=False))
    model = FallbackModel(
        [ChatClient(configure()), ChatClient(configure(base_url=second.base_url))]
    )

    with pytest.raises(ModelError) as caught:
        await _read(model)

    assert caught.value.code == "model-cut-off"
    assert second.requests == []


async def test_a_refused_request_is_refused_by_everybody(
    provider: OpenAIServer, second: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(400))
    model = FallbackModel(
        [ChatClient(configure()), ChatClient(configure(base_url=second.base_url))]
    )

    with pytest.raises(ModelError) as caught:
        await _read(model)

    assert caught.value.code == "model-refused"
    assert second.requests == []


async def test_which_errors_fall_through_is_the_callers_choice(
    provider: OpenAIServer, second: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(401))
    models = [ChatClient(configure()), ChatClient(configure(base_url=second.base_url))]
    model = FallbackModel(models, falls_through=lambda error: error.retryable)

    with pytest.raises(ModelError) as caught:
        await _read(model)

    assert caught.value.code == "model-key-refused"


async def test_when_all_fail_the_last_ones_error_is_told(
    provider: OpenAIServer, second: OpenAIServer, configure: Configure
):
    provider.script(behaviour.status(503))
    second.script(behaviour.status(402))
    models = [
        ChatClient(configure(max_retries=0)),
        ChatClient(configure(base_url=second.base_url, max_retries=0)),
    ]

    with pytest.raises(ModelError) as caught:
        await _read(FallbackModel(models))

    assert caught.value.code == "model-quota-exhausted"


async def test_the_environment_names_who_stands_in_and_each_provider_sees_its_own_key(
    provider: OpenAIServer, second: OpenAIServer, monkeypatch: pytest.MonkeyPatch
):
    provider.script(behaviour.status(401))
    for name, value in {
        "BASE_URL": provider.base_url,
        "API_KEY": KEY,
        "MODEL": "large",
        "FALLBACK_MODELS": "small, smaller",
        "FALLBACK_BASE_URL": second.base_url,
        "FALLBACK_API_KEY": "sk-other",
    }.items():
        monkeypatch.setenv(f"HOLDFAST_LLM_{name}", value)

    model = model_from_environment()
    chunks = await _read(model)

    assert model.model == "large"
    assert text_of(chunks) == "From the second"
    assert second.requests[0].headers["authorization"] == "Bearer sk-other"
    assert [one.model for one in LlmSettings.from_environment().fallbacks()] == ["small", "smaller"]


@pytest.mark.parametrize(
    "values",
    [
        {"fallback_models": "small"},
        {"base_url": "http://x/v1", "model": "m", "fallback_base_url": "http://y/v1"},
        {
            "base_url": "http://x/v1",
            "model": "m",
            "fallback_models": "s",
            "fallback_api_key": "k",
        },
    ],
)
async def test_half_a_fallback_is_an_error(values: dict[str, str], monkeypatch: pytest.MonkeyPatch):
    for name, value in values.items():
        monkeypatch.setenv(f"HOLDFAST_LLM_{name.upper()}", value)

    with pytest.raises(ModelMisconfigured, match="FALLBACK"):
        LlmSettings.from_environment()
