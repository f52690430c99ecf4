"""Runs anything that yields AG-UI events: one ingest for every framework that has an AG-UI adapter.

    from pydantic_ai.ui.ag_ui import AGUIAdapter

    poet = agui_workflow("poet", lambda run: AGUIAdapter(agent, run_input=run).run_stream())

A call of the source is a turn, and a turn is a step: recorded whole, or announced by `step.restarted` and asked for
again with the same input. Between turns the agent waits for people without a worker.
"""

import json
import time
from collections.abc import AsyncIterable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Any, ClassVar, cast

from ag_ui.core import PROTOCOL_VERSION, RunAgentInput
from pydantic import JsonValue, TypeAdapter

from holdfast.events.catalog import StepCompleted, StepFailed, StepRestarted, StepStarted
from holdfast.events.errors import StoreUnavailable
from holdfast.events.recorded import Context
from holdfast.orchestrator.advice import raised_in
from holdfast.orchestrator.context_core import ms_since
from holdfast.orchestrator.executors.abilities import Abilities
from holdfast.orchestrator.executors.agui_memory import Memory
from holdfast.orchestrator.executors.agui_order import Order, read_event
from holdfast.orchestrator.executors.agui_story import AgentError, Story
from holdfast.orchestrator.executors.agui_talk import Talk
from holdfast.orchestrator.executors.agui_waits import (
    EXPIRED,
    Question,
    answers,
    questions_of,
    resume_entries,
)
from holdfast.orchestrator.problems import error_info
from holdfast.orchestrator.scribe import Missing, Scribe
from holdfast.orchestrator.session_log import Fenced
from holdfast.orchestrator.workflow import Workflow, source_version

Source = Callable[[RunAgentInput], AsyncIterable[Any]]
"""Called once a turn; yields events as the protocol's models, dicts, JSON texts or SSE frames."""

ToInput = Callable[[Any], Any]
"""Makes of the run's input a text for one user message, or fields of RunAgentInput."""

_NOT_OURS = (Fenced, StoreUnavailable)


@dataclass(frozen=True, slots=True)
class AguiExecutor:
    """Streams an agent's turns into the log."""

    abilities: ClassVar[Abilities] = Abilities(resumes="turn")

    name: str
    source: Source
    to_input: ToInput
    agent: str | None = None

    async def execute(self, scribe: Scribe) -> JsonValue:
        """Take turn after turn until the agent is done; return its result, or else its last words."""
        fields = _fields(self.to_input(scribe.run.input), scribe.run.run_id)
        memory = Memory(messages=fields.pop("messages"), state=fields.pop("state", None))
        given: list[tuple[Question, Any]] = []
        for n in count(1):
            turn = f"turn#{n}"
            kept = scribe.result(turn)
            if isinstance(kept, Missing):
                request = RunAgentInput(
                    thread_id=f"{scribe.session}/{self.name}",
                    run_id=_turn_id(scribe.run.run_id, n),
                    protocol_version=PROTOCOL_VERSION,
                    messages=memory.history(),
                    state=memory.state,
                    resume=resume_entries(given),
                    **fields,
                )
                kept = await self._take_turn(scribe, turn, request, memory)
            done = cast("dict[str, Any]", kept)
            memory = Memory.load(done["memory"])
            if not done["questions"]:
                return done["result"] if done["result"] is not None else memory.answer()
            at = scribe.where(step=turn, agent=self.agent)
            given = await answers(scribe, turn, at, done["questions"])
            await self._return_results(scribe, turn, at, memory, given)
        raise AssertionError("unreachable")

    async def _take_turn(
        self, scribe: Scribe, turn: str, request: RunAgentInput, memory: Memory
    ) -> JsonValue:
        at = scribe.where(step=turn, agent=self.agent)
        began = time.monotonic()
        redone = not await scribe.emit(StepStarted(name="turn"), at, key=f"{turn}/started")
        if redone:
            await scribe.emit(StepRestarted(name="turn"), at)
            await scribe.emit(StepStarted(name="turn"), at)
        # The agent is asked only when it is on disk that it is.
        await scribe.durable()
        known = frozenset(message["id"] for message in memory.messages)
        story = Story(scribe, turn, at, memory, known=known, redone=redone)
        order = Order()
        try:
            await self._follow(request, story, order)
        except Exception as error:
            if not isinstance(error, _NOT_OURS):
                raised_in(error, "turn")
                failed = StepFailed(
                    name="turn", error=error_info(error), duration_ms=ms_since(began)
                )
                await scribe.emit(failed, at)
            raise
        finished = story.finished
        assert finished is not None, "the order has been checked to its end"
        result: dict[str, Any] = {
            "memory": memory.dump(),
            "questions": questions_of(finished, memory),
            "result": finished.result,
        }
        done = StepCompleted(name="turn", duration_ms=ms_since(began))
        kept = scribe.remember(turn, result)
        await scribe.emit(done, at, key=f"{turn}/completed", effects=[kept])
        return cast("JsonValue", scribe.result(turn))

    async def _follow(self, request: RunAgentInput, story: Story, order: Order) -> None:
        events = aiter(self.source(request))
        async with AsyncExitStack() as stack:
            if (close := getattr(events, "aclose", None)) is not None:
                # Cancelled in the middle, the agent's own clean-up runs now, not when memory is collected.
                stack.push_async_callback(close)
            async for item in events:
                if (event := read_event(item)) is None:
                    continue
                for one in order.take(event):
                    await story.take(one)
        order.end()
        outcome = story.finished.outcome if story.finished else None
        if outcome is not None and outcome.type == "cancelled":
            raise AgentError("the agent says that its run was cancelled", "agent-cancelled")

    async def _return_results(
        self,
        scribe: Scribe,
        turn: str,
        at: Context,
        memory: Memory,
        given: list[tuple[Question, Any]],
    ) -> None:
        """Tell the agent, and the readers, what the tools returned that ran on the caller's side."""
        talk = Talk(scribe, turn, memory)
        for question, value in given:
            if (call := question.get("call")) is None:
                continue
            returned = {"error": "nobody answered in time"} if value is EXPIRED else value
            text = returned if isinstance(returned, str) else json.dumps(returned)
            await talk.result(call, f"{call}.result", text, at, key=f"{turn}/returned:{call}")


def agui_workflow(
    name: str,
    source: Source,
    *,
    input: Any = None,
    to_input: ToInput | None = None,
    agent: str | None = None,
    version: str | None = None,
    description: str | None = None,
) -> Workflow:
    """Make an agent that speaks AG-UI a workflow.

    `source(run_input)` is called for every turn and yields the agent's events. `input` is a type that pydantic can
    validate: what callers are told and checked against. `to_input` makes of it the text of one user message, or a
    dict with fields of RunAgentInput (messages, state, tools, context, forwarded_props); by default a text, or the
    value of `query`, `prompt` or `text`, is the message, and anything else is sent as JSON. `agent` names the agent in
    the envelope. `version` names this version of the code; without it the source's own is hashed.
    """
    adapter: TypeAdapter[Any] = TypeAdapter(Any if input is None else input)

    def input_of(given: Any) -> Any:
        value = adapter.validate_python(given)
        return to_input(value) if to_input else _message_of(value)

    return Workflow(
        name=name,
        version=version or source_version(source),
        executor=AguiExecutor(name, source, input_of, agent),
        input_schema=None if input is None else adapter.json_schema(),
        description=description,
    )


def _turn_id(run_id: str, n: int) -> str:
    return run_id if n == 1 else f"{run_id}.{n}"


def turn_before(turn_id: str) -> str | None:
    """Return the `run_id` of the turn before this one; None for a run's first."""
    run_id, dot, n = turn_id.rpartition(".")
    return _turn_id(run_id, int(n) - 1) if dot else None


def _message_of(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    plain = dump(mode="json") if dump else value
    if isinstance(plain, dict):
        known = cast("dict[str, Any]", plain)
        if "messages" in known:
            return known
        for field in ("query", "prompt", "text"):
            if isinstance(known.get(field), str):
                return known[field]
    return plain if isinstance(plain, str) else json.dumps(plain)


def _fields(given: Any, run_id: str) -> dict[str, Any]:
    """Return the fields of the first turn's input, its messages as JSON."""
    if isinstance(given, str):
        given = {"messages": [{"id": f"{run_id}.user", "role": "user", "content": given}]}
    fields = {"tools": [], "context": [], "forwarded_props": {}, **given}
    fields["messages"] = [
        message.model_dump(mode="json", by_alias=True, exclude_none=True)
        if hasattr(message, "model_dump")
        else {"id": f"{run_id}.user.{n}", **message}
        for n, message in enumerate(fields["messages"], 1)
    ]
    return fields


__all__ = ["AguiExecutor", "Source", "agui_workflow", "turn_before"]
