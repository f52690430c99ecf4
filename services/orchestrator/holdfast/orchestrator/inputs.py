"""What a run that waits for a person keeps in its row, and what an answer does to it."""

from typing import Any

from holdfast.events.codec import to_json
from holdfast.events.store import Effect, Run, RunChange, RunStatus, StepResult


def answer_key(input_id: str) -> str:
    """Return the key under which the answer to an input is recorded, event and value."""
    return f"answer:{input_id}"


def expired_key(input_id: str) -> str:
    """Return the key under which it is recorded that nobody answered in time."""
    return f"expired:{input_id}"


def waiting_for(
    prompt: str, *, value_schema: dict[str, Any] | None, deadline: str | None, asked_ms: int
) -> dict[str, Any]:
    """Return what the run's row says of one open request: what the gateway checks an answer against."""
    return {
        "prompt": prompt,
        "value_schema": value_schema,
        "deadline": deadline,
        "asked_ms": asked_ms,
    }


def answer_effects(run: Run, input_id: str, value: Any, *, status: RunStatus) -> list[Effect]:
    """Return what the answer changes: its value is there for replay, and the run, which stays `status`, is due."""
    rest = {k: v for k, v in run.waiting.items() if k != input_id}
    return [
        StepResult(run.run_id, answer_key(input_id), to_json(value)),
        RunChange(run_id=run.run_id, status=status, waiting=rest, due_in_s=0),
    ]
