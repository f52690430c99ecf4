"""Runs LangGraph graphs unchanged: their native stream becomes events the moment a chunk arrives.

Every node's task is a step; nodes may say more about themselves in their metadata:

    graph.add_node("architect", architect, metadata={"agent": "Architect", "stage": "design"})

`agent` makes the task an agent's turn, `stage` announces the stage of the work when it changes. A task's step is
called completed only when its writes are on disk, and a takeover goes on from the last checkpoint.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphDrained
from langgraph.graph import StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel
from langgraph.runtime import RunControl
from langgraph.types import Command
from pydantic import JsonValue, TypeAdapter

from holdfast.events.catalog import (
    CheckpointRestored,
    CheckpointSaved,
    CustomEvent,
    Event,
    register_custom,
)
from holdfast.orchestrator.executors.abilities import Abilities
from holdfast.orchestrator.executors.langgraph_brake import Brake
from holdfast.orchestrator.executors.langgraph_retries import Retries
from holdfast.orchestrator.executors.langgraph_saver import (
    FencedSaver,
    Pool,
    checkpoint_pool,
)
from holdfast.orchestrator.executors.langgraph_talk import Transcript
from holdfast.orchestrator.executors.langgraph_tap import Chunk, Tap
from holdfast.orchestrator.executors.langgraph_tasks import Tasks
from holdfast.orchestrator.executors.langgraph_waits import answers, wait_for_answers
from holdfast.orchestrator.executors.langgraph_words import text_of
from holdfast.orchestrator.scribe import Scribe
from holdfast.orchestrator.workflow import Resources, Workflow, source_version

Runnable = Pregel[Any, Any, Any, Any]
Graph = StateGraph[Any, Any, Any, Any] | Runnable
"""A graph, compiled or not, or an `@entrypoint` of the functional API."""

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

    abilities: ClassVar[Abilities] = Abilities(resumes="node")

    name: str
    graph: Runnable
    to_state: Callable[[Any], Any]
    to_result: Callable[[Any], JsonValue]
    _pool: Pool | None = None
    _controls: dict[Scribe, RunControl] = field(default_factory=dict[Scribe, RunControl])

    async def open(self, resources: Resources) -> None:
        """Connect to the checkpoints; one pool serves every graph of the process."""
        self._pool = await resources.shared(
            "langgraph.checkpoints", lambda: checkpoint_pool(resources.database_url)
        )

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Run the graph from its beginning, or from its last checkpoint; return what `to_result` makes of its state."""
        assert self._pool is not None, "opened before it executes"
        transcript, tap = Transcript(scribe), Tap()
        tasks = Tasks(scribe, transcript)
        saver = FencedSaver(
            self._pool,
            session=scribe.session,
            epoch=scribe.epoch,
            over=lambda: scribe.over or tap.over,
            on_writes=tasks.saved,
            on_checkpoint=_Checkpoints(scribe).saved,
        )
        graph = self.graph.copy(update={"checkpointer": saver})
        config = self._config(scribe)
        given = await self._given(graph, saver, config, scribe, tasks)
        # The brake is the last to be told: what it waits for includes what a task's end says.
        heard = tap.config(config, Retries(tasks.retrying), Brake(tap, scribe.durable))
        self._controls[scribe] = control = RunControl()
        try:
            await tap.follow(
                _exhaust(
                    graph.astream(
                        given,
                        heard,
                        stream_mode=[],
                        version="v2",
                        durability="sync",
                        control=control,
                    )
                ),
                lambda chunk: _take(chunk, saver, tasks, transcript),
            )
        except GraphDrained as drained:
            # All that was begun is saved, and whoever goes on has nothing to do over.
            raise asyncio.CancelledError(str(drained)) from drained
        finally:
            del self._controls[scribe]
        state = await graph.aget_state(config)
        await wait_for_answers(scribe, state.interrupts)
        return self.to_result(state.values)

    def drain(self, scribe: Scribe) -> bool:
        """Stop when the nodes that run now are done; return False when none runs."""
        control = self._controls.get(scribe)
        if control is not None:
            control.request_drain()
        return control is not None

    def _config(self, scribe: Scribe) -> RunnableConfig:
        run = scribe.run
        return {
            "configurable": {"thread_id": self._thread(run.session)},
            "metadata": {"holdfast_run": run.run_id},
            "run_name": self.name,
            "recursion_limit": RECURSION_LIMIT,
        }

    def _thread(self, session: int) -> str:
        # Its name is how an erasure finds it, see holdfast.events.erasure_postgres.
        return f"{session}/{self.name}"

    async def _given(
        self,
        graph: Runnable,
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
        saved = await saver.writes(config, tasks.unrecorded)
        # Inner ones first: what a subgraph said is its own, although the node that called it wrote it as well.
        for task_id in sorted(saved, key=tasks.depth, reverse=True):
            await tasks.restore(task_id, saved[task_id])
        state = await graph.aget_state(config)
        if not state.interrupts:
            return None
        await wait_for_answers(scribe, state.interrupts)
        return Command(resume=answers(scribe, state.interrupts))


class _Checkpoints:
    """Announces checkpoints that are on disk, once each."""

    def __init__(self, scribe: Scribe) -> None:
        self._scribe = scribe

    async def saved(self, checkpoint_id: str, namespace: str) -> None:
        event = CheckpointSaved(checkpoint_id=checkpoint_id, namespace=namespace or None)
        await self._scribe.emit(event, key=f"checkpoint:{namespace}:{checkpoint_id}")


async def _exhaust(stream: AsyncIterator[Any]) -> None:
    async for _ in stream:
        pass  # nothing is asked for: what it says comes over the tap


async def _take(chunk: Chunk, saver: FencedSaver, tasks: Tasks, transcript: Transcript) -> None:
    namespace, mode, data = chunk
    match mode:
        case "tasks":
            if "input" in data:
                # Its id is made from the checkpoint that it begins at. Were that lost, another attempt would give it
                # another one, and the start that is recorded would be of a task that nobody ends.
                await saver.settled("|".join(namespace))
                await tasks.started(data, namespace)
            else:
                await tasks.ended(data)
        case "messages":
            message, metadata = cast("tuple[BaseMessage, dict[str, Any]]", data)
            if await transcript.goes_on(message):
                return
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
    default the text of the last message, or what an entrypoint returned). `version` names this version of the graph's
    code; without it the nodes' names and sources are hashed.
    """
    compiled = graph if isinstance(graph, Pregel) else graph.compile()
    adapter: TypeAdapter[Any] = TypeAdapter(dict[str, Any] if input is None else input)

    def state_of(given: Any) -> Any:
        value = adapter.validate_python(given)
        return to_state(value) if to_state else value

    default = _last_text if isinstance(compiled, CompiledStateGraph) else _returned
    executor = LangGraphExecutor(name, compiled, state_of, to_result or default)
    return Workflow(
        name=name,
        version=version or source_version(*_sources(compiled)),
        executor=executor,
        input_schema=adapter.json_schema(),
        description=description,
    )


def _sources(graph: Runnable) -> list[Any]:
    """Return what the graph's behaviour is made of: its nodes' functions."""
    if isinstance(graph, CompiledStateGraph):
        runnables = [node.runnable for node in graph.builder.nodes.values()]
    else:
        runnables = [node.bound for node in graph.nodes.values()]
    return [getattr(one, "afunc", None) or getattr(one, "func", None) or one for one in runnables]


def _last_text(state: Any) -> JsonValue:
    messages = cast("dict[str, Any]", state).get("messages") if isinstance(state, dict) else None
    return text_of(messages[-1]) if messages else None


def _returned(value: Any) -> JsonValue:
    """Return what an entrypoint returned."""
    return text_of(value) if isinstance(value, BaseMessage) else value


__all__ = ["GraphUpdate", "LangGraphExecutor", "langgraph_workflow"]
