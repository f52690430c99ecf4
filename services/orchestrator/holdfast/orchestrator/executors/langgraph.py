"""Runs LangGraph graphs unchanged: their native stream becomes events the moment a chunk arrives.

Every node's task is a step; nodes may say more about themselves in their metadata:

    graph.add_node("architect", architect, metadata={"agent": "Architect", "stage": "design"})

`agent` makes the task an agent's turn, `stage` announces the stage of the work when it changes. A task's step is
called completed only when its writes are on disk, and a takeover goes on from the last checkpoint.
"""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Literal, cast

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command
from pydantic import JsonValue, TypeAdapter

from holdfast.events.catalog import (
    CheckpointRestored,
    CheckpointSaved,
    CustomEvent,
    Event,
    register_custom,
)
from holdfast.orchestrator.executors.langgraph_saver import (
    FencedSaver,
    Pool,
    checkpoint_pool,
    reachable,
)
from holdfast.orchestrator.executors.langgraph_talk import Transcript, text_of
from holdfast.orchestrator.executors.langgraph_tasks import Tasks
from holdfast.orchestrator.executors.langgraph_waits import answers, wait_for_answers
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.workflow import Resources, Workflow, source_version

Graph = StateGraph[Any, Any, Any, Any] | CompiledStateGraph[Any, Any, Any, Any]

# A graph that takes more supersteps than this has lost its way; LangGraph's own default is 25.
RECURSION_LIMIT = 100


@register_custom
class GraphUpdate(CustomEvent):
    """What a node wrote to LangGraph's stream writer, where it was no event of ours."""

    type: Literal["custom.langgraph"] = "custom.langgraph"
    value: JsonValue = None


@dataclass(slots=True)
class LangGraphExecutor:
    """Streams a graph's run into the log."""

    name: str
    graph: CompiledStateGraph[Any, Any, Any, Any]
    to_state: Callable[[Any], Any]
    to_result: Callable[[Any], JsonValue]
    _pool: Pool | None = None

    async def open(self, resources: Resources) -> None:
        """Connect to the checkpoints; one pool serves every graph of the process."""
        self._pool = await resources.shared(
            "langgraph.checkpoints", lambda: checkpoint_pool(resources.database_url)
        )

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Run the graph from its beginning, or from its last checkpoint; return what `to_result` makes of its state."""
        assert self._pool is not None, "opened before it executes"
        transcript = Transcript(scribe)
        tasks = Tasks(scribe, transcript)
        saver = FencedSaver(
            self._pool,
            session=scribe.session,
            epoch=scribe.epoch,
            over=lambda: scribe.over,
            on_writes=tasks.saved,
            on_checkpoint=_Checkpoints(scribe).saved,
        )
        graph = self.graph.copy(update={"checkpointer": saver})
        config = self._config(scribe)
        given = await self._given(graph, saver, config, scribe, tasks)
        stream = graph.astream(
            given,
            config,
            stream_mode=["tasks", "messages", "custom"],
            version="v2",
            durability="sync",
            subgraphs=True,
        )
        async with aclosing(cast("AsyncGenerator[dict[str, Any], None]", stream)) as chunks:
            async for chunk in chunks:
                await _take(chunk, tasks, transcript)
        state = await graph.aget_state(config)
        await wait_for_answers(scribe, state.interrupts)
        return self.to_result(state.values)

    async def forget(self, session: int) -> None:
        """Delete the checkpoints of an erased session, those of other graphs too: not every worker loads every graph.

        Raises StoreUnavailable.
        """
        assert self._pool is not None, "opened before it forgets"
        with reachable():
            async with self._pool.connection() as connection, connection.transaction():
                for table in ("checkpoint_writes", "checkpoint_blobs", "checkpoints"):
                    await connection.execute(
                        f"delete from {table} where starts_with(thread_id, %s)",  # noqa: S608 - a fixed name
                        (_threads(session),),
                    )

    def _config(self, scribe: Scribe) -> RunnableConfig:
        run = scribe.run
        return {
            "configurable": {"thread_id": self._thread(run.session)},
            "metadata": {"holdfast_run": run.run_id},
            "run_name": self.name,
            "recursion_limit": RECURSION_LIMIT,
        }

    def _thread(self, session: int) -> str:
        return f"{_threads(session)}{self.name}"

    async def _given(
        self,
        graph: CompiledStateGraph[Any, Any, Any, Any],
        saver: FencedSaver,
        config: RunnableConfig,
        scribe: Scribe,
        tasks: Tasks,
    ) -> Any:
        """Return what to start the graph with: the input, the answers to its questions, or nothing to go on."""
        kept = await saver.aget_tuple(config) if scribe.resumed else None
        if kept is None or kept.metadata.get("holdfast_run") != scribe.run.run_id:
            return self.to_state(scribe.run.input)
        checkpoint_id = kept.checkpoint["id"]
        await scribe.emit(CheckpointRestored(checkpoint_id=checkpoint_id))
        for task_id, wrote in (await saver.writes(config, tasks.unrecorded)).items():
            await tasks.restore(task_id, wrote)
        state = await graph.aget_state(config)
        if not state.interrupts:
            return None
        await wait_for_answers(scribe, state.interrupts)
        return Command(resume=answers(scribe, state.interrupts))


def _threads(session: int) -> str:
    """Return what the names of all of a session's threads begin with."""
    return f"{session}/"


class _Checkpoints:
    """Announces checkpoints that are on disk, once each."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    async def saved(self, checkpoint_id: str, namespace: str) -> None:
        event = CheckpointSaved(checkpoint_id=checkpoint_id, namespace=namespace or None)
        await self._scribe.emit(event, key=f"checkpoint:{namespace}:{checkpoint_id}")


async def _take(chunk: dict[str, Any], tasks: Tasks, transcript: Transcript) -> None:
    data, namespace = chunk["data"], cast("tuple[str, ...]", chunk["ns"])
    match chunk["type"]:
        case "tasks":
            if "input" in data:
                await tasks.started(data, namespace)
            else:
                await tasks.ended(data)
        case "messages":
            message, metadata = cast("tuple[BaseMessage, dict[str, Any]]", data)
            task_id = str(metadata.get("langgraph_checkpoint_ns", "")).rpartition(":")[2]
            await transcript.take(message, tasks.place(task_id))
        case "custom":
            event = data if isinstance(data, Event) else GraphUpdate(value=data)
            await tasks.emit(event, namespace)
        case _:
            pass


def langgraph_workflow(
    name: str,
    graph: Graph,
    *,
    input: Any = None,
    to_state: Callable[[Any], Any] | None = None,
    to_result: Callable[[Any], JsonValue] | None = None,
    version: str | None = None,
    description: str | None = None,
) -> Workflow:
    """Make a graph a workflow.

    `input` is a type that pydantic can validate: what callers are told and checked against. `to_state` turns it into
    the graph's input (by default it is passed as it is), `to_result` turns the final state into the run's result (by
    default the text of the last message). `version` names this version of the graph's code; without it the nodes'
    names and sources are hashed.
    """
    compiled = graph if isinstance(graph, CompiledStateGraph) else graph.compile()
    adapter: TypeAdapter[Any] = TypeAdapter(dict[str, Any] if input is None else input)

    def state_of(given: Any) -> Any:
        value = adapter.validate_python(given)
        return to_state(value) if to_state else value

    executor = LangGraphExecutor(name, compiled, state_of, to_result or _last_text)
    return Workflow(
        name=name,
        version=version or source_version(*_sources(compiled)),
        executor=executor,
        input_schema=adapter.json_schema(),
        description=description,
    )


def _sources(graph: CompiledStateGraph[Any, Any, Any, Any]) -> list[Any]:
    """Return what the graph's behaviour is made of: its nodes' functions."""
    found: list[Any] = []
    for node in graph.builder.nodes.values():
        runnable = node.runnable
        found.append(
            getattr(runnable, "afunc", None) or getattr(runnable, "func", None) or runnable
        )
    return found


def _last_text(state: Any) -> JsonValue:
    messages = cast("dict[str, Any]", state).get("messages") if isinstance(state, dict) else None
    return text_of(messages[-1]) if messages else None


__all__ = ["GraphUpdate", "LangGraphExecutor", "langgraph_workflow"]
