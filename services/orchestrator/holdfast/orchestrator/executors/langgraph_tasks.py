"""A graph's tasks as steps: started, failed, and completed only when what they wrote is on disk."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from langchain_core.messages import BaseMessage

from holdfast.events.catalog import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    ErrorInfo,
    Event,
    StageChanged,
    StepCompleted,
    StepFailed,
    StepRestarted,
    StepRetrying,
    StepStarted,
)
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.langgraph_saver import UNFINISHED
from holdfast.orchestrator.executors.langgraph_talk import Transcript
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe


@dataclass(slots=True)
class _Task:
    """A task of this attempt."""

    name: str
    at: Context
    agent: str | None
    began: float = field(default_factory=time.monotonic)
    ended: bool = False  # its result has come out of the stream
    saved: bool = False  # its writes are on disk
    recorded: bool = False


class Tasks:
    """The steps of one attempt at a graph."""

    def __init__(self, scribe: Scribe, transcript: Transcript) -> None:
        self._scribe, self._transcript = scribe, transcript
        self._tasks: dict[str, _Task] = {}
        self._saved_early: set[str] = set()
        self._stage = self._known_stage()

    def place(self, task_id: str) -> Context:
        """Return the context of a task's events; the run's own for an unknown task."""
        task = self._tasks.get(task_id)
        return task.at if task else self._scribe.context

    async def started(self, data: dict[str, Any], namespace: tuple[str, ...]) -> None:
        """Record that a task begins, or begins anew after an attempt that didn't finish it."""
        task_id, name = str(data["id"]), str(data["name"])
        metadata: dict[str, Any] = data.get("metadata") or {}
        agent = metadata.get("agent")
        if self._scribe.recorded(f"{_key(task_id)}/completed"):
            # LangGraph announces again what it only reads back: nothing of it may be withdrawn.
            return
        lane = await self._lane(namespace)
        key = _key(task_id)
        at = self._scribe.where(step=key, agent=agent or name, lane=lane)
        task = self._tasks[task_id] = _Task(name, at, agent, saved=task_id in self._saved_early)
        # What is told anew about a task that begins anew has no key: a key that is new in each attempt would pass for
        # progress, and a run that kills its workers would never be given up.
        if self._scribe.recorded(f"{key}/started"):
            await self._scribe.emit(StepRestarted(name=name), at)
            self._transcript.redo(key)
            turn = None
        else:
            if stage := metadata.get("stage"):
                await self._enter(str(stage), at)
            # Kept for an attempt that finds the task saved but not recorded.
            kept = self._scribe.remember(
                f"{key}/place", {"name": name, "agent": agent, "lane": lane}
            )
            await self._scribe.emit(
                StepStarted(name=name), at, key=f"{key}/started", effects=[kept]
            )
            turn = f"{key}/agent"
        if task.agent:
            await self._scribe.emit(AgentStarted(name=task.agent), at, key=turn)
        # LangGraph has begun the node when it tells of it, so unlike a plain step's function a node may run for a
        # moment before its start is on disk. Waiting here keeps the graph from getting further ahead than that.
        await self._scribe.durable()

    async def ended(self, data: dict[str, Any]) -> None:
        """Take a task's result from the stream."""
        task = self._tasks.get(str(data["id"]))
        if task is None:
            return
        if error := data.get("error"):
            await self._fail(task, str(error))
        elif not data.get("interrupts"):
            task.ended = True
            await self._complete(task)

    async def retrying(
        self, task_id: str, error: BaseException, next_try: int, waited_ms: int
    ) -> None:
        """Record that a task failed and is tried again; what the failed try showed is dropped."""
        if (task := self._tasks.get(task_id)) is None:
            return
        # Its last pieces have been taken from the stream by now: LangGraph pauses before it tries again.
        self._transcript.drop_task(task.at.step or "")
        info = error_info(error)
        event = StepRetrying(name=task.name, error=info, delay_ms=waited_ms, next_try=next_try)
        await self._scribe.emit(event, task.at)
        await self._scribe.emit(StepStarted(name=task.name), task.at)

    async def saved(self, task_id: str) -> None:
        """Take note that a task's writes are on disk."""
        task = self._tasks.get(task_id)
        if task is None:
            self._saved_early.add(task_id)
        else:
            task.saved = True
            await self._complete(task)

    @property
    def unrecorded(self) -> list[str]:
        """The tasks that an earlier attempt began and did not record as completed, in the order of the log."""
        begun = [
            key.removeprefix("task:").partition("/")[0]
            for key in self._scribe.keys("task:")
            if key.endswith("/started")
        ]
        return [task for task in begun if not self._scribe.recorded(f"{_key(task)}/completed")]

    def depth(self, task_id: str) -> int:
        """Return how many subgraphs deep a task of an earlier attempt was."""
        place = self._scribe.result(f"{_key(task_id)}/place")
        lane = place.get("lane") if isinstance(place, dict) else None
        return str(lane).count("/") + 1 if lane else 0

    async def restore(self, task_id: str, wrote: Sequence[tuple[str, Any]]) -> None:
        """Record, before the graph goes on, a task that an earlier attempt had saved but not recorded."""
        if all(channel in UNFINISHED for channel, _ in wrote):
            return
        key, scribe = _key(task_id), self._scribe
        place = scribe.result(f"{key}/place")
        kept = cast("dict[str, Any]", {"name": task_id} if isinstance(place, Missing) else place)
        name, agent = str(kept["name"]), cast("str | None", kept.get("agent"))
        at = scribe.where(step=key, agent=agent or name, lane=kept.get("lane"))
        for message in _messages(wrote):
            await self._transcript.restore(message, at)
        await self._record_completed(name, agent, at, duration_ms=0)

    async def emit(self, event: Event, namespace: tuple[str, ...]) -> None:
        """Record what a node sent through LangGraph's stream writer."""
        running = [task for task in self._tasks.values() if not task.recorded]
        # The custom mode doesn't say which task wrote: with one running it is that one.
        at = running[0].at if len(running) == 1 else self._scribe.context
        await self._scribe.emit(event, at)

    async def _complete(self, task: _Task) -> None:
        if not (task.ended and task.saved) or task.recorded:
            return
        task.recorded = True
        await self._transcript.end_task(task.at.step or "")
        await self._record_completed(
            task.name, task.agent, task.at, duration_ms=ms_since(task.began)
        )

    async def _record_completed(
        self, name: str, agent: str | None, at: Context, *, duration_ms: int
    ) -> None:
        key, scribe = at.step or "", self._scribe
        if agent:
            turn = AgentCompleted(name=agent, duration_ms=duration_ms)
            await scribe.emit(turn, at, key=f"{key}/agent-completed")
        done = StepCompleted(name=name, duration_ms=duration_ms)
        # A step that is newly recorded shows that the run gets on: its result clears the strikes.
        kept = scribe.remember(f"{key}/completed", True)
        await scribe.emit(done, at, key=f"{key}/completed", effects=[kept])

    async def _fail(self, task: _Task, error: str) -> None:
        task.recorded = True
        key = task.at.step or ""
        self._transcript.drop_task(key)
        info = ErrorInfo(code="node-failed", message=f"{task.name}: {error}"[:500])
        if task.agent:
            turn = AgentFailed(name=task.agent, error=info, duration_ms=ms_since(task.began))
            await self._scribe.emit(turn, task.at)
        failed = StepFailed(name=task.name, error=info, duration_ms=ms_since(task.began))
        await self._scribe.emit(failed, task.at)

    async def _enter(self, stage: str, at: Context) -> None:
        if self._stage[-1:] == [stage]:
            return
        n = len(self._stage) + 1
        event = StageChanged(from_=self._stage[-1] if self._stage else None, to=stage)
        self._stage.append(stage)
        effect = self._scribe.remember(f"stage#{n}", stage)
        await self._scribe.emit(event, at, key=f"stage#{n}", effects=[effect])

    async def _lane(self, namespace: tuple[str, ...]) -> str | None:
        """Return the lane of a subgraph: its node's name, numbered where the same one runs more than once."""
        lane = ""
        for part in namespace:
            path = f"{lane}/{part.partition(':')[0]}".removeprefix("/")
            for n in count(1):
                # Kept, so that an attempt that meets them in another order calls them the same.
                key = f"lane:{path}#{n}"
                if isinstance(known := self._scribe.result(key), Missing):
                    await self._scribe.keep(key, part)
                    known = part
                if known == part:
                    lane = path if n == 1 else f"{path}#{n}"
                    break
        return lane or None

    def _known_stage(self) -> list[str]:
        """Return the stages that earlier attempts went through."""
        stages: list[str] = []
        while not isinstance(kept := self._scribe.result(f"stage#{len(stages) + 1}"), Missing):
            stages.append(str(kept))
        return stages


def _key(task_id: str) -> str:
    return f"task:{task_id}"


def _messages(wrote: Sequence[tuple[str, Any]]) -> list[BaseMessage]:
    """Return the messages among a task's writes, in order."""
    found: list[BaseMessage] = []
    for _, value in wrote:
        items = cast("list[Any]", value) if isinstance(value, list) else [value]
        found.extend(item for item in items if isinstance(item, BaseMessage))
    return found
