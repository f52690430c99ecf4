"""What a workflow may rely on when it streams an answer from a provider."""

import pytest

from holdfast.events.catalog.base import Usage
from holdfast.orchestrator.models import (
    Finished,
    ReasoningDelta,
    TextDelta,
    ToolCallDelta,
)
from holdfast.orchestrator.models import client as client_module
from holdfast.orchestrator.models.client import ChatClient
from tests.models import behaviours as behaviour
from tests.models.conftest import KEY, Configure
from tests.models.openai_server import MODEL, OpenAIServer
from tests.models.reading import HELLO, RecordingClock, read, text_of


async def test_tokens_arrive_one_by_one_and_the_last_chunk_says_why_and_for_how_much(
    provider: OpenAIServer, configure: Configure
):
    chunks = await read(configure())

    assert chunks[:-1] == [TextDelta("Hello"), TextDelta(", "), TextDelta("world")]
    last = chunks[-1]
    assert isinstance(last, Finished)
    assert (last.finish_reason, last.model) == ("stop", MODEL)
    assert last.usage == Usage(input_tokens=7, output_tokens=3, total_tokens=10)
    assert last.time_to_first_token_ms is not None
    assert last.time_to_first_token_ms >= 0


async def test_the_request_is_what_the_caller_asked_for(
    provider: OpenAIServer, configure: Configure
):
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {}}}]

    await read(configure(), model="other", tools=tools, temperature=0.5)

    sent = provider.requests[0]
    assert (sent.method, sent.path) == ("POST", "/v1/chat/completions")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.body == {
        "model": "other",
        "messages": HELLO,
        "tools": tools,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_nothing_of_another_provider_in_the_environment_is_sent(
    provider: OpenAIServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
):
    """Without a key of ours, the client library would hand OPENAI_API_KEY to our base URL."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebody-elses")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-somebody-elses")

    await read(configure(api_key=None))

    assert "somebody-elses" not in str(provider.requests[0].headers)


async def test_thinking_is_told_apart_from_the_answer(provider: OpenAIServer, configure: Configure):
    provider.script(behaviour.thinking_first)

    chunks = await read(configure())

    assert chunks[:-1] == [ReasoningDelta("Hm"), ReasoningDelta("m."), TextDelta("Yes")]


async def test_tool_calls_stream_in_pieces_that_belong_together_by_index(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.tool_calls)

    chunks = await read(configure())

    assert chunks[:-1] == [
        ToolCallDelta(0, "call_a", "weather", ""),
        ToolCallDelta(0, None, None, '{"city": '),
        ToolCallDelta(0, None, None, '"Bern"}'),
        ToolCallDelta(1, "call_b", "time", "{}"),
    ]
    assert isinstance(chunks[-1], Finished)
    assert chunks[-1].finish_reason == "tool_calls"


async def test_a_sloppy_server_is_understood(provider: OpenAIServer, configure: Configure):
    provider.script(behaviour.odd)

    call, last = await read(configure())

    assert call == ToolCallDelta(0, "call_a", "weather", '{"city": "Bern"}')
    assert isinstance(last, Finished)
    assert (last.usage, last.model) == (Usage(total_tokens=3), MODEL)


async def test_a_provider_that_refuses_stream_options_is_asked_without_from_then_on(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.refuses_stream_options)
    clock = RecordingClock()
    client = ChatClient(configure(max_retries=0), clock=clock)

    answers = [[c async for c in client.stream(HELLO)] for _ in range(2)]
    await client.aclose()

    assert [text_of(a) for a in answers] == ["Hello, world"] * 2
    assert ["stream_options" in r.body for r in provider.requests] == [True, False, False]
    assert clock.pauses == []


async def test_a_whole_answer_is_not_held_back_for_its_usage(
    provider: OpenAIServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(client_module, "USAGE_GRACE_S", 0.05)
    provider.script(behaviour.stalls_before_usage)

    chunks = await read(configure())

    assert isinstance(chunks[-1], Finished)
    assert (text_of(chunks), chunks[-1].usage) == ("Hello", None)
