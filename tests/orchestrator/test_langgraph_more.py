"""LangGraph's further abilities: functional API, lanes, streamed arguments, retries, questions with schemas, drains."""

import asyncio
import operator
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.config import get_stream_writer
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import RetryPolicy, Send, interrupt

from holdfast.events.catalog import ProgressUpdated
from holdfast.events.fold import fold
from holdfast.events.store import RunStatus
from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from tests.orchestrator.golden.models import Piece, ScriptedModel, called
from tests.orchestrator.graphs import chain, graph_worker, says
from tests.orchestrator.harness import World, check_log, data, of_type, told, types

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


async def test_an_entrypoint_of_the_functional_api_runs_and_its_tasks_are_done_once(
    real_world: World, database_url: str
) -> None:
    calls: list[int] = []
    gate = asyncio.Event()

    @task
    async def double(x: int) -> int:
        calls.append(x)
        return 2 * x

    @entrypoint()
    async def flow(x: int) -> dict[str, int]:
        first, second = await asyncio.gather(double(x), double(x + 1))
        await gate.wait()
        return {"sum": first + second}

    workflow = langgraph_workflow("functional", flow, input=int, version="1")
    async with graph_worker(real_world, database_url, workflow) as first:
        ticket = await real_world.ask("functional", 1)
        await real_world.has(ticket, "step.completed", 2)
        await first.crash()
    gate.set()
    async with graph_worker(real_world, database_url, workflow, name="w2"):
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert sorted(calls) == [1, 2]
    assert data(events[-1])["result"] == {"sum": 6}
    assert [data(e)["name"] for e in of_type(events, "step.completed")] == [
        "double",
        "double",
        "flow",
    ]
    assert [data(e)["name"] for e in of_type(events, "step.restarted")] == ["flow"]


class Topics(TypedDict):
    topics: list[str]
    found: Annotated[list[str], operator.add]


async def test_the_same_subgraph_at_once_works_in_lanes_that_are_told_apart(
    real_world: World, database_url: str
) -> None:
    class One(TypedDict):
        topic: str
        found: Annotated[list[str], operator.add]

    async def look(state: One) -> dict[str, Any]:
        model = ScriptedModel(script=lambda _: [Piece(f"about {state['topic']}")])
        answer = await model.ainvoke("?")
        return {"found": [str(answer.content)]}

    inner = StateGraph(One)
    inner.add_node("look", look, metadata={"agent": "Researcher"})
    inner.add_edge(START, "look")
    graph = StateGraph(Topics)
    graph.add_node("research", inner.compile())
    graph.add_conditional_edges(
        START, lambda state: [Send("research", {"topic": t}) for t in state["topics"]]
    )
    graph.add_edge("research", END)
    flow = langgraph_workflow(
        "fan", graph, to_result=lambda state: sorted(state["found"]), version="1"
    )
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("fan", {"topics": ["a", "b", "c"]})
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == ["about a", "about b", "about c"]
    agents = fold(events).agents.all.values()
    assert sorted((a["name"], a["lane"], a["status"]) for a in agents) == [
        ("Researcher", "research", "completed"),
        ("Researcher", "research#2", "completed"),
        ("Researcher", "research#3", "completed"),
    ]


async def test_a_tool_call_shows_its_arguments_as_they_come_and_a_failed_tool_fails(
    real_world: World, database_url: str
) -> None:
    async def ask(state: MessagesState) -> dict[str, Any]:
        script = lambda _: called("add", '{"x": ', "1}", id="c1")  # noqa: E731
        return {"messages": [await ScriptedModel(script=script).ainvoke(state["messages"])]}

    async def fail(state: MessagesState) -> dict[str, Any]:
        failed = ToolMessage("no such number", tool_call_id="c1", name="add", status="error")
        return {"messages": [failed]}

    flow = chain("args", ("ask", ask), ("fail", fail))
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("args", "go")
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    tools = [e for e in events if e.type.startswith("tool.")]
    assert types(tools)[0] == "tool.progress"
    assert types(tools)[-2:] == ["tool.started", "tool.failed"]
    [call] = fold(events).tools.all.values()
    assert (call["name"], call["args"], call["status"]) == ("add", {"x": 1}, "failed")
    assert call["error"]["message"] == "no such number"


async def test_a_node_that_is_tried_again_says_so_and_what_the_failed_try_said_is_dropped(
    real_world: World, database_url: str
) -> None:
    tries: list[int] = []

    async def flaky(state: MessagesState) -> dict[str, Any]:
        tries.append(1)
        answer = await ScriptedModel(script=lambda _: [Piece(f"try {len(tries)}")]).ainvoke("?")
        if len(tries) < 3:
            raise ConnectionError("the line is dead")
        return {"messages": [answer]}

    graph = StateGraph(MessagesState)
    policy = RetryPolicy(initial_interval=0.05, jitter=False)
    graph.add_node("flaky", flaky, retry_policy=policy)
    graph.add_edge(START, "flaky")
    graph.add_edge("flaky", END)
    flow = langgraph_workflow(
        "retries",
        graph,
        input=str,
        to_state=lambda given: {"messages": [HumanMessage(given)]},
        version="1",
    )
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("retries", "go")
        run = await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert run.status is RunStatus.COMPLETED
    again = of_type(events, "step.retrying")
    assert [data(e)["next_try"] for e in again] == [2, 3]
    assert "the line is dead" in data(again[0])["error"]["message"]
    assert data(again[0])["delay_ms"] >= 50
    [step] = [s for s in fold(events).steps.all.values() if s["name"] == "flaky"]
    assert step["status"] == "completed"
    assert told(events)[-1:] == [("flaky", "try 3")]


async def test_several_questions_at_once_carry_their_schemas_and_the_answers_fit(
    real_world: World, database_url: str
) -> None:
    class Form(TypedDict):
        answers: Annotated[list[Any], operator.add]

    def node(prompt: str, schema: dict[str, Any]) -> Any:
        async def ask(state: Form) -> dict[str, Any]:
            return {"answers": [interrupt({"question": prompt}, response_schema=schema)]}

        return ask

    graph = StateGraph(Form)
    for name, kind in (("age", "integer"), ("name", "string")):
        graph.add_node(name, node(f"{name}?", {"type": kind}))
        graph.add_edge(START, name)
        graph.add_edge(name, END)
    flow = langgraph_workflow(
        "form",
        graph,
        to_state=lambda _: {"answers": []},
        to_result=lambda state: state["answers"],
        version="1",
    )
    async with graph_worker(real_world, database_url, flow):
        ticket = await real_world.ask("form", {})
        run = await real_world.reaches(ticket, RunStatus.WAITING)
        asked = {w["prompt"]: (i, w["value_schema"]) for i, w in run.waiting.items()}
        assert {prompt: schema["type"] for prompt, (_, schema) in asked.items()} == {
            "age?": "integer",
            "name?": "string",
        }
        await real_world.answer(ticket, 7, asked["age?"][0])
        await real_world.answer(ticket, "Ada", asked["name?"][0])
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    assert data(events[-1])["result"] == [7, "Ada"]


async def test_what_a_node_writes_to_the_stream_is_an_event(
    real_world: World, database_url: str
) -> None:
    async def work(state: MessagesState) -> dict[str, Any]:
        write = get_stream_writer()
        write({"rows": 3})
        write(ProgressUpdated(fraction=0.5, label="half"))
        return {"messages": [AIMessage("done")]}

    async with graph_worker(real_world, database_url, chain("custom", ("work", work))):
        ticket = await real_world.ask("custom", "go")
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    [custom] = of_type(events, "custom.langgraph")
    assert data(custom)["value"] == {"rows": 3}
    assert custom.step is not None
    [progress] = of_type(events, "progress.updated")
    assert data(progress) == {"fraction": 0.5, "label": "half"}


async def test_a_drain_waits_for_the_step_that_runs_and_nothing_is_done_over(
    real_world: World, database_url: str
) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()
    calls: list[str] = []

    async def slow(state: MessagesState) -> dict[str, Any]:
        calls.append("slow")
        entered.set()
        await leave.wait()
        return {"messages": [AIMessage("slowly")]}

    flow = chain("drained", ("slow", slow), ("next", says("next", calls)))
    async with graph_worker(real_world, database_url, flow) as first:
        ticket = await real_world.ask("drained", "go")
        await asyncio.wait_for(entered.wait(), 10)
        draining = asyncio.create_task(first.drain())
        await asyncio.sleep(0)
        leave.set()
        await draining
    async with graph_worker(real_world, database_url, flow, name="w2"):
        await real_world.reaches(ticket)
    events = await real_world.events(ticket.session)
    check_log(events)
    assert calls == ["slow", "next"]
    assert types(events).count("step.restarted") == 0
    assert [data(e)["reason"] for e in of_type(events, "run.resumed")] == ["drain"]
    assert told(events) == [("slow", "slowly"), ("next", "next")]
