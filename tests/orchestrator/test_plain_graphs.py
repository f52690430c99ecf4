"""A plain workflow may start a graph as a child run: it asks, is taken over and ends as its own kind does."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langgraph.graph import MessagesState
from langgraph.types import interrupt

from holdfast.events.store import RunStatus
from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.workflow import workflow
from tests.factories import TENANT
from tests.orchestrator.graphs import chain, graph_worker, says
from tests.orchestrator.harness import World, check_log, data, of_type, types

pytestmark = [pytest.mark.postgres, pytest.mark.redis]


async def test_a_graph_as_a_child_waits_for_its_answer_and_goes_on_from_its_checkpoint(
    real_world: World, database_url: str
) -> None:
    world = real_world
    said: list[str] = []

    async def asks(state: MessagesState) -> dict[str, Any]:
        return {"messages": [AIMessage(f"so it is {interrupt('which?')}")]}

    graph = chain("graph", ("a", says("A", said)), ("b", asks))

    @workflow("plain", version="1")
    async def plain(ctx: WorkflowContext, input: None) -> str:
        await ctx.message("before")
        return await ctx.run(graph, "go", returns=str)

    async with graph_worker(world, database_url, plain, graph):
        ticket = await world.ask("plain")
        await world.reaches(ticket, RunStatus.WAITING)
        await world.released(ticket)
        [asked] = of_type(await world.events(ticket.session), "input.requested")
        assert asked.parent_run_id == ticket.run_id
        kid = str(asked.run_id)
        await world.store.desk.answer(TENANT, kid, data(asked)["input_id"], "blue")
        await world.stream.hint_work(ticket.session)
        run = await world.reaches(ticket)
    assert run.status is RunStatus.COMPLETED
    events = await world.events(ticket.session)
    check_log(events)
    assert data(events[-1])["result"] == "so it is blue"
    assert said == ["A"]
    assert types([e for e in events if e.run_id == kid]).count("run.completed") == 1
