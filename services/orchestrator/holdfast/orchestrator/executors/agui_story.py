"""One turn of an AG-UI agent: every event of its source becomes one of ours, where there is one.

What an agent calls a step is a step inside the turn's; a sub-agent is an agent in a lane of its own, as several may
work at once.
"""

import time
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from ag_ui.core import (
    ActivityDeltaEvent,
    ActivitySnapshotEvent,
    BaseEvent,
    MessagesSnapshotEvent,
    RawEvent,
    RunErrorEvent,
    RunFinishedEvent,
    StateDeltaEvent,
    StateSnapshotEvent,
    StepFinishedEvent,
    StepStartedEvent,
    SubagentErrorEvent,
    SubagentFinishedEvent,
    SubagentStartedEvent,
)
from ag_ui.core import CustomEvent as TheirCustomEvent
from pydantic import BaseModel, JsonValue

from holdfast.events.catalog import (
    AgentCompleted,
    AgentFailed,
    AgentStarted,
    ComponentRendered,
    CustomEvent,
    ErrorInfo,
    LlmCompleted,
    StateSnapshot,
    StateUpdated,
    StepCompleted,
    StepStarted,
    Usage,
    register_custom,
)
from holdfast.events.errors import HoldfastError
from holdfast.events.recorded import Context
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.agui_memory import Memory, changes, patched
from holdfast.orchestrator.executors.agui_order import Unknown
from holdfast.orchestrator.executors.agui_talk import Talk
from holdfast.orchestrator.scribe import Scribe

# What an error event's words may weigh in ours: a sentence and a request id.
ERROR_CHARS_MAX = 500


@register_custom
class AguiCustom(CustomEvent):
    """A CUSTOM event of an AG-UI agent, or one of a type that has no counterpart here."""

    type: Literal["custom.agui"] = "custom.agui"
    name: str
    value: JsonValue = None


class AgentError(HoldfastError):
    """An agent said that its run failed; `code` is its own word for why."""

    advice = "the agent said so: look there"

    def __init__(self, message: str, code: str | None) -> None:
        super().__init__(message[:ERROR_CHARS_MAX] or "the agent failed without a word")
        self.code = code or "agent-error"


@dataclass(slots=True)
class _Place:
    """Something with a beginning: a sub-agent's turn, or a step of the agent's own."""

    at: Context
    name: str
    began: float = field(default_factory=time.monotonic)


class Story:
    """Records one turn."""

    def __init__(
        self,
        scribe: Scribe,
        turn: str,
        at: Context,
        memory: Memory,
        *,
        known: frozenset[str],
        redone: bool,
    ) -> None:
        """`known` are the ids of the messages that the agent was given: a snapshot repeats them.

        `redone`: an attempt before this one died in the turn, and the agent may remember what that was told.
        """
        self._scribe, self._turn, self._at, self._memory = scribe, turn, at, memory
        self._known, self._redone = known, redone
        self._snapshot: MessagesSnapshotEvent | None = None
        self._talk = Talk(scribe, turn, memory)
        self._agents: dict[str, _Place] = {}
        self._steps: dict[tuple[str | None, str], _Place] = {}
        self._counts: Counter[str] = Counter()
        self._began = time.monotonic()
        self.finished: RunFinishedEvent | None = None

    async def take(self, event: BaseEvent) -> None:
        """Record an event. Raises AgentError when it says that the run failed, and AgentStreamBroken."""
        if isinstance(event, SubagentStartedEvent | SubagentFinishedEvent | SubagentErrorEvent):
            await self._agent(event)
            return
        at = self._place(getattr(event, "subagent_run_id", None))
        if await self._talk.take(event, at):
            return
        match event:
            case RunFinishedEvent():
                await self._finish(event)
            case RunErrorEvent():
                raise AgentError(event.message, event.code)
            case StepStartedEvent() | StepFinishedEvent():
                await self._step(event, at)
            case StateSnapshotEvent():
                await self._state(_plain(event.snapshot), at)
            case StateDeltaEvent():
                await self._state(patched(self._memory.state, event.delta, "STATE_DELTA"), at)
            case MessagesSnapshotEvent():
                await self._take_snapshot(event)
            case ActivitySnapshotEvent() | ActivityDeltaEvent():
                await self._activity(event, at)
            case TheirCustomEvent():
                custom = AguiCustom(name=event.name, value=_plain(event.value))
                await self._scribe.emit(custom, at)
            case Unknown():
                custom = AguiCustom(name=event.type, value=cast("JsonValue", event.fields))
                await self._scribe.emit(custom, at)
            case RawEvent():
                pass  # the framework's own event once more, and most of what some adapters send
            case _:
                pass  # RUN_STARTED, the frame around thoughts, and values only the agent can read

    def _place(self, agent: str | None) -> Context:
        return self._at if agent is None else self._agents[agent].at

    async def _step(self, event: StepStartedEvent | StepFinishedEvent, at: Context) -> None:
        thing = (event.subagent_run_id, event.step_name)
        if isinstance(event, StepStartedEvent):
            key = self._numbered(f"{self._turn}/{event.step_name}", at.lane)
            step = self._steps[thing] = _Place(replace(at, step=key), event.step_name)
            await self._scribe.emit(StepStarted(name=step.name), step.at)
        else:
            step = self._steps.pop(thing)
            done = StepCompleted(name=step.name, duration_ms=ms_since(step.began))
            await self._scribe.emit(done, step.at)

    async def _agent(
        self, event: SubagentStartedEvent | SubagentFinishedEvent | SubagentErrorEvent
    ) -> None:
        if isinstance(event, SubagentStartedEvent):
            outer = self._place(event.parent_subagent_run_id)
            self._counts[f"agent:{outer.lane}:{event.name}"] += 1
            nth = self._counts[f"agent:{outer.lane}:{event.name}"]
            own = event.name if nth == 1 else f"{event.name}#{nth}"
            lane = f"{outer.lane}/{own}" if outer.lane else own
            metadata: dict[str, JsonValue] = {"agui_id": event.subagent_run_id}
            at = replace(outer, agent=event.name, lane=lane, metadata=metadata)
            place = self._agents[event.subagent_run_id] = _Place(at, event.name)
            await self._scribe.emit(AgentStarted(name=place.name, role=event.description), at)
            return
        place = self._agents[event.subagent_run_id]
        took = ms_since(place.began)
        if isinstance(event, SubagentErrorEvent):
            error = ErrorInfo(
                code=event.code or "agent-error", message=event.message[:ERROR_CHARS_MAX]
            )
            failed = AgentFailed(name=place.name, error=error, duration_ms=took)
            await self._scribe.emit(failed, place.at)
        elif event.outcome is None or event.outcome.type == "success":
            result = _plain(event.result)
            done = AgentCompleted(name=place.name, duration_ms=took, result=result)
            await self._scribe.emit(done, place.at)
        # Suspended, it waits for a person together with the run; the next turn tells how it went on.

    async def _state(self, state: Any, at: Context) -> None:
        before, self._memory.state = _shown(self._memory.state), state
        whole = _shown(state)
        # Some adapters repeat the whole state after every event.
        if whole == before:
            return
        differ = changes(before, whole)
        if differ is None:
            await self._scribe.emit(StateSnapshot(state=whole), at)
        else:
            await self._scribe.emit(StateUpdated(changes=differ), at)

    async def _take_snapshot(self, event: MessagesSnapshotEvent) -> None:
        """Take the agent's messages over; those that were not streamed are told now."""
        self._snapshot = event
        messages = [_plain(message) for message in event.messages]
        # A sub-agent's own talk is its own: the agent is not told of it again.
        self._memory.messages = [m for m in messages if m.get("subagentRunId") is None]
        if not self._redone:
            await self._tell_untold(event)

    async def _tell_untold(self, event: MessagesSnapshotEvent) -> None:
        kept = self._memory.messages
        messages = [_plain(message) for message in event.messages]
        for message in messages:
            content, theirs = message.get("content"), str(message["id"])
            lane = message.get("subagentRunId")
            if theirs in self._known or (lane is not None and lane not in self._agents):
                continue
            at = self._place(lane)
            if message["role"] == "assistant":
                if isinstance(content, str) and content:
                    await self._talk.whole(theirs, "assistant", content, at)
                for call in message.get("toolCalls") or ():
                    await self._talk.whole_call(call, theirs, at)
            elif message["role"] == "tool":
                await self._talk.whole_result(message["toolCallId"], theirs, content, at)
        self._memory.messages = kept

    async def _activity(
        self, event: ActivitySnapshotEvent | ActivityDeltaEvent, at: Context
    ) -> None:
        theirs, known = event.message_id, self._memory.activities.get(event.message_id)
        if isinstance(event, ActivityDeltaEvent):
            content = patched(known["content"] if known else {}, event.patch, "ACTIVITY_DELTA")
        elif known is not None and event.replace is False:
            return
        else:
            content = _plain(event.content)
        self._memory.activities[theirs] = {"type": event.activity_type, "content": content}
        shown = ComponentRendered(
            component_id=self._talk.own_id("activity", theirs, at),
            component_type=event.activity_type,
            content=content,
        )
        await self._scribe.emit(shown, at)

    async def _finish(self, event: RunFinishedEvent) -> None:
        self.finished = event
        if self._redone and self._snapshot is not None:
            # Earlier snapshots may still have had what the agent said to the attempt that died; the last is its own.
            await self._tell_untold(self._snapshot)
        for n, usage in enumerate(event.usage or (), 1):
            done = LlmCompleted(
                call_id=f"{self._scribe.run.run_id}.{self._turn}.llm.{n}",
                duration_ms=ms_since(self._began),
                model=usage.model,
                usage=Usage(
                    input_tokens=usage.input_tokens,
                    output_tokens=usage.output_tokens,
                    total_tokens=usage.total_tokens,
                ),
            )
            await self._scribe.emit(done, self._at)

    def _numbered(self, name: str, lane: str | None) -> str:
        place = f"{name}@{lane}" if lane else name
        self._counts[place] += 1
        return f"{place}#{self._counts[place]}"


def _shown(state: Any) -> dict[str, JsonValue]:
    """Return the part of a state that is shown: LangGraph's adapter repeats every message in each of its snapshots."""
    if state is None:
        return {}
    if not isinstance(state, dict):
        return {"value": state}
    known = cast("dict[str, JsonValue]", state)
    return {key: value for key, value in known.items() if key != "messages"}


def _plain(value: Any) -> Any:
    """Return JSON for what may be a model of the protocol, inside of which all is JSON."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True, exclude_none=True)
    return value
