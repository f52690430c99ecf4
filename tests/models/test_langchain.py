"""Both models inside a real LangGraph graph, read the way the executor reads it."""

import asyncio
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from holdfast.orchestrator.models import ModelError, ModelMisconfigured
from holdfast.orchestrator.models import langchain_provider as provider_module
from holdfast.orchestrator.models.errors import (
    BetweenTokensTimeout,
    FirstTokenTimeout,
    KeyRefused,
    ProviderCutOff,
)
from holdfast.orchestrator.models.langchain import chat_model
from holdfast.orchestrator.models.scripts import reply_to
from holdfast.orchestrator.models.settings import LlmSettings
from tests.models import behaviours as behaviour
from tests.models.conftest import KEY, Configure
from tests.models.openai_server import Behaviour, OpenAIServer

QUESTION = "You are the Architect. Requirement: a URL shortener"


def graph_of(model: BaseChatModel) -> Any:
    async def answer(state: MessagesState) -> dict[str, list[Any]]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    graph = StateGraph(MessagesState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    graph.add_edge("answer", END)
    return graph.compile()


async def streamed(model: BaseChatModel) -> list[Any]:
    graph = graph_of(model)
    question = {"messages": [HumanMessage(QUESTION)]}
    parts = graph.astream(question, version="v2", stream_mode=["messages"])
    return [part["data"][0] async for part in parts]


def offline_model() -> BaseChatModel:
    return chat_model(LlmSettings(offline_token_delay_s=0))


async def test_the_script_streams_word_by_word_through_a_graph():
    chunks = await streamed(offline_model())

    script = reply_to([{"role": "user", "content": QUESTION}])
    texts = [c.text for c in chunks if c.text]
    assert "".join(texts) == script
    assert len(texts) == len(script.split())
    assert len({c.id for c in chunks}) == 1
    assert chunks[-1].chunk_position == "last"


async def test_the_provider_streams_token_by_token_through_a_graph(configure: Configure):
    chunks = await streamed(chat_model(configure()))

    assert [c.text for c in chunks if c.text] == ["Hello", ", ", "world"]
    assert [c.usage_metadata["total_tokens"] for c in chunks if c.usage_metadata] == [10]
    assert len({c.id for c in chunks}) == 1


async def test_the_script_answers_at_once_where_nobody_streams():
    message = offline_model().invoke(QUESTION)
    again = await offline_model().ainvoke(QUESTION)

    assert isinstance(message, AIMessage)
    assert message.text == again.text == reply_to([{"role": "user", "content": QUESTION}])


async def test_tool_calls_of_the_provider_reach_the_message(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.tool_calls)

    message = await chat_model(configure()).ainvoke(QUESTION)

    assert isinstance(message, AIMessage)
    calls = [(c["id"], c["name"], c["args"]) for c in message.tool_calls]
    assert calls == [("call_a", "weather", {"city": "Bern"}), ("call_b", "time", {})]


async def test_a_passing_refusal_is_tried_again(provider: OpenAIServer, configure: Configure):
    provider.script(behaviour.status(500, retry_after_ms="1"), behaviour.normal())

    message = await chat_model(configure()).ainvoke(QUESTION)

    assert message.text == "Hello, world"
    assert len(provider.requests) == 2


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (behaviour.cut("Hello", clean=True), ProviderCutOff),
        (behaviour.cut("Hello", clean=False), ProviderCutOff),
        (behaviour.stalls_before_first_token, FirstTokenTimeout),
        (behaviour.stalls_between_tokens(), BetweenTokensTimeout),
        (behaviour.repeats_the_key, KeyRefused),
    ],
)
async def test_a_graph_fails_with_the_same_errors_as_a_plain_workflow(
    provider: OpenAIServer, configure: Configure, trouble: Behaviour, kind: type[ModelError]
):
    """Left alone, ChatOpenAI takes an answer that a proxy cut off for a whole one."""
    provider.script(trouble)
    model = chat_model(
        configure(first_token_timeout_s=0.3, between_token_timeout_s=0.2, max_retries=0)
    )

    with pytest.raises(ModelError) as caught:
        await streamed(model)

    assert type(caught.value) is kind
    assert KEY not in "".join(traceback.format_exception(caught.value))
    assert KEY not in repr(model)


async def test_a_whole_answer_is_not_held_back_for_its_usage(
    provider: OpenAIServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(provider_module, "USAGE_GRACE_S", 0.05)
    provider.script(behaviour.stalls_before_usage)

    message = await chat_model(configure()).ainvoke(QUESTION)

    assert message.text == "Hello"


async def test_cancelling_a_graph_closes_the_upstream_connection_within_a_second(
    provider: OpenAIServer, configure: Configure
):
    provider.script(behaviour.stalls_between_tokens())
    task = asyncio.create_task(streamed(chat_model(configure())))
    await asyncio.wait_for(provider.arrived.wait(), 5)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await asyncio.wait_for(provider.requests[0].disconnected.wait(), 1)


async def test_counting_tokens_asks_nobody(configure: Configure, monkeypatch: pytest.MonkeyPatch):
    """ChatOpenAI would download a vocabulary for it, at run time."""
    model = chat_model(configure())
    asked: list[object] = []
    for name in ("getaddrinfo", "create_connection"):
        monkeypatch.setattr(socket, name, _refuse(asked))

    counts = (
        model.get_num_tokens("hello there"),
        model.get_num_tokens_from_messages([HumanMessage("hi")]),
    )

    assert min(counts) > 0
    assert asked == []


def _refuse(asked: list[object]) -> Callable[..., Any]:
    def refuse(*args: Any, **_: Any) -> Any:
        asked.append(args)
        raise OSError("no network here")

    return refuse


def test_models_are_imported_without_langchain_or_the_openai_package():
    """The offline model starts at once, and works where the extras are not installed."""
    script = (
        "import sys, holdfast.orchestrator.models as m, holdfast.orchestrator.models.langchain\n"
        "m.model_from_environment()\n"
        "print([n for n in ('openai', 'langchain_core', 'langchain_openai') if n in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )

    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("module", "settings"),
    [
        ("langchain_core", LlmSettings()),
        ("langchain_openai", LlmSettings(base_url="http://h/v1", model="m")),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, settings: LlmSettings
):
    for name in [n for n in sys.modules if n.startswith("holdfast.orchestrator.models.langchain_")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [n for n in sys.modules if n.split(".")[0] == module]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [_Missing(module), *sys.meta_path])

    with pytest.raises(ModelMisconfigured) as caught:
        chat_model(settings)

    assert "pip install 'holdfast[langgraph]'" in str(caught.value)


class _Missing:
    """An import hook that knows nothing of one package."""

    def __init__(self, package: str) -> None:
        self._package = package

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.split(".")[0] == self._package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
