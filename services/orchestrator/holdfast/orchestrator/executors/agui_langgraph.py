"""LangGraph's own AG-UI adapter, as a source whose turns can be done over.

The adapter keeps its graph's state in a thread. An attempt that died leaves there what it did, and the attempt that
asks again would be told of it once more. So a turn works in a thread of its own, which begins as a copy of the turn's
before: when the turn is asked for again, it begins there again.

A graph of yours is better off with `langgraph_workflow`, which goes on at the node instead of the turn.
"""

from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, cast

from ag_ui.core import BaseEvent, RunAgentInput
from ag_ui_langgraph import LangGraphAgent
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple
from langgraph.graph.state import CompiledStateGraph

from holdfast.orchestrator.executors.agui import Source, turn_before

Saver = BaseCheckpointSaver[Any]


def langgraph_source(graph: CompiledStateGraph[Any, Any, Any, Any], **options: Any) -> Source:
    """Return the source of a graph that was compiled with a checkpointer of its own, for `agui_workflow`.

    `options` go to the adapter. Interrupts become requests for input, and subgraphs lanes, unless these say otherwise.
    The threads are named after runs: a conversation over several runs has to come with each run's input.
    """
    saver = graph.checkpointer
    if not isinstance(saver, BaseCheckpointSaver):
        raise TypeError("compile the graph with a checkpointer: its turns go on from what it keeps")
    told: dict[str, Any] = {
        "name": graph.get_name(),
        "emit_interrupt_outcome": True,
        "emit_raw_events": False,  # they would be most of what it sends, and say everything twice
        "subagent_visibility": "attributed",
    }

    async def turn(run: RunAgentInput) -> AsyncGenerator[BaseEvent]:
        thread, before = run.run_id, turn_before(run.run_id)
        await saver.adelete_thread(thread)
        if before is not None:
            await _copy(saver, before, thread)
        # A new one each time: it keeps what it knows of a run in itself.
        agent = LangGraphAgent(graph=graph, **(told | options))
        events = agent.run(run.model_copy(update={"thread_id": thread}))
        async with aclosing(cast("AsyncGenerator[BaseEvent]", events)) as stream:
            async for event in stream:
                yield event

    return turn


async def _copy(saver: Saver, source: str, target: str) -> None:
    """Copy a thread, from its oldest checkpoint to the newest."""
    kept = [one async for one in saver.alist({"configurable": {"thread_id": source}})]
    for one in sorted(kept, key=lambda each: each.checkpoint["id"]):
        await _put(saver, one, target)


async def _put(saver: Saver, kept: CheckpointTuple, thread: str) -> None:
    named = kept.config.get("configurable", {})
    parent = (kept.parent_config or {}).get("configurable", {})
    where: RunnableConfig = {
        "configurable": {
            "thread_id": thread,
            "checkpoint_ns": named.get("checkpoint_ns", ""),
            "checkpoint_id": parent.get("checkpoint_id"),
        }
    }
    versions = kept.checkpoint["channel_versions"]
    put = await saver.aput(where, kept.checkpoint, kept.metadata, versions)
    writes: defaultdict[str, list[tuple[str, Any]]] = defaultdict(list)
    for task_id, channel, value in kept.pending_writes or ():
        writes[task_id].append((channel, value))
    for task_id, wrote in writes.items():
        await saver.aput_writes(put, wrote, task_id)


__all__ = ["langgraph_source"]
