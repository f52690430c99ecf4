"""LangGraph graphs as they are: nodes are steps, nodes with an agent are turns, messages come once."""

import asyncio
from typing import Any

import psycopg
import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from holdfast.events.fold import fold
from holdfast.events.store import RunStatus, SessionStatus
from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.workflows.team import ROLES, team
from tests.factories import TENANT
from tests.orchestrator.graphs import Noted, asks_model, chain, graph_worker, says
from tests.orchestrator.harness import World, check_log, data, of_type, told, types

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


async def test_the_team_takes_a_requirement_through_its_stages_each_message_once(
    real_world: World, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_LLM_OFFLINE_TOKEN_DELAY_S", "0")
    async with graph_worker(real_world, database_url, team):
        ticket = await real_world.ask("team", {"requirement": "a URL shortener"})
        run = await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert run.status is RunStatus.COMPLETED
    stages = [data(e)["to"] for e in of_type(events, "stage.changed")]
    assert stages == ["requirement", "design", "development", "testing"]
    roles = [role for role, *_ in ROLES]
    assert [data(e)["name"] for e in of_type(events, "agent.started")] == roles
    assert [data(e)["name"] for e in of_type(events, "agent.completed")] == roles
    nodes = [node for _, node, *_ in ROLES]
    assert [data(e)["name"] for e in of_type(events, "step.started")] == nodes
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == nodes
    assert [data(e)["finish_reason"] for e in of_type(events, "llm.completed")] == ["stop"] * 6
    said = told(events)
    assert [agent for agent, _ in said] == roles
    assert len({content for _, content in said}) == 6
    assert data(events[-1])["result"] == said[-1][1]
    for message in of_type(events, "message.completed"):
        pieces = [
            data(e)["text"]
            for e in of_type(events, "message.delta")
            if data(e)["message_id"] == data(message)["message_id"]
        ]
        assert len(pieces) > 1
        assert "".join(pieces) == data(message)["content"]


async def test_a_step_is_completed_only_after_its_writes_are_on_disk(
    real_world: World, database_url: str
) -> None:
    seen: list[tuple[str, int]] = []
    flow = chain("two", ("a", says("A")), ("b", says("B")))
    async with graph_worker(real_world, database_url, flow):
        append = real_world.store.writer.append

        async def watched(batches: Any) -> frozenset[int]:
            for batch in batches:
                keys = [e.key for e in batch.events if e.type == "step.completed"]
                seen.extend([(key, await _writes(database_url, key)) for key in keys])
            return await append(batches)

        real_world.store.writer.append = watched  # pyright: ignore[reportAttributeAccessIssue]
        ticket = await real_world.ask("two", "go")
        await real_world.reaches(ticket)
    assert len(seen) == 2
    assert all(count > 0 for _, count in seen)


async def _writes(database_url: str, key: str) -> int:
    task_id = key.removeprefix("task:").partition("/")[0]
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        found = await connection.execute(
            "select count(*) from langgraph.checkpoint_writes where task_id = %s", (task_id,)
        )
        row = await found.fetchone()
        return row[0] if row else 0


async def test_nodes_at_once_are_steps_at_once_in_lanes_of_their_own_names(
    real_world: World, database_url: str
) -> None:
    both = asyncio.Barrier(2)

    def node(name: str) -> Any:
        async def work(state: Noted) -> dict[str, Any]:
            await both.wait()
            return {"notes": [name]}

        return work

    graph = StateGraph(Noted)
    for name in ("left", "right"):
        graph.add_node(name, node(name), metadata={"agent": name.title()})
        graph.add_edge(START, name)
        graph.add_edge(name, "join")

    async def join(state: Noted) -> dict[str, Any]:
        return {"notes": ["join"]}

    graph.add_node("join", join)
    graph.add_edge("join", END)
    flow = langgraph_workflow(
        "fork",
        graph,
        to_state=lambda _: {"notes": []},
        to_result=lambda state: state["notes"],
        version="1",
    )
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("fork", {})
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == ["join", "left", "right"]
    started, done = of_type(events, "step.started"), of_type(events, "step.completed")
    assert {data(e)["name"] for e in started[:2]} == {"left", "right"}
    assert data(started[2])["name"] == data(done[2])["name"] == "join"
    assert max(e.seq for e in started[:2]) < min(e.seq for e in done)
    assert {e.step for e in started} == {e.step for e in done}


async def test_an_interrupt_asks_and_its_answer_arrives_in_the_node(
    real_world: World, database_url: str
) -> None:
    calls: list[str] = []

    async def approve(state: MessagesState) -> dict[str, Any]:
        value = interrupt({"question": "ship it?"})
        return {"messages": [AIMessage(f"answer: {value}")]}

    flow = chain("ship", ("draft", says("a draft", calls)), ("approve", approve), agents=True)
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("ship", "go")
        run = await real_world.reaches(ticket, RunStatus.WAITING)
        assert [w["prompt"] for w in run.waiting.values()] == ["ship it?"]
        await real_world.released(ticket)
        await real_world.answer(ticket, "yes")
        run = await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert run.status is RunStatus.COMPLETED
    assert calls == ["a draft"]
    assert told(events) == [("Draft", "a draft"), ("Approve", "answer: yes")]
    assert data(events[-1])["result"] == "answer: yes"
    assert types(events).count("input.requested") == types(events).count("input.received") == 1
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == ["draft", "approve"]


async def test_two_interrupts_at_once_are_answered_one_after_the_other(
    real_world: World, database_url: str
) -> None:
    def node(name: str) -> Any:
        async def ask(state: Noted) -> dict[str, Any]:
            return {"notes": [f"{name}={interrupt(name)}"]}

        return ask

    graph = StateGraph(Noted)
    for name in ("left", "right"):
        graph.add_node(name, node(name))
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    flow = langgraph_workflow(
        "both",
        graph,
        to_state=lambda _: {"notes": []},
        to_result=lambda state: state["notes"],
        version="1",
    )
    async with graph_worker(real_world, database_url, flow):
        for pause in (True, False):
            ticket = await real_world.ask("both", {})
            run = await real_world.reaches(ticket, RunStatus.WAITING)
            by_prompt = {w["prompt"]: input_id for input_id, w in run.waiting.items()}
            assert set(by_prompt) == {"left", "right"}
            await real_world.answer(ticket, 1, by_prompt["left"])
            if pause:
                await real_world.has(ticket, "run.resumed")
                await real_world.released(ticket)
            await real_world.answer(ticket, 2, by_prompt["right"])
            assert (await real_world.reaches(ticket)).status is RunStatus.COMPLETED
            events = await real_world.events(ticket.session)
            check_log(events)
            assert data(events[-1])["result"] == ["left=1", "right=2"]
            assert types(events).count("input.requested") == 2


async def test_a_failing_node_fails_its_step_its_agent_and_the_run(
    real_world: World, database_url: str
) -> None:
    async def fail(state: MessagesState) -> dict[str, Any]:
        raise ValueError("no good")

    flow = chain("broken", ("fine", says("fine")), ("bad", fail), agents=True)
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("broken", "go")
        await real_world.reaches(ticket, RunStatus.FAILED)
    events = await real_world.events(ticket.session)
    check_log(events)
    ends = of_type(events, "agent.failed", "step.failed", "run.failed")
    assert types(ends) == ["agent.failed", "step.failed", "run.failed"]
    assert data(ends[0])["name"] == "Bad"
    assert "no good" in data(ends[1])["error"]["message"]
    assert "no good" in data(ends[2])["error"]["message"]


async def test_two_runs_of_a_session_share_the_threads_memory(
    real_world: World, database_url: str
) -> None:
    seen: list[list[str]] = []

    async def look(state: MessagesState) -> dict[str, Any]:
        seen.append([str(m.content) for m in state["messages"]])
        return {"messages": [AIMessage(f"seen {len(state['messages'])}")]}

    flow = chain("memory", ("look", look))
    async with graph_worker(real_world, database_url, flow):
        first = await real_world.ask("memory", "one")
        await real_world.reaches(first)
        second = await real_world.ask("memory", "two", first.session_id)
        await real_world.reaches(second)
        other = await real_world.ask("memory", "elsewhere")
        await real_world.reaches(other)
    assert seen == [["one"], ["one", "seen 1", "two"], ["elsewhere"]]
    events = await real_world.events(first.session)
    check_log(events)
    # Each message once, although the second run's state has all of them.
    assert told(events) == [("look", "seen 1"), ("look", "seen 3")]


async def test_an_erasure_deletes_the_checkpoints_too(real_world: World, database_url: str) -> None:
    flow = chain("secret", ("say", says("a secret")))
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("secret", "go")
        await real_world.reaches(ticket)
        assert await _checkpoints(database_url, ticket.session) > 0
        await real_world.erase(ticket)

        async def erased() -> bool:
            info = await real_world.store.desk.session(TENANT, ticket.session_id)
            return info.status is SessionStatus.ERASED

        await real_world.until(erased)
        assert await _checkpoints(database_url, ticket.session) == 0


async def test_an_erasure_by_a_worker_that_never_loaded_the_graph_deletes_its_checkpoints(
    real_world: World, database_url: str
) -> None:
    flow = chain("secret", ("say", says("a secret")))
    async with graph_worker(real_world, database_url, flow) as worker:
        kept = await real_world.ask("secret", "go")
        ticket = await real_world.ask("secret", "go")
        for run in (kept, ticket):
            await real_world.reaches(run)
        await worker.drain()
    await real_world.worker(name="knows-no-graph")
    await real_world.erase(ticket)

    async def erased() -> bool:
        info = await real_world.store.desk.session(TENANT, ticket.session_id)
        return info.status is SessionStatus.ERASED

    await real_world.until(erased)
    assert await _checkpoints(database_url, ticket.session) == 0
    assert await _checkpoints(database_url, kept.session) > 0


async def _checkpoints(database_url: str, session: int) -> int:
    count = 0
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        for table in ("checkpoints", "checkpoint_writes", "checkpoint_blobs"):
            found = await connection.execute(
                f"select count(*) from langgraph.{table} where thread_id like %s",
                (f"{session}/%",),
            )
            row = await found.fetchone()
            count += row[0] if row else 0
    return count


async def test_a_models_answer_is_shown_while_it_comes(
    real_world: World, database_url: str
) -> None:
    flow = chain("talk", ("talk", asks_model(token_delay_s=0.002)))
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("talk", "hello")
        await real_world.has(ticket, "message.delta", 2)
        assert not (await real_world.run(ticket)).status.ended
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    [message] = fold(events).messages.all.values()
    assert message["complete"]
    assert types(events).count("message.completed") == 1
