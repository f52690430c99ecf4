"""LangGraph's interrupts as requests for input: asked once, waited for without a worker, answered together."""

import math
from collections.abc import Sequence
from typing import Any, cast

from langgraph.types import Interrupt
from pydantic import JsonValue

from holdfast.events.catalog import InputRequested
from holdfast.events.recorded import Emission
from holdfast.orchestrator.inputs import answer_key, waiting_for
from holdfast.orchestrator.scribe import Missing, Scribe


async def wait_for_answers(scribe: Scribe, interrupts: Sequence[Interrupt]) -> None:
    """Give the worker back until every interrupt has its answer; returns when all have. May raise Waiting."""
    open_ones = [i for i in interrupts if isinstance(scribe.result(_answer(scribe, i)), Missing)]
    if not open_ones:
        return
    asked: list[Emission] = []
    waiting: dict[str, Any] = {}
    for interrupt in open_ones:
        input_id, prompt = input_id_of(scribe, interrupt), _prompt(interrupt.value)
        schema = cast("dict[str, JsonValue] | None", getattr(interrupt, "response_schema", None))
        key = f"input:{interrupt.id}/requested"
        if not scribe.recorded(key):
            event = InputRequested(input_id=input_id, prompt=prompt, value_schema=schema)
            asked.append(Emission(event, scribe.context, key))
        asked_ms = int(scribe.now().timestamp() * 1000)
        waiting[input_id] = waiting_for(
            prompt, value_schema=schema, deadline=None, asked_ms=asked_ms
        )
    await scribe.wait(asked, waiting, due_in_s=math.inf)


def answers(scribe: Scribe, interrupts: Sequence[Interrupt]) -> dict[str, Any]:
    """Return the recorded answers by interrupt id, as LangGraph's Command takes them."""
    return {i.id: scribe.result(_answer(scribe, i)) for i in interrupts}


def input_id_of(scribe: Scribe, interrupt: Interrupt) -> str:
    """Return the id under which an interrupt is answered."""
    return f"{scribe.run.run_id}.{interrupt.id}"


def _answer(scribe: Scribe, interrupt: Interrupt) -> str:
    return answer_key(input_id_of(scribe, interrupt))


def _prompt(value: Any) -> str:
    """Return what to show a person: a text, or the text inside the usual dict."""
    if isinstance(value, dict):
        known = cast("dict[str, Any]", value)
        for name in ("prompt", "question", "message"):
            if isinstance(known.get(name), str):
                return known[name]
    return str(value)
