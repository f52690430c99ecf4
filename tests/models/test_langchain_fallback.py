"""LangChain's model is stood in for by the same models, under the same rules, as the one of `ctx.llm`."""

from collections.abc import AsyncGenerator
from typing import Any

import anyio.to_thread
import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from holdfast.events.catalog import NotificationSent
from holdfast.orchestrator.models.errors import ModelError, ProviderCutOff, ProviderRefused
from holdfast.orchestrator.models.langchain import chat_model
from tests.models import behaviours as behaviour
from tests.models.conftest import Configure
from tests.models.openai_server import Behaviour, OpenAIServer, openai_server
from tests.models.test_langchain import QUESTION, graph_of, streamed


@pytest.fixture
async def second() -> AsyncGenerator[OpenAIServer, None]:
    async with openai_server() as server:
        server.script(behaviour.normal("From ", "the second"))
        yield server


@pytest.fixture
def model(configure: Configure, second: OpenAIServer) -> BaseChatModel:
    return chat_model(
        configure(
            max_retries=0,
            first_token_timeout_s=0.3,
            fallback_models="small, smaller",
            fallback_base_url=second.base_url,
            fallback_api_key="sk-other",
        )
    )


@pytest.mark.parametrize(
    "trouble",
    [behaviour.status(503), behaviour.status(401), behaviour.stalls_before_first_token],
)
async def test_another_model_answers_before_the_first_token_with_its_own_key(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel, trouble: Behaviour
):
    provider.script(trouble)

    chunks = await streamed(model)

    assert [c.text for c in chunks if c.text] == ["From ", "the second"]
    assert len({c.id for c in chunks}) == 1
    assert len(second.requests) == 1
    assert second.requests[0].body["model"] == "small"
    assert second.requests[0].headers["authorization"] == "Bearer sk-other"


async def test_an_answer_that_has_begun_is_never_begun_anew_by_another(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.cut("Half", clean=False))

    with pytest.raises(ProviderCutOff):
        await streamed(model)

    assert second.requests == []


async def test_a_refused_request_is_refused_by_everybody(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.status(400))

    with pytest.raises(ProviderRefused):
        await streamed(model)

    assert second.requests == []


async def test_when_all_fail_the_last_ones_error_is_told(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.status(503))
    second.script(behaviour.status(503), behaviour.status(402))

    with pytest.raises(ModelError) as caught:
        await streamed(model)

    assert caught.value.code == "model-quota-exhausted"
    assert [x.body["model"] for x in second.requests] == ["small", "smaller"]


async def test_readers_of_a_graph_are_told_who_answers_instead(
    provider: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.status(503))

    question: Any = {"messages": [("user", QUESTION)]}
    parts = graph_of(model).astream(question, version="v2", stream_mode=["custom"])
    told = [part["data"] async for part in parts]

    assert [type(one) for one in told] == [NotificationSent]
    assert "small answers instead" in told[0].text


async def test_tools_that_were_bound_are_offered_to_whoever_answers(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    def weather(city: str) -> str:
        """Tell the weather."""
        return city

    provider.script(behaviour.status(503))
    second.script(behaviour.tool_calls)

    message = await model.bind_tools([weather]).ainvoke(QUESTION)

    assert isinstance(message, AIMessage)
    assert [c["name"] for c in message.tool_calls] == ["weather", "time"]
    assert second.requests[0].body["tools"][0]["function"]["name"] == "weather"


async def test_a_model_that_was_bound_by_name_is_not_asked_for_elsewhere(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.status(503))

    await model.bind(model="huge").ainvoke(QUESTION)

    assert provider.requests[0].body["model"] == "huge"
    assert second.requests[0].body["model"] == "small"


async def test_code_that_is_not_async_falls_back_too(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.status(503))

    message = await anyio.to_thread.run_sync(model.invoke, QUESTION)

    assert message.text == "From the second"


async def test_code_that_is_not_async_gets_the_same_errors(
    provider: OpenAIServer, second: OpenAIServer, model: BaseChatModel
):
    provider.script(behaviour.cut("Half", clean=True))

    with pytest.raises(ProviderCutOff):
        await anyio.to_thread.run_sync(model.invoke, QUESTION)

    assert second.requests == []
