"""Small LangGraph graphs for tests, and a worker that runs them on real Postgres."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Annotated, Any, TypedDict

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.graph import END, START, MessagesState, StateGraph

from holdfast.orchestrator.executors.langgraph import langgraph_workflow
from holdfast.orchestrator.models.langchain_scripted import ScriptedChatModel
from holdfast.orchestrator.workflow import Resources, Workflow, Workflows
from tests.orchestrator.harness import Rig, World

Node = Callable[..., Awaitable[dict[str, Any]]]


def _joined(left: list[str], right: list[str]) -> list[str]:
    return sorted([*left, *right])


class Noted(TypedDict):
    """A state that adds up what nodes noted, in an order of its own."""

    notes: Annotated[list[str], _joined]


def chain(name: str, *nodes: tuple[str, Node], agents: bool = False) -> Workflow:
    """A graph of nodes one after the other, over messages."""
    graph = StateGraph(MessagesState)
    previous = START
    for node, function in nodes:
        metadata = {"agent": node.title(), "stage": f"stage-{node}"} if agents else None
        graph.add_node(node, function, metadata=metadata)
        graph.add_edge(previous, node)
        previous = node
    graph.add_edge(previous, END)
    return langgraph_workflow(
        name,
        graph,
        input=str,
        to_state=lambda given: {"messages": [HumanMessage(given)]},
        version="1",
    )


def says(text: str, calls: list[str] | None = None) -> Node:
    """A node that says something, without a model."""

    async def say(state: MessagesState) -> dict[str, Any]:
        if calls is not None:
            calls.append(text)
        return {"messages": [AIMessage(text)]}

    return say


def asks_model(calls: list[str] | None = None, *, token_delay_s: float = 0) -> Node:
    """A node whose model answers in pieces."""

    async def ask(state: MessagesState) -> dict[str, Any]:
        if calls is not None:
            calls.append("model")
        model = ScriptedChatModel(token_delay_s=token_delay_s)
        return {"messages": [await model.ainvoke(state["messages"])]}

    return ask


class Gate:
    """A node that stands still until it is let through, and counts who came."""

    def __init__(self, text: str = "through the gate") -> None:
        self.came = 0
        self.open = asyncio.Event()
        self._text = text

    async def __call__(self, state: MessagesState) -> dict[str, Any]:
        self.came += 1
        await self.open.wait()
        return {"messages": [AIMessage(self._text)]}


@asynccontextmanager
async def graph_worker(
    world: World, database_url: str, *workflows: Workflow, name: str = "w1", **knobs: Any
) -> AsyncGenerator[Rig]:
    """A worker that has opened its graphs' checkpoints; closed, it is drained if it didn't crash."""
    async with AsyncExitStack() as stack:
        loaded = Workflows()
        for workflow in workflows:
            loaded.add(workflow)
        await loaded.open(Resources(database_url, stack))
        assert not loaded.broken, loaded.broken
        rig = await world.worker(name=name, loaded=loaded, **knobs)
        try:
            yield rig
        finally:
            await rig.crash()
