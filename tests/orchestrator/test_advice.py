"""Whatever fails a run is told with the step, the workflow and what to do about it, and without a secret."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from holdfast.events.store import RunStatus
from holdfast.orchestrator.advice import ADVICE, advised
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.executors.a2a import a2a_workflow
from holdfast.orchestrator.executors.agui import agui_workflow
from holdfast.orchestrator.models import LlmSettings, model_from_environment
from holdfast.orchestrator.problems import ERROR_TEXT_MAX, ErrorInfo
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.models.behaviours import silent, stalls_between_tokens, status
from tests.models.openai_server import MODEL, Behaviour, OpenAIServer, openai_server
from tests.orchestrator.agui_sources import finished, says, started
from tests.orchestrator.harness import World, data

SECRET = "sk-0123456789-do-not-tell"


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORACLE_API_KEY", SECRET)


@pytest.fixture
async def provider() -> AsyncIterator[OpenAIServer]:
    async with openai_server() as server:
        yield server


async def _failure(world: World, failing: Workflow, input: Any = None) -> dict[str, Any]:
    """Run a workflow that fails; return its error, after a look for the secret in the whole log."""
    await world.worker(failing)
    ticket = await world.ask(failing.name, input)
    await world.reaches(ticket, RunStatus.FAILED)
    log = await world.events(ticket.session)
    assert all(SECRET.encode() not in event.body for event in log)
    return data(log[-1])["error"]


def _names(error: dict[str, Any], *parts: str) -> None:
    missing = [part for part in parts if part not in error["message"]]
    assert not missing, f"{error['code']}: {error['message']!r} lacks {missing}"
    assert len(error["message"]) <= ERROR_TEXT_MAX


async def _raises() -> None:
    raise PermissionError(f"401 for key {SECRET}")


Body = Callable[[WorkflowContext], Awaitable[Any]]


@pytest.mark.parametrize(
    ("code", "body", "parts"),
    [
        ("workflow-error", lambda ctx: _raises(), ["PermissionError: 401", "traceback"]),
        ("workflow-error", lambda ctx: ctx.step("pay", _raises), ["'pay'", "retry"]),
        ("workflow-error", lambda ctx: ctx.tool("look", _raises), ["'look'", "retry"]),
        (
            "step-timeout",
            lambda ctx: ctx.step("crawl", asyncio.Event().wait, timeout_s=0.05),
            ["'crawl'", "0.05 s", "timeout_s"],
        ),
    ],
    ids=["workflow", "step", "tool", "timeout"],
)
async def test_code_that_fails(
    memory_world: World, code: str, body: Body, parts: list[str]
) -> None:
    @workflow("shop", version="1")
    async def shop(ctx: WorkflowContext, input: None) -> None:
        await body(ctx)

    error = await _failure(memory_world, shop)

    assert error["code"] == code
    _names(error, "workflow 'shop'", *parts)


@pytest.mark.parametrize(
    ("code", "behaviour", "parts"),
    [
        ("model-key-refused", status(401), ["HOLDFAST_LLM_API_KEY"]),
        ("model-unknown", status(404), ["HOLDFAST_LLM_MODEL"]),
        ("model-rate-limited", status(429), ["later", "HOLDFAST_LLM_FALLBACK_MODELS"]),
        ("model-quota-exhausted", status(402), ["credit", "HOLDFAST_LLM_FALLBACK_MODELS"]),
        ("model-failed", status(500), ["later", "HOLDFAST_LLM_FALLBACK_MODELS"]),
        ("model-first-token-timeout", silent, ["HOLDFAST_LLM_FIRST_TOKEN_TIMEOUT_S"]),
        (
            "model-between-tokens-timeout",
            stalls_between_tokens("Hello"),
            ["HOLDFAST_LLM_BETWEEN_TOKEN_TIMEOUT_S"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_model_that_does_not_answer(
    memory_world: World, provider: OpenAIServer, code: str, behaviour: Behaviour, parts: list[str]
) -> None:
    provider.script(behaviour)
    settings: dict[str, Any] = {
        "base_url": provider.base_url,
        "model": MODEL,
        "api_key": SECRET,
        "max_retries": 0,
        "first_token_timeout_s": 0.2,
        "between_token_timeout_s": 0.2,
    }
    model = model_from_environment(LlmSettings(**settings))

    @workflow("poet", version="1")
    async def poet(ctx: WorkflowContext, input: None) -> str:
        return (await ctx.llm([{"role": "user", "content": "A poem"}], model=model)).text

    error = await _failure(memory_world, poet)
    await model.aclose()

    assert error["code"] == code
    _names(error, "step 'llm' of workflow 'poet'", *parts)


async def test_a_remote_agent_that_is_away(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.orchestrator.executors.a2a.RECONNECT_FIRST_S", 0.001)
    away = a2a_workflow("remote", "http://127.0.0.1:9", input=str, version="1")

    error = await _failure(memory_world, away, "go")

    assert error["code"] == "remote-agent-unreachable"
    _names(error, "step 'turn' of workflow 'remote'", "http://127.0.0.1:9", "runs")


@pytest.mark.parametrize(
    "events",
    [
        [started(), "no json"],
        [started(), {"type": "TEXT_MESSAGE_END", "messageId": "x"}],
        [started()],
    ],
    ids=["garbage", "disorder", "no end"],
)
async def test_an_agent_that_breaks_its_protocol(memory_world: World, events: list[Any]) -> None:
    broken = agui_workflow("assistant", says(events), version="1")

    error = await _failure(memory_world, broken, "go")

    assert error["code"] == "agent-stream-broken"
    _names(error, "step 'turn' of workflow 'assistant'", "AG-UI protocol", "worker's log")


async def test_an_agent_that_gives_up_is_told_in_its_own_words(memory_world: World) -> None:
    words = {"type": "RUN_ERROR", "message": "out of tea", "code": "no-tea"}
    broken = agui_workflow("assistant", says([started(), words, finished()]), version="1")

    error = await _failure(memory_world, broken, "go")

    assert error["code"] == "no-tea"
    _names(error, "out of tea", "step 'turn' of workflow 'assistant'", "the agent said so")


async def test_what_ends_its_workers_again_and_again(memory_world: World) -> None:
    world = memory_world

    @workflow("bomb", version="1")
    async def bomb(ctx: WorkflowContext, input: None) -> None:
        await asyncio.Event().wait()

    ticket = await world.ask("bomb")
    for n in range(3):
        rig = await world.worker(bomb, name=f"w{n}", attempts_max=2)
        await world.has(ticket, "run.started")
        await world.has(ticket, "run.resumed", n)
        await rig.crash()
    await world.worker(bomb, name="last", attempts_max=2)
    await world.reaches(ticket, RunStatus.FAILED)
    error = data((await world.events(ticket.session))[-1])["error"]

    assert error["code"] == "poison"
    _names(error, "workflow 'bomb'", "workers in a row", "see the logs of these workers")


def test_what_is_too_long_is_cut_before_the_advice() -> None:
    long = ErrorInfo(code="model-failed", message="x" * 400)

    message = advised(long, "w" * 80, "s" * 20).message

    assert len(message) == ERROR_TEXT_MAX
    assert message.endswith(ADVICE["model-failed"])


def test_all_advice_fits() -> None:
    """At least 200 characters are left for what happened."""
    assert max(len(text) for text in ADVICE.values()) < ERROR_TEXT_MAX - 300
