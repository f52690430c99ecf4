"""The tellers: for each kind of agent a workflow that tells the story, its failure or its endless wait.

The run's input says which: `story`, `error` or `cancel`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ag_ui.core import (
    BaseEvent,
    RunAgentInput,
    SubagentFinishedEvent,
    SubagentStartedEvent,
    TextMessageContentEvent,
    TextMessageEndEvent,
    TextMessageStartEvent,
)
from pydantic_ai import Agent, DeferredToolRequests, ToolReturn
from pydantic_ai.models.function import DeltaThinkingPart, DeltaToolCall, FunctionModel
from pydantic_ai.ui.ag_ui import AGUIAdapter

from holdfast.orchestrator.context import WorkflowContext
from holdfast.orchestrator.executors.a2a import a2a_workflow
from holdfast.orchestrator.executors.agui import agui_workflow
from holdfast.orchestrator.workflow import Workflow, workflow
from tests.orchestrator.a2a_server import Turn, a2a_server
from tests.orchestrator.golden import story


class Wrong(Exception):
    """What goes wrong in the story's other ending."""

    def __init__(self) -> None:
        super().__init__(story.WRONG)


async def _words(text: str) -> AsyncIterator[str]:
    for word in text.split(" "):
        yield word if text.startswith(word) else f" {word}"
        await asyncio.sleep(0)


async def _endless(text: str) -> AsyncIterator[str]:
    yield text
    await asyncio.Event().wait()


def _search(query: str) -> list[str]:
    return [f"a page about {query}"]


@workflow("plain", version="1")
async def _plain(ctx: WorkflowContext, input: str) -> str:
    await ctx.reasoning(_words(story.THOUGHT))
    if input == "error":
        raise Wrong
    if input == "cancel":
        await ctx.message(_endless(story.WAITING))
    await ctx.tool("search", _search, story.QUERY)
    async with ctx.agent(story.CRITIC[0]) as critic:
        await critic.message(_words(story.CRITIC[1]))

    async def helper(name: str, branch: WorkflowContext) -> None:
        async with branch.agent(name) as agent:
            await agent.message(_words(story.LANES[name]))

    await asyncio.gather(*(helper(name, ctx.branch(name)) for name in story.LANES))
    await ctx.message(_words(story.FOUND))
    answer = await ctx.input("Approve ship({})?", schema=dict[str, bool])
    assert answer == story.ANSWER
    await ctx.tool("ship", lambda: "ok")
    return await ctx.message(_words(story.SHIPPED))


@asynccontextmanager
async def plain() -> AsyncGenerator[Workflow]:
    """An async function."""
    yield _plain


def _spoken(name: str, text: str) -> list[BaseEvent]:
    """What a helper of the agent's says, as AG-UI tells of sub-agents."""
    return [
        TextMessageStartEvent(message_id=f"{name}.m", role="assistant", subagent_run_id=name),
        TextMessageContentEvent(message_id=f"{name}.m", delta=text, subagent_run_id=name),
        TextMessageEndEvent(message_id=f"{name}.m", subagent_run_id=name),
    ]


def _helpers() -> list[BaseEvent]:
    """The critic, then the two lanes at once."""
    left, right = story.LANES.items()
    interleaved = [
        one for pair in zip(_spoken(*left), _spoken(*right), strict=True) for one in pair
    ]
    names = (story.CRITIC[0], *story.LANES)
    begun = {name: SubagentStartedEvent(subagent_run_id=name, name=name) for name in names}
    done = {name: SubagentFinishedEvent(subagent_run_id=name) for name in names}
    critic, one, other = names
    return [
        begun[critic],
        *_spoken(*story.CRITIC),
        done[critic],
        begun[one],
        begun[other],
        *interleaved,
        done[one],
        done[other],
    ]


def _pydantic_agent() -> Any:
    async def script(messages: list[Any], info: Any) -> AsyncIterator[Any]:
        parts = [part for message in messages for part in message.parts]
        returned = [part for part in parts if part.part_kind == "tool-return"]
        asked = next(part.content for part in parts if part.part_kind == "user-prompt")
        if not returned:
            yield {0: DeltaThinkingPart(content="Let me ")}
            yield {0: DeltaThinkingPart(content="think.")}
            if asked == "error":
                raise Wrong
            if asked == "cancel":
                yield story.WAITING
                await asyncio.Event().wait()
            yield {1: DeltaToolCall(name="search", json_args='{"query":', tool_call_id="c1")}
            yield {1: DeltaToolCall(json_args='"cats"}')}
        elif len(returned) == 1:
            yield "Found "
            yield "it."
            yield {1: DeltaToolCall(name="ship", json_args="{}", tool_call_id="c2")}
        else:
            yield story.SHIPPED

    agent: Any = Agent(
        FunctionModel(stream_function=script), output_type=[str, DeferredToolRequests]
    )

    @agent.tool_plain
    def search(query: str) -> ToolReturn:
        return ToolReturn(return_value=_search(query), metadata=_helpers())

    @agent.tool_plain(requires_approval=True)
    def ship() -> str:
        return "ok"

    return agent


@asynccontextmanager
async def pydantic_ai() -> AsyncGenerator[Workflow]:
    """A Pydantic AI agent, through the AG-UI adapter that it brings."""
    agent = _pydantic_agent()

    def source(run: RunAgentInput) -> AsyncIterator[BaseEvent]:
        return AGUIAdapter(agent, run_input=run).run_stream()

    yield agui_workflow("pydantic_ai", source)


async def _remote(turn: Turn) -> None:
    if turn.number == 2:
        assert turn.data == story.ANSWER
        await turn.tell(kind="tool_call", call_id="c2", name="ship", args={})
        await turn.tell(kind="tool_result", call_id="c2", name="ship", result="ok")
        await turn.updater.complete(turn.message(story.SHIPPED))
        return
    await turn.tell(story.THOUGHT, "reasoning")
    if turn.said == "error":
        await turn.updater.failed(turn.message(story.WRONG))
        return
    if turn.said == "cancel":
        await turn.tell(story.WAITING)
        await asyncio.Event().wait()
    await turn.tell(kind="tool_call", call_id="c1", name="search", args=story.QUERY)
    await turn.tell(kind="tool_result", call_id="c1", name="search", result=story.PAGES)

    async def helper(name: str, text: str) -> None:
        where = {"agent": name, "lane": name}
        await turn.tell(kind="agent.started", name=name, **where)
        await turn.tell(text, **where)
        await turn.tell(kind="agent.completed", name=name, **where)

    await helper(*story.CRITIC)
    await asyncio.gather(*(helper(*one) for one in story.LANES.items()))
    await turn.tell(story.FOUND)
    await turn.ask("Approve ship({})?")


@asynccontextmanager
async def a2a() -> AsyncGenerator[Workflow]:
    """A remote agent, on a real A2A server."""
    async with a2a_server(_remote) as server:
        yield a2a_workflow("a2a", server.url)
