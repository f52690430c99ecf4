"""LangGraph's tellers: the graph itself, and the same graph behind LangGraph's own AG-UI adapter."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import MemorySaver
from langgraph.func import entrypoint, task
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import interrupt

from holdfast.orchestrator.executors.agui import agui_workflow
from holdfast.orchestrator.executors.agui_langgraph import langgraph_source
from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.workflow import Workflow
from tests.orchestrator.golden import story
from tests.orchestrator.golden.models import Piece, ScriptedModel, called
from tests.orchestrator.golden.tellers import Wrong


def _search(messages: Sequence[BaseMessage]) -> list[Piece]:
    return [
        Piece(thought="Let me "),
        Piece(thought="think."),
        *called("search", '{"query":', '"cats"}', id="c1"),
    ]


def _says(text: str) -> Any:
    first, _, rest = text.partition(" ")
    return lambda messages: [Piece(first), Piece(f" {rest}")] if rest else [Piece(first)]


def _asks(script: Any) -> Any:
    async def node(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await ScriptedModel(script=script).ainvoke(state["messages"])]}

    return node


def _helper(name: str, text: str) -> dict[str, Any]:
    """A node that lets an agent speak, which is a graph of its own; LangChain's agents carry their name this way."""
    graph = StateGraph(MessagesState)
    graph.add_node("speak", _asks(_says(text)), metadata={"agent": name})
    graph.add_edge(START, "speak")
    graph.add_edge("speak", END)
    helper = graph.compile().with_config({"metadata": {"lc_agent_name": name}})

    async def node(state: MessagesState) -> dict[str, Any]:
        spoke = await helper.ainvoke({"messages": state["messages"]})
        return {"messages": spoke["messages"][-1:]}

    return {"action": node}


async def _think(state: MessagesState) -> dict[str, Any]:
    wanted = next(m.content for m in state["messages"] if isinstance(m, HumanMessage))
    if wanted == "story":
        return {"messages": [await ScriptedModel(script=_search).ainvoke(state["messages"])]}
    if wanted == "error":
        script = lambda _: [Piece(thought=story.THOUGHT)]  # noqa: E731
        await ScriptedModel(script=script).ainvoke(state["messages"])
        raise Wrong
    endless = ScriptedModel(script=lambda _: [Piece(story.WAITING)], hangs=True)
    return {"messages": [await endless.ainvoke(state["messages"])]}


async def _tool(state: MessagesState) -> dict[str, Any]:
    call = state["messages"][-1].tool_calls[0]  # type: ignore[union-attr]
    await asyncio.sleep(0)
    found = f'["a page about {call["args"]["query"]}"]'
    return {"messages": [ToolMessage(found, tool_call_id=call["id"], name="search")]}


async def _ship(state: MessagesState) -> dict[str, Any]:
    answer = interrupt({"message": "Approve ship({})?"})
    assert answer == story.ANSWER
    call = AIMessage("", tool_calls=[{"id": "c2", "name": "ship", "args": {}}], id="ship-call")
    return {"messages": [call, ToolMessage("ok", tool_call_id="c2", name="ship", id="ship-done")]}


def golden_graph() -> Any:
    """The story as a graph: a model, a tool, a critic, two lanes at once, a person, the end."""
    graph = StateGraph(MessagesState)
    graph.add_node("think", _think)
    graph.add_node("tool", _tool)
    graph.add_node("critic", **_helper(*story.CRITIC))
    for name, text in story.LANES.items():
        graph.add_node(name.lower(), **_helper(name, text))
        graph.add_edge("critic", name.lower())
        graph.add_edge(name.lower(), "found")
    graph.add_node("found", _asks(_says(story.FOUND)))
    graph.add_node("ship", _ship)
    graph.add_node("shipped", _asks(_says(story.SHIPPED)))
    graph.add_edge(START, "think")
    graph.add_edge("think", "tool")
    graph.add_edge("tool", "critic")
    graph.add_edge("found", "ship")
    graph.add_edge("ship", "shipped")
    graph.add_edge("shipped", END)
    return graph


@asynccontextmanager
async def langgraph() -> AsyncGenerator[Workflow]:
    """The graph itself."""
    yield langgraph_workflow(
        "langgraph",
        golden_graph(),
        input=str,
        to_state=lambda given: {"messages": [HumanMessage(given)]},
        version="1",
    )


def _functional() -> Any:
    """The story as an entrypoint with tasks, and graphs inside of these."""
    helpers = {
        name: task(_helper(name, text)["action"], name=name.lower())
        for name, text in (story.CRITIC, *story.LANES.items())
    }
    found, shipped = (
        task(_asks(_says(text)), name=name)
        for name, text in (("found", story.FOUND), ("shipped", story.SHIPPED))
    )
    think, tool, ship = (task(node) for node in (_think, _tool, _ship))

    @entrypoint()
    async def functional(wanted: str) -> str:
        messages: list[BaseMessage] = [HumanMessage(wanted)]

        async def take(*running: Any) -> None:
            for one in running:
                messages.extend((await one)["messages"])

        await take(think({"messages": messages}))
        await take(tool({"messages": messages}))
        await take(helpers[story.CRITIC[0]]({"messages": messages}))
        await take(*[helpers[name]({"messages": [*messages]}) for name in story.LANES])
        await take(found({"messages": messages}))
        await take(ship({"messages": messages}))
        await take(shipped({"messages": messages}))
        return str(messages[-1].content)

    return functional


@asynccontextmanager
async def functional() -> AsyncGenerator[Workflow]:
    """LangGraph's functional API."""
    yield langgraph_workflow("functional", _functional(), input=str, version="1")


@asynccontextmanager
async def langgraph_agui() -> AsyncGenerator[Workflow]:
    """The graph behind LangGraph's own AG-UI adapter."""
    compiled = golden_graph().compile(checkpointer=MemorySaver())

    yield agui_workflow("langgraph_agui", langgraph_source(compiled))
