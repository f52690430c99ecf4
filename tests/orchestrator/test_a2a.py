"""A remote A2A agent's task as a run: routed updates, questions, failures, cancels, and takeovers that follow it."""

import asyncio
from typing import Any

import pytest
from a2a.types import Part

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.executors.a2a import a2a_workflow
from tests.orchestrator.a2a_server import A2AServer, Script, Turn, a2a_server
from tests.orchestrator.harness import World, check_log, data, of_type, told, types


async def _run(world: World, server: A2AServer, input: Any = "go", **options: Any) -> Any:
    await world.worker(a2a_workflow("remote", server.url, **options))
    ticket = await world.ask("remote", input)
    run = await world.reaches(ticket)
    log = await world.events(ticket.session)
    check_log(log)
    return run, log


async def _everything(turn: Turn) -> None:
    await turn.tell("Let me think.", "reasoning")
    await turn.tell(kind="tool_call", call_id="c1", name="search", args={"query": "cats"})
    await turn.tell(kind="tool_result", call_id="c1", name="search", result='["a page"]')
    await turn.tell(kind="component", component_id="chart", component_type="bars", content=[1])
    await turn.tell(kind="component", component_id="chart", component_type="bars", content=[2])
    await turn.tell(kind="agent.started", name="Critic", agent="Critic", lane="critic")
    await turn.tell("Looks fine.", agent="Critic", lane="critic")
    await turn.tell(kind="agent.completed", name="Critic", agent="Critic", lane="critic")
    await turn.tell(kind="run.completed", result="a lie")
    await turn.updater.complete(turn.message("Done."))


async def test_updates_are_routed_to_the_events_that_their_metadata_names(
    memory_world: World,
) -> None:
    async with a2a_server(_everything) as server:
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.COMPLETED
    assert types(log)[3:] == [
        "step.started",
        "task.started",
        "reasoning.started",
        "reasoning.completed",
        "tool.started",
        "tool.completed",
        "component.rendered",
        "component.rendered",
        "agent.started",
        "message.started",
        "message.completed",
        "agent.completed",
        "message.started",
        "message.completed",
        "task.completed",
        "step.completed",
        "run.completed",
    ]
    state = fold(log)
    [tool] = state.tools.all.values()
    assert (tool["args"], tool["result"]) == ({"query": "cats"}, ["a page"])
    [chart] = state.components.all.values()
    assert chart["content"] == [2]
    assert told(log) == [("Critic", "Looks fine."), (None, "Done.")]
    assert data(log[-1])["result"] == "Done."
    assert {e.envelope["task_id"] for e in of_type(log, "tool.started")} == {f"{run.run_id}.task"}


async def test_a_failed_task_fails_the_run_with_the_agents_own_words(memory_world: World) -> None:
    async def fails(turn: Turn) -> None:
        await turn.tell("trying")
        await turn.updater.failed(turn.message("the oven is cold"))

    async with a2a_server(fails) as server:
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.FAILED
    assert types(log)[-3:] == ["task.failed", "step.failed", "run.failed"]
    assert data(log[-1])["error"]["code"] == "remote-task-failed"
    assert data(log[-1])["error"]["message"].startswith(
        "the oven is cold (step 'turn' of workflow "
    )


async def test_a_question_is_passed_on_and_its_answer_goes_to_the_same_task(
    memory_world: World,
) -> None:
    async def asks(turn: Turn) -> None:
        if turn.number == 1:
            await turn.tell("A draft.")
            await turn.ask("Ship it?", schema={"type": "boolean"})
        else:
            await turn.updater.complete(turn.message(f"You said {turn.said}."))

    async with a2a_server(asks) as server:
        await memory_world.worker(a2a_workflow("remote", server.url))
        ticket = await memory_world.ask("remote", "go")
        run = await memory_world.reaches(ticket, RunStatus.WAITING)
        [waits] = run.waiting.values()
        assert (waits["prompt"], waits["value_schema"]) == ("Ship it?", {"type": "boolean"})
        await memory_world.released(ticket)
        await memory_world.answer(ticket, "yes")
        await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    check_log(log)
    assert told(log) == [(None, "A draft."), (None, "You said yes.")]
    assert len({turn.updater.task_id for turn in server.turns}) == 1
    assert types(log).count("task.started") == types(log).count("task.completed") == 1


async def test_an_artifact_that_comes_in_pieces_is_shown_while_it_comes(
    memory_world: World,
) -> None:
    async def writes(turn: Turn) -> None:
        add = turn.updater.add_artifact
        await add([Part(text="Once ")], "a", "story", append=False, last_chunk=False)
        await add([Part(text="upon a time")], "a", "story", append=True, last_chunk=True)
        await add([Part(url="https://example.com/x.png", media_type="image/png")], "b", "picture")
        await turn.updater.complete()

    async with a2a_server(writes) as server:
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.COMPLETED
    assert [data(e)["text"] for e in of_type(log, "message.delta")] == ["Once ", "upon a time"]
    assert told(log) == [(None, "Once upon a time")]
    kept = {a["name"]: (a["content"], a["uri"]) for a in fold(log).artifacts.all.values()}
    assert kept == {
        "story": ("Once upon a time", None),
        "picture": (None, "https://example.com/x.png"),
    }
    assert data(log[-1])["result"] == "Once upon a time"


async def test_an_agent_that_answers_without_a_task_is_heard_too(memory_world: World) -> None:
    async with a2a_server(_everything, answers_with_message=True) as server:
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.COMPLETED
    assert told(log) == [(None, "Hello")]


async def test_an_agent_that_does_not_stream_is_looked_at_until_it_is_done(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.orchestrator.executors.a2a.POLL_S", 0.02)
    async with a2a_server(_everything, streaming=False) as server:
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.COMPLETED
    assert told(log) == [("Critic", "Looks fine."), (None, "Done.")]
    assert types(log).count("tool.completed") == 1


def _held(gate: asyncio.Event) -> Script:
    async def script(turn: Turn) -> None:
        await turn.tell("first")
        add = turn.updater.add_artifact
        await add([Part(text="half ")], "a", "text", append=False, last_chunk=False)
        await turn.tell("second")
        await gate.wait()
        await turn.tell("third")
        await add([Part(text="and half")], "a", "text", append=True, last_chunk=True)
        await turn.updater.complete(turn.message("Done."))

    return script


async def test_a_cancel_is_forwarded_while_the_agent_works(memory_world: World) -> None:
    async with a2a_server(_held(asyncio.Event())) as server:
        await memory_world.worker(a2a_workflow("remote", server.url))
        ticket = await memory_world.ask("remote", "go")
        await memory_world.has(ticket, "message.completed", 2)
        await memory_world.cancel(ticket, "enough")
        run = await memory_world.reaches(ticket)
        assert run.status is RunStatus.CANCELLED
        await memory_world.until(lambda: len(server.cancelled) == 1)
    assert server.cancelled == [server.turns[0].updater.task_id]


async def test_a_cancel_is_forwarded_while_the_run_waits(memory_world: World) -> None:
    async with a2a_server(lambda turn: turn.ask("Ship it?")) as server:
        await memory_world.worker(a2a_workflow("remote", server.url))
        ticket = await memory_world.ask("remote", "go")
        await memory_world.reaches(ticket, RunStatus.WAITING)
        await memory_world.released(ticket)
        await memory_world.cancel(ticket)
        await memory_world.reaches(ticket)
        await memory_world.until(lambda: len(server.cancelled) == 1)


async def test_who_takes_over_follows_the_same_task_and_tells_what_was_missed(
    memory_world: World,
) -> None:
    gate = asyncio.Event()
    async with a2a_server(_held(gate)) as server:
        first = await memory_world.worker(a2a_workflow("remote", server.url))
        ticket = await memory_world.ask("remote", "go")
        await memory_world.has(ticket, "message.completed", 2)
        await first.crash()
        gate.set()
        await memory_world.worker(a2a_workflow("remote", server.url), name="w2")
        run = await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    check_log(log)
    assert (run.status, run.attempts) == (RunStatus.COMPLETED, 2)
    assert len(server.turns) == 1
    assert server.cancelled == []
    said = [content for _, content in told(log)]
    assert sorted(said) == sorted(["first", "second", "third", "half and half", "Done."])
    assert not [e for e in of_type(log, "step.restarted") if data(e)["name"] == "turn"]


async def test_a_task_that_the_agent_has_lost_is_begun_anew(memory_world: World) -> None:
    gate = asyncio.Event()
    async with a2a_server(_held(gate)) as server:
        first = await memory_world.worker(a2a_workflow("remote", server.url))
        ticket = await memory_world.ask("remote", "go")
        await memory_world.has(ticket, "message.completed", 2)
        await first.crash()
    gate.set()
    async with a2a_server(_held(gate)) as another:
        # The same agent at another address would do: here it has only lost its memory.
        await memory_world.worker(a2a_workflow("remote", another.url), name="w2")
        run = await memory_world.reaches(ticket)
    log = await memory_world.events(ticket.session)
    check_log(log)
    assert run.status is RunStatus.COMPLETED
    [restarted] = [e for e in of_type(log, "step.restarted") if data(e)["name"] == "turn"]
    after = [e for e in log if e.seq > restarted.seq]
    assert "step.started" in types(after)
    assert len(another.turns) == 1


async def test_headers_and_the_token_go_with_every_request(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", "s3cret")
    async with a2a_server(_everything) as server:
        _, log = await _run(
            memory_world, server, token_env="REMOTE_TOKEN", headers={"x-team": "blue"}
        )
    assert len(server.headers) >= 2
    assert {h.get("authorization") for h in server.headers} == {"Bearer s3cret"}
    assert {h.get("x-team") for h in server.headers} == {"blue"}
    assert not any(b"s3cret" in e.body for e in log)


async def test_a_card_that_points_to_another_host_gets_no_token(
    memory_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REMOTE_TOKEN", "s3cret")
    async with (
        a2a_server(_everything) as elsewhere,
        a2a_server(_everything, card_url=f"{elsewhere.url}/rpc") as server,
    ):
        run, log = await _run(memory_world, server, token_env="REMOTE_TOKEN")
        assert elsewhere.headers == []
    assert run.status is RunStatus.FAILED
    assert data(log[-1])["error"]["code"] == "remote-agent-refused"
    assert "on another host" in data(log[-1])["error"]["message"]


@pytest.mark.parametrize(
    ("status", "code"), [(401, "remote-agent-refused"), (503, "remote-agent-unreachable")]
)
async def test_an_agent_that_cannot_be_spoken_to_fails_the_run_with_a_sentence(
    memory_world: World, monkeypatch: pytest.MonkeyPatch, status: int, code: str
) -> None:
    monkeypatch.setattr("holdfast.orchestrator.executors.a2a.RECONNECT_FIRST_S", 0.001)
    async with a2a_server(_everything) as server:
        server.refuses = status
        run, log = await _run(memory_world, server)
    assert run.status is RunStatus.FAILED
    assert data(log[-1])["error"]["code"] == code
    assert server.url in data(log[-1])["error"]["message"]
