"""AG-UI's interrupts, and tools that the caller's side is to run, as requests for input."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from ag_ui.core import ResumeEntry, RunFinishedEvent
from pydantic import BaseModel

from holdfast.events.catalog import InputExpired, InputRequested
from holdfast.events.recorded import Context, Emission
from holdfast.events.store import RunChange, RunStatus
from holdfast.orchestrator.executors.agui_memory import Memory
from holdfast.orchestrator.inputs import answer_key, expired_key, waiting_for
from holdfast.orchestrator.scribe import Missing, Scribe

Question = dict[str, Any]
"""One thing that a turn ended with: `interrupt` or `call` (their id), prompt, schema, deadline. Plain JSON."""


def questions_of(event: RunFinishedEvent, memory: Memory) -> list[Question]:
    """Return what the agent asks of people, in its order; none when it is done."""
    outcome = event.outcome
    if outcome is None or outcome.type == "cancelled":
        return []
    if outcome.type == "interrupt":
        return [
            {
                "interrupt": one.id,
                "prompt": one.message or one.reason,
                "schema": one.response_schema,
                "deadline": one.expires_at,
            }
            for one in outcome.interrupts
        ]
    return [
        {"call": call, "prompt": _result_of(call, memory), "schema": None, "deadline": None}
        for call in outcome.pending_tool_call_ids or ()
    ]


def _result_of(call: str, memory: Memory) -> str:
    tool = memory.tools.get(memory.names.get(f"tool:{call}", ""), "tool")
    return f"The result of {tool}?"


async def answers(
    scribe: Scribe, turn: str, at: Context, questions: Sequence[Question]
) -> list[tuple[Question, Any]]:
    """Return every question with its answer, EXPIRED where nobody gave one in time. May raise Waiting."""
    found: list[tuple[Question, Any]] = []
    asked: list[Emission] = []
    waiting: dict[str, Any] = {}
    soonest = math.inf
    for n, question in enumerate(questions, 1):
        input_id = f"{scribe.run.run_id}.{turn}.input.{n}"
        value = scribe.result(answer_key(input_id))
        if not isinstance(value, Missing):
            found.append((question, value))
            continue
        deadline = _deadline(question)
        left = math.inf if deadline is None else (deadline - scribe.now()).total_seconds()
        if left <= 0 or scribe.recorded(expired_key(input_id)):
            change = RunChange(run_id=scribe.run.run_id, status=RunStatus.RUNNING, waiting={})
            event = InputExpired(input_id=input_id, duration_ms=0)
            await scribe.emit(event, at, key=expired_key(input_id), effects=[change])
            found.append((question, EXPIRED))
            continue
        soonest = min(soonest, left)
        if not scribe.recorded(f"{turn}/input#{n}"):
            event = InputRequested(
                input_id=input_id,
                prompt=question["prompt"],
                value_schema=question["schema"],
                deadline=deadline,
            )
            asked.append(Emission(event, at, f"{turn}/input#{n}"))
        waiting[input_id] = waiting_for(
            question["prompt"],
            value_schema=question["schema"],
            deadline=deadline.isoformat() if deadline else None,
            asked_ms=int(scribe.now().timestamp() * 1000),
        )
    if waiting:
        await scribe.wait(asked, waiting, due_in_s=soonest)
    return found


class Expired(BaseModel):
    """What stands for an answer that nobody gave in time."""


EXPIRED = Expired()


def resume_entries(given: Sequence[tuple[Question, Any]]) -> list[ResumeEntry] | None:
    """Return the answers as the next turn's input carries them."""
    entries = [
        ResumeEntry(interrupt_id=question["interrupt"], status="cancelled")
        if value is EXPIRED
        else ResumeEntry(interrupt_id=question["interrupt"], status="resolved", payload=value)
        for question, value in given
        if "interrupt" in question
    ]
    return entries or None


def _deadline(question: Question) -> datetime | None:
    text = question["deadline"]
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None  # a deadline that nobody can read is none
    return found if found.tzinfo else found.replace(tzinfo=UTC)
