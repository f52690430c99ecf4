"""Every example runs as it stands: offline, and against a provider that speaks OpenAI's protocol."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator import context_talk
from holdfast.orchestrator.workflow import Resources, Workflows
from tests.models.behaviours import normal
from tests.models.openai_server import MODEL, OpenAIServer
from tests.orchestrator.a2a_server import Turn, a2a_server
from tests.orchestrator.harness import World, check_log, data, of_type, told, types

EXAMPLES = Path(__file__).parents[2] / "examples"

ANSWER = "The provider says so."


@pytest.fixture(params=["offline", "provider"])
async def model(
    request: pytest.FixtureRequest, provider: OpenAIServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    """Which model answers."""
    for name in [name for name in os.environ if name.startswith("HOLDFAST_LLM_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S", "0")
    if request.param == "provider":
        provider.script(normal("The provider ", "says so."))
        monkeypatch.setenv("HOLDFAST_LLM_BASE_URL", provider.base_url)
        monkeypatch.setenv("HOLDFAST_LLM_MODEL", MODEL)
    # The process's model is made once; here every test has its own environment.
    shared: list[Any] = []
    monkeypatch.setattr(context_talk, "_shared", shared)
    yield request.param
    for one in shared:
        await one.aclose()


async def _run(
    world: World, name: str, workflow: str, input: Any, *, answer: Any = None, url: str = ""
) -> Any:
    """Load an example as `holdfast dev` does, run it, and return its run and its log."""
    loaded = Workflows()
    loaded.load([str(EXAMPLES / f"{name}.py")])
    assert not loaded.broken, loaded.broken
    async with AsyncExitStack() as stack:
        await loaded.open(Resources(url, stack))
        await world.worker(loaded=loaded)
        ticket = await world.ask(workflow, input)
        if answer is not None:
            await world.reaches(ticket, RunStatus.WAITING)
            await world.released(ticket)
            await world.answer(ticket, answer)
        run = await world.reaches(ticket)
        log = await world.events(ticket.session)
        await world.close()
    check_log(log)
    return run, log


async def test_the_plain_agent(memory_world: World, model: str) -> None:
    run, log = await _run(memory_world, "plain_agent", "plain", "cats")
    assert run.status is RunStatus.COMPLETED
    assert [data(e)["result"] for e in of_type(log, "tool.completed")] == [["a page about cats"]]
    [(_, said)] = told(log)
    assert data(log[-1])["result"] == said
    assert (said == ANSWER) == (model == "provider")


async def test_the_plain_agent_has_15_lines() -> None:
    lines = (EXAMPLES / "plain_agent.py").read_text(encoding="utf-8").splitlines()
    code = [line for line in lines if line.strip() and not line.startswith('"""')]
    assert len(code) <= 15


@pytest.mark.postgres
@pytest.mark.redis
async def test_the_langgraph_agent(real_world: World, database_url: str, model: str) -> None:
    run, log = await _run(real_world, "langgraph_agent", "poet", "the sea", url=database_url)
    assert run.status is RunStatus.COMPLETED
    assert [data(e)["to"] for e in of_type(log, "stage.changed")] == ["writing", "review"]
    assert [agent for agent, _ in told(log)] == ["Writer", "Critic"]
    assert all((said == ANSWER) == (model == "provider") for _, said in told(log))


async def test_the_agui_agent(memory_world: World, model: str) -> None:
    run, log = await _run(memory_world, "agui_agent", "forecaster", "How is it in Bern?")
    assert run.status is RunStatus.COMPLETED
    [(agent, said)] = told(log)
    assert agent == "Forecaster"
    if model == "provider":
        assert said == ANSWER
    else:
        assert said == "I looked it up: it is sunny in Bern."
        assert types(log).count("tool.completed") == 1


async def test_the_a2a_agent(memory_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def remote(turn: Turn) -> None:
        await turn.tell("Looking.", "reasoning")
        await turn.updater.complete(turn.message(f"About {turn.said}."))

    async with a2a_server(remote) as server:
        monkeypatch.setenv("REMOTE_AGENT_URL", server.url)
        run, log = await _run(memory_world, "a2a_agent", "remote", "cats")
    assert run.status is RunStatus.COMPLETED
    assert told(log) == [(None, "About cats.")]


@pytest.mark.parametrize("approved", [True, False])
async def test_the_approval(memory_world: World, model: str, approved: bool) -> None:
    answer = {"approved": approved, "comment": "Too loud."}
    run, log = await _run(memory_world, "human_approval", "approval", "version 2", answer=answer)
    assert run.status is RunStatus.COMPLETED
    assert types(log).count("llm.completed") == 1
    result = data(log[-1])["result"]
    if approved:
        assert result.startswith("published")
    else:
        assert result == "rejected"
        assert data(of_type(log, "notification.sent")[0])["text"] == "Not published. Too loud."


async def test_the_parallel_researchers(memory_world: World, model: str) -> None:
    question = {"topic": "tea", "angles": ["history", "nothing", "costs"]}
    run, log = await _run(memory_world, "parallel_research", "research", question)
    assert run.status is RunStatus.COMPLETED
    assert set(data(log[-1])["result"]) == {"history", "costs"}
    agents = {a["lane"]: a["status"] for a in fold(log).agents.all.values()}
    assert agents == {"history": "completed", "nothing": "failed", "costs": "completed"}
    assert types(log).count("notification.sent") == 1
