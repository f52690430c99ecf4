"""Every kind of agent tells the same story, fails with the same words, and is cancelled to the same end."""

from holdfast.events.store import RunStatus
from holdfast.orchestrator.executors.abilities import Able, Forwards
from tests.orchestrator.golden import story
from tests.orchestrator.golden.stages import Stage
from tests.orchestrator.harness import data


async def test_the_story(stage: Stage) -> None:
    await stage.worker()
    ticket = await stage.ask()
    run = await stage.world.reaches(ticket, RunStatus.WAITING)
    assert [w["prompt"] for w in run.waiting.values()] == ["Approve ship({})?"]
    await stage.world.answer(ticket, story.ANSWER)
    await stage.world.reaches(ticket)
    assert await stage.told(ticket) == story.EXPECTED


async def test_its_failure(stage: Stage) -> None:
    await stage.worker()
    ticket = await stage.ask("error")
    await stage.world.reaches(ticket, RunStatus.FAILED)
    told = await stage.told(ticket)
    assert (told["status"], told["thoughts"], told["tools"]) == ("failed", [story.THOUGHT], [])
    log = await stage.world.events(ticket.session)
    assert story.WRONG in data(log[-1])["error"]["message"]


async def test_its_cancellation(stage: Stage) -> None:
    await stage.worker()
    ticket = await stage.ask("cancel")
    await stage.world.has(ticket, "message.started")
    await stage.world.cancel(ticket, "enough")
    run = await stage.world.reaches(ticket)
    assert run.status is RunStatus.CANCELLED
    told = await stage.told(ticket)
    assert (told["status"], told["said"]) == ("cancelled", [story.WAITING])


async def test_it_says_what_it_can_do(stage: Stage) -> None:
    """The table in docs/agents.md is made of these."""
    executor = stage.workflow.executor
    assert isinstance(executor, Able)
    expected = {"plain": "call", "langgraph": "node", "functional": "node", "a2a": "task"}
    assert executor.abilities.resumes == expected.get(stage.workflow.name, "turn")
    assert executor.abilities.input
    assert (executor.abilities.cancel == "forwarded") == isinstance(executor, Forwards)
